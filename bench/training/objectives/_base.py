"""The objective's interface; see the package's docstring."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from bench.models.path_model import PathModel
from bench.streams import Draws
from bench.training.couplings import Pair


class Objective(Protocol):
    """A loss per sample.

    Attributes:
        teacher: the frozen model that is distilled; set by the training loop when the stage
            reads one, None otherwise.
    """

    teacher: PathModel | None

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        """Loss per sample, ``[b]``; ``model`` is bound to the classes of the pair."""
        ...
