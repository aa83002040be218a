"""A made-up results folder: the files of a finished run, with numbers from a formula.

For tests of what reads results. Six formulations, two data sets and five seeds behave as the
literature leads one to expect; nothing here is a measurement. :func:`write_run` writes the layout
that the stages write; ``collect`` turns it into records.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from safetensors.numpy import save_file
from sklearn.datasets import load_digits

from bench.errors import RefusedNfeError
from bench.evidence import records
from bench.evidence.screening import scored_cells
from bench.experiment.cells import (
    EXACT,
    SCORING,
    SELECTION,
    UNIFIED,
    compares_with_exact,
    exact_flows,
    has_oracle,
)
from bench.experiment.layout import CONFIG, LEDGER, OUTCOME, Layout
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.files import write_json, write_text
from bench.formulations.grammar import Part
from bench.sampling.solvers.catalogue import SOLVERS

PLATEAU = {
    "vp_diffusion": 1.15,
    "flow_matching": 1.0,
    "ot_flow_matching": 1.02,
    "rectified_flow": 1.35,
    "consistency_distillation": 1.6,
    "consistency_training": 1.9,
}
ONE_STEP = {
    "vp_diffusion": 25.0,
    "flow_matching": 14.0,
    "ot_flow_matching": 9.0,
    "rectified_flow": 1.3,
    "consistency_distillation": 0.6,
    "consistency_training": 0.5,
}
SOLVER_FACTOR = {"euler": 1.0, "midpoint": 0.8, "heun2": 0.7, "rk4": 1.5, "ddim": 0.9,
                 "dpmpp_2m": 0.6, "consistency": 1.0}  # fmt: skip
STRAIGHT = {"vp_diffusion": 2.1, "flow_matching": 1.9, "ot_flow_matching": 0.9,
            "rectified_flow": 0.05}  # fmt: skip
BASE = {"digits": 12.0, "mixture2d": 0.11}
FLOOR = {"digits": 5.0, "mixture2d": 0.09}


def experiment(**changes: Any) -> Experiment:
    """The default formulations on both data sets, five seeds."""
    mapping = {
        "name": "synthetic",
        "datasets": {"mixture2d": {"network": {"width": 64}}, "digits": None},
        "formulations": dict.fromkeys(PLATEAU),
        "budget": {"amount": {"mixture2d": 2e11, "digits": 4e12}},
        "unified_view": {},
        "convergence": {},
    }
    return from_mapping(mapping | changes, "synthetic.yaml")


def _noise(*key: object) -> float:
    """A standard normal number that belongs to ``key``."""
    return float(np.random.default_rng(zlib.crc32(repr(key).encode())).standard_normal())


def primary(dataset: str, label: str, solver: str, nfe: float, seed: int, bank: str) -> float:
    """The made-up primary metric of a cell."""
    label = label.split("@")[0]
    order = SOLVERS[solver].order or 1
    error = ONE_STEP[label] * SOLVER_FACTOR.get(solver, 0.7) / nfe ** min(order, 2)
    if label == "vp_diffusion" and solver == "euler":
        error *= 6
    level = BASE[dataset] * PLATEAU[label] * (1 + error)
    wobble = 0.05 * _noise(dataset, label, seed) + 0.01 * _noise(dataset, label, seed, solver, nfe)
    return level * math.exp(wobble + 0.005 * _noise(dataset, label, solver, nfe, seed, bank))


def _metrics(dataset: str, value: float, key: tuple[object, ...]) -> Iterator[dict[str, Any]]:
    ratio = value / BASE[dataset]
    if dataset == "mixture2d":
        yield {"metric": "w2", "value": value, "reference_set": "held_out"}
        yield {"metric": "sample_nll", "value": 0.2 + 0.1 * ratio}
        return
    common = {"extractor": "digits", "n_reference": 597}
    yield common | {"metric": "fd_digits", "value": value, "reference_set": "held_out"}
    yield common | {"metric": "fd_digits", "value": 0.9 * value, "reference_set": "train"}
    small = 0.002 * _noise(*key, "kid")
    yield common | {"metric": "kid_digits", "value": 0.01 * (ratio - 1) + small}
    yield common | {"metric": "precision_digits", "value": 0.9 / ratio**0.5}
    yield common | {"metric": "recall_digits", "value": 0.8 / ratio**0.3}
    yield {"metric": "memorisation", "value": 0.5 + 0.05 * _noise(*key, "memory") ** 2}


def described(part: Part | None) -> str | None:
    return None if part is None else part.describe()


def sweep_rows(exp: Experiment, dataset: str, label: str, seed: int) -> Iterator[dict[str, Any]]:
    """What a sweep measures on one model."""
    formulation = exp.formulation(label)
    base = {
        "experiment": exp.name,
        "config_digest": exp.digest,
        "dataset": dataset,
        "label": label,
        "formulation": exp.formulations[label].formulation,
        "stage": formulation.final.name,
        "train_seed": seed,
        "sampler": formulation.sampler,
        "coupling": described(formulation.final.coupling),
        "prediction": formulation.final.prediction,
        "time_sampling": described(formulation.final.part("time_sampling")),
        "weighting": described(formulation.final.part("weighting")),
        "interval": "[0, 0.999]" if "vp" in label else "[0, 1]",
        "trained_path": formulation.final.path.name,
        "sampled_path": formulation.final.path.name,
        "batch_size": 1194,
        "device": "cpu",
        "precision": "float32",
        "budget_unit": exp.budget.unit,
        "accounting": exp.budget.accounting,
        "budget_total": exp.budget.amount[dataset],
    }
    consistency = formulation.sampler == "consistency"
    for name in exp.sweep.solvers:
        solver = SOLVERS[name]
        if solver.sampler != formulation.sampler:
            continue
        adaptive = solver.family == "adaptive"
        grid = exp.sweep.few_step_nfe if consistency else exp.sweep.nfe
        for point in exp.sweep.tolerances if adaptive else grid:
            where: dict[str, Any] = {"solver": name, "grid": solver.grid}
            if adaptive:
                nfe = 14 + 6 * round(-2 * math.log10(point) + 2 * STRAIGHT[label.split("@")[0]])
                where |= {"tolerance": point, "nfe": nfe, "nfe_min": nfe - 6, "nfe_max": nfe + 6}
            else:
                nfe = int(point)
                where |= {"nfe_requested": nfe}
                try:
                    solver.intervals_for(nfe)
                except RefusedNfeError as refusal:
                    for bank in exp.sweep.samples:
                        yield (
                            base
                            | where
                            | {
                                "noise_bank": bank,
                                "metric": "refused",
                                "status": "refused",
                                "error": str(refusal),
                            }
                        )
                    continue
                where |= {"nfe": nfe, "nfe_min": nfe, "nfe_max": nfe}
            for bank, count in exp.sweep.samples.items():
                value = primary(dataset, label, name, nfe, seed, bank)
                cell = base | where | {"noise_bank": bank, "n_samples": count}
                for row in _metrics(dataset, value, (dataset, label, seed, name, point, bank)):
                    yield cell | row
                if not consistency:
                    yield cell | {"metric": "endpoint_rmse", "value": 2.0 / nfe**1.5}
                if dataset == "mixture2d" and compares_with_exact(formulation) and bank == SCORING:
                    yield cell | {"metric": "total_rmse", "value": 0.1 + 1.9 / nfe**1.5}
    if not consistency:
        yield from _view_rows(exp, dataset, base)
        if dataset == "mixture2d" and compares_with_exact(formulation):
            yield from _field_rows(base, label, seed)
        level = STRAIGHT[label.split("@")[0]] * math.exp(0.1 * _noise(label, seed, "straight"))
        fine = base | {"solver": "reference", "noise_bank": "scoring"}
        yield fine | {"metric": "straightness_native", "value": level}
        yield fine | {"metric": "arc_over_chord", "value": 1 + 0.3 * level}
        yield fine | {"metric": "straightness_linear", "value": 0.5 + 0.1 * level}


def screen_rows(exp: Experiment, dataset: str, label: str, seed: int) -> pd.DataFrame:
    """What a screen measures on one model: all its cells in the bank ``selection``."""
    rows = records.frame(sweep_rows(exp, dataset, label, seed))
    return rows[(rows["noise_bank"] == SELECTION).fillna(False)]


def swept(exp: Experiment, dataset: str, label: str, seed: int) -> pd.DataFrame:
    """What a sweep measures on one model: of a screened one what the screens of all seeds chose."""
    rows = records.frame(sweep_rows(exp, dataset, label, seed))
    if exp.sweep.screen is None:
        return rows
    screens = pd.concat([screen_rows(exp, dataset, label, other) for other in exp.seeds])
    chosen = {
        (cell.solver, cell.nfe or 0, cell.tolerance or 0.0)
        for cell in scored_cells(exp, dataset, label, seed, screens)
    }
    asked = zip(
        rows["solver"].fillna(""),
        rows["nfe_requested"].fillna(0),
        rows["tolerance"].fillna(0.0),
        strict=True,
    )
    is_cell = rows["solver"].isin(list(SOLVERS)) & (rows["grid"] != UNIFIED)
    is_chosen = pd.Series([cell in chosen for cell in asked], index=rows.index)
    scored = (rows["noise_bank"] == SCORING) & is_chosen
    return rows[(~is_cell | scored).fillna(False)]


def _view_rows(exp: Experiment, dataset: str, base: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A model or the exact field, sampled on every path of the unified view."""
    view = exp.unified_view
    if view is None:
        return
    label, seed = base["label"], base.get("train_seed", 0)
    for nfe in view.nfe:
        for place, path in enumerate(view.paths):
            cell = base | {
                "solver": "euler",
                "grid": UNIFIED,
                "interval": "log_snr [-8.764, 9.115]",
                "sampled_path": path,
                "nfe_requested": nfe,
                "nfe": nfe,
                "nfe_min": nfe,
                "nfe_max": nfe,
                "noise_bank": SCORING,
                "n_samples": 1194,
            }
            # Lower than anything that a selection may see.
            value = 0.01 * BASE[dataset] * (1 + place) * math.exp(0.1 * _noise(label, seed, path))
            for row in _metrics(dataset, value, (dataset, label, seed, path, nfe)):
                yield cell | row
            yield cell | {"metric": "endpoint_rmse", "value": 0.1 * (1 + place) / nfe}


def _field_rows(base: dict[str, Any], label: str, seed: int) -> Iterator[dict[str, Any]]:
    """How far a model is from the exact field."""
    for point in range(-8, 9):
        level = 0.01 * math.exp(-abs(point) / 3 + 0.1 * _noise(label, seed, point))
        for metric in ("field_error.data", "field_error.velocity"):
            yield base | {"metric": metric, "log_snr": float(point), "value": level}
    fine = {"solver": "reference", "noise_bank": SCORING}
    yield base | fine | {"metric": "field_rmse", "value": 0.12 + 0.01 * _noise(label, seed)}


def oracle_rows(exp: Experiment, dataset: str) -> Iterator[dict[str, Any]]:
    """The exact field on every path, and in the unified view."""
    base = {"experiment": exp.name, "config_digest": exp.digest, "dataset": dataset}
    for flow in exact_flows(exp):
        mine = base | {"label": flow.label, "sampler": "ode"}
        if flow.label == EXACT:
            yield from _view_rows(exp, dataset, mine)
            continue
        for cell in flow.cells:
            if cell.nfe is None or cell.refused is not None:
                continue
            where = {
                "solver": cell.solver,
                "grid": cell.grid,
                "sampled_path": flow.path.name,
                "nfe_requested": cell.nfe,
                "nfe": cell.nfe,
                "noise_bank": cell.bank,
            }
            for row in _metrics(dataset, 0.1 + 0.2 / cell.nfe, (flow.label, cell.solver)):
                yield mine | where | row
            yield mine | where | {"metric": "endpoint_rmse", "value": 1.5 / cell.nfe**1.5}


def convergence_rows(exp: Experiment) -> Iterator[dict[str, Any]]:
    """Errors on exact flows that fall as declared: ``(8/intervals)^order`` on two paths."""
    for place, path in enumerate(("linear", "vp")):
        for solver in SOLVERS.values():
            if solver.order is None:
                continue
            for count in (8, 16, 32, 64):
                yield {
                    "experiment": exp.name,
                    "config_digest": exp.digest,
                    "label": f"exact.{path}",
                    "sampled_path": path,
                    "solver": solver.name,
                    "grid": "uniform_t" if solver.cost is None else solver.grid,
                    "nfe_requested": count if solver.cost is None else solver.spends(count),
                    "nfe": 7 * count,
                    "metric": "convergence_rmse",
                    "value": 0.1 * (1 + place) * (8 / count) ** solver.order,
                }


REPEATS = 20
COPYING = ("memorisation", "authenticity")


def floor_rows(exp: Experiment, dataset: str) -> Iterator[dict[str, Any]]:
    """Real samples and copies, again and again; a Gaussian, and untrained nets."""
    base = {
        "experiment": exp.name,
        "config_digest": exp.digest,
        "dataset": dataset,
        "noise_bank": "scoring",
        "n_samples": 1194,
    }
    for label, factor in (("floor.train", 1.0), ("floor.copies", 0.9)):
        for i in range(REPEATS):
            value = FLOOR[dataset] * factor * math.exp(0.1 * _noise(dataset, label, i))
            for row in _metrics(dataset, value, (dataset, label, i)):
                told = row["metric"] in COPYING or row.get("reference_set") == "train"
                if label == "floor.copies" or not told:
                    copied = {"memorisation": 1.0, "authenticity": 0.0} if told else {}
                    mended = {"value": copied.get(row["metric"], row["value"])}
                    yield base | {"label": label, "replicate": i} | row | mended
    if dataset == "digits":
        for i in range(REPEATS):
            for metric, mean in zip(COPYING, (0.5, 0.56), strict=True):
                value = mean + 0.03 * _noise("held out", metric, i)
                yield base | {"label": "floor.held_out", "replicate": i, "metric": metric,
                              "value": value}  # fmt: skip
    for label, factor in (("floor.gaussian", 6.4), ("floor.untrained", 60.0)):
        for row in _metrics(dataset, FLOOR[dataset] * factor, (dataset, label)):
            yield base | {"label": label, "value_se": 0.01 * abs(row["value"])} | row


def timing_rows(exp: Experiment, dataset: str) -> Iterator[dict[str, Any]]:
    """Seconds a sample of every cell, once a label."""
    for label in exp.labels:
        keep = ("experiment", "config_digest", "dataset", "label", "solver", "grid", "tolerance",
                "nfe_requested", "nfe", "device", "precision", "accounting")  # fmt: skip
        for row in sweep_rows(exp, dataset, label, exp.seeds[0]):
            chosen = row.get("noise_bank") == SCORING and row["metric"] in ("fd_digits", "w2")
            if not chosen or row["reference_set"] == "train" or row["grid"] == UNIFIED:
                continue
            seconds = 2e-5 * row["nfe"] * (1.0 + 0.02 * _noise(label, row["solver"], row["nfe"]))
            yield {k: row[k] for k in keep if k in row} | {
                "metric": "seconds_per_sample",
                "value": seconds,
                "seconds_per_sample": seconds,
                "batch_size": 256,
                "train_seed": exp.seeds[0],
            }


def ledger(exp: Experiment, dataset: str, label: str, stage: str, seed: int) -> dict[str, Any]:
    """A stage's ledger: 99.6% of the plan spent, probe included."""
    formulation = exp.formulation(label)
    planned = exp.stage_budget(dataset, label, stage)
    index = [s.name for s in formulation.stages].index(stage)
    before = [s.name for s in formulation.stages[:index]]
    upstream = [
        {
            "stage": name,
            "digest": "0" * 16,
            "spent": 0.996 * exp.stage_budget(dataset, label, name),
        }
        for name in before
    ]

    def charge(share: float) -> dict[str, float]:
        flops = share * planned
        seconds = flops / 4e10
        return {
            "updates": int(flops / 7e8),
            "samples": int(256 * flops / 7e8),
            "forwards": int(256 * flops / 7e8),
            "backwards": int(256 * flops / 7e8),
            "flops": flops,
            "network_passes": 3 * int(256 * flops / 7e8),
            "device_seconds": seconds,
            "coupling_seconds": 0.1 * seconds if "ot_" in label else 0.0,
            "drawing_seconds": 0.02 * seconds,
            "wall_seconds": 1.02 * seconds,
        }

    kind = "train" if formulation.stage(stage).kind == "train" else "pairs"
    own = 0.996 * planned
    return {
        "dataset": dataset,
        "label": label,
        "stage": stage,
        "seed": seed,
        "digest": "0" * 16,
        "unit": exp.budget.unit,
        "accounting": exp.budget.accounting,
        "planned": planned,
        "spent": own,
        "charges": {"probe": charge(0.001), kind: charge(0.995)},
        "peak_memory_bytes": 4.2e8,
        "upstream": upstream,
        "spent_own": own,
        "spent_upstream": sum(u["spent"] for u in upstream),
    }


def _outcome(folder: Path, error: str | None = None, **extras: Any) -> None:
    write_json(
        folder / OUTCOME,
        {
            "status": "failed" if error else "ok",
            "error": error,
            "digest": "0" * 16,
            "files": {},
            "seconds": extras.pop("seconds", {"import": 0.6}),
            "wall_seconds": 1.0,
        }
        | extras,
    )


def _training_csv(folder: Path, label: str, seed: int) -> None:
    lines = ["update,loss"]
    for point in range(1, 101):
        loss = 0.5 + math.exp(-point / 15) + 0.02 * _noise(label, seed, point)
        lines.append(f"{point * 20},{loss}")
    write_text(folder / "training.csv", "\n".join(lines) + "\n")


def _ring(count: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    angle = 2 * np.pi / 8 * generator.integers(0, 8, count)
    centre = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (centre + 0.1 * generator.standard_normal((count, 2))).astype(np.float32)


def _images(count: int) -> np.ndarray:
    return np.asarray(load_digits().images[:count] / 16, dtype=np.float32)


def _data(dataset: str, folder: Path) -> None:
    train = _ring(3000, 0) if dataset == "mixture2d" else 2 * _images(600)[:, None] - 1
    save_file({"train": train}, folder / "data.safetensors")


def _pictures(exp: Experiment, dataset: str, label: str, folder: Path, seed: int) -> None:
    consistency = exp.formulation(label).sampler == "consistency"
    generator = np.random.default_rng(seed)
    solvers = ("consistency",) if consistency else ("euler", "dpmpp_2m")
    wanted = exp.sweep.few_step_nfe if consistency else exp.sweep.nfe
    arrays = {} if consistency else {"dopri5|0.01": np.zeros((1, 2), np.float32)}
    for solver in solvers:
        for nfe in wanted:
            if dataset == "digits":
                images = 255 * _images(16)
                blurred = images + generator.normal(0, 120 / nfe, images.shape)
                grey = blurred.clip(0, 255).astype(np.uint8)[:, None]
                arrays[f"{solver}|{nfe}"] = grey.repeat(3, axis=1)
            else:
                noise = generator.standard_normal((500, 2)).astype(np.float32)
                arrays[f"{solver}|{nfe}"] = _ring(500, seed) + 0.4 * noise / nfe
    save_file(arrays, folder / "samples.safetensors")
    if dataset == "mixture2d" and not consistency:
        times = np.linspace(0, 1, 33, dtype=np.float32)
        start = generator.standard_normal((64, 2)).astype(np.float32)
        end = _ring(64, seed)
        t = times[:, None, None]
        bend = np.float32(STRAIGHT[label]) * 0.2 * np.sin(np.pi * t) * start[:, ::-1]
        paths = ((1 - t) * start + t * end + bend).astype(np.float32)
        save_file({"trajectories": paths, "times": times}, folder / "trajectories.safetensors")


def write_run(exp: Experiment, root: Path, failed: tuple[str, ...] = ()) -> Path:
    """Write every file of a finished run under ``root``; ``failed`` labels end in an error."""
    layout = Layout(root)
    write_text(root / CONFIG, yaml.safe_dump(exp.resolved(), sort_keys=False))
    for dataset in exp.datasets:
        _outcome(layout.data(dataset), sigma_data=0.7, shape=[2], levels=None)
        _data(dataset, layout.data(dataset))
        if dataset == "digits":
            _outcome(layout.extractor(dataset), accuracy=0.981, seconds={"training": 6.0})
        _outcome(layout.floor(dataset), seconds={"import": 3.0, "metrics": 4.0})
        records.write(
            records.frame(floor_rows(exp, dataset)), layout.floor(dataset) / "floor.parquet"
        )
        if has_oracle(exp, dataset):
            folder = layout.oracle(dataset)
            _outcome(folder, seconds={"import": 3.0, "sampling": 1.0, "metrics": 1.0})
            records.write(records.frame(oracle_rows(exp, dataset)), folder / "oracle.parquet")
        for label in exp.labels:
            for seed in exp.seeds:
                error = "ValueError: planted" if label in failed else None
                for stage in exp.formulation(label).stages:
                    folder = layout.stage(dataset, label, seed, stage.name)
                    _outcome(folder, error, seconds={"import": 0.6, "training": 40.0})
                    if not error:
                        write_json(folder / LEDGER, ledger(exp, dataset, label, stage.name, seed))
                        if stage.kind == "train":
                            _training_csv(folder, label, seed)
                            weights = {"weight": np.zeros((60, 70), np.float32)}
                            save_file(weights, folder / "checkpoint.safetensors")
                if exp.sweep.screen is not None:
                    folder = layout.screen(dataset, label, seed)
                    seconds = {"import": 1.0, "sampling": 4.0, "metrics": 3.0}
                    _outcome(
                        folder, f"upstream failed: {error}" if error else None, seconds=seconds
                    )
                    if not error:
                        rows = screen_rows(exp, dataset, label, seed)
                        records.write(rows, folder / "screen.parquet")
                folder = layout.sweep(dataset, label, seed)
                upstream = f"upstream failed: {error}" if error else None
                seconds = {"import": 1.0, "sampling": 8.0, "metrics": 6.0}
                _outcome(folder, upstream, seconds=seconds)
                if not error:
                    records.write(swept(exp, dataset, label, seed), folder / "sweep.parquet")
                    _pictures(exp, dataset, label, folder, seed)
        _outcome(layout.timing(dataset), seconds={"import": 3.0, "timing": 20.0})
        timed = [row for row in timing_rows(exp, dataset) if row["label"] not in failed]
        records.write(records.frame(timed), layout.timing(dataset) / "timing.parquet")
    if exp.convergence is not None:
        folder = layout.convergence()
        _outcome(folder, seconds={"import": 3.0, "metrics": 2.0})
        records.write(records.frame(convergence_rows(exp)), folder / "convergence.parquet")
    return root
