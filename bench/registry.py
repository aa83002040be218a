"""Plug-ins by name: the files of some folders, each of which is a member of a family.

What code reaches by a string it reaches through here, so that one table knows where the families
stand. A digest of code does not follow a string: who depends on a member names it as a root of its
own, with :func:`place`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

FAMILIES: dict[str, str] = {
    "adapters": "bench.models.adapters",
    "architectures": "bench.models.architectures",
    "couplings": "bench.training.couplings",
    "data": "bench.data.sources",
    "extractors": "bench.metrics.extractors",
    "figures": "bench.report.figures",
    "formulations": "bench.formulations.methods",
    "metrics": "bench.metrics.measures",
    "networks": "bench.models.networks",
    "objectives": "bench.training.objectives",
    "paths": "bench.models.paths",
    "solvers": "bench.sampling.solvers",
    "stages": "bench.stages",
    "tables": "bench.report.tables",
    "time_sampling": "bench.training.time_sampling",
    "weightings": "bench.training.weightings",
}
"""The package in which the files of a family stand."""

_PACKAGES = Path(__file__).parents[1]

T = TypeVar("T")


def aside(reason: str) -> Callable[[T], T]:
    """Mark a definition that changes no result by itself: digests of code pass it by.

    A mark moves with its definition. On a constant it stands around the value.

    Args:
        reason: why no result depends on it, for the reader.
    """
    return lambda definition: definition


@aside("which member is meant stands in a digest by its name")
def place(family: str, name: str) -> str:
    """The dotted name of the module of a member."""
    return f"{FAMILIES[family]}.{name}"


@aside("what stands there is in a digest by its definitions")
def module_file(module_name: str) -> Path:
    """The file of a module of the house: its own, or its package's face."""
    place = _PACKAGES.joinpath(*module_name.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


@aside("what stands there is in a digest by its definitions")
def source(family: str, name: str) -> Path:
    """The file of a member."""
    return module_file(place(family, name))


@aside("a digest names the members that it depends on")
def discover(family: str) -> tuple[str, ...]:
    """Names of the members of a family, sorted; neither they nor their package are imported."""
    folder = _PACKAGES.joinpath(*FAMILIES[family].split("."))
    members = pkgutil.iter_modules([str(folder)])
    return tuple(sorted(member.name for member in members if member.name[0] != "_"))


@aside("a digest names the members that it depends on")
def module(family: str, name: str) -> ModuleType:
    """The module of a member, imported now.

    Raises:
        ModuleNotFoundError: there is none of that name.
    """
    return importlib.import_module(place(family, name))


@aside("a hint for the reader of an error")
def nearest(word: str, names: Sequence[str]) -> str:
    """A hint for a misspelt name: the nearest known one, or all of them."""
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else "there are none; remove it"
