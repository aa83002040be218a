"""Options of parts and formulations by name, read without torch.

A plan checks the options of a part before anything is trained, and never imports torch; the files
of parts do. So names, types and defaults are read from the source of a part's constructor, and so
are the conditions of :func:`~bench.options.requires` that stand on it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Annotated, Any, Literal, Union, cast

from pydantic import BeforeValidator, Field, StrictBool, StrictStr, create_model, model_validator
from pydantic_core import PydanticCustomError

from bench.errors import InputError
from bench.formulations.grammar import Factor, Part
from bench.options import OptionModel, number, unmet
from bench.registry import discover, module, module_file, nearest, source

ROOMS: dict[Factor, str] = {
    "path": "paths",
    "coupling": "couplings",
    "objective": "objectives",
    "time_sampling": "time_sampling",
    "weighting": "weightings",
}
"""Where the parts of a factor lie; a prediction is a name of ``bench.models.predictions``."""


BUILT_FROM: dict[str, tuple[str, ...]] = {"objectives": ("time_sampling", "weighting")}
"""What a part is built from beside its options: other parts."""


TYPES: dict[str, Any] = {
    "bool": StrictBool,
    "float": Annotated[float, Field(allow_inf_nan=False), BeforeValidator(number)],
    "int": Annotated[int, BeforeValidator(number)],
    "str": StrictStr,
}
"""What the type of an option may be made of, beside ``Literal`` and alternatives."""


@dataclass(frozen=True)
class _Constructor:
    """The constructor of a part, as its source has it.

    Attributes:
        types: what each option may be.
        defaults: of the options that have one.
        conditions: that the options must meet.
    """

    types: dict[str, Any]
    defaults: dict[str, Any]
    conditions: tuple[str, ...]


@cache
def part_options(room: str, name: str) -> type[OptionModel]:
    """The options of the part ``bench.<room>.<name>``: names, types, defaults and conditions."""
    constructor = _constructor(room, name)

    def refused(options: OptionModel) -> OptionModel:
        try:
            unmet(constructor.conditions, dict(options))
        except ValueError as error:
            message, names = str(error), options.model_fields_set
            blamed = [o for o in names if re.search(rf"\b{re.escape(o)}\b", message)]
            context = {"remedy": message}
            if len(blamed) == 1:
                context = {"remedy": message.partition(", got ")[0], "key": blamed[0]}
            raise PydanticCustomError("refused", "{remedy}", context) from None
        return options

    fields: dict[str, Any] = {
        option: (kind, constructor.defaults.get(option, ...))
        for option, kind in constructor.types.items()
    }
    validators: dict[str, Any] = {"refused": model_validator(mode="after")(refused)}
    return create_model(name, __base__=OptionModel, __validators__=validators, **fields)


def part_of(factor: str, part: Mapping[str, Any]) -> Part | str:
    """What a config names for a factor."""
    if factor == "prediction":
        return str(part["name"])
    options = {key: value for key, value in part.items() if key != "name"}
    return Part(ROOMS[cast(Factor, factor)], part["name"], options)


def titled(part: Part) -> str:
    """A part as tables print it: under the ``TITLE`` of its file, if it has one, with its options.

    A title is no part of what a part computes: giving one, or changing it, trains nothing anew.
    """
    title = dict(_plain(_body(part.room, part.name))).get("TITLE", part.name)
    return title + part.describe().removeprefix(part.name)


def without_defaults(part: Part) -> Part:
    """The same part, without the options that are given as they are by default."""
    if not part.options:
        return part
    defaults = _constructor(part.room, part.name).defaults
    options = {
        option: value
        for option, value in part.options.items()
        if option not in defaults or value != defaults[option]
    }
    return replace(part, options=options)


@cache
def _constructor(room: str, name: str) -> _Constructor:
    """The constructor of what a part's ``build`` names; a class without one takes no options."""
    body = _body(room, name)
    built = next(value.id for name, value in _assigned(body) if name == "build")
    cls, body = _class(built, body)
    init = next(
        (n for n in cls.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"),
        ast.parse("def __init__(self): pass").body[0],
    )
    assert isinstance(init, ast.FunctionDef)
    arguments = [a for a in init.args.args[1:] if a.arg not in BUILT_FROM.get(room, ())]
    last = reversed(init.args.args)
    defaults = dict(zip((a.arg for a in last), reversed(init.args.defaults), strict=False))
    options = [argument.arg for argument in arguments]
    return _Constructor(
        types={a.arg: _type(a.annotation) for a in arguments},
        defaults={o: ast.literal_eval(defaults[o]) for o in options if o in defaults},
        conditions=tuple(_conditions(init)),
    )


def _class(name: str, body: list[ast.stmt]) -> tuple[ast.ClassDef, list[ast.stmt]]:
    """A class that a file defines or takes from another file of the house, and that file's body."""
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node, body
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("bench."):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    text = module_file(node.module).read_text(encoding="utf-8")
                    return _class(alias.name, ast.parse(text).body)
    raise InputError(f"{name}: no class of this name is defined or imported where build names it")


def _body(room: str, name: str) -> list[ast.stmt]:
    """The statements of a part's file."""
    return ast.parse(source(room, name).read_text(encoding="utf-8")).body


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, Any]]:
    """Names that a module assigns, and the expressions."""
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _plain(body: list[ast.stmt]) -> Iterator[tuple[str, Any]]:
    """Constants of a module that are plain values."""
    for name, value in _assigned(body):
        try:
            yield name, ast.literal_eval(value)
        except ValueError:
            continue


def _type(annotation: ast.expr | None) -> Any:
    """The type that an annotation names; anything where it is not made of :data:`TYPES`."""
    match annotation:
        case ast.Name(name):
            return TYPES.get(name, Any)
        case ast.Constant(None):
            return None
        case ast.BinOp(left, ast.BitOr(), right):
            return Union[_type(left), _type(right)]  # noqa: UP007 - of values, not of names
        case ast.Subscript(ast.Name("Literal"), words):
            return Literal[ast.literal_eval(words)]
    return Any


def _conditions(init: ast.FunctionDef) -> Iterator[str]:
    """The conditions of the decorators ``requires`` of a constructor.

    Raises:
        InputError: one is not written out as a string.
    """
    for decorator in init.decorator_list:
        match decorator:
            case ast.Call(ast.Name("requires") | ast.Attribute(attr="requires"), conditions):
                for condition in conditions:
                    if not (isinstance(condition, ast.Constant) and type(condition.value) is str):
                        wrong = ast.unparse(condition)
                        raise InputError(f"requires({wrong}): write the condition as a string")
                    yield condition.value


def formulation_module(name: str) -> ModuleType:
    """The module of the formulation ``name``.

    Raises:
        InputError: no file of that name in ``bench/formulations/``.
    """
    names = discover("formulations")
    if name not in names:
        raise InputError(f"unknown formulation {name!r}; {nearest(name, names)}")
    return module("formulations", name)
