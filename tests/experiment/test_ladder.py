"""A ladder of budgets: each label from scratch at every rung."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import InputError
from bench.experiment import digests
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment, rung, untuned
from bench.report.style import look_of


def experiment(**budget: Any) -> Experiment:
    mapping = {
        "name": "ladder",
        "datasets": {"mixture2d": {}},
        "formulations": {"flow_matching": {}, "rectified_flow": {}},
        "budget": {"amount": {"mixture2d": 8e10}, "split": {"rectified_flow": {"flow_1": 0.3}}}
        | budget,
        "training": {
            "learning_rate": {"mixture2d": {"flow_matching": 1e-3, "rectified_flow": 2e-3}}
        },
    }
    return from_mapping(mapping, "test")


def test_every_label_has_every_rung_with_its_share_of_the_amount() -> None:
    laddered = experiment(ladder=[0.25, 1, 4])
    assert laddered.labels == (
        "flow_matching@x0.25", "flow_matching@x1", "flow_matching@x4",
        "rectified_flow@x0.25", "rectified_flow@x1", "rectified_flow@x4",
    )  # fmt: skip
    for label in laddered.labels:
        amount = 8e10 * rung(label)
        assert laddered.amount("mixture2d", label) == amount
        stages = laddered.formulation(label).stages
        planned = [laddered.stage_budget("mixture2d", label, stage.name) for stage in stages]
        assert sum(planned) == pytest.approx(amount)
        if untuned(label) == "rectified_flow":
            assert planned[0] == pytest.approx(0.3 * amount)
        rate = {"flow_matching": 1e-3, "rectified_flow": 2e-3}[untuned(label)]
        assert laddered.learning_rate("mixture2d", label) == rate


def test_what_is_saved_loads_to_the_same_ladder() -> None:
    laddered = experiment(ladder=[0.25, 1])
    again = from_mapping(laddered.resolved(), "config.yaml")
    assert again.labels == laddered.labels
    assert again.digest == laddered.digest


def test_another_rung_computes_that_rung_alone() -> None:
    """And a rung of 1 trains what the label trains without a ladder."""

    def stages(one: Experiment) -> dict[tuple[str, str], str]:
        return {
            (label, stage.name): digests.stage_digest(one, "mixture2d", label, stage.name, 0)
            for label in one.labels
            for stage in one.formulation(label).stages
        }

    few, more = stages(experiment(ladder=[0.25, 1])), stages(experiment(ladder=[0.25, 1, 4]))
    assert few.items() <= more.items()
    assert len(set(more.values())) == len(more)
    plain = stages(experiment())
    assert {key: few[f"{key[0]}@x1", key[1]] for key in plain} == plain
    assert experiment().digest == experiment(ladder=[]).digest


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"ladder": [0.25, 0.25]}, "given twice"),
        ({"ladder": [0]}, "greater than 0"),
        ({"ladder": ["much"]}, "ladder"),
    ],
)
def test_a_ladder_that_is_none_is_refused(budget: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        experiment(**budget)


def test_rungs_of_a_label_can_be_told_apart_by_their_dashes() -> None:
    looks = [look_of(f"flow_matching@x{multiple}") for multiple in ("0.25", "0.5", "1")]
    assert len({look.colour for look in looks}) == 1
    assert len({look.dash for look in looks}) == 3
