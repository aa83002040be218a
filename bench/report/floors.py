"""Floors in a report: what real data and baselines score, and which cells are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bench.evidence.statistics.floor import Level, at_floor, at_floor_by_all
from bench.evidence.statistics.floor import level as level_of
from bench.metrics.declared import directions
from bench.report.titles import HELD_OUT, REAL

if TYPE_CHECKING:
    from bench.report.study import Panel, Study

TRAIN = "train"

COPYING = ("memorisation", "authenticity")
"""Metrics that tell copies of training data."""


@dataclass(frozen=True)
class Floors:
    """The floors of a study.

    Args:
        _study: whose.
    """

    _study: Study
    _levels: dict[tuple[Panel, str, str], Level | None] = field(default_factory=dict, repr=False)

    def level(self, panel: Panel, label: str, metric: str | None = None) -> Level | None:
        """What a baseline scores, or None where it was not measured.

        Args:
            panel: whose.
            label: of the baseline, see :data:`bench.report.titles.FLOORS`.
            metric: the primary one unless given.
        """
        key = (panel, label, metric or panel.primary)
        if key not in self._levels:
            self._levels[key] = self._measured(*key)
        return self._levels[key]

    def _measured(self, panel: Panel, label: str, metric: str) -> Level | None:
        rows = self._study.rows(panel, label, metric)
        if metric not in COPYING:  # those compare with training data, and nothing else
            rows = rows[(rows["reference_set"] != TRAIN).fillna(True)]
        if rows.empty:
            return None
        values, errors = (
            rows[column].to_numpy(dtype=float, na_value=np.nan) for column in ("value", "value_se")
        )
        return level_of(values, errors, metric)

    @cached_property
    def _at_floor(self) -> dict[Panel, frozenset[tuple[str, int]]]:
        """Labels and NFE whose selected samples cannot be told from real ones."""
        return {panel: frozenset(self._cells_at_floor(panel)) for panel in self._study.panels}

    def _cells_at_floor(self, panel: Panel) -> Iterator[tuple[str, int]]:
        described = self._study.experiment(panel).described(panel.dataset)
        better = directions(described)
        floors = {
            metric: real.draws
            for metric in (panel.primary, *described.companions)
            if (real := self.level(panel, REAL, metric)) is not None and len(real.draws) > 1
        }
        if panel.primary not in floors:
            return
        rows = self._study.at_selected(panel)
        rows = rows[
            rows["metric"].isin(list(floors)).fillna(False)
            & (rows["reference_set"] != TRAIN).fillna(True)
        ].dropna(subset="value")
        for key, cell in rows.groupby(["label", "nfe"]):
            by_metric = {str(m): values.tolist() for m, values in cell.groupby("metric")["value"]}
            try:
                tests = [
                    at_floor(by_metric[metric], draws, better[metric])
                    for metric, draws in floors.items()
                ]
            except (KeyError, ValueError):
                continue  # a metric without values, or too few to tell anything apart
            if at_floor_by_all(tests):
                label, nfe = key
                yield str(label), int(str(nfe))

    def at_floor(self, panel: Panel, label: str, nfe: int) -> bool:
        """Whether the selected samples of a cell cannot be told from real ones.

        By the primary metric and its companions, against the draws of the floor; never where the
        floor is a single draw, or there are too few seeds and draws to tell anything apart.
        """
        return (label, nfe) in self._at_floor[panel]

    # --- copies ---------------------------------------------------------------------------------

    def tells_copies(self, panel: Panel) -> bool:
        """Whether real held-out samples were measured as copies would be."""
        return any(self.level(panel, HELD_OUT, metric) for metric in COPYING)

    @cached_property
    def _copying(self) -> dict[Panel, frozenset[tuple[str, int]]]:
        """Labels and NFE whose selected samples are nearer to training data than real ones are."""
        return {panel: frozenset(self._copying_cells(panel)) for panel in self._study.panels}

    def _copying_cells(self, panel: Panel) -> Iterator[tuple[str, int]]:
        beyond = {metric: self.level(panel, HELD_OUT, metric) for metric in COPYING}
        if not any(beyond.values()):
            return
        rows = self._study.at_selected(panel)
        rows = rows[rows["metric"].isin(COPYING).fillna(False)].dropna(subset="value")
        means = rows.groupby(["label", "nfe", "metric"])["value"].mean()
        for (label, nfe, metric), mean in zip(means.index, means.to_list(), strict=True):
            real = beyond[metric]
            if real is None:
                continue
            if mean > real.high if metric == "memorisation" else mean < real.low:
                yield label, nfe

    def copies(self, panel: Panel, label: str, nfe: int) -> bool:
        """Whether the samples of a cell are copies: outside of what real held-out samples are.

        Memorisation above, or authenticity below, the band of real samples that were held out.
        """
        return (label, nfe) in self._copying[panel]
