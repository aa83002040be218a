"""Where the files of an experiment lie, below ``results/<name>/``. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONFIG = "config.yaml"
PAGE = "report.html"
OUTCOME = "outcome.json"
FAILED_OUTCOME = "outcome.failed.json"
FINISHED = "finished.json"
LEDGER = "ledger.json"
ACCELERATION = "acceleration.json"
FOREIGN = "model.json"
EXTRACTOR_WEIGHTS = "extractor.safetensors"

MADE_BY = "made_by"
"""Entry of an outcome: version and commit of the code that made the stage, and their state."""


@dataclass(frozen=True)
class Layout:
    """Folders of an experiment; every folder of a stage holds an ``outcome.json``.

    Args:
        root: ``results/<name>``.
    """

    root: Path

    @property
    def config(self) -> Path:
        """The resolved experiment."""
        return self.root / CONFIG

    def data(self, dataset: str) -> Path:
        """A prepared data set."""
        return self.root / "data" / dataset

    def extractor(self, dataset: str) -> Path:
        """The trained feature extractor of a data set."""
        return self.root / "extractors" / dataset

    def extractor_weights(self, dataset: str) -> Path:
        """The weights of that extractor."""
        return self.extractor(dataset) / EXTRACTOR_WEIGHTS

    @property
    def features(self) -> Path:
        """Features of real samples, in files named by what they were computed from."""
        return self.root / "features"

    def calibration(self, dataset: str, label: str) -> Path:
        """Seconds a step, measured for budgets in device seconds."""
        return self.root / "calibration" / dataset / label

    def acceleration(self, dataset: str, label: str, stage: str) -> Path:
        """Which switches of the fast path a stage trains with; measured."""
        return self.root / "acceleration" / dataset / label / stage / ACCELERATION

    def sampling_choice(self, dataset: str, label: str) -> Path:
        """Which switches of the fast path a label's models are sampled with; measured."""
        return self.acceleration(dataset, label, "sampling")

    def overlap_choice(self, dataset: str) -> Path:
        """Whether samples of a data set are scored while others are drawn; measured."""
        return self.acceleration(dataset, "every model", "overlap")

    def model(self, dataset: str, label: str, seed: int) -> Path:
        """Everything of one model: a folder a stage, and its sweep."""
        return self.root / "runs" / dataset / label / f"seed{seed}"

    def stage(self, dataset: str, label: str, seed: int, stage: str) -> Path:
        """One stage of a label: a training, a set of pairs, or a network that was taken in."""
        return self.model(dataset, label, seed) / stage

    def screen(self, dataset: str, label: str, seed: int) -> Path:
        """Every sampler of one model with few samples, from which a sweep chooses."""
        return self.model(dataset, label, seed) / "screen"

    def sweep(self, dataset: str, label: str, seed: int) -> Path:
        """The sweep over one model."""
        return self.model(dataset, label, seed) / "sweep"

    def likelihood(self, dataset: str, label: str, seed: int) -> Path:
        """The likelihood of held-out data under one model."""
        return self.model(dataset, label, seed) / "likelihood"

    def floor(self, dataset: str) -> Path:
        """Real data against real data, and the baselines."""
        return self.root / "floor" / dataset

    def oracle(self, dataset: str) -> Path:
        """The exact field of a data set whose law is known, sampled as models are."""
        return self.root / "oracle" / dataset

    def convergence(self) -> Path:
        """Orders of convergence of the solvers, on a flow that is known exactly."""
        return self.root / "convergence"

    def timing(self, dataset: str) -> Path:
        """Seconds a sample, measured alone on the machine."""
        return self.root / "timing" / dataset
