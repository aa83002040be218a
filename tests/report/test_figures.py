"""Figures: there, not empty, the same every time, one look everywhere."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import matplotlib.image
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bench.evidence import records
from bench.report import FIGURE_SUFFIXES, FIGURES
from bench.report.declared import figure
from bench.report.drawing import groups, legend
from bench.report.figures import READ_IN_A_TABLE, write_all
from bench.report.figures.quality_vs_nfe import quality_vs_nfe
from bench.report.figures.quality_vs_wallclock import pareto, quality_vs_wallclock
from bench.report.figures.training import _draw_losses
from bench.report.study import Study
from bench.report.style import GREY, KNOWN, NOTHING, is_empty, look_of
from bench.report.tables.methods import methods
from tests import synthetic


@pytest.mark.parametrize("name", FIGURES)
def test_figures_show_something(finished: Path, broken: Path, name: str) -> None:
    for root in (finished, broken):
        assert not is_empty(root / "figures" / f"{name}.svg")
        pixels = matplotlib.image.imread(root / "figures" / f"{name}.png")[..., :3]
        assert 0.01 < (pixels.min(axis=2) < 0.9).mean() < 0.9


def test_each_figure_has_a_caption_and_two_files(finished: Path) -> None:
    assert all(figure(name).title and figure(name).caption.endswith(".") for name in FIGURES)
    found = {path.name for path in (finished / "figures").iterdir()}
    assert found == {f"{name}.{suffix}" for name in FIGURES for suffix in FIGURE_SUFFIXES}


def test_figures_are_the_same_byte_for_byte(
    finished: Path, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn again, of fresh records and under foreign settings of matplotlib."""
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9.0)
    few = ("quality_vs_nfe", "straightness", "budget")
    monkeypatch.setattr("bench.report.figures.FIGURES", few)
    write_all(Study.read(finished), tmp_path)
    for name, suffix in itertools.product(few, FIGURE_SUFFIXES):
        file = f"{name}.{suffix}"
        assert (tmp_path / file).read_bytes() == (finished / "figures" / file).read_bytes()
    assert matplotlib.rcParams["lines.linewidth"] == 9.0


def test_every_stage_of_a_long_formulation_has_a_curve_of_its_own() -> None:
    """Progressive distillation has six stages and may have more; dashes then come again, paler."""
    axes = Figure().subplots()
    curve = pd.DataFrame({"update": [1, 2, 3], "loss": [3.0, 2.0, 1.0]})
    _draw_losses(axes, "progressive_distillation", [(f"s{i}", 0, curve) for i in range(8)])
    looks = [(line.get_alpha(), line.get_linestyle(), line._dash_pattern) for line in axes.lines]
    assert len(set(map(str, looks))) == 8
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [f"s{i}" for i in range(8)]


def test_without_arrays_published_drawings_are_kept_and_others_say_why(
    finished: Path, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Study(study.records, study.experiments)
    monkeypatch.setattr("bench.report.figures.FIGURES", ("samples", "training"))
    published = finished / "figures" / "samples.svg"
    shutil.copy(published, tmp_path)
    reasons = write_all(bare, tmp_path)
    assert (tmp_path / "samples.svg").read_bytes() == published.read_bytes()
    assert set(reasons) == {"training"}
    assert NOTHING in (tmp_path / "training.svg").read_text()
    assert set(write_all(bare, tmp_path)) == {"training"}


def test_a_run_without_any_value_still_has_all_figures(tmp_path: Path) -> None:
    experiment = synthetic.experiment(seeds=[0])
    nothing = Study(synthetic.records.frame([]), [experiment])
    assert set(write_all(nothing, tmp_path)) == set(FIGURES)


def test_formulations_can_be_told_apart_with_and_without_colour() -> None:
    looks = [look_of(label) for label in synthetic.PLATEAU]
    assert len({look.colour for look in looks}) == len(looks)
    assert len({look.marker for look in looks}) == len(looks)


@pytest.mark.parametrize("matrix", ["protanopia", "deuteranopia"])
def test_colours_stay_apart_for_colour_blind_readers(matrix: str) -> None:
    """Linear simulation (Machado et al. 2009, severity 1): no two colours come close."""
    rows = {
        "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
                       (-0.003882, -0.048116, 1.051998)),
        "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
                         (-0.011820, 0.042940, 0.968881)),
    }[matrix]  # fmt: skip

    def seen(colour: str) -> list[float]:
        return [sum(m * c for m, c in zip(row, to_rgb(colour), strict=True)) for row in rows]

    colours = [seen(look_of(label).colour) for label in synthetic.PLATEAU]
    for one, other in itertools.combinations(colours, 2):
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 0.12


def test_looks_are_fixed_for_labels_nobody_knows() -> None:
    assert look_of("my_new_path") == look_of("my_new_path") != look_of("another_path")
    assert look_of("my_new_path") not in KNOWN.values()
    assert look_of("flow_matching@0.001") == look_of("flow_matching")


def test_the_front_is_chosen_on_one_bank_and_valued_on_the_other(study: Study) -> None:
    panel = study.panels[1]
    every, front = pareto(study, panel, "flow_matching")
    assert len(front) > 2
    assert front["seconds"].is_monotonic_increasing
    assert front["chosen_by"].is_monotonic_decreasing
    for point in front.itertuples():
        faster = every[every["seconds"] < 0.95 * point.seconds]
        assert (faster["chosen_by"] > point.chosen_by).all()
    rows = study.rows(panel, "flow_matching", panel.primary)
    assert set(front["value"].round(9)) <= set(every["value"].round(9))
    assert len(every) == len(rows[rows["noise_bank"] == "scoring"].drop_duplicates(
        ["solver", "tolerance", "nfe_requested"]))  # fmt: skip


MANY = {
    "vp_diffusion": "vp_diffusion", "vp_cosine": "vp_diffusion", "edm": "vp_diffusion",
    "flow_matching": "flow_matching", "sd3": "flow_matching", "gvp": "flow_matching",
    "ot_flow_matching": "ot_flow_matching", "rectified_flow": "rectified_flow",
    "consistency_training": "consistency_training", "scm": "consistency_training",
}  # fmt: skip
"""More formulations than one figure holds, and whose made-up rows they get."""


@pytest.fixture(scope="module")
def crowd(study: Study) -> Study:
    """Ten formulations, of which one is a hundred times worse than the rest at one evaluation."""
    experiment = synthetic.experiment(seeds=[0, 1, 2], formulations=dict.fromkeys(MANY))
    rows = [study.records[study.records["label"] == source].assign(label=label)
            for label, source in MANY.items()]  # fmt: skip
    rows.append(study.records[study.records["label"].str.startswith("floor").fillna(False)])
    table = pd.concat(rows, ignore_index=True)
    bad = (table["label"] == "edm") & (table["nfe_requested"] == 1) & table["metric"].eq("w2")
    return Study(table.assign(value=table["value"].mask(bad, 1e4)), [experiment])


def test_many_formulations_are_drawn_a_kind_a_column(crowd: Study) -> None:
    kinds = [(group.title, len(group.labels)) for group in groups(crowd)]
    assert kinds == [
        ("diffusion-like paths", 4),
        ("flow matching", 3),
        ("reflow", 1),
        ("consistency models, flow maps", 2),
    ]
    figure = quality_vs_nfe(crowd)
    assert isinstance(figure, Figure)
    panels = [axes for axes in figure.axes if axes.lines]
    assert len(panels) == 4 * 2 * 3  # kinds, data sets, views
    coloured = [sum(line.get_color() != GREY for line in axes.lines) - 2 for axes in panels[:4]]
    assert coloured == [4, 3, 1, 2]
    shown = [sum(line.get_color() == GREY for line in axes.lines) for axes in panels[:4]]
    assert shown == [6, 7, 9, 8]
    assert isinstance(quality_vs_wallclock(crowd), Figure)


def test_a_value_far_out_is_printed_and_sets_no_scale(crowd: Study) -> None:
    figure = quality_vs_nfe(crowd)
    assert isinstance(figure, Figure)
    first, second = [axes for axes in figure.axes if axes.lines][:2]
    assert first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[1] < 100
    assert [text.get_text() for text in first.texts] == ["10,000 ↑"]
    assert not second.texts


def test_views_that_nothing_was_swept_for_take_no_room(study: Study) -> None:
    fixed = Study(study.records[study.records["tolerance"].isna()], study.experiments)
    three, two = quality_vs_nfe(study), quality_vs_nfe(fixed)
    assert isinstance(three, Figure)
    assert isinstance(two, Figure)
    assert (len(three.axes), len(two.axes)) == (6, 4)


def test_methods_of_many_formulations_are_told_a_kind_a_block(crowd: Study) -> None:
    blocks = methods(crowd).blocks()
    assert [(title, rows.shape[1] - 1) for title, rows in blocks] == [
        (group.title, len(group.labels)) for group in groups(crowd)
    ]


def test_a_tuning_grid_is_not_drawn(tmp_path: Path) -> None:
    tuned = synthetic.experiment(
        formulations={"flow_matching": {}},
        tuning={"learning_rates": [1e-3, 2e-3], "seed": 100},
        sweep={"solvers": ["euler"]},
    )
    rows = [
        row for label in tuned.labels for row in synthetic.sweep_rows(tuned, "digits", label, 100)
    ]
    reasons = write_all(Study(records.frame(rows), [tuned]), tmp_path)
    assert reasons == dict.fromkeys(FIGURES, READ_IN_A_TABLE)


@pytest.mark.parametrize("width", [3.0, 6.0, 12.0])
def test_a_legend_is_no_wider_than_its_figure(width: float) -> None:
    figure, axes = plt.subplots(figsize=(width, 3), layout="constrained")
    (line,) = axes.plot([0, 1])
    line.set_label("a long enough name")
    legend(figure, [line] * 8, 4)
    figure.canvas.draw()
    (drawn,) = figure.legends
    assert drawn.get_window_extent().width <= figure.bbox.width
    plt.close(figure)
