"""Part b: how fast training and sampling are on a card, and what they wait for.

First the card's own ceilings are measured, a large matrix product and a copy. Then, for the U-Nets
of ``configs/fashion.yaml`` and ``configs/cifar10.yaml`` at the batch of each file: samples a second
by switch of the fast path, the share of the ceiling that the FLOPs of the real step come to (those
of torch's counter, which the ledgers hold), another library's loop on the same network, what
sampling costs beside bare forwards, and where the host starves the device.

All that is divided by one another takes turns, so that both see the same card in the same state;
low and high are quartiles over turns. Every turn is synchronised at both ends and lasts long enough
for a look at the clock not to matter. Compiling costs most and comes last.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
import yaml
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from bench.experiment import loading
from bench.models.path_model import build_network
from bench.sampling.banks import solver_noise
from bench.sampling.sample import Request
from bench.sampling.solvers.catalogue import SOLVERS
from bench.stages.running.devices import ready
from bench.streams import stream
from bench.tensors import onto
from bench.training.couplings import Pair
from tests.benchmarks.gpu.measure import (
    Deadline,
    Findings,
    Group,
    Measurement,
    arguments,
    measure_all,
    quartiles,
)
from tests.benchmarks.solver_overhead import compare
from tests.benchmarks.throughput import (
    Setting,
    Work,
    called,
    enliven,
    peak,
    rounded_products,
    seconds,
    synchronise,
)

PART = "throughput"
CONFIGS = {name: f"configs/{name}.yaml" for name in ("fashion", "cifar10")}

TRAINING_WAYS: tuple[tuple[str, ...], ...] = (
    (),
    ("bf16",),
    ("channels_last",),
    ("bf16", "channels_last"),
)
SAMPLING_WAYS: tuple[tuple[str, ...], ...] = (
    (),
    ("tf32",),
    ("channels_last",),
    ("tf32", "channels_last"),
)
FASTEST = {"training": ("bf16", "channels_last"), "sampling": ("tf32", "channels_last")}
"""The ways without a compiler that end up fastest, by what is known of such cards."""

OVERHEAD_SOLVERS = ("euler", "dpmpp_2m", "ancestral")


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        turns: of everything that is measured in turns.
        least: seconds of a turn at least.
        product: rows and columns of the matrices whose product is the ceiling.
        copied: bytes that are copied.
        batches, evaluations: samples at once and evaluations, where overhead is measured.
        starts: processes that are started, one after the other.
    """

    turns: int
    least: float
    product: int
    copied: int
    batches: tuple[int, ...]
    evaluations: int
    starts: int


FULL = Sizes(7, 0.05, 8192, 2**30, (64, 256, 1024), 16, 2)
TINY = Sizes(3, 0.0, 256, 2**20, (2,), 3, 1)

SMALL_UNET = {
    "kind": "unet",
    "channels": 8,
    "multipliers": [1, 2],
    "blocks": 1,
    "attention": [],
    "head": 8,
    "embedding": 16,
}
SMALL_BATCH = 2


def setting(config: str, device: torch.device, tiny: bool) -> Setting:
    """The network and the batch of an experiment's file; tiny ones in their place for a dry run."""
    experiment = loading.load(config)
    if tiny:
        with open(config, encoding="utf-8") as file:
            mapping = yaml.safe_load(file)
        (name,) = mapping["datasets"]
        mapping["datasets"][name]["network"] = SMALL_UNET
        mapping["training"]["batch_size"] = SMALL_BATCH
        experiment = loading.from_mapping(mapping, config)
    return Setting(experiment, device)


def figure(
    subject: str, quantity: str, values: Sequence[float], unit: str, note: str = ""
) -> Measurement:
    """The median of some values with their quartiles."""
    low, middle, high = quartiles(values)
    return Measurement(PART, subject, quantity, middle, low, high, unit, note)


def in_turns(
    works: Mapping[str, Work], device: torch.device, sizes: Sizes
) -> dict[str, list[float]]:
    """Seconds of a step of each work, of every turn; after steps to warm up."""
    steps = {}
    for name, work in works.items():
        seconds(work, device, 2)
        once = seconds(work, device, 1)
        steps[name] = max(1, math.ceil(sizes.least / once))
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(sizes.turns):
        for name, work in works.items():
            found[name].append(seconds(work, device, steps[name]))
    return found


def over(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ratios, turn by turn."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


# --- the card -------------------------------------------------------------------------------------


def ceilings(device: torch.device, sizes: Sizes) -> list[Measurement]:
    """FLOPs a second of a matrix product by precision, and bytes a second of a copy."""
    found, size = [], sizes.product
    for name, precision, rounded in (
        ("bf16 product", torch.bfloat16, False),
        ("tf32 product", torch.float32, True),
        ("float32 product", torch.float32, False),
    ):
        if rounded and device.type != "cuda":
            continue
        a, b = (
            drawn(size, size, about=f"{name}, {side}", device=device).to(precision)
            for side in ("left", "right")
        )
        out = torch.empty_like(a)
        with rounded_products(rounded):
            taken = clocked(partial(torch.matmul, a, b, out=out), device, sizes.turns)
        rates = [2 * size**3 / second for second in taken]
        found.append(figure(f"card/{name}", "FLOPs a second", rates, "1/s", f"{size} cubed"))
    source = drawn(sizes.copied // 4, about="copy", device=device)
    target = torch.empty_like(source)
    taken = clocked(lambda: target.copy_(source), device, sizes.turns)
    rates = [2 * sizes.copied / second for second in taken]
    note = f"{sizes.copied} bytes, read and written"
    found.append(figure("card/copy", "bytes a second", rates, "B/s", note))
    return found


def drawn(*shape: int, about: str, device: torch.device) -> Tensor:
    """Standard normal numbers of the device: there are more than the host draws in a moment."""
    return torch.randn(*shape, generator=stream(PART, about, device=device), device=device)


def clocked(work: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """Seconds of each of some runs, by the events of the device where it is a GPU."""
    for _ in range(3):
        work()
    synchronise(device)
    taken = []
    for _ in range(repeats):
        if device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            work()
            end.record()
            torch.cuda.synchronize(device)
            taken.append(start.elapsed_time(end) / 1e3)
        else:
            begun = time.perf_counter()
            work()
            taken.append(time.perf_counter() - begun)
    return taken


def ceiling(findings: Findings, way: Sequence[str]) -> tuple[str, float] | None:
    """The product that a way's products are of, and its FLOPs a second; None if not measured."""
    kind = next((name for name in ("bf16", "tf32") if name in way), "float32")
    subject = f"card/{kind} product"
    known = [row.value for row in findings.measurements if row.subject == subject]
    return (subject, known[0]) if known else None


# --- samples a second -----------------------------------------------------------------------------


def rates(
    findings: Findings,
    about: Setting,
    kind: str,
    ways: Sequence[tuple[str, ...]],
    plain: tuple[str, ...],
    sizes: Sizes,
) -> list[Measurement]:
    """Samples a second of training or sampling by way, and what each is worth beside ``plain``."""
    device = about.device
    backend = "inductor" if device.type == "cuda" else "aot_eager"
    build = about.training if kind == "training" else about.sampling
    works = {called(way): build(way, backend=backend) for way in dict.fromkeys((plain, *ways))}
    taken, found = in_turns(works, device, sizes), []
    for way in ways:
        name = called(way)
        work, subject = works[name], f"{kind}/{about.dataset}/{name}"
        note = f"batch {work.samples}" + (f", {backend}" if "compile" in way else "")
        each = [work.samples / second for second in taken[name]]
        found.append(figure(subject, "samples a second", each, "1/s", note))
        if way != plain:
            ratio = over(taken[name], taken[called(plain)])
            found.append(figure(subject, f"seconds over those of {called(plain)}", ratio, "1"))
        found.append(Measurement(PART, subject, "FLOPs of a step", work.flops, None, None, "1"))
        reached = [work.flops / second for second in taken[name]]
        if (known := ceiling(findings, way)) is not None:
            shares = [rate / known[1] for rate in reached]
            found.append(figure(subject, "share of the measured ceiling", shares, "1", known[0]))
        if (most := peak(device)) is not None:
            shares = [rate / most for rate in reached]
            note = f"{most:.3g} FLOPs a second in bf16"
            found.append(figure(subject, "share of the data sheet's peak", shares, "1", note))
    return found


class Told(nn.Module):
    """One of our networks as torchcfm calls its own: the time first, and nothing of classes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        output: Tensor = self.network(x, t[:, None], None)
        return output


def beside_torchcfm(about: Setting, sizes: Sizes) -> list[Measurement]:
    """Our loop and torchcfm's with plain Adam, on the same network and batch, in float32."""
    from torchcfm.conditional_flow_matching import ConditionalFlowMatcher

    from tests.benchmarks.plain_unet import plain_update

    device, network = about.device, about.experiment.datasets[about.dataset].network
    options = network.model_dump(exclude={"kind"})
    net = Told(build_network(network.kind, about.shape, options, 0)).to(device)
    enliven(net)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    matcher, images = ConditionalFlowMatcher(sigma=0.0), about.data().train.to(device)
    generator = stream(PART, "torchcfm", device=device)

    def take() -> Tensor:
        picked = torch.randint(len(images), (about.batch,), generator=generator, device=device)
        return plain_update(net, matcher, adam, images[picked])

    ours = about.training(())
    works = {"ours": ours, "theirs": Work(take, about.batch, ours.flops)}
    taken, subject = in_turns(works, device, sizes), f"torchcfm/{about.dataset}"
    note = f"float32, batch {about.batch}"
    each = [about.batch / second for second in taken["theirs"]]
    return [
        figure(subject, "samples a second of its loop", each, "1/s", note),
        figure(
            subject,
            "seconds of our update over those of its loop",
            over(taken["ours"], taken["theirs"]),
            "1",
            note,
        ),
    ]


def overheads(about: Setting, batch: int, sizes: Sizes) -> list[Measurement]:
    """Seconds of solves over those of as many bare forwards, by solver."""
    device, rounded = about.device, about.experiment.training.precision == "bf16"
    model = about.model(("channels_last",))
    z = torch.randn(batch, *about.shape, generator=stream(PART, "overhead")).to(device)
    told, found, nfe = torch.zeros(batch, 1, device=device), [], sizes.evaluations
    with rounded_products(rounded):
        for name in OVERHEAD_SOLVERS:
            ratios = compare(model, z, told, Request(SOLVERS[name], nfe), nfe, sizes.turns)
            found.append(
                figure(
                    f"overhead/{about.dataset}/{batch}",
                    f"seconds of {name} over those of bare forwards",
                    ratios,
                    "1",
                    f"{nfe} evaluations, batch {batch}",
                )
            )
    return found


# --- what the device waits for --------------------------------------------------------------------


@dataclass(frozen=True)
class AtHand:
    """The same pair for every update, on the device already."""

    pair: Pair

    def batch(self, update: int, size: int) -> Pair:
        """The pair."""
        return self.pair


def starvation(about: Setting, sizes: Sizes) -> list[Measurement]:
    """What of an update the host spends, and what its noise and its assignment cost."""
    device, subject, way = about.device, f"starvation/{about.dataset}", FASTEST["training"]
    fresh, at_hand, coupled = (
        about.trainer(way),
        about.trainer(way),
        about.trainer(way, "ot_flow_matching"),
    )
    at_hand.source = AtHand(fresh.source.batch(0, about.batch))
    for training in (fresh, at_hand, coupled):
        training.probe()
    works = {
        name: Work(partial(training.rehearse, 1), about.batch, 0)
        for name, training in (("drawn", fresh), ("at hand", at_hand), ("coupled", coupled))
    }
    taken, note = in_turns(works, device, sizes), f"{called(way)}, batch {about.batch}"
    update = median(taken["drawn"])
    found = [
        figure(
            subject,
            "seconds of an update over those with its pairs at hand",
            over(taken["drawn"], taken["at hand"]),
            "1",
            note,
        ),
        figure(
            subject,
            "seconds of an update with an assignment over those without",
            over(taken["coupled"], taken["drawn"]),
            "1",
            note,
        ),
        figure(subject, "seconds of an update", taken["drawn"], "s", note),
    ]
    steps = max(1, math.ceil(sizes.least / update))
    issued = [until_issued(works["drawn"], device, steps) for _ in range(sizes.turns)]
    found.append(
        figure(subject, "share of the seconds until the host had issued all", issued, "1", note)
    )
    if device.type == "cuda":
        busy = busy_seconds(works["drawn"], device, steps)
        idle = 1 - busy / update
        found.append(
            Measurement(
                PART, subject, "share in which the device is idle", idle, None, None, "1", note
            )
        )
    shape = (about.batch, *about.shape)
    pieces: dict[str, Callable[[], object]] = {
        "draw the noise": lambda: torch.randn(shape, generator=stream(PART, "noise")),
        "bring it to the device": partial(onto, torch.randn(shape), device),
        "draw what a stochastic solver adds in an interval": lambda: solver_noise(
            0, "scoring", range(about.batch), about.shape, 0
        ),
    }
    for name, piece in pieces.items():
        spent = []
        for _ in range(-1, sizes.turns):
            spent.append(seconds(Work(piece, about.batch, 0), device, 1))
        note = f"{median(spent[1:]) / update:.1%} of an update"
        found.append(figure(subject, f"seconds to {name}", spent[1:], "s", note))
    return found


def until_issued(work: Work, device: torch.device, steps: int) -> float:
    """Share of the seconds of some steps after which the host had nothing left to do but wait."""
    synchronise(device)
    start = time.perf_counter()
    for _ in range(steps):
        work.take()
    issued = time.perf_counter()
    synchronise(device)
    return (issued - start) / (time.perf_counter() - start)


def busy_seconds(work: Work, device: torch.device, steps: int) -> float:
    """Seconds of a step in which the GPU computes or copies; overlapping work counts once.

    Raises:
        RuntimeError: the profiler saw nothing.
    """
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(steps):
            work.take()
        torch.cuda.synchronize(device)
    spans = [
        (event.time_range.start, event.time_range.end)
        for event in seen.events()
        if event.device_type == DeviceType.CUDA and not getattr(event, "is_user_annotation", False)
    ]
    if not spans:
        raise RuntimeError("the profiler saw no work of the GPU")
    return 1e-6 * union(spans) / steps


def union(spans: Sequence[tuple[float, float]]) -> float:
    """Length of what intervals cover together."""
    covered, reached = 0.0, -math.inf
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered


STARTS = """
import bench.stages.running.assembly, bench.training.loop
from bench.stages.running.devices import ready
device = ready(1)
import torch
assert torch.ones(8, device=device).sum().item() == 8
"""


def starting(device: torch.device, sizes: Sizes) -> list[Measurement]:
    """Seconds until a job has imported what it trains with and the device has answered."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:  # this process holds the lease of the card
        for _ in range(sizes.starts):
            begun = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", STARTS], env=os.environ | {"TMPDIR": folder}, check=True
            )
            taken.append(time.perf_counter() - begun)
    return [figure("start", "seconds until a job can train", taken, "s", device.type)]


# --- the part -------------------------------------------------------------------------------------


def groups(findings: Findings, device: torch.device, tiny: bool) -> Iterator[Group]:
    """What is measured, the most valuable first; expected seconds are those of an H100."""
    sizes, expected = (TINY, 0.0) if tiny else (FULL, 1.0)
    kinds = {"bf16 product", "float32 product", "copy"}
    if device.type == "cuda":
        kinds |= {"tf32 product"}
    yield Group(
        tuple(f"card/{kind}" for kind in sorted(kinds)),
        5 * expected,
        partial(ceilings, device, sizes),
    )
    about = {name: setting(config, device, tiny) for name, config in CONFIGS.items()}
    fashion, cifar10 = about["fashion"], about["cifar10"]

    def speed(
        at: Setting,
        kind: str,
        cost: float,
        ways: Sequence[tuple[str, ...]],
        plain: tuple[str, ...] = (),
    ) -> Group:
        subjects = tuple(f"{kind}/{at.dataset}/{called(way)}" for way in ways)
        work = partial(rates, findings, at, kind, ways, plain, sizes)
        return Group(subjects, cost * expected, work)

    def compiled(at: Setting, kind: str, cost: float) -> Group:
        fastest = FASTEST[kind]
        return speed(at, kind, cost, [(*fastest, "compile")], fastest)

    def other(at: Setting, cost: float) -> Group:
        work = partial(beside_torchcfm, at, sizes)
        return Group((f"torchcfm/{at.dataset}",), cost * expected, work)

    def starved(at: Setting, cost: float) -> Group:
        work = partial(starvation, at, sizes)
        return Group((f"starvation/{at.dataset}",), cost * expected, work)

    yield speed(fashion, "training", 8, TRAINING_WAYS)
    yield speed(cifar10, "training", 18, TRAINING_WAYS)
    yield other(fashion, 5)
    yield starved(fashion, 8)
    for batch in sizes.batches:
        subject = f"overhead/{fashion.dataset}/{batch}"
        yield Group((subject,), 8 * expected, partial(overheads, fashion, batch, sizes))
    yield speed(fashion, "sampling", 4, SAMPLING_WAYS)
    yield speed(cifar10, "sampling", 6, SAMPLING_WAYS)
    yield compiled(fashion, "training", 45)
    yield other(cifar10, 8)
    yield Group(("start",), 15 * expected, partial(starting, device, sizes))
    yield starved(cifar10, 10)
    if tiny:  # the rest is the same code at another size, and compiling takes seconds at any
        return
    yield compiled(fashion, "sampling", 25)
    yield compiled(cifar10, "training", 75)
    yield compiled(cifar10, "sampling", 35)
    yield speed(fashion, "training", 45, [("compile",)])
    yield speed(cifar10, "training", 75, [("compile",)])


def main() -> int:
    """Measure as far as the time goes; the exit status is 1 where a measurement has failed."""
    asked = arguments(__doc__)
    deadline = Deadline(asked.seconds)
    device = ready(1)
    findings = Findings.open(asked.out, PART, device)
    return measure_all(findings, deadline, groups(findings, device, asked.tiny))


if __name__ == "__main__":
    raise SystemExit(main())
