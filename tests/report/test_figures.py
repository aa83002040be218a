"""Figures: there, not empty, the same every time, one look everywhere."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import matplotlib.image
import pytest
from matplotlib.colors import to_rgb

from bench.report import FIGURE_SUFFIXES, FIGURES, TABLES
from bench.report.captions import FIGURE_CAPTIONS
from bench.report.figures import write_all
from bench.report.quality_figures import pareto
from bench.report.study import Study
from bench.report.style import KNOWN, NOTHING, is_empty, look_of
from tests import synthetic


@pytest.mark.parametrize("name", FIGURES)
def test_figures_show_something(finished: Path, broken: Path, name: str) -> None:
    for root in (finished, broken):
        assert not is_empty(root / "figures" / f"{name}.svg")
        pixels = matplotlib.image.imread(root / "figures" / f"{name}.png")[..., :3]
        assert 0.01 < (pixels.min(axis=2) < 0.9).mean() < 0.9


def test_each_figure_has_a_caption_and_two_files(finished: Path) -> None:
    assert set(FIGURE_CAPTIONS) == set(FIGURES)
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


def test_snakemake_shows_the_same_captions() -> None:
    folder = Path("workflow/report")
    for name, (title, caption) in FIGURE_CAPTIONS.items():
        assert (folder / f"figure_{name}.rst").read_text() == f"**{title}.** {caption}\n"
    for name in TABLES:
        assert (folder / f"table_{name}.rst").read_text().startswith("**")
