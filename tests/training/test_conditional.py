"""Class-conditional models: classes stay with their data, guidance counts two evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.data.dataset import DataSet
from bench.errors import InputError
from bench.experiment.cells import cells
from bench.experiment.layout import Layout
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.models.meter import counted
from bench.models.path_model import PathModel, build_network
from bench.models.paths.linear import Linear
from bench.sampling.banks import starting_labels
from bench.sampling.sample import Request, sample
from bench.sampling.solvers.catalogue import SOLVERS
from bench.stages.running.outcome import read_outcome
from bench.training.batches import FreshNoise
from bench.training.couplings import Pair
from tests.contracts.test_formulations import check_budget, run_all_stages
from tests.training.test_loop import trainer

CLASSES = 3


class ByClass(nn.Module):
    """A network whose output is its class, and that notes the classes it was told."""

    classes = CLASSES

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None) -> Tensor:
        assert label is not None
        self.seen.append(label)
        return label.to(x)[:, None].expand(x.shape)


def model() -> tuple[PathModel, ByClass]:
    network = ByClass()
    return PathModel(network, Linear(), "velocity", 1.0), network


def experiment(formulation: str, **conditional: Any) -> Experiment:
    return from_mapping(
        {
            "name": "classes",
            "datasets": {"mixture2d": {"network": {"width": 16, "depth": 1, "embedding": 8}}},
            "formulations": {formulation: {"conditional": conditional}},
            "seeds": [0],
            "budget": {"amount": {"mixture2d": 1.2e8}},
            "training": {"batch_size": 32, "learning_rate": 2.0e-3},
        },
        "classes.yaml",
    )


def test_guidance_extrapolates_from_the_open_class_and_counts_two() -> None:
    bound, network = model()
    label = torch.tensor([0, 1, 2, 1])
    x, t = torch.zeros(4, 2), torch.full((4,), 0.5)
    with counted() as passes:
        guided = bound.given(label, guidance=2.0).velocity(x, t)
    # null = 3: 3 + 2*(label - 3)
    torch.testing.assert_close(guided[:, 0], 2.0 * label - 3)
    assert passes.forwards == 8
    with counted() as passes:
        plain = bound.given(label).velocity(x, t)
    torch.testing.assert_close(plain[:, 0], label.float())
    assert passes.forwards == 4
    assert len(network.seen[0]) == 8


@pytest.mark.parametrize("solver", ["euler", "heun2", "ddim"])
def test_an_nfe_counts_guided_evaluations(solver: str) -> None:
    bound, _ = model()
    noise = torch.zeros(6, 2)
    guided = bound.given(torch.zeros(6, dtype=torch.long), guidance=1.5)
    assert sample(guided, noise, Request(SOLVERS[solver], 8), 4).nfe == 8


def test_cells_that_guidance_cannot_spend_are_refused() -> None:
    chosen = experiment("flow_matching", guidance=2.0)
    refused = {
        (cell.solver, cell.nfe)
        for cell in cells(chosen, chosen.formulation("flow_matching"))
        if cell.refused
    }
    assert ("euler", 1) in refused
    assert ("euler", 2) not in refused
    assert ("heun2", 2) in refused


def test_each_batch_of_a_sampling_has_its_own_classes() -> None:
    bound, network = model()
    label = torch.arange(5) % CLASSES
    end = sample(bound.given(label), torch.zeros(5, 2), Request(SOLVERS["euler"], 1), 2).end
    torch.testing.assert_close(end[:, 0], label.float())
    assert [len(seen) for seen in network.seen] == [2, 2, 1]


def test_classes_of_a_bank_follow_those_of_the_data() -> None:
    known = torch.tensor([0] * 30 + [2] * 10)
    drawn = starting_labels(0, "scoring", 4000, known)
    assert float((drawn == 2).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert torch.equal(starting_labels(0, "scoring", 100, known), drawn[:100])
    assert not torch.equal(starting_labels(1, "scoring", 4000, known), drawn)


def test_training_hides_some_classes_and_keeps_the_others_with_their_data() -> None:
    seen: list[tuple[Pair, Tensor]] = []

    def spy(model: PathModel, pair: Pair, draws: object, progress: float) -> Tensor:
        assert model.label is not None
        seen.append((pair, model.label))
        return model.output(pair.data, model.path.coefficients(torch.full((32,), 0.5))).mean(1)

    data = torch.arange(100.0)[:, None].expand(100, 2)
    label = torch.arange(100) % CLASSES
    options = {"width": 8, "depth": 1, "embedding": 4}
    network = build_network("residual_mlp", (2,), options, 0, classes=CLASSES)
    running = trainer(
        model=PathModel(network, Linear(), "velocity", 1.0),
        objective=spy,
        source=FreshNoise(data, 0, label),
        dropout=0.25,
    )
    running.rehearse(40)
    hidden = torch.cat([told == CLASSES for _, told in seen])
    assert float(hidden.float().mean()) == pytest.approx(0.25, abs=0.04)
    for pair, told in seen:
        assert pair.label is not None
        assert torch.equal(pair.label, pair.data[:, 0].long() % CLASSES)
        shown = told != CLASSES
        assert torch.equal(told[shown], pair.label[shown])


@pytest.mark.parametrize("name", ["flow_matching", "rectified_flow", "consistency_distillation"])
def test_a_conditional_formulation_trains_within_its_budget(
    name: str, small_data: DataSet, tmp_path: Path
) -> None:
    chosen = experiment(name, dropout=0.2)
    run_all_stages(chosen, Layout(tmp_path), small_data)
    for stage in chosen.formulation(name).stages:
        outcome = read_outcome(Layout(tmp_path).stage("mixture2d", name, 0, stage.name))
        assert outcome is not None
        assert outcome["status"] == "ok", outcome["error"]
    check_budget(chosen, Layout(tmp_path), small_data)


@pytest.mark.parametrize(
    ("conditional", "told"),
    [
        ({"guidanc": 2}, "did you mean 'guidance'?"),
        ({"dropout": 1.0}, "conditional.dropout"),
        ({"guidance": -1.0}, "conditional.guidance"),
    ],
)
def test_impossible_settings_are_refused(conditional: dict[str, float], told: str) -> None:
    with pytest.raises(InputError, match="conditional") as refused:
        experiment("flow_matching", **conditional)
    assert told in str(refused.value)
