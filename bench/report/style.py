"""One look for every figure: a formulation keeps its colour, marker and line everywhere.

Colours are those of Okabe and Ito (Color Universal Design, 2008), which stay apart under the common
colour-vision deficiencies; markers and line patterns tell the formulations apart without colour.
A label that is not in the list gets a look from the digest of its name, the same in every figure
and every run. SVG files are reproducible: fixed identifiers, no dates; their text is text, which
can be searched and copied, in the first of some fonts of one width that a reader has.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from bench.files import replacing, write_text
from bench.report.numbers import tick
from bench.report.svg import lightened

Dash = tuple[float | None, ...]

SOLID: Dash = (None, None)
DASHED: Dash = (5, 1.8)
DOTTED: Dash = (1.2, 1.4)
DASH_DOT: Dash = (5, 1.5, 1.2, 1.5)
LONG: Dash = (9, 2)


@dataclass(frozen=True)
class Look:
    """Colour, marker and dash pattern (points on, points off; None is solid) of a label."""

    colour: str
    marker: str
    dash: Dash

    def line(self, **more: Any) -> dict[str, Any]:
        """Arguments of ``Axes.plot``."""
        style = {"color": self.colour, "marker": self.marker, "dashes": self.dash}
        return style | more


KNOWN = {
    "vp_diffusion": Look("#0072B2", "o", SOLID),
    "flow_matching": Look("#E69F00", "s", SOLID),
    "ot_flow_matching": Look("#009E73", "^", DASHED),
    "rectified_flow": Look("#D55E00", "D", DASH_DOT),
    "rectified_flow_2": Look("#D55E00", "D", DASH_DOT),
    "rectified_flow_3": Look("#8C3A00", "d", DOTTED),
    "consistency_distillation": Look("#CC79A7", "v", LONG),
    "consistency_training": Look("#56B4E9", "P", DOTTED),
    "consistency_tuning": Look("#7A4F9A", "X", DASHED),
    "scm": Look("#3D1C6E", "*", DASH_DOT),
    "vp_cosine": Look("#00477A", "h", DASHED),
    "edm": Look("#5C8DB8", "p", DOTTED),
    "gvp": Look("#B8860B", "<", DASHED),
    "sd3": Look("#806000", ">", DASH_DOT),
    "rectified_flow_distilled": Look("#FF8C69", "H", LONG),
    "progressive_distillation": Look("#A61C5B", "X", DOTTED),
    "mean_flow": Look("#4C8C2B", "d", DASH_DOT),
    "shortcut": Look("#1F5F4A", "8", LONG),
}

SPARE_COLOURS = ("#332288", "#117733", "#882255", "#999933", "#44AA99", "#AA4499", "#661100")
SPARE_MARKERS = ("<", ">", "p", "h", "*")
SPARE_DASHES = (SOLID, DASHED, DOTTED, DASH_DOT)

DPI = 150
"""Dots an inch of what is drawn in pixels inside of an SVG."""

PNG_DPI = 120
"""Dots an inch of a PNG: as wide as a page is shown."""

COMPRESSION = 3
"""Level of a PNG's compression: the usual 6 takes three times as long for a tenth less."""

INK, FAINT, FLOOR, GREY = "#222222", "#8a8a8a", "#4d4d4d", "#d2d2d2"

SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "genpathbench",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.bottom": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.left": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "patch.edgecolor": "white",
    "patch.force_edgecolor": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 100,
}


def look_of(label: str) -> Look:
    """The look of a label; ``label@rate`` of a tuning run looks like ``label``.

    Rungs of a ladder, ``label@x0.25``, have the colour and the marker of the label, and dashes of
    their own.
    """
    base, _, multiple = label.partition("@x")
    if multiple and float(multiple) != 1:
        place = round(math.log2(float(multiple))) % len(SPARE_DASHES)
        return replace(look_of(base), dash=SPARE_DASHES[place])
    base = base.split("@")[0]
    if base in KNOWN:
        return KNOWN[base]
    number = int.from_bytes(hashlib.sha256(base.encode()).digest()[:6], "big")
    number, colour = divmod(number, len(SPARE_COLOURS))
    number, marker = divmod(number, len(SPARE_MARKERS))
    dash = number % len(SPARE_DASHES)
    return Look(SPARE_COLOURS[colour], SPARE_MARKERS[marker], SPARE_DASHES[dash])


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's settings for this project, inside the block only."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def new_figure(width: float, height: float) -> Figure:
    """A figure of ``width`` x ``height`` inches that lays itself out, without a window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, folder: Path, name: str, title: str) -> None:
    """Write ``name.svg``, made light, and ``name.png`` (120 dpi), byte for byte reproducible."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")  # laid out once for both files
    figure.set_dpi(DPI)
    # Not by savefig, which draws every figure once more than it writes it.
    drawing = io.StringIO()
    metadata = {"Title": title, "Date": None, "Creator": None}
    FigureCanvasSVG(figure).print_svg(drawing, metadata=metadata)
    write_text(folder / f"{name}.svg", lightened(drawing.getvalue()))
    figure.set_dpi(PNG_DPI)
    with replacing(folder / f"{name}.png") as temporary:
        FigureCanvasAgg(figure).print_png(
            temporary,
            metadata={"Title": title, "Software": None},
            pil_kwargs={"compress_level": COMPRESSION},
        )


def log_nfe(axes: Axes, nfe: Iterable[int]) -> None:
    """A base-2 axis of evaluations, a labelled tick for each of ``nfe``."""
    ticks = sorted(set(nfe))
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(ticks[0] / 1.25, ticks[-1] * 1.25)


def plain_log(axes: Axes, which: str) -> None:
    """A logarithmic axis (``x`` or ``y``), labelled with plain numbers.

    Call it when the data are drawn. A short axis gets evenly spaced round numbers, a longer one
    1, 2, 5 or 1, 3 of each decade, a long one decades.
    """
    getattr(axes, f"set_{which}scale")("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = map(float, axis.get_view_interval())
    reach = high / low if low > 0 else math.inf
    if reach < 5:
        round_numbers = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        axis.set_major_locator(FixedLocator([x for x in round_numbers if low <= x <= high]))
    else:
        subs = [1.0, 2.0, 5.0] if reach < 50 else [1.0, 3.0] if reach < 1e3 else [1.0]
        axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


NOTHING = "Nothing to show"


def is_empty(path: Path) -> bool:
    """Whether an SVG file holds a figure of :func:`empty`."""
    return f"<dc:title>{NOTHING}</dc:title>" in path.read_text(encoding="utf-8")


def empty(reason: str) -> Figure:
    """A figure that says why there is nothing to show."""
    figure = new_figure(7, 1.2)
    figure.set_layout_engine("none")
    figure.text(0.5, 0.5, reason, ha="center", va="center", color=FAINT)
    return figure
