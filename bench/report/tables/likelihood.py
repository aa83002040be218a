"""The likelihood of held-out data under the models, beside that of the exact law."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.experiment.cells import has_likelihood
from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING, bracket, plain, seeds, tick
from bench.report.study import Panel, Study
from bench.report.table import (
    BLOCK,
    INTERVAL_COLUMNS,
    INTERVAL_NOTE,
    NOT_APPLICABLE,
    Table,
    absent,
    columns_of,
)

NLL, EXACT_NLL, GAP, BITS, PROBES = "nll", "nll_exact", "nll_gap", "bits_per_dim", "nll_probe_se"
COLUMNS = {
    NLL: "NLL (nats)",
    GAP: "above the exact law (nats)",
    BITS: "bits/dim",
}
REFUSED = "refused"


def likelihood(study: Study) -> Table:
    """NLL and bits per dimension of each formulation, and the evaluations that they took."""
    data: list[dict[str, Any]] = []
    text: list[dict[str, str]] = []
    for panel in study.panels:
        experiment = study.experiment(panel)
        for label in study.labels(panel) if experiment.likelihood is not None else ():
            line = {BLOCK: panel.title, "formulation": study.titles[label]}
            rows = study.rows(panel, label, NLL)
            if rows.empty:
                asked = has_likelihood(experiment, label)
                line[COLUMNS[NLL]] = _missing(study, panel, label) if asked else NOT_APPLICABLE
            else:
                data += _facts(study, panel, label)
                line |= _shown(study, panel, label, rows)
            text.append(line)
    caption = (
        "Negative log-likelihood of held-out data under each model's own probability flow, by the "
        "instantaneous change of variables (Chen et al., 2018, arXiv:1806.07366), in nats a "
        "sample; lower is better. Only the velocity is read, so it holds for every coupling. Where "
        "the law of the data is "
        "known, its own value on the same data stands beside it, and how far the model is above "
        "it: an estimate of the Kullback-Leibler divergence from the data to the model. Images of "
        "grey levels are uniformly dequantised, and bits/dim is an upper bound; the law that is "
        "uniform on L levels has log2(L). The models are trained on the levels themselves, and pay "
        "for density that they gather onto them more narrowly than a level is wide. SE: standard "
        "error over held-out samples, mean over seeds, and in brackets the part due to the random "
        "signs that estimate the trace, where it is not exact. NFE: velocity evaluations of "
        "dopri5 at the tolerance named, measured; each has its backward passes for the trace "
        f"besides. Models without a probability flow have no likelihood. {INTERVAL_NOTE}"
    )
    if not text:
        caption = f"No experiment here asks for it with the section likelihood. {caption}"
    frame = pd.DataFrame(text).fillna(MISSING)
    title = "Likelihood of held-out data"
    return Table("likelihood", title, caption, pd.DataFrame(data), frame)


def _missing(study: Study, panel: Panel, label: str) -> str:
    """Refused, failed, or never measured."""
    rows = study.measured(panel)
    refused = (rows["label"] == label) & (rows["metric"] == REFUSED) & rows["nfe_requested"].isna()
    return REFUSED if refused.fillna(False).any() else absent(study, panel, label)


def _facts(study: Study, panel: Panel, label: str) -> list[dict[str, Any]]:
    """Every quantity over seeds, in full precision."""
    facts = []
    for metric in (NLL, EXACT_NLL, GAP, BITS, PROBES):
        rows = study.rows(panel, label, metric)
        if not rows.empty:
            place = {
                "experiment": panel.experiment,
                "dataset": panel.dataset,
                "label": label,
                "metric": metric,
            }
            measured = {
                "value_se": rows["value_se"].astype(float).mean(),
                "tolerance": float(rows["tolerance"].iloc[0]),
                "samples": int(rows["n_samples"].iloc[0]),
                "nfe_mean": rows["nfe"].astype(float).mean(),
                "nfe_min": rows["nfe_min"].astype(float).min(),
                "nfe_max": rows["nfe_max"].astype(float).max(),
            }
            over = columns_of(study.model_metric(panel, label, metric), study.expected(panel))
            facts.append(place | over | measured)
    return facts


def _shown(study: Study, panel: Panel, label: str, rows: pd.DataFrame) -> dict[str, str]:
    """The cells of a label's line."""
    line = {}
    for metric, title in COLUMNS.items():
        interval = study.model_metric(panel, label, metric)
        if interval.n:
            line[title] = bracket(interval) + seeds(interval.n, study.expected(panel))
        if metric == NLL:
            exact = study.model_metric(panel, label, EXACT_NLL)
            line |= {"exact law (nats)": plain(exact.estimate)} if exact.n else {}
    probes = study.model_metric(panel, label, PROBES)
    error = plain(float(rows["value_se"].astype(float).mean()), 2)
    line["SE"] = f"{error} ({plain(probes.estimate, 2)})" if probes.n else error
    mean, low, high = rows["nfe"].mean(), rows["nfe_min"].min(), rows["nfe_max"].max()
    line["NFE (min to max)"] = f"{plain(float(mean))} ({low:.0f} to {high:.0f})"
    line["tolerance"] = tick(float(rows["tolerance"].iloc[0]))
    return line


TABLE = DeclaredTable(
    section="likelihood",
    rank=10,
    build=likelihood,
    columns=(
        "experiment", "dataset", "label", "metric", *INTERVAL_COLUMNS, "value_se",
        "tolerance", "samples", "nfe_mean", "nfe_min", "nfe_max",
    ),
)  # fmt: skip
