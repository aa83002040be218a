"""Networks as an experiment file declares them, readable without torch: one file a network.

The file ``bench/models/architectures/<kind>.py`` holds ``Options``, a :class:`NetworkSpec`. Its
fields but for ``kind`` are the options of ``build`` in ``bench/models/networks/<kind>.py``, which
is imported only where a stage runs; the defaults stand here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from bench.options import OptionModel
from bench.registry import discover, module, nearest

DEFAULT = "residual_mlp"
"""The kind of a network whose kind is not given."""


class NetworkSpec(OptionModel):
    """The network, the same for every formulation of a data set.

    Attributes:
        kind: name of its files.
    """

    kind: str

    @abstractmethod
    def describe(self) -> str:
        """Kind and size in a few words, as printed in the methods table."""

    @abstractmethod
    def forward_flops(self, shape: Sequence[int]) -> float:
        """Operations of an evaluation on one sample of ``shape``: two a product and its sum."""

    def fault(self, shape: Sequence[int]) -> tuple[str, str] | None:
        """Why samples of ``shape`` cannot have this network: the option, and what to do."""
        return None


def declared(kind: str) -> type[NetworkSpec]:
    """The options of the network ``kind``."""
    options: type[NetworkSpec] = module("architectures", kind).Options
    return options


def kind_of(value: Any) -> str:
    """The kind of a network that is given as a mapping, or that is validated already."""
    if isinstance(value, NetworkSpec):
        return value.kind
    return str(value.get("kind", DEFAULT)) if isinstance(value, Mapping) else DEFAULT


def known(value: Any) -> Any:
    """The network as it is given, if there is a file of its kind.

    Raises:
        PydanticCustomError: there is none.
    """
    kinds = discover("architectures")
    if kind_of(value) not in kinds:
        context = {"key": "kind", "hint": nearest(kind_of(value), kinds)}
        raise PydanticCustomError("unknown_network", "unknown network; {hint}", context)
    return value


def not_an_image(kind: str, shape: Sequence[int]) -> tuple[str, str] | None:
    """The fault of a network for images, where samples have no channels, height and width."""
    if len(shape) == 3:
        return None
    remedy = f"{kind} is for images, and samples have shape {tuple(shape)}; write {DEFAULT}"
    return "kind", remedy


def convolution(inputs: int, outputs: int, positions: int, side: int = 1) -> float:
    """Operations of a convolution at all ``positions`` of its output, or of a layer on tokens."""
    return 2.0 * inputs * outputs * side * side * positions


def attention(width: int, positions: int) -> float:
    """Operations of attention between all positions, its linear layers apart."""
    return 4.0 * width * positions * positions


FEATURES = 64
"""Sines and cosines of time that the networks for images are given."""


def embedding(features: int) -> float:
    """Operations of what the networks for images share: the embedding of time, and its one gain."""
    return convolution(FEATURES + features + 1, features, 1)
