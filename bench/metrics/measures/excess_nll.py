"""Excess negative log density of samples under the exact law, in nats: what the data have is 0.

``mean(-log p(x)) - H(p)`` over samples x, with the entropy ``H(p) = -E log p(y)`` of the law
(:func:`bench.metrics.law.entropy`). It is ``KL(q, p) + H(q) - H(p)`` for samples of law q: mass
between the modes and modes drawn too wide raise it, modes drawn too narrow lower it below 0. It
does not see a mode that is missed: those that remain are as dense as they should be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement

if TYPE_CHECKING:
    from bench.metrics.context import Context

NEEDS = Needs(exact=True)
DIRECTIONS = {"excess_nll": None}
SCALES = {"excess_nll": "linear"}
TITLES = {"excess_nll": "excess negative log density of samples (nats)"}


def compute(context: Context) -> list[Measurement]:
    """Mean over all samples; they are independent, so the error is that of a mean."""
    from bench.metrics.law import entropy, law_of, places

    law = law_of(context)
    expected = context.references.derived("entropy", lambda: entropy(law))
    values = -places(context).log_density
    error = (values.std() / len(values) ** 0.5).item()
    value = values.mean().item() - expected
    return [Measurement("excess_nll", value, error, reference_set="exact")]
