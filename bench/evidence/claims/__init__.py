"""The claims that the suite exists to settle, each a declared test over the records.

A :class:`Claim` asks one question and names its source. Its parts are the comparisons that answer
it: a contrast over the records of one data set, and a rule that is registered with a version and a
date. Some rules were changed after records had been seen: their registration says how, and so does
every page that shows them. :func:`judge` reads records and nothing else, and says of every part on
every data set that it is supported, refuted, inconclusive, or not tested, and then what is missing.
One question has one verdict, however many runs can answer it: that of the finest, with what the
others measured beside it.

Rules. The unit of replication is the training seed, effects are paired within it, and positive
quantities are compared on the log scale. A difference is tested by Student t, two-sided at 5%;
an equality by two one-sided tests at 5% against a margin that is declared here, and it is refuted
only where the effect lies beyond the margin. Where one claim takes several comparisons, over its
parts and data sets, their p-values are adjusted by Holm's method. Inconclusive never means equal.
"""

from bench.evidence.claims.catalogue import CLAIMS
from bench.evidence.claims.declared import Claim, Part
from bench.evidence.claims.rules import Test
from bench.evidence.claims.verdicts import Finding, Verdict, judge

__all__ = ["CLAIMS", "Claim", "Finding", "Part", "Test", "Verdict", "judge"]
