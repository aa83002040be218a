"""The objective's interface; see the package's docstring."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from bench.models.path_model import PathModel
from bench.streams import Draws
from bench.training.couplings import Pair


class Objective(Protocol):
    """A loss for each sample, whose sum over the batch is minimised.

    A batch that does not fit into memory is taken in parts, so the losses of a part must be those
    that the whole batch gives the same samples, and the gradients of the parts add up.

    Attributes:
        couples_samples: whether a sample's loss depends on other samples of its batch, as that of
            contrastive objectives does. Such a batch is never cut.
        teacher: the frozen model that is distilled; set by the stage where it reads one, None
            otherwise.
    """

    couples_samples: bool = False
    teacher: PathModel | None

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        """Loss per sample, ``[b]``; ``model`` is bound to the classes of the pair."""
        ...
