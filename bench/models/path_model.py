"""A network with its meaning: path and prediction turn its output into velocity, data or noise."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Self, cast

import torch
from torch import Tensor, nn

from bench.models.meter import watch
from bench.models.paths import Path, PathCoefficients
from bench.models.predictions import PREDICTIONS, Prediction, convert, gain, mixture
from bench.registry import module
from bench.streams import stream_seed
from bench.tensors import expand

LOG_SNR_CLIP = 15.0
"""The time embedding sees log_snr clipped to +-15; the linear path's ends are infinite."""

TIME_SPREAD = 2.0
"""Times are told from -1 to 1.

Spread wider, their features turn so fast that the derivative by time, which some objectives take,
is mostly error: mean flows on the 2-D mixture reach a W2 of 0.27 in one evaluation at a spread of
7.5, and of 0.17 at 2.
"""

TRUNCATION = 1e-3
"""Cut from an end of a path where a prediction does not carry both data and velocity."""

MOMENTS = 1024
"""Times, of those that whole batches share, whose coefficients a model keeps."""

Condition = Literal["log_snr", "time", "interval"]
CONDITIONS: dict[Condition, int] = {"log_snr": 1, "time": 1, "interval": 2}
"""How many numbers a network is told about time."""


class Moment(NamedTuple):
    """A time that a whole batch shares, in numbers: what the network is given, and what of it.

    Attributes:
        t: the time.
        scale: of the state, where it enters the network.
        told: the network's condition.
        of_output, of_x: the estimate is ``of_output*output + of_x*x``.
    """

    t: float
    scale: float
    told: tuple[float, ...]
    of_output: float
    of_x: float


class PathModel:
    """A network on a path.

    All formulations feed the network alike: ``c_in*x`` with
    ``c_in = 1/sqrt(alpha^2*sigma_data^2 + sigma^2)``, so that its input has unit variance at every
    time, and ``log_snr/4`` as its condition (EDM's ``-log(noise level)/2``). Formulations that
    differentiate by time, or leap over an interval, need a condition that is smooth in t up to the
    ends: t itself, and the length of the interval ahead, both from -1 to 1.

    Args:
        network: ``F(x [b, ...], condition [b, c], label [b] or None) -> [b, ...]``; watched by the
            budget from here on.
        path: gives the coefficients; its interval is cut by :data:`TRUNCATION` at an end where
            the prediction is singular, such as noise prediction where alpha = 0.
        prediction: name of what the output means, in ``bench.models.predictions.PREDICTIONS``.
        sigma_data: standard deviation of the training data.
        condition: ``log_snr``, ``time``, or ``interval`` for time and interval ahead.
    """

    def __init__(
        self,
        network: nn.Module,
        path: Path,
        prediction: str,
        sigma_data: float,
        condition: Condition = "log_snr",
    ) -> None:
        self.network = network
        self.prediction = PREDICTIONS[prediction]
        self.path = _regular(path, self.prediction, sigma_data)
        self.sigma_data = sigma_data
        self.condition = condition
        self.label: Tensor | None = None
        self.guidance = 1.0
        self._moment = lru_cache(MOMENTS)(self._compute_moment)
        watch(network)

    def given(self, label: Tensor | None, guidance: float = 1.0) -> Self:
        """The model of samples with classes ``label [b]``; None leaves the class open.

        With ``guidance`` w other than 1 every evaluation is ``F(null) + w*(F(label) - F(null))``
        (classifier-free guidance, Ho & Salimans, 2022, 2207.12598, with 1 + their weight) and
        counts two.
        """
        bound = copy.copy(self)
        bound.label, bound.guidance = label, guidance
        return bound

    def null(self, label: Tensor) -> Tensor:
        """The class that hides the class, for every one of ``label [b]``."""
        return torch.full_like(label, cast(int, self.network.classes))

    @property
    def evaluations(self) -> int:
        """Network evaluations that one evaluation of the model costs."""
        return 1 if self.label is None or self.guidance == 1.0 else 2

    def part(self, samples: slice) -> Self:
        """The model of some samples of the batch whose classes it was given."""
        return self.given(None if self.label is None else self.label[samples], self.guidance)

    def output(self, x: Tensor, c: PathCoefficients, ahead: Tensor | None = None) -> Tensor:
        """Raw output of the network at ``x [b, ...]``.

        Args:
            x: state.
            c: coefficients at the state's time: one for each sample, or one for all.
            ahead: length of the interval ahead, as many as coefficients; read by the condition
                ``interval`` only, for which None means none (the instantaneous velocity).
        """
        told = self._told(c, ahead).expand(len(x), -1)
        return self._evaluate(expand(self._scale(c), x) * x, told)

    def _scale(self, c: PathCoefficients) -> Tensor:
        """``c_in``; see the class."""
        return (c.alpha**2 * self.sigma_data**2 + c.sigma**2).rsqrt()

    def _evaluate(self, scaled: Tensor, condition: Tensor) -> Tensor:
        """The network at its own inputs, ``[b, ...]`` and ``[b, c]``; twice with guidance."""
        if self.evaluations == 1:
            output: Tensor = self.network(scaled, condition, self.label)
            return output
        assert self.label is not None
        null = self.null(self.label)
        outputs = self.network(
            torch.cat([scaled, scaled]),
            torch.cat([condition, condition]),
            torch.cat([self.label, null]),
        )
        wanted, open_class = outputs.chunk(2)
        guided: Tensor = open_class + self.guidance * (wanted - open_class)
        return guided

    def _told(self, c: PathCoefficients, ahead: Tensor | None) -> Tensor:
        if self.condition == "log_snr":
            return (c.log_snr.clamp(-LOG_SNR_CLIP, LOG_SNR_CLIP) / 4)[:, None]
        if c.t is None:
            raise ValueError(f"the condition {self.condition!r} needs coefficients with their time")
        told = [c.t] if self.condition == "time" else [c.t, torch.zeros_like(c.t)]
        if self.condition == "interval" and ahead is not None:
            told[1] = ahead
        return (torch.stack(told, dim=1) - 0.5) * TIME_SPREAD

    def predict(
        self, x: Tensor, c: PathCoefficients, wanted: str, ahead: Tensor | None = None
    ) -> Tensor:
        """The model's estimate of ``wanted`` (data, noise, velocity, v, score) at ``x``."""
        output = self.output(x, c, ahead)
        to = PREDICTIONS[wanted]
        if to is self.prediction:
            return output
        sd = self.sigma_data
        return convert(output, x, c, self.prediction(c, sd), to(c, sd))

    def gain(self, c: PathCoefficients) -> Tensor:
        """Derivative of the estimate of the data by the output, ``[b]``."""
        return gain(c, self.prediction(c, self.sigma_data))

    def _at(self, t: Tensor, x: Tensor) -> PathCoefficients:
        """Coefficients at ``t``, computed in its precision and rounded once, to that of ``x``."""
        c = self.path.coefficients(self.path.inside(t))
        return c.to(torch.promote_types(x.dtype, torch.float32))

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity of the probability flow at ``x [b, ...]``, ``t [b or 1]``."""
        return self._estimate(x, t, "velocity")

    def data(self, x: Tensor, t: Tensor) -> Tensor:
        """Estimate of the data at ``x [b, ...]``, ``t [b or 1]``."""
        return self._estimate(x, t, "data")

    def _estimate(self, x: Tensor, t: Tensor, wanted: str) -> Tensor:
        """The estimate of ``wanted``; a time of the whole batch costs two operations on ``x``."""
        if t.numel() > 1 or t.device.type != "cpu":
            return self.predict(x, self._at(t, x), wanted)
        moment = self._moment(t.item(), wanted)
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        output = self._output_at(x, moment)
        if moment.of_x == 0:
            return output if moment.of_output == 1 else moment.of_output * output
        return torch.add(moment.of_output * output, x, alpha=moment.of_x)

    def _output_at(self, x: Tensor, moment: Moment) -> Tensor:
        """Raw output of the network at a time of the whole batch."""
        columns = [x.new_full((len(x), 1), number) for number in moment.told]
        told = columns[0] if len(columns) == 1 else torch.cat(columns, dim=1)
        return self._evaluate(moment.scale * x, told)

    def _compute_moment(self, t: float, wanted: str) -> Moment:
        """In float64, on the host."""
        c = self.path.coefficients(self.path.inside(torch.tensor([t], dtype=torch.float64)))
        weights, to = self.prediction(c, self.sigma_data), PREDICTIONS[wanted]
        of_output, of_x = torch.ones(1), torch.zeros(1)
        if to is not self.prediction:
            of_output, of_x = mixture(c, weights, to(c, self.sigma_data))
        told = tuple(self._told(c, None)[0].tolist())
        return Moment(t, self._scale(c).item(), told, of_output.item(), of_x.item())

    def leap(self, x: Tensor, t: Tensor, ahead: Tensor) -> Tensor:
        """State at ``t + ahead`` from ``x [b, ...]`` at ``t [b or 1]``, with one evaluation.

        A model of the condition ``interval`` gives the average velocity over the interval; any
        other one keeps its estimate of the data and of the noise (DDIM, Song et al., 2020,
        2010.02502).
        """
        now = self._at(t, x)
        if self.condition == "interval":
            ahead = ahead.to(now.alpha.dtype)
            return x + expand(ahead, x) * self.predict(x, now, "velocity", ahead)
        then = self._at(t + ahead, x)
        keep = then.sigma / now.sigma
        estimate = self.predict(x, now, "data")
        return expand(keep, x) * x + expand(then.alpha - now.alpha * keep, x) * estimate


def _regular(path: Path, prediction: Prediction, sigma_data: float) -> Path:
    """The path, cut where the output does not give both data and velocity."""
    ends = torch.tensor(path.interval, dtype=torch.float64)
    c = path.coefficients(ends)
    weights = prediction(c, sigma_data)
    finite = torch.ones_like(ends, dtype=torch.bool)
    for wanted in ("data", "velocity"):
        to = PREDICTIONS[wanted]
        if to is not prediction:
            ones = torch.ones(2, dtype=torch.float64)
            finite &= convert(ones, ones, c, weights, to(c, sigma_data)).isfinite()
    start, end = path.interval
    return path.cut(
        start=None if finite[0] else start + TRUNCATION, end=None if finite[1] else end - TRUNCATION
    )


def build_network(
    kind: str,
    shape: Sequence[int],
    options: Mapping[str, Any],
    seed: int,
    *,
    conditions: int = 1,
    classes: int = 0,
) -> nn.Module:
    """A freshly initialised network ``bench.models.networks.<kind>`` for samples of ``shape``.

    torch initialises layers from its global stream; that stream is forked here and put back, so
    that the weights depend on ``seed`` alone and nothing else depends on having built a network.
    """
    built = module("networks", kind)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(seed, "initialisation"))
        network: nn.Module = built.build(shape, conditions=conditions, classes=classes, **options)
    return network
