"""Every objective: a loss for each sample, of its own pair and draws, from metered forwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from bench.errors import BudgetError
from bench.formulations.grammar import Formulation, Train
from bench.models.meter import counted
from bench.models.path_model import CONDITIONS, PathModel, build_network
from bench.registry import discover
from bench.streams import Draws
from bench.training.batches import FreshNoise, PartDraws
from bench.training.couplings import Pair
from bench.training.couplings.independent import Independent
from bench.training.loop import Trainer
from bench.training.objectives import Objective
from tests.contracts.test_formulations import VARIANTS, declared
from tests.training.test_loop import trainer

BATCH, PARTS = 32, 4
OPTIONS = {"width": 8, "depth": 1, "embedding": 4}
SHAPE = (2,)
DATA = torch.randn(100, *SHAPE, generator=torch.Generator().manual_seed(0))
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """A stage that trains, of some formulation."""

    formulation: Formulation
    stage: Train

    @property
    def distils(self) -> bool:
        """Whether the stage reads a trained model, its teacher."""
        reads = self.stage.reads
        return reads is not None and self.formulation.stage(reads).kind == "train"

    def model(self, device: torch.device = CPU, seed: int = 0) -> PathModel:
        """A model of the stage, of weights that are nowhere zero."""
        stage = self.stage
        conditions = CONDITIONS[stage.condition]
        network = build_network("residual_mlp", SHAPE, OPTIONS, seed, conditions=conditions)
        generator = torch.Generator().manual_seed(seed)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3, generator=generator)
        network.to(device)
        return PathModel(network, stage.path.build(), stage.prediction, 1.0, stage.condition)

    def objective(self, device: torch.device = CPU, taught: bool = True) -> Objective:
        """The stage's objective, with a teacher where it has one."""
        built: Objective = self.stage.objective.build(
            time_sampling=self.stage.time_sampling.build(), weighting=self.stage.weighting.build()
        )
        if self.distils and taught:
            built.teacher = self.model(device, seed=1)
        return built


CASES: dict[str, Case] = {}
"""Stages whose training differs; the first formulation that has one names it."""

for label in VARIANTS:
    formulation = declared(label)
    for stage in (stage for stage in formulation.stages if isinstance(stage, Train)):
        factors = (stage.factors(), stage.condition, stage.reads is not None)
        told = [(case.stage.factors(), case.stage.condition, case.stage.reads is not None)
                for case in CASES.values()]  # fmt: skip
        if factors not in told:
            CASES[f"{label}-{stage.name}"] = Case(formulation, stage)

every = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
progresses = pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])


def batch(device: torch.device = CPU) -> Pair:
    return FreshNoise(DATA.to(device), 0).batch(3, BATCH)


def taken(pair: Pair, samples: slice | Tensor) -> Pair:
    return Pair(pair.noise[samples], pair.data[samples])


@dataclass(frozen=True)
class Picked(Draws):
    """The numbers of some samples of an update, those that the whole batch draws for them."""

    samples: Tensor

    def __call__(self, purpose: str) -> Tensor:
        return super().__call__(purpose)[self.samples]


def draws(device: torch.device = CPU) -> Draws:
    return Draws(0, 3, BATCH, device)


def moved_within_quarters() -> Tensor:
    """A permutation that leaves no sample where it was, and each in its quarter of the batch.

    An objective may treat shares of a batch apart, by place; no share is less than a quarter.
    """
    quarters = torch.arange(BATCH).reshape(4, -1)
    return quarters.roll(1, dims=1).flip(1).flatten()


def losses(
    objective: Objective, model: PathModel, pair: Pair, given: Draws, progress: float
) -> Tensor:
    with counted():
        return objective(model, pair, given, progress)


def check_shape(objective: Objective, model: PathModel, progress: float) -> None:
    """One finite number a sample, of the batch's device and precision, with a gradient."""
    pair = batch()
    loss = losses(objective, model, pair, draws(), progress)
    assert loss.shape == (BATCH,)
    assert (loss.dtype, loss.device) == (pair.data.dtype, pair.data.device)
    assert loss.isfinite().all()
    assert loss.requires_grad


def check_own_pair(objective: Objective, model: PathModel) -> None:
    """Another pair in one place changes the loss there, and, uncoupled, nowhere else."""
    pair = batch()
    before = losses(objective, model, pair, draws(), 0.5)
    for place in (0, BATCH - 1):
        data, noise = pair.data.clone(), pair.noise.clone()
        data[place] += 1.0
        noise[place] -= 0.5
        after = losses(objective, model, Pair(noise, data), draws(), 0.5)
        assert after[place] != before[place]
        if not objective.couples_samples:
            elsewhere = torch.arange(BATCH) != place
            torch.testing.assert_close(after[elsewhere], before[elsewhere])


def check_order(objective: Objective, model: PathModel) -> None:
    """A permutation of the samples, with their draws, permutes their losses."""
    pair, places = batch(), moved_within_quarters()
    loss = losses(objective, model, pair, draws(), 0.5)
    moved = losses(
        objective, model, taken(pair, places), Picked(0, 3, BATCH, CPU, places), progress=0.5
    )
    torch.testing.assert_close(moved, loss[places], rtol=1e-4, atol=1e-6)


def parts() -> list[tuple[slice, Draws]]:
    """The parts that the training loop takes, with their draws."""
    slices = [slice(first, None, PARTS) for first in range(PARTS)]
    return [(part, PartDraws(0, 3, BATCH, CPU, part)) for part in slices]


def check_parts(objective: Objective, model: PathModel) -> None:
    """Parts of a batch have the losses of the whole one, and gradients that add up to its own."""
    pair = batch()
    loss = losses(objective, model, pair, draws(), 0.5)
    weights = list(model.network.parameters())
    whole = torch.autograd.grad(loss.sum(), weights, allow_unused=True)
    added: list[Tensor | None] = [None] * len(weights)
    for part, given in parts():
        some = losses(objective, model, taken(pair, part), given, 0.5)
        torch.testing.assert_close(some, loss[part], rtol=1e-4, atol=1e-6)
        gradients = torch.autograd.grad(some.sum(), weights, allow_unused=True)
        added = [
            mine if sum_ is None else sum_ if mine is None else sum_ + mine
            for sum_, mine in zip(added, gradients, strict=True)
        ]
    torch.testing.assert_close(added, list(whole), rtol=1e-3, atol=1e-4)


def test_every_objective_has_a_formulation_that_uses_it() -> None:
    used = {case.stage.objective.name for case in CASES.values() if case.stage.objective}
    assert used == set(discover("objectives"))


@every
@progresses
def test_a_loss_for_each_sample(case: Case, progress: float) -> None:
    check_shape(case.objective(), case.model(), progress)


@every
def test_the_loss_lies_where_the_batch_does(case: Case) -> None:
    """Tensors on ``meta`` hold no numbers: one that was made elsewhere raises."""
    meta = torch.device("meta")
    loss = losses(case.objective(meta), case.model(meta), batch(meta), draws(meta), 0.5)
    assert (loss.device.type, loss.shape) == ("meta", (BATCH,))


@every
def test_a_loss_in_double_precision(case: Case) -> None:
    objective, model = case.objective(), case.model()
    for used in (model, objective.teacher):
        if used is not None:
            used.network.double()
    pair = batch()
    loss = losses(objective, model, Pair(pair.noise.double(), pair.data.double()), draws(), 0.5)
    assert loss.dtype == torch.float64
    torch.testing.assert_close(
        loss.float(),
        losses(case.objective(), case.model(), pair, draws(), 0.5),
        rtol=1e-2,
        atol=1e-4,
    )


@every
def test_a_loss_is_of_its_own_pair(case: Case) -> None:
    check_own_pair(case.objective(), case.model())


@every
def test_samples_in_another_order_have_the_same_losses(case: Case) -> None:
    check_order(case.objective(), case.model())


@every
def test_parts_of_a_batch_add_up_to_the_whole(case: Case) -> None:
    objective = case.objective()
    if objective.couples_samples:
        pytest.skip("such a batch is never cut")
    check_parts(objective, case.model())


@every
def test_only_the_pair_and_the_draws_decide(case: Case) -> None:
    objective, model = case.objective(), case.model()
    found = []
    for _ in range(2):
        torch.default_generator.seed()
        found.append(losses(objective, model, batch(), draws(), 0.5))
    assert torch.equal(found[0], found[1])


@every
def test_the_batch_itself_is_left_alone(case: Case) -> None:
    pair = batch()
    losses(case.objective(), case.model(), pair, draws(), 0.5)
    assert torch.equal(pair.noise, batch().noise)
    assert torch.equal(pair.data, batch().data)


@every
def test_a_forward_that_nobody_counts_is_refused(case: Case) -> None:
    with pytest.raises(BudgetError, match="outside a metered region"):
        case.objective()(case.model(), batch(), draws(), 0.5)


WITHOUT = ("continuous_consistency",)
"""Objectives that are another, published one without the teacher that a stage may give them."""

distilling = {name: case for name, case in CASES.items() if case.distils}


@pytest.mark.parametrize("case", distilling.values(), ids=distilling)
def test_a_stage_that_distils_needs_its_teacher(case: Case) -> None:
    alone = case.objective(taught=False)
    assert alone.teacher is None
    assert case.stage.objective is not None
    if case.stage.objective.name in WITHOUT:
        taught = losses(case.objective(), case.model(), batch(), draws(), 0.5)
        assert not torch.equal(losses(alone, case.model(), batch(), draws(), 0.5), taught)
    else:
        with pytest.raises(ValueError, match="needs a stage that reads a trained teacher"):
            losses(alone, case.model(), batch(), draws(), 0.5)


@pytest.mark.parametrize("case", distilling.values(), ids=distilling)
def test_a_teacher_gets_no_gradient(case: Case) -> None:
    objective = case.objective()
    losses(objective, case.model(), batch(), draws(), 0.5).sum().backward()
    assert objective.teacher is not None
    assert all(weight.grad is None for weight in objective.teacher.network.parameters())


# --- what the training loop makes of it -----------------------------------------------------------


class Wrapped:
    """An objective that makes something else of the losses of another."""

    def __init__(self, change: Callable[[Tensor], Tensor], couples_samples: bool = False) -> None:
        self.inner = trainer().objective
        self.change = change
        self.couples_samples = couples_samples
        self.teacher: PathModel | None = None

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        return self.change(self.inner(model, pair, draws, progress))


@pytest.mark.parametrize(
    ("change", "shape"),
    [
        (torch.mean, r"\[\]"),
        (lambda loss: loss[:, None], r"\[32, 1\]"),
        (lambda loss: loss[1:], r"\[31\]"),
    ],
    ids=["mean", "column", "short"],
)
def test_the_loop_refuses_a_loss_that_is_not_one_number_a_sample(
    change: Callable[[Tensor], Tensor], shape: str
) -> None:
    message = rf"^the objective Wrapped returned a loss of shape {shape} for 32 samples; .*\[32\]"
    with pytest.raises(ValueError, match=message) as caught:
        trainer(objective=Wrapped(change)).run(3.0e4, "network_passes")
    assert "\n" not in str(caught.value)


def too_large(loss: Tensor) -> Tensor:
    """A device that holds the graph of so many samples."""
    if len(loss) > BATCH // 2:
        raise torch.OutOfMemoryError("out of memory\nwith advice in many lines")
    return loss


def test_a_batch_whose_samples_are_coupled_is_never_cut() -> None:
    coupled: Trainer = trainer(objective=Wrapped(too_large, couples_samples=True))
    with pytest.raises(BudgetError, match=r"Wrapped couples its samples.*lower") as caught:
        coupled.probe()
    assert "\n" not in str(caught.value)
    assert coupled.parts == 1
    free: Trainer = trainer(objective=Wrapped(too_large), coupling=Independent())
    free.probe()
    assert free.parts == 2
