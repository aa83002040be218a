"""What the seeds of a run can see, and what screening samplers saved."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.costs import evaluations_of_screen
from bench.report.numbers import plain, scaled
from bench.report.study import Panel, Study
from bench.report.tables.variance import MANY, against_goal, resolved_ratio


def resolution(study: Study, panel: Panel) -> Iterator[str]:
    """The smallest ratio between two formulations that the seeds see, against the goal."""
    ratio = resolved_ratio(study, panel)
    if ratio is not None:
        yield (
            f"The smallest ratio that {study.expected(panel)} seeds see with a probability of 80%, "
            f"at {MANY} or more evaluations: {against_goal(ratio)}."
        )


def screened(study: Study, panel: Panel) -> Iterator[str]:
    """Evaluations that choosing samplers took, against scoring every combination."""
    taken = evaluations_of_screen(study, panel)
    if taken is None:
        return
    screening, scoring, every = taken
    spent = screening + scoring
    text = (
        f"Screening every solver and grid took {scaled(screening)} evaluations of the network on a "
        f"sample and scoring the best {scaled(scoring)}; scoring every one would have taken "
        f"{scaled(every)}"
    )
    if spent > 0:
        text += f", {plain(every / spent)} times as many"
    yield f"{text}."
