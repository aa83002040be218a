"""How an extractor is trained; see the package's docstring."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bench.data.dataset import DataSet
from bench.data.endless import rows
from bench.metrics.extractors._base import Classifier, extractor_module
from bench.streams import stream, stream_seed

ACCURACY_BATCH = 2000
"""Images classified at once: all of them would fill the memory with activations."""


HOST = torch.device("cpu")


class Settings(Protocol):
    """How a classifier is trained."""

    @property
    def epochs(self) -> int:
        """Times that every image is seen."""
        ...

    @property
    def batch_size(self) -> int:
        """Images an update."""
        ...

    @property
    def learning_rate(self) -> float:
        """The rate at the start; it falls to zero along half a cosine."""
        ...

    @property
    def seed(self) -> int:
        """Of weights and order."""
        ...


def shown(dataset: DataSet, samples: int) -> DataSet:
    """The data set with the training samples that an extractor is to see.

    Where training is unlimited these are ``samples`` draws of a stream of their own: neither what
    the data set keeps to be looked at nor what is held out is among them, and their number depends
    on neither. A finite training set is shown as it is.
    """
    if not dataset.unlimited:
        return dataset
    assert dataset.sampler is not None, f"{dataset.name} is unlimited and cannot be drawn from"
    drawn = rows(dataset.sampler, 0, samples, dataset.name, "extractor")
    return replace(dataset, train=drawn.samples, train_labels=drawn.labels)


def train(
    name: str, dataset: DataSet, settings: Settings, device: torch.device = HOST
) -> Classifier:
    """Train ``bench/metrics/extractors/<name>.py`` as a classifier of the training images.

    AdamW with a half cosine from the learning rate to zero, over whole batches. Initialisation
    draws from torch's global stream, which is forked, seeded and put back: one machine gives the
    same bits on every run.
    """
    images, labels = _labelled(dataset, "train")
    batches = max(1, len(images) // settings.batch_size)
    updates = settings.epochs * batches
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(settings.seed, "extractor", name))
        network: Classifier = extractor_module(name).build()
    network.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda update: 0.5 * (1 + math.cos(math.pi * update / updates))
    )
    for epoch in range(settings.epochs):
        generator = stream(settings.seed, "extractor", name, epoch)
        order = torch.randperm(len(images), generator=generator)
        for batch in order.split(settings.batch_size)[:batches]:
            logits = network(images[batch].to(device))
            cross_entropy(logits, labels[batch].to(device)).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
    network.eval().requires_grad_(False)
    return network


def accuracy(network: Classifier, dataset: DataSet, part: Literal["train", "held_out"]) -> float:
    """Fraction of a part's images that are classified correctly."""
    images, labels = _labelled(dataset, part)
    device = next(network.parameters()).device
    guessed = torch.cat(
        [network(batch.to(device)).argmax(dim=1).cpu() for batch in images.split(ACCURACY_BATCH)]
    )
    return (guessed == labels).float().mean().item()


def _labelled(dataset: DataSet, part: Literal["train", "held_out"]) -> tuple[Tensor, Tensor]:
    """Images ``[n, 3, h, w]`` uint8 and their labels ``[n]``."""
    samples, labels = (
        (dataset.train, dataset.train_labels)
        if part == "train"
        else (dataset.held_out, dataset.held_out_labels)
    )
    if labels is None:
        raise ValueError(f"{dataset.name} has no labels to train an extractor on")
    return dataset.to_uint8(samples), labels
