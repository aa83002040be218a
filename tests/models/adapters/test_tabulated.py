"""A path through a table: its derivatives, its inverse, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import jvp

from bench.models.adapters import Tabulated
from bench.models.paths.vp import Vp


def vp_table(count: int = 200) -> Tensor:
    """log_snr of the VP path at equidistant times, its truncated end included."""
    return Vp().log_snr(torch.linspace(0, Vp().interval[1], count, dtype=torch.float64))


TIMES = torch.linspace(0, 1, 997, dtype=torch.float64)


def test_derivatives_are_those_of_autograd() -> None:
    path = Tabulated(vp_table())
    _, _, d_alpha, d_sigma = path.at(TIMES)
    for index, wanted in ((0, d_alpha), (1, d_sigma)):
        _, found = jvp(lambda t, i=index: path.at(t)[i], (TIMES,), (torch.ones_like(TIMES),))
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


def test_it_preserves_variance_rises_and_passes_its_points() -> None:
    table = vp_table()
    path = Tabulated(table)
    alpha, sigma, *_ = path.at(TIMES)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(TIMES))
    assert (path.log_snr(TIMES).diff() > 0).all()
    knots = torch.linspace(0, 1, len(table), dtype=torch.float64)
    torch.testing.assert_close(path.log_snr(knots), table, rtol=1e-10, atol=1e-10)


def test_it_rises_through_a_table_of_uneven_steps() -> None:
    steps = torch.tensor([1e-3, 2.0, 1e-3, 1e-3, 3.0, 0.5, 1e-4], dtype=torch.float64)
    path = Tabulated(steps.cumsum(0))
    assert (path.log_snr(TIMES).diff() > 0).all()


def test_times_come_back_from_log_snr() -> None:
    path = Tabulated(vp_table())
    torch.testing.assert_close(path.t_of_log_snr(path.log_snr(TIMES)), TIMES, rtol=0, atol=1e-9)
    beyond = torch.tensor([-100.0, 100.0], dtype=torch.float64)
    torch.testing.assert_close(path.t_of_log_snr(beyond), torch.tensor([0.0, 1.0]).double())


def test_half_precision_times_are_computed_in_float32() -> None:
    c = Tabulated(vp_table()).coefficients(torch.tensor([0.5], dtype=torch.bfloat16))
    assert c.alpha.dtype == torch.float32


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([1.0], "two points"),
        ([-torch.inf, 0.0, 1.0], "infinite"),
        ([0.0, 2.0, 1.0], "rise"),
        ([0.0, 1.0, 1.0], "rise"),
    ],
)
def test_tables_that_are_no_path_are_refused(table: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Tabulated(torch.tensor(table))
