"""Every table of a report, by name."""

from __future__ import annotations

from collections.abc import Callable

from bench.report import TABLES
from bench.report.across_tables import across_datasets
from bench.report.budget_tables import budget, cost
from bench.report.claims_table import claims
from bench.report.likelihood_tables import likelihood
from bench.report.method_tables import methods, status
from bench.report.path_tables import error_split, unified_view
from bench.report.quality_tables import (
    adaptive,
    common_solver,
    floor,
    nfe_to_quality,
    quality,
    straightness,
    summary,
)
from bench.report.solver_tables import audit, convergence, grids
from bench.report.study import Study
from bench.report.table import Table
from bench.report.variance_tables import variance

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
