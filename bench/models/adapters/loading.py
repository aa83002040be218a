"""A network of somebody else, from the name of its factory, tried before any work."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path as File
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules

from bench.errors import InputError
from bench.models.adapters.foreign import (
    Foreign,
    ForeignModel,
    ForeignNetwork,
    NotATensorError,
    _kind,
)
from bench.models.meter import counted
from bench.models.paths import Path
from bench.streams import stream
from bench.tensors import expand

PROBED = (0.0, 0.37, 1.0)
"""Where in its interval a network is tried, before anything is measured."""


PROBE_BATCH = 2


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
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        remedy = "install it, or start where it can be imported from"
        raise InputError(f"model {factory}: there is no module {error.name!r}; {remedy}") from None
    except Exception as error:
        raise InputError(f"model {factory}: importing it raised {_told(error)}") from error
    for name in attribute.split("."):
        if not hasattr(target, name):
            raise InputError(f"model {factory}: {module_name} has no {attribute!r}; name a factory")
        target = getattr(target, name)
    if not callable(target):
        raise InputError(f"model {factory}: is {_kind(target)}, no function; name a factory")
    made = _call(factory, target, device)
    if isinstance(made, Foreign):
        return made
    if not callable(made):
        remedy = "return a network f(x, t), or what an adapter makes of one"
        raise InputError(f"model {factory}: the factory returned {_kind(made)}; {remedy}")
    return Foreign(made)


def _call(factory: str, function: Callable[..., Any], device: torch.device) -> Any:
    parameters = inspect.signature(function).parameters.values()
    arguments = {"device": device} if any(p.name == "device" for p in parameters) else {}
    for parameter in parameters:
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if (
            parameter.name not in arguments
            and not variable
            and parameter.default is parameter.empty
        ):
            raise InputError(
                f"model {factory}: the factory asks for {parameter.name!r}; "
                "let it take nothing, or a parameter called 'device'"
            )
    try:
        return function(**arguments)
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
def _outermost(modules: list[nn.Module]) -> Iterator[None]:
    """Add to ``modules`` those that the block calls and no other module does."""
    depth = 0

    def enter(module: nn.Module, inputs: Any) -> None:
        nonlocal depth
        if depth == 0 and not isinstance(module, ForeignNetwork) and module not in modules:
            modules.append(module)
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


def _told(error: BaseException) -> str:
    """An error in one line, and where it was raised."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({File(frames[-1].filename).name}, line {frames[-1].lineno})"
