"""Records in, verdicts out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from bench.data.dataset import described
from bench.evidence.claims.asked import Evidence
from bench.evidence.claims.catalogue import CLAIMS
from bench.evidence.claims.declared import Accounting, Claim, Part
from bench.evidence.claims.rules import ALPHA, NotTestedError, Test
from bench.evidence.samplers import OwnGrid, solvers_grid
from bench.evidence.statistics.comparisons import holm

Verdict = Literal["supported", "refuted", "inconclusive", "not tested"]


@dataclass(frozen=True)
class Finding:
    """What the records say of one part of a claim on one data set.

    Attributes:
        claim, part: what was asked.
        experiment, dataset: whose records; the experiment is empty where none has the accounting.
        accounting: of the experiment; None where nothing says it.
        test: the comparison, or None where it could not be made.
        missing: why it could not.
        p: p-value after Holm's adjustment; NaN without a test.
        family: comparisons of the claim that were adjusted together.
        others: what other experiments measured of the same, by their names: told, and not judged.
    """

    claim: Claim
    part: Part
    experiment: str
    dataset: str
    accounting: str | None
    test: Test | None = None
    missing: str = ""
    p: float = math.nan
    family: int = 0
    others: tuple[tuple[str, Test], ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Supported or refuted at 5% after adjustment; inconclusive is never read as equal."""
        if self.test is None:
            return "not tested"
        return self.test.answer if self.p <= ALPHA else "inconclusive"

    def sentence(self, show: Callable[[Test], str]) -> str:
        """The finding in words; ``show`` prints an effect with its interval."""
        if self.test is None:
            return f"Not tested: {self.missing}."
        censored = self.test.low == 0 and math.isinf(self.test.high)
        measure = (
            "the evaluations that were swept do not bound it"
            if censored
            else self.part.measure.format(effect=show(self.test))
        )
        said = {
            "supported": self.part.statement,
            "refuted": self.part.opposite,
            "inconclusive": f"these records do not settle whether {self.part.statement}",
        }[self.verdict]
        return f"{said[0].upper()}{said[1:]}: {measure}."


def judge(
    records: pd.DataFrame,
    claims: Sequence[Claim] = CLAIMS,
    primary: Callable[[str, str], str] = lambda experiment, dataset: described(dataset, {}).primary,
    own_grid: OwnGrid = solvers_grid,
) -> list[Finding]:
    """Every part of every claim on every data set.

    Args:
        records: rows of :mod:`bench.evidence.records`, of one or more experiments.
        claims: what is asked.
        primary: the metric that ranks models, of an experiment and a data set.
        own_grid: the grid of the common solver, of an experiment and a label.
    """
    rows = records.dropna(subset=["experiment", "dataset"])
    evidence = [
        Evidence(
            rows_of_one,
            str(experiment),
            str(dataset),
            primary(str(experiment), str(dataset)),
            own_grid,
        )
        for (experiment, dataset), rows_of_one in rows.groupby(
            ["experiment", "dataset"], sort=False
        )
        if rows_of_one["label"].notna().any()
    ]
    datasets = list(dict.fromkeys(e.dataset for e in evidence))
    findings: list[Finding] = []
    for claim in claims:
        for accounting in claim.accountings or (None,):
            accounted_evidence = [e for e in evidence if accounting in (None, e.accounting)]
            findings += _adjusted(
                [
                    _asked(claim, part, dataset, accounting, accounted_evidence)
                    for part in claim.parts
                    for dataset in datasets
                ]
            )
    return findings


def _asked(
    claim: Claim,
    part: Part,
    dataset: str,
    accounting: Accounting | None,
    evidence: Sequence[Evidence],
) -> Finding:
    """The finding of the finest, else the first experiment that can answer, or why none can.

    Experiments that share a model, trained again to the same bits, are one piece of evidence: told
    twice it would be corrected for as two. What the others measured is told beside it.
    """
    untested = Finding(
        claim,
        part,
        "",
        dataset,
        accounting,
        missing=f"no records with accounting {accounting}",
    )
    asked = [e for e in evidence if e.dataset == dataset]
    answers: list[Finding] = []
    for source in sorted(asked, key=part.fineness, reverse=True):  # keeps the order of equals
        finding = replace(untested, experiment=source.experiment, accounting=source.accounting)
        try:
            answers.append(replace(finding, test=part.contrast(source), missing=""))
        except NotTestedError as error:
            if not untested.experiment:
                untested = replace(finding, missing=str(error))
    if not answers:
        return untested
    first, *others = answers
    told = tuple((other.experiment, other.test) for other in others if other.test is not None)
    return replace(first, others=told)


def _adjusted(findings: Sequence[Finding]) -> Iterator[Finding]:
    """The findings of one claim and accounting, with the p-values that Holm's method gives them."""
    tested = [finding for finding in findings if finding.test is not None]
    p = holm([f.test.p for f in tested if f.test is not None])
    by_place = defaultdict(lambda: math.nan, zip(map(id, tested), p, strict=True))
    for finding in findings:
        yield replace(finding, p=by_place[id(finding)], family=len(tested))
