"""From the name of a factory to a model that solvers take; see the package's docstring."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path as File
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules

from bench.adapters.tabulated import Tabulated
from bench.budget import counted
from bench.declarations import Part
from bench.errors import InputError
from bench.files import digest_of, sha256
from bench.models import Moment, PathModel
from bench.paths import Path, PathCoefficients
from bench.streams import stream
from bench.tensors import expand

Function = Callable[[Tensor, Tensor], Any]
"""``f(x [b, ...], t [b]) -> [b, ...]``; what somebody else's really returns is found by trying."""

PROBED = (0.0, 0.37, 1.0)
"""Where in its interval a network is tried, before anything is measured."""

PROBE_BATCH = 2


@dataclass(frozen=True)
class Foreign:
    """A trained network and, as far as they are known, the path and the meaning of its output.

    Attributes:
        function: ``f(x [b, ...], t [b]) -> [b, ...]``, t from noise (0) to data (1).
        path: a path of ``bench.paths`` by its declaration, or one that is given by a table.
        prediction: what the output means, one of ``bench.declarations.FOREIGN_PREDICTIONS``.
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
        kept = next((p.dtype for p in self.foreign.networks.parameters()), x.dtype)
        t = t.to(torch.promote_types(kept, torch.float32)).expand(len(x))
        output = self.function(x.to(kept), t)
        if not isinstance(output, Tensor):
            raise NotATensorError(_kind(output))
        if not self.foreign.networks:
            output = self.foreign(output)
        wanted: Tensor = output.to(x.dtype)
        return wanted


# --- from a name to a model -----------------------------------------------------------------------


@cache
def load(factory: str, device: torch.device) -> Foreign:
    """Import ``package.module:factory`` and call it, once a process.

    The working directory can be imported from, as with ``python -m``.

    Raises:
        InputError: it cannot be imported or called, or what it returns is no network.
    """
    module_name, _, attribute = factory.partition(":")
    if not module_name or not attribute:
        raise InputError(f"model {factory}: write package.module:factory")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        remedy = "install it, or start where it can be imported from"
        raise InputError(f"model {factory}: there is no module {error.name!r}; {remedy}") from None
    except Exception as error:
        raise InputError(f"model {factory}: importing it raised {_told(error)}") from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise InputError(f"model {factory}: {module_name} has no {attribute!r}; name a factory")
        found = getattr(found, name)
    if not callable(found):
        raise InputError(f"model {factory}: is {_kind(found)}, no function; name a factory")
    made = _call(factory, found, device)
    if isinstance(made, Foreign):
        return made
    if not callable(made):
        remedy = "return a network f(x, t), or what an adapter makes of one"
        raise InputError(f"model {factory}: the factory returned {_kind(made)}; {remedy}")
    return Foreign(made)


def _call(factory: str, function: Callable[..., Any], device: torch.device) -> Any:
    parameters = inspect.signature(function).parameters.values()
    given = {"device": device} if any(p.name == "device" for p in parameters) else {}
    for parameter in parameters:
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.name not in given and not variable and parameter.default is parameter.empty:
            raise InputError(
                f"model {factory}: the factory asks for {parameter.name!r}; "
                "let it take nothing, or a parameter called 'device'"
            )
    try:
        return function(**given)
    except Exception as error:
        raise InputError(f"model {factory}: the factory raised {_told(error)}") from error


def model(
    factory: str,
    foreign: Foreign,
    path: Path,
    prediction: str,
    shape: Sequence[int],
    device: torch.device,
    sigma_data: float = 1.0,
) -> ForeignModel:
    """The model of a factory, tried at three times of its path.

    Args:
        factory: names it in errors.
        foreign: what the factory returned.
        path, prediction: what its output means.
        shape: of one sample.
        device: where it is evaluated.
        sigma_data: standard deviation of the training data.

    Raises:
        InputError: the function raises, returns another shape than it is given or values that are
            not finite, or takes a different number of forwards at different times.
    """
    if isinstance(foreign.function, nn.Module):
        foreign.function.to(device)
    x = torch.randn(PROBE_BATCH, *shape, generator=stream("foreign", "probe")).to(device)
    draft = ForeignModel(foreign.function, (), path, prediction, sigma_data)
    networks: list[nn.Module] = []
    for place in PROBED:
        with _outermost(networks):
            _tried(factory, draft, x, place)
    made = ForeignModel(foreign.function, networks, path, prediction, sigma_data)
    made.foreign.to(device)
    costs = {_tried(factory, made, x, place) for place in PROBED}
    if len(costs) != 1:
        raise InputError(
            f"model {factory}: an evaluation takes {' or '.join(map(str, sorted(costs)))} forwards "
            "of its network, depending on the time; solvers need one number"
        )
    made.forwards = costs.pop()
    return made


@torch.no_grad()
def _tried(factory: str, tried: ForeignModel, x: Tensor, place: float) -> int:
    """Forwards a sample of one evaluation at a place of the interval."""
    start, end = tried.path.interval
    t = torch.full((len(x),), start + place * (end - start), dtype=torch.float64, device=x.device)
    c = tried.path.coefficients(t).to(torch.float32)
    scale = (c.alpha**2 * tried.sigma_data**2 + c.sigma**2).sqrt()
    at = f"at x {list(x.shape)}, t = {t[0].item():g}"
    try:
        with counted() as passes:
            output = tried.output(expand(scale, x) * x, c)
    except NotATensorError as error:
        remedy = "return the tensor itself"
        raise InputError(f"model {factory}: {at} it returns {error}; {remedy}") from None
    except Exception as error:
        raise InputError(f"model {factory}: {at} it raised {_told(error)}") from error
    if output.shape != x.shape:
        remedy = "it must have the shape of x: is it a network for this data set?"
        raise InputError(f"model {factory}: {at} it returns {list(output.shape)}; {remedy}")
    if not output.isfinite().all():
        raise InputError(f"model {factory}: {at} it returns values that are not finite")
    return round(passes.forwards / len(x))


@contextmanager
def _outermost(found: list[nn.Module]) -> Iterator[None]:
    """Add to ``found`` the modules that the block calls and no other module does."""
    depth = 0

    def enter(module: nn.Module, inputs: Any) -> None:
        nonlocal depth
        if depth == 0 and not isinstance(module, ForeignNetwork) and module not in found:
            found.append(module)
            module.eval()  # before it is asked: a forward in training mode can change a network
        depth += 1

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal depth
        depth -= 1

    handles = (
        torch_modules.register_module_forward_pre_hook(enter),
        torch_modules.register_module_forward_hook(leave, always_call=True),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


# --- what its results depend on -------------------------------------------------------------------


def state(factory: str, foreign: Foreign, networks: nn.Module) -> str:
    """Digest of a factory's source and of what it gave: weights, buffers and table of the path.

    The source is that of the factory's module and of the classes of its networks, torch's own left
    out: their versions are in every digest.
    """
    table = foreign.path.knots if isinstance(foreign.path, Tabulated) else None
    modules = {factory.partition(":")[0], getattr(foreign.function, "__module__", None) or ""}
    modules |= {type(module).__module__ for module in networks.modules()}
    return digest_of(
        {
            "source": {name: _source(name) for name in sorted(modules) if _is_foreign(name)},
            "weights": {
                name: _content(tensor)
                for kind in (networks.named_parameters(), networks.named_buffers())
                for name, tensor in kind
            },
            "path": None if table is None else _content(table),
            "prediction": foreign.prediction,
        }
    )


def _is_foreign(name: str) -> bool:
    return name.split(".")[0] not in ("", "torch", "builtins", "bench")


def _source(name: str) -> str | None:
    file = getattr(sys.modules.get(name), "__file__", None)
    return sha256(File(file)) if file else None


def _content(tensor: Tensor) -> str:
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    found = hashlib.sha256(f"{plain.dtype} {list(tensor.shape)} ".encode())
    found.update(plain.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _first_tensor(output: Any) -> Tensor:
    """The tensor that a network returns, or the first of several."""
    if isinstance(output, Tensor):
        return output
    values = output.values() if isinstance(output, dict) else output
    return next(value for value in values if isinstance(value, Tensor))


def _kind(value: Any) -> str:
    return f"something of type {type(value).__name__}"


def _told(error: BaseException) -> str:
    """An error in one line, and where it was raised."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({File(frames[-1].filename).name}, line {frames[-1].lineno})"
