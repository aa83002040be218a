"""Samples a second that training and sampling take, by switch of the fast path.

Run from the repository's root, on a machine that does nothing else:

    OMP_NUM_THREADS=1 .venv/bin/python tests/benchmarks/throughput.py

Each line is one way to run the U-Net of an experiment: products in bfloat16 (in training) or in
TF32 (in sampling, on a GPU), channels_last, a compiled forward, and all of them. Its steps take
turns with those of the plain network in float32, so that both see the same machine in the same
state; printed are samples a second at the median and the median of the ratios of the seconds, with
its quartiles. The share is that of the card's dense bfloat16 peak, by the FLOPs of the real step; a
card whose peak is not in the table has none. A training step is an update of flow matching by the
stage's own loop; a sample is one evaluation of the network without a gradient. The kit for a GPU
(``tests/benchmarks/gpu``) measures by the same :class:`Setting`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.data.dataset import DataSet
from bench.experiment import loading
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.models.fast_path import arrange, compile_forward
from bench.models.meter import counted
from bench.models.path_model import PathModel
from bench.stages.running.assembly import assemble, frozen
from bench.stages.running.job import Job
from bench.stages.running.switches import SWITCHES
from bench.stages.train import trainer
from bench.streams import stream
from bench.training.budget import Ledger
from bench.training.loop import Trainer

BF16_PEAK = {
    "NVIDIA A100": 312e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H200": 989e12,
}
"""FLOPs a second without sparsity, from NVIDIA's data sheets, by the first words of the name."""

TRAINING_WAYS: tuple[tuple[str, ...], ...] = (
    ("bf16",),
    ("channels_last",),
    ("compile",),
    ("bf16", "channels_last", "compile"),
)
SAMPLING_WAYS: tuple[tuple[str, ...], ...] = (
    ("tf32",),
    ("channels_last",),
    ("compile",),
    ("tf32", "channels_last", "compile"),
)
TURNS, STEPS = 11, 4

LABEL, SEED = "flow_matching", 0


def called(way: Collection[str]) -> str:
    """Name of a way to run the network."""
    return "+".join(way) or "float32"


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
    """The network of an experiment's only data set, with random images.

    Attributes:
        experiment: gives the network, its batch and how it is trained.
        device: where it runs.
    """

    experiment: Experiment
    device: torch.device

    @property
    def dataset(self) -> str:
        """The data set."""
        (name,) = self.experiment.datasets
        return name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample."""
        return self.experiment.described(self.dataset).shape

    @property
    def batch(self) -> int:
        """Samples of an update."""
        return self.experiment.training.batch_size

    def job(self, way: Collection[str], label: str = LABEL, stage: str | None = None) -> Job:
        """A stage of a formulation in the precision that is asked for, by default the last one."""
        training = self.experiment.training.model_copy(
            update={"precision": "bf16" if "bf16" in way else "float32"}
        )
        experiment = self.experiment.model_copy(update={"training": training})
        stage = experiment.formulation(label).final.name if stage is None else stage
        return Job(experiment, Layout(Path("results")), self.dataset, label, stage, SEED)

    def data(self, count: int | None = None) -> DataSet:
        """Random images, never zeros: a card can be faster on those."""
        count = 4 * self.batch if count is None else count
        images = torch.randn(count, *self.shape, generator=stream("throughput"))
        return DataSet(self.dataset, "image", images, images[:1], 256, 1.0)

    def trainer(
        self, way: Collection[str], label: str = LABEL, stage: str | None = None
    ) -> Trainer:
        """The stage's own trainer, its networks with weights that silence nothing."""
        on = tuple(switch for switch in way if switch in SWITCHES and switch != "compile")
        training = trainer(
            self.job(way, label, stage),
            self.data(),
            Ledger(device=self.device),
            self.device,
            rehearsal=True,
            on=on,
        )
        for model in (training.model, training.objective.teacher):
            if model is not None:
                enliven(model.network)
        return training

    def training(self, way: Collection[str], label: str = LABEL, backend: str = "inductor") -> Work:
        """Updates of a formulation's last stage."""
        training = self.trainer(way, label)
        training.probe()  # as it is: torch counts no FLOPs in compiled code
        if "compile" in way:
            compile_forward(training.model.network, backend)
        flops = training.ledger.costs["update"].flops
        return Work(lambda: training.rehearse(1), self.batch, flops)

    def model(self, way: Collection[str] = ()) -> PathModel:
        """A model as it is sampled."""
        stage = self.experiment.formulation(LABEL).final
        network = self.experiment.datasets[self.dataset].network
        model = frozen(assemble(network, self.data(1), stage, SEED), self.device)
        enliven(model.network)
        arrange(model.network, tuple(way))
        return model

    def sampling(
        self, way: Collection[str], batch: int | None = None, backend: str = "inductor"
    ) -> Work:
        """Evaluations without a gradient."""
        model, batch = self.model(way), self.batch if batch is None else batch
        x = torch.randn(batch, *self.shape, generator=stream("throughput")).to(self.device)
        t = torch.tensor([0.5], dtype=torch.float64)

        @torch.no_grad()
        def take() -> None:
            with counted(), rounded_products("tf32" in way):
                model.velocity(x, t)

        with FlopCounterMode(display=False) as counter:
            take()
        if "compile" in way:
            compile_forward(model.network, backend)
        return Work(take, batch, counter.get_total_flops())


def enliven(network: nn.Module) -> None:
    """Move every weight a little: layers that start at zero would silence what lies before them."""
    generator = stream("enliven")
    with torch.no_grad():
        for parameter in network.parameters():
            # Drawn on the host, so that networks on two devices are the same.
            moved = 0.05 * torch.randn(parameter.shape, generator=generator)
            parameter.add_(moved.to(parameter))


@contextmanager
def rounded_products(rounded: bool) -> Iterator[None]:
    """Float32 products that may, or must not, round to TF32; as it was, afterwards."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = rounded
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Work, device: torch.device, steps: int = STEPS) -> float:
    """Wall seconds of one step, from a few; the device synchronised at both ends."""
    synchronise(device)
    start = time.perf_counter()
    for _ in range(steps):
        work.take()
    synchronise(device)
    return (time.perf_counter() - start) / steps


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


def compare(
    build: Callable[[Collection[str]], Work],
    ways: Collection[tuple[str, ...]],
    device: torch.device,
) -> None:
    """Print one line a way, each measured in turns with the plain network."""
    most = peak(device)
    for way in ((), *ways):
        name = called(way)
        try:
            work, plain = build(way), build(())
            found = [(seconds(work, device), seconds(plain, device)) for _ in range(-1, TURNS)][1:]
        except Exception as error:
            # A machine without a compiler still has the other lines.
            print(f"  {name:32} n/a: {str(error).strip().splitlines()[0]}")
            continue
        ratios = [one / other for one, other in found]
        print(line(name, work, [one for one, _ in found], ratios, most))


def parameters(network: nn.Module) -> int:
    """Number of a network's parameters."""
    return sum(p.numel() for p in network.parameters())


def main() -> None:
    """Measure on the GPU, or else on one thread of the CPU."""
    configs, device = ("configs/fashion.yaml", "configs/cifar10.yaml"), torch.device("cuda")
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
        configs, device = ("configs/fashion_small.yaml",), torch.device("cpu")
    for config in configs:
        setting = Setting(loading.load(config), device)
        if device.type == "cpu":
            setting = replace(setting, experiment=with_batch(setting.experiment, 32))
        millions = parameters(setting.model().network) / 1e6
        where = torch.cuda.get_device_name(device) if device.type == "cuda" else "one core"
        print(f"U-Net of {millions:.1f}M, {setting.shape}, batch {setting.batch}, {where}")
        with rounded_products(False):
            print(" training")
            compare(setting.training, TRAINING_WAYS, device)
            print(" sampling")
            compare(setting.sampling, SAMPLING_WAYS, device)


def with_batch(experiment: Experiment, size: int) -> Experiment:
    """The experiment with another number of samples an update."""
    training = experiment.training.model_copy(update={"batch_size": size})
    return experiment.model_copy(update={"training": training})


if __name__ == "__main__":
    main()
