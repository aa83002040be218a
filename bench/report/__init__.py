"""Tables, figures and page: records in, files out, without torch.

:data:`TABLES` and :data:`FIGURES` name every file under ``tables/`` and ``figures/``; each is
always written, so that a workflow can declare them, also where an experiment has nothing to show.
"""

RECORDS = "records.parquet"

TABLES = (
    "claims",
    "summary",
    "common_solver",
    "adaptive",
    "nfe_to_quality",
    "across_datasets",
    "quality",
    "straightness",
    "unified_view",
    "error_split",
    "convergence",
    "grids",
    "audit",
    "likelihood",
    "floor",
    "variance",
    "budget",
    "cost",
    "methods",
    "status",
)
TABLE_SUFFIXES = ("csv", "md", "tex")

FIGURES = (
    "quality_vs_nfe",
    "quality_vs_wallclock",
    "straightness",
    "samples",
    "trajectories",
    "error_split",
    "convergence",
    "training",
    "budget",
)
FIGURE_SUFFIXES = ("svg", "png")
