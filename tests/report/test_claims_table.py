"""The claims in the report: the verdicts of the records, in files and at the top of the page."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from bench.evidence.claims import CLAIMS, Test
from bench.report.study import Study
from bench.report.table import latex, markdown
from bench.report.tables.claims import claims, section, show


def test_every_part_on_every_data_set_has_a_row(study: Study) -> None:
    data = claims(study).data
    asked = {(claim.id, part.name) for claim in CLAIMS for part in claim.parts}
    for dataset in ("mixture2d", "digits"):
        mine = data[data["dataset"] == dataset]
        assert set(zip(mine["claim"], mine["compared"], strict=True)) == asked
    assert set(data["verdict"]) <= {"supported", "refuted", "inconclusive", "not tested"}
    untested = data[data["verdict"] == "not tested"]
    assert (untested["missing"] != "").all()
    assert untested[["estimate", "low", "high", "p_holm"]].isna().all(axis=None)
    tested = data[data["verdict"] != "not tested"]
    assert tested["p_holm"].between(0, 1).all()
    assert (tested["p_holm"] >= tested["p_unadjusted"]).all()


def test_the_made_up_run_has_the_verdicts_that_it_was_made_for(study: Study) -> None:
    data = claims(study).data
    reflow = data[(data["claim"] == "3") & (data["accounting"] == "all_in")]
    native = reflow[reflow["compared"] == "straightness: own path and time"]
    assert native["verdict"].tolist() == ["supported"] * 2
    assert set(data[data["claim"] == "5b"]["verdict"]) == {"not tested"}
    marginal = data[data["accounting"] == "marginal"]
    assert set(marginal["missing"]) == {"no records with accounting marginal"}


def test_the_files_hold_verdict_effect_and_sentence(finished: Path) -> None:
    data = pd.read_csv(finished / "tables" / "claims.csv", dtype={"claim": str})
    row = data[data["verdict"] == "supported"].iloc[0]
    text = (finished / "tables" / "claims.md").read_text(encoding="utf-8")
    assert " ".join(row["sentence"].split()) in text.replace("<br>", " ")
    assert "Holm" in text
    tex = (finished / "tables" / "claims.tex").read_text(encoding="utf-8")
    assert tex.count("\\begin{tabular}") >= 2


def test_the_page_shows_them_before_the_findings(finished: Path, study: Study) -> None:
    text = (finished / "report.html").read_text(encoding="utf-8")
    assert text.index('id="claims"') < text.index('id="findings"')
    for claim in CLAIMS:
        assert f'id="claim-{claim.id}"' in text
        assert all(f"arXiv:{number}" in text for number in claim.sources)
    shown = re.findall(r'<th scope="row"><span class="verdict ([a-z-]+)">', text)
    rows = [row for block in section(study)["claims"] for row in block["rows"]]
    assert shown == [row["style"] for row in rows]
    assert "inconclusive" in text


def test_rules_that_were_changed_after_records_say_so(study: Study) -> None:
    """In the introduction, and in every row that such a rule decides."""
    shown = section(study)
    changed = {
        (claim.id, str(part.registration))
        for claim in CLAIMS
        for part in claim.parts
        if part.registration.after_records
    }
    assert {claim for claim, _ in changed} >= {"2", "3", "5a"}
    for claim, registration in changed:
        assert registration in shown["rules"]
        rows = next(block for block in shown["claims"] if block["id"] == claim)["rows"]
        assert any("changed after records had been seen" in row["rule"] for row in rows)
    data = claims(study).data
    assert (data["changed_after_records"] != "").any()
    assert "changed after records" in claims(study).caption


def test_parts_that_lack_the_same_thing_share_a_row(study: Study) -> None:
    rows = next(b for b in section(study)["claims"] if b["id"] == "3")["rows"]
    marginal = [row for row in rows if row["budget"] == "marginal"]
    assert [row["compared"] for row in marginal] == ["everything"] * 2
    overview = section(study)["claims"][0]["overview"]
    counted = sum(int(c["text"].split()[0]) for place in overview for c in place)
    assert counted == 2 * len(CLAIMS[0].parts)


@pytest.mark.parametrize(
    ("bounds", "shown"),
    [
        ((0.5, 0.4, 0.6), "0.50 [0.40, 0.60]"),
        ((float("nan"), 0.0, 0.3), "less than 0.300"),
        ((float("nan"), 2.0, float("inf")), "more than 2.00"),
        ((float("nan"), 0.2, 0.9), "between 0.200 and 0.900"),
        ((float("nan"), 0.0, float("inf")), "censored"),
    ],
)
def test_censoring_is_shown_as_the_bound_that_it_leaves(
    bounds: tuple[float, float, float], shown: str
) -> None:
    assert show(Test(*bounds, level=0.95, n=5, answer="supported", p=0.01)) == shown


def test_a_failed_formulation_leaves_its_claims_untested(broken: Path) -> None:
    data = claims(Study.read(broken)).data
    assert set(data[data["claim"] == "7"]["verdict"]) == {"not tested"}


def test_an_empty_study_has_an_empty_table(study: Study) -> None:
    empty = claims(Study(study.records.iloc[:0], study.experiments))
    assert "Nothing to show" in markdown(empty)
    assert "Nothing to show" in latex(empty)
