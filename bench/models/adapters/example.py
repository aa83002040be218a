r"""A network of one's own, put through the whole evaluation by one command.

From the repository's folder::

    python -m bench bring --model bench.models.adapters.example:flow --data mixture2d \
        --path linear --prediction velocity

A small MLP learns the velocity of the linear path on the 2-D mixture: flow matching in a few lines,
with nothing of this suite but its data. A real factory would load a checkpoint in place of
training; all that matters is what it returns, a callable ``f(x [b, 2], t [b]) -> [b, 2]`` with time
from noise (t = 0) to data (t = 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.data.sources.mixture2d import Options, build

UPDATES, BATCH, WIDTH = 2000, 256, 64


class Velocity(nn.Module):
    """Two hidden layers on position and time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 2)
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity at ``x [b, 2]``, ``t [b]``."""
        velocity: Tensor = self.layers(torch.cat([x, t[:, None]], dim=1))
        return velocity


def flow(seed: int = 0) -> Velocity:
    """The trained network; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = Velocity()
    data = build(Options()).train
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(UPDATES):
        target = data[torch.randint(len(data), (BATCH,), generator=generator)]
        noise = torch.randn(target.shape, generator=generator)
        t = torch.rand(BATCH, generator=generator)
        x = t[:, None] * target + (1 - t[:, None]) * noise
        loss = (network(x, t) - (target - noise)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network
