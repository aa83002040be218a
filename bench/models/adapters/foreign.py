"""From the name of a factory to a model that solvers take; see the package's docstring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.formulations.grammar import Part
from bench.models.adapters.tabulated import Tabulated
from bench.models.path_model import Moment, PathModel
from bench.models.paths import Path, PathCoefficients

Function = Callable[[Tensor, Tensor], Any]
"""``f(x [b, ...], t [b]) -> [b, ...]``; what somebody else's really returns is found by trying."""


@dataclass(frozen=True)
class Foreign:
    """A trained network and, as far as they are known, the path and the meaning of its output.

    Attributes:
        function: ``f(x [b, ...], t [b]) -> [b, ...]``, t from noise (0) to data (1).
        path: a path of ``bench.models.paths`` by its declaration, or one that is given by a table.
        prediction: what the output means, one of
            ``bench.formulations.grammar.FOREIGN_PREDICTIONS``.
    """

    function: Function
    path: Part | Tabulated | None = None
    prediction: str | None = None


class NotATensorError(TypeError):
    """A foreign function returned something else than a tensor."""


class ForeignNetwork(nn.Module):
    """The networks that a foreign function calls; its own forward is the count of one of theirs.

    The budget watches this module. A hook on each network passes it the network's output, whatever
    the network returns and however often the function calls it.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        # Empty: it says where the function is evaluated, also if there is no network.
        self.place = nn.Parameter(torch.empty(0))
        self.eval().requires_grad_(False)
        for network in networks:
            # A factory may give the same network twice: it is counted once.
            for key, hook in list(network._forward_hooks.items()):
                if isinstance(hook, _Count):
                    del network._forward_hooks[key]
            network.register_forward_hook(_Count(self))

    def forward(self, output: Tensor) -> Tensor:
        """The same output; hooks of the budget see its batch."""
        return output

    @property
    def names(self) -> list[str]:
        """Classes of the networks."""
        return [type(network).__name__ for network in self.networks]

    @property
    def numbers(self) -> int:
        """Parameters of all networks."""
        return sum(parameter.numel() for parameter in self.parameters())


class _Count:
    """The hook on a network."""

    def __init__(self, network: ForeignNetwork) -> None:
        self.network = network

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.network(_first_tensor(output))


class ForeignModel(PathModel):
    """A foreign function on a path, in the place of a model of ours.

    Args:
        function, networks: the function, and the networks that it calls; with none, a call of the
            function is a forward.
        path, prediction: what the output means.
        sigma_data: standard deviation of the training data.
    """

    def __init__(
        self,
        function: Function,
        networks: Sequence[nn.Module],
        path: Path,
        prediction: str,
        sigma_data: float = 1.0,
    ) -> None:
        self.foreign = ForeignNetwork(networks)
        super().__init__(self.foreign, path, prediction, sigma_data)
        self.function = function
        self.forwards = 1

    @property
    def evaluations(self) -> int:
        """Forwards that one evaluation of the function takes."""
        return self.forwards

    def output(self, x: Tensor, c: PathCoefficients, ahead: Tensor | None = None) -> Tensor:
        """The function at ``x [b, ...]``, in the precision of its networks."""
        if c.t is None:
            raise ValueError("a foreign network needs coefficients with their time")
        return self._called(x, c.t)

    def _output_at(self, x: Tensor, moment: Moment) -> Tensor:
        """The same at a time of the whole batch."""
        return self._called(x, x.new_full((1,), moment.t))

    def _called(self, x: Tensor, t: Tensor) -> Tensor:
        """The function at ``x [b, ...]``, ``t [b or 1]``; it is always given ``t [b]``."""
        dtype = next((p.dtype for p in self.foreign.networks.parameters()), x.dtype)
        t = t.to(torch.promote_types(dtype, torch.float32)).expand(len(x))
        output = self.function(x.to(dtype), t)
        if not isinstance(output, Tensor):
            raise NotATensorError(_kind(output))
        if not self.foreign.networks:
            output = self.foreign(output)
        wanted: Tensor = output.to(x.dtype)
        return wanted


def _first_tensor(output: Any) -> Tensor:
    """The tensor that a network returns, or the first of several."""
    if isinstance(output, Tensor):
        return output
    values = output.values() if isinstance(output, dict) else output
    return next(value for value in values if isinstance(value, Tensor))


def _kind(value: Any) -> str:
    return f"something of type {type(value).__name__}"
