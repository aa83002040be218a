"""Every formulation: declared without torch, buildable, trainable, and wholly charged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.data.dataset import DataSet
from bench.data.files import save
from bench.errors import InputError
from bench.experiment.layout import LEDGER, OUTCOME, Layout
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.files import read_json, write_json
from bench.formulations.grammar import Formulation
from bench.formulations.parts import formulation_module
from bench.options import OptionModel
from bench.registry import discover
from bench.sampling.solvers.grids import GRIDS
from bench.stages import pairs, train
from bench.stages.running.job import CHECKPOINT, PAIRS
from bench.stages.running.outcome import read_outcome

FORMULATIONS = discover("formulations")
VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {"formulation": name} for name in FORMULATIONS},
    "distilled_scm": {"formulation": "scm", "options": {"distilled": True}},
    "distilled_flow": {
        "formulation": "rectified_flow",
        "options": {"distilled": True, "pair_solver": "ddim"},
    },
}
"""Every formulation as it comes, and those whose options change their stages."""

BUDGET = {"flops": 2.4e7, "network_passes": 2.4e4}
"""Enough for one stage: a formulation gets so much that its smallest stage has it."""


def declared(label: str) -> Formulation:
    return experiment(label).formulation(label)


def experiment(label: str, **budget: Any) -> Experiment:
    """One formulation on a small data set, with enough budget for every stage."""
    module, options = formulation_module(VARIANTS[label]["formulation"]), VARIANTS[label]
    stages = module.formulation(module.Options(**options.get("options", {}))).stages
    enough = BUDGET.get(budget.get("unit", "flops"), 0.0) / min(stage.share for stage in stages)
    return from_mapping(
        {
            "name": "contract",
            "datasets": {"mixture2d": {"network": {"width": 16, "depth": 1, "embedding": 8}}},
            "formulations": {label: VARIANTS[label]},
            "seeds": [0],
            "budget": {"amount": {"mixture2d": enough}, **budget},
            "training": {"batch_size": 32, "learning_rate": 2.0e-3},
            "sweep": {"solvers": ["euler", "consistency", "flow_map"]},
        },
        "contract.yaml",
    )


def run_all_stages(chosen: Experiment, layout: Layout, data: DataSet) -> None:
    """The formulation's stages in order, on prepared data."""
    (label,) = chosen.labels
    if not (layout.data(data.name) / OUTCOME).exists():
        save(data, layout.data(data.name))
        write_json(layout.data(data.name) / OUTCOME, {"status": "ok", "error": None})
    for stage in chosen.formulation(label).stages:
        verb = pairs if stage.kind == "pairs" else train
        verb.run(chosen, layout, dataset=data.name, label=label, stage=stage.name, seeds=[0])


def ledgers(chosen: Experiment, layout: Layout, data: DataSet) -> dict[str, dict[str, Any]]:
    """The ledgers of a model by stage."""
    (label,) = chosen.labels
    return {
        stage.name: read_json(layout.stage(data.name, label, 0, stage.name) / LEDGER)
        for stage in chosen.formulation(label).stages
    }


def check_budget(chosen: Experiment, layout: Layout, data: DataSet) -> None:
    """All stages together spent 98-100% of the plan, re-added from their charges."""
    unit = chosen.budget.unit
    assert unit in ("flops", "network_passes")
    spent = sum(
        charge[unit]
        for ledger in ledgers(chosen, layout, data).values()
        for charge in ledger["charges"].values()
    )
    (label,) = chosen.labels
    budgets = 1 if chosen.budget.accounting == "all_in" else 2
    planned = chosen.budget.amount[data.name] * min(budgets, len(chosen.formulation(label).stages))
    assert 0.98 * planned <= spent <= planned
    final = ledgers(chosen, layout, data)[chosen.formulation(label).final.name]
    assert final["spent_own"] + final["spent_upstream"] == pytest.approx(spent)


@pytest.mark.parametrize("label", VARIANTS)
def test_declaration(label: str) -> None:
    formulation = declared(label)
    module = formulation_module(VARIANTS[label]["formulation"])
    assert module.TITLE
    assert module.__doc__
    assert issubclass(module.Options, OptionModel)
    assert all(option.description for option in module.Options.model_fields.values())
    assert formulation.reference
    assert formulation.grid in GRIDS
    assert all(stage.share > 0 for stage in formulation.stages)
    assert sum(stage.share for stage in formulation.stages) == pytest.approx(1)
    assert formulation.final.kind == "train"
    for stage in formulation.stages:
        assert stage.path.build()
        if stage.kind == "train":
            assert stage.coupling is not None and stage.objective is not None
            assert stage.time_sampling is not None and stage.weighting is not None
            assert stage.coupling.build()
            objective = stage.objective.build(
                time_sampling=stage.time_sampling.build(), weighting=stage.weighting.build()
            )
            assert objective.teacher is None


@pytest.mark.parametrize("name", FORMULATIONS)
def test_a_misspelt_option_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        formulation_module(name).Options(no_such_option=1)


def test_declarations_do_not_import_torch() -> None:
    program = (
        "import sys\n"
        "from bench.formulations.parts import formulation_module\n"
        "from bench.registry import discover\n"
        "for name in discover('formulations'):\n"
        "    module = formulation_module(name)\n"
        "    module.formulation(module.Options())\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("label", VARIANTS)
def test_a_finished_model_has_spent_its_budget_and_is_not_trained_again(
    label: str, small_data: DataSet, tmp_path: Path
) -> None:
    chosen, layout = experiment(label), Layout(tmp_path)
    run_all_stages(chosen, layout, small_data)
    for stage in chosen.formulation(label).stages:
        outcome = read_outcome(layout.stage("mixture2d", label, 0, stage.name))
        assert outcome is not None
        assert outcome["status"] == "ok", outcome["error"]
    check_budget(chosen, layout, small_data)
    made = {
        path: path.stat().st_mtime_ns
        for path in tmp_path.rglob("*.safetensors")
        if path.name in (CHECKPOINT, PAIRS)
    }
    assert len(made) == len(chosen.formulation(label).stages)
    run_all_stages(chosen, layout, small_data)
    assert {path: path.stat().st_mtime_ns for path in made} == made


@pytest.mark.parametrize("label", VARIANTS)
def test_a_budget_in_network_passes_is_spent(
    label: str, small_data: DataSet, tmp_path: Path
) -> None:
    chosen, layout = experiment(label, unit="network_passes"), Layout(tmp_path)
    run_all_stages(chosen, layout, small_data)
    check_budget(chosen, layout, small_data)


@pytest.mark.parametrize("label", [n for n in VARIANTS if len(declared(n).stages) > 1])
def test_marginal_accounting_gives_upstream_a_budget_of_its_own(
    label: str, small_data: DataSet, tmp_path: Path
) -> None:
    chosen = experiment(label, accounting="marginal")
    run_all_stages(chosen, Layout(tmp_path), small_data)
    check_budget(chosen, Layout(tmp_path), small_data)


def test_a_seed_trains_the_same_model_twice(small_data: DataSet, tmp_path: Path) -> None:
    chosen = experiment("rectified_flow")
    hashes = []
    for folder in ("first", "second"):
        layout = Layout(tmp_path / folder)
        run_all_stages(chosen, layout, small_data)
        outcome = read_outcome(layout.stage("mixture2d", "rectified_flow", 0, "flow_2"))
        assert outcome is not None
        hashes.append(outcome["files"][CHECKPOINT])
    assert hashes[0] == hashes[1]


def test_a_stage_of_a_failed_one_fails_with_its_error(small_data: DataSet, tmp_path: Path) -> None:
    chosen = experiment("rectified_flow", amount={"mixture2d": 1.0e6})
    run_all_stages(chosen, Layout(tmp_path), small_data)
    outcome = read_outcome(Layout(tmp_path).stage("mixture2d", "rectified_flow", 0, "flow_2"))
    assert outcome is not None
    assert outcome["status"] == "failed"
    assert "upstream flow_1 failed" in outcome["error"]
    assert "raise budget.amount" in outcome["error"]


@pytest.mark.parametrize("solver", ["dopri5", "consistency", "flow_map", "nothing"])
def test_pairs_need_an_ode_solver_of_fixed_cost(solver: str) -> None:
    options = {"options": {"pair_solver": solver}}
    with pytest.raises(InputError, match=rf"{solver}.*pairs need an ODE solver of fixed cost"):
        from_mapping(
            {
                "name": "x",
                "datasets": {"mixture2d": {}},
                "formulations": {"rectified_flow": options},
                "budget": {"amount": {"mixture2d": 1e12}},
            },
            "x.yaml",
        )


@pytest.mark.parametrize("k", [2, 5])
def test_a_distilled_flow_ends_with_pairs_of_its_last_flow(k: int) -> None:
    module = formulation_module("rectified_flow")
    formulation = module.formulation(module.Options(k=k, distilled=True))
    assert sum(stage.share for stage in formulation.stages) == pytest.approx(1)
    *_, flow, pairs, student = formulation.stages
    assert (flow.name, pairs.reads, student.reads) == (f"flow_{k}", flow.name, pairs.name)
    assert (student.name, student.init_from) == ("distill", flow.name)
    assert student.time_sampling.name == "start"


def test_progressive_students_halve_their_steps_and_teach_the_next() -> None:
    module = formulation_module("progressive_distillation")
    _, *students = module.formulation(module.Options(first_steps=8, last_steps=2)).stages
    assert [student.objective.options["steps"] for student in students] == [8, 4, 2]
    assert [student.reads for student in students] == ["teacher", "student_8", "student_4"]
    assert all(student.init_from == student.reads for student in students)


@pytest.mark.parametrize(("first", "last"), [(12, 1), (2, 4), (9, 2)])
def test_steps_that_do_not_halve_are_refused(first: int, last: int) -> None:
    with pytest.raises(ValidationError, match="power of two"):
        formulation_module("progressive_distillation").Options(first_steps=first, last_steps=last)
