"""A model that was trained on one path, sampled on another."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor

from bench.models.paths import Path
from bench.sampling.sample import Flow
from bench.sampling.solvers import grids
from bench.tensors import expand, onto


def common_log_snr(paths: Iterable[Path]) -> tuple[float, float]:
    """The range of log_snr that all paths are used in, cut to what grids in log_snr span.

    Raises:
        ValueError: there is none.
    """
    low, high = -grids.LOG_SNR_LIMIT, grids.LOG_SNR_LIMIT
    for path in paths:
        start, end = path.log_snr(torch.tensor(path.interval, dtype=torch.float64)).tolist()
        low, high = max(low, start), min(high, end)
    if not low < high:
        raise ValueError("the paths have no log_snr in common")
    return low, high


def cut_to(path: Path, log_snr: tuple[float, float]) -> Path:
    """The path, used only where its log_snr lies in a range."""
    low, high = path.log_snr(torch.tensor(path.interval, dtype=torch.float64)).tolist()
    first, last = path.t_of_log_snr(torch.tensor(log_snr, dtype=torch.float64)).tolist()
    return path.cut(
        start=first if log_snr[0] > low else None, end=last if log_snr[1] < high else None
    )


def _beside(values: Tensor, x: Tensor) -> Tensor:
    """``values [b or 1]``, which may be of the host, as factors of ``x [b, ...]``."""
    return expand(onto(values.to(x.dtype), x.device), x)


class PathChange:
    """The probability flow of a model trained on one path, expressed on another.

    The change is that of Kingma & Gao, 2023, 2303.00848. At equal ``rho = alpha/sigma`` the two
    states differ by a factor: ``x_B = s*x_A``. With ``t = rho_A^-1(rho_B(r))``,
    ``u_B(x, r) = (ds/dr/s)*x + s*(dt/dr)*u_A(x/s, t)``. It holds for any coupling, because it only
    re-labels states and times. Solvers take it for a model on B: the start ``sigma_B*z`` is A's
    start, rescaled.

    Args:
        model: the model, on path A.
        path: path B.
        log_snr: range to which both are cut; by default the one that B shares with A.
    """

    def __init__(self, model: Flow, path: Path, log_snr: tuple[float, float] | None = None) -> None:
        ends = torch.tensor(model.path.interval, dtype=torch.float64)
        low, high = model.path.log_snr(ends).tolist()
        if log_snr is not None:
            low, high = max(low, log_snr[0]), min(high, log_snr[1])
        self.model = model
        self.path = cut_to(path, (low, high))

    @property
    def interval(self) -> tuple[float, float]:
        """Times of B whose log_snr lies in A's interval, and inside B's own."""
        return self.path.interval

    @property
    def evaluations(self) -> int:
        """Those of the model."""
        return self.model.evaluations

    def part(self, samples: slice) -> PathChange:
        """The same change of the model of some samples."""
        part = copy.copy(self)
        part.model = self.model.part(samples)
        return part

    def start(self, state: Tensor) -> Tensor:
        """State on B that corresponds to ``state`` of A at the start of :attr:`interval`."""
        first = torch.tensor([self.interval[0]], dtype=torch.float64)
        return float(self._scale(first)[0]) * state

    def data(self, x: Tensor, r: Tensor) -> Tensor:
        """Estimate of the data, which is the same on every path."""
        s, _, t, _ = self._scale(r.double())
        return self.model.data(x / _beside(s, x), t)

    def velocity(self, x: Tensor, r: Tensor) -> Tensor:
        """Velocity on B at ``x [b, ...]`` and B's time ``r [b or 1]``."""
        s, d_log_s, t, dt = self._scale(r.double())
        inner = self.model.velocity(x / _beside(s, x), t)
        return _beside(d_log_s, x) * x + _beside(s, x) * _beside(dt, x) * inner

    def _scale(self, r: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``s, d(log s)/dr, t, dt/dr`` at B's times ``r``, all in float64."""
        low, high = self.model.path.interval
        b = self.path.coefficients(r)
        t = self.model.path.t_of_log_snr(b.log_snr).clamp(low, high)
        a = self.model.path.coefficients(t)
        # Each half divides by the coefficient that is not small there.
        noisy = b.alpha < b.sigma
        s = torch.where(noisy, b.sigma / a.sigma, b.alpha / a.alpha)
        # d(rho)/dr over d(rho)/dt, with rho' = (alpha'*sigma - alpha*sigma')/sigma^2.
        dt = ((b.d_alpha * b.sigma - b.alpha * b.d_sigma) / b.sigma**2) / (
            (a.d_alpha * a.sigma - a.alpha * a.d_sigma) / a.sigma**2
        )
        d_log_s = torch.where(
            noisy,
            b.d_sigma / b.sigma - a.d_sigma * dt / a.sigma,
            b.d_alpha / b.alpha - a.d_alpha * dt / a.alpha,
        )
        return s, d_log_s, t, dt
