"""What a report is about: records of one or more experiments, and what they were meant to hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import InputError
from bench.evidence import records
from bench.evidence.claims import Finding, judge
from bench.evidence.manifest import MANIFEST, parts
from bench.evidence.samplers import COMMON_SOLVER, Samplers, rows_of_samplers
from bench.evidence.statistics import (
    CrossingSummary,
    Interval,
    exact_cells,
    interval,
    paired_ratio,
    quality_targets,
    summarise_crossings,
)
from bench.experiment.cells import own_grid
from bench.experiment.layout import Layout
from bench.experiment.loading import from_mapping
from bench.experiment.sections import RUNG
from bench.experiment.spec import Experiment, rung, untuned
from bench.files import read_json
from bench.formulations.parts import formulation_module
from bench.report import RECORDS
from bench.report.floors import Floors
from bench.report.numbers import power
from bench.report.titles import _spelt
from bench.sampling.solvers.catalogue import SOLVERS

CROWDED = 8
"""Most formulations that one figure or table can hold side by side; more are shown by kind."""


Sampler = tuple[str, str, float]
"""Solver, grid, and tolerance (0 where a number of evaluations was asked for)."""


SETUP = "setup.evaluations"
"""Metric of the evaluations that it took to make a grid for a model."""


@dataclass(frozen=True)
class Panel:
    """One data set of one experiment: what a panel of a figure or a block of a table shows."""

    experiment: str
    dataset: str
    title: str
    primary: str
    kind: str

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of ``table`` that belong to this panel."""
        in_panel = (table["experiment"] == self.experiment) & (table["dataset"] == self.dataset)
        return table[in_panel.fillna(False)]


@dataclass(frozen=True)
class Study:
    """Records, the experiments that made them, and where their undeclared files lie.

    Attributes:
        records: rows of :mod:`bench.evidence.records`.
        experiments: resolved experiments, in the order they are shown.
        folders: results folder of each experiment, by name; samples and curves are read there.
        manifests: manifest of each experiment, by name.
        budgets: what :func:`bench.report.costs.budget_rows` has worked out, for table and figure.
    """

    records: pd.DataFrame
    experiments: Sequence[Experiment]
    folders: dict[str, Path] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    _rows: dict[tuple[Panel, str, str], pd.DataFrame] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    budgets: dict[tuple[Panel, str], pd.DataFrame] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _charges: dict[tuple[Panel, str], pd.DataFrame] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def read(cls, root: Path) -> Study:
        """The study whose records and manifest lie in ``root``.

        Raises:
            InputError: ``root`` holds no records or no manifest.
        """
        for name in (RECORDS, MANIFEST):
            if not (root / name).is_file():
                raise InputError(f"{root}: no {name}; run collect first")
        manifests = parts(read_json(root / MANIFEST))
        experiments = [
            from_mapping(part["config"], f"{root / MANIFEST}: config") for part in manifests
        ]
        # Rows are taken from these strings many times, and twice as fast as from Arrow's.
        with pd.option_context("mode.string_storage", "python"):
            table = records.read(root / RECORDS)
        folders = {e.name: root for e in experiments} if len(manifests) == 1 else {}
        return cls(table, experiments, folders, {part["experiment"]: part for part in manifests})

    @cached_property
    def panels(self) -> list[Panel]:
        """Data sets of all experiments."""
        several = len(self.experiments) > 1
        return [
            Panel(
                experiment.name,
                name,
                data.title + (f" ({experiment.name})" if several else ""),
                data.primary,
                data.kind,
            )
            for experiment in self.experiments
            for name in experiment.datasets
            for data in [experiment.described(name)]
        ]

    def experiment(self, panel: Panel) -> Experiment:
        """The experiment of a panel."""
        return next(e for e in self.experiments if e.name == panel.experiment)

    def labels(self, panel: Panel) -> tuple[str, ...]:
        """Labels in the order of the experiment file."""
        return self.experiment(panel).labels

    def expected(self, panel: Panel) -> int:
        """Number of training seeds that the experiment asks for."""
        return len(self.experiment(panel).seeds)

    def layout(self, panel: Panel) -> Layout | None:
        """Folders of the panel's experiment, or None where only records are at hand."""
        folder = self.folders.get(panel.experiment)
        return None if folder is None else Layout(folder)

    @cached_property
    def titles(self) -> dict[str, str]:
        """Printed name of every label: its own title, its formulation's, or the label itself."""
        titles = {}
        for experiment in self.experiments:
            for label, spec in experiment.formulations.items():
                title: str = formulation_module(spec.formulation).TITLE
                base = untuned(label)
                name = spec.title or (title if base == spec.formulation else _spelt(base))
                beside = f", {rung(label):g}x budget" if RUNG in label else label.removeprefix(base)
                titles[label] = name + beside
            for label, model in experiment.models.items():
                titles[label] = model.title or _spelt(label)
        return titles

    def is_foreign(self, panel: Panel, label: str) -> bool:
        """Whether the label's networks were trained elsewhere: their budget is not known."""
        return label in self.experiment(panel).models

    def has_flow(self, panel: Panel, label: str) -> bool:
        """Whether the label's models are sampled by solvers of a probability flow."""
        return self.experiment(panel).formulation(label).sampler == "ode"

    def kind(self, panel: Panel, label: str) -> str:
        """What a label is grouped under where there are many, told from its declaration."""
        formulation = self.experiment(panel).formulation(label)
        if formulation.sampler != "ode":
            return "consistency models, flow maps"
        if any(stage.kind == "pairs" for stage in formulation.stages):
            return "reflow"
        linear = formulation.final.path.name == "linear"
        return "flow matching" if linear else "diffusion-like paths"

    def is_few_step(self, panel: Panel, label: str) -> bool:
        """Whether the label is made for few evaluations: by its sampler, or by reflow."""
        stages = self.experiment(panel).formulation(label).stages
        return not self.has_flow(panel, label) or any(s.kind == "pairs" for s in stages)

    def own_grid(self, panel: Panel, label: str, solver: str) -> str:
        """The grid that a solver runs on for a label where the sweep asks for no other."""
        return own_grid(self.experiment(panel).formulation(label), SOLVERS[solver])

    def sampler_name(self, panel: Panel, label: str, sampler: Sampler) -> str:
        """The solver, with its grid where that is not the one the label's models have anyway.

        An adaptive solver stands with its tolerance: ``dopri5(1e-2)``.
        """
        solver, grid, tolerance = sampler
        if tolerance:
            return f"{solver}({power(tolerance)})"
        is_own = grid in ("", self.own_grid(panel, label, solver))
        return solver if is_own else f"{solver} ({grid})"

    @cached_property
    def verdicts(self) -> list[Finding]:
        """What the records say of every claim."""
        ranked_by = {(panel.experiment, panel.dataset): panel.primary for panel in self.panels}
        return judge(
            self.records,
            primary=lambda *place: ranked_by[place],
            own_grid=self._own_grid_of_common,
        )

    # --- quality ----------------------------------------------------------------------------

    @cached_property
    def _by_panel(self) -> dict[Panel, pd.DataFrame]:
        return {panel: panel.of(self.records) for panel in self.panels}

    @cached_property
    def _by_metric(self) -> dict[Panel, tuple[pd.DataFrame, dict[Any, Any]]]:
        """Successful rows of each panel, and their places by label and metric."""
        by_panel = {}
        for panel in self.panels:
            rows = self.measured(panel)
            successful = rows[(rows["status"] == "ok").fillna(False)].dropna(subset="value")
            places = successful.groupby(["label", "metric"], sort=False).indices
            by_panel[panel] = successful, dict(places)
        return by_panel

    def measured(self, panel: Panel) -> pd.DataFrame:
        """All records of a panel."""
        return self._by_panel[panel]

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Exact-NFE cells of each panel's primary metric."""
        return pd.concat([exact_cells(self.measured(p), p.primary) for p in self.panels])

    @cached_property
    def _grids_of_common(self) -> dict[tuple[str, str], str]:
        return {
            (panel.experiment, label): self.own_grid(panel, label, COMMON_SOLVER)
            for panel in self.panels
            for label in self.labels(panel)
        }

    def _own_grid_of_common(self, experiment: str, label: str) -> str:
        """The grid of the common solver for a label; empty for one that no experiment names."""
        return self._grids_of_common.get((experiment, label), "")

    @cached_property
    def _by_sampler(self) -> Samplers:
        return Samplers(self.cells, self._own_grid_of_common)

    @property
    def selected(self) -> pd.DataFrame:
        """Each formulation, NFE and seed with the sampler chosen on the other seeds."""
        return self._by_sampler.selected

    @property
    def common(self) -> pd.DataFrame:
        """The same cells with the one common solver, on the grid that each formulation names."""
        return self._by_sampler.common

    @cached_property
    def _places_of_chosen(self) -> list[tuple[pd.DataFrame, dict[Any, Any]]]:
        """Both tables of chosen cells, with the places of each experiment, data set and label."""
        return [
            (chosen, dict(chosen.groupby(["experiment", "dataset", "label"], sort=False).indices))
            for chosen in (self.selected, self.common)
        ]

    def _chosen_cells(self, panel: Panel, label: str, chosen: pd.DataFrame) -> pd.DataFrame:
        """The rows of a label in :attr:`selected` or :attr:`common`."""
        key = (panel.experiment, panel.dataset, label)
        places = next(places for table, places in self._places_of_chosen if table is chosen)
        return chosen.iloc[places.get(key, [])]

    def curve(self, panel: Panel, label: str, chosen: pd.DataFrame) -> dict[int, Interval]:
        """Interval over seeds at each NFE, from :attr:`selected` or :attr:`common`."""
        rows = self._chosen_cells(panel, label, chosen).dropna(subset="value")
        return {
            int(str(nfe)): interval(values, panel.primary)
            for nfe, values in rows.groupby("nfe", sort=True)["value"]
        }

    def by_seed(self, panel: Panel, label: str, nfe: int) -> dict[int, float]:
        """Primary metric of each seed with the selected sampler."""
        rows = self._chosen_cells(panel, label, self.selected)
        rows = rows[rows["nfe"] == nfe].dropna(subset="value")
        return dict(zip(rows["train_seed"], rows["value"], strict=True))

    def ratio(self, panel: Panel, label: str, reference: str, nfe: int) -> Interval:
        """Primary metric of ``label`` over that of ``reference``, paired within the seed."""
        return paired_ratio(self.by_seed(panel, label, nfe), self.by_seed(panel, reference, nfe))

    def nfe(self, panel: Panel) -> list[int]:
        """Every NFE at which some formulation has a value."""
        return sorted(set(panel.of(self.selected).dropna(subset="value")["nfe"]))

    def chosen(self, panel: Panel, label: str, nfe: int) -> dict[Sampler, int]:
        """How often each solver, grid and tolerance was selected at an NFE, most frequent first."""
        rows = self._chosen_cells(panel, label, self.selected)
        rows = rows[rows["nfe"] == nfe]
        samplers = zip(rows["solver"], rows["grid"], rows["tolerance"], strict=True)
        return dict(Counter(sorted(samplers)).most_common())

    def samplers(self, panel: Panel, label: str, nfe: int) -> dict[str, int]:
        """The same by name, see :meth:`sampler_name`."""
        return {
            self.sampler_name(panel, label, sampler): count
            for sampler, count in self.chosen(panel, label, nfe).items()
        }

    def targets(self, panel: Panel) -> dict[float, float]:
        """Common quality targets, by factor, from the selected samplers."""
        return quality_targets(panel.of(self.selected))

    def crossing(
        self, panel: Panel, label: str, chosen: pd.DataFrame, target: float
    ) -> CrossingSummary | None:
        """Evaluations that a formulation needs for a target; None where it has no curve."""
        rows = self._chosen_cells(panel, label, chosen)
        return None if rows["value"].isna().all() else summarise_crossings(rows, target)

    def at_selected(self, panel: Panel) -> pd.DataFrame:
        """Every scoring-bank metric of the cells that were selected, one row a seed and metric."""
        return self._at_selected[panel]

    @cached_property
    def _at_selected(self) -> dict[Panel, pd.DataFrame]:
        selected = {panel: panel.of(self.selected) for panel in self.panels}
        return {p: rows_of_samplers(selected[p], self.measured(p)) for p in self.panels}

    @cached_property
    def floors(self) -> Floors:
        """What real data and baselines score, and who is there."""
        return Floors(self)

    # --- values that belong to a model or a data set --------------------------------------------

    def rows(self, panel: Panel, label: str, metric: str) -> pd.DataFrame:
        """Successful rows of one label and metric."""
        key = (panel, label, metric)
        if key not in self._rows:
            successful, places = self._by_metric[panel]
            self._rows[key] = successful.iloc[places.get((label, metric), [])]
        return self._rows[key]

    def model_metric(self, panel: Panel, label: str, metric: str) -> Interval:
        """A metric that each model has once, such as straightness, over seeds."""
        rows = self.rows(panel, label, metric)
        return interval(rows.groupby("train_seed")["value"].mean(), metric)

    def failures(self, panel: Panel, label: str) -> pd.DataFrame:
        """Rows that record a failure of the label: its seeds and error lines."""
        failed, places = self._failed[panel]
        return failed.iloc[places.get(label, [])]

    @cached_property
    def _failed(self) -> dict[Panel, tuple[pd.DataFrame, dict[Any, Any]]]:
        """Failed rows of each panel, and their places by label."""
        by_panel = {}
        for panel in self.panels:
            rows = self.measured(panel)
            failed = rows[(rows["status"] == "failed").fillna(False)]
            by_panel[panel] = failed, dict(failed.groupby("label", sort=False).indices)
        return by_panel

    def failed_seeds(self, panel: Panel, label: str) -> set[int]:
        """Seeds of the label that have a failure."""
        return set(self.failures(panel, label)["train_seed"].dropna().astype(int))

    def charges(self, panel: Panel, label: str) -> pd.DataFrame:
        """Budget rows: a column a kind (``train.flops``, ``planned``), a row a stage and seed."""
        if (panel, label) not in self._charges:
            rows = self.measured(panel)
            rows = rows[(rows["label"] == label) & rows["metric"].str.startswith("budget.")]
            wide = rows.pivot_table(index=["stage", "train_seed"], columns="metric", values="value")
            self._charges[panel, label] = wide.astype(float).rename(
                columns=lambda name: name.removeprefix("budget.")
            )
        return self._charges[panel, label]

    def costs(self, panel: Panel | None = None) -> pd.DataFrame:
        """Core-seconds: columns experiment, dataset, label (or the stage), kind, value."""
        rows = self.records if panel is None else self.measured(panel)
        rows = rows[rows["metric"].str.startswith("cost.")]
        kind = rows["metric"].str.removeprefix("cost.")
        who = rows["label"].fillna(rows["stage"])
        value = rows["value"].to_numpy(dtype=float, na_value=np.nan)
        return rows[["experiment", "dataset"]].assign(label=who, kind=kind, value=value)
