"""Preconditioning and the recipe of consistency models against the formulas of their papers.

No peer is needed: the formulas are written out as the papers print them. Conventions: the papers
index noise levels from 1 (smallest) to N and call the level ``t`` or ``sigma``; here the numbers of
intervals, N - 1, are counted. EDM tells its network ``ln(sigma)/4``, here it is told a quarter of
log_snr, which is ``-ln(sigma)/2``.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from bench.formulations.grammar import objective, time_sampling, weighting
from bench.formulations.grammar import path as declare
from bench.models.meter import counted
from bench.models.path_model import PathModel
from bench.models.paths import PathCoefficients
from bench.training.couplings import Pair
from bench.training.objectives.consistency import Consistency, pseudo_huber, rising_levels
from bench.training.weightings import Weighting

SIGMA_DATA = 0.5
LEVELS = torch.tensor([0.002, 0.0021, 0.05, 0.7, 4.0, 80.0], dtype=torch.float64)


class Network(nn.Module):
    """A smooth function of its input and of what it is told; it keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None) -> Tensor:
        self.x, self.condition = x, condition
        return torch.sin(3 * x) + torch.cos(condition)


def edm_scalings(s: Tensor) -> tuple[Tensor, Tensor]:
    """2206.00364, table 1."""
    skip = SIGMA_DATA**2 / (s**2 + SIGMA_DATA**2)
    return skip, s * SIGMA_DATA / (SIGMA_DATA**2 + s**2).sqrt()


def consistency_scalings(s: Tensor) -> tuple[Tensor, Tensor]:
    """2303.01469, appendix C, with epsilon = 0.002."""
    skip = SIGMA_DATA**2 / ((s - 0.002) ** 2 + SIGMA_DATA**2)
    return skip, SIGMA_DATA * (s - 0.002) / (SIGMA_DATA**2 + s**2).sqrt()


SCALINGS = {"edm": edm_scalings, "consistency": consistency_scalings}


def denoised(name: str, x: Tensor, s: Tensor) -> Tensor:
    """``c_skip*x + c_out*F(c_in*x, c_noise)`` with the network above; ``s`` is ``[b]``."""
    skip, out = SCALINGS[name](s)
    c_in = 1 / (s**2 + SIGMA_DATA**2).sqrt()
    output = Network()(c_in[:, None] * x, (-s.log() / 2)[:, None], None)
    return skip[:, None] * x + out[:, None] * output


@pytest.mark.parametrize("name", SCALINGS)
def test_the_preconditioned_denoiser(name: str) -> None:
    path = declare("edm").build()
    network = Network()
    model = PathModel(network, path, name, SIGMA_DATA)
    x = torch.randn(len(LEVELS), 3, generator=torch.Generator().manual_seed(0)).double()
    with counted():
        data = model.predict(x, path.at_level(LEVELS), "data")
    torch.testing.assert_close(data, denoised(name, x, LEVELS), rtol=1e-9, atol=1e-9)
    c_in = 1 / (LEVELS**2 + SIGMA_DATA**2).sqrt()
    torch.testing.assert_close(network.x, c_in[:, None] * x)
    torch.testing.assert_close(network.condition[:, 0], -2 * (LEVELS.log() / 4))


def improved(weighting: Weighting, first: int = 10, last: int = 1280) -> Consistency:
    """Consistency training by the recipe of 2310.14189."""
    built: Consistency = objective(
        "consistency", neighbour="pair", first_levels=first, last_levels=last
    ).build(
        time_sampling=time_sampling("lognormal", mean=-1.1, std=2.0).build(), weighting=weighting
    )
    return built


def test_the_number_of_levels_doubles_as_in_ict() -> None:
    """2310.14189, section 3.4: ``N(k) = min(s0*2^floor(k/K'), s1) + 1``."""
    s0, s1, total = 10, 1280, 8000
    period = total // (math.floor(math.log2(s1 / s0)) + 1)
    loss = improved(weighting("unit").build())
    for k in range(total):
        levels = min(s0 * 2 ** (k // period), s1) + 1
        assert loss.intervals(k / total) == levels - 1


@pytest.mark.parametrize("levels", [11, 161])
def test_levels_are_those_of_karras(levels: int) -> None:
    """``(eps^(1/7) + (i - 1)/(N - 1)*(T^(1/7) - eps^(1/7)))^7``, i = 1 .. N (2303.01469)."""
    i = torch.arange(1, levels + 1, dtype=torch.float64)
    low, high = 0.002 ** (1 / 7), 80.0 ** (1 / 7)
    expected = (low + (i - 1) / (levels - 1) * (high - low)) ** 7
    found = rising_levels(declare("edm").build(), levels - 1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("scale", [1e-5, 1e-3, 1.0])
def test_the_distance_is_pseudo_huber(scale: float) -> None:
    """2310.14189, section 3.3: ``sqrt(|x - y|^2 + c^2) - c``, ``c = 0.00054*sqrt(d)``."""
    x = scale * torch.randn(5, 1, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    c = 0.00054 * math.sqrt(12)
    expected = (x.square().sum((1, 2, 3)) + c**2).sqrt() - c
    torch.testing.assert_close(pseudo_huber(x, torch.zeros_like(x)), expected, rtol=1e-9, atol=0)


class Recorder:
    """A unit weighting that keeps the noise levels it was asked for."""

    def __call__(self, c: PathCoefficients, gain: Tensor, gap: Tensor | None = None) -> Tensor:
        self.far, self.gap = c.sigma, gap
        return torch.ones_like(gain)


def test_intervals_are_drawn_with_the_probabilities_of_ict() -> None:
    """2310.14189, section 3.5: ``p(sigma_i)`` by differences of erf, here counted over u."""
    count = 200_000
    u = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    recorder = Recorder()
    loss = improved(recorder)
    path = declare("edm").build()
    model = PathModel(Network(), path, "consistency", SIGMA_DATA)
    zero = torch.zeros(count, 1)
    with counted():
        loss(model, Pair(zero, zero), lambda purpose: u, 0.0)
    levels = rising_levels(path, 10)
    edges = torch.erf((levels.double().log() + 1.1) / (math.sqrt(2) * 2.0))
    expected = edges.diff() / edges.diff().sum()
    drawn = torch.searchsorted(levels, recorder.far)
    share = torch.bincount(drawn, minlength=11)[1:].double() / count
    torch.testing.assert_close(share, expected, rtol=0, atol=2e-5)
    assert recorder.gap is not None
    torch.testing.assert_close(recorder.gap, levels.diff()[drawn - 1])


@pytest.mark.parametrize("progress", [0.0, 0.99])
def test_the_loss_of_ict(progress: float) -> None:
    """``(sqrt(|f(x_far) - f(x_near)|^2 + c^2) - c)/(far - near)``, ``c = 0.00054*sqrt(d)``."""
    size, dimension = 40, 3
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(size, dimension, generator=generator, dtype=torch.float64)
    data = torch.randn(size, dimension, generator=generator, dtype=torch.float64)
    u = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    recorder = Recorder()
    path = declare("edm").build()
    model = PathModel(Network(), path, "consistency", SIGMA_DATA)
    ict = improved(weighting("inverse_gap").build())
    with counted():
        loss = ict(model, Pair(noise, data), lambda purpose: u, progress)
        improved(recorder)(model, Pair(noise, data), lambda purpose: u, progress)
    levels = rising_levels(path, ict.intervals(progress))
    near = levels[torch.searchsorted(levels, recorder.far) - 1].double()
    far = recorder.far.double()
    ends = [denoised("consistency", data + s[:, None] * noise, s) for s in (far, near)]
    c = 0.00054 * math.sqrt(dimension)
    distance = ((ends[0] - ends[1]).square().sum(1) + c**2).sqrt() - c
    torch.testing.assert_close(loss, distance / (far - near), rtol=1e-3, atol=1e-6)
