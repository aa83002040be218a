"""How the models are made: the table ``methods``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.experiment.cells import UNIFIED
from bench.formulations.grammar import Formulation, Pairs, Part, Stage, Train
from bench.formulations.parts import titled
from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING, fraction, scaled, tick
from bench.report.study import CROWDED, Panel, Study
from bench.report.table import BLOCK, Table


def _stage_attributes(study: Study, panel: Panel, label: str) -> list[dict[str, str]]:
    """What each stage of a label is made of, as declared; a set of pairs trains nothing."""
    experiment = study.experiment(panel)
    training = experiment.training
    foreign = study.is_foreign(panel, label)
    rate = MISSING if foreign else tick(experiment.learning_rate(panel.dataset, label))
    optimisation = {
        "learning rate": f"{panel.dataset}: {rate}",
        "batch size": str(training.batch_size),
        "warm-up": f"{fraction(training.warmup)} of updates",
        "EMA half-life": f"{fraction(training.ema_half_life)} of updates",
        "gradient clip": tick(training.gradient_clip),
        "weight decay": tick(0.0),  # AdamW runs without
        "mirrored images": "half" if training.flip else "none",
    }
    rows = []
    for stage in experiment.formulation(label).stages:
        trains = isinstance(stage, Train)
        rows.append(
            {
                "stage": stage.name,
                "share": MISSING if foreign else fraction(stage.share),
                "path": titled(stage.path),
                "coupling": _described(stage.part("coupling")),
                "prediction": stage.factors().get("prediction", MISSING),
                "objective": _done(stage),
                "time sampling": _described(stage.part("time_sampling")),
                "weighting": _described(stage.part("weighting")),
                "told of time": _told(stage),
                "objective's options": _options(stage),
                "starts from": _start(stage),
                "reads": stage.reads or MISSING,
            }
            | {key: value if trains else MISSING for key, value in optimisation.items()}
        )
    return rows


def _done(stage: Stage) -> str:
    """What a stage does: the objective that it trains, or where its result comes from."""
    if isinstance(stage, Train):
        return stage.objective.name
    if isinstance(stage, Pairs):
        return f"pairs by {stage.solver} at NFE {stage.nfe}"
    return "not known: trained elsewhere"


def _told(stage: Stage) -> str:
    """What a stage's network is told of time."""
    return CONDITIONS[stage.condition] if isinstance(stage, Train) else MISSING


def _start(stage: Stage) -> str:
    """What a stage's network starts from."""
    return (stage.init_from or "fresh network") if isinstance(stage, Train) else MISSING


CONDITIONS = {"log_snr": "log SNR", "time": "t", "interval": "t and the interval ahead"}


def _described(part: Part | None) -> str:
    return MISSING if part is None else titled(part)


def _classes(formulation: Formulation) -> str:
    told = formulation.conditional
    if told is None:
        return "not told"
    return f"told, hidden from {fraction(told.dropout)} of samples; guidance {tick(told.guidance)}"


def _options(stage: Stage) -> str:
    options = stage.objective.options if isinstance(stage, Train) else {}
    return ", ".join(f"{k}={v}" for k, v in options.items()) or MISSING


def _model_attributes(study: Study, panel: Panel, label: str) -> dict[str, str]:
    """What the records say of the evaluated model: interval, size and operations."""
    rows = study.measured(panel)
    is_own = (rows["label"] == label) & (rows["grid"] != UNIFIED).fillna(True)
    rows = rows[is_own.fillna(False)]

    def seen(column: str) -> str:
        return ", ".join(sorted(set(rows[column].dropna().astype(str)))) or MISSING

    kind = study.experiment(panel).datasets[panel.dataset].network.describe()
    if study.is_foreign(panel, label):
        kind = ", ".join(study.experiment(panel).models[label].factories)
    parameters = study.rows(panel, label, "parameters")["value"]
    size = f", {scaled(float(parameters.iloc[-1]))} parameters" if len(parameters) else ""
    return {
        "interval": seen("interval"),
        "network": f"{panel.dataset}: {kind}{size}",
        "FLOP a forward": _forward(study, panel, label),
        "precision": seen("precision"),
    }


def _forward(study: Study, panel: Panel, label: str) -> str:
    """Operations of a forward on one sample, as training counted them; a backward counts two."""
    charges = study.charges(panel, label)
    final = study.experiment(panel).formulation(label).final.name
    if "train.network_passes" not in charges or final not in charges.index:
        return MISSING
    seeds = charges.xs(final, level="stage")
    forward = seeds["train.flops"].sum() / seeds["train.network_passes"].sum()
    return f"{panel.dataset}: {scaled(float(forward))}"


def _joined(values: Iterable[str]) -> str:
    """Different values, one a line, in the order in which they come."""
    distinct = [v for v in dict.fromkeys(values) if v != MISSING]
    return "\n".join(distinct) or MISSING


OWN = ("share", "objective", "objective's options", "starts from", "reads")
"""Rows that differ between the stages of a formulation, and so name the stage."""


def methods(study: Study) -> Table:
    """How each formulation is made: everything that is not printed elsewhere."""
    data: list[dict[str, Any]] = []
    columns: dict[str, dict[str, list[str]]] = {}
    kinds: dict[str, list[str]] = {}
    for panel in study.panels:
        several = len(study.experiments) > 1
        for label in study.labels(panel):
            formulation: Formulation = study.experiment(panel).formulation(label)
            head = study.titles[label] + (f" ({panel.experiment})" if several else "")
            column = columns.setdefault(head, {})
            if head not in kinds.setdefault(study.kind(panel, label), []):
                kinds[study.kind(panel, label)].append(head)
            model = _model_attributes(study, panel, label)
            whole = {
                "sampler": formulation.sampler,
                "grid of fixed solvers": formulation.grid
                if formulation.sampler == "ode"
                else MISSING,
                "classes": _classes(formulation),
                "published in": f"arXiv:{formulation.reference}"
                if formulation.reference
                else MISSING,
            }
            stages = _stage_attributes(study, panel, label)
            for stage in stages:
                place = {"experiment": panel.experiment, "dataset": panel.dataset, "label": label}
                data.append(place | stage | model | whole)
                name = f"{stage['stage']}: " if len(stages) > 1 else ""
                for key, value in stage.items():
                    shown = name + value if key in OWN and value != MISSING else value
                    column.setdefault(key, []).append(shown)
            for key, value in (model | whole).items():
                column.setdefault(key, []).append(value)
    rows = list(next(iter(columns.values()), {}))
    blocks = kinds if len(columns) > CROWDED else {"": list(columns)}
    text = pd.DataFrame(
        [
            {BLOCK: title, "": key} | {head: _joined(columns[head].get(key, [])) for head in heads}
            for title, heads in blocks.items()
            for key in rows
        ]
    ).fillna(MISSING)
    caption = (
        "What each formulation is made of, from the resolved configuration, the declarations of "
        "its file and the records. Whatever is equal in a row is matched on purpose; a learning "
        "rate is the winner of one small common grid on a seed that is not reported. With an "
        "independent coupling and no noise left at the data end, optimal-transport flow matching "
        "and 1-rectified flow are both the formulation 'flow matching'; 'OT' here means the "
        "minibatch optimal-transport coupling."
    )
    return Table("methods", "Methods", caption, pd.DataFrame(data), text, wordy=True)


TABLE = DeclaredTable(
    section="methods",
    rank=10,
    build=methods,
)
