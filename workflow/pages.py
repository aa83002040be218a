"""Write the tables of the README files that the code itself can tell; ``--check`` compares instead.

Run from the repository's root:

    .venv/bin/python workflow/pages.py

A page marks the place of a table with two comments, ``<!-- NAME:begin -->`` and
``<!-- NAME:end -->``; what stands between them is made here and never written by hand.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

from pydantic import BaseModel

from bench.cli import VERBS
from bench.data.dataset import data_module
from bench.evidence.records import COLUMNS
from bench.experiment.costs import Plan
from bench.experiment.keys import keys
from bench.experiment.loading import load
from bench.formulations.grammar import Formulation, Part, Stage
from bench.formulations.parts import formulation_module
from bench.markdown import code, plain, table
from bench.metrics.declared import Needs, metric_module
from bench.models.architectures import declared as architecture
from bench.registry import discover, source
from bench.report import published
from bench.sampling.solvers.catalogue import GRIDS as CONFIG_GRIDS
from bench.sampling.solvers.catalogue import SOLVERS

ROOT = Path(__file__).resolve().parent.parent


def summary(tree: ast.Module | ast.FunctionDef | ast.ClassDef) -> str:
    """The first sentence of a docstring."""
    text = ast.get_docstring(tree) or ""
    return plain(text.partition("\n\n")[0]).removesuffix(".")


def module_tree(family: str, name: str) -> ast.Module:
    """The syntax of a member's file; nothing is imported."""
    return ast.parse(source(family, name).read_text(encoding="utf-8"))


def members(family: str) -> str:
    """Every file of a family and what its first line says."""
    rows = [[code(name), summary(module_tree(family, name))] for name in discover(family)]
    return table(["file", "what it is"], rows)


def parts(family: str) -> str:
    """Every part of a family with the options of its class and their defaults."""
    rows = []
    for name in discover(family):
        tree = module_tree(family, name)
        rows.append([code(name), summary(tree), ", ".join(_options(tree)) or "none"])
    return table(["part", "what it is", "options"], rows)


def _options(tree: ast.Module) -> Iterator[str]:
    """``name = default`` of the class that ``build`` names, less what an objective is made of."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    built = next(
        ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "build"
    )
    for node in classes[built].body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            names = [argument.arg for argument in node.args.args[1:]]
            missing: list[ast.expr | None] = [None] * (len(names) - len(node.args.defaults))
            for name, default in zip(names, [*missing, *node.args.defaults], strict=True):
                if name not in ("time_sampling", "weighting"):
                    yield code(name if default is None else f"{name} = {ast.unparse(default)}")


def predictions() -> str:
    """What an output can mean: the functions of ``bench/models/predictions.py``."""
    text = (ROOT / "bench" / "models" / "predictions.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    listed = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "PREDICTIONS"
    )
    assert isinstance(listed, ast.Dict)
    rows = [
        [code(ast.literal_eval(key)), summary(functions[ast.unparse(value)])]
        for key, value in zip(listed.keys, listed.values, strict=True)
        if key is not None
    ]
    return table(["prediction", "the output is"], rows)


def formulations() -> str:
    """What every formulation is made of, as it comes."""
    rows = []
    for name in discover("formulations"):
        module = formulation_module(name)
        made: Formulation = module.formulation(module.Options())
        final = made.final
        rows.append(
            [
                code(name),
                module.TITLE,
                _described(final.path),
                _described(final.coupling),
                final.prediction,
                _described(final.part("objective")),
                _described(final.part("time_sampling")),
                _described(final.part("weighting")),
                ", ".join(map(_stage, made.stages)),
                made.sampler,
                made.reference,
            ]
        )
    header = ["formulation", "title", "path", "coupling", "prediction", "objective"]
    return table([*header, "time sampling", "weighting", "stages", "sampler", "published"], rows)


def _described(part: Part | None) -> str:
    return "" if part is None else part.describe()


def _stage(stage: Stage) -> str:
    return f"{stage.name} ({stage.share:.2g})"


def solvers() -> str:
    """The catalogue."""
    rows = [
        [
            code(declared.name),
            declared.title,
            declared.family,
            declared.grid,
            _cost(declared.cost),
            "" if declared.order is None else str(declared.order),
            declared.reference,
        ]
        for declared in SOLVERS.values()
    ]
    header = ["solver", "title", "family", "own grid", "evaluations of 1, 2, 3, 4 intervals"]
    return table([*header, "order", "published"], rows)


def _cost(cost: Callable[[int], int] | None) -> str:
    if cost is None:
        return "as the tolerance asks"
    return ", ".join(str(cost(intervals)) for intervals in range(1, 5))


def grids() -> str:
    """The grids that a config may name, and what each is."""
    text = (ROOT / "bench" / "sampling" / "solvers" / "grids.py").read_text(encoding="utf-8")
    functions = {n.name: n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)}
    rows = [[code(name), summary(functions[name])] for name in CONFIG_GRIDS]
    return table(["grid", "what it is"], rows)


def metrics() -> str:
    """What every metric file measures, in which direction, and what it needs."""
    rows = []
    for file in discover("metrics"):
        module = metric_module(file)
        does = summary(module_tree("metrics", file))
        for name, direction in module.DIRECTIONS.items():
            better = direction or "that of real data"
            needs = _needs(module.NEEDS)
            rows.append([code(name), code(file), better, module.SCALES[name], needs, does])
    return table(["metric", "file", "better", "scale", "needs", "the file"], rows)


def _needs(needs: Needs) -> str:
    words = {
        "extractor": "an extractor",
        "exact": "the exact law",
        "levels": "grey levels",
        "reference_solve": "a fine solve",
        "exact_solve": "the exact flow",
    }
    asked = [word for name, word in words.items() if getattr(needs, name)]
    return "; ".join([" or ".join(needs.kinds), *asked])


def data() -> str:
    """The data sets and their options."""
    rows = []
    for name in discover("data"):
        options = data_module(name).Options
        rows.append([code(name), summary(module_tree("data", name)), _fields(options)])
    return table(["data set", "what it is", "options"], rows)


def networks() -> str:
    """The networks and their options."""
    rows = []
    for name in discover("architectures"):
        options = _fields(architecture(name), without=("kind",))
        rows.append([code(name), summary(module_tree("networks", name)), options])
    return table(["kind", "what it is", "options"], rows)


def _fields(model: type[BaseModel], without: Sequence[str] = ()) -> str:
    fields = [
        code(name if field.is_required() else f"{name} = {field.default!r}")
        for name, field in model.model_fields.items()
        if name not in without
    ]
    return ", ".join(fields) or "none"


def verbs() -> str:
    """The verbs of the command line."""
    rows = [[code(name), verb.does] for name, verb in VERBS.items()]
    return table(["verb", "does"], rows)


def columns() -> str:
    """The columns of ``records.parquet`` and their types."""
    return table(["column", "type"], [[code(name), kind] for name, kind in COLUMNS.items()])


def configs() -> str:
    """The shipped experiment files and the first sentence of each."""
    rows = []
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        rows.append([f"[`{path.name}`]({path.name})", first_sentence(path)])
    return table(["file", "what it is for"], rows)


def first_sentence(path: Path) -> str:
    """What the comment at the head of an experiment file says first."""
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            break
        comment.append(line.removeprefix("# "))
    says = re.match(r".*?\.(?= |$)", " ".join(comment))
    assert says, f"{path}: its first lines say in a sentence what it is for"
    return says[0].removesuffix(".")


def devices() -> str:
    """The experiments whose budgets are seconds of a device, and what ``plan`` expects of them."""
    rows = []
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        one = load(path)
        if one.budget.unit != "device_seconds" or not one.formulations:
            continue
        models = len(one.formulations) * len(one.seeds)
        hours = models * sum(one.budget.amount.values()) / 3600
        training = f"{hours:,.0f} hours" if hours >= 10 else f"{60 * hours:,.0f} minutes"
        operations = Plan(one).sampling_flops()
        rows.append((f"`configs/{path.name}`", str(models), training, f"{operations:.1e}"))
    return table(("experiment", "models", "training on the device", "operations of sampling"), rows)


# --- published runs -------------------------------------------------------------------------------


@cache
def runs() -> list[published.Run]:
    """What lies in ``results/reference``."""
    return published.read_runs(ROOT / "results" / "reference")


def purpose(name: str) -> str:
    """What the experiment file of a name says that it is for; nothing where none is shipped."""
    path = ROOT / "configs" / f"{name}.yaml"
    return first_sentence(path) if path.is_file() else ""


def cost() -> str:
    """What the default experiment and the smallest one are expected to take."""
    said = []
    for name in ("default", "smoke"):
        plan = Plan(load(ROOT / "configs" / f"{name}.yaml"))
        one = plan.experiment
        models = len(one.datasets) * len(one.labels) * len(one.seeds)
        core_seconds = sum(plan.seconds().values())
        said.append(
            f"`configs/{name}.yaml`: {models} models, {core_seconds:,.0f} core-seconds, "
            f"{plan.minutes(2):.0f} minutes on 2 cores"
        )
    return f"Expected (`plan`): {'; '.join(said)}."


PUBLISHED: dict[str, Callable[[], str]] = {
    "overview": cache(lambda: published.overview(runs(), purpose)),
    "reading": published.reading,
    "claims": cache(lambda: published.verdicts(runs())),
    "runs": cache(lambda: published.sections(runs())),
}


# --- the pages ------------------------------------------------------------------------------------

PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"cost": cost, "results": cache(lambda: published.results(runs()))},
    "results/reference/README.md": PUBLISHED,
    "bench/formulations/README.md": {"formulations": formulations},
    "bench/models/README.md": {
        "paths": partial(parts, "paths"),
        "predictions": predictions,
        "networks": networks,
    },
    "bench/training/README.md": {
        family: partial(parts, family)
        for family in ("couplings", "time_sampling", "weightings", "objectives")
    },
    "bench/sampling/README.md": {"solvers": solvers, "grids": grids},
    "bench/data/README.md": {"data": data},
    "bench/metrics/README.md": {"metrics": metrics, "extractors": partial(members, "extractors")},
    "bench/stages/README.md": {"verbs": verbs},
    "bench/evidence/README.md": {"columns": columns},
    "configs/README.md": {"configs": configs, "devices": devices, "keys": keys},
}
"""The pages with tables of the code, and what makes each."""


ELSEWHERE = {"gpu"}
"""Blocks that other code writes: ``tests/benchmarks/gpu/publish.py``."""


def with_tables(text: str, made: dict[str, Callable[[], str]]) -> str:
    """A page with its tables written anew.

    Raises:
        ValueError: the page has not exactly one place for a table, or has one for an unknown table.
    """
    for name, make in made.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"the page needs one {begin} ... {end}")
        head, _, tail = text.partition(begin)
        text = f"{head}{begin}\n{make()}\n{end}{tail.partition(end)[2]}"
    unknown = set(re.findall(r"<!-- (\w+):begin -->", text)) - set(made) - ELSEWHERE
    if unknown:
        raise ValueError(f"nothing makes the table {min(unknown)!r}")
    return text


def main(arguments: Sequence[str]) -> int:
    """Write all pages, or name those that are not as the code has them."""
    stale = 0
    for name, made in PAGES.items():
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        fresh = with_tables(text, made)
        if fresh == text:
            continue
        stale += 1
        print(f"{name}: {'is not what the code says' if '--check' in arguments else 'written'}")
        if "--check" not in arguments:
            path.write_text(fresh, encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
