"""The main findings in sentences: every number and every verdict is computed from the records."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bench.evidence.statistics import Interval
from bench.evidence.statistics.floor import over_floor
from bench.report.numbers import banded, bracket, crossing, plain
from bench.report.study import Panel, Study
from bench.report.titles import REAL, STRAIGHTNESS, metric_title

FEW = 2
"""Evaluations up to which a formulation counts as sampled in few."""

CELL = (
    *("dataset", "label", "train_seed", "noise_bank", "sampled_path"),
    *("solver", "grid", "nfe_requested", "tolerance"),
)
"""Columns that tell the cells of a sweep, or of the timing, apart."""


def findings(study: Study, panel: Panel) -> list[str]:
    """Sentences on one data set."""
    if not study.nfe(panel):
        return ["No cell of this data set has a value."]
    parts = (_leaders, _expectation, _reach, _straightest, _against_floor, _memorisation)
    return [sentence for part in parts for sentence in part(study, panel)]


def warnings(study: Study) -> list[str]:
    """What a reader must know before reading the rest: failures, missing seeds, busy machines."""
    said = []
    for panel in study.panels:
        for label in study.labels(panel):
            failed = study.failures(panel, label)
            if failed.empty:
                continue
            seeds = ", ".join(map(str, sorted(study.failed_seeds(panel, label))))
            where = f"{study.titles[label]} on {panel.title}, seeds {seeds}"
            said.append(f"Failed: {where}: {failed['error'].dropna().iloc[0]}")
    shared = study.records[(study.records["status"] == "failed") & study.records["label"].isna()]
    for row in shared.fillna({"dataset": ""}).to_dict("records"):
        place = f" of {row['dataset']}" if row["dataset"] else ""
        said.append(f"Failed: {row['stage']}{place}: {row['error']}")
    timed = study.records[study.records["metric"] == "seconds_per_sample"]
    busy = int(timed["error"].str.contains("contended", na=False).sum())
    if busy:
        said.append(
            f"{busy} of {len(timed)} times were measured while another process had the core; "
            "read seconds with care."
        )
    smaller = study.records["error"].str.contains("out of memory: ", na=False)
    halved = len(study.records[smaller].drop_duplicates(list(CELL)))
    if halved:
        said.append(
            f"{halved} cells did not fit into memory and were computed in smaller batches; "
            "their rows say of which size."
        )
    return said


def _versus(ratio: Interval) -> str:
    """What a paired ratio below 1 says, with its interval."""
    shown = f"paired ratio {bracket(ratio)}"
    if math.isnan(ratio.low):
        return f"{shown}; too few seeds for an interval"
    if ratio.low > 1 or ratio.high < 1:
        return f"{shown}, which excludes 1"
    return f"{shown}, which includes 1: not told apart by these seeds"


def _ranked(study: Study, panel: Panel, nfe: int) -> list[tuple[str, Interval]]:
    """Labels with a value at an NFE, the lowest mean first."""
    points = [
        (label, curve[nfe])
        for label in study.labels(panel)
        if nfe in (curve := study.curve(panel, label, study.selected))
    ]
    return sorted(points, key=lambda pair: pair[1].estimate)


def _leaders(study: Study, panel: Panel) -> Iterator[str]:
    """Who is ahead at the fewest, a few, and the most evaluations."""
    nfe = study.nfe(panel)
    for count in dict.fromkeys([nfe[0], *[n for n in nfe if n == FEW], nfe[-1]]):
        ranked = _ranked(study, panel, count)
        (first, value), *followers = ranked
        text = (
            f"At {count} evaluation{'s' if count > 1 else ''} {study.titles[first]} has the lowest "
            f"{metric_title(panel.primary)}: {bracket(value)}"
        )
        if followers:
            second, second_value = followers[0]
            ratio = study.ratio(panel, first, second, count)
            text += (
                f"; next is {study.titles[second]} with {bracket(second_value)} ({_versus(ratio)})"
            )
        yield text + "."


def _expectation(study: Study, panel: Panel) -> Iterator[str]:
    """The pattern that was expected beforehand, confirmed or not."""
    fast = [name for name in study.labels(panel) if study.is_few_step(panel, name)]
    slow = [name for name in study.labels(panel) if name not in fast]
    nfe = study.nfe(panel)
    claims = (
        (nfe[0], fast, slow, "models made for few evaluations", "the others"),
        (nfe[-1], slow, fast, "the others", "models made for few evaluations"),
    )
    for count, ahead, behind, name, rivals in claims:
        ranked = [label for label, _ in _ranked(study, panel, count)]
        best = next((label for label in ranked if label in ahead), None)
        rival = next((label for label in ranked if label in behind), None)
        if best is None or rival is None:
            continue
        ratio = study.ratio(panel, best, rival, count)
        if math.isnan(ratio.low) or ratio.low <= 1 <= ratio.high:
            verdict = "The records leave it open"
        else:
            verdict = "The records agree" if ratio.high < 1 else "The records disagree"
        yield (
            f"Expected beforehand: at {count} evaluation{'s' if count > 1 else ''} {name} are "
            f"ahead of {rivals}. {verdict}: {study.titles[best]} against {study.titles[rival]}, "
            f"{_versus(ratio)}."
        )


def _reach(study: Study, panel: Panel) -> Iterator[str]:
    """Evaluations needed for the common targets."""
    for factor, target in study.targets(panel).items():
        parts = []
        for label in study.labels(panel):
            summary = study.crossing(panel, label, study.selected, target)
            if summary is not None:
                parts.append(f"{study.titles[label]} {crossing(summary, study.expected(panel))}")
        if parts:
            yield (
                f"Evaluations needed to come within {factor:g} times the best mean at the most "
                f"evaluations (a target of {plain(target)}): {'; '.join(parts)}."
            )


def _straightest(study: Study, panel: Panel) -> Iterator[str]:
    """The order of the formulations by each straightness figure."""
    for metric in STRAIGHTNESS:
        intervals = [
            (study.model_metric(panel, label, metric), label) for label in study.labels(panel)
        ]
        ranked = sorted((i.estimate, label) for i, label in intervals if i.n)
        if len(ranked) > 1:
            order = ", ".join(f"{study.titles[label]} {plain(x)}" for x, label in ranked)
            yield f"From straightest to least straight by {metric_title(metric)}: {order}."


def _against_floor(study: Study, panel: Panel) -> Iterator[str]:
    """How far the best is from real data, and who loses to a Gaussian or an untrained net."""
    best = {
        label: min(i.estimate for i in curve.values())
        for label in study.labels(panel)
        if (curve := study.curve(panel, label, study.selected))
    }
    floor = study.floors.level(panel, REAL)
    if floor is not None:
        label = min(best, key=lambda name: best[name])
        curve = study.curve(panel, label, study.selected)
        nfe = min(curve, key=lambda n: curve[n].estimate)
        over = over_floor(study.by_seed(panel, label, nfe).values(), floor)
        yield (
            f"The lowest mean of all, {study.titles[label]} with {bracket(curve[nfe])}, is "
            f"{bracket(over)} times the floor of {banded(floor)} that real samples reach against "
            "the same held-out data."
        )
    for key, what in (("floor.gaussian", "fitted Gaussian"), ("floor.untrained", "untrained net")):
        level = study.floors.level(panel, key)
        if level is None:
            continue
        losing = [study.titles[name] for name, value in best.items() if value >= level.value]
        if losing:
            yield f"Do not beat the {what} ({plain(level.value)}): {', '.join(losing)}."
        else:
            yield f"All formulations beat the {what} ({plain(level.value)})."


def _memorisation(study: Study, panel: Panel) -> Iterator[str]:
    """Whether samples are nearer to training data than to held-out data."""
    rows = study.at_selected(panel)
    rows = rows[(rows["metric"] == "memorisation") & (rows["nfe"] == rows["nfe"].max())]
    if len(rows):
        means = rows.groupby("label")["value"].mean().astype(float)
        high = str(means.idxmax())
        yield (
            f"Memorisation at {rows['nfe'].max()} evaluations lies between {plain(means.min())} "
            f"and {plain(means.max())} ({study.titles[high]}); 0.5 means that samples are no "
            "nearer to training data than to unseen data."
        )
