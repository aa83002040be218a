"""Digests of code follow what is computed: edits at random on a copy of the house."""

from __future__ import annotations

import ast
import random
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from bench.experiment.code import PACKAGES, Code
from bench.experiment.definitions import Definition
from bench.experiment.roots import member
from bench.registry import FAMILIES, discover

FOLLOWED = sorted(set(FAMILIES) - {"adapters", "architectures", "formulations", "solvers"})
"""Families whose members are entered by a name of theirs."""

ROOTS = tuple(
    root
    for family in FOLLOWED
    for name in discover(family)
    if family != "stages" or name in ("train", "pairs", "sweep", "floor", "timing", "likelihood")
    for root in member(family, name)
)

HONEST = Code(PACKAGES)
"""The package as it is, read once: a house that is edited is always read anew."""

Digests = dict[Definition, str]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with a copy of the package."""
    ignored = shutil.ignore_patterns("__pycache__", "*.md", "*.j2")
    shutil.copytree(PACKAGES / "bench", tmp_path / "bench", ignore=ignored)
    return tmp_path


@pytest.fixture(scope="module")
def before() -> Digests:
    return digests(PACKAGES)


def digests(folder: Path, renamed: Callable[[str], str] = str) -> Digests:
    """Digest of every root of a house, some of whose modules may have other names there."""
    code = Code(folder)
    return {root: code.digest(root._replace(module=renamed(root.module))) for root in ROOTS}


def differing(one: Digests, other: Digests) -> set[Definition]:
    return {root for root in ROOTS if one[root] != other[root]}


def file(folder: Path, module: str) -> Path:
    found = Code(folder).file(module)
    assert found is not None
    return found


def reaching(target: Definition) -> set[Definition]:
    """Roots that reach a definition, by a walk of its own over what definitions name."""
    return {root for root in ROOTS if target in named_from(root)}


@cache
def named_from(root: Definition) -> frozenset[Definition]:
    """A definition of the package as it is, and all that it reaches."""
    seen, waiting = {root}, [root]
    while waiting:
        new = set(HONEST.named(waiting.pop())) - seen
        seen |= new
        waiting += new
    return frozenset(seen)


def counted(definition: Definition) -> bool:
    """Whether the syntax of a definition is part of its digest."""
    return HONEST.content(definition).syntax[0] != "aside"


def all_definitions() -> list[Definition]:
    """Every definition that some root reaches, but those that are passed by."""
    found = set().union(*map(named_from, ROOTS))
    return sorted(filter(counted, found), key=lambda one: (one.module, one.name))


DEFINITIONS = all_definitions()

# --- edits that compute the same ------------------------------------------------------------------


def statements(tree: ast.Module, name: str) -> list[ast.stmt]:
    """The statements of a module that define a name."""
    return [
        node
        for node in tree.body
        if getattr(node, "name", None) == name
        or (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and name
            in {
                n.id
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
                for n in ast.walk(target)
                if isinstance(n, ast.Name)
            }
        )
    ]


def move(folder: Path, definition: Definition, chooser: random.Random) -> None:
    """Move a definition into a module of its own; its old module imports it from there."""
    path = file(folder, definition.module)
    tree = ast.parse(path.read_text())
    moved = statements(tree, definition.name)
    rest = [node for node in tree.body if node not in moved]
    imports = [node for node in rest if isinstance(node, ast.Import | ast.ImportFrom | ast.If)]
    names = Code(folder).module(definition.module).definitions
    bound = {n for n in names if any(node in moved for node in statements(tree, n))}
    others = sorted(set(names) - bound)
    back = f"from {definition.module} import {', '.join(others)}\n" if others else ""
    target = f"bench.moved_{chooser.randrange(10**9)}"
    text = "\n".join(map(ast.unparse, imports))
    body = "\n".join(map(ast.unparse, moved))
    (folder / f"{target.replace('.', '/')}.py").write_text(f"{text}\n{back}{body}\n")
    start = max((i for i, n in enumerate(rest) if n in imports[:1]), default=-1) + 1
    forth = ast.parse(f"from {target} import {', '.join(sorted(bound))}").body
    tree.body = [*rest[:start], *forth, *rest[start:]]
    path.write_text(ast.unparse(tree))


def shuffle(folder: Path, definition: Definition, chooser: random.Random) -> None:
    """Write the definitions and the imports of a module in another order."""
    path = file(folder, definition.module)
    tree = ast.parse(path.read_text())
    first = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    rest = [node for node in tree.body if node not in first and not _is_text(node)]
    imports = [node for node in rest if isinstance(node, ast.Import | ast.ImportFrom)]
    others = [node for node in rest if node not in imports]
    chooser.shuffle(imports)
    chooser.shuffle(others)
    tree.body = [*first, *imports, *others]
    path.write_text(ast.unparse(tree))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def add(folder: Path, definition: Definition, chooser: random.Random) -> None:
    """Add a definition that nobody names."""
    path = file(folder, definition.module)
    path.write_text(f"{path.read_text()}\n\ndef nobody_{chooser.randrange(99)}():\n    return 1\n")


class _Words(ast.NodeTransformer):
    """Other docstrings and no annotations of functions."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        if _is_text(node.body[0]):
            node.body[0] = ast.Expr(ast.Constant("Other words."))
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node


def reword(folder: Path, definition: Definition, chooser: random.Random) -> None:
    """Change docstrings, comments and annotations."""
    path = file(folder, definition.module)
    tree = _Words().visit(ast.parse(path.read_text()))
    path.write_text(f"# a comment\n{ast.unparse(ast.fix_missing_locations(tree))}\n")


def rename_locals(folder: Path, definition: Definition, chooser: random.Random) -> None:
    """Give a local variable of a function another name."""
    path = file(folder, definition.module)
    tree = ast.parse(path.read_text())
    for function in filter(_is_plain, ast.walk(tree)):
        arguments = {n.arg for n in ast.walk(function) if isinstance(n, ast.arg)}
        stored = sorted(
            {
                n.id
                for n in ast.walk(function)
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
            - arguments
        )
        if stored:
            name = chooser.choice(stored)
            for n in ast.walk(function):
                if isinstance(n, ast.Name) and n.id == name:
                    n.id = f"{name}_by_another_name"
    path.write_text(ast.unparse(tree))


def _is_plain(node: ast.AST) -> bool:
    """Whether a function has one scope, so that names can be exchanged as text."""
    inner = (ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.Global, ast.Nonlocal, ast.ListComp,
             ast.GeneratorExp, ast.DictComp, ast.SetComp, ast.Import, ast.ImportFrom)  # fmt: skip
    return isinstance(node, ast.FunctionDef) and not any(
        isinstance(n, inner) for child in node.body for n in ast.walk(child)
    )


NEUTRAL = (move, shuffle, add, reword, rename_locals)


def check_neutral(folder: Path, before: Digests, edit: Callable[..., None], seed: int) -> None:
    """A few edits of one kind, one on top of the other, change no digest."""
    chooser = random.Random(seed)
    for definition in chooser.sample(DEFINITIONS, 8):
        edit(folder, definition, chooser)
    assert differing(before, digests(folder)) == set()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("edit", NEUTRAL, ids=lambda edit: edit.__name__)
def test_an_edit_that_computes_the_same_changes_no_digest(
    house: Path, before: Digests, edit: Callable[..., None], seed: int
) -> None:
    check_neutral(house, before, edit, seed)


@pytest.mark.parametrize(
    "module", ["bench.training.loop", "bench.models.paths._base", "bench.sampling.solvers.ode"]
)
def test_a_module_by_another_name_changes_no_digest(
    house: Path, before: Digests, module: str
) -> None:
    new = f"{module}_by_another_name"
    path = file(house, module)
    path.rename(path.with_stem(f"{path.stem}_by_another_name"))
    parent, _, name = module.rpartition(".")
    for other in (house / "bench").rglob("*.py"):
        text = re.sub(rf"\b{re.escape(module)}\b(?!\.)", new, other.read_text())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module == parent:
                line = ast.get_source_segment(text, node) or ""
                other_line = re.sub(rf"\b{name}\b", f"{name}_by_another_name as {name}", line)
                if any(alias.name == name for alias in node.names):
                    text = text.replace(line, line[:7] + other_line[7:])
        other.write_text(text)
    assert differing(before, digests(house, lambda m: new if m == module else m)) == set()


# --- edits that compute something else ------------------------------------------------------------


def numbers(folder: Path, definition: Definition) -> list[tuple[ast.Module, ast.AST]]:
    """Places of a definition where a number or an operator can be another one."""
    tree = ast.parse(file(folder, definition.module).read_text())
    found: list[tuple[ast.Module, ast.AST]] = []
    for statement in statements(tree, definition.name):
        ignored = {
            id(inner)
            for node in ast.walk(statement)
            for field in ("annotation", "returns")
            if isinstance(getattr(node, field, None), ast.AST)
            for inner in ast.walk(getattr(node, field))
        }
        found += [
            (tree, node)
            for node in ast.walk(statement)
            if id(node) not in ignored
            and (
                (isinstance(node, ast.Constant) and type(node.value) in (int, float))
                or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult))
            )
        ]
    return found


def change(folder: Path, definition: Definition, chooser: random.Random) -> bool:
    """Change one number or operator of a definition; returns whether it has one."""
    places = numbers(folder, definition)
    if not places:
        return False
    tree, node = chooser.choice(places)
    if isinstance(node, ast.Constant):
        node.value = node.value * 2 + 1
    elif isinstance(node, ast.BinOp):
        node.op = ast.Sub()
    file(folder, definition.module).write_text(ast.unparse(tree))
    return True


def check_change(folder: Path, before: Digests, definition: Definition, seed: int) -> bool:
    """A changed number changes the digests of exactly those who reach it."""
    path = file(folder, definition.module)
    honest = path.read_text()
    if not change(folder, definition, random.Random(seed)):
        return False
    found = differing(before, digests(folder))
    path.write_text(honest)
    assert found == reaching(definition), definition
    return True


def test_a_changed_number_changes_exactly_what_reaches_it(house: Path, before: Digests) -> None:
    chooser = random.Random(0)
    kinds = [check_change(house, before, one, 0) for one in chooser.sample(DEFINITIONS, 40)]
    assert sum(kinds) > 10


def test_another_condition_on_options_changes_what_uses_the_part(
    house: Path, before: Digests
) -> None:
    path = file(house, "bench.models.paths.edm")
    condition = '@requires("0 < sigma_min < sigma_max")'
    honest = path.read_text()
    assert condition in honest
    path.write_text(honest.replace(condition, '@requires("0 < sigma_min <= sigma_max")'))
    found = differing(before, digests(house))
    assert found == reaching(Definition("bench.models.paths.edm", "Edm"))
    assert set(member("paths", "edm")) <= found


def test_the_roots_differ(before: Digests) -> None:
    assert len(set(before.values())) == len(ROOTS)
    assert len(DEFINITIONS) > 300


def test_what_is_missing_is_an_error(house: Path) -> None:
    code = Code(house)
    with pytest.raises(LookupError, match=r"no module 'bench\.absent'"):
        code.digest(Definition("bench.absent", "run"))
    with pytest.raises(LookupError, match="no definition 'absent'"):
        code.digest(Definition("bench.training.loop", "absent"))
    with pytest.raises(LookupError, match="no key 'absent'"):
        code.digest(Definition("bench.sampling.solvers.exponential", "METHODS", "absent"))
    (house / "bench" / "odd.py").write_text("def run():\n    return nobody_knows\n")
    with pytest.raises(LookupError, match="nothing called 'nobody_knows'"):
        code.digest(Definition("bench.odd", "run"))


# --- small cases ----------------------------------------------------------------------------------


def small(folder: Path, **modules: str) -> Code:
    """A house of a few modules."""
    (folder / "bench").mkdir(exist_ok=True)
    for name, text in modules.items():
        (folder / "bench" / f"{name}.py").write_text(text)
    return Code(folder)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(x):\n    return x", "def f(y):\n    return y"),  # callers may name it
        ("def f(*, a, b=1):\n    return a", "def f(*, a=1, b):\n    return a"),
        ("def f():\n    return [g(x) for x in y()]\ng = max\ny = min",
         "def f():\n    return [y(x) for x in g()]\ng = max\ny = min"),
        ("def f():\n    a, b = 1, 2\n    return a", "def f():\n    a, b = 1, 2\n    return b"),
        ("class f:\n    a: int\n    b: int", "class f:\n    b: int\n    a: int"),
        ("class f:\n    a: int = 0", "class f:\n    a: ClassVar[int] = 0"),
        ("f, g = 1, 2", "g, f = 1, 2"),
        ("import math as m\ndef f():\n    return m.sin(1)",
         "import cmath as m\ndef f():\n    return m.sin(1)"),
        ("def f(x):\n    def g():\n        nonlocal x\n        x = 1\n    g()\n    return x",
         "def f(x):\n    def g():\n        x = 1\n    g()\n    return x"),
    ],
)  # fmt: skip
def test_what_computes_something_else_has_another_digest(
    tmp_path: Path, one: str, other: str
) -> None:
    found = [
        small(tmp_path / name, m=text).digest(Definition("bench.m", "f"))
        for name, text in (("one", one), ("other", other))
        if (tmp_path / name).mkdir() is None
    ]
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f():\n    a = 1\n    return a", "def f():\n    b = 1\n    return b"),
        ("def f():\n    return g()\ndef g():\n    return 1",
         "def h():\n    return 1\ndef f():\n    return h()"),
        ("import math\ndef f():\n    return math.sin(1)",
         "import math as m\ndef f():\n    return m.sin(1)"),
        ("def f(x: int) -> int:\n    'Text.'\n    return x", "def f(x):\n    return x"),
        ("def f():\n    return [x for x in ()]", "def f():\n    return [y for y in ()]"),
        ("f: int = 1", "f = 1"),
        ("def f():\n    try:\n        pass\n    except OSError as e:\n        raise e",
         "def f():\n    try:\n        pass\n    except OSError as other:\n        raise other"),
    ],
)  # fmt: skip
def test_what_computes_the_same_has_the_same_digest(tmp_path: Path, one: str, other: str) -> None:
    found = [
        small(tmp_path / name, m=text).digest(Definition("bench.m", "f"))
        for name, text in (("one", one), ("other", other))
        if (tmp_path / name).mkdir() is None
    ]
    assert found[0] == found[1]


def test_a_circle_has_digests_that_do_not_depend_on_where_one_enters(tmp_path: Path) -> None:
    text = (
        "def a(n):\n    return b(n) + 1\n"
        "def b(n):\n    return c(n) * 2\n"
        "def c(n):\n    return a(n)\n"
    )
    names = [Definition("bench.m", name) for name in "abc"]
    first = small(tmp_path, m=text)
    found = {name: first.digest(name) for name in names}
    assert len(set(found.values())) == 3
    for name in reversed(names):
        assert Code(tmp_path).digest(name) == found[name]
    changed = small(tmp_path, m=text.replace("* 2", "* 3"))
    assert all(changed.digest(name) != found[name] for name in names)


def test_a_name_of_a_class_hides_no_definition_from_its_methods(tmp_path: Path) -> None:
    text = (
        "def rate():\n    return 1\n"
        "class f:\n    rate: int = 0\n    def g(self):\n        return rate()\n"
    )
    found = small(tmp_path, m=text).digest(Definition("bench.m", "f"))
    changed = small(tmp_path, m=text.replace("return 1", "return 2"))
    assert changed.digest(Definition("bench.m", "f")) != found


def test_an_import_in_a_function_holds_there_only(tmp_path: Path) -> None:
    text = (
        "from bench.one import g\n"
        "def f():\n    return g()\n"
        "def h():\n    from bench.two import g\n    return g()\n"
    )
    one, two = "def g():\n    return 1\n", "def g():\n    return 2\n"
    names = [Definition("bench.m", name) for name in "fh"]
    found = list(map(small(tmp_path, m=text, one=one, two=two).digest, names))
    changed = list(map(small(tmp_path, two=two.replace("2", "3")).digest, names))
    assert [a == b for a, b in zip(found, changed, strict=True)] == [True, False]


def test_a_module_that_is_passed_on_counts_whole(tmp_path: Path) -> None:
    text = "from bench import one\ndef f():\n    return vars(one)\n"
    found = small(tmp_path, m=text, one="A = 1\nB = 2\n").digest(Definition("bench.m", "f"))
    changed = small(tmp_path, one="A = 1\nB = 3\n").digest(Definition("bench.m", "f"))
    assert found != changed


def test_modules_do_nothing_but_define() -> None:
    """A statement of a module that is no definition would be in nobody's digest."""
    allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef,
               ast.Assign, ast.AnnAssign)  # fmt: skip
    for path in sorted((PACKAGES / "bench").rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            is_main = isinstance(node, ast.If) and path.name == "__main__.py"
            checking = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            assert isinstance(node, allowed) or _is_text(node) or checking or is_main, (
                path, ast.unparse(node))  # fmt: skip
