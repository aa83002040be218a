"""Which cells an experiment has: on a model's own path, in the unified view, of the exact field."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import InputError
from bench.experiment import digests
from bench.experiment.cells import (
    EXACT,
    SCORING,
    UNIFIED,
    cells,
    compares_with_exact,
    evaluations_left,
    exact_flows,
    exact_label,
    has_oracle,
    unified_cells,
)
from bench.experiment.code import Code
from bench.experiment.definitions import Definition
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment

PATHS = ["linear", "vp", "cosine", "trigonometric", "edm"]


def experiment(**changes: Any) -> Experiment:
    mapping: dict[str, Any] = {
        "name": "trial",
        "datasets": {"mixture2d": {}, "digits": {}},
        "formulations": {
            "vp_diffusion": {}, "flow_matching": {}, "ot_flow_matching": {}, "rectified_flow": {},
            "consistency_training": {},
        },
        "seeds": [0],
        "budget": {"amount": {"mixture2d": 1e9, "digits": 1e9}},
    }  # fmt: skip
    return from_mapping(mapping | changes, "trial.yaml")


def test_without_a_view_there_is_none() -> None:
    one = experiment()
    assert one.unified_view is None
    assert unified_cells(one, one.formulation("vp_diffusion")) == ()
    assert EXACT not in [flow.label for flow in exact_flows(one)]


def test_a_view_samples_every_flow_on_every_path() -> None:
    one = experiment(unified_view={"nfe": [4, 16], "solvers": ["euler", "heun2"]})
    found = unified_cells(one, one.formulation("vp_diffusion"))
    assert len(found) == 2 * 2 * len(PATHS)
    assert [cell.path for cell in found[:5]] == PATHS
    assert {(cell.grid, cell.bank, cell.among) for cell in found} == {
        (UNIFIED, SCORING, tuple(PATHS))
    }
    assert unified_cells(one, one.formulation("consistency_training")) == ()


def test_a_model_is_sampled_on_its_own_path_too() -> None:
    one = experiment(unified_view={"paths": ["linear", "cosine"], "nfe": [4]})
    found = unified_cells(one, one.formulation("vp_diffusion"))
    assert [cell.path for cell in found] == ["linear", "cosine", "vp"]
    flow = next(flow for flow in exact_flows(one) if flow.label == EXACT)
    assert [cell.path for cell in flow.cells] == ["linear", "cosine"]


def test_guidance_refuses_an_odd_count_in_the_view() -> None:
    labels = {"guided": {"formulation": "flow_matching", "conditional": {"guidance": 2.0}}}
    one = experiment(
        formulations=labels, datasets={"digits": {}}, unified_view={"nfe": [3, 4]}
    )  # fmt: skip
    found = unified_cells(one, one.formulation("guided"))
    assert [cell.nfe for cell in found if cell.refused] == [3] * len(PATHS)
    assert not any(cell.refused for flow in exact_flows(one) for cell in flow.cells if cell.nfe == 3
                   and cell.solver == "euler")  # fmt: skip


def test_the_exact_field_runs_through_the_cells_of_each_path_once() -> None:
    one = experiment()
    flows = {flow.label: flow for flow in exact_flows(one)}
    assert list(flows) == ["exact.vp", "exact.linear"]
    model = [c for c in cells(one, one.formulation("flow_matching")) if c.bank == SCORING]
    assert list(flows["exact.linear"].cells) == model


def test_paths_that_differ_in_options_have_labels_of_their_own() -> None:
    labels = {
        "flow_matching": {},
        "noisy": {"formulation": "flow_matching", "options": {"sigma_min": 0.1}},
    }
    one = experiment(formulations=labels)
    assert len(exact_flows(one)) == 2
    final = one.formulation("noisy").final.path
    assert exact_label(final) == "exact.linear(sigma_min=0.1)"


def test_only_data_of_a_known_law_have_an_oracle() -> None:
    one = experiment()
    assert has_oracle(one, "mixture2d")
    assert not has_oracle(one, "digits")
    assert not has_oracle(experiment(formulations={"consistency_training": {}}), "mixture2d")


def test_only_independent_couplings_are_held_to_the_exact_field() -> None:
    one = experiment()
    assert [label for label in one.labels if compares_with_exact(one.formulation(label))] == [
        "vp_diffusion",
        "flow_matching",
    ]
    guided = {"guided": {"formulation": "flow_matching", "conditional": {"guidance": 2.0}}}
    one = experiment(formulations=guided, datasets={"digits": {}})
    assert not compares_with_exact(one.formulation("guided"))


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ({"paths": ["linaer"]}, "did you mean 'linear'"),
        ({"solvers": ["dopri5"]}, "write euler"),
        ({"solvers": ["consistency"]}, "write euler"),
        ({"nfe": []}, "unified_view.nfe"),
        ({"path": ["vp"]}, "did you mean 'paths'"),
    ],
)
def test_a_view_that_cannot_be_is_refused(view: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        experiment(unified_view=view)


def test_labels_of_the_exact_field_are_reserved() -> None:
    with pytest.raises(InputError, match="reserved for the exact field"):
        experiment(formulations={"exact.vp": {"formulation": "vp_diffusion"}})


def test_a_view_changes_no_digest_but_those_of_sweeps_and_oracle() -> None:
    without, with_view = experiment(), experiment(unified_view={})
    sweeps = [digests.sweep_digest(one, "mixture2d", "vp_diffusion", 0)
              for one in (without, with_view)]  # fmt: skip
    oracles = [digests.oracle_digest(one, "mixture2d") for one in (without, with_view)]
    assert sweeps[0] != sweeps[1]
    assert oracles[0] != oracles[1]
    for digest in (
        lambda one: digests.sweep_base(one, "mixture2d", "vp_diffusion", 0),
        lambda one: digests.timing_digest(one, "mixture2d"),
        lambda one: digests.stage_digest(one, "mixture2d", "vp_diffusion", "train", 0),
    ):
        assert digest(without) == digest(with_view)


def test_a_cell_on_a_path_depends_on_the_paths_that_share_its_range() -> None:
    few = experiment(unified_view={"paths": ["vp", "linear"], "nfe": [4]})
    more = experiment(unified_view={"paths": ["vp", "linear", "edm"], "nfe": [4]})
    keys = [
        [digests.cell_digest("base", cell.key()) for cell in unified_cells(one, one.formulation(n))]
        for one in (few, more)
        for n in ("flow_matching",)
    ]
    assert not set(keys[0]) & set(keys[1])


def test_an_edited_path_of_the_view_sweeps_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a model of another path, and the job as well as the cell."""
    one = experiment(unified_view={})
    (cell, *_) = unified_cells(one, one.formulation("vp_diffusion"))

    def all_digests() -> list[str]:
        return [
            digests.sweep_digest(one, "mixture2d", "vp_diffusion", 0),
            digests.oracle_digest(one, "mixture2d"),
            digests.cell_digest("base", cell.key()),
        ]

    before, honest = all_digests(), Code.digest

    def edited(self: Code, definition: Definition) -> str:
        return "edited" if "cosine" in definition.module else honest(self, definition)

    monkeypatch.setattr(Code, "digest", edited)
    assert not set(before) & set(all_digests())


def test_grids_are_crossed_with_the_solvers_that_run_on_them() -> None:
    swept = {"solvers": ["euler", "explicit_adams", "dopri5", "ddim", "ancestral", "consistency"]}
    one = experiment(sweep=swept | {"grids": ["own", "karras", "adapted", "searched"], "nfe": [8]})

    def grids(label: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for cell in cells(one, one.formulation(label)):
            if cell.bank == SCORING and cell.nfe in (8, 4):
                found.setdefault(cell.solver, []).append(cell.grid)
        return found

    assert grids("vp_diffusion") == {
        "euler": ["uniform_t", "karras", "adapted"],
        "explicit_adams": ["uniform_t"],
        "ddim": ["uniform_log_snr", "karras", "adapted"],
        "ancestral": ["uniform_log_snr", "karras"],
    }
    assert grids("consistency_training") == {"consistency": ["edm_levels", "karras", "searched"]}


def test_a_grid_that_is_a_solvers_own_is_run_once() -> None:
    one = experiment(sweep={"grids": ["own", "uniform_t"], "solvers": ["euler", "consistency"]})
    found = cells(one, one.formulation("flow_matching"))
    assert len(found) == len(set(found)) == 2 * len(one.sweep.nfe)


def test_adams_keeps_equal_steps_where_a_formulation_has_another_grid() -> None:
    one = experiment(
        formulations={"edm": {}}, sweep={"solvers": ["euler", "explicit_adams"], "nfe": [8]}
    )
    found = {cell.solver: cell.grid for cell in cells(one, one.formulation("edm"))}
    assert found == {"euler": "karras", "explicit_adams": "uniform_t"}


@pytest.mark.parametrize(
    ("label", "refused"),
    [("vp_diffusion", False), ("ot_flow_matching", True), ("rectified_flow", True)],
)
def test_a_solver_that_reads_a_score_is_refused_without_one(label: str, refused: bool) -> None:
    one = experiment(sweep={"solvers": ["ancestral", "euler", "consistency"]})
    found = [c for c in cells(one, one.formulation(label)) if c.solver == "ancestral"]
    assert found
    assert all((c.refused is not None) == refused for c in found)
    if refused:
        assert "needs a score" in str(found[0].refused)


def test_a_grid_that_no_solver_of_a_label_runs_on_is_refused() -> None:
    with pytest.raises(InputError, match=r"sweep\.grids: got \['searched'\]; add 'own'"):
        experiment(sweep={"grids": ["searched"]})


def test_what_is_left_is_said_in_evaluations() -> None:
    one = experiment(sweep={"solvers": ["midpoint", "dopri5", "consistency"], "nfe": [1, 4]})
    found = cells(one, one.formulation("flow_matching"))
    assert evaluations_left(found) == "8 evaluations a sample and 6 adaptive cells to go"


def test_the_exact_field_has_a_score_whatever_the_coupling() -> None:
    one = experiment(sweep={"solvers": ["ancestral", "euler", "consistency"]})
    flow = next(flow for flow in exact_flows(one) if flow.label == "exact.linear")
    stochastic = [cell for cell in flow.cells if cell.solver == "ancestral"]
    assert len(stochastic) == len(one.sweep.nfe)
    assert not any(cell.refused for cell in stochastic)


def test_where_samplers_are_screened_the_exact_field_keeps_to_their_own_grids() -> None:
    solvers = ["euler", "dpmpp_2m", "dopri5", "consistency"]
    grids = {"solvers": solvers, "grids": ["own", "uniform_log_snr"]}
    plain, screened = (experiment(sweep=grids | more) for more in ({}, {"screen": {}}))
    every, own = (
        {(cell.solver, cell.grid) for flow in exact_flows(one) for cell in flow.cells}
        for one in (plain, screened)
    )
    assert {name for name, grid in every - own} == {"euler"}
    assert {grid for name, grid in every - own} == {"uniform_log_snr"}
    assert own == {("euler", "uniform_t"), ("dpmpp_2m", "uniform_log_snr"), ("dopri5", "adaptive")}
