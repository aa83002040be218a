"""Captions for Snakemake's report: those of the page, of every table and figure.

They are files of a run, because a table's caption tells what this run has measured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bench.files import write_text
from bench.report import FIGURES
from bench.report.declared import figure
from bench.report.table import Table


def write_all(tables: Mapping[str, Table], folder: Path) -> None:
    """Write ``table_<name>.rst`` and ``figure_<name>.rst`` of every table and figure."""
    for name, table in tables.items():
        write_text(folder / f"table_{name}.rst", restructured(table.title, table.caption))
    for name in FIGURES:
        declaration = figure(name)
        text = restructured(declaration.title, declaration.caption)
        write_text(folder / f"figure_{name}.rst", text)


def restructured(title: str, caption: str) -> str:
    """A bold title and a caption in reStructuredText, in which neither marks anything up."""
    title, caption = (re.sub(r"([\\*_|`])", r"\\\1", text) for text in (title, caption))
    return f"**{title}.** {caption}\n"
