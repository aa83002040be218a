"""The syntax of one definition in plain lists, without what computes nothing, and what it names.

Names of local variables are numbered by their first appearance; names of definitions and packages
are what they mean; docstrings, comments, annotations and places are left out.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench.experiment.definitions import (
    Bindings,
    Definition,
    Foreign,
    Target,
    Whole,
    imported,
    is_inert,
    is_type_checking,
)


class Names(Protocol):
    """What knows what the names of a module mean."""

    def file(self, module: str) -> Path | None:
        """The file of a module of the house, or None where there is none."""
        ...

    def resolved(self, module: str, name: str, imports: Bindings) -> Target:
        """What a name means in a module, with the imports of the function that says it."""
        ...


@dataclass
class _Scope:
    """Names that a function, a lambda, a comprehension or the body of a class binds.

    Attributes:
        bound: the names.
        fixed: those that count, because others may say them: parameters and attributes.
        of_class: whether it is a class; functions inside of one do not see its names.
        numbers: of the other names, by their first appearance.
    """

    bound: frozenset[str]
    fixed: frozenset[str] = frozenset()
    of_class: bool = False
    numbers: dict[str, int] = field(default_factory=dict)


_LEFT_OUT = {"annotation", "returns", "type_comment", "type_params", "ctx", "kind"}
"""Fields of a syntax tree that change no computation."""

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_NAMERS = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
_ASSIGNMENTS = (ast.Assign, ast.AugAssign)
_BINDING = (ast.Store, ast.Del)
_OUTSIDE = (ast.Global, ast.Nonlocal)
_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Reader:
    """Reads one definition: its syntax in plain lists, and what it names.

    Local variables are numbered by their first appearance. A field that a later Python adds is
    empty for older code, so that the form is the same under every version.
    """

    def __init__(self, code: Names, definition: Definition) -> None:
        self._code, self._definition = code, definition
        self._scopes: list[_Scope] = []
        self._imports: list[Bindings] = []
        self._locals = 0
        self.names: list[Definition | Whole] = []

    def canonical(self, node: Any, *, outermost: bool = True) -> Any:
        """A syntax tree as plain lists: no positions, no bare strings, no empty fields."""
        if isinstance(node, list):
            return [self.canonical(x, outermost=False) for x in node if self._computes(x)]
        if not isinstance(node, ast.AST):
            return None if node is None else repr(node)
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, _FUNCTIONS):
            return self._function(node, outermost)
        if isinstance(node, _COMPREHENSIONS):
            return self._comprehension(node)
        if isinstance(node, ast.ClassDef):
            return self._class(node, outermost)
        if isinstance(node, _NAMERS) and node.name:
            return [self._fields(node, {"name"}), self._name(node.name)]
        if isinstance(node, ast.AnnAssign):
            return self._annotated(node, outermost)
        if isinstance(node, _ASSIGNMENTS) and outermost:
            return self._fields(node, set(), targets=self._targets(node))
        return self._fields(node, set())

    def _computes(self, node: Any) -> bool:
        """Whether a node does anything; a field of a class does without a value, too."""
        if isinstance(node, ast.AnnAssign) and node.value is None:
            return self._in_class
        return not is_inert(node)

    def _fields(self, node: ast.AST, skipped: set[str], **replacements: Any) -> Any:
        parts = {
            name: replacements[name]
            if name in replacements
            else self.canonical(value, outermost=False)
            for name, value in ast.iter_fields(node)
            if name not in _LEFT_OUT and name not in skipped
        }
        return [type(node).__name__, {k: v for k, v in parts.items() if v not in (None, [])}]

    def _targets(self, node: ast.Assign | ast.AugAssign) -> Any:
        """Which of several names a statement binds is the definition; a single one has no name."""
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        flat = [n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
        return [n.id == self._definition.name for n in flat if isinstance(n.ctx, ast.Store)]

    def _annotated(self, node: ast.AnnAssign, outermost: bool) -> Any:
        """A declared variable; what it is declared as counts where it makes no field of a class."""
        if outermost:
            assert node.value is not None, "declared and never given a value"
            return self._fields(ast.Assign([node.target], node.value), set(), targets=[True])
        heads = (n.id for n in ast.walk(node.annotation) if isinstance(n, ast.Name))
        kind = [head for head in heads if head in ("ClassVar", "InitVar")]
        return [
            "AnnAssign",
            kind,
            self.canonical(node.target, outermost=False),
            self.canonical(node.value, outermost=False),
        ]

    # --- names --------------------------------------------------------------------------------

    def _name(self, name: str) -> Any:
        scope = self._binding(name)
        if scope is None:
            return self._target(name, self._resolved(name))
        if name in scope.fixed:
            return ["fixed", name]
        if name not in scope.numbers:
            self._locals += 1
            scope.numbers[name] = self._locals
        return ["local", scope.numbers[name]]

    def _binding(self, name: str) -> _Scope | None:
        """The innermost scope that binds a name."""
        for depth, scope in enumerate(reversed(self._scopes)):
            if name in scope.bound and (depth == 0 or not scope.of_class):
                return scope
        return None

    @property
    def _in_class(self) -> bool:
        return bool(self._scopes) and self._scopes[-1].of_class

    def _resolved(self, name: str) -> Target:
        for imports in reversed(self._imports):
            if name in imports:
                return self._code.resolved(self._definition.module, name, imports)
        return self._code.resolved(self._definition.module, name, {})

    def _target(self, name: str, target: Target) -> Any:
        if isinstance(target, Foreign):
            return ["package", target.name]
        if target is None:
            if not (hasattr(builtins, name) or name.startswith("__")):
                raise LookupError(f"{self._definition.module}: nothing called {name!r}")
            return ["builtin", name]
        if target == self._definition:
            return ["itself"]
        if target not in self.names:
            self.names.append(target)
        return ["definition", self.names.index(target)]

    def _attribute(self, node: ast.Attribute) -> Any:
        """An attribute; one of a module of the house is a definition."""
        base = node.value
        if isinstance(base, ast.Name | ast.Attribute):
            module = self._module(base)
            if module is not None:
                if self._code.file(f"{module}.{node.attr}") is not None:
                    return self._target(node.attr, Whole(f"{module}.{node.attr}"))
                target = self._code.resolved(module, node.attr, {})
                if target is None:
                    raise LookupError(f"no definition {node.attr!r} in {module}")
                return self._target(node.attr, target)
        return self._fields(node, set())

    def _module(self, node: ast.expr) -> str | None:
        """The module of the house that an expression names, or None."""
        if isinstance(node, ast.Name):
            if self._binding(node.id) is not None:
                return None
            target = self._resolved(node.id)
            return target.module if isinstance(target, Whole) else None
        if isinstance(node, ast.Attribute):
            inner = self._module(node.value)
            if inner is not None and self._code.file(f"{inner}.{node.attr}") is not None:
                return f"{inner}.{node.attr}"
        return None

    # --- scopes -------------------------------------------------------------------------------

    def _function(self, node: Any, outermost: bool) -> Any:
        outside = {
            "defaults": self.canonical(
                [node.args.defaults, node.args.kw_defaults], outermost=False
            ),
            "decorators": self.canonical(getattr(node, "decorator_list", []), outermost=False),
        }
        body = node.body if isinstance(node.body, list) else [node.body]
        arguments = [
            *node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs,
            *filter(None, (node.args.vararg, node.args.kwarg)),
        ]  # fmt: skip
        parameters = frozenset(argument.arg for argument in arguments)
        stored, elsewhere, imports = _bound_inside(body)
        scope = _Scope(frozenset(parameters | (stored - elsewhere)), parameters)
        name = None if outermost or isinstance(node, ast.Lambda) else self._name(node.name)
        self._scopes.append(scope)
        self._imports.append(imports)
        inside = self.canonical(body, outermost=False)
        self._scopes.pop()
        self._imports.pop()
        shape = [
            [argument.arg for argument in node.args.posonlyargs],
            [argument.arg for argument in node.args.args],
            [argument.arg for argument in node.args.kwonlyargs],
            node.args.vararg and node.args.vararg.arg,
            node.args.kwarg and node.args.kwarg.arg,
        ]
        return [type(node).__name__, name, shape, outside, inside]

    def _comprehension(self, node: Any) -> Any:
        stored = {
            n.id
            for generator in node.generators
            for n in ast.walk(generator.target)
            if isinstance(n, ast.Name)
        }
        first = self.canonical(node.generators[0].iter, outermost=False)
        self._scopes.append(_Scope(frozenset(stored)))
        generators = [
            [
                self.canonical(generator.target, outermost=False),
                None if place == 0 else self.canonical(generator.iter, outermost=False),
                self.canonical(generator.ifs, outermost=False),
                generator.is_async,
            ]
            for place, generator in enumerate(node.generators)
        ]
        made = self._fields(node, {"generators"})
        self._scopes.pop()
        return [made, first, generators]

    def _class(self, node: ast.ClassDef, outermost: bool) -> Any:
        """A class; its name counts, since objects can say it."""
        outside = self.canonical([node.bases, node.keywords, node.decorator_list], outermost=False)
        name = node.name if outermost else self._name(node.name)
        stored, _, imports = _bound_inside(node.body)
        self._scopes.append(_Scope(frozenset(stored), frozenset(stored), of_class=True))
        self._imports.append(imports)
        body = self.canonical(node.body, outermost=False)
        self._scopes.pop()
        self._imports.pop()
        return ["ClassDef", name, outside, body]


def _bound_inside(body: Sequence[ast.AST]) -> tuple[set[str], set[str], Bindings]:
    """Names that a function binds, those it takes from outside, and those its imports bind.

    What inner functions, classes and comprehensions bind is theirs.
    """
    stored: set[str] = set()
    elsewhere: set[str] = set()
    imports: dict[str, tuple[str, str | None]] = {}
    waiting: list[ast.AST] = [node for node in body if not is_type_checking(node)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, _BINDING):
            stored.add(node.id)
        elif isinstance(node, _NAMERS) and node.name:
            stored.add(node.name)
        elif isinstance(node, _OUTSIDE):
            elsewhere |= set(node.names)
        imports |= imported(node)
        if isinstance(node, _NAMED):
            stored.add(node.name)
            waiting += node.decorator_list
            continue
        if isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
            waiting += [n for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
            continue
        waiting += ast.iter_child_nodes(node)
    return stored - set(imports), elsewhere, imports
