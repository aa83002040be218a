"""The matched diffusion of configs/claims.yaml has flow matching's emphasis, in numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.evidence.claims.catalogue import FLOW, MATCHED
from bench.experiment.loading import load
from bench.experiment.spec import Experiment
from bench.formulations.grammar import Train
from bench.models.predictions import PREDICTIONS, gain

CONFIGS = Path(__file__).parents[3] / "configs"
SIGMA_DATA = 0.6
LABELS = {"noise": "vp_matched", "v": "vp_matched_v"}


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return load(CONFIGS / "claims.yaml")


def stage(experiment: Experiment, label: str) -> Train:
    formulation = experiment.formulation(label)
    return formulation.training(formulation.final.name)


def log_snr_at(stage: Train, u: Tensor) -> Tensor:
    """Quantiles of the log_snr that a stage trains at."""
    path = stage.path.build()
    return path.log_snr(stage.time_sampling.build()(u, path))


def weight_on_data(stage: Train, log_snr: Tensor) -> Tensor:
    """What a unit error of the data costs at each log_snr."""
    path = stage.path.build()
    c = path.coefficients(path.t_of_log_snr(log_snr))
    slope = gain(c, PREDICTIONS[stage.prediction](c, SIGMA_DATA))
    return stage.weighting.build()(c, slope) / slope.square()


@pytest.mark.parametrize("label", LABELS.values())
def test_the_density_over_log_snr_is_that_of_flow_matching(
    experiment: Experiment, label: str
) -> None:
    """Equal quantiles, over the range that VP covers: 98% of what flow matching trains at."""
    u = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    flow = log_snr_at(stage(experiment, "flow_matching"), u)
    path = stage(experiment, label).path.build()
    first, last = path.log_snr(torch.tensor(path.interval, dtype=torch.float64)).tolist()
    share_below, share_within = ((flow < first).double().mean(), (flow <= last).double().mean())
    covered = share_below + (share_within - share_below) * u
    truncated = log_snr_at(stage(experiment, "flow_matching"), covered)
    mine = log_snr_at(stage(experiment, label), u)
    torch.testing.assert_close(mine[40:-40], truncated[40:-40], rtol=0, atol=0.03)
    assert float(share_within - share_below) > 0.98
    histogram, edges = np.histogram(mine.numpy(), bins=40, range=(-8, 8), density=True)
    middle = (edges[1:] + edges[:-1]) / 2
    logistic = 1 / (8 * np.cosh(middle / 4) ** 2) / float(share_within - share_below)
    assert np.abs(histogram - logistic).max() < 0.004


@pytest.mark.parametrize("label", LABELS.values())
def test_the_weight_of_the_data_is_that_of_flow_matching(
    experiment: Experiment, label: str
) -> None:
    log_snr = torch.linspace(-9, 9, 61, dtype=torch.float64)
    flow = weight_on_data(stage(experiment, "flow_matching"), log_snr)
    torch.testing.assert_close(flow, (1 + (log_snr / 2).exp()) ** 2)
    torch.testing.assert_close(weight_on_data(stage(experiment, label), log_snr), flow)


def test_diffusion_as_published_has_another_emphasis(experiment: Experiment) -> None:
    """What is matched was not equal before: the tests above can fail."""
    u = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    plain, flow = (
        log_snr_at(stage(experiment, label), u) for label in ("vp_diffusion", "flow_matching")
    )
    assert (plain - flow).abs().max() > 1
    log_snr = torch.tensor([-4.0, 0.0, 4.0], dtype=torch.float64)
    ratio = weight_on_data(stage(experiment, "vp_diffusion"), log_snr) / weight_on_data(
        stage(experiment, "flow_matching"), log_snr
    )
    assert ratio.max() / ratio.min() > math.e


def test_the_config_trains_what_the_claims_look_for(experiment: Experiment) -> None:
    for role, label in [(FLOW, "flow_matching"), *((MATCHED[p], LABELS[p]) for p in MATCHED)]:
        final = stage(experiment, label)
        assert experiment.formulations[label].formulation == role.formulation
        told = {
            "trained_path": final.path.name,
            "prediction": final.prediction,
            "coupling": final.coupling and final.coupling.describe(),
            "time_sampling": final.time_sampling and final.time_sampling.describe(),
            "weighting": final.weighting and final.weighting.describe(),
        }
        assert {name: told[name] for name in role.facts} == dict(role.facts)
    assert experiment.unified_view is not None
    assert load(CONFIGS / "marginal.yaml").budget.accounting == "marginal"
