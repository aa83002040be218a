"""Records of a world whose answers are known: each claim can be made true, false, or unclear."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bench.evidence import records

NFE = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
SEEDS = (0, 1, 2, 3, 4)
DATASET = "mixture2d"

EMPHASIS = {"time_sampling": "linear_uniform", "weighting": "linear_velocity"}
LINEAR = {"trained_path": "linear", "coupling": "independent", "prediction": "velocity"}
VP = {"trained_path": "vp", "coupling": "independent", "prediction": "noise"}
USUAL = {"time_sampling": "uniform", "weighting": "unit"}

MODELS: dict[str, dict[str, Any]] = {
    "vp_diffusion": VP | USUAL | {"plateau": 1.3, "slow": 20.0, "straightness_native": 2.0},
    "flow_matching": LINEAR | USUAL | {"slow": 6.0},
    "ot_flow_matching": LINEAR
    | USUAL
    | {"coupling": "minibatch_ot", "slow": 5.0, "straightness_native": 0.4, "arc_over_chord": 1.1},
    "rectified_flow": LINEAR
    | USUAL
    | {"coupling": "paired", "slow": 1.0, "straightness_native": 0.1, "arc_over_chord": 1.01},
    "consistency_training": {"sampler": "consistency", "slow": 0.3, "plateau": 1.2},
    "vp_matched": VP | EMPHASIS | {"formulation": "vp_diffusion", "slow": 6.0},
    "vp_matched_v": VP | EMPHASIS | {"formulation": "vp_diffusion", "prediction": "v", "slow": 6.0},
}
"""What the models are, where they settle (``plateau``) and how slowly (``slow``)."""

WORLD: dict[str, Any] = {
    "experiment": "planted",
    "accounting": "all_in",
    "spread": 0.01,  # of each seed, on the log scale
    "seeds": SEEDS,
    "plateau": 1.0,
    "slow": 5.0,
    "straightness_native": 1.0,
    "arc_over_chord": 1.4,
    "straightness_linear": 1.0,
    "slope": 1.0,
    "slope_spread": 0.002,
    "budget_total": 1e11,
    "sampler": "ode",
}


def _noise(*key: object) -> float:
    return float(np.random.default_rng(zlib.crc32(repr(key).encode())).standard_normal())


def model(label: str, **changes: Any) -> Iterator[dict[str, Any]]:
    """Records of one label."""
    told = WORLD | MODELS[label] | changes
    base = {
        "experiment": told["experiment"],
        "dataset": DATASET,
        "label": label,
        "formulation": told.get("formulation", label),
        "accounting": told["accounting"],
        "budget_total": told["budget_total"],
        "sampler": told["sampler"],
        "stage": "train",
    }
    facts = ("coupling", "prediction", "time_sampling", "weighting", "trained_path")
    base |= {name: told[name] for name in facts if name in told}
    consistency = told["sampler"] == "consistency"
    solver = "consistency" if consistency else "euler"
    cells = {"solver": solver, "grid": "consistency" if consistency else "uniform_t"}
    for seed in told["seeds"]:
        mine = base | {"train_seed": seed}

        def value(mean: float, *key: object, seed: int = seed) -> float:
            return float(mean * np.exp(told["spread"] * _noise(label, seed, *key)))

        for nfe in NFE[:2] if consistency else NFE:
            swept = mine | cells | {"nfe_requested": nfe, "nfe": float(nfe)}
            quality = value(told["plateau"] * (1 + told["slow"] / nfe))
            for bank in ("scoring", "selection"):
                yield swept | {"metric": "w2", "value": quality, "noise_bank": bank,
                               "reference_set": "held_out"}  # fmt: skip
            if seed in told["seeds"][:3]:
                slope = told["slope"] + told["slope_spread"] * _noise(label, seed, "slope")
                seconds = 1e-5 * nfe**slope
                yield swept | {"metric": "seconds_per_sample", "value": seconds, "stage": "timing"}
        if not consistency:
            for metric in ("straightness_native", "arc_over_chord", "straightness_linear"):
                yield mine | {"metric": metric, "value": value(told[metric], metric),
                              "noise_bank": "scoring", "solver": "reference"}  # fmt: skip


def exact(errors: dict[str, dict[int, float]], error: float = 1e-5) -> Iterator[dict[str, Any]]:
    """Records of the exact field: distance to the fine solve by path and NFE."""
    for path, by_nfe in errors.items():
        for nfe, value in by_nfe.items():
            yield {
                "experiment": "planted", "dataset": DATASET, "label": "exact", "grid": "unified",
                "solver": "rk4", "sampled_path": path, "noise_bank": "scoring",
                "nfe_requested": nfe, "nfe": float(nfe), "metric": "endpoint_rmse",
                "value": value, "value_se": error, "reference_set": "reference_solve",
            }  # fmt: skip


CONVERGED = {"linear": {16: 0.02, 64: 2e-4}, "vp": {16: 0.04, 64: 1e-4}}


def world(
    changes: dict[str, dict[str, Any]] | None = None,
    *,
    without: tuple[str, ...] = (),
    ends: dict[str, dict[int, float]] | None = None,
    **everywhere: Any,
) -> pd.DataFrame:
    """Records of all labels but those ``without``, with ``changes`` by label."""
    rows = [
        row
        for label in MODELS
        if label not in without
        for row in model(label, **everywhere, **(changes or {}).get(label, {}))
    ]
    return records.frame([*rows, *exact(CONVERGED if ends is None else ends)])
