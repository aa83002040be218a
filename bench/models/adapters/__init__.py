"""Networks that somebody else has trained, in the place of our own models.

A *factory* is a function without arguments (or with one called ``device``) that returns a trained
network: a callable ``f(x [b, ...], t [b]) -> [b, ...]`` with time from noise (t = 0) to data
(t = 1), or what one of the adapters below makes of a network with other conventions. It is named
``package.module:factory`` and imported when a stage runs.

* :func:`from_diffusers`: a UNet and a scheduler of diffusers (discrete timesteps, any variance
  preserving schedule);
* :func:`from_torchcfm`: a network ``net(t, x)`` as torchcfm trains and integrates them.

Neither package is imported here: an adapter is given objects and reads their attributes.
"""

from bench.models.adapters.diffusers import from_diffusers
from bench.models.adapters.foreign import Foreign, ForeignModel
from bench.models.adapters.loading import load, model
from bench.models.adapters.state import state
from bench.models.adapters.tabulated import Tabulated
from bench.models.adapters.torchcfm import from_torchcfm

__all__ = [
    "Foreign",
    "ForeignModel",
    "Tabulated",
    "from_diffusers",
    "from_torchcfm",
    "load",
    "model",
    "state",
]
