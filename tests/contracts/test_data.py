"""Every data set: what it declares, that its parts are disjoint, and that its file is the data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.data.dataset import DataOptions, DataSet, data_module, described
from bench.data.endless import CHUNK
from bench.data.files import load, save
from bench.errors import InputError
from bench.experiment.loading import from_mapping
from bench.experiment.reading import read_mapping
from bench.metrics.declared import applicable, directions
from bench.registry import discover
from bench.streams import stream
from bench.training.batches import FreshSamples
from tests import sources

ROOT = Path(__file__).parents[2]
DATASETS = discover("data")
UNLIMITED = ["digits_mixture", "embedded_mixture", "letters", "mixture2d"]
"""Data sets whose training may draw new samples for ever."""
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


def batches(dataset: DataSet, seed: int, updates: Iterable[int], size: int = 96) -> Tensor:
    """What some updates are trained on, by a source of its own."""
    assert dataset.sampler is not None
    source = FreshSamples(dataset.sampler, seed, torch.device("cpu"))
    return torch.cat([source.batch(update, size).data for update in updates])


def distinct(samples: Tensor) -> int:
    """How many samples are there, copies counted once."""
    return len({row.numpy().tobytes() for row in samples})


@pytest.mark.parametrize("name", UNLIMITED)
def test_unlimited_training_meets_no_sample_twice(name: str, unlimited_data: RealData) -> None:
    """Whatever the seed and the update, nor one that is held out or looked at as real."""
    dataset = unlimited_data(name)
    assert dataset.unlimited
    assert sources.description(name, train="unlimited").unlimited
    fresh = torch.cat([batches(dataset, seed, range(6)) for seed in (0, 1)])
    everything = torch.cat([fresh, dataset.train, dataset.held_out])
    assert distinct(everything) == len(everything)


@pytest.mark.parametrize("name", UNLIMITED)
def test_a_resumed_run_draws_the_same_batches(name: str, unlimited_data: RealData) -> None:
    dataset = unlimited_data(name)
    whole = batches(dataset, 3, range(4))
    torch.manual_seed(len(name))  # whatever the global stream holds
    assert torch.equal(batches(dataset, 3, (2, 3)), whole[2 * 96 :])
    assert torch.equal(batches(dataset, 3, (0,)), whole[:96])


@pytest.mark.parametrize("name", UNLIMITED)
def test_held_out_samples_have_no_end(name: str, unlimited_data: RealData) -> None:
    """More of them begin with those that were there, and however many are asked for at once."""
    dataset = unlimited_data(name)
    most = dataset.at_least(held_out=CHUNK + 500)
    assert len(most.held_out) == CHUNK + 500 > len(dataset.held_out)
    assert distinct(most.held_out) == len(most.held_out)
    assert torch.equal(most.held_out[: len(dataset.held_out)], dataset.held_out)
    assert torch.equal(dataset.at_least(held_out=900).held_out, most.held_out[:900])
    assert dataset.held_out_labels is not None
    assert most.held_out_labels is not None
    assert torch.equal(most.held_out_labels[: len(dataset.held_out)], dataset.held_out_labels)
    assert torch.equal(most.train, dataset.train)
    assert len(dataset.at_least(train=700).train) == 700


@pytest.mark.parametrize("name", UNLIMITED)
def test_fresh_samples_are_of_the_law_of_the_others(name: str, unlimited_data: RealData) -> None:
    dataset = unlimited_data(name)
    assert dataset.sampler is not None
    fresh, labels = dataset.sampler.draw(4000, stream(0, "fresh", 0))
    held_out = dataset.at_least(held_out=4000)
    for ours, theirs in ((fresh.flatten(1), held_out.held_out.flatten(1)),):
        assert ours.dtype == torch.float32
        error = ((ours.var(0) + theirs.var(0)) / 4000).sqrt()
        assert ((ours.mean(0) - theirs.mean(0)).abs() <= 5 * error + 1e-6).all()
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.03)
    assert labels is not None
    assert held_out.held_out_labels is not None
    share, real = (x.bincount().double() / 4000 for x in (labels, held_out.held_out_labels))
    assert (share - real).abs().max() < 5 * (0.5 / 4000) ** 0.5


@pytest.mark.parametrize("name", UNLIMITED)
def test_the_file_of_unlimited_data_draws_the_same(
    name: str, unlimited_data: RealData, tmp_path: Path
) -> None:
    dataset = unlimited_data(name)
    save(dataset, tmp_path)
    back = load(tmp_path)
    assert back.unlimited
    assert torch.equal(batches(back, 0, (7,)), batches(dataset, 0, (7,)))
    more = dataset.at_least(held_out=700)
    assert torch.equal(back.at_least(held_out=700).held_out, more.held_out)


@pytest.mark.parametrize("name", UNLIMITED)
def test_what_compares_with_the_training_set_does_not_apply_without_one(name: str) -> None:
    copies = {"memorisation", "authenticity", "frechet_full"}
    assert not copies & set(applicable(sources.description(name, train="unlimited")))
    finite = sources.description(name, train=500)
    if finite.levels is not None:
        assert copies <= set(applicable(finite))


@pytest.mark.parametrize("name", UNLIMITED)
@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("unlimted", "write a whole number of at least 2, or unlimited; did you mean 'unlimited'?"),
        (0, "write a whole number of at least 2, or unlimited"),
        (2.5, "write a whole number of at least 2, or unlimited"),
        (True, "write a whole number of at least 2, or unlimited"),
    ],
)
def test_other_amounts_of_training_data_are_one_line(name: str, given: Any, remedy: str) -> None:
    experiment = read_mapping(ROOT / "configs" / "smoke.yaml")
    experiment["datasets"] = {name: {"options": {"train": given}}}
    experiment["budget"]["amount"] = {name: 1.0e9}
    with pytest.raises(InputError) as refused:
        from_mapping(experiment, "trial.yaml")
    told = f"trial.yaml: datasets.{name}.options.train: got {given!r}; {remedy}"
    assert str(refused.value).strip() == told


def test_declarations_of_data_and_metrics_import_no_torch() -> None:
    options = [(name, sources.OPTIONS.get(name, {})) for name in DATASETS]
    code = (
        "import sys; from bench.data.dataset import described; "
        "from bench.metrics.declared import directions;"
        f"[directions(described(n, o)) for n, o in {options!r}];"
        "assert not {'torch', 'torch_fidelity', 'sklearn', 'ot', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
