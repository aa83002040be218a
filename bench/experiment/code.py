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
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.experiment.definitions import (
    HOUSE,
    MARK,
    Bindings,
    Content,
    Definition,
    Foreign,
    Module,
    Target,
    Whole,
    bound_by,
    entry,
    imported,
    is_aside,
    running,
)
from bench.experiment.syntax import Reader
from bench.files import digest_of

PACKAGES = Path(__file__).parents[2]
"""The folder of the package ``bench``."""


def digest(*roots: Definition) -> str:
    """Digest of what some definitions compute, and of all that they reach.

    Raises:
        LookupError: there is no such module or definition.
    """
    return digest_of(sorted({Code.of(str(PACKAGES)).digest(root) for root in roots}))


def reached(*roots: Definition) -> tuple[Definition, ...]:
    """Every definition that some definitions reach, themselves included, sorted."""
    code = Code.of(str(PACKAGES))
    definitions: set[Definition] = set()
    waiting = [code.located(root) for root in roots]
    while waiting:
        definition = waiting.pop()
        if definition not in definitions:
            definitions.add(definition)
            waiting += code.named(definition)
    return tuple(
        sorted(definitions, key=lambda member: (member.module, member.name, member.key or ""))
    )


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
            for statement in running(body):
                for bound in bound_by(statement):
                    definitions.setdefault(bound, []).append(statement)
                imports |= imported(statement)
            self._modules[name] = Module(definitions, imports)
        return self._modules[name]

    def resolved(self, module: str, name: str, imports: Bindings) -> Target:
        """What a name means in a module, imports of a function before those of the module."""
        content = self.module(module)
        if name in imports:
            return self._from(*imports[name])
        if name in content.definitions:
            return Definition(module, name)
        if name in content.imports:
            return self._from(*content.imports[name])
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
            statements = [entry(statements, definition)]
        elif any(is_aside(statement) for statement in statements):
            return Content([MARK, definition.name], ())
        reader = Reader(self, definition)
        syntax = [reader.canonical(statement) for statement in statements]
        return Content(syntax, tuple(reader.names))

    def named(self, definition: Definition) -> tuple[Definition, ...]:
        """The definitions that one names; those of a module that it passes on."""
        definitions: list[Definition] = []
        for target in self.content(definition).names:
            if isinstance(target, Whole):
                definitions += (Definition(target.module, name) for name in self._all(target))
            else:
                definitions.append(target)
        return tuple(dict.fromkeys(definitions))

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
        digests = {
            definition: digest_of(
                [self.content(definition).syntax, self._given(definition, inside, {})]
            )
            for definition in circle
        }
        for _ in circle if self._is_circle(circle) else ():
            digests = {
                definition: digest_of(
                    [digests[definition], self._given(definition, inside, digests)]
                )
                for definition in circle
            }
        self._digests |= digests

    def _is_circle(self, circle: Sequence[Definition]) -> bool:
        return len(circle) > 1

    def _given(
        self, owner: Definition, inside: set[Definition], digests: Mapping[Definition, str]
    ) -> list[Any]:
        """Digests of what a definition names, in order; of its own circle those found so far."""

        def of(definition: Definition) -> str:
            if definition in inside:
                return digests.get(definition, "again")
            return self._digests[definition]

        return [
            sorted(of(Definition(target.module, name)) for name in self._all(target))
            if isinstance(target, Whole)
            else of(target)
            for target in self.content(owner).names
        ]
