"""Options of parts and formulations by name, read without torch."""

from __future__ import annotations

import ast
from dataclasses import replace
from types import ModuleType

from bench.errors import InputError
from bench.formulations.grammar import (
    Factor,
    Part,
)
from bench.registry import discover, module, nearest, source

ROOMS: dict[Factor, str] = {
    "path": "paths",
    "coupling": "couplings",
    "objective": "objectives",
    "time_sampling": "time_sampling",
    "weighting": "weightings",
}
"""Where the parts of a factor lie; a prediction is a name of ``bench.models.predictions``."""


def part_options(room: str, name: str) -> dict[str, bool]:
    """Options of the part ``bench.<room>.<name>`` and whether each has a default."""
    return {option: default is not None for option, default in _signature(room, name).items()}


def without_defaults(part: Part) -> Part:
    """The same part, without the options that are given as they are by default."""
    if not part.options:
        return part
    defaults = {k: v for k, v in _signature(part.room, part.name).items() if v is not None}
    kept = {
        option: value
        for option, value in part.options.items()
        if option not in defaults or value != ast.literal_eval(defaults[option])
    }
    return replace(part, options=kept)


def _signature(room: str, name: str) -> dict[str, ast.expr | None]:
    """Options of a part and the expressions of their defaults.

    They are read from the source of what ``build`` names, so that a plan need not import torch.
    """
    body = ast.parse(source(room, name).read_text(encoding="utf-8")).body
    called = next(
        node.value.id
        for node in body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "build"
        and isinstance(node.value, ast.Name)
    )
    cls = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == called)
    init = [n for n in cls.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    if not init:
        return {}
    names = [argument.arg for argument in init[0].args.args[1:]]
    defaults = init[0].args.defaults
    required = len(names) - len(defaults)
    return dict(zip(names, [*[None] * required, *defaults], strict=True))


def formulation_module(name: str) -> ModuleType:
    """The module of the formulation ``name``.

    Raises:
        InputError: no file of that name in ``bench/formulations/``.
    """
    known = discover("formulations")
    if name not in known:
        raise InputError(f"unknown formulation {name!r}; {nearest(name, known)}")
    return module("formulations", name)
