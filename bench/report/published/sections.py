"""A section a published run: how it was made, its tables, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from bench.evidence.version import running
from bench.report.by_evaluations import AT_FLOOR, COPY_NOTE, primaries
from bench.report.findings.copying import copying, ladder
from bench.report.findings.evaluations import within
from bench.report.findings.floors import against_floor, baselines
from bench.report.findings.leaders import leaders
from bench.report.findings.resolution import resolution, screened
from bench.report.findings.straightness import straightest
from bench.report.findings.warnings import warnings
from bench.report.learning_rates import edges
from bench.report.learning_rates import table as rates_table
from bench.report.numbers import plain, scaled
from bench.report.published.claims import verdicts_of_its_own
from bench.report.published.run import Run, joined
from bench.report.study import Panel, Study
from bench.report.table import INTERVAL_NOTE, Table, markdown
from bench.report.tables import build

TARGET = 1.5
"""The target, times the best, of which the page tells the evaluations needed."""

FIGURE = "quality_vs_nfe.png"


def _needed(study: Study, panel: Panel) -> Iterable[str]:
    return within(study, panel, TARGET)


PARTS: tuple[Callable[[Study, Panel], Iterable[str]], ...] = (
    ladder,
    leaders,
    _needed,
    straightest,
    against_floor,
    baselines,
    copying,
    resolution,
    screened,
)


def reading() -> str:
    """How the tables are read."""
    return (
        "Cells: the primary metric, lower is better, with the sampler that was best on the other "
        "seeds and other noise; its name stands below, with its grid where that is not its own. "
        "NFE: network evaluations a sample. Floor: as many real samples against the same held-out "
        f"data, and the band that holds 95% of such draws. {AT_FLOOR.capitalize()}: not told from "
        f"real samples by rank tests, so that which is lower is luck. {COPY_NOTE}{INTERVAL_NOTE}"
    )


def sections(runs: Sequence[Run]) -> str:
    """All runs, in Markdown."""
    together = {run.name for run in joined(runs)}
    return "\n\n".join(_section(run, runs, run.name in together) for run in runs)


def _section(run: Run, runs: Sequence[Run], is_joined: bool) -> str:
    parts = [f"## {run.name}", _made(run)]
    if run.is_tuning:
        parts += _tuning(run)
        return "\n\n".join(parts)
    if (run.folder / "figures" / FIGURE).is_file() and is_joined:
        parts.append(f"![Quality against evaluations]({run.folder.name}/figures/{FIGURE})")
    parts.append(f"Lower is better: {primaries(run.study)}.")
    tables = _blocks(build(run.study, "summary"))
    failures = warnings(run.study)
    if failures:
        parts.append("\n".join(f"* {line}" for line in failures))
    for panel in run.study.panels:
        parts.append(f"### {panel.title} ({run.name})")
        if panel.title in tables:
            parts.append(tables[panel.title])
        said = [s for part in PARTS for s in part(run.study, panel)] if _has(run, panel) else []
        parts.append("\n".join(f"* {s}" for s in said) or "No cell of this data set has a value.")
    own = [] if is_joined else list(verdicts_of_its_own(run, runs))
    if own:
        parts += [f"### Claims ({run.name})", "\n".join(own)]
    return "\n\n".join(parts)


def _has(run: Run, panel: Panel) -> bool:
    return bool(run.study.nfe(panel))


def _made(run: Run) -> str:
    """Version, day, command and cost, and where the files lie."""
    seconds = run.core_seconds
    budget = run.experiment.budget
    amounts = "; ".join(
        f"{name} {scaled(amount)} {budget.unit.replace('_', ' ')}"
        for name, amount in budget.amount.items()
    )
    files = [("report.html", "report"), ("config.yaml", "configuration")]
    links = [
        f"[{word}]({run.folder.name}/{file})"
        for file, word in files
        if (run.folder / file).is_file()
    ]
    older = (
        " Another version than that of this page: models and samples are of then, tables and "
        f"sentences by the rules of {running()['version']}."
        if run.is_older
        else ""
    )
    command = str(run.manifest["command"]).partition(" --log")[0]
    return (
        f"Made by version {run.version}, collected on {run.date} by `{command}`.{older} "
        f"{len(run.experiment.labels)} labels, {len(run.experiment.seeds)} training seeds, budget "
        f"{budget.accounting.replace('_', '-')}: {amounts}. It cost {plain(sum(seconds.values()))} "
        f"core-seconds, {plain(seconds.get('training', 0.0))} of them training. "
        f"Files: {', '.join(links)}."
    )


def _tuning(run: Run) -> Iterator[str]:
    """The table of rates, its winners marked, and what lies at an end of the grid."""
    built = rates_table(run.study, run.rate_scores)
    for title, rows in _blocks(built).items():
        yield f"### {title} ({run.name})"
        yield rows
    yield built.caption
    said = edges(run.rate_scores)
    yield (
        "\n".join(f"* {line}." for line in said)
        if said
        else ("No winner lies at an end of the grid.")
    )


def _blocks(table: Table) -> dict[str, str]:
    """The rows of a table in Markdown, by data set."""
    found: dict[str, str] = {}
    for title, rows in table.blocks():
        one = Table(table.name, "", "", table.data, rows)
        lines = [line for line in markdown(one).splitlines() if line.startswith("|")]
        found[title] = "\n".join(lines)
    return found
