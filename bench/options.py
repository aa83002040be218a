"""Options of parts and sections: immutable, and a misspelt key names the nearest one.

A part says on its constructor what its options must meet (:func:`requires`), in conditions that a
plan reads without importing it.
"""

from __future__ import annotations

import ast
import inspect
import math
import operator
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from itertools import pairwise
from typing import Annotated, Any, ParamSpec

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from bench.registry import aside, nearest

P = ParamSpec("P")


class OptionModel(BaseModel):
    """Base of every option model: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest_key(cls, values: Any) -> Any:
        names = tuple(cls.model_fields)
        for key in values if isinstance(values, Mapping) else ():
            if key not in names:
                context = {"key": key, "hint": nearest(key, names)}
                raise PydanticCustomError("unknown_key", "unknown key; {hint}", context)
        return values


def refuse(remedy: str) -> PydanticCustomError:
    """The error of a value, for a validator to raise; ``remedy`` says what to do about it."""
    return PydanticCustomError("refused", "{remedy}", {"remedy": remedy})


def number(value: Any) -> Any:
    """Undo two traps: YAML reads ``1e-4`` as a string, and Python reads ``true`` as 1."""
    if isinstance(value, bool):
        raise refuse("write a number")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise refuse("write a number, such as 3 or 1.0e-4") from None
    return value


Count = Annotated[int, Field(ge=1), BeforeValidator(number)]


Natural = Annotated[int, Field(ge=0), BeforeValidator(number)]


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(number)]


NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(number)]


Fraction = Annotated[float, Field(ge=0, lt=1), BeforeValidator(number)]


Share = Annotated[float, Field(gt=0, lt=1), BeforeValidator(number)]


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, values: value in values,
    ast.NotIn: lambda value, values: value not in values,
}
"""What a condition may do with options, numbers and words, beside ``and`` and ``or``."""

_GRAMMAR: tuple[type[ast.AST], ...] = (
    ast.Name, ast.Load, ast.Constant, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare,
    ast.And, ast.Or, *_OPERATORS,
)  # fmt: skip

_CONSTANTS = {"pi": math.pi}


def unmet(conditions: Collection[str], options: Mapping[str, Any]) -> None:
    """Refuse options that do not meet a condition, such as ``0 < sigma_min < sigma_max``.

    A condition compares options, numbers, words and ``pi``; it calls nothing.

    Raises:
        ValueError: the first condition that does not hold for them, or in which one is nan.
    """
    for condition in conditions:
        expression, names = _parsed(condition, options)
        named = {name: options[name] for name in names}
        try:
            holds = _value(expression, _CONSTANTS | named)
        except (ArithmeticError, TypeError):
            holds = False
        if not holds or any(value != value for value in named.values()):
            found = ", ".join(f"{name}={value!r}" for name, value in named.items())
            raise ValueError(f"need {condition}, got {found}")


@aside("it refuses options, and changes none; its conditions count where they are written")
def requires(*conditions: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Have a constructor refuse arguments, defaults included, that do not meet all conditions.

    Conditions are written out as strings, as :func:`unmet` takes them, so that a plan reads them.

    Raises:
        ValueError: a condition is none, or names what is no parameter.
    """

    def checked(init: Callable[P, None]) -> Callable[P, None]:
        signature = inspect.signature(init)
        for condition in conditions:
            _parsed(condition, signature.parameters)

        @wraps(init)
        def construct(*args: P.args, **kwargs: P.kwargs) -> None:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            unmet(conditions, bound.arguments)
            init(*args, **kwargs)

        return construct

    return checked


def _parsed(condition: str, options: Collection[str]) -> tuple[ast.expr, list[str]]:
    """A condition as an expression, and the options that it names, in the order of its text."""
    try:
        expression = ast.parse(condition, mode="eval").body
    except SyntaxError:
        raise ValueError(f"the condition {condition!r} is no expression") from None
    nodes = list(ast.walk(expression))
    if not all(isinstance(node, _GRAMMAR) for node in nodes):
        raise ValueError(f"the condition {condition!r} does more than compare options")
    found = sorted((n for n in nodes if isinstance(n, ast.Name)), key=lambda n: n.col_offset)
    names = list(dict.fromkeys(name.id for name in found if name.id not in _CONSTANTS))
    unknown = [name for name in names if name not in options]
    if unknown:
        raise ValueError(f"the condition {condition!r} names {unknown[0]!r}, which is no option")
    return expression, names


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    """The value of a condition or of a part of one."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return values[name]
        case ast.Tuple(members):
            return tuple(_value(member, values) for member in members)
        case ast.UnaryOp(sign, operand):
            return _OPERATORS[type(sign)](_value(operand, values))
        case ast.BinOp(left, sign, right):
            return _OPERATORS[type(sign)](_value(left, values), _value(right, values))
        case ast.BoolOp(ast.And(), members):
            return all(_value(member, values) for member in members)
        case ast.BoolOp(ast.Or(), members):
            return any(_value(member, values) for member in members)
        case ast.Compare(left, signs, others):
            pairs = pairwise(_value(side, values) for side in (left, *others))
            compared = zip(signs, pairs, strict=True)
            return all(_OPERATORS[type(sign)](*pair) for sign, pair in compared)
    raise ValueError(f"no part of a condition: {ast.unparse(node)}")
