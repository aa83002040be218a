"""A table in two forms, and its three files.

``data`` is tidy, one row a fact, in full precision, with bounds and counts in columns of their own;
``text`` is what a reader sees, made from the same numbers. Failed and missing seeds are marked in
``text`` and counted in ``data``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bench.evidence.statistics import Interval
from bench.files import write_text
from bench.report.numbers import MISSING
from bench.report.study import Panel, Study

BLOCK = "data set"
WORDS = (
    *(BLOCK, "formulation", "what", "stage", "solver", "trained on"),
    *("grid", "refused because"),
)
FAILED = "failed"
NOT_APPLICABLE = "n/a"
REFUSED = "refused"
MISMATCH = "mismatch"
"""What a cell begins with that must not be overlooked, as does :data:`FAILED`."""

REFUSAL = "cannot spend this NFE exactly"

INTERVAL_NOTE = (
    "Intervals: 95%, Student t over training seeds; on the log scale with the geometric mean for "
    "positive metrics, on the logit scale for shares, on the linear scale for the others, and the "
    "range of order statistics where a value lies on the border of its scale. (k/n) marks cells "
    "with k of n seeds."
)


@dataclass(frozen=True)
class Table:
    """A table in both forms.

    Attributes:
        name: of its files.
        title: its heading.
        caption: what it shows and how to read it.
        data: tidy, see above.
        text: as a reader sees it.
        wordy: whether its cells are words throughout, not numbers.
    """

    name: str
    title: str
    caption: str
    data: pd.DataFrame
    text: pd.DataFrame
    wordy: bool = False

    def blocks(self) -> list[tuple[str, pd.DataFrame]]:
        """``text`` split by data set: its title, and the columns that say something there."""
        return self._blocks

    @cached_property
    def _blocks(self) -> list[tuple[str, pd.DataFrame]]:
        if BLOCK not in self.text.columns:
            return [("", self.text)]
        return [
            (str(title), rows.loc[:, (rows != MISSING).any()].drop(columns=BLOCK))
            for title, rows in self.text.groupby(BLOCK, sort=False)
        ]

    @property
    def words(self) -> tuple[str, ...]:
        """Columns that hold words, not numbers."""
        return tuple(self.text.columns) if self.wordy else WORDS

    @cached_property
    def csv(self) -> str:
        """``data`` as text."""
        return self.data.to_csv(index=False, lineterminator="\n")

    def files(self) -> dict[str, str]:
        """Text of its files by suffix: ``csv``, ``md`` and ``tex``."""
        return {"csv": self.csv, "md": markdown(self), "tex": latex(self)}

    def write(self, folder: Path) -> None:
        """Write ``<name>.csv``, ``<name>.md`` and ``<name>.tex``."""
        for suffix, text in self.files().items():
            write_text(folder / f"{self.name}.{suffix}", text)


INTERVAL_COLUMNS = ("estimate", "low", "high", "scale", "seeds", "seeds_expected")
"""Keys of :func:`columns_of`."""


def columns_of(i: Interval, expected: int) -> dict[str, Any]:
    """An interval as columns of ``data``, with the number of seeds that were asked for."""
    return {
        "estimate": i.estimate,
        "low": i.low,
        "high": i.high,
        "scale": i.scale,
        "seeds": i.n,
        "seeds_expected": expected,
    }


def absent(study: Study, panel: Panel, label: str) -> str:
    """What stands where a label has no value: it failed, or the cell was never asked for."""
    return FAILED if len(study.failures(panel, label)) else MISSING


def short_reason(error: str) -> str:
    """Why a cell was refused, without the numbers that differ from cell to cell."""
    return REFUSAL if "cannot spend" in error else error


def is_loud(cell: str) -> bool:
    """Whether a cell tells of a failure or a mismatch."""
    return cell == FAILED or cell.startswith(f"{MISMATCH}:")


def markdown(table: Table) -> str:
    """The table in Markdown, its title above and its caption below; a part a data set."""

    def line(cells: Iterable[str]) -> str:
        escaped = (str(c).replace("|", "\\|").replace("\n", "<br>") for c in cells)
        return f"| {' | '.join(escaped)} |\n"

    if table.text.empty:
        return f"**{table.title}**\n\nNothing to show.\n\n{table.caption}\n"
    parts = [f"**{table.title}**\n"]
    for title, rows in table.blocks():
        align = ["---" if name in table.words else "---:" for name in rows.columns]
        body = "".join(line(row) for row in rows.itertuples(index=False))
        heading = f"{title}\n\n" if title else ""
        parts.append(f"{heading}{line(rows.columns)}{line(align)}{body}")
    return "\n".join([*parts, f"{table.caption}\n"])


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "[": "{[}",
    "]": "{]}",
    "—": "---",
    "†": r"$\dagger$",
    "é": r"\'e",
    "∞": r"$\infty$",
    "≤": r"$\le$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "±": r"$\pm$",
}


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)


def _latex_cell(text: str) -> str:
    lines = [_latex_text(part) for part in text.split("\n")]
    return (
        lines[0]
        if len(lines) == 1
        else r"\begin{tabular}{@{}l@{}}" + r" \\ ".join(lines) + r"\end{tabular}"
    )


def latex(table: Table) -> str:
    """The table in LaTeX, a tabular a data set; it needs the packages booktabs and graphicx."""
    head = (
        "% needs \\usepackage{booktabs,graphicx}\n\\begin{table}\n\\centering\n"
        f"\\caption{{{_latex_text(table.title)}. {_latex_text(table.caption)}}}\n"
        f"\\label{{tab:{table.name}}}\n"
    )
    if table.text.empty:
        return f"{head}Nothing to show.\n\\end{{table}}\n"
    parts = []
    for title, rows in table.blocks():
        align = "".join("l" if name in table.words else "r" for name in rows.columns)
        lines = [_latex_row(rows.columns), r"\midrule"]
        lines += [_latex_row(row) for row in rows.itertuples(index=False)]
        body = "\n".join(lines)
        heading = (
            f"\\par\\medskip\\textbf{{{_latex_text(title)}}}\\par\\smallskip\n" if title else ""
        )
        parts.append(
            f"{heading}\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n"
            f"\\begin{{tabular}}{{{align}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}}}\n"
        )
    return head + "".join(parts) + "\\end{table}\n"


def _latex_row(cells: Iterable[Any]) -> str:
    return " & ".join(_latex_cell(str(c)) for c in cells) + r" \\"
