"""``likelihood``: how probable held-out data are under the probability flow of finished models.

One row a quantity: ``nll`` is the mean negative log density in nats a sample, for images of grey
levels of the uniformly dequantised ones, with their ``bits_per_dim`` beside it. Where the law of
the data is known, ``nll_exact`` is its own value on the same data, and ``nll_gap`` the mean of the
paired differences: the Kullback-Leibler divergence of the model from the data, up to its standard
error. ``nll_probe_se`` is the part of the standard error of ``nll`` that is due to the probes of
the trace. ``nfe`` counts velocity evaluations along the solve.

Data, their places in the cells of grey levels, and probes are those of the data set: all models and
seeds meet the same, so differences between models are free of them. Conditional models are told
the classes of the held-out data. Guidance has a field that is no velocity of any path from the
noise to a known law, so the density it carries is not that of a model: it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.errors import InputError
from bench.evidence import records
from bench.evidence.columns import experiment_columns, model_columns
from bench.evidence.records import Record
from bench.experiment import digests
from bench.experiment.layout import Layout
from bench.experiment.measuring import LikelihoodSpec
from bench.experiment.spec import Experiment
from bench.stages.running.devices import ready
from bench.stages.running.outcome import INCOMPLETE, run_guarded
from bench.stages.running.seconds import Seconds

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.data.dataset import DataSet
    from bench.models.path_model import PathModel

TABLE = "likelihood.parquet"
GRID = "data_to_noise"
"""Steps of an adaptive solver that runs backwards: no cell of a sweep has them."""

REFUSAL = "guidance mixes two fields: the result is not the flow of a law"


def run(
    experiment: Experiment, layout: Layout, *, dataset: str, label: str, seeds: Sequence[int]
) -> None:
    """Likelihood under ``label``'s models of ``dataset``; finished seeds are left alone.

    Raises:
        InputError: the experiment asks for no likelihood.
    """
    settings = experiment.likelihood
    if settings is None:
        remedy = "add the section, such as likelihood: {}"
        raise InputError(f"{experiment.name}: likelihood: is missing; {remedy}")
    final = experiment.formulation(label).final.name
    for seed in seeds:
        run_guarded(
            layout.likelihood(dataset, label, seed),
            digests.likelihood_digest(experiment, dataset, label, seed),
            partial(_work, experiment, layout, dataset, label, seed, settings),
            files=[TABLE],
            upstream={
                "data": layout.data(dataset),
                final: layout.stage(dataset, label, seed, final),
            },
        )


def _work(
    experiment: Experiment,
    layout: Layout,
    dataset: str,
    label: str,
    seed: int,
    settings: LikelihoodSpec,
    seconds: Seconds,
) -> dict[str, Any]:
    with seconds("import"):
        device = ready(experiment.training.threads)
        from bench.data.files import load
        from bench.sampling.likelihood import SOLVER
        from bench.stages.running import assembly

    formulation = experiment.formulation(label)
    with seconds("metrics"):
        data = load(layout.data(dataset)).at_least(held_out=settings.samples)
        model = assembly.model(experiment, layout, data, label, seed, device)
        start, end = model.path.interval
        about = {
            **model_columns(experiment, layout, dataset, label, seed),
            **experiment_columns(experiment),
            "solver": SOLVER,
            "grid": GRID,
            "tolerance": settings.tolerance,
            "interval": f"[{start:g}, {end:g}]",
            "n_samples": min(settings.samples, len(data.held_out)),
            "reference_set": "held_out",
            "batch_size": settings.batch_size,
            "device": device.type,
            "run_digest": digests.likelihood_digest(experiment, dataset, label, seed),
        }
        conditional = formulation.conditional
        failed: str | None = None
        if conditional is not None and conditional.guidance != 1:
            measured: Sequence[Record] = [_without_value("refused", REFUSAL)]
        else:
            try:
                measured = measure(model, data, settings, device, conditional is not None)
            except Exception as error:
                # One broken model is a row of the table, as a broken cell of a sweep is.
                failed = f"{type(error).__name__}: {error}"
                measured = [_without_value("failed", failed)]
    rows = [{**about, **row} for row in measured]
    records.write(records.frame(rows), layout.likelihood(dataset, label, seed) / TABLE)
    return {INCOMPLETE: failed}


def measure(
    model: PathModel,
    dataset: DataSet,
    settings: LikelihoodSpec,
    device: torch.device,
    by_class: bool,
) -> list[Record]:
    """Metric, value and evaluations of each quantity.

    Args:
        model: finished, frozen.
        dataset: its held-out samples are measured.
        settings: how many, and how well.
        device: where the model is.
        by_class: whether the model is told their classes.
    """
    from bench.sampling.likelihood import (
        bits_per_dimension,
        dequantised,
        log_likelihood,
        rademacher,
    )

    held_out = dataset.held_out[: settings.samples]
    if dataset.levels is not None:
        held_out = dequantised(dataset, held_out, "likelihood", dataset.name, "dequantisation")
    label = None
    if by_class:
        assert dataset.held_out_labels is not None, f"{dataset.name} has no classes"
        label = dataset.held_out_labels[: settings.samples]
        model = model.given(label.to(device))
    probes = None
    if held_out[0].numel() > settings.exact_trace:
        key = ("likelihood", dataset.name, "probes")
        probes = rademacher(len(held_out), settings.probes, dataset.shape, *key)
    likelihood = log_likelihood(
        model,
        held_out.to(device),
        tolerance=settings.tolerance,
        batch_size=settings.batch_size,
        probes=probes,
    )
    if not bool(likelihood.log_density.isfinite().all()):
        raise ValueError("a log density is not finite")
    log_density = likelihood.log_density.cpu()
    spent = {"nfe": likelihood.nfe, "nfe_min": likelihood.nfe_min, "nfe_max": likelihood.nfe_max}
    rows: list[Record] = [_mean("nll", -log_density) | spent]
    if dataset.levels is not None:
        rows.append(_mean("bits_per_dim", bits_per_dimension(dataset, log_density)) | spent)
    if probes is not None:
        error = float(likelihood.probe_se.square().sum().sqrt()) / len(log_density)
        rows.append({"metric": "nll_probe_se", "value": error} | spent)
    law = dataset.mixture
    if law is not None and (label is None or law.labels is not None):
        exact = (law if label is None else law.given(label)).log_density(held_out.double())
        rows.append(_mean("nll_exact", -exact))
        rows.append(_mean("nll_gap", exact - log_density) | spent)
    return rows


def _mean(metric: str, values: Tensor) -> dict[str, Any]:
    """The mean over samples, which are independent, and its standard error."""
    error = (values.std() / len(values) ** 0.5).item()
    return {"metric": metric, "value": values.mean().item(), "value_se": error}


def _without_value(status: str, why: str) -> Record:
    return {"metric": status, "status": status, "error": why}
