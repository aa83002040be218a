"""Exchanging one factor in a config changes that factor, in declaration, table and ledger alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.data.dataset import DataSet
from bench.errors import InputError
from bench.evidence import records
from bench.experiment.layout import LEDGER, Layout
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.files import read_json
from bench.formulations import parts
from bench.formulations.grammar import Factor
from bench.formulations.parts import formulation_module
from bench.report.study import Study
from bench.report.tables.methods import _stage_attributes
from tests.contracts.test_formulations import run_all_stages

SWAPS: dict[Factor, str | dict[str, Any]] = {
    "path": "trigonometric",
    "coupling": {"name": "minibatch_ot", "block": 16},
    "prediction": "v",
    "time_sampling": {"name": "logit_normal", "mean": 0.4},
    "weighting": {"name": "min_snr", "gamma": 3.0},
}
ROWS = {"time_sampling": "time sampling"}
"""Rows of the methods table whose name is not that of the factor."""


def experiment(**spec: Any) -> Experiment:
    return from_mapping(
        {
            "name": "factors",
            "datasets": {"mixture2d": {"network": {"width": 16, "depth": 1, "embedding": 8}}},
            "formulations": {"one": {"formulation": "flow_matching", **spec}},
            "seeds": [0],
            "budget": {"unit": "network_passes", "amount": {"mixture2d": 5.0e4}},
            "training": {"batch_size": 32, "learning_rate": 2.0e-3},
        },
        "factors.yaml",
    )


def refusal(**spec: Any) -> str:
    with pytest.raises(InputError) as refused:
        experiment(**spec)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def methods(one: Experiment) -> dict[str, str]:
    study = Study(records.frame([]), [one])
    (row,) = _stage_attributes(study, study.panels[0], "one")
    return row


def ledger(one: Experiment, data: DataSet, folder: Path) -> dict[str, Any]:
    run_all_stages(one, Layout(folder), data)
    found: dict[str, Any] = read_json(Layout(folder).stage("mixture2d", "one", 0, "train") / LEDGER)
    return found


@pytest.mark.parametrize("factor", SWAPS)
def test_the_methods_table_changes_in_one_row(factor: Factor) -> None:
    before, after = methods(experiment()), methods(experiment(factors={factor: SWAPS[factor]}))
    changed = {row for row in before if before[row] != after[row]}
    assert changed == {ROWS.get(factor, factor)}


@pytest.mark.parametrize("factor", SWAPS)
def test_the_ledger_changes_in_one_factor(
    factor: Factor, small_data: DataSet, tmp_path: Path
) -> None:
    before = ledger(experiment(), small_data, tmp_path / "before")
    swapped = experiment(factors={factor: SWAPS[factor]})
    after = ledger(swapped, small_data, tmp_path / "after")
    parts = before["factors"], after["factors"]
    assert {name for name in parts[0] if parts[0][name] != parts[1][name]} == {factor}
    for name in ("unit", "planned", "spent", "spent_upstream"):
        assert before[name] == after[name]
    measured = {"device_seconds", "wall_seconds", "coupling_seconds", "drawing_seconds"}
    if factor == "coupling":
        measured.add("flops")  # the distances between noise and data are counted too
    for kind, charge in before["charges"].items():
        for name in set(charge) - measured:
            assert charge[name] == after["charges"][kind][name]


def test_a_factor_is_exchanged_in_every_stage_that_has_it() -> None:
    one = from_mapping(
        {
            **experiment().resolved(),
            "formulations": {
                "reflow": {
                    "formulation": "rectified_flow",
                    "factors": {"path": "cosine", "coupling": "minibatch_ot"},
                }
            },
            "training": {},
        },
        "factors.yaml",
    ).formulation("reflow")
    assert {stage.path.name for stage in one.stages} == {"cosine"}
    couplings = [stage.factors().get("coupling") for stage in one.stages]
    assert couplings == ["minibatch_ot", None, "paired"]


def test_a_short_name_and_a_mapping_mean_the_same() -> None:
    short, long = (experiment(factors={"path": p}) for p in ("cosine", {"name": "cosine"}))
    assert short == long
    assert from_mapping(short.resolved(), "again") == short


@pytest.mark.parametrize(
    ("factors", "told"),
    [
        ({"paht": "vp"}, ("factors.paht", "did you mean 'path'?")),
        ({"path": "cosin"}, ("factors.path", "did you mean 'cosine'?")),
        ({"path": {"name": "vp", "beta": 3}}, ("factors.path.beta", "beta_m")),
        ({"prediction": "velocty"}, ("factors.prediction", "did you mean 'velocity'?")),
        ({"coupling": "paired"}, ("factors.coupling", "unknown coupling")),
        ({"path": 3}, ("factors.path", "write the name of a part")),
        ({"objective": "consistency"}, ("factors.objective.neighbour", "is missing")),
    ],
)
def test_what_does_not_exist_is_refused(factors: dict[str, Any], told: tuple[str, ...]) -> None:
    line = refusal(factors=factors)
    assert all(word in line for word in told), line


def test_what_makes_a_formulation_is_not_exchanged() -> None:
    line = refusal(formulation="consistency_training", factors={"path": "linear"})
    assert "the path makes the stage 'train' what it is" in line


def test_an_exchange_leaves_the_declaration_alone() -> None:
    module = formulation_module("flow_matching")
    before = module.formulation(module.Options())
    experiment(factors=SWAPS)
    assert module.formulation(module.Options()) == before


def test_a_label_goes_by_its_own_title() -> None:
    for given, printed in ((None, "One"), ("The one", "The one")):
        named = {} if given is None else {"title": given}
        assert Study(records.frame([]), [experiment(**named)]).titles == {"one": printed}


def test_a_part_goes_by_the_title_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = experiment(factors={"weighting": {"name": "min_snr", "gamma": 3.0}})
    assert methods(named)["weighting"] == "min_snr(gamma=3.0)"
    file = tmp_path / "min_snr.py"
    file.write_text('TITLE = "min-SNR"\n')
    read = parts.source
    monkeypatch.setattr(
        parts, "source", lambda room, name: file if name == "min_snr" else read(room, name)
    )
    assert methods(named)["weighting"] == "min-SNR(gamma=3.0)"
    assert methods(named)["path"] == "linear(sigma_min=0.0)"
