"""The stage ``likelihood``: small models of a small experiment, from training to records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench import cli
from bench.errors import InputError
from bench.evidence import records
from bench.experiment import digests
from bench.experiment.cells import has_likelihood
from bench.experiment.costs import Plan
from bench.experiment.graph import nodes
from bench.experiment.layout import Layout
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.stages import likelihood, prepare, train
from bench.stages.running.outcome import read_outcome

SETTINGS = {"tolerance": 1e-3, "samples": 40, "batch_size": 32, "probes": 3}


def experiment(dataset: str = "mixture2d", **sections: Any) -> Experiment:
    mapping: dict[str, Any] = {
        "name": "likelihood-test",
        "datasets": {dataset: {"network": {"width": 16, "depth": 1, "embedding": 8}}},
        "formulations": {
            "ot_flow_matching": {},
            "by_class": {"formulation": "vp_diffusion", "conditional": {}},
            "guided": {"formulation": "vp_diffusion", "conditional": {"guidance": 2.0}},
            "consistency_training": {},
        },
        "seeds": [0],
        "budget": {"amount": {dataset: 2.0e7 if dataset == "mixture2d" else 6.0e7}},
        "training": {"batch_size": 32},
        "likelihood": SETTINGS,
    }
    return from_mapping(mapping | sections, "test.yaml")


def finished(one: Experiment, layout: Layout, dataset: str, labels: list[str]) -> Layout:
    prepare.run(one, layout, dataset=dataset)
    for label in labels:
        train.run(one, layout, dataset=dataset, label=label, stage="train", seeds=[0])
        likelihood.run(one, layout, dataset=dataset, label=label, seeds=[0])
        outcome = read_outcome(layout.likelihood(dataset, label, 0))
        assert outcome is not None
        assert outcome["status"] == "ok", outcome["error"]
    return layout


def rows(layout: Layout, label: str, dataset: str = "mixture2d") -> pd.DataFrame:
    found = records.read(layout.likelihood(dataset, label, 0) / likelihood.TABLE)
    return found.set_index("metric")


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    layout = Layout(tmp_path_factory.mktemp("results"))
    return finished(experiment(), layout, "mixture2d", ["ot_flow_matching", "by_class", "guided"])


@pytest.mark.parametrize("label", ["ot_flow_matching", "by_class"])
def test_a_model_stands_beside_the_exact_law(points: Layout, label: str) -> None:
    """Any coupling, and the law of the class where the model is told it."""
    found = rows(points, label)
    assert list(found.index) == ["nll", "nll_exact", "nll_gap"]
    gap = found.loc["nll_gap", "value"]
    assert gap == pytest.approx(found.loc["nll", "value"] - found.loc["nll_exact", "value"])
    assert gap > 0
    assert (found["value_se"] > 0).all()
    assert set(found["n_samples"]) == {40} and set(found["batch_size"]) == {32}
    assert set(found["reference_set"]) == {"held_out"} and found["noise_bank"].isna().all()
    spent = found.loc["nll"]
    assert spent["nfe_min"] <= spent["nfe"] <= spent["nfe_max"]
    assert spent["tolerance"] == 1e-3 and spent["solver"] == "dopri5"


def test_classes_narrow_the_exact_law(points: Layout) -> None:
    law, by_class = (
        rows(points, label).loc["nll_exact", "value"] for label in ("ot_flow_matching", "by_class")
    )
    # Eight classes that hardly overlap: their entropy is at most log 8.
    assert 1.5 < law - by_class < 2.5


def test_guidance_is_refused_with_its_reason(points: Layout) -> None:
    found = rows(points, "guided")
    assert list(found.index) == ["refused"]
    assert found["status"].item() == "refused"
    assert "guidance" in found["error"].item()


def test_a_second_run_computes_nothing(points: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*given: Any) -> Any:
        raise AssertionError("measured again")

    monkeypatch.setattr(likelihood, "measure", never)
    likelihood.run(experiment(), points, dataset="mixture2d", label="by_class", seeds=[0])
    outcome = read_outcome(points.likelihood("mixture2d", "by_class", 0))
    assert outcome is not None and outcome["status"] == "ok"


def test_a_failure_is_a_row_that_the_next_run_tries_again(
    points: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any) -> Any:
        raise ValueError("planted")

    label, harder = "ot_flow_matching", experiment(likelihood=SETTINGS | {"tolerance": 1e-2})
    with monkeypatch.context() as planted:
        planted.setattr(likelihood, "measure", broken)
        likelihood.run(harder, points, dataset="mixture2d", label=label, seeds=[0])
    found = rows(points, label)
    assert found["status"].tolist() == ["failed"]
    assert found["error"].item() == "ValueError: planted"
    likelihood.run(harder, points, dataset="mixture2d", label=label, seeds=[0])
    assert set(rows(points, label)["status"]) == {"ok"}
    likelihood.run(experiment(), points, dataset="mixture2d", label=label, seeds=[0])


def test_images_have_bits_and_the_error_of_their_probes(tmp_path: Path) -> None:
    one, label = experiment("digits"), "ot_flow_matching"
    layout = finished(one, Layout(tmp_path), "digits", [label])
    found = rows(layout, label, "digits")
    assert list(found.index) == ["nll", "bits_per_dim", "nll_probe_se"]
    nll, bits = found.loc["nll"], found.loc["bits_per_dim"]
    # A cell is 2/16 wide, and its logarithm is -3 bits.
    assert bits["value"] == pytest.approx(nll["value"] / (64 * 0.6931471805599453) + 3)
    assert bits["value_se"] == pytest.approx(nll["value_se"] / (64 * 0.6931471805599453))
    # Hardly trained, and nearer to a law uniform on 17 levels than to one that knows the digits.
    assert 2 < bits["value"] < 8
    assert 0 < found.loc["nll_probe_se", "value"] < nll["value_se"]


def test_it_runs_only_where_it_is_asked_for_and_there_is_a_flow(tmp_path: Path) -> None:
    one, layout = experiment(), Layout(tmp_path)
    folders = {node.folder(layout) for node in nodes(one)}
    for label in one.labels:
        assert has_likelihood(one, label) == (label != "consistency_training")
        assert (layout.likelihood("mixture2d", label, 0) in folders) == has_likelihood(one, label)
    assert {job.verb: job.count for job in Plan(one).jobs()}["likelihood"] == 3
    without = experiment(likelihood=None)
    assert "likelihood" not in {job.verb for job in Plan(without).jobs()}
    assert not any(has_likelihood(without, label) for label in without.labels)
    with pytest.raises(InputError, match="likelihood"):
        likelihood.run(without, layout, dataset="mixture2d", label="by_class", seeds=[0])


def test_its_digest_follows_settings_and_not_the_sweep() -> None:
    def digest(**sections: Any) -> str:
        return digests.likelihood_digest(experiment(**sections), "mixture2d", "by_class", 0)

    assert digest() == digest(sweep={"nfe": [1, 2]})
    assert digest() != digest(likelihood=SETTINGS | {"samples": 41})


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InputError, match=r"likelihood\.probes"):
        experiment(likelihood={"probes": 1})
    with pytest.raises(InputError, match="did you mean 'tolerance'"):
        experiment(likelihood={"tolerence": 1e-5})


def test_it_is_a_verb() -> None:
    given = cli.parser().parse_args(
        ["likelihood", "x.yaml", "--dataset", "d", "--label", "l", "--seeds", "0"]
    )
    assert given.seeds == [0]
