"""The exact denoiser of one Gaussian against azula's.

azula's time runs from data (0) to noise (1); its covariance is given by eigenvectors and values.
"""

from __future__ import annotations

import pytest
import torch

from bench.data.mixture import GaussianMixture
from bench.formulations.grammar import path as declare

denoise = pytest.importorskip("azula.denoise", reason="pip install '.[parity]'")
covariance_of = pytest.importorskip("azula.linalg.covariance", reason="pip install '.[parity]'")
noise_of = pytest.importorskip("azula.noise", reason="pip install '.[parity]'")


@pytest.mark.parametrize("t", [0.01, 0.3, 0.9, 0.999])
def test_the_posterior_mean_of_one_gaussian(t: float) -> None:
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    covariance = factor @ factor.T / 6 + 0.01 * torch.eye(6, dtype=torch.float64)
    mean = torch.randn(6, generator=generator, dtype=torch.float64)
    x = torch.randn(20, 6, generator=generator, dtype=torch.float64)
    values, vectors = torch.linalg.eigh(covariance)
    theirs = denoise.GaussianDenoiser(
        mean,
        covariance_of.FullCovariance(vectors, values),
        noise_of.RectifiedSchedule(alpha_min=0.0, sigma_min=0.0),
    )
    one = torch.ones(1, dtype=torch.float64)
    ours = GaussianMixture(one, mean[None], covariance[None])
    c = declare("linear").build().coefficients(torch.full((20,), t, dtype=torch.float64))
    torch.testing.assert_close(
        ours.posterior_mean_data(x, c),
        theirs(x, torch.tensor(1 - t, dtype=torch.float64)).mean,
        rtol=1e-8,
        atol=1e-8,
    )
