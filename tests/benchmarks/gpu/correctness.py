"""Part a: what the tests show with stand-ins for a device, on the device.

Everything that runs on a device is run there and once more on the CPU, from the same random numbers
(they are drawn on the host, keyed by what they are for). A figure is the error relative to the
reference, ``|found - reference|/|reference|`` over all numbers, with its bound beside it:

* float32 against a reference whose network computes in float64 on the CPU: 1e-4. A rounding is
  6e-8; float32 on the CPU gives 1e-7 for samples and 1e-6 for gradients (7e-6 where the loss is a
  difference of neighbours). TF32, which would give 3e-4 and more, is off, as it is in training;
* bfloat16 rounds at 4e-3, and the errors of many products average: 5e-2 for a gradient;
* an adaptive solver may take other steps once its error estimates round otherwise (dopri8 does on
  the CPU: 92 evaluations in float32 for 79): ten tolerances, and half of the evaluations;
* what is counted, or drawn on the host, is equal: 0.

Without a GPU the same code runs on the CPU in float32, the compiler stops before it makes code, and
memory runs out where a hook says so.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from bench.experiment import loading
from bench.formulations.grammar import path as declare
from bench.metrics.extractors import extract
from bench.metrics.extractors._base import extractor_module
from bench.models.fast_path import compile_forward
from bench.models.path_model import PathModel, build_network
from bench.models.paths import Path
from bench.registry import discover
from bench.sampling.path_change import PathChange, common_log_snr
from bench.sampling.sample import Flow, Request, Solution, sample, sample_what_fits
from bench.sampling.solvers.catalogue import SOLVERS, Solver
from bench.stages.running.devices import ready
from bench.streams import stream, stream_seed
from bench.training.budget import Ledger
from bench.training.loop import Trainer
from bench.training.optimiser import AdamW, MovingAverage
from bench.training.pairs import CHUNK, PairMaker
from tests.benchmarks.gpu.measure import (
    Deadline,
    Findings,
    Group,
    Measurement,
    arguments,
    measure_all,
)
from tests.benchmarks.throughput import Setting, enliven, rounded_products
from tests.fields import exact_model, ring

PART = "correctness"

CPU = torch.device("cpu")

FLOAT32, BFLOAT16 = 1e-4, 5e-2
"""Bounds of relative errors; see the module."""

EVALUATIONS_AWRY = 0.5
"""How much more or less an adaptive solver may evaluate, as a share."""

FLOPS_AWRY = 0.05
"""How far two devices may count the FLOPs of an update apart, as a share.

Torch counts the backward of a fused attention with the forward that it repeats, and each device and
layout picks its own kernel.
"""

BFLOAT16_UPDATES = ("flow_matching", "consistency_distillation", "mean_flow")
"""Formulations of which an update is taken in bfloat16: one of each kind of loss."""

WAITING = {"ot_flow_matching"}
"""An assignment is solved on the host."""

LEASE_SECONDS = 60.0
"""Longest time that a job may take to start."""

THREADS = 8
"""Most threads of the references on the CPU."""


SHAPE = (1, 14, 14)
"""Of an image: halved once it is odd."""

IMAGE_SIDES = {"cifar10": 32, "digits": 8, "fashion": 28, "random_conv": 32}
"""Extractors that need no file, and the images they are for."""


@dataclass(frozen=True)
class Sizes:
    """How large the networks and batches are.

    Attributes:
        channels: of the U-Net.
        batch: samples of an update and of a solve.
        extracted: images whose features are taken.
        tolerance: of the adaptive solvers.
        scarce_channels, scarce_batch: where memory is to run out.
    """

    channels: int
    batch: int
    extracted: int
    tolerance: float
    scarce_channels: int
    scarce_batch: int

    @property
    def unet(self) -> dict[str, Any]:
        """Options of the U-Net: two resolutions, attention, skip connections."""
        return {
            "channels": self.channels,
            "multipliers": [1, 2],
            "blocks": 1,
            "attention": [SHAPE[-1] // 2],
            "head": self.channels,
            "embedding": 4 * self.channels,
        }


FULL = Sizes(16, 16, 300, 1e-4, 64, 1024)
"""References in float64 on the CPU take most of the time."""

TINY = Sizes(8, 4, 130, 1e-2, 8, 16)


# --- what is compared -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """An error with its bound."""

    quantity: str
    error: float
    bound: float
    note: str = ""


def relative(found: Tensor | Sequence[Tensor], reference: Tensor | Sequence[Tensor]) -> float:
    """``|found - reference|/|reference|`` over all numbers; those that are not finite are kept."""
    ours, theirs = (
        torch.cat([part.detach().cpu().double().flatten() for part in parts])
        for parts in (
            [each] if isinstance(each, Tensor) else list(each) for each in (found, reference)
        )
    )
    if ours.shape != theirs.shape:
        raise ValueError(f"{len(ours)} numbers where {len(theirs)} were expected")
    return float((ours - theirs).norm() / theirs.norm())


def as_measurements(subject: str, checks: Iterable[Check]) -> list[Measurement]:
    """The checks of a subject."""
    return [
        Measurement(PART, subject, c.quantity, c.error, None, c.bound, "1", c.note) for c in checks
    ]


def in_float64(network: nn.Module) -> nn.Module:
    """The network in float64 on the CPU, told and answering in the precision it is asked in."""
    network.to(CPU).double()
    forward = network.forward

    def exact(x: Tensor, *told: Tensor | None) -> Tensor:
        wide = [None if t is None else t.double() if t.is_floating_point() else t for t in told]
        output: Tensor = forward(x.double(), *wide)
        return output.to(x.dtype)

    vars(network)["forward"] = exact
    return network


def normal(*shape: int, about: str) -> Tensor:
    """Standard normal numbers of the host, float32."""
    return torch.randn(*shape, generator=stream("correctness", about))


# --- solvers and changes of path ------------------------------------------------------------------


def unet_model(sizes: Sizes, path: str, device: torch.device, *, exact: bool = False) -> PathModel:
    """A U-Net that is not silent, with velocity prediction, told the time and an interval."""
    network = build_network("unet", SHAPE, sizes.unet, 0, conditions=2)
    enliven(network)
    network.eval().requires_grad_(False)
    network = in_float64(network) if exact else network.to(device)
    return PathModel(network, declare(path).build(), "velocity", 0.7, "interval")


def solved(flow: Flow, noise: Tensor, solver: Solver, tolerance: float, added: Tensor) -> Solution:
    """End points by a solver in few intervals; ``added [intervals, n, ...]`` is what it adds."""
    if solver.cost is None:
        request = Request(solver, tolerance=tolerance)
    else:
        request = Request(solver, solver.spends(len(added)))
    return sample(flow, noise, request, len(noise), lambda interval, part: added[interval][part])


INTERVALS = 5


def solver_check(sizes: Sizes, device: torch.device, solver: Solver) -> list[Check]:
    """A solver on the exact field of a mixture and on a U-Net, beside float64 on the CPU."""
    path: Path = declare("edm" if solver.family == "consistency" else "vp").build()
    found = []
    flows: dict[str, tuple[Flow, Flow, tuple[int, ...]]] = {
        "U-Net": (
            unet_model(sizes, "linear", device),
            unet_model(sizes, "linear", CPU, exact=True),
            SHAPE,
        )
    }
    if solver.family != "flow_map":  # the exact field knows no interval
        model = exact_model(path, ring())
        model.network.to(device)
        flows["exact field"] = (model, exact_model(path, ring()), (2,))
    for name, (here, reference, shape) in flows.items():
        noise = normal(sizes.batch, *shape, about="start")
        added = normal(INTERVALS, sizes.batch, *shape, about="added")
        ours = solved(here, noise.to(device), solver, sizes.tolerance, added.to(device))
        theirs = solved(reference, noise.double(), solver, sizes.tolerance, added.double())
        fixed = solver.cost is not None
        bound = FLOAT32 if fixed else 10 * sizes.tolerance
        found.append(
            Check(f"error of the end points, {name}", relative(ours.end, theirs.end), bound)
        )
        expected = solver.spends(INTERVALS) if solver.cost is not None else theirs.nfe
        off = max(abs(ours.nfe_min - expected), abs(ours.nfe_max - expected)) / expected
        note = f"{ours.nfe:g}, expected {expected:g}"
        most = 0.0 if fixed else EVALUATIONS_AWRY
        found.append(Check(f"evaluations awry, {name}", off, most, note))
    return found


def change_check(device: torch.device, trained: str, sampled: str, name: str) -> list[Check]:
    """The exact flow of one path sampled on another, beside float64 on the CPU."""
    paths: list[Path] = [declare(known).build() for known in discover("paths")]
    used = common_log_snr(paths)
    noise = normal(256, 2, about="start")
    ends = []
    for where, precision in ((device, torch.float32), (CPU, torch.float64)):
        model = exact_model(declare(trained).build(), ring())
        model.network.to(where)
        flow = PathChange(model, declare(sampled).build(), used)
        request = Request(SOLVERS[name], 12, grid="uniform_log_snr")
        ends.append(sample(flow, noise.to(where, precision), request, len(noise)).end)
    return [Check("error of the end points", relative(*ends), FLOAT32)]


# --- training -------------------------------------------------------------------------------------


def setting(sizes: Sizes, device: torch.device, name: str) -> Setting:
    """An experiment with one formulation, on images of :data:`SHAPE`."""
    mapping = {
        "name": PART,
        "datasets": {
            "fashion": {
                "options": {"size": SHAPE[-1], "extractor": "fashion"},
                "network": {"kind": "unet", **sizes.unet},
            }
        },
        "formulations": {name: {}},
        "seeds": [0],
        "budget": {"unit": "flops", "accounting": "all_in", "amount": {"fashion": 1.0e15}},
        "training": {"batch_size": sizes.batch},
    }
    return Setting(loading.from_mapping(mapping, PART), device)


def step(training: Trainer) -> tuple[Tensor, list[Tensor]]:
    """Loss and gradient of an update in the middle of a stage."""
    training.optimizer.clear()
    loss = training._step("train", 3, 0.5, updates=1)
    return loss, [p.grad.detach().clone() for p in training.parameters if p.grad is not None]


def same_step(ours: Trainer, theirs: Trainer, bound: float) -> list[Check]:
    """Loss and gradient of two trainers that should take the same step."""
    (loss, gradient), (expected_loss, expected) = step(ours), step(theirs)
    return [
        Check("error of the loss", relative(loss, expected_loss), bound),
        Check("error of the gradient", relative(gradient, expected), bound),
    ]


def update_check(sizes: Sizes, device: torch.device, name: str) -> list[Check]:
    """An update of a formulation's last stage, beside one with a network in float64."""
    ours = setting(sizes, device, name).trainer((), name)
    theirs = setting(sizes, CPU, name).trainer((), name)
    for model in (theirs.model, theirs.objective.teacher):
        if model is not None:
            in_float64(model.network)
    found = same_step(ours, theirs, FLOAT32)
    flops, expected = (t.ledger.costs["update"].flops for t in (ours, theirs))
    note = f"{flops:.6g}, on the CPU {expected:.6g}"
    return [*found, Check("FLOPs awry", abs(flops / expected - 1), FLOPS_AWRY, note)]


def optimiser_check(device: torch.device) -> list[Check]:
    """Updates of AdamW and of the average of weights from given gradients, beside float64."""
    ends = []
    for where, precision in ((device, torch.float32), (CPU, torch.float64)):
        network = nn.Linear(40, 30).to(where, precision)
        for index, parameter in enumerate(network.parameters()):
            drawn = normal(*parameter.shape, about=f"weights {index}")
            parameter.data.copy_(drawn)
        optimiser = AdamW(list(network.parameters()))
        average = MovingAverage(network)
        for update in range(5):
            for index, parameter in enumerate(network.parameters()):
                drawn = normal(*parameter.shape, about=f"gradient {index} {update}")
                parameter.grad = drawn.to(parameter)
            optimiser.step(1e-2)
            average.update(0.7)
        ends.append(([p.detach() for p in network.parameters()], average.average))
    (weights, averages), (expected, expected_averages) = ends
    return [
        Check("error of the weights", relative(weights, expected), FLOAT32),
        Check("error of their average", relative(averages, expected_averages), FLOAT32),
    ]


def way_check(
    sizes: Sizes, device: torch.device, name: str, way: tuple[str, ...], bound: float
) -> list[Check]:
    """An update with a switch of the fast path, or in bfloat16, beside a plain one."""
    about = setting(sizes, device, name)
    return same_step(about.trainer(way, name), about.trainer((), name), bound)


def compile_check(sizes: Sizes, device: torch.device) -> list[Check]:
    """A compiled update beside a plain one; on a GPU the compiler's kernels must have run."""
    about = setting(sizes, device, "flow_matching")
    ours, theirs = about.trainer(()), about.trainer(())
    ours.probe()
    backend = "inductor" if device.type == "cuda" else "aot_eager"
    compile_forward(ours.model.network, backend)
    found = [replace(c, note=f"backend {backend}") for c in same_step(ours, theirs, FLOAT32)]
    if device.type == "cuda":
        ours.optimizer.clear()
        names = kernels(lambda: step(ours))
        seen = sum(name.startswith("triton_") for name in names)
        note = f"{seen} of {len(names)} kernels of a step are Triton's"
        found.append(Check("steps without a kernel of Triton", float(seen == 0), 0.0, note))
    return found


def kernels(work: Callable[[], object]) -> list[str]:
    """Names of what the GPU ran."""
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        work()
        torch.cuda.synchronize()
    return [event.name for event in seen.events() if event.device_type == DeviceType.CUDA]


def waiting_check(sizes: Sizes, device: torch.device, name: str) -> list[Check]:
    """An update during which anything that waits for the GPU raises."""
    training = setting(sizes, device, name).trainer((), name)
    training.rehearse(2)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        training.rehearse(1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return [Check("waits for the GPU", 0.0, 0.0)]


# --- features and pairs ---------------------------------------------------------------------------


def feature_check(sizes: Sizes, device: torch.device, name: str) -> list[Check]:
    """Features on the device beside the CPU's, and of a set beside those of a part of it."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(PART, "extractor", name))
        network = extractor_module(name).build()
    network.eval().requires_grad_(False)
    side, generator = IMAGE_SIDES[name], stream(PART, "images")
    images = torch.randint(
        256, (sizes.extracted, 3, side, side), generator=generator, dtype=torch.uint8
    )
    expected = extract(network, images)
    network.to(device)
    found = extract(network, images)
    part = extract(network, images[: len(images) // 2])
    apart = (found[: len(part)] - part).abs().max().item()
    return [
        Check("error of the features", relative(found, expected), FLOAT32),
        Check("largest difference of a part's features", apart, 0.0),
    ]


def pair_check(sizes: Sizes, device: torch.device) -> list[Check]:
    """Pairs of reflow, a whole chunk and a part of one, beside a network in float64."""
    made = []
    for where, exact in ((device, False), (CPU, True)):
        ledger = Ledger(device=where)
        model = unet_model(sizes, "linear", where, exact=exact)
        maker = PairMaker(model, SHAPE, Request(SOLVERS["euler"], 1), ledger, 0, PART)
        made.append(maker.run(float(CHUNK + sizes.batch), "network_passes"))
    ours, theirs = made
    return [
        Check("error of the ends", relative(ours.data, theirs.data), FLOAT32, f"{len(ours.data)}"),
        Check("largest difference of the noise", (ours.noise - theirs.noise).abs().max().item(), 0),
    ]


# --- a lease, and memory that runs out ------------------------------------------------------------

HOLDS = """
from bench.stages.running.devices import ready
device = ready(1)
import os, torch
assert torch.ones(8, device=device).sum().item() == 8
print(os.environ.get("CUDA_VISIBLE_DEVICES"), device.type, flush=True)
input()
"""
WAITS = """
from bench.stages.running.devices import lease_gpu
print("started", flush=True)
print(lease_gpu(), flush=True)
input()
"""


def lease_check(device: torch.device) -> list[Check]:
    """Two jobs and one device: the second waits until the first has ended, however it ends."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"TMPDIR": folder}
        environment.pop("SLURM_JOB_ID", None)
        if device.type != "cuda":
            environment["CUDA_VISIBLE_DEVICES"] = "0"
        first, second = None, None
        try:
            first = _job(HOLDS, environment)
            held, kind = _line(first, LEASE_SECONDS).split()
            second = _job(WAITS, environment)
            _line(second, LEASE_SECONDS)
            early = _spoke(second, 1.0)
            first.kill()
            first.wait()
            got = _line(second, LEASE_SECONDS)
        finally:
            for job in (first, second):
                if job is not None:
                    job.kill()
                    job.communicate()
    return [
        Check("jobs that did not wait", float(early), 0.0),
        Check("devices that the second job did not get", float(got != held), 0.0, f"{got}, {kind}"),
        Check("jobs on another kind of device", float(kind != device.type), 0.0, kind),
    ]


Job = subprocess.Popen[bytes]


def _job(code: str, environment: Mapping[str, str]) -> Job:
    """A job whose words are read one line at a time: none waits unseen in a buffer."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        bufsize=0,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _spoke(job: Job, within: float) -> bool:
    """Whether a job says something within so many seconds."""
    return bool(select.select([job.stdout], [], [], within)[0])


def _line(job: Job, within: float) -> str:
    if not _spoke(job, within):
        raise TimeoutError(f"a job said nothing for {within:g} s")
    assert job.stdout is not None
    said = job.stdout.readline()
    if not said:
        raise RuntimeError("a job ended without a word")
    return said.decode().strip()


@contextmanager
def memory_for(share: float, network: nn.Module, peak: int, batch: int) -> Iterator[None]:
    """A device that holds a share of what a whole batch takes.

    Args:
        share: of the memory, or of the samples where there is no GPU.
        network: refuses larger batches where there is no GPU.
        peak: bytes that the whole batch took.
        batch: samples of the whole batch.
    """
    device = next(network.parameters()).device
    if device.type == "cuda":
        torch.cuda.empty_cache()
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(share * peak / whole, device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, device)
        return

    def refuse(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        if len(given[0]) > share * batch:
            raise torch.OutOfMemoryError("out of memory")

    hook = network.register_forward_pre_hook(refuse)
    try:
        yield
    finally:
        hook.remove()


def peak_of(device: torch.device, work: Callable[[], Any]) -> tuple[Any, int]:
    """What ``work`` returns, and the most bytes that it held; 0 where there is no GPU."""
    if device.type != "cuda":
        return work(), 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    found = work()
    torch.cuda.synchronize(device)
    return found, torch.cuda.max_memory_allocated(device)


HELD = 0.6
"""Share of a whole batch's memory that is left to it."""


def scarce_samples(sizes: Sizes, device: torch.device) -> dict[str, list[Check]]:
    """Samples of a batch that does not fit, at a fixed cost and at a tolerance."""
    batch, found = sizes.scarce_batch, {}
    wide = replace(sizes, channels=sizes.scarce_channels)
    model = unet_model(wide, "linear", device)
    noise = normal(batch, *SHAPE, about="scarce").to(device)
    for name, request in (
        ("sampling", Request(SOLVERS["euler"], 4)),
        ("adaptive", Request(SOLVERS["bosh3"], tolerance=1e-2)),
    ):
        whole, peak = peak_of(device, partial(sample, model, noise, request, batch))
        with memory_for(HELD, model.network, peak, batch):
            halved = sample_what_fits(model, noise, request, batch)
        if request.nfe is None:  # its steps depend on the batch
            whole = sample(model, noise, request, halved.batch_size)
        note = f"{halved.batch_size} of {batch} samples"
        found[name] = [
            Check("batches that fitted", float(halved.batch_size >= batch), 0.0, note),
            Check("error of the end points", relative(halved.end, whole.end), FLOAT32),
        ]
    return found


def scarce_update(sizes: Sizes, device: torch.device) -> list[Check]:
    """Loss and gradient of a batch that does not fit, beside the whole's."""
    wide = replace(sizes, channels=sizes.scarce_channels, batch=sizes.scarce_batch)
    about = setting(wide, device, "flow_matching")
    training = about.trainer(())
    (loss, gradient), peak = peak_of(device, lambda: step(training))
    expected = [part.cpu() for part in gradient]
    del gradient
    training = about.trainer(())
    with memory_for(HELD, training.model.network, peak, wide.batch):
        parted, gradient = step(training)
    return [
        Check("batches that fitted", float(training.parts == 1), 0.0, f"{training.parts} parts"),
        Check("error of the loss", relative(parted, loss), FLOAT32),
        Check("error of the gradient", relative(gradient, expected), FLOAT32),
    ]


def scarce(tiny: bool) -> None:
    """Print, as JSON, the checks of a process whose memory runs out; by subject."""
    sizes, device = (TINY, CPU) if tiny else (FULL, CPU)
    if torch.cuda.is_available():
        device = torch.device("cuda")
    torch.set_num_threads(1)
    with rounded_products(False):
        found = scarce_samples(sizes, device) | {"training": scarce_update(sizes, device)}
    print(json.dumps({name: [asdict(check) for check in checks] for name, checks in found.items()}))


def scarce_measurements(tiny: bool) -> list[Measurement]:
    """The checks of :func:`scarce`, from a process of its own: the limit is that of a process."""
    code = f"from tests.benchmarks.gpu.correctness import scarce; scarce({tiny})"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"the process whose memory ran out ended with {done.returncode}")
    said = json.loads(done.stdout.splitlines()[-1])
    return [
        row
        for name, checks in said.items()
        for row in as_measurements(f"out_of_memory/{name}", [Check(**check) for check in checks])
    ]


# --- the part -------------------------------------------------------------------------------------


def groups(device: torch.device, tiny: bool) -> list[Group]:
    """What is checked, the most valuable first."""
    sizes, found = TINY if tiny else FULL, list[Group]()

    def add(subject: str, check: Callable[[], list[Check]], expected: float = 2.0) -> None:
        found.append(Group((subject,), expected, lambda: as_measurements(subject, check())))

    for name in discover("formulations"):
        add(f"update/{name}", partial(update_check, sizes, device, name))
    for solver in SOLVERS.values():
        add(f"solver/{solver.name}", partial(solver_check, sizes, device, solver))
    for name in BFLOAT16_UPDATES:
        add(f"bf16/{name}", partial(way_check, sizes, device, name, ("bf16",), BFLOAT16))
    switch = ("channels_last",)
    add("channels_last/unet", partial(way_check, sizes, device, "flow_matching", switch, FLOAT32))
    add("optimiser/adamw", partial(optimiser_check, device))
    add("pairs", partial(pair_check, sizes, device))
    scarce_subjects = tuple(f"out_of_memory/{n}" for n in ("sampling", "adaptive", "training"))
    found.append(Group(scarce_subjects, 15.0, partial(scarce_measurements, tiny)))
    for name in IMAGE_SIDES:
        add(f"features/{name}", partial(feature_check, sizes, device, name))
    if device.type == "cuda":
        for name in sorted(set(discover("formulations")) - WAITING):
            add(f"no_waiting/{name}", partial(waiting_check, sizes, device, name))
    for trained, sampled in product(discover("paths"), repeat=2):
        for name in ("euler", "ddim"):
            subject = f"path_change/{trained}->{sampled}/{name}"
            add(subject, partial(change_check, device, trained, sampled, name), 1.0)
    add("lease", partial(lease_check, device), 12.0)
    add("compiled/unet", partial(compile_check, sizes, device), 25.0)
    return found


def main() -> int:
    """Check as far as the time goes; the exit status is 1 where a check has failed."""
    asked = arguments(__doc__)
    deadline = Deadline(asked.seconds)
    threads = 1 if asked.tiny else min(THREADS, len(os.sched_getaffinity(0)))
    device = ready(threads)
    findings = Findings.open(asked.out, PART, device)
    return measure_all(findings, deadline, groups(device, asked.tiny), checks=True)


if __name__ == "__main__":
    raise SystemExit(main())
