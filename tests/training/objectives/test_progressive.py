"""Progressive distillation: one step of the student's target is two of the teacher's."""

from __future__ import annotations

import pytest
import torch

from bench.formulations.grammar import path
from bench.models.meter import counted
from bench.models.path_model import PathModel
from bench.streams import Draws
from bench.training.couplings import Pair
from bench.training.objectives.progressive import Progressive
from bench.training.time_sampling.uniform import Uniform
from bench.training.weightings.truncated_snr import TruncatedSnr
from bench.training.weightings.unit import Unit
from tests.training.objectives import gaussian

SIZE = 64


def objective(steps: int, teacher: PathModel) -> Progressive:
    built = Progressive(Uniform(), Unit(), steps)
    built.teacher = teacher
    return built


@pytest.mark.parametrize("steps", [1, 2, 8])
def test_one_step_with_the_target_arrives_where_two_of_the_teacher_do(steps: int) -> None:
    teacher = gaussian.v_model(path("trigonometric").build(), change=0.3)
    t = torch.arange(steps, dtype=torch.float64) / steps
    length = torch.full_like(t, 1 / steps)
    x = torch.randn(steps, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with counted():
        wanted = objective(steps, teacher).wanted(x, t, length, None)
        reached = teacher.leap(teacher.leap(x, t, length / 2), t + length / 2, length / 2)
    now, then = (teacher.path.coefficients(at) for at in (t, t + length))
    noise = (x - now.alpha[:, None] * wanted) / now.sigma[:, None]
    arrived = then.alpha[:, None] * wanted + then.sigma[:, None] * noise
    assert torch.allclose(arrived, reached, rtol=1e-9, atol=1e-12)


def test_the_last_student_is_asked_for_where_the_teacher_ends() -> None:
    teacher = gaussian.v_model(path("trigonometric").build(), change=0.3)
    zero, half = torch.zeros(4, dtype=torch.float64), torch.full((4,), 0.5, dtype=torch.float64)
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with counted():
        wanted = objective(1, teacher).wanted(x, zero, 2 * half, None)
        end = teacher.leap(teacher.leap(x, zero, half), half, half)
    assert torch.allclose(wanted, end)


def test_the_loss_is_weighted_as_an_error_of_the_data() -> None:
    trigonometric = path("trigonometric").build()
    student = gaussian.v_model(trigonometric)
    noise, data = torch.randn(2, SIZE, 2, generator=torch.Generator().manual_seed(3)).double()
    draws = Draws(0, 0, SIZE, torch.device("cpu"))
    weighted = Progressive(Uniform(), TruncatedSnr(), 4)
    weighted.teacher = gaussian.v_model(trigonometric, change=0.3)
    with counted():
        loss = weighted(student, Pair(noise, data), draws, 0.0)
        t = (draws("time").double() * 4).floor() / 4
        c = trigonometric.coefficients(t)
        x = c.alpha[:, None] * data + c.sigma[:, None] * noise
        wanted = weighted.wanted(x, t, torch.full_like(t, 0.25), None)
        error = (student.data(x, t) - wanted).square().mean(1)
    expected = (c.alpha / c.sigma).square().clamp(min=1) * error
    assert torch.allclose(loss, expected, rtol=1e-5)


def test_it_needs_a_teacher() -> None:
    student = gaussian.v_model(path("trigonometric").build())
    pair = Pair(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match="teacher"):
        Progressive(Uniform(), Unit(), 2)(student, pair, Draws(0, 0, 4, torch.device("cpu")), 0.0)


def test_a_student_needs_a_step() -> None:
    with pytest.raises(ValueError, match="steps"):
        Progressive(Uniform(), Unit(), 0)
