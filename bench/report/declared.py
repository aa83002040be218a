"""What a table and a figure say of themselves: one file each, found by its file name.

``bench/report/tables/<name>.py`` holds ``TABLE``, a :class:`DeclaredTable`, and
``bench/report/figures/<name>.py`` holds ``FIGURE``, a :class:`DeclaredFigure`. Their files, their
place on the page and their captions in Snakemake's report follow from that; nothing lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.registry import module
from bench.report import FIGURES, TABLES
from bench.report.drawing import Drawn
from bench.report.study import Study
from bench.report.table import Table

SECTIONS = {
    "quality": "Quality and evaluations",
    "time": "Quality and time",
    "geometry": "Straightness",
    "paths": "Field, path and solver",
    "likelihood": "Likelihood",
    "solvers": "Solvers and grids",
    "samples": "Samples",
    "cost": "Budget and cost",
    "methods": "Methods",
}
"""Headings of the page by their anchors, in their order."""


@dataclass(frozen=True)
class DeclaredTable:
    """A table of the report.

    Attributes:
        section: the one of :data:`SECTIONS` that shows it; None where the page has a place of its
            own for it.
        rank: its place there, lowest first.
        build: makes it; the name of the built table is that of its file.
        columns: header of its CSV, for a table that may have no row; the others write their own.
    """

    section: str | None
    rank: int
    build: Callable[[Study], Table]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeclaredFigure:
    """A figure of the report.

    Attributes:
        title, caption: shown below it.
        section: the one of :data:`SECTIONS` that shows it.
        rank: its place there, lowest first.
        draw: makes it, or says in a sentence why there is nothing to draw.
        from_arrays: whether it needs files that a published run does not hold.
    """

    title: str
    caption: str
    section: str
    rank: int
    draw: Callable[[Study], Drawn]
    from_arrays: bool = False


def table(name: str) -> DeclaredTable:
    """The declaration of a table."""
    declaration = module("tables", name).TABLE
    assert isinstance(declaration, DeclaredTable), name
    return declaration


def figure(name: str) -> DeclaredFigure:
    """The declaration of a figure."""
    declaration = module("figures", name).FIGURE
    assert isinstance(declaration, DeclaredFigure), name
    return declaration


def tables_of(section: str) -> list[str]:
    """Names of the tables that a section of the page shows, in their order."""
    return sorted(
        (name for name in TABLES if table(name).section == section),
        key=lambda name: table(name).rank,
    )


def figures_of(section: str) -> list[str]:
    """Names of the figures that a section of the page shows, in their order."""
    return sorted(
        (name for name in FIGURES if figure(name).section == section),
        key=lambda name: figure(name).rank,
    )
