"""Every data set: what it declares, that its parts are disjoint, and that its file is the data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.data import DataSet, data_module, load, save
from bench.declarations import OptionModel, discover
from bench.metrics import directions

DATASETS = discover("data")
RealData = Callable[[str], DataSet]


def samples_in_both(dataset: DataSet) -> int:
    """How many held-out samples are training samples too, bit by bit."""
    training = {row.numpy().tobytes() for row in dataset.train}
    return sum(row.numpy().tobytes() in training for row in dataset.held_out)


@pytest.mark.parametrize("name", DATASETS)
def test_declaration(name: str) -> None:
    module = data_module(name)
    assert module.TITLE
    assert issubclass(module.Options, OptionModel)
    assert directions(name)[module.PRIMARY] == "lower"
    assert module.EXTRACTOR is None or module.EXTRACTOR in discover("extractors")


@pytest.mark.parametrize("name", DATASETS)
def test_held_out_samples_were_never_trained_on(name: str, real_data: RealData) -> None:
    assert samples_in_both(real_data(name)) == 0


@pytest.mark.parametrize("name", DATASETS)
def test_samples_keep_their_promises(name: str, real_data: RealData) -> None:
    dataset, module = real_data(name), data_module(name)
    assert (dataset.name, dataset.kind, dataset.levels) == (name, module.KIND, module.LEVELS)
    assert dataset.shape == module.SHAPE
    assert (dataset.mixture is not None) == module.EXACT
    for samples in (dataset.train, dataset.held_out):
        assert samples.dtype == torch.float32
        assert samples.shape[1:] == dataset.shape
        assert samples.isfinite().all()
        torch.testing.assert_close(dataset.quantise(samples), samples, rtol=0, atol=0)
        if dataset.kind == "image":
            assert samples.min() == -1
            assert samples.max() == 1
    spread = dataset.train.double().numpy().std(ddof=1)
    assert dataset.sigma_data == pytest.approx(spread, rel=1e-5)


@pytest.mark.parametrize("name", DATASETS)
def test_a_second_build_is_the_same(name: str, real_data: RealData) -> None:
    module = data_module(name)
    torch.manual_seed(len(name))  # whatever the global stream holds
    again = module.build(module.Options())
    assert torch.equal(again.train, real_data(name).train)
    assert torch.equal(again.held_out, real_data(name).held_out)


@pytest.mark.parametrize("name", DATASETS)
def test_the_file_gives_the_data_back(name: str, real_data: RealData, tmp_path: Path) -> None:
    dataset = real_data(name)
    description = save(dataset, tmp_path)
    back = load(tmp_path)
    assert (back.name, back.kind, back.levels) == (dataset.name, dataset.kind, dataset.levels)
    assert back.sigma_data == dataset.sigma_data
    assert torch.equal(back.train, dataset.train)
    assert torch.equal(back.held_out, dataset.held_out)
    for mine, theirs in (
        (back.train_labels, dataset.train_labels),
        (back.held_out_labels, dataset.held_out_labels),
        *zip(back.mixture or (), dataset.mixture or (), strict=True),
    ):
        assert (mine is None) == (theirs is None)
        assert mine is None or torch.equal(mine, theirs)
    assert description["shape"] == list(dataset.shape)
    assert (description["train"], description["held_out"]) == (
        len(dataset.train),
        len(dataset.held_out),
    )


def test_declarations_of_data_and_metrics_import_no_torch() -> None:
    code = (
        "import sys; from bench.data import data_module; from bench.declarations import discover;"
        "from bench.metrics import directions;"
        "[(data_module(n).Options(), directions(n)) for n in discover('data')];"
        "assert not {'torch', 'torch_fidelity', 'sklearn', 'ot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
