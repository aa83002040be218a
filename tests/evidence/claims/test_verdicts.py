"""Verdicts follow the records: every claim can be supported, refuted and left open by them."""

from __future__ import annotations

import datetime
import math
import sys
from typing import Any

import pandas as pd
import pytest

from bench.evidence import records
from bench.evidence.claims import CLAIMS, Claim, Finding, judge
from tests.evidence.claims.planted import DATASET, MODELS, world

FLOW, VP, OT = "flow_matching", "vp_diffusion", "ot_flow_matching"
REFLOW, CONSISTENCY = "rectified_flow", "consistency_training"
FIGURES = ("straightness_native", "arc_over_chord", "straightness_linear")
UNCLEAR = 0.6
"""Spread of the seeds that hides every planted difference."""


def parts(found: list[Finding], claim: str, part: str = "", accounting: str = "all_in") -> set[str]:
    """Verdicts of the parts of a claim whose name begins with ``part``."""
    return {
        f.verdict
        for f in found
        if f.claim.id == claim
        and f.part.name.startswith(part)
        and f.accounting in (accounting, None)
    }


def both(one: str, other: str, values: tuple[Any, Any], *names: str) -> dict[str, Any]:
    """One value for each of two labels, under every name."""
    return {one: dict.fromkeys(names, values[0]), other: dict.fromkeys(names, values[1])}


def asked(claim: str) -> list[Claim]:
    return [c for c in CLAIMS if c.id == claim]


def at_once(changes: dict[str, Any]) -> dict[str, Any]:
    """The same, with all labels settling at one level."""
    return {label: values | {"plateau": 1.0} for label, values in changes.items()}


def unclear(*labels: str, **values: Any) -> dict[str, Any]:
    return {label: {"spread": UNCLEAR, **values} for label in labels}


CASES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("1", "", "supported", both(FLOW, VP, (1.0, 1.5), *FIGURES)),
    ("1", "", "refuted", both(FLOW, VP, (1.5, 1.0), *FIGURES)),
    ("1", "", "inconclusive", unclear(FLOW, VP, **dict.fromkeys(FIGURES, 1.0))),
    ("2", "", "supported", at_once(both(FLOW, VP, (3.0, 6.0), "slow"))),
    ("2", "", "refuted", at_once(both(FLOW, VP, (6.0, 3.0), "slow"))),
    ("2", "", "inconclusive", unclear(FLOW, VP, slow=4.0, plateau=1.0)),
    ("3", "straightness", "supported", both(REFLOW, FLOW, (0.5, 1.0), *FIGURES)),
    ("3", "straightness", "refuted", both(REFLOW, FLOW, (1.0, 0.5), *FIGURES)),
    ("3", "straightness", "inconclusive", unclear(REFLOW, FLOW, **dict.fromkeys(FIGURES, 1.0))),
    ("3", "evaluations", "supported", both(REFLOW, FLOW, (1.0, 6.0), "slow")),
    ("3", "evaluations", "refuted", both(REFLOW, FLOW, (6.0, 3.0), "slow")),
    ("3", "evaluations", "inconclusive", unclear(REFLOW, FLOW, slow=4.0)),
    ("4", "quality", "supported", {CONSISTENCY: {"slow": 0.1}}),
    ("4", "quality", "refuted", {CONSISTENCY: {"slow": 2.0}}),
    ("4", "quality", "inconclusive", unclear(CONSISTENCY, slow=0.6)),
    ("4", "cost", "supported", {CONSISTENCY: {"plateau": 1.5}}),
    ("4", "cost", "refuted", {CONSISTENCY: {"plateau": 0.5}}),
    ("4", "cost", "inconclusive", unclear(CONSISTENCY, plateau=0.8, slow=0.25)),
    ("5b", "", "supported", {}),
    ("5b", "", "refuted", both("vp_matched", "vp_matched_v", (1.4, 0.7), "plateau")),
    ("5b", "", "inconclusive", unclear("vp_matched", "vp_matched_v")),
    ("5c", "", "supported", {VP: {"plateau": 1.5, "slow": 6.0}}),
    ("5c", "", "supported", {VP: {"plateau": 0.7, "slow": 6.0}}),
    (
        "5c",
        "",
        "refuted",
        {VP: {"plateau": 1.5}} | both("vp_matched", "vp_matched_v", (1.5, 1.5), "plateau"),
    ),
    ("5c", "", "inconclusive", {VP: {"plateau": 1.0, "slow": 6.0}}),
    # Matching that changes nothing explains nothing, however sure a small difference is.
    (
        "5c",
        "",
        "inconclusive",
        {
            label: {"plateau": plateau, "slow": 6.0, "spread": 0.003}
            for label, plateau in zip(
                (VP, "vp_matched", "vp_matched_v", FLOW), (1.05, 1.05, 1.05, 1.0), strict=True
            )
        },
    ),
    ("6", "", "supported", {}),
    ("6", "", "refuted", {label: {"slope": 0.8} for label in MODELS}),
    ("6", "", "inconclusive", {label: {"slope": 0.93, "slope_spread": 0.1} for label in MODELS}),
    ("7", "straightness", "supported", both(OT, FLOW, (0.5, 1.0), *FIGURES)),
    ("7", "straightness", "refuted", both(OT, FLOW, (1.0, 0.5), *FIGURES)),
    ("7", "straightness", "inconclusive", unclear(OT, FLOW, **dict.fromkeys(FIGURES, 1.0))),
]  # fmt: skip


ASKED = {
    "1": (FLOW, VP), "2": (FLOW, VP), "3": (REFLOW, FLOW), "4": (CONSISTENCY, REFLOW, FLOW),
    "5b": (FLOW, "vp_matched", "vp_matched_v"), "5c": (FLOW, VP, "vp_matched", "vp_matched_v"),
    "6": tuple(MODELS), "7": (OT, FLOW),
}  # fmt: skip
"""Labels that a claim compares: the others are left out where they only take time."""


@pytest.mark.parametrize(
    ("claim", "part", "verdict", "changes"),
    CASES,
    ids=[f"{claim}-{part}-{verdict}-{i}" for i, (claim, part, verdict, _) in enumerate(CASES)],
)
def test_records_alone_decide(claim: str, part: str, verdict: str, changes: dict[str, Any]) -> None:
    without = tuple(label for label in MODELS if label not in ASKED[claim])
    table = world(changes, without=without)
    assert parts(judge(table, asked(claim)), claim, part) == {verdict}


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ({"linear": {16: 0.02, 64: 2e-4}, "vp": {16: 0.04, 64: 1e-4}}, "supported"),
        ({"linear": {16: 0.02, 64: 2e-4}, "vp": {16: 0.3, 64: 0.3}}, "refuted"),
        ({"linear": {16: 0.02, 64: 2e-4}, "vp": {16: 0.3, 64: 0.1}}, "not tested"),
        ({"linear": {16: 2e-4}, "vp": {16: 0.3}}, "not tested"),
        ({"linear": {16: 0.02, 64: 2e-4}}, "not tested"),
        ({}, "not tested"),
    ],
)
def test_the_exact_field_ends_where_the_records_say(
    ends: dict[str, dict[int, float]], verdict: str
) -> None:
    """An error that more evaluations still lower is the solver's, and says nothing of paths."""
    assert parts(judge(world(ends=ends), asked("5a")), "5a") == {verdict}


def test_every_claim_can_reach_every_verdict() -> None:
    """The cases above leave out no claim and no part."""
    for claim in CLAIMS:
        for part in claim.parts:
            mine = {v for c, p, v, _ in CASES if c == claim.id and part.name.startswith(p)}
            assert claim.id == "5a" or mine == {"supported", "refuted", "inconclusive"}, part.name


# --- missing data --------------------------------------------------------------------------------

NEEDED = {
    "1": (FLOW, VP), "2": (FLOW, VP), "3": (REFLOW, FLOW), "4": (CONSISTENCY,),
    "5b": (FLOW,), "5c": (FLOW, VP), "7": (OT, FLOW),
}  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "label"), [(claim, label) for claim, labels in NEEDED.items() for label in labels]
)
def test_no_claim_passes_without_a_model_it_speaks_of(claim: str, label: str) -> None:
    found = judge(world(without=(label,)), asked(claim))
    assert {f.verdict for f in found} == {"not tested"}
    assert all(f.missing and f.test is None and math.isnan(f.p) for f in found)
    failed = world()
    failed.loc[failed["label"] == label, "status"] = "failed"
    assert parts(judge(failed, asked(claim)), claim) == {"not tested"}


@pytest.mark.parametrize(
    ("claim", "part", "metric"),
    [
        ("1", "straightness: own", "straightness_native"),
        ("1", "straightness: arc", "arc_over_chord"),
        ("2", "", "w2"),
        ("3", "evaluations", "w2"),
        ("4", "", "w2"),
        ("5a", "", "endpoint_rmse"),
        ("5b", "", "w2"),
        ("6", "", "seconds_per_sample"),
    ],
)
def test_no_claim_passes_without_its_metric(claim: str, part: str, metric: str) -> None:
    table = world()
    assert "not tested" not in parts(judge(table, asked(claim)), claim, part)
    less = table[table["metric"] != metric]
    assert parts(judge(less, asked(claim)), claim, part) == {"not tested"}


def test_models_that_two_experiments_share_are_one_piece_of_evidence() -> None:
    table = world()
    alone = judge(table)
    joined = judge(pd.concat([table, table.assign(experiment="copy")]))
    assert [(f.claim.id, f.part.name, f.p, f.family) for f in joined] == [
        (f.claim.id, f.part.name, f.p, f.family) for f in alone
    ]
    assert {f.experiment for f in joined if f.test is not None} == {"planted"}
    told = next(f for f in joined if f.claim.id == "1")
    assert [(experiment, test) for experiment, test in told.others] == [("copy", told.test)]
    assert all(f.others == () for f in alone)


def test_the_finest_solves_answer_for_the_exact_field() -> None:
    coarse = world(ends={"linear": {4: 0.3, 16: 0.2}, "vp": {4: 0.3, 16: 0.2}})
    fine = world().assign(experiment="fine")
    for tables in ((coarse, fine), (fine, coarse)):
        (found,) = judge(pd.concat(tables), asked("5a"))
        assert (found.experiment, found.verdict) == ("fine", "supported")


def test_one_seed_has_no_interval_and_no_verdict() -> None:
    found = judge(world(seeds=(0,)))
    assert {f.verdict for f in found if f.claim.id != "5a"} == {"not tested"}
    assert any("interval needs 2" in f.missing for f in found)


def test_no_records_no_verdicts() -> None:
    assert judge(records.frame([])) == []
    rows = records.frame([{"experiment": "e", "dataset": DATASET, "label": "floor.train"}])
    assert {f.verdict for f in judge(rows)} == {"not tested"}


def test_unequal_budgets_are_not_compared() -> None:
    found = judge(world({FLOW: {"budget_total": 2e11}}), asked("1"))
    assert parts(found, "1") == {"not tested"}
    assert "one budget" in next(f.missing for f in found if f.claim.id == "1")


def test_another_recipe_under_the_label_is_not_what_the_claim_speaks_of() -> None:
    found = judge(world({VP: {"time_sampling": "uniform(shift=3.0)"}}), asked("1"))
    assert parts(found, "1") == {"not tested"}


# --- accounting ----------------------------------------------------------------------------------


def test_a_claim_with_an_upstream_is_judged_in_each_accounting_by_its_own_records() -> None:
    found = judge(world(), asked("3"))
    assert parts(found, "3", accounting="marginal") == {"not tested"}
    assert {f.missing for f in found if f.accounting == "marginal"} == {
        "no records with accounting marginal"
    }
    slow = {REFLOW: dict.fromkeys(FIGURES, 5.0)}
    joined = pd.concat([world(), world(slow, experiment="other", accounting="marginal", ends={})])
    found = judge(joined, asked("3"))
    assert parts(found, "3", "straightness") == {"supported"}
    assert parts(found, "3", "straightness", "marginal") == {"refuted"}
    assert {f.experiment for f in found if f.accounting == "marginal" and f.claim.id == "3"} == {
        "other"
    }


def test_an_experiment_that_cannot_answer_is_silent_where_another_can() -> None:
    other = world(without=(VP, "vp_matched", "vp_matched_v"), experiment="other", ends={})
    found = judge(pd.concat([other, world()]), asked("1"))
    assert [f.experiment for f in found] == ["planted"] * 3


# --- many comparisons ----------------------------------------------------------------------------


def test_several_comparisons_of_a_claim_are_adjusted_together() -> None:
    found = judge(world(), asked("1"))
    assert {f.family for f in found} == {3}
    for finding in found:
        assert finding.test is not None
        assert finding.p >= finding.test.p
    smallest = min(found, key=lambda f: f.p)
    assert smallest.test is not None
    assert smallest.p == pytest.approx(3 * smallest.test.p)


def test_an_unadjusted_p_of_three_percent_is_not_enough_among_three() -> None:
    """The interval may exclude 1 where the verdict, adjusted, stays open."""
    for spread in (0.05, 0.08, 0.1, 0.12, 0.15, 0.2):
        changes = {name: dict.fromkeys(FIGURES, 1.0) | {"spread": spread} for name in (FLOW, VP)}
        changes[FLOW]["straightness_native"] = 0.85
        native = judge(world(changes), asked("1"))[0]
        assert native.test is not None
        if 0.02 < native.test.p < 0.05:
            assert native.test.high < 1
            assert native.verdict == "inconclusive"
            return
    pytest.fail("no spread gives a p between 2% and 5%")


# --- words ---------------------------------------------------------------------------------------


def test_sentences_say_the_verdict_and_the_number() -> None:
    for finding in judge(world({VP: {"plateau": 1.0}})):
        text = finding.sentence(lambda test: f"<{test.estimate:.3f}>")
        assert text[0].isupper()
        assert text.endswith(".")
        assert "{" not in text
        if finding.verdict == "inconclusive":
            assert "do not settle" in text
            assert not text.lower().startswith(finding.part.statement.lower())
        if finding.verdict == "supported":
            assert text.lower().startswith(finding.part.statement.lower())
        if finding.verdict == "refuted":
            assert text.lower().startswith(finding.part.opposite.lower())


def test_every_claim_names_its_sources_and_rules() -> None:
    assert [c.id for c in CLAIMS] == ["1", "2", "3", "4", "5a", "5b", "5c", "6", "7"]
    for claim in CLAIMS:
        assert claim.question.endswith("?")
        assert all(len(s) == 10 and s[4] == "." for s in claim.sources)
        assert len({part.name for part in claim.parts}) == len(claim.parts)
        for part in claim.parts:
            assert "{effect}" in part.measure
            assert "interval" in part.rule or "bound" in part.rule
            version, date = part.registration.version, part.registration.date
            assert version > 1 or not part.registration.after_records
            assert datetime.date.fromisoformat(date) >= datetime.date(2026, 11, 22)


def test_claims_do_without_torch() -> None:
    import subprocess

    code = "import sys, bench.evidence.claims; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
