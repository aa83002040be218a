"""The plan: every job and cell counted, nothing run, torch not imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.experiment.costs import KINDS, SPEED, Plan, Speed
from bench.experiment.graph import Node, nodes
from bench.experiment.layout import FINISHED, Layout
from bench.experiment.loading import from_mapping, load
from bench.experiment.plan import describe
from bench.experiment.spec import Experiment
from bench.files import write_json
from bench.formulations.grammar import Conditional
from bench.models.architectures.residual_mlp import Options
from bench.models.networks.residual_mlp import ResidualMlp

CONFIGS = Path(__file__).parents[2] / "configs"


def experiment(**changes: Any) -> Experiment:
    mapping: dict[str, Any] = {
        "name": "trial",
        "datasets": {"digits": {}, "mixture2d": {}},
        "formulations": {"flow_matching": {}, "rectified_flow": {}, "consistency_training": {}},
        "seeds": [0, 1, 2],
        "budget": {"amount": {"digits": 2.0e12, "mixture2d": 1.0e11}},
        "sweep": {
            "solvers": ["euler", "rk4", "dopri5", "consistency"],
            "nfe": [1, 2, 4],
            "tolerances": [1.0e-3],
            "few_step_nfe": [1, 2],
        },
    }
    return from_mapping(mapping | changes, "trial.yaml")


def counts(one: Experiment) -> dict[str, int]:
    return {job.verb: job.count for job in Plan(one).jobs()}


def test_jobs_are_counted() -> None:
    assert counts(experiment()) == {
        "prepare": 2, "extractor": 1, "train": 10, "sweep": 6, "floor": 2, "oracle": 1, "timing": 2,
        "report": 1,
    }  # fmt: skip
    one_seed_a_job = experiment(training={"seeds_per_job": 1})
    assert counts(one_seed_a_job)["train"] == 30
    assert counts(one_seed_a_job)["sweep"] == 18
    seconds = {"unit": "device_seconds", "amount": {"digits": 40, "mixture2d": 10}}
    assert counts(experiment(budget=seconds))["calibrate"] == 6


def test_the_plan_says_what_is_kept_and_what_is_new(tmp_path: Path) -> None:
    one, layout = experiment(seeds=[0, 1], training={"seeds_per_job": 1}), Layout(tmp_path)
    assert "kept" not in describe(one, 2, layout)

    def finish(node: Node, digest: str) -> None:
        write_json(node.folder(layout) / FINISHED, {"digest": digest})

    for node in nodes(one):
        if node.verb == "prepare" or (node.verb in ("train", "pairs") and node.seed == 0):
            finish(node, node.digest(one))
        if node.verb == "floor":
            finish(node, "another digest")
    text = describe(one, 2, layout)
    assert re.search(r"^  prepare +2 +2 kept$", text, re.MULTILINE)
    assert re.search(r"^  train +20 +10 kept +10 new$", text, re.MULTILINE)
    assert re.search(r"^  floor +2 +2 new$", text, re.MULTILINE)
    two_seeds_a_job = one.model_copy(
        update={"training": one.training.model_copy(update={"seeds_per_job": "all"})}
    )
    again = describe(two_seeds_a_job, 2, layout)
    assert re.search(r"^  train +10 +10 new$", again, re.MULTILINE), "half a job is to be done"


def test_cells_are_counted_and_the_refused_ones_named() -> None:
    plan = Plan(experiment())
    assert len(plan.cells("flow_matching")) == 2 * (3 + 3 + 1)
    assert len(plan.cells("consistency_training")) == 2 * 2
    text = describe(plan.experiment, cores=2)
    assert "flow_matching         10 cells  4 refused" in text
    assert "refused: rk4 at 1, 2 (it spends 4 evaluations an interval)" in text


def test_a_config_with_one_formulation_plans_one() -> None:
    one = experiment(formulations={"flow_matching": {}}, sweep={"solvers": ["euler"]})
    assert counts(one)["train"] == 2
    assert Plan(one).models == 6
    assert "rectified_flow" not in describe(one, cores=2)


def test_budgets_are_printed_by_stage() -> None:
    text = describe(experiment(), cores=2)
    assert (
        "digits     rectified_flow        pairs_2  pairs by heun2 at 16     3e+11   15.0%" in text
    )
    assert "budget of a model, all-in, in flops" in text


def test_training_seconds_follow_the_budget_and_the_seeds() -> None:
    def training(**changes: Any) -> float:
        one = experiment(extractor={"epochs": 1}, **changes)
        return Plan(one).seconds()["training"]

    def amount(factor: float) -> dict[str, Any]:
        return {"amount": {"digits": factor * 2.0e12, "mixture2d": factor * 1.0e11}}

    assert training(budget=amount(2)) == pytest.approx(2 * training(), rel=0.01)
    assert training(seeds=[0, 1, 2, 3, 4, 5]) == pytest.approx(2 * training(), rel=0.01)


def test_small_networks_train_at_fewer_operations_a_second() -> None:
    """An update has a price of its own, which a small network pays more often."""

    def training(width: int) -> float:
        network = {"options": {}, "network": {"width": width}}
        one = experiment(datasets={"digits": network}, budget={"amount": {"digits": 2.0e12}})
        return Plan(one).seconds()["training"]

    assert training(64) > 2 * training(512)


def test_drawing_is_priced_where_every_update_draws_new_samples() -> None:
    """Of the planned updates of all stages but those that read stored pairs."""
    batch, amount = 128, 1.0e11

    def training(train: int | str, **formulations: Any) -> float:
        one = experiment(
            datasets={"mixture2d": {"options": {"train": train}}},
            formulations=formulations,
            seeds=[0],
            budget={"amount": {"mixture2d": amount}},
            training={"batch_size": batch},
        )
        return Plan(one).seconds()["training"]

    forward = experiment().datasets["mixture2d"].network.forward_flops((2,))
    updates = amount / (3 * forward * batch)
    drawing = updates * batch * (SPEED.law + 2 * SPEED.law_number)
    more = training("unlimited", flow_matching={}) - training(1000, flow_matching={})
    assert more == pytest.approx(drawing)
    assert drawing > 0.01 * training(1000, flow_matching={})
    reflow = {"rectified_flow": {}}
    share = (training("unlimited", **reflow) - training(1000, **reflow)) / drawing
    stages = experiment().formulation("rectified_flow").stages
    assert share == pytest.approx(sum(stage.share for stage in stages[:1]))
    letters = experiment(
        datasets={"letters": {}}, formulations={"flow_matching": {}},
        budget={"amount": {"letters": amount}},
    )  # fmt: skip
    plain = Speed(rendering=0.0, rendered_number=0.0)
    assert Plan(letters).seconds()["training"] > Plan(letters, plain).seconds()["training"]


def test_units_of_one_training_cost_the_same() -> None:
    """A budget in FLOPs and the same one in network passes take equally long."""
    one = experiment()
    forward = {
        "digits": one.datasets["digits"].network.forward_flops((1, 8, 8)),
        "mixture2d": one.datasets["mixture2d"].network.forward_flops((2,)),
    }
    passes = {name: one.budget.amount[name] / forward[name] for name in forward}
    other = experiment(budget={"unit": "network_passes", "amount": passes})
    assert Plan(other).seconds()["training"] == pytest.approx(Plan(one).seconds()["training"])


def test_more_cores_shorten_all_but_what_runs_alone() -> None:
    plan = Plan(experiment())
    assert list(plan.seconds()) == list(KINDS)
    total = sum(plan.seconds().values()) / 60
    assert plan.minutes(1) == pytest.approx(total)
    spread = sum(sum(job.seconds.values()) / (1 if job.alone else job.count) for job in plan.jobs())
    assert plan.minutes(1000) == pytest.approx(spread / 60)
    assert plan.minutes(1000) < plan.minutes(2) < total


@pytest.mark.parametrize(("shape", "width", "depth"), [((2,), 128, 3), ((1, 8, 8), 256, 2)])
def test_forward_flops_are_those_of_the_network(
    shape: tuple[int, ...], width: int, depth: int
) -> None:
    network = ResidualMlp(shape, width=width, depth=depth)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(10, *shape), torch.zeros(10, 1))
    expected = Options(width=width, depth=depth).forward_flops(shape)
    assert counter.get_total_flops() / 10 == pytest.approx(expected, rel=0.01)


def test_rates_of_a_tuning_grid_share_a_line() -> None:
    text = describe(experiment(tuning={"learning_rates": [1e-4, 1e-3]}), cores=2)
    assert "6 labels x 1 seeds (100)" in text
    assert text.count("consistency_training@...") == 3


def test_a_plan_says_what_screening_costs_and_saves() -> None:
    sweep = {"solvers": ["euler", "rk4", "consistency"], "nfe": [4, 8], "screen": {"best": 1}}
    grids = {"grids": ["own", "quadratic_t", "uniform_log_snr"]}
    text = describe(experiment(sweep=sweep | grids), cores=2)
    assert "screening: the best 1 at each number of evaluations, and the common solver" in text
    assert "12 to screen" in text  # two solvers, three grids, two numbers of evaluations
    found = [
        re.search(rf"^  {words}: (?:at most )?([0-9,]+) core-seconds", text, re.MULTILINE)
        for words in ("expected", "with every combination scored")
    ]
    screened, every = (float(match[1].replace(",", "")) for match in found if match)
    assert 0 < screened < every
    one = describe(experiment(sweep=sweep, seeds=[3]), cores=2)
    assert "one seed: there are no others to choose by, its own screen decides" in one


def test_the_published_experiments_fit_their_time() -> None:
    default, smoke = Plan(load(CONFIGS / "default.yaml")), Plan(load(CONFIGS / "smoke.yaml"))
    assert smoke.minutes(2) <= 2
    assert default.minutes(2) <= 30
    seconds = default.seconds()
    assert seconds["training"] >= sum(seconds.values()) / 3


def test_a_plan_never_imports_torch() -> None:
    code = (
        "import sys; from bench.experiment.plan import describe; "
        "from bench.experiment.loading import load;"
        f"print(describe(load({str(CONFIGS / 'default.yaml')!r}), 2));"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "minutes on 2 cores" in done.stdout


def test_a_plan_composes_every_formulation_once(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[str] = []
    compose = Experiment._compose

    def count(one: Experiment, label: str) -> Any:
        composed.append(label)
        return compose(one, label)

    wide = load(CONFIGS / "formulations_tuning.yaml")
    monkeypatch.setattr(Experiment, "_compose", count)
    describe(wide, 2)
    assert len(composed) == len(wide.labels)


def test_a_copy_forgets_what_was_composed_from_other_sections() -> None:
    one = experiment()
    label = one.labels[0]
    assert one.formulation(label).conditional is None
    spec = one.formulations[label].model_copy(update={"conditional": Conditional()})
    changed = one.model_copy(update={"formulations": {label: spec}})
    assert changed.formulation(label).conditional == Conditional()
    assert one == experiment()
