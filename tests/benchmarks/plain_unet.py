"""How good the images of a plain U-Net are that another library's training loop trained.

Run from the repository's root, after the experiment:

    OMP_NUM_THREADS=1 .venv/bin/python tests/benchmarks/plain_unet.py configs/fashion_small.yaml

The loop is that of torchcfm's example for grey images: its U-Net, its ``ConditionalFlowMatcher``
with sigma 0, Adam at 1e-3, no average of weights, no schedule. It takes as many updates of the same
batch as the experiment's ``flow_matching`` took for the same seed, on the same images. Its samples
start at the same noise, are made by Euler's method and are scored by the same code against the same
images; beside them stand the experiment's own rows. The U-Nets differ: the number of parameters and
the FLOPs of an update are printed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchcfm.conditional_flow_matching import ConditionalFlowMatcher
from torchcfm.models.unet.unet import UNetModelWrapper
from torchdiffeq import odeint

from bench.data.dataset import DataSet
from bench.data.files import load
from bench.evidence import records
from bench.experiment import loading
from bench.experiment.layout import Layout
from bench.files import read_json
from bench.metrics.context import Context, References
from bench.metrics.measurement import evaluate
from bench.sampling.banks import starting_noise
from bench.stages.running.assembly import references
from bench.stages.sweep import TABLE
from bench.streams import stream

LABEL, SEED = "flow_matching", 0


def network(shape: tuple[int, ...]) -> nn.Module:
    """The library's U-Net, in the size of its example with attention at half the resolution."""
    half = shape[-1] // 2
    made: nn.Module = UNetModelWrapper(
        dim=shape,
        num_channels=32,
        num_res_blocks=1,
        channel_mult=[1, 2],
        attention_resolutions=str(half),
    )
    return made


def plain_update(
    net: nn.Module, matcher: ConditionalFlowMatcher, adam: torch.optim.Adam, data: Tensor
) -> Tensor:
    """One update as the example takes it; returns the loss."""
    adam.zero_grad()
    t, xt, ut = matcher.sample_location_and_conditional_flow(torch.randn_like(data), data)
    loss = torch.mean((net(t, xt) - ut) ** 2)
    loss.backward()
    adam.step()
    return loss.detach()


def train(net: nn.Module, dataset: DataSet, updates: int, batch: int) -> float:
    """Take ``updates`` as the example does; returns the FLOPs of one."""
    matcher = ConditionalFlowMatcher(sigma=0.0)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)

    with FlopCounterMode(display=False) as counter:
        plain_update(net, matcher, adam, dataset.train[:batch])
    order, drawn = stream(SEED, "plain_unet"), torch.empty(0, dtype=torch.long)
    begun = time.perf_counter()
    for done in range(1, updates):
        if len(drawn) < batch:
            drawn = torch.randperm(len(dataset.train), generator=order)
        loss = float(plain_update(net, matcher, adam, dataset.train[drawn[:batch]]))
        drawn = drawn[batch:]
        if done % 500 == 0:
            taken = time.perf_counter() - begun
            print(f"  {done:,}/{updates:,} updates, loss {loss:.4f}, {taken:.0f} s", flush=True)
    return float(counter.get_total_flops())


@torch.no_grad()
def samples(net: nn.Module, noise: Tensor, steps: int, batch: int) -> Tensor:
    """Images by Euler's method in ``steps`` intervals."""
    times = torch.linspace(0, 1, steps + 1)
    parts = [odeint(net, x, times, method="euler")[-1] for x in noise.split(batch)]
    return torch.cat(parts)


def score(metric: str, ends: Tensor, real: References) -> float:
    """Distance to held-out images, as the sweep measures it."""
    found = evaluate(Context(ends, real), metric)
    values = [m.value for m in found if m.metric == metric and m.reference_set == "held_out"]
    assert values and values[0] is not None, found
    return values[0]


def main(config: str) -> None:
    """Train, sample and print one line for each number of evaluations."""
    experiment = loading.load(config)
    layout = Layout(Path("results", experiment.name))
    (name,) = experiment.datasets
    torch.set_num_threads(experiment.training.threads)
    torch.manual_seed(SEED)
    dataset = load(layout.data(name))
    real = references(experiment, layout, dataset)
    metric = experiment.described(name).primary

    final = experiment.formulation(LABEL).final.name
    folder = layout.stage(name, LABEL, SEED, final)
    updates = sum(
        charge["updates"] for charge in read_json(folder / "ledger.json")["charges"].values()
    )
    net = network(dataset.shape)
    count = sum(p.numel() for p in net.parameters())
    batch = experiment.training.batch_size
    print(f"torchcfm: {count / 1e6:.2f}M parameters, {updates:,} updates of {batch} images")
    flops = train(net, dataset, updates, batch)
    print(f"  {flops * updates:.3g} FLOPs")

    rows = records.read(layout.sweep(name, LABEL, SEED) / TABLE)
    ours = rows[
        (rows["metric"] == metric)
        & (rows["reference_set"] == "held_out")
        & (rows["noise_bank"] == "scoring")
        & (rows["solver"] == "euler")
        & (rows["grid"] == "uniform_t")
    ].set_index("nfe_requested")["value"]
    noise = starting_noise(SEED, "scoring", experiment.sweep.samples["scoring"], dataset.shape)
    print(f"{metric} at Euler steps   torchcfm   {LABEL}, seed {SEED}")
    for steps in experiment.sweep.nfe:
        theirs = score(metric, samples(net, noise, steps, experiment.sweep.batch_size), real)
        print(f"  {steps:3}  {theirs:8.2f}  {ours[steps]:8.2f}")


if __name__ == "__main__":
    main(sys.argv[1])
