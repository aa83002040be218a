"""What code computes, as a digest that does not depend on where the code stands.

The digest of a *definition* (a function, a class, a constant of a module) covers its own syntax and
the digests of the definitions that it names, across modules. Modules themselves do not exist for
it: moving a definition, splitting, merging or renaming modules, the order of imports and
definitions that nobody names change no digest; neither do docstrings, comments, annotations, and
the names of local variables and of the definitions themselves. A constant, a default, an operator
or a helper that changes, changes the digests of exactly those definitions that reach it.

What leaves the house (``torch.linspace``) is named by its full name; versions of packages stand
beside the code in a stage's digest. A definition that is marked :func:`~bench.registry.aside`
counts as a name: what it decides reaches digests as values. What code reaches by a string is
reached through :mod:`bench.registry`, and named by the caller as a root of its own.

Definitions that name each other in a circle get their digests together (Weisfeiler and Leman,
1968): each is refined by those of the others until all differences have gone round.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from bench.files import digest_of

PACKAGES = Path(__file__).parents[2]
"""The folder of the package ``bench``."""

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


def digest(*roots: Definition) -> str:
    """Digest of what some definitions compute, and of all that they reach.

    Raises:
        LookupError: there is no such module or definition.
    """
    return digest_of(sorted({Code.of(str(PACKAGES)).digest(root) for root in roots}))


def reached(*roots: Definition) -> tuple[Definition, ...]:
    """Every definition that some definitions reach, themselves included, sorted."""
    code = Code.of(str(PACKAGES))
    found: set[Definition] = set()
    waiting = [code.located(root) for root in roots]
    while waiting:
        definition = waiting.pop()
        if definition not in found:
            found.add(definition)
            waiting += code.named(definition)
    return tuple(sorted(found, key=lambda one: (one.module, one.name, one.key or "")))


class Code:
    """The definitions of the package below a folder.

    Args:
        folder: that the package ``bench`` lies in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._modules: dict[str, Module] = {}
        self._contents: dict[Definition, Content] = {}
        self._digests: dict[Definition, str] = {}

    @staticmethod
    @cache
    def of(folder: str) -> Code:
        """The code below a folder, read once."""
        return Code(Path(folder))

    # --- modules and names ------------------------------------------------------------------------

    def file(self, module: str) -> Path | None:
        """The file of a module, or None where there is none."""
        base = self._folder.joinpath(*module.split("."))
        candidates = (base.with_suffix(".py"), base / "__init__.py")
        return next((path for path in candidates if path.is_file()), None)

    def module(self, name: str) -> Module:
        """A module's definitions and imports.

        Raises:
            LookupError: there is no such module.
        """
        if name not in self._modules:
            path = self.file(name)
            if path is None:
                raise LookupError(f"no module {name!r} below {self._folder}")
            body = ast.parse(path.read_text(encoding="utf-8"), str(path)).body
            definitions: dict[str, list[ast.stmt]] = {}
            imports: dict[str, tuple[str, str | None]] = {}
            for statement in _running(body):
                for bound in _bound_by(statement):
                    definitions.setdefault(bound, []).append(statement)
                imports |= _imported(statement)
            self._modules[name] = Module(definitions, imports)
        return self._modules[name]

    def resolved(self, module: str, name: str, imports: Bindings) -> Target:
        """What a name means in a module, imports of a function before those of the module."""
        found = self.module(module)
        if name in imports:
            return self._from(*imports[name])
        if name in found.definitions:
            return Definition(module, name)
        if name in found.imports:
            return self._from(*found.imports[name])
        return None

    def _from(self, module: str, name: str | None) -> Target:
        if module.split(".")[0] != HOUSE:
            return Foreign(module if name is None else f"{module}.{name}")
        if name is None:
            return Whole(module)
        if self.file(f"{module}.{name}") is not None:
            return Whole(f"{module}.{name}")
        target = self.resolved(module, name, {})
        if target is None:
            raise LookupError(f"no definition {name!r} in {module}")
        return target

    def located(self, definition: Definition) -> Definition:
        """A definition where it stands, if its module only imports it.

        Raises:
            LookupError: the module knows nothing of that name.
        """
        target = self.resolved(definition.module, definition.name, {})
        if not isinstance(target, Definition):
            raise LookupError(f"no definition {definition.name!r} in {definition.module}")
        return target._replace(key=definition.key)

    # --- contents ---------------------------------------------------------------------------------

    def content(self, definition: Definition) -> Content:
        """A definition's own syntax and what it names.

        Raises:
            LookupError: there is no such definition.
        """
        if definition not in self._contents:
            self._contents[definition] = self._read(definition)
        return self._contents[definition]

    def _read(self, definition: Definition) -> Content:
        statements = self.module(definition.module).definitions.get(definition.name)
        if statements is None:
            raise LookupError(f"no definition {definition.name!r} in {definition.module}")
        if definition.key is not None:
            statements = [_entry(statements, definition)]
        elif any(_is_aside(statement) for statement in statements):
            return Content([MARK, definition.name], ())
        reader = _Reader(self, definition)
        syntax = [reader.canonical(statement) for statement in statements]
        return Content(syntax, tuple(reader.names))

    def named(self, definition: Definition) -> tuple[Definition, ...]:
        """The definitions that one names; those of a module that it passes on."""
        found: list[Definition] = []
        for target in self.content(definition).names:
            if isinstance(target, Whole):
                found += (Definition(target.module, name) for name in self._all(target))
            else:
                found.append(target)
        return tuple(dict.fromkeys(found))

    def _all(self, whole: Whole) -> list[str]:
        return sorted(self.module(whole.module).definitions)

    # --- digests ----------------------------------------------------------------------------------

    def digest(self, definition: Definition) -> str:
        """Digest of a definition and of all that it reaches; its module may import it."""
        definition = self.located(definition)
        for circle in self._circles(definition):
            self._settle(circle)
        return self._digests[definition]

    def _circles(self, root: Definition) -> Iterator[list[Definition]]:
        """Groups of definitions that reach each other, each after those that it names.

        Tarjan's algorithm (1972), without recursion.
        """
        index: dict[Definition, int] = {}
        lowest: dict[Definition, int] = {}
        stack: list[Definition] = []
        waiting: set[Definition] = set()
        path: list[tuple[Definition, Iterator[Definition]]] = []

        def enter(definition: Definition) -> None:
            index[definition] = lowest[definition] = len(index)
            stack.append(definition)
            waiting.add(definition)
            path.append((definition, iter(self.named(definition))))

        if root not in self._digests:
            enter(root)
        while path:
            definition, named = path[-1]
            following = next(named, None)
            if following is None:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[definition])
                if lowest[definition] == index[definition]:
                    circle: list[Definition] = []
                    while not circle or circle[-1] != definition:
                        circle.append(stack.pop())
                        waiting.discard(circle[-1])
                    yield circle
            elif following in self._digests:
                continue
            elif following not in index:
                enter(following)
            elif following in waiting:
                lowest[definition] = min(lowest[definition], index[following])

    def _settle(self, circle: Sequence[Definition]) -> None:
        """Digests of definitions that reach each other; all others that they name have theirs."""
        inside = set(circle)
        found = {
            one: digest_of([self.content(one).syntax, self._given(one, inside, {})])
            for one in circle
        }
        for _ in circle if self._is_circle(circle) else ():
            found = {
                one: digest_of([found[one], self._given(one, inside, found)]) for one in circle
            }
        self._digests |= found

    def _is_circle(self, circle: Sequence[Definition]) -> bool:
        return len(circle) > 1

    def _given(
        self, one: Definition, inside: set[Definition], found: Mapping[Definition, str]
    ) -> list[Any]:
        """Digests of what a definition names, in order; of its own circle those found so far."""

        def of(definition: Definition) -> str:
            if definition in inside:
                return found.get(definition, "again")
            return self._digests[definition]

        return [
            sorted(of(Definition(target.module, name)) for name in self._all(target))
            if isinstance(target, Whole)
            else of(target)
            for target in self.content(one).names
        ]


# --- syntax ---------------------------------------------------------------------------------------


def _running(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module that run, those inside of conditions included."""
    for statement in body:
        if _is_type_checking(statement):
            continue
        if isinstance(statement, ast.If):
            yield from _running([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.Try):
            handlers = (line for handler in statement.handlers for line in handler.body)
            yield from _running([*statement.body, *handlers, *statement.orelse])
        else:
            yield statement


def _bound_by(statement: ast.stmt) -> list[str]:
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


def _imported(statement: ast.AST) -> dict[str, tuple[str, str | None]]:
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


def _is_type_checking(node: Any) -> bool:
    """Whether a statement holds imports for annotations, which never run."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _is_inert(node: Any) -> bool:
    """Whether a statement computes nothing: a bare string, an import, a declaration of scope."""
    bare_string = (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
    silent = (ast.Import, ast.ImportFrom, ast.Pass, ast.Global, ast.Nonlocal)
    return bare_string or isinstance(node, silent) or _is_type_checking(node)


def _is_aside(statement: ast.stmt) -> bool:
    """Whether a definition carries the mark of :func:`bench.registry.aside`."""
    value = getattr(statement, "value", None)
    around = [value.func] if isinstance(value, ast.Call) else []
    return any(
        isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == MARK
        for mark in (*getattr(statement, "decorator_list", ()), *around)
    )


def _entry(statements: Sequence[ast.stmt], definition: Definition) -> ast.stmt:
    """The value of one key of a table, as a statement.

    Raises:
        LookupError: the table has no such key, or is none.
    """
    for statement in statements:
        table = getattr(statement, "value", None)
        if isinstance(table, ast.Call) and _is_aside(statement):
            table = table.args[0]
        if isinstance(table, ast.Dict):
            for key, value in zip(table.keys, table.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == definition.key:
                    return ast.Expr(value)
    raise LookupError(f"no key {definition.key!r} in {definition.module}.{definition.name}")


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


class _Reader:
    """Reads one definition: its syntax in plain lists, and what it names.

    Local variables are numbered by their first appearance. A field that a later Python adds is
    empty for older code, so that the form is the same under every version.
    """

    def __init__(self, code: Code, definition: Definition) -> None:
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
        if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            return [self._fields(node, {"name"}), self._name(node.name)]
        if isinstance(node, ast.AnnAssign):
            return self._annotated(node, outermost)
        if isinstance(node, ast.Assign | ast.AugAssign) and outermost:
            return self._fields(node, set(), targets=self._targets(node))
        return self._fields(node, set())

    def _computes(self, node: Any) -> bool:
        """Whether a node does anything; a field of a class does without a value, too."""
        if isinstance(node, ast.AnnAssign) and node.value is None:
            return self._in_class
        return not _is_inert(node)

    def _fields(self, node: ast.AST, skipped: set[str], **given: Any) -> Any:
        parts = {
            name: given[name] if name in given else self.canonical(value, outermost=False)
            for name, value in ast.iter_fields(node)
            if name not in _LEFT_OUT | skipped
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
    waiting: list[ast.AST] = [node for node in body if not _is_type_checking(node)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            stored.add(node.id)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            stored.add(node.name)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere |= set(node.names)
        imports |= _imported(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            stored.add(node.name)
            waiting += node.decorator_list
            continue
        if isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
            waiting += [n for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
            continue
        waiting += ast.iter_child_nodes(node)
    return stored - set(imports), elsewhere, imports
