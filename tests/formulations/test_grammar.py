"""A stage says what it is made of when it is declared, and a formulation what its stages are."""

from __future__ import annotations

from typing import Any

import pytest

from bench.formulations.grammar import (
    Formulation,
    Pairs,
    Stage,
    Train,
    coupling,
    foreign,
    objective,
    path,
    time_sampling,
    weighting,
)

LINEAR: dict[str, Any] = {"share": 0.5, "path": path("linear")}
PARTS: dict[str, Any] = {
    "coupling": coupling("independent"),
    "objective": objective("regression"),
    "time_sampling": time_sampling("uniform"),
    "weighting": weighting("unit"),
}


def train(name: str, **more: Any) -> Train:
    return Train(name=name, **LINEAR, **PARTS, **more)


def pairs(name: str, reads: str) -> Pairs:
    return Pairs(name=name, **LINEAR, reads=reads, solver="euler", nfe=4)


@pytest.mark.parametrize("left_out", PARTS)
def test_a_training_without_one_of_its_parts_is_none(left_out: str) -> None:
    given = {name: part for name, part in PARTS.items() if name != left_out}
    with pytest.raises(TypeError, match=left_out):
        Train(name="train", **LINEAR, **given)


@pytest.mark.parametrize("left_out", ["reads", "solver", "nfe"])
def test_pairs_without_what_makes_them_are_none(left_out: str) -> None:
    given: dict[str, Any] = {"reads": "flow_1", "solver": "euler", "nfe": 4}
    del given[left_out]
    with pytest.raises(TypeError, match=left_out):
        Pairs(name="pairs", **LINEAR, **given)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([train("flow"), pairs("pairs", "flow")], "the last stage, 'pairs', leaves no model"),
        ([train("flow", init_from="later"), train("later")], "reads 'later', not an earlier"),
        ([train("flow", reads="later"), train("later")], "reads 'later', not an earlier"),
        ([pairs("pairs", "flow"), train("flow")], "reads 'flow', not an earlier"),
        (
            [train("flow"), pairs("one", "flow"), pairs("two", "one"), train("end")],
            "pairs of 'one', which trains nothing",
        ),
    ],
)
def test_stages_that_make_no_formulation_are_refused(stages: list[Stage], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Formulation(stages=tuple(stages), sampler="ode", reference="")


def test_a_stage_is_had_as_what_it_is() -> None:
    stages = (train("flow"), pairs("pairs", "flow"), train("end", reads="pairs", init_from="flow"))
    formulation = Formulation(stages=stages, sampler="ode", reference="")
    assert formulation.training("flow") is stages[0]
    assert formulation.pairing("pairs") is stages[1]
    assert formulation.final.upstream == ("flow", "pairs")
    with pytest.raises(ValueError, match="'pairs' trains nothing"):
        formulation.training("pairs")
    with pytest.raises(ValueError, match="'flow' makes no pairs"):
        formulation.pairing("flow")
    theirs = foreign(path("linear"), "data", coupling("independent"), 1)
    assert theirs.final.factors() == {
        "path": "linear",
        "prediction": "data",
        "coupling": "independent",
    }
