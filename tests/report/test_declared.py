"""A table and a figure are told in one file each; all that shows them follows."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from docutils.core import publish_parts
from matplotlib.figure import Figure

from bench.evidence import records
from bench.registry import discover
from bench.report import CAPTIONS, FIGURES, TABLES
from bench.report.captions import restructured
from bench.report.declared import SECTIONS, figure, figures_of, table, tables_of
from bench.report.study import Study
from bench.report.style import styled
from bench.report.tables import build, build_all
from bench.report.titles import metric_title
from tests import synthetic

OWN_PLACE = {"claims"}
"""Tables that the page shows apart from its sections."""


@pytest.fixture(scope="module")
def nothing() -> Study:
    """A study without a record."""
    return Study(records.frame([]), [synthetic.experiment(seeds=[0])])


def test_every_file_is_a_table_or_a_figure_of_that_name(nothing: Study) -> None:
    assert discover("tables") == TABLES
    assert discover("figures") == FIGURES
    assert {name: built.name for name, built in build_all(nothing).items()} == {
        name: name for name in TABLES
    }


@pytest.mark.parametrize(
    ("names", "of", "apart"), [(TABLES, tables_of, OWN_PLACE), (FIGURES, figures_of, set())]
)
def test_each_stands_in_one_section(
    names: tuple[str, ...], of: Callable[[str], list[str]], apart: set[str]
) -> None:
    shown = [name for section in SECTIONS for name in of(section)]
    assert sorted(shown) == sorted(set(names) - apart)


@pytest.mark.parametrize("section", SECTIONS)
def test_the_order_in_a_section_is_declared(section: str) -> None:
    for ranks in (
        [table(name).rank for name in tables_of(section)],
        [figure(name).rank for name in figures_of(section)],
    ):
        assert ranks == sorted(set(ranks)), "two of one rank stand in the order of their files"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_a_row_has_its_header(
    nothing: Study, study: Study, name: str, tmp_path: Path
) -> None:
    build(nothing, name).write(tmp_path)
    header = list(pd.read_csv(tmp_path / f"{name}.csv").columns)
    whole = list(build(study, name).data.columns)
    declared = list(table(name).columns)
    assert [column for column in declared or header if column in whole] == whole
    assert header == declared or not declared


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_or_says_why_not(nothing: Study, study: Study, name: str) -> None:
    with styled():
        drawn = figure(name).draw(study)
        assert isinstance(drawn, Figure)
        plt.close(drawn)
        assert str(figure(name).draw(nothing)).endswith(".")


def test_snakemake_shows_the_captions_of_the_page(finished: Path, study: Study) -> None:
    folder = finished / CAPTIONS
    expected = {f"table_{name}.rst": built for name, built in build_all(study).items()}
    expected |= {f"figure_{name}.rst": figure(name) for name in FIGURES}
    assert {path.name for path in folder.iterdir()} == set(expected)
    for file, told in expected.items():
        assert (folder / file).read_text() == restructured(told.title, told.caption)


def test_a_caption_is_no_markup() -> None:
    caption = "|x| of fd_ and log_snr_, 2*a*b, `dopri5` and a\\b"
    warnings = StringIO()
    settings = {"warning_stream": warnings}
    text = restructured("A title", caption)
    body = publish_parts(text, writer_name="html", settings_overrides=settings)["body"]
    assert body.strip() == f"<p><strong>A title.</strong> {caption}</p>"
    assert not warnings.getvalue()


@pytest.mark.parametrize(
    ("metric", "title"),
    [
        ("fid", "FID"),
        ("fid_inf", "FID extrapolated to infinite samples"),
        ("kid_inception", "KID (Inception features)"),
        ("fd_digits", "Fréchet distance (digit classifier features)"),
        ("fd_random_conv", "Fréchet distance (untrained network's features)"),
        ("nll", "negative log-likelihood of held-out data (nats)"),
        ("no_such_metric", "no such metric"),
    ],
)
def test_a_metric_is_called_what_its_file_says(metric: str, title: str) -> None:
    assert metric_title(metric) == title
