"""A pair of diffusers, sampled here and by diffusers itself."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from bench.errors import InputError
from bench.models import adapters
from bench.models.meter import counted
from bench.models.paths import Path
from bench.sampling.sample import Request, sample
from bench.sampling.solvers.catalogue import solver

diffusers = pytest.importorskip("diffusers", reason="pip install '.[parity]'")

SHAPE = (1, 8, 8)
TRAIN, STEPS = 1000, 10
START = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def unet() -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network: torch.nn.Module = diffusers.UNet2DModel(
            sample_size=8,
            in_channels=1,
            out_channels=1,
            layers_per_block=1,
            block_out_channels=(16, 16),
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
        )
    return network.eval().requires_grad_(False)


def model(unet: torch.nn.Module, **schedule: object) -> adapters.ForeignModel:
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=TRAIN, **schedule)
    foreign = adapters.from_diffusers(unet, scheduler)
    assert isinstance(foreign.path, Path)
    assert foreign.prediction is not None
    return adapters.model(
        "mine", foreign, foreign.path, foreign.prediction, SHAPE, torch.device("cpu")
    )


def by_diffusers(unet: torch.nn.Module, **schedule: object) -> Tensor:
    """The end of diffusers' own DDIM at timesteps 900, 800, ..., 0."""
    ddim = diffusers.DDIMScheduler(
        num_train_timesteps=TRAIN, clip_sample=False, set_alpha_to_one=False, **schedule
    )
    ddim.set_timesteps(STEPS)
    assert ddim.timesteps.tolist() == list(range(900, -1, -100))
    x = START
    with counted():
        for timestep in ddim.timesteps:
            x = ddim.step(unet(x, timestep).sample, timestep, x, eta=0.0).prev_sample
    return x


def by_us(found: adapters.ForeignModel) -> Tensor:
    """DDIM in one interval a solve, from one of diffusers' timesteps to the next."""
    x, times = START, [1 - k / (TRAIN - 1) for k in range(900, -1, -100)]
    for here, there in pairwise(times):
        found.path = found.path.cut(here, there)
        # A solve starts at sigma*z: the state is handed over as a whole.
        request = Request(solver("ddim"), 1)
        x = sample(found, x / found.path.start_scale(), request, len(x)).end
    return x


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("betas", ["linear", "squaredcos_cap_v2"])
def test_ddim_ends_where_that_of_diffusers_does(
    unet: torch.nn.Module, betas: str, prediction: str
) -> None:
    schedule = {"beta_schedule": betas, "prediction_type": prediction}
    torch.testing.assert_close(
        by_us(model(unet, **schedule)), by_diffusers(unet, **schedule), rtol=1e-4, atol=1e-4
    )


def test_the_path_is_the_schedule(unet: torch.nn.Module) -> None:
    path = model(unet).path
    cumprod = diffusers.DDPMScheduler(num_train_timesteps=TRAIN).alphas_cumprod.double()
    k = torch.tensor([0, 1, 500, 998, 999])
    alpha, sigma, *_ = path.at(1 - k.double() / (TRAIN - 1))
    torch.testing.assert_close(alpha**2, cumprod[k], rtol=1e-9, atol=0)
    torch.testing.assert_close(sigma**2, 1 - cumprod[k], rtol=1e-6, atol=0)


def test_forwards_are_counted_at_the_unet(unet: torch.nn.Module) -> None:
    found, calls = model(unet), []
    handle = unet.register_forward_hook(lambda module, inputs, output: calls.append(1))
    solution = sample(found, START, Request(solver("heun2"), 8), len(START))
    handle.remove()
    assert solution.nfe == 8 == len(calls)
    assert solution.end.isfinite().all()


def test_channels_of_a_learnt_variance_are_left_out() -> None:
    def unet(x: Tensor, timestep: Tensor, return_dict: bool) -> tuple[Tensor]:
        return (torch.cat([x, torch.full_like(x, 7.0)], dim=1),)

    foreign = adapters.from_diffusers(unet, diffusers.DDPMScheduler())
    assert torch.equal(foreign.function(START, torch.zeros(3)), START)


def test_schedulers_without_such_a_path_are_refused(unet: torch.nn.Module) -> None:
    with pytest.raises(InputError, match="has no alphas_cumprod"):
        adapters.from_diffusers(unet, diffusers.FlowMatchEulerDiscreteScheduler())
    zero = diffusers.DDPMScheduler(rescale_betas_zero_snr=True)
    with pytest.raises(InputError, match="alphas_cumprod: log_snr is infinite"):
        adapters.from_diffusers(unet, zero)
