"""Sequences without end: the same rows in whatever portions, and a stream for each purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.data.dataset import DataSet, numeric_options
from bench.data.endless import CHUNK, LawSampler, rows
from bench.data.sources import mixture2d
from bench.models.path_model import build_network
from bench.streams import stream
from bench.training.batches import FreshNoise, FreshSamples
from bench.training.budget import Ledger
from tests.training.test_loop import KilledError, die_at, trainer, weights

HOST = torch.device("cpu")


@pytest.fixture
def sampler() -> LawSampler:
    return LawSampler(mixture2d.mixture(mixture2d.Options()), (2,))


@pytest.mark.parametrize(
    ("first", "count"), [(0, 1), (5, 20), (CHUNK - 1, 2), (CHUNK, CHUNK), (100, 2 * CHUNK)]
)
def test_rows_are_those_of_the_whole_sequence(sampler: LawSampler, first: int, count: int) -> None:
    whole, part = rows(sampler, 0, 3 * CHUNK, "key"), rows(sampler, first, count, "key")
    assert torch.equal(part.samples, whole.samples[first : first + count])
    assert whole.labels is not None
    assert part.labels is not None
    assert torch.equal(part.labels, whole.labels[first : first + count])


def test_sequences_of_other_keys_share_no_row(sampler: LawSampler) -> None:
    ours, theirs = (rows(sampler, 0, 50, key).samples for key in ("one", "other"))
    assert not torch.isin(ours, theirs).any()


def test_at_least_leaves_data_that_end_as_they_are(real_data: Callable[[str], DataSet]) -> None:
    digits = real_data("digits")
    assert digits.at_least(train=10**6, held_out=10**6) is digits
    drawn = real_data("mixture2d")
    assert drawn.at_least(train=10**6, held_out=10**6) is drawn


def test_held_out_letters_have_no_end_where_training_has_one() -> None:
    from bench.data.sources import letters

    few = letters.build(letters.Options(classes=2, size=8, train=30, held_out=20))
    more = few.at_least(train=40, held_out=50)
    assert (len(more.train), len(more.held_out)) == (30, 50)
    assert not few.unlimited


def test_options_that_came_later_are_named_where_they_differ() -> None:
    """Else the digest of every experiment in the plane would change."""
    assert "layout" not in mixture2d.Options().model_dump(mode="json")
    moons = mixture2d.Options(layout="moons", train="unlimited").model_dump(mode="json")
    assert moons["layout"] == "moons"
    assert mixture2d.Options(**moons).layout == "moons"
    assert numeric_options("mixture2d", moons) == moons


def test_noise_mirroring_and_times_are_those_of_finite_training(
    real_data: Callable[[str], DataSet], unlimited_data: Callable[[str], DataSet]
) -> None:
    letters = unlimited_data("letters")
    assert letters.sampler is not None
    plain = FreshSamples(letters.sampler, 4, HOST).batch(2, 64)
    mirrored = FreshSamples(letters.sampler, 4, HOST, labelled=True, flip=True).batch(2, 64)
    finite = FreshNoise(letters.train, 4, flip=True).batch(2, 64)
    assert torch.equal(plain.noise, finite.noise)
    assert torch.equal(mirrored.noise, finite.noise)
    same = (mirrored.data == plain.data).flatten(1).all(1)
    turned = (mirrored.data == plain.data.flip(-1)).flatten(1).all(1)
    assert (same | turned).all()
    assert 10 < same.sum() < 54
    assert plain.label is None
    assert mirrored.label is not None
    assert len(mirrored.label) == 64


def test_a_killed_training_ends_in_the_same_weights(
    sampler: LawSampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.loop.CHECKPOINT_SECONDS", 0.0)
    source = FreshSamples(sampler, 0, HOST)
    whole = trainer(source=source)
    updates = whole.run(2e7, "flops")
    resume = tmp_path / "resume"
    with pytest.raises(KilledError):
        trainer(resume, source=source, report=die_at(updates // 2)).run(2e7, "flops")
    again = trainer(resume, source=FreshSamples(sampler, 0, HOST))
    assert again.run(2e7, "flops") == updates
    assert torch.equal(weights(again), weights(whole))


def test_what_drawing_costs_is_charged(unlimited_data: Callable[[str], DataSet]) -> None:
    """Seconds to a line of their own, within those of the device; products to the FLOPs."""
    digits = unlimited_data("digits_mixture")
    assert digits.sampler is not None
    network = build_network("residual_mlp", (1, 8, 8), {"width": 8, "depth": 1}, 0)

    def probed(source: object) -> Ledger:
        from bench.formulations.grammar import path
        from bench.models.path_model import PathModel

        model = PathModel(network, path("linear").build(), "velocity", 1.0)
        one = trainer(model=model, source=source, ledger=Ledger())
        one.probe()
        return one.ledger

    fresh = probed(FreshSamples(digits.sampler, 0, HOST)).charges["probe"]
    stored = probed(FreshNoise(digits.train, 0)).charges["probe"]
    law = digits.mixture
    assert law is not None
    rank, each = law.covariances.tensors()["axes"].shape[2], 2 * 2 * 64
    assert fresh.flops - stored.flops == 32 * each * rank
    assert 0 < fresh.drawing_seconds <= fresh.device_seconds


def test_a_stream_of_fewer_is_the_start_of_that_of_more(
    unlimited_data: Callable[[str], DataSet],
) -> None:
    letters = unlimited_data("letters").sampler
    assert letters is not None
    many = letters.draw(300, stream("some"))
    for count in (1, 7, 299):
        few = letters.draw(count, stream("some"))
        assert torch.equal(few.samples, many.samples[:count])
        assert few.labels is not None
        assert many.labels is not None
        assert torch.equal(few.labels, many.labels[:count])
