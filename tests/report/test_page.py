"""The page: self-contained, accessible, and true to the records."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.evidence import records
from bench.report import FIGURES, TABLES, page
from bench.report.findings import findings, warnings
from bench.report.study import Study
from bench.report.tables import build_all
from tests.report.conftest import FAILED

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """Collects tags with their attributes and checks that they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def html(finished: Path) -> Reader:
    return Reader((finished / "report.html").read_text(encoding="utf-8"))


def test_it_is_well_formed(html: Reader) -> None:
    assert html.open == []
    ids = [attrs["id"] for _, attrs in html.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_it_loads_nothing_from_outside(html: Reader, finished: Path) -> None:
    for tag, attrs in html.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "srcset", "action", "data"):
            target = attrs.get(name, "#")
            inside = ("#", "data:image/svg+xml,")
            assert target.startswith(inside), (tag, target[:60])
            assert not urlsplit(target).netloc
    text = (finished / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\((?!%23)", text)  # a drawing refers to itself


def test_links_lead_somewhere(html: Reader) -> None:
    ids = {attrs["id"] for _, attrs in html.tags if "id" in attrs}
    links = {attrs["href"][1:] for tag, attrs in html.tags if tag == "a"}
    assert links <= ids


def test_every_figure_and_table_is_inside(html: Reader) -> None:
    images = [attrs for tag, attrs in html.tags if tag == "img"]
    assert len(images) == len(FIGURES)
    assert all(len(image["alt"]) > 40 for image in images)
    ids = {attrs.get("id") for _, attrs in html.tags}
    assert {f"table-{name}" for name in TABLES} <= ids


def test_it_can_be_read_by_a_screen_reader_and_in_the_dark(html: Reader, finished: Path) -> None:
    tags = [tag for tag, _ in html.tags]
    assert ("html", {"lang": "en"}) in html.tags
    assert {"main", "nav", "header", "h1"} <= set(tags)
    assert all(a.get("scope") in ("col", "row") for tag, a in html.tags if tag == "th")
    assert "prefers-color-scheme: dark" in (finished / "report.html").read_text()


def test_numbers_on_the_page_are_those_of_the_tables(html: Reader, study: Study) -> None:
    text = " ".join(html.text)
    summary = build_all(study)["summary"]
    for cell in summary.text["NFE 1"]:
        assert cell.split("\n")[0] in text
    assert "0.981" in text  # the extractor's accuracy, from the manifest


def test_it_says_what_was_measured_and_expected(html: Reader) -> None:
    text = " ".join(html.text)
    for word in ("import", "training", "sampling", "metrics", "timing", "expected by the plan"):
        assert word in text


def test_it_names_no_folder_of_the_machine(finished: Path) -> None:
    for name in ("report.html", "manifest.json", "records.csv"):
        assert str(finished.parent) not in (finished / name).read_text(encoding="utf-8")


def test_failures_are_told_first(broken: Path, finished: Path) -> None:
    text = (broken / "report.html").read_text(encoding="utf-8")
    assert "OT flow matching on Digits 8x8, seeds 0, 1, 2: ValueError: planted" in text
    assert text.index("ValueError: planted") < text.index("Main findings</h2>")
    assert 'class="failed"' in text
    assert "Every job of this run succeeded" in (finished / "report.html").read_text()


def test_the_page_of_a_run_without_values(tmp_path: Path, finished: Path, study: Study) -> None:
    nothing = Study(records.frame([]), study.experiments, {}, study.manifests)
    page.write(nothing, build_all(nothing), finished / "figures", tmp_path / "report.html")
    assert "No cell of this data set has a value." in (tmp_path / "report.html").read_text()


# --- findings ------------------------------------------------------------------------------------


def altered(study: Study, label: str, factor: float) -> Study:
    """The same records with a label's primary metrics multiplied."""
    rows = study.records["label"] == label
    rows &= study.records["metric"].isin(["fd_digits", "w2"])
    value = study.records["value"].mask(rows.fillna(False), study.records["value"] * factor)
    return Study(study.records.assign(value=value), study.experiments)


def told(study: Study, start: str) -> str:
    return next(s for s in findings(study, study.panels[1]) if s.startswith(start))


def test_verdicts_follow_the_records(study: Study) -> None:
    claim = "Expected beforehand: at 64 evaluations"
    assert "The records leave it open" in told(study, claim)  # three seeds, and all pairs at once
    worse = altered(study, "rectified_flow", 100.0)
    assert "The records agree" in told(worse, claim)
    better = altered(study, "rectified_flow", 0.01)
    assert "The records disagree" in told(better, claim)
    assert told(better, "At 64 evaluations").startswith(
        "At 64 evaluations Rectified flow is at the floor"
    )
    even = altered(study, "rectified_flow", 11.8 / 16.9)
    assert "The records leave it open" in told(even, claim)


def test_losing_to_the_gaussian_is_said(study: Study) -> None:
    assert told(study, "All formulations beat the fitted Gaussian")
    worse = altered(study, "consistency_training", 5.0)
    assert told(worse, "Do not beat the fitted Gaussian").endswith(": Consistency training.")


def test_warnings_name_failures_and_busy_machines(study: Study, broken: Path) -> None:
    assert warnings(study) == []
    assert len(warnings(Study.read(broken))) == 2  # a data set each
    assert all(FAILED.split("_")[0].upper() in line for line in warnings(Study.read(broken)))
    timed = study.records["metric"] == "seconds_per_sample"
    busy = study.records["error"].mask(timed, "contended: another process had the core")
    said = warnings(Study(study.records.assign(error=busy), study.experiments))
    assert "were measured while another process" in said[0]


def test_warnings_count_what_did_not_fit(study: Study) -> None:
    timed = study.records["metric"] == "seconds_per_sample"
    note = study.records["error"].mask(timed, "out of memory: batches of 5 samples instead of 10")
    (said,) = warnings(Study(study.records.assign(error=note), study.experiments))
    assert said.startswith(f"{int(timed.sum())} cells did not fit into memory")


def test_a_report_imports_nothing_that_takes_longer_than_it_is_worth(
    finished: Path, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from bench.experiment.layout import Layout; "
        "from bench.report.study import Study; from bench.stages import report; "
        f"report.write(Study.read(Path({str(finished)!r})), Layout(Path({str(tmp_path)!r}))); "
        "slow = {'torch', 'sklearn', 'scipy.stats', 'snakemake'} & set(sys.modules); "
        "assert not slow, slow"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (tmp_path / "report.html").is_file()
    assert done.returncode == 0, done.stderr
