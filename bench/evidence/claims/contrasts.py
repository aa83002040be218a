"""The comparisons that claims are made of: functions from records of a data set to a test.

Each factory returns a contrast for :class:`~bench.evidence.claims.declared.Part`; a ratio below 1
means that the first role has less of what is compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from scipy.special import ndtr, ndtri

from bench.evidence.claims.asked import BySeed, Evidence, Role
from bench.evidence.claims.rules import (
    NotTestedError,
    Test,
    censored_difference,
    difference,
    equality,
    jointly,
    opposite,
)
from bench.evidence.statistics import LEVEL, Crossing
from bench.evidence.statistics.comparisons import MARGIN

Contrast = Callable[[Evidence], Test]
Sampler = Literal["selected", "common"]

CONSISTENCY = "consistency"
"""Sampler of the models that claim 4 is about."""

SAME_POINT = 0.01
"""Largest distance at which end points are the same: RMSE over coordinates, data of order 1."""

STALLED = 0.9
"""An error that falls by less than to this fraction does not come from the solver's steps."""


def _logs(values: BySeed, references: BySeed) -> list[float]:
    """Log ratios of the seeds that both sides have."""
    return [
        math.log(values[seed] / references[seed]) for seed in sorted(set(values) & set(references))
    ]


def less_of(role: Role, reference: Role, metric: str) -> Contrast:
    """Whether ``role`` has less than ``reference`` of a metric that each model has once."""

    def contrast(evidence: Evidence) -> Test:
        first, second = evidence.matched(role, reference)
        return difference(
            _logs(evidence.of_model(first, metric), evidence.of_model(second, metric)), "less"
        )

    return contrast


def fewer_evaluations(role: Role, reference: Role, factor: float, sampler: Sampler) -> Contrast:
    """Whether ``role`` comes within ``factor`` of the best attainable in fewer evaluations."""

    def contrast(evidence: Evidence) -> Test:
        first, second = evidence.matched(role, reference)
        chosen = evidence.selected if sampler == "selected" else evidence.common
        bounds = evidence.evaluations_needed(first, chosen, factor)
        reference_bounds = evidence.evaluations_needed(second, chosen, factor)
        seeds = sorted(set(bounds) & set(reference_bounds))
        return censored_difference(
            [_log_ratio(bounds[s].least, reference_bounds[s].most) for s in seeds],
            [_log_ratio(bounds[s].most, reference_bounds[s].least) for s in seeds],
            "less",
            _resolution([crossings[s] for s in seeds for crossings in (bounds, reference_bounds)]),
        )

    return contrast


def _log_ratio(a: float, b: float) -> float:
    """Log of ``a/b`` for bounds: over infinity there is no lower bound, of it no upper one."""
    return -math.inf if math.isinf(b) else math.inf if math.isinf(a) else math.log(a / b)


def _resolution(crossings: list[Crossing]) -> float:
    """Standard deviation of the rounding of a log ratio of two whole numbers of evaluations.

    What is rounded up to N is spread evenly over ``log(N - 1) .. log N``, and so is not where N is
    1: fewer evaluations than one do not exist.
    """
    numbers = [int(c.most) if math.isfinite(c.most) else c.least for c in crossings]
    squares = [math.log(n / (n - 1)) ** 2 / 12 for n in numbers if n > 1]
    return math.sqrt(2 * sum(squares) / len(numbers)) if numbers else 0.0


def _sides(evidence: Evidence) -> tuple[list[str], list[str]]:
    """Consistency models, and all other models that were swept."""
    samplers = evidence.samplers()
    consistency_labels = sorted(label for label, name in samplers.items() if name == CONSISTENCY)
    if not consistency_labels:
        raise NotTestedError("no records of a consistency model")
    other_labels = sorted(set(samplers) - set(consistency_labels))
    if not other_labels:
        raise NotTestedError("no records of a model to compare with")
    return consistency_labels, other_labels


def ahead_at_one_evaluation(evidence: Evidence) -> Test:
    """The best consistency model against the best of the others, one evaluation each."""
    consistency_labels, other_labels = _sides(evidence)
    return difference(
        _logs(evidence.best_of(consistency_labels, 1), evidence.best_of(other_labels, 1)), "less"
    )


def cost_in_quality(evidence: Evidence) -> Test:
    """The best consistency model at one evaluation against the best of the others at the most."""
    consistency_labels, other_labels = _sides(evidence)
    best = evidence.best_of(other_labels, evidence.most_evaluations(other_labels))
    return difference(_logs(evidence.best_of(consistency_labels, 1), best), "greater")


def equal_quality(role: Role, reference: Role) -> Contrast:
    """Whether two models are equally good at the most evaluations, inside the margin."""

    def contrast(evidence: Evidence) -> Test:
        return equality(_quality_logs(evidence, role, reference), 0.0, math.log(MARGIN), "log")

    return contrast


def _quality_logs(evidence: Evidence, role: Role, reference: Role) -> list[float]:
    first, second = evidence.matched(role, reference)
    nfe = min(evidence.most_evaluations([label]) for label in (first, second))
    return _logs(evidence.quality(first, nfe), evidence.quality(second, nfe))


def explained_by(plain: Role, matched: Role, reference: Role) -> Contrast:
    """Whether ``plain`` differs from ``reference`` by more than the margin, ``matched`` by less.

    One margin for both: a small difference that is there without matching and still there with it
    has not been explained by it.
    """

    def contrast(evidence: Evidence) -> Test:
        apart, together = (
            equality(_quality_logs(evidence, role, reference), 0.0, math.log(MARGIN), "log")
            for role in (plain, matched)
        )
        return jointly(opposite(apart), together)

    return contrast


def same_end_points(evidence: Evidence) -> Test:
    """Whether the exact field ends in the same points on every path, up to the solver's error.

    All distances are to one fine solve, so those of two paths add up to a bound of the distance
    between them. There is one exact field, so the interval is that over samples. Paths differ only
    where an error stays that more evaluations do not lower.

    Raises:
        NotTestedError: the bound is above :data:`SAME_POINT`, and more evaluations still lower it
            on every path: that is the solver's error, and says nothing of the paths.
    """
    ends = evidence.exact_ends()
    finest = {path: by_nfe[max(by_nfe)] for path, by_nfe in ends.items()}
    (worst, worst_error), (next_one, next_error) = sorted(finest.values(), reverse=True)[:2]
    bound, error = worst + next_one, worst_error + next_error  # one noise: errors are not free
    half = float(ndtri(0.5 + LEVEL / 2)) * error
    stalled = [
        finest[path]
        for path, by_nfe in ends.items()
        if len(by_nfe) > 1 and finest[path][0] > STALLED * by_nfe[sorted(by_nfe)[-2]][0]
    ]
    if bound > SAME_POINT and not stalled:
        raise NotTestedError(
            f"the finest solves of the exact field leave {bound:.2g} between two paths, which more "
            "evaluations would still lower"
        )
    apart = min((_normal_tail(value - SAME_POINT, se) for value, se in stalled), default=1.0)
    together = _normal_tail(SAME_POINT - bound, error)
    supported = together <= apart
    return Test(
        estimate=bound,
        low=max(0.0, bound - half),
        high=bound + half,
        level=LEVEL,
        n=1,
        answer="supported" if supported else "refuted",
        p=together if supported else min(1.0, 2 * apart),
    )


def solved_finely(evidence: Evidence) -> float:
    """Most evaluations at which the exact field was followed on every path; 0 if it was not."""
    try:
        return min(max(by_nfe) for by_nfe in evidence.exact_ends().values())
    except NotTestedError:
        return 0.0


def _normal_tail(gap: float, error: float) -> float:
    """P-value of the one-sided test that a gap of known standard error is above 0."""
    return float(ndtr(-gap / error)) if error > 0 else float(gap <= 0)


def proportional_time(margin: float) -> Contrast:
    """Whether log seconds rise with log NFE at slope 1, over the seeds that were timed."""

    def contrast(evidence: Evidence) -> Test:
        return equality(list(evidence.slopes().values()), 1.0, margin, "linear")

    return contrast
