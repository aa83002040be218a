"""What an experiment will do and cost, said before anything runs. Torch-free.

The estimate adds core-seconds by the kinds that outcomes record: import, training, sampling,
metrics and timing. It is meant to be right within a third on the reference machine, so that a
budget can be chosen; what a run really cost stands in its report, as rows ``cost.<kind>``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence

from bench.experiment.costs import Plan, counted_as
from bench.experiment.graph import Node, jobs
from bench.experiment.layout import FINISHED, Layout
from bench.experiment.sections import TUNED, SweepSpec
from bench.experiment.spec import Experiment, untuned
from bench.files import read_json
from bench.formulations.grammar import Pairs, Stage
from bench.sampling.solvers.catalogue import SOLVERS


def describe(experiment: Experiment, cores: int | None = None, layout: Layout | None = None) -> str:
    """The plan as text.

    Args:
        experiment: what is planned.
        cores: those of this machine unless given.
        layout: where results may lie already; the plan then says how many jobs are kept.
    """
    cores = cores or len(os.sched_getaffinity(0))
    plan = Plan(experiment)
    sections = (
        _heading(plan),
        _jobs_section(plan, Counter() if layout is None else kept_jobs(experiment, layout)),
        _cells_section(plan),
        *([] if experiment.sweep.screen is None else [_screen_section(plan)]),
        _budget_section(plan),
        _cost_section(plan, cores),
    )
    return "\n\n".join("\n".join(section) for section in sections)


def _heading(plan: Plan) -> Iterator[str]:
    experiment = plan.experiment
    yield f"experiment {experiment.name} ({experiment.digest})"
    yield (
        f"{plan.models} models: {len(experiment.datasets)} data sets"
        f" x {len(experiment.labels)} labels x {len(experiment.seeds)} seeds"
        f" ({', '.join(map(str, experiment.seeds))})"
    )


def kept_jobs(experiment: Experiment, layout: Layout) -> Counter[str]:
    """By verb, the jobs all of whose stages are finished and have the digest of today."""
    return Counter(
        counted_as(job[0].verb)
        for job in jobs(experiment)
        if all(_is_kept(node, experiment, layout) for node in job)
    )


def _is_kept(node: Node, experiment: Experiment, layout: Layout) -> bool:
    finished = node.folder(layout) / FINISHED
    # The digest last: it costs most, and nothing is there before the first run.
    return finished.is_file() and read_json(finished)["digest"] == node.digest(experiment)


def _jobs_section(plan: Plan, kept_counts: Counter[str]) -> Iterator[str]:
    yield "jobs"
    for job in plan.jobs():
        line = f"  {job.verb:<12}{job.count:>5}"
        if kept_counts:
            states = ((kept_counts[job.verb], "kept"), (job.count - kept_counts[job.verb], "new"))
            line += "".join(f"{count:>5} {state}" for count, state in states if count)
        yield line + ("  alone on the machine" if job.alone else "")


def _cells_section(plan: Plan) -> Iterator[str]:
    yield f"cells of a model (samples: {_samples(plan.experiment.sweep)})"
    for dataset, data in plan.experiment.datasets.items():
        if data.sizes is not None:
            own_sweep = plan.experiment.sweep_of(dataset)
            yield f"  of {dataset}: {_samples(own_sweep)}, in blocks of {own_sweep.block:,}"
    refused: dict[str, set[int]] = {}
    rows = []
    for shown, label in _shown_labels(plan.experiment):
        # A screen has every cell once; without one there is a cell in each bank.
        is_screened = plan.experiment.sweep.screen is not None
        label_cells = plan.screened(label) if is_screened else plan.cells(label)
        planned = sum(cell.refused is None for cell in label_cells)
        view = plan.view(label)
        on_others = f"{len(view)} in the unified view" if view else ""
        cell_counts = [f"{planned} cells"]
        if is_screened:
            cell_counts = [f"{planned} to screen", f"at most {len(plan.scored(label))} to score"]
        refusals = f"{len(label_cells) - planned} refused"
        rows.append((shown, *cell_counts, refusals, on_others))
        for cell in label_cells:
            if cell.refused is not None and cell.nfe is not None:
                refused.setdefault(cell.solver, set()).add(cell.nfe)
    yield from _aligned(rows)
    for solver, counts in refused.items():
        yield f"  refused: {solver} at {', '.join(map(str, sorted(counts)))}{_spending(solver)}"


def _samples(sweep: SweepSpec) -> str:
    """How many samples each noise bank has."""
    return ", ".join(f"{count:,} {bank}" for bank, count in sweep.samples.items())


def _screen_section(plan: Plan) -> Iterator[str]:
    """What screening costs, and what it saves."""
    experiment = plan.experiment
    assert experiment.sweep.screen is not None
    best = experiment.sweep.screen.best
    yield f"screening: the best {best} at each number of evaluations, and the common solver"
    if len(experiment.seeds) == 1:
        yield "  one seed: there are no others to choose by, its own screen decides"
    seconds, every = plan.evaluation_seconds(), plan.unscreened().evaluation_seconds()
    yield f"  expected: at most {seconds:,.0f} core-seconds of sampling and metrics"
    yield f"  with every combination scored: {every:,.0f} core-seconds"


def _spending(name: str) -> str:
    """What a solver spends, in brackets; nothing where that depends on the data."""
    solver = SOLVERS[name]
    if solver.cost is None:
        return ""
    each, *more = (solver.spends(intervals) for intervals in (1, 2, 3))
    if more == [2 * each, 3 * each]:
        return f" (it spends {each} evaluations an interval)"
    return f" (it spends {', '.join(map(str, (each, *more)))} ... evaluations)"


def _budget_section(plan: Plan) -> Iterator[str]:
    experiment = plan.experiment
    if not experiment.formulations:
        yield "budget: nothing is trained"
        return
    accounting = experiment.budget.accounting.replace("_", "-")
    yield f"budget of a model, {accounting}, in {experiment.budget.unit}"
    rows = []
    for dataset in experiment.datasets:
        for shown, label in _shown_labels(experiment):
            if label in experiment.models:
                continue
            for stage in experiment.formulation(label).stages:
                units = experiment.stage_budget(dataset, label, stage.name)
                share = units / experiment.amount(dataset, label)
                rows.append(
                    (dataset, shown, stage.name, _work(stage), f"{units:.3g}", f"{share:.1%}")
                )
    yield from _aligned(rows)


def _shown_labels(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """What to print for each label, and the label: one line for all rates of a tuning grid."""
    if experiment.tuning is None:
        yield from zip(experiment.labels, experiment.labels, strict=True)
        return
    first: dict[str, str] = {}
    for label in experiment.labels:
        first.setdefault(untuned(label), label)
    for name, label in first.items():
        yield (name if name == label else f"{name}{TUNED}..."), label


def _work(stage: Stage) -> str:
    return f"pairs by {stage.solver} at {stage.nfe}" if isinstance(stage, Pairs) else stage.kind


def _cost_section(plan: Plan, cores: int) -> Iterator[str]:
    experiment = plan.experiment
    if experiment.budget.unit == "device_seconds" and experiment.formulations:
        yield from _device_section(plan)
        yield ""
    seconds = plan.seconds()
    total = sum(seconds.values())
    yield "expected core-seconds, without a GPU"
    yield from _aligned([(k, f"{s:,.0f}", f"{s / total:.0%}") for k, s in seconds.items()])
    yield f"expected: {total:,.0f} core-seconds, {plan.minutes(cores):.1f} minutes on {cores} cores"
    if plan.experiment.models:
        yield "the evaluations of foreign networks are not in it: their cost is not known"


def _device_section(plan: Plan) -> Iterator[str]:
    """Time of the device that budgets name; what sampling takes there depends on the device."""
    experiment = plan.experiment
    models = len(experiment.formulations) * len(experiment.seeds)
    rows = []
    for dataset in experiment.datasets:
        each = [experiment.amount(dataset, label) for label in experiment.formulations]
        seconds = len(experiment.seeds) * sum(each)
        budgets = " to ".join(dict.fromkeys(f"{s:,.0f}" for s in (min(each), max(each))))
        hours = f"{seconds / 3600:.3g} device-hours"
        rows.append((dataset, f"{models} models at {budgets} s", hours))
    yield "training on the device"
    yield from _aligned(rows)
    yield f"  beside it sampling: {plan.sampling_flops():.2g} floating-point operations"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as indented columns; columns that start with a digit are set to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        entries = (
            entry.rjust(width) if entry[:1].isdigit() else entry.ljust(width)
            for entry, width in zip(row, widths, strict=True)
        )
        yield f"  {'  '.join(entries)}".rstrip()
