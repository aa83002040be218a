"""Samples a second that training and sampling take, by switch of the fast path.

Run from the repository's root, on a machine that does nothing else:

    OMP_NUM_THREADS=1 .venv/bin/python tests/benchmarks/throughput.py

Each line is one way to run the U-Net: bfloat16 products, channels_last, a compiled forward, and all
of them. Its steps take turns with those of the plain network in float32, so that both see the same
machine in the same state; printed are samples a second at the median and the median of the ratios
of the seconds, with its quartiles. The share is that of the card's dense bfloat16 peak, by the
FLOPs of the real step; a card whose peak is not in the table has none. A training step is an update
of flow matching; a sample is one evaluation of the network without a gradient.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.acceleration import arrange, compile_forward, round_products
from bench.budget import Ledger, counted
from bench.declarations import coupling, objective, path, time_sampling, weighting
from bench.models import PathModel, build_network
from bench.streams import stream
from bench.training import FreshNoise, Settings, Trainer

BF16_PEAK = {
    "NVIDIA A100": 312e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H200": 989e12,
}
"""FLOPs a second without sparsity, from NVIDIA's data sheets, by the first words of the name."""

WAYS: tuple[tuple[str, ...], ...] = (
    ("bf16",),
    ("channels_last",),
    ("compile",),
    ("bf16", "channels_last", "compile"),
)
TURNS, STEPS = 11, 4


def unet(
    channels: int,
    multipliers: Sequence[int],
    blocks: int,
    attention: Sequence[int],
    head: int,
    embedding: int,
) -> dict[str, Any]:
    """Options of a size that ``bench.architectures.unet`` names."""
    return dict(locals())


GREY_14 = unet(32, (1, 2, 2), 1, (), 32, 128)
GREY_28 = unet(64, (1, 2, 2), 2, (7,), 64, 256)
CIFAR = unet(128, (1, 2, 2, 2), 2, (16,), 64, 256)


@dataclass(frozen=True)
class Work:
    """Steps to be timed.

    Attributes:
        take: takes one.
        samples, flops: of one.
    """

    take: Callable[[], object]
    samples: int
    flops: int


@dataclass(frozen=True)
class Setting:
    """A network with its data.

    Attributes:
        shape: of a sample.
        options: of the U-Net.
        batch: samples a step.
        device: where it runs.
    """

    shape: tuple[int, int, int]
    options: dict[str, Any]
    batch: int
    device: torch.device

    def model(self, way: Collection[str]) -> PathModel:
        """A fresh model, its network laid out and rounded as asked."""
        network = build_network("unet", self.shape, self.options, 0).to(self.device)
        arrange(network, tuple(way))
        if "bf16" in way:
            round_products(network)
        return PathModel(network, path("linear").build(), "velocity", 1.0)

    def training(self, way: Collection[str]) -> Work:
        """Updates of flow matching."""
        data = torch.randn(4 * self.batch, *self.shape, generator=stream("throughput"))
        training = Trainer(
            model=self.model(way),
            objective=objective("regression").build(
                time_sampling=time_sampling("uniform").build(), weighting=weighting("unit").build()
            ),
            coupling=coupling("independent").build(),
            source=FreshNoise(data.to(self.device), 0),
            settings=Settings(self.batch, 1e-4, 0.1, 0.1, 0.0, 1.0),
            ledger=Ledger(device=self.device),
            seed=0,
            compiled="compile" in way,
        )
        training.probe()
        flops = training.ledger.costs["update"].flops
        return Work(lambda: training.rehearse(1), self.batch, flops)

    def sampling(self, way: Collection[str]) -> Work:
        """Evaluations without a gradient."""
        model = self.model(way)
        x = torch.randn(self.batch, *self.shape, generator=stream("throughput")).to(self.device)
        t = torch.tensor([0.5], dtype=torch.float64)

        @torch.no_grad()
        def take() -> None:
            with counted():
                model.velocity(x, t)

        with FlopCounterMode(display=False) as counter:
            take()
        if "compile" in way:
            compile_forward(model.network)
        return Work(take, self.batch, counter.get_total_flops())


def seconds(work: Work, device: torch.device) -> float:
    """Wall seconds of one step, from a few; the device synchronised at both ends."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    for _ in range(STEPS):
        work.take()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / STEPS


def peak(device: torch.device) -> float | None:
    """The card's bfloat16 peak, where it is known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((value for known, value in BF16_PEAK.items() if name.startswith(known)), None)


def line(name: str, work: Work, taken: list[float], ratios: list[float], most: float | None) -> str:
    """One line of the table."""
    second = median(taken)
    share = "n/a" if most is None else f"{work.flops / second / most:.1%}"
    low, middle, high = quantiles(ratios, n=4)
    spread = f"{middle:.3f} ({low:.3f} to {high:.3f})"
    return f"  {name:32} {work.samples / second:12.1f} /s  {spread:26} {share:>6} of the peak"


def compare(build: Callable[[Collection[str]], Work], device: torch.device) -> None:
    """Print one line a way, each measured in turns with the plain network."""
    most = peak(device)
    for way in ((), *WAYS):
        name = " + ".join(way) or "float32"
        try:
            work, plain = build(way), build(())
            found = [(seconds(work, device), seconds(plain, device)) for _ in range(-1, TURNS)][1:]
        except Exception as error:
            # A machine without a compiler still has the other lines.
            print(f"  {name:32} n/a: {str(error).strip().splitlines()[0]}")
            continue
        ratios = [one / other for one, other in found]
        print(line(name, work, [one for one, _ in found], ratios, most))


def count(network: nn.Module) -> int:
    """Parameters of a network."""
    return sum(p.numel() for p in network.parameters())


def main() -> None:
    """Measure on the GPU, or else on one thread of the CPU."""
    if torch.cuda.is_available():
        device = torch.device("cuda")
        settings = [
            Setting((1, 28, 28), GREY_28, 256, device),
            Setting((3, 32, 32), CIFAR, 128, device),
        ]
    else:
        torch.set_num_threads(1)
        settings = [Setting((1, 14, 14), GREY_14, 32, torch.device("cpu"))]
    for setting in settings:
        parameters = count(setting.model(()).network) / 1e6
        where = (
            torch.cuda.get_device_name(setting.device) if torch.cuda.is_available() else "one core"
        )
        print(f"U-Net of {parameters:.1f}M, {setting.shape}, batch {setting.batch}, {where}")
        print(" training")
        compare(setting.training, setting.device)
        print(" sampling")
        compare(setting.sampling, setting.device)


if __name__ == "__main__":
    main()
