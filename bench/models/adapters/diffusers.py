"""A UNet of diffusers with the scheduler it was trained with.

diffusers counts time in timesteps ``k`` from data (0) to noise (T - 1). Here time runs the other
way: ``k = (T - 1)*(1 - t)``, a number between timesteps where t lies between them. The network is
asked there too: its embedding of time is a smooth function of a float, as diffusers' own
schedulers with fractional timesteps use it.

Nothing is clipped or thresholded, and no step is added at the end: t = 1 is timestep 0, where
some noise is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.errors import InputError
from bench.models.adapters.foreign import Foreign
from bench.models.adapters.tabulated import Tabulated

MEANINGS = {"epsilon": "noise", "sample": "data", "v_prediction": "v"}
"""``scheduler.config.prediction_type`` and our name for it."""


def from_diffusers(unet: Callable[..., Any], scheduler: Any) -> Foreign:
    """The model of a pair of diffusers.

    Args:
        unet: called as ``unet(x, timesteps, return_dict=False)[0]``; output channels beyond those
            of ``x`` hold a learnt variance, which no deterministic solver reads.
        scheduler: gives ``alphas_cumprod [T]`` and ``config.prediction_type``.

    Raises:
        InputError: the scheduler has no variance-preserving schedule, one that reaches alpha = 0,
            or an unknown prediction type.
    """
    name = type(scheduler).__name__
    cumprod = getattr(scheduler, "alphas_cumprod", None)
    if not isinstance(cumprod, Tensor):
        raise InputError(f"{name}: has no alphas_cumprod; give the scheduler of training")
    meaning = scheduler.config.prediction_type
    if meaning not in MEANINGS:
        names = ", ".join(MEANINGS)
        raise InputError(f"{name}: prediction_type: got {meaning!r}; known: {names}")
    squared = cumprod.detach().cpu().double().flip(0)
    try:
        path = Tabulated(squared.log() - torch.log1p(-squared))
    except ValueError as error:
        raise InputError(f"{name}: alphas_cumprod: {error}") from None
    last = len(squared) - 1

    def function(x: Tensor, t: Tensor) -> Tensor:
        output: Tensor = unet(x, last * (1 - t), return_dict=False)[0]
        return output[:, : x.shape[1]]

    return Foreign(function, path, MEANINGS[meaning])
