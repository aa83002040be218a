"""Definitions: what a module defines and imports, and what a name can mean."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

HOUSE = "bench"
MARK = "aside"


class Definition(NamedTuple):
    """A definition by the module and the name it has at present.

    ``key`` is the entry of a table that is meant, where it is not the whole table.
    """

    module: str
    name: str
    key: str | None = None


@dataclass(frozen=True)
class Whole:
    """A module that is passed on as a value: all its definitions may be reached."""

    module: str


@dataclass(frozen=True)
class Foreign:
    """Something of another package, by its full name."""

    name: str


Target = Definition | Whole | Foreign | None

Bindings = Mapping[str, tuple[str, str | None]]
"""Names that imports bind: the module, and what is taken from it (None: the module itself)."""


@dataclass(frozen=True)
class Module:
    """What a module defines and imports."""

    definitions: Mapping[str, Sequence[ast.stmt]]
    imports: Bindings


@dataclass(frozen=True)
class Content:
    """A definition's own syntax, and what it names, in the order in which it does."""

    syntax: Any
    names: tuple[Definition | Whole, ...]


def running(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module that run, those inside of conditions included."""
    for statement in body:
        if is_type_checking(statement):
            continue
        if isinstance(statement, ast.If):
            yield from running([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.Try):
            handlers = (line for handler in statement.handlers for line in handler.body)
            yield from running([*statement.body, *handlers, *statement.orelse])
        else:
            yield statement


def bound_by(statement: ast.stmt) -> list[str]:
    """Names of definitions that a statement makes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets: Sequence[ast.expr] = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    else:
        return []
    names = (node for target in targets for node in ast.walk(target))
    return [
        node.id for node in names if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


def imported(statement: ast.AST) -> dict[str, tuple[str, str | None]]:
    """Names that an import binds."""
    if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        return {
            alias.asname or alias.name: (statement.module, alias.name) for alias in statement.names
        }
    if isinstance(statement, ast.Import):
        return {
            alias.asname or alias.name.split(".")[0]: (
                alias.name if alias.asname else alias.name.split(".")[0],
                None,
            )
            for alias in statement.names
        }
    return {}


def is_type_checking(node: Any) -> bool:
    """Whether a statement holds imports for annotations, which never run."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def is_inert(node: Any) -> bool:
    """Whether a statement computes nothing: a bare string, an import, a declaration of scope."""
    bare_string = (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
    silent = (ast.Import, ast.ImportFrom, ast.Pass, ast.Global, ast.Nonlocal)
    return bare_string or isinstance(node, silent) or is_type_checking(node)


def is_aside(statement: ast.stmt) -> bool:
    """Whether a definition carries the mark of :func:`bench.registry.aside`."""
    value = getattr(statement, "value", None)
    around = [value.func] if isinstance(value, ast.Call) else []
    return any(
        isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == MARK
        for mark in (*getattr(statement, "decorator_list", ()), *around)
    )


def entry(statements: Sequence[ast.stmt], definition: Definition) -> ast.stmt:
    """The value of one key of a table, as a statement.

    Raises:
        LookupError: the table has no such key, or is none.
    """
    for statement in statements:
        table = getattr(statement, "value", None)
        if isinstance(table, ast.Call) and is_aside(statement):
            table = table.args[0]
        if isinstance(table, ast.Dict):
            for key, value in zip(table.keys, table.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == definition.key:
                    return ast.Expr(value)
    raise LookupError(f"no key {definition.key!r} in {definition.module}.{definition.name}")
