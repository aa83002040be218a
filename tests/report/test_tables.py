"""Tables recomputed from records.parquet by other means than the report's."""

from __future__ import annotations

import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.evidence.statistics import Interval
from bench.experiment.cells import UNIFIED
from bench.metrics.declared import measured_in
from bench.registry import discover
from bench.report import TABLE_SUFFIXES, TABLES
from bench.report.numbers import bracket, fraction, plain, scaled, tick
from bench.report.study import Study
from bench.report.table import Table, latex, markdown
from bench.report.tables import build_all
from bench.report.tables.across_datasets import across_datasets
from bench.report.tables.budget import budget
from bench.report.titles import metric_title
from tests import synthetic
from tests.report.conftest import FAILED, SEEDS, WHOLE

PRIMARY = {"digits": "fd_digits", "mixture2d": "w2"}
Row = dict[str, object]


def csv(root: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(root / "tables" / f"{name}.csv")


def parquet(root: Path) -> pd.DataFrame:
    """The records as plain numpy columns."""
    table = pd.read_parquet(root / "records.parquet")
    floats = table.select_dtypes(["Float64", "Int64"]).columns
    return table.assign(**{c: table[c].to_numpy(dtype=float, na_value=np.nan) for c in floats})


def t_interval(values: list[float]) -> tuple[float, float, float]:
    """Mean and interval on the log scale, through scipy's own routine."""
    logs = np.log(values)
    low, high = stats.t.interval(0.95, len(logs) - 1, loc=logs.mean(), scale=stats.sem(logs))
    return math.exp(logs.mean()), math.exp(low), math.exp(high)


def selected_by_hand(rows: pd.DataFrame, nfe: int) -> list[float]:
    """Scored values of one data set and label, the choice made with plain loops."""
    values, swept = [], sorted(set(rows["nfe_requested"].dropna()))

    def is_candidate(row: Any, solver: str, tolerance: float) -> bool:
        if row.solver != solver:
            return False
        if math.isnan(tolerance):
            return bool(math.isnan(row.tolerance) and row.nfe_requested == nfe)
        of_cell = (rows["solver"] == solver) & (rows["tolerance"] == tolerance)
        most = rows[of_cell & (rows["noise_bank"] == "selection")]["nfe_max"].max()
        first = [count for count in swept if count >= most][:1]
        return bool(row.tolerance == tolerance and first == [nfe])

    samplers = [(solver, math.nan) for solver in sorted(set(rows["solver"]))]
    adaptive = rows[rows["tolerance"].notna()]
    samplers += sorted(set(zip(adaptive["solver"], adaptive["tolerance"], strict=True)))
    for seed in SEEDS:
        means = {}
        for sampler in samplers:
            others = [
                row.value
                for row in rows.itertuples()
                if is_candidate(row, *sampler)
                and row.noise_bank == "selection"
                and row.train_seed != seed
            ]
            if others:
                means[sampler] = sum(map(math.log, others)) / len(others)
        best = min(means, key=lambda sampler: means[sampler])
        values += [
            row.value
            for row in rows.itertuples()
            if is_candidate(row, *best) and row.noise_bank == "scoring" and row.train_seed == seed
        ]
    return values


def cells(records: pd.DataFrame, dataset: str, label: str) -> pd.DataFrame:
    return records[
        (records["dataset"] == dataset)
        & (records["label"] == label)
        & (records["metric"] == PRIMARY[dataset])
        & (records["reference_set"] == "held_out")
        & (records["status"] == "ok")
        & (records["grid"] != UNIFIED)
    ]


def test_every_table_has_its_three_files(finished: Path) -> None:
    for name in TABLES:
        for suffix in TABLE_SUFFIXES:
            assert (finished / "tables" / f"{name}.{suffix}").stat().st_size > 0


@pytest.mark.parametrize(
    ("dataset", "label", "nfe"),
    [
        ("digits", "vp_diffusion", 1),
        ("digits", "flow_matching", 16),
        ("mixture2d", "rectified_flow", 64),
        ("mixture2d", "consistency_training", 2),
    ],
)
def test_summary(finished: Path, dataset: str, label: str, nfe: int) -> None:
    expected = t_interval(selected_by_hand(cells(parquet(finished), dataset, label), nfe))
    table = csv(finished, "summary").set_index(["dataset", "label", "nfe"])
    row = table.loc[(dataset, label, nfe)]
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx(expected, rel=1e-12)
    assert row["seeds"] == row["seeds_expected"] == len(SEEDS)
    assert row["floor"] == pytest.approx(synthetic.FLOOR[dataset], rel=0.1)
    assert row["floor_low"] < row["floor"] < row["floor_high"]


def test_across_data_sets(finished: Path) -> None:
    """Ranks, trimmed mean and pairs counted one by one."""
    found = csv(finished, "across_datasets").set_index(["label", "nfe"])
    records, nfe = parquet(finished), 4
    labels = sorted(synthetic.PLATEAU)
    floors = {}
    for dataset, metric in PRIMARY.items():
        real = records[(records["dataset"] == dataset) & (records["label"] == "floor.train")]
        draws = real[real["metric"] == metric]["value"].to_numpy(dtype=float)
        floors[dataset] = math.exp(np.log(draws).mean())
    values = {
        (label, dataset): selected_by_hand(cells(records, dataset, label), nfe)
        for label in labels
        for dataset in PRIMARY
    }
    for label in labels:
        row = found.loc[(label, nfe)]
        places, pairs, scaled = [], [], []
        for dataset in PRIMARY:
            means = {one: np.log(values[one, dataset]).mean() for one in labels}
            places.append(1 + sum(mean < means[label] for mean in means.values()))
            scaled += [value / floors[dataset] for value in values[label, dataset]]
            pairs += [
                mine < theirs
                for other in set(labels) - {label}
                for mine in values[label, dataset]
                for theirs in values[other, dataset]
            ]
        cut = len(scaled) // 4
        assert row["mean_rank"] == pytest.approx(np.mean(places))
        assert row["improvement"] == pytest.approx(np.mean(pairs))
        assert row["iqm"] == pytest.approx(np.mean(sorted(scaled)[cut : len(scaled) - cut]))
        assert row["formulations"] == len(labels)
        assert row["datasets"] == 2


def test_a_missing_floor_leaves_the_ranks(study: Study) -> None:
    whole = across_datasets(study).data
    floorless = study.records[study.records["label"].ne("floor.train").fillna(True)]
    found = across_datasets(Study(floorless, study.experiments)).data
    same = ["label", "nfe", "mean_rank", "improvement"]
    pd.testing.assert_frame_equal(found[same], whole[same])
    assert found["iqm"].isna().all()


def test_a_failed_formulation_has_no_rank(broken: Path, study: Study) -> None:
    assert set(csv(broken, "across_datasets")["label"]) == set(WHOLE)
    one = [
        e.model_copy(update={"datasets": {"digits": e.datasets["digits"]}})
        for e in study.experiments
    ]
    assert across_datasets(Study(study.records, one)).data.empty


@pytest.mark.parametrize("extractor", sorted(set(discover("extractors")) - {"random_conv"}))
def test_a_metric_says_whose_features_it_is_taken_in(extractor: str) -> None:
    title = metric_title(f"kid_{extractor}")
    assert title.startswith("KID (")
    assert title.endswith("features)")
    assert "KID" in metric_title(measured_in("kid_{extractor}", extractor))
    named = metric_title(measured_in("fd_{extractor}", extractor))
    assert named == "FID" if extractor == "inception" else named.startswith("Fréchet distance (")


def test_common_solver(finished: Path) -> None:
    rows = cells(parquet(finished), "digits", "vp_diffusion")
    rows = rows[(rows["solver"] == "euler") & (rows["noise_bank"] == "scoring")]
    expected = t_interval(rows[rows["nfe_requested"] == 8]["value"].tolist())
    table = csv(finished, "common_solver").set_index(["dataset", "label", "nfe"])
    row = table.loc[("digits", "vp_diffusion", 8)]
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx(expected, rel=1e-12)
    assert not table.index.get_level_values("label").str.startswith("consistency").any()


def test_nfe_to_quality(finished: Path) -> None:
    """Targets and bounds from the summary's own seeds, by hand."""
    records = parquet(finished)
    labels = list(synthetic.PLATEAU)
    grid = [1, 2, 4, 8, 16, 32, 64]
    curves = {
        label: np.array([selected_by_hand(cells(records, "digits", label), n) for n in grid])
        for label in labels
        if not label.startswith("consistency")
    }
    best = min(np.exp(np.log(curve[-1]).mean()) for curve in curves.values())
    table = csv(finished, "nfe_to_quality")
    table = table[(table["dataset"] == "digits") & (table["sampler"] == "selected sampler")]
    n = len(SEEDS)
    for label, curve in curves.items():
        row = table[(table["label"] == label) & (table["factor"] == 1.5)].iloc[0]
        assert row["target"] == pytest.approx(1.5 * best)
        met = [seed <= 1.5 * best for seed in curve.T]
        most = sorted(grid[int(np.argmax(m))] if m.any() else math.inf for m in met)
        least = sorted(max([0, *np.array(grid)[~np.logical_or.accumulate(m)]]) + 1 for m in met)
        assert (row["least"], row["most"]) == (least[(n - 1) // 2], most[n // 2])
        assert (row["low"], row["high"]) == (least[0], most[-1])


def test_pairs(finished: Path) -> None:
    """Every pair at every number of evaluations, by hand for one of them."""
    records = parquet(finished)
    table = csv(finished, "pairs")
    table = table[(table["dataset"] == "digits") & (table["nfe"] == 64)]
    assert len(table) == 6  # four that solve an equation; consistency models stop at 4
    row = table[(table["label"] == "flow_matching") & (table["over"] == "vp_diffusion")].iloc[0]
    ours, theirs = (
        np.log(selected_by_hand(cells(records, "digits", label), 64))
        for label in ("flow_matching", "vp_diffusion")
    )
    expected = t_interval(np.exp(ours - theirs).tolist())
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx(expected)
    assert row["p"] == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    assert (table["pairs"] == 6).all()
    assert (table["p_adjusted"] >= table["p"]).all()
    text = (finished / "tables" / "pairs.md").read_text()
    assert "Flow matching and VP diffusion" in text or "VP diffusion and Flow matching" in text


def test_budget_adds_up_to_the_ledgers(finished: Path) -> None:
    experiment = synthetic.experiment(seeds=SEEDS)
    table = csv(finished, "budget").set_index(["dataset", "label", "stage"])
    ledger = synthetic.ledger(experiment, "digits", "rectified_flow", "pairs_2", 0)
    pairs = table.loc[("digits", "rectified_flow", "pairs_2")]
    charges = ledger["charges"].values()
    assert pairs["spent"] == pytest.approx(ledger["spent"])
    assert pairs["flops"] == pytest.approx(sum(c["flops"] for c in charges))
    whole = table.loc[("digits", "rectified_flow", "all stages")]
    assert whole["planned"] == pytest.approx(4e12)
    assert whole["spent_over_planned"] == pytest.approx(0.996)
    last = table.loc[("digits", "rectified_flow", "flow_2")]
    assert whole["spent_without_upstream"] == pytest.approx(last["spent"])
    assert last["share_of_spent"] == pytest.approx(0.425)
    coupling = table.loc[("digits", "ot_flow_matching", "train"), "coupling_seconds"]
    assert coupling > 0
    assert table.loc[("digits", "flow_matching", "train"), "coupling_seconds"] == 0
    drawn = sum(charge["drawing_seconds"] for charge in charges)
    assert pairs["drawing_seconds"] == pytest.approx(drawn)
    assert "| drawing s |" in (finished / "tables" / "budget.md").read_text()


def test_seconds_that_no_ledger_has_are_missing_and_not_zero(finished: Path) -> None:
    study = Study.read(finished)
    of_drawing = study.records["metric"].str.endswith(".drawing_seconds")
    assert of_drawing.any()
    before = replace(study, records=study.records[~of_drawing])
    table = budget(before)
    assert table.data["drawing_seconds"].isna().all()
    assert (table.data["coupling_seconds"] >= 0).all()
    assert "drawing" not in table.caption + " ".join(table.text.columns)


def test_cost_is_the_sum_of_all_outcomes(finished: Path) -> None:
    table = csv(finished, "cost")
    records = parquet(finished)
    cost = records[records["metric"].str.startswith("cost.")]
    assert table["total"].sum() == pytest.approx(cost["value"].sum())
    row = table[(table["dataset"] == "digits") & (table["label"] == "rectified_flow")].iloc[0]
    assert row["training"] == pytest.approx(3 * 40.0 * len(SEEDS))
    assert "expected by plan: not stored" in (finished / "tables" / "cost.md").read_text()


def test_floor_compares_every_label(finished: Path) -> None:
    """Real samples again and again: their band, and the ratio of each label to their mean."""
    table = csv(finished, "floor").set_index(["dataset", "label"])
    summary = csv(finished, "summary")
    label_summary = summary[
        (summary["dataset"] == "digits") & (summary["label"] == "flow_matching")
    ]
    row = table.loc[("digits", "flow_matching")]
    assert row["estimate"] == label_summary["estimate"].min()
    records = parquet(finished)
    real = records[(records["dataset"] == "digits") & (records["label"] == "floor.train")]
    draws = real[(real["metric"] == "fd_digits")]["value"].to_numpy(dtype=float)
    assert len(draws) == synthetic.REPEATS
    level = table.loc[("digits", "floor.train")]
    assert level["estimate"] == pytest.approx(np.exp(np.log(draws).mean()))
    assert (level["low"], level["high"]) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))
    assert (level["over_floor"], level["draws"]) == (pytest.approx(1.0), synthetic.REPEATS)
    nfe = int(row["nfe"])
    values = selected_by_hand(cells(records, "digits", "flow_matching"), nfe)
    welch = stats.ttest_ind(np.log(values), np.log(draws), equal_var=False)
    bounds = welch.confidence_interval()
    assert row["over_floor"] == pytest.approx(np.exp(np.log(values).mean() - np.log(draws).mean()))
    expected = tuple(map(math.exp, bounds))
    assert (row["over_floor_low"], row["over_floor_high"]) == pytest.approx(expected)
    gaussian = table.loc[("digits", "floor.gaussian")]
    assert gaussian["over_floor"] == pytest.approx(gaussian["estimate"] / level["estimate"])


def test_copies_are_marked_by_the_band_of_real_held_out_samples(study: Study) -> None:
    """A cell whose samples are nearer to training data than real ones are bears a mark."""
    panel = next(p for p in study.panels if p.dataset == "digits")
    real = study.floors.level(panel, "floor.held_out", "memorisation")
    assert real is not None
    copying = study.records.copy()
    chosen = (copying["label"] == "flow_matching") & (copying["metric"] == "memorisation")
    honest = dict.fromkeys(study.labels(panel), real.value)
    for label, value in (honest | {"flow_matching": real.high + 0.01}).items():
        rows = (copying["label"] == label) & (copying["metric"] == "memorisation")
        copying.loc[rows.fillna(False), "value"] = value
    assert chosen.any()
    built = build_all(Study(copying, study.experiments))
    summary = built["summary"].data
    marked = summary[summary["dataset"] == "digits"].groupby("label")["copies"].all()
    assert marked["flow_matching"]
    assert not marked.drop("flow_matching").any()
    text = built["summary"].text
    assert text[text["formulation"] == "Flow matching"]["NFE 64"].str.contains("†").any()
    assert "copies" in built["summary"].caption
    quality = built["quality"].text
    lines = quality[quality["NFE"] == "—"]["formulation"].tolist()
    assert "real samples, held out" in lines and "training data drawn again" in lines


def test_cells_that_cannot_be_told_from_real_samples_are_at_the_floor(study: Study) -> None:
    """Two labels score what real samples do, and share the first rank though one is lower."""
    records = study.records.copy()
    panels = {panel.dataset: panel for panel in study.panels}
    for dataset, metric in (("digits", "fd_digits"), ("mixture2d", "w2")):
        level = study.floors.level(panels[dataset], "floor.train")
        assert level is not None
        draws = np.array(level.draws)
        for label, shift in (("flow_matching", 0), ("ot_flow_matching", 3)):
            rows = (records["dataset"] == dataset) & (records["label"] == label)
            rows &= (records["metric"] == metric) & (records["nfe_requested"] == 64)
            rows = rows.fillna(False)
            place = records.loc[rows, "train_seed"].to_numpy(dtype=int) + shift
            records.loc[rows, "value"] = draws[place]
    copy = Study(records, study.experiments)
    summary = build_all(copy)["summary"]
    at_floor = summary.data[summary.data["at_floor"]]
    found = set(zip(at_floor["dataset"], at_floor["label"], at_floor["nfe"], strict=True))
    labels = ("flow_matching", "ot_flow_matching")
    assert found == {(dataset, label, 64) for dataset in panels for label in labels}
    text = summary.text[summary.text["formulation"] == "Flow matching"]["NFE 64"]
    assert text.str.endswith("at the floor").all()
    ranked = build_all(copy)["across_datasets"].data
    ranked = ranked[ranked["nfe"] == 64].set_index("label")["mean_rank"]
    assert ranked["flow_matching"] == ranked["ot_flow_matching"] == 1.5
    assert ranked["vp_diffusion"] == 3.0


def test_every_frechet_distance_has_a_memorisation_figure_beside_it(finished: Path) -> None:
    table = csv(finished, "quality")
    table = table[table["dataset"] == "digits"]
    keys = table[table["metric"] == "fd_digits"][["label", "nfe"]].drop_duplicates()
    beside = table[table["metric"] == "memorisation"][["label", "nfe"]]
    assert len(keys) > 0
    assert len(keys.merge(beside)) == len(keys)
    assert set(table[table["metric"] == "fd_digits"]["reference_set"]) == {"held_out", "train"}
    kid = table[table["metric"] == "kid_digits"]
    assert set(kid["scale"]) == {"linear"}


def test_methods_name_parts_and_sizes(finished: Path) -> None:
    text = (finished / "tables" / "methods.md").read_text()
    for word in (
        "minibatch_ot",
        "pairs_2: pairs by heun2",
        "arXiv:2303.01469",
        "4.20 k param",
        "FLOP a forward",
    ):
        assert word in text


def test_refused_cells_are_listed_once_a_solver(finished: Path) -> None:
    text = (finished / "tables" / "status.md").read_text()
    assert text.count("| refused |") == 3  # midpoint, heun2, rk4
    assert "| rk4 | 1, 2 |" in text


def test_a_failed_formulation_is_marked_and_the_others_are_whole(
    finished: Path, broken: Path
) -> None:
    whole, partial = csv(finished, "summary"), csv(broken, "summary")
    assert FAILED not in set(partial["label"])
    pd.testing.assert_frame_equal(
        whole[whole["label"].isin(WHOLE)].reset_index(drop=True), partial.reset_index(drop=True)
    )
    row = next(
        line
        for line in (broken / "tables" / "summary.md").read_text().splitlines()
        if line.startswith("| OT flow matching")
    )
    assert row.count("failed") == 7
    assert "ValueError: planted" in (broken / "tables" / "status.md").read_text()


def test_missing_seeds_are_counted_and_marked(study: Study) -> None:
    gone = (study.records["label"] == "flow_matching") & (study.records["train_seed"] == 2)
    fewer = Study(study.records[~gone.fillna(False)], study.experiments)
    summary = build_all(fewer)["summary"]
    rows = summary.data[summary.data["label"] == "flow_matching"]
    assert set(rows["seeds"]) == {2}
    text = summary.text[summary.text["formulation"] == "Flow matching"]
    assert text["NFE 64"].str.contains(r"\(2/3\)").all()


def test_latex_compiles(finished: Path, tmp_path: Path) -> None:
    """With a LaTeX at hand it is run; without one, braces and environments must balance."""
    tables = sorted((finished / "tables").glob("*.tex"))
    body = "".join(path.read_text() + "\\clearpage\n" for path in tables)
    for name in ("table", "tabular"):
        assert body.count(f"\\begin{{{name}}}") == body.count(f"\\end{{{name}}}") > 0
    unescaped = body.replace("\\{", "").replace("\\}", "")
    assert unescaped.count("{") == unescaped.count("}")
    assert body.isascii()
    compiler = shutil.which("pdflatex")
    if compiler is not None:
        source = tmp_path / "tables.tex"
        source.write_text(
            "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n"
            f"{body}\\end{{document}}\n"
        )
        command = [compiler, "-interaction=nonstopmode", "-halt-on-error", source.name]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)


def test_special_characters_are_escaped() -> None:
    text = pd.DataFrame({"what": ["50% of a_b & {c} | d", "two\nlines"]})
    table = Table("t", "A #1", "costs $5", text, text)
    assert r"50\% of a\_b \& \{c\} $|$ d" in latex(table)
    assert r"costs \$5" in latex(table)
    assert r"a_b & {c} \| d" in markdown(table)
    assert "two<br>lines" in markdown(table)


@pytest.mark.parametrize(
    ("x", "text"),
    [(0.0, "0"), (12.345, "12.3"), (0.00321, "0.00321"), (1234.5, "1,234"), (9.996, "10.0"),
     (-0.5, "-0.500"), (math.nan, "—"), (math.inf, "∞")],
)  # fmt: skip
def test_plain_numbers(x: float, text: str) -> None:
    assert plain(x) == text


def test_other_numbers() -> None:
    assert [tick(x) for x in (0.05, 2.0, 1000.0, 0.001)] == ["0.05", "2", "1,000", "0.001"]
    assert [scaled(x) for x in (13.2e12, 4050.0, 7.0)] == ["13.2 T", "4.05 k", "7.00"]
    assert fraction(0.996) == "99.6%"
    assert bracket(Interval(2.0, 1.0, 3.0, 5, "log")) == "2.0 [1.0, 3.0]"
    assert bracket(Interval(2.0, math.nan, math.nan, 1, "log")) == "2.00"
