"""Results in which somebody has changed a number: named, whatever was changed with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.errors import RunError
from bench.evidence import contents, ledgers, records
from bench.experiment.layout import PAGE, Layout
from bench.files import read_json, write_json, write_text
from bench.report import tables
from bench.report.study import Study
from bench.stages import collect, publish, report, verify
from tests import synthetic
from tests.sharing import once

FIGURE = "figures/quality_vs_nfe.png"

FEW = ("summary", "straightness", "status")
"""Tables of this run: the others would be made again in the same way, and take longer."""


@pytest.fixture(autouse=True)
def few_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TABLES", FEW)


def _run(root: Path) -> Path:
    experiment = synthetic.experiment(
        seeds=[0, 1],
        datasets={"mixture2d": None},
        budget={"amount": {"mixture2d": 2e11}},
        formulations=dict.fromkeys(("flow_matching", "vp_diffusion")),
    )
    synthetic.write_run(experiment, root)
    collect.run(experiment, Layout(root))
    study = Study.read(root)
    built = tables.build_all(study)
    for table in built.values():
        table.write(root / "tables")
    for name in (FIGURE, PAGE):
        write_text(root / name, "drawn")
    report.hold(study, built, Layout(root))
    return root


@pytest.fixture
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "sound", _run)


@pytest.fixture(params=["run", "published"])
def folder(request: pytest.FixtureRequest, finished: Path, tmp_path: Path) -> Path:
    """A copy of a sound run, or of what is published of it."""
    copy = tmp_path / "sound"
    if request.param == "run":
        shutil.copytree(finished, copy)
    else:
        publish.write_light(Study.read(finished).experiments[0], finished, copy)
    return copy


def test_a_sound_run_is_sound(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify.run(folder)
    said = capsys.readouterr().err
    assert said.endswith("files, budgets, evaluation counts, records and tables are as claimed\n")


def _change(folder: Path, metric: str, column: str, *, alone: bool) -> None:
    """Halve what a column says of a metric: of one cell of one model, or everywhere."""
    table = records.read(folder / "records.parquet")
    rows = table["metric"] == metric
    if alone:
        rows &= (table["label"] == "flow_matching") & (table["train_seed"] == 1)
        rows &= (table["solver"] == "euler") & (table["nfe"] == 64)
    table[column] = table[column].mask(rows.fillna(False), table[column] / 2)
    records.write(table, folder / "records.parquet")


def test_a_halved_value_is_named(folder: Path) -> None:
    _change(folder, "w2", "value", alone=True)
    with pytest.raises(RunError, match="records of synthetic/mixture2d/flow_matching/1: changed"):
        verify.run(folder)


def test_records_are_caught_by_the_tables_that_they_give(folder: Path) -> None:
    """Whoever halves a value and writes its digest anew has changed a table, too."""
    _change(folder, "w2", "value", alone=False)
    held = read_json(folder / contents.CONTENTS)
    held["records"] = contents.of_records(records.read(folder / "records.parquet"))
    write_json(folder / contents.CONTENTS, held)
    with pytest.raises(RunError, match="table summary: the records give another one"):
        verify.run(folder)


def test_an_edited_table_is_named_with_its_line(folder: Path) -> None:
    path = folder / "tables" / "summary.md"
    lines = path.read_text().splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if line.startswith("| Flow matching"))
    lines[place] = lines[place].replace("0.", "0.0", 1)
    path.write_text("".join(lines))
    with pytest.raises(RunError, match="not the file that the report wrote") as error:
        verify.run(folder)
    assert f"tables/summary.md: line {place + 1} is not what the records give" in str(error.value)


@pytest.mark.parametrize("name", [FIGURE, PAGE])
def test_another_figure_or_page_is_named(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(RunError, match=f"{name}: not the file that the report wrote"):
        verify.run(folder)


def test_a_charge_is_named_even_where_the_sum_was_mended(folder: Path) -> None:
    written = ledgers.of_run(Layout(folder))
    place, ledger = next((p, one) for p, one in written.items() if "flow_matching/seed1" in p)
    ledger["charges"]["train"]["flops"] *= 0.99
    ledger["spent"] = ledger["spent_own"] = verify.charged(ledger)
    if (folder / ledgers.LEDGERS).is_file():
        write_json(folder / ledgers.LEDGERS, written)
    else:
        write_json(folder / place, ledger)
    with pytest.raises(RunError, match=f"ledger of {place}: changed"):
        verify.run(folder)


def test_a_number_of_evaluations_is_named(folder: Path) -> None:
    _change(folder, "w2", "nfe", alone=True)
    with pytest.raises(RunError, match="records of synthetic/mixture2d/flow_matching/1") as error:
        verify.run(folder)
    assert "euler" in str(error.value)


def test_records_that_were_taken_out_are_named(folder: Path) -> None:
    table = records.read(folder / "records.parquet")
    gone = (table["label"] == "vp_diffusion") & (table["train_seed"] == 0)
    records.write(table[~gone.fillna(False)], folder / "records.parquet")
    with pytest.raises(RunError, match="records of synthetic/mixture2d/vp_diffusion/0: missing"):
        verify.run(folder)


def test_tables_of_another_version_are_not_made_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its rules may be others: digests decide there."""
    held = read_json(folder / contents.CONTENTS)
    write_json(folder / contents.CONTENTS, held | {"report": "0" * 16, "tables": {}})
    verify.run(folder)
    said = capsys.readouterr().err
    assert said.endswith("files, budgets, evaluation counts and records are as claimed\n")
