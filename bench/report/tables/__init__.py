"""Every table of a report, by name."""

from __future__ import annotations

from collections.abc import Callable

from bench.report import TABLES
from bench.report.study import Study
from bench.report.tables.across_datasets import across_datasets
from bench.report.tables.budget import budget, cost
from bench.report.tables.claims import claims
from bench.report.tables.evaluations_needed import nfe_to_quality
from bench.report.tables.floor import floor
from bench.report.tables.likelihood import likelihood
from bench.report.tables.methods import methods, status
from bench.report.tables.paths import error_split, unified_view
from bench.report.tables.quality import adaptive, common_solver, quality, summary
from bench.report.tables.solvers import audit, convergence, grids
from bench.report.tables.straightness import straightness
from bench.report.tables.table import Table
from bench.report.tables.variance import variance

BUILDERS: dict[str, Callable[[Study], Table]] = {
    "claims": claims,
    "summary": summary,
    "common_solver": common_solver,
    "adaptive": adaptive,
    "nfe_to_quality": nfe_to_quality,
    "across_datasets": across_datasets,
    "quality": quality,
    "straightness": straightness,
    "unified_view": unified_view,
    "error_split": error_split,
    "likelihood": likelihood,
    "convergence": convergence,
    "grids": grids,
    "audit": audit,
    "floor": floor,
    "variance": variance,
    "budget": budget,
    "cost": cost,
    "methods": methods,
    "status": status,
}


def build_all(study: Study) -> dict[str, Table]:
    """Every table of :data:`bench.report.TABLES`."""
    return {name: BUILDERS[name](study) for name in TABLES}
