"""Every data set: what it declares, that its parts are disjoint, and that its file is the data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.data.dataset import DataOptions, DataSet, data_module, described
from bench.data.files import load, save
from bench.experiment.loading import from_mapping
from bench.experiment.reading import read_mapping
from bench.metrics.declared import directions
from bench.registry import discover
from bench.streams import stream
from tests import sources

ROOT = Path(__file__).parents[2]
DATASETS = discover("data")
RealData = Callable[[str], DataSet]


def samples_in_both(dataset: DataSet) -> int:
    """How many held-out samples are training samples too, bit by bit."""
    training = {row.numpy().tobytes() for row in dataset.train}
    return sum(row.numpy().tobytes() in training for row in dataset.held_out)


@pytest.mark.parametrize("name", DATASETS)
def test_declaration(name: str) -> None:
    assert issubclass(data_module(name).Options, DataOptions)
    description = sources.description(name)
    assert description.title
    assert directions(description)[description.primary] == "lower"
    assert description.extractor is None or description.extractor in discover("extractors")


@pytest.mark.parametrize("name", ["fashion", "cifar10", "images"])
def test_real_images_are_looked_at_by_a_network_that_needs_no_download(name: str) -> None:
    needed = {"path": "unread.npz", "size": 16} if name == "images" else {}
    assert described(name, needed).extractor == "efficientnet_lite0"
    assert described(name, needed).primary == "fd_efficientnet_lite0"
    other = described(name, {**needed, "extractor": "cifar10"})
    assert (other.extractor, other.primary) == ("cifar10", "fd_cifar10")


@pytest.mark.parametrize("extractor", discover("extractors"))
@pytest.mark.parametrize("name", ["fashion", "cifar10", "images"])
def test_models_are_ranked_by_a_metric_that_is_measured(name: str, extractor: str) -> None:
    experiment = read_mapping(ROOT / "configs" / "cifar10.yaml")
    options = {"extractor": extractor}
    if name == "images":
        options |= {"path": "unread.npz", "size": 16}
    experiment["datasets"] = {name: {"options": options, "network": {"kind": "unet"}}}
    experiment["budget"]["amount"] = {name: 1.0}
    description = from_mapping(experiment, "a test").described(name)
    assert directions(description)[description.primary] == "lower"
    assert (description.primary == "fid") == (extractor == "inception")


@pytest.mark.parametrize("name", DATASETS)
def test_held_out_samples_were_never_trained_on(name: str, real_data: RealData) -> None:
    assert samples_in_both(real_data(name)) == 0


@pytest.mark.parametrize("name", DATASETS)
def test_samples_keep_their_promises(name: str, real_data: RealData) -> None:
    dataset, description = real_data(name), sources.description(name)
    promised = (name, description.kind, description.levels)
    assert (dataset.name, dataset.kind, dataset.levels) == promised
    assert dataset.shape == description.shape
    assert (dataset.mixture is not None) == description.exact
    for samples in (dataset.train, dataset.held_out):
        assert samples.dtype == torch.float32
        assert samples.shape[1:] == dataset.shape
        assert samples.isfinite().all()
        torch.testing.assert_close(dataset.quantise(samples), samples, rtol=0, atol=0)
        if dataset.levels is not None:
            assert samples.min() == -1
            assert samples.max() == 1
    spread = dataset.train.double().numpy().std(ddof=1)
    assert dataset.sigma_data == pytest.approx(spread, rel=1e-5)


@pytest.mark.parametrize("name", DATASETS)
def test_labels_are_the_declared_classes(name: str, real_data: RealData) -> None:
    dataset, classes = real_data(name), sources.description(name).classes
    for samples, labels in (
        (dataset.train, dataset.train_labels),
        (dataset.held_out, dataset.held_out_labels),
    ):
        assert (labels is None) == (classes is None)
        if labels is not None:
            assert labels.dtype == torch.int64
            assert labels.shape == (len(samples),)
            assert labels.unique().tolist() == list(range(classes))
    if dataset.mixture is not None and classes is not None:
        assert dataset.mixture.labels is not None
        assert dataset.mixture.labels.unique().tolist() == list(range(classes))


@pytest.mark.parametrize("name", [name for name in DATASETS if sources.description(name).exact])
def test_an_exact_law_is_that_of_the_samples(name: str, real_data: RealData) -> None:
    """Held-out samples have its entropy, and each class the law of that class."""
    dataset = real_data(name)
    law, labels = dataset.mixture, dataset.held_out_labels
    assert law is not None
    assert labels is not None
    x = dataset.held_out.double()
    ours = law.log_density(x)
    fresh = law.log_density(law.sample(len(x), stream("fresh", name)))
    error = ((ours.var() + fresh.var()) / len(x)).sqrt().item()
    assert ours.mean().item() == pytest.approx(fresh.mean().item(), abs=4 * error)
    wrong = law.given((labels + 1) % (int(labels.max()) + 1)).log_density(x)
    right = law.given(labels).log_density(x)
    assert (right > wrong).float().mean() > 0.99


@pytest.mark.parametrize("name", DATASETS)
def test_a_second_build_is_the_same(name: str, real_data: RealData) -> None:
    torch.manual_seed(len(name))  # whatever the global stream holds
    again = sources.build(name)
    assert torch.equal(again.train, real_data(name).train)
    assert torch.equal(again.held_out, real_data(name).held_out)


@pytest.mark.parametrize("name", [n for n in DATASETS if sources.description(n).levels == 256])
def test_pixels_of_8_bits_are_looked_at_as_they_are(name: str, real_data: RealData) -> None:
    dataset = real_data(name)
    pixels = dataset.to_levels(dataset.held_out)
    shown = dataset.to_uint8(dataset.held_out)
    assert shown.shape[1] == 3
    assert torch.equal(shown[:, : dataset.shape[0]].float(), pixels)


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
    ):
        assert (mine is None) == (theirs is None)
        assert mine is None or torch.equal(mine, theirs)
    assert (back.mixture is None) == (dataset.mixture is None)
    if back.mixture is not None and dataset.mixture is not None:
        theirs = dataset.mixture.tensors()
        assert back.mixture.tensors().keys() == theirs.keys()
        assert all(torch.equal(mine, theirs[k]) for k, mine in back.mixture.tensors().items())
    assert description["shape"] == list(dataset.shape)
    assert (description["train"], description["held_out"]) == (
        len(dataset.train),
        len(dataset.held_out),
    )


def test_declarations_of_data_and_metrics_import_no_torch() -> None:
    options = [(name, sources.OPTIONS.get(name, {})) for name in DATASETS]
    code = (
        "import sys; from bench.data.dataset import described; "
        "from bench.metrics.declared import directions;"
        f"[directions(described(n, o)) for n, o in {options!r}];"
        "assert not {'torch', 'torch_fidelity', 'sklearn', 'ot', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
