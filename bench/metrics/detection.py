"""With which probability a metric finds a planted fault: its power, and at how many samples.

Each metric is a test of whether samples are of the exact law. Its threshold is a quantile of its
own values on samples that are (:data:`ALPHA`; two-sided where the best value is that of real data):
some of these draws set it, and the share of others beyond it is the size of the test.
A pair of metrics finds what one of the two finds, each with half the error allowed (Bonferroni).

Every draw has a stream of its own, keyed by study, data set, fault and number; all numbers of
samples are prefixes of one draw. Metrics are those of :mod:`bench.metrics.measures`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bench.data.mixture import GaussianMixture
from bench.metrics.declared import metric_module
from bench.metrics.law import KernelMeans, Located, entropy, located, mode_width
from bench.metrics.measures import (
    c2st,
    energy,
    mode_chi2,
    off_mode,
    sliced_wasserstein,
    wasserstein,
)
from bench.metrics.measures.mmd import Discrepancy
from bench.metrics.planted import FAULTS, Draw, none
from bench.streams import stream

Values = NDArray[np.float64]

ALPHA: Final = 0.05
SIZES: Final = (597, 1194, 2388, 4776)
REPETITIONS: Final = 100
NONE: Final = "none"
"""The name of no fault."""

MANY: Final = 4776
"""Most samples of what costs most: kernels, and training a classifier."""

FEW: Final = 597
"""Most samples of an exact assignment, whose seconds grow with the cube."""


class Judge:
    """A law and what metrics derive from it, each once and only where it is asked for."""

    def __init__(self, law: GaussianMixture) -> None:
        self.law = law

    @cached_property
    def entropy(self) -> float:
        """Of the law."""
        return entropy(self.law)

    @cached_property
    def off_modes(self) -> float:
        """The law's own share off the modes."""
        return off_mode.expected_share(self.law)

    @cached_property
    def narrow(self) -> KernelMeans:
        """The kernel of ``mmd_modes``."""
        return KernelMeans(self.law, [mode_width(self.law)])

    @cached_property
    def wide(self) -> KernelMeans:
        """The kernel of ``mmd``."""
        return KernelMeans(self.law, [Discrepancy(self.law).squared_width ** 0.5])


@dataclass(frozen=True)
class Samples:
    """One draw: samples to be judged, and as many of the law itself.

    Attributes:
        judge: the law.
        x: ``[n, d]``.
        real: ``[n, d]``.
        counts: numbers of the first samples that are judged.
    """

    judge: Judge
    x: Tensor
    real: Tensor
    counts: Sequence[int]

    def first(self, most: int | None) -> Samples:
        """Those of the numbers that are no more than ``most``; None for all of them."""
        counts = [m for m in self.counts if most is None or m <= most]
        if len(counts) == len(self.counts):
            return self
        last = max(counts, default=0)
        return Samples(self.judge, self.x[:last], self.real[:last], counts)

    @cached_property
    def located(self) -> Located:
        """Where the samples lie."""
        return located(self.judge.law, self.x)

    def means(self, values: Tensor) -> list[float]:
        """Of the first values ``[n]``, for each number of samples."""
        sums = values.double().cumsum(0)
        return [sums[m - 1].item() / m for m in self.counts]

    def distances(self, distance: Callable[[Tensor, Tensor], float]) -> list[float]:
        """To as many real samples, for each number of them."""
        return [distance(self.x[:m], self.real[:m]) for m in self.counts]


def _roots(squares: Sequence[float]) -> list[float]:
    return [max(square, 0.0) ** 0.5 for square in squares]


def _mmd_modes(samples: Samples) -> list[float]:
    return _roots(samples.judge.narrow.squares(samples.x, samples.counts))


def _mmd(samples: Samples) -> list[float]:
    return _roots(samples.judge.wide.squares(samples.x, samples.counts))


def _excess_nll(samples: Samples) -> list[float]:
    return [mean - samples.judge.entropy for mean in samples.means(-samples.located.log_density)]


def _off_mode_excess(samples: Samples) -> list[float]:
    off = off_mode.off_modes(samples.judge.law, samples.located.squared)
    return [mean - samples.judge.off_modes for mean in samples.means(off)]


def _mode_chi2(samples: Samples) -> list[float]:
    law, sums = samples.judge.law, samples.located.shares.cumsum(0)
    return [mode_chi2.of_occupancy(law, sums[m - 1] / m) for m in samples.counts]


def _c2st(samples: Samples) -> list[float]:
    law = samples.judge.law
    sample_features = c2st.features(law, samples.x, samples.located)
    real = c2st.features(law, samples.real)
    return [c2st.accuracy(sample_features[:m], real[:m]) for m in samples.counts]


def _w2(samples: Samples) -> list[float]:
    return samples.distances(wasserstein.distance)


def _sliced_w2(samples: Samples) -> list[float]:
    return samples.distances(sliced_wasserstein.distance)


def _energy_distance(samples: Samples) -> list[float]:
    return samples.distances(energy.distance)


@dataclass(frozen=True)
class Detector:
    """A metric as a test.

    Attributes:
        file: the metric's file in ``bench/metrics/measures``.
        values: one value for each number of samples.
        most: most samples that it is tried with; None for any number.
    """

    file: str
    values: Callable[[Samples], list[float]]
    most: int | None = None


DETECTORS: Final[dict[str, Detector]] = {
    "mmd_modes": Detector("mmd_modes", _mmd_modes, MANY),
    "excess_nll": Detector("excess_nll", _excess_nll),
    "mode_chi2": Detector("mode_chi2", _mode_chi2),
    "off_mode_excess": Detector("off_mode", _off_mode_excess),
    "c2st": Detector("c2st", _c2st, MANY),
    "mmd": Detector("mmd", _mmd, MANY),
    "w2": Detector("wasserstein", _w2, FEW),
    "sliced_w2": Detector("sliced_wasserstein", _sliced_w2),
    "energy_distance": Detector("energy", _energy_distance, MANY),
}
"""Every metric that is tried, by name."""

PAIRED: Final = ("mmd_modes", "excess_nll", "mode_chi2", "c2st")
"""Metrics that are tried in pairs too."""


def applying(kind: str, among: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of the metrics that apply to a kind of data, or those of them that are asked for."""
    return tuple(
        name
        for name, detector in DETECTORS.items()
        if kind in metric_module(detector.file).NEEDS.kinds and (among is None or name in among)
    )


def values(
    judge: Judge,
    draw: Draw,
    names: Sequence[str],
    counts: Sequence[int],
    repetitions: int,
    *key: int | str,
) -> dict[str, Values]:
    """Values of metrics on repeated draws, ``[repetitions, counts]`` each, NaN where not tried.

    Args:
        judge: the law.
        draw: how samples are drawn.
        names: metrics.
        counts: numbers of samples, the largest last.
        repetitions: draws.
        key: of the streams.
    """
    by_metric = {name: np.full((repetitions, len(counts)), np.nan) for name in names}
    for index in range(repetitions):
        x = draw(judge.law, counts[-1], stream(*key, index))
        real = judge.law.sample(counts[-1], stream(*key, index, "real"))
        whole = Samples(judge, x, real, counts)
        for name in names:
            seen = whole.first(DETECTORS[name].most)
            if seen.counts:
                by_metric[name][index, : len(seen.counts)] = DETECTORS[name].values(seen)
    return by_metric


def surprise(null: Values, seen: Values, *, two_sided: bool) -> Values:
    """P value of each of ``seen [m]`` among ``null [n]`` values of exact samples, ``[m]``.

    ``(1 + number at least as far out) / (n + 1)``, twice the smaller of both sides where two-sided.
    """
    above = (1 + (null[None] >= seen[:, None]).sum(axis=1)) / (len(null) + 1)
    if not two_sided:
        return np.asarray(above, dtype=float)
    below = (1 + (null[None] <= seen[:, None]).sum(axis=1)) / (len(null) + 1)
    return np.minimum(1.0, 2 * np.minimum(above, below))


def study(
    law: GaussianMixture,
    kind: str,
    *,
    counts: Sequence[int] = SIZES,
    repetitions: int = REPETITIONS,
    among: Sequence[str] | None = None,
    faults: Mapping[str, Draw] = FAULTS,
    key: Sequence[int | str] = ("power", 0),
    advance: Callable[[str], None] = lambda fault: None,
) -> list[dict[str, Any]]:
    """The power of every metric and pair, against every fault, at every number of samples.

    Args:
        law: of the data.
        kind: of the data set, which says what metrics apply.
        counts: numbers of samples, rising.
        repetitions: draws for each fault; twice as many of exact samples set thresholds, and
            as many others give sizes.
        among: metrics to try, or None for all.
        faults: what is planted, by name.
        key: of the streams.
        advance: called with the name of a fault that is done.

    Returns:
        Rows with ``metric``, ``samples``, ``fault``, ``power``, ``size`` and ``repetitions``.
    """
    judge, names = Judge(law), applying(kind, among)
    drawn: dict[str, dict[str, Values]] = {}
    for fault, draw in {NONE: none, "exact": none, **faults}.items():
        draws = 2 * repetitions if fault == NONE else repetitions
        drawn[fault] = values(judge, draw, names, counts, draws, *key, fault)
        advance(fault)
    rows = []
    for metrics in (*((name,) for name in names), *_pairs(names)):
        for place, count in enumerate(counts):
            powers = {
                fault: _found(metrics, drawn[NONE], seen, place)
                for fault, seen in drawn.items()
                if fault != NONE
            }
            if powers["exact"] is None:
                continue
            for fault in faults:
                rows.append(
                    {
                        "metric": "+".join(metrics),
                        "samples": count,
                        "fault": fault,
                        "power": powers[fault],
                        "size": powers["exact"],
                        "repetitions": repetitions,
                    }
                )
    return rows


def _pairs(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return combinations([name for name in PAIRED if name in names], 2)


def _found(
    metrics: Sequence[str], null: dict[str, Values], seen: dict[str, Values], place: int
) -> float | None:
    """Share of draws that one of the metrics finds; None where one was not tried."""
    least: Values | None = None
    for name in metrics:
        exact, seen_values = null[name][:, place], seen[name][:, place]
        if np.isnan(exact).any():
            return None
        file = metric_module(DETECTORS[name].file)
        p = surprise(exact, seen_values, two_sided=file.DIRECTIONS[name] is None)
        least = p if least is None else np.minimum(least, p)
    assert least is not None
    return float((least <= ALPHA / len(metrics)).mean())
