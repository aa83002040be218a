"""Quality at each number of evaluations: what the tables of one sampler a formulation share."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from bench.evidence.samplers import COMMON_SOLVER
from bench.experiment.cells import SCORING, SELECTION
from bench.experiment.sizes import NoiseBank
from bench.report.numbers import MISSING, banded, bracket, seeds
from bench.report.study import Panel, Study
from bench.report.table import BLOCK, FAILED, NOT_APPLICABLE, absent, columns_of
from bench.report.titles import REAL, metric_title

AT_FLOOR = "at the floor"
COPIED = "†"
COPY_NOTE = (
    f"{COPIED} marks cells whose samples are copies: nearer to training data than real held-out "
    "samples are, so that a low distance says little. "
)


def sampler_mix(counts: dict[str, int]) -> str:
    """How often each sampler was chosen, in words; its name alone where it always was."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} x{n}" for name, n in counts.items())


def quality_by_nfe(study: Study, chosen: pd.DataFrame, with_sampler: bool) -> tuple[Any, Any]:
    """Data and text of a table of the primary metric: a line a label, a column an NFE."""
    data, text = [], []
    for panel in study.panels:
        expected, nfe_list = study.expected(panel), study.nfe(panel)
        real = study.floors.level(panel, REAL)
        for label in study.labels(panel):
            curve = study.curve(panel, label, chosen)
            missing = absent(study, panel, label)
            line = {BLOCK: panel.title, "formulation": study.titles[label]}
            for nfe in nfe_list:
                point = curve.get(nfe)
                mix = study.samplers(panel, label, nfe) if with_sampler else {}
                copied = at_floor = False
                if point is None:
                    cell = missing
                else:
                    mean, *bounds = bracket(point).split(" ", 1)
                    copied = with_sampler and study.floors.copies(panel, label, nfe)
                    at_floor = with_sampler and study.floors.at_floor(panel, label, nfe)
                    mark = COPIED if copied else ""
                    parts = [mean + mark + seeds(point.n, expected), *bounds]
                    parts += [sampler_mix(mix)] if mix else []
                    cell = "\n".join(parts + ([AT_FLOOR] if at_floor else []))
                    data.append(
                        {
                            "experiment": panel.experiment,
                            "dataset": panel.dataset,
                            "label": label,
                            "metric": panel.primary,
                            "nfe": nfe,
                            "sampler": sampler_mix(mix) if mix else COMMON_SOLVER,
                            **columns_of(point, expected),
                            "floor": math.nan if real is None else real.value,
                            "floor_low": math.nan if real is None else real.low,
                            "floor_high": math.nan if real is None else real.high,
                            "at_floor": at_floor,
                            "copies": copied,
                        }
                    )
                line[f"NFE {nfe}"] = cell
            if not curve and missing != FAILED:
                line |= {f"NFE {nfe}": NOT_APPLICABLE for nfe in nfe_list}
            text.append(line | {"floor": banded(real)})
    return pd.DataFrame(data), pd.DataFrame(text).fillna(MISSING)


def primaries(study: Study) -> str:
    """The primary metric of every panel, in words."""
    return "; ".join(f"{p.title}: {metric_title(p.primary)}" for p in study.panels)


def compared_bank(study: Study, panel: Panel) -> NoiseBank:
    """The noise bank in which every solver and grid was sampled, to compare them all."""
    is_screened = study.experiment(panel).sweep.screen is not None
    return SELECTION if is_screened else SCORING


def bank_note(study: Study) -> str:
    """In which noise samplers were compared, where not all were scored; else nothing."""
    if all(experiment.sweep.screen is None for experiment in study.experiments):
        return ""
    return (
        "Where samplers were screened all stand with the samples of the selection noise: only the "
        "best were scored with more. "
    )


def without_flow(study: Study, words: str) -> str:
    """``words`` and the formulations that solve no equation, or nothing where all do."""
    titles = [
        study.titles[label]
        for panel in study.panels
        for label in study.labels(panel)
        if not study.has_flow(panel, label)
    ]
    return f"{words} {', '.join(dict.fromkeys(titles))}. " if titles else ""
