"""Tables, figures and page: records in, files out, without torch.

:data:`TABLES` and :data:`FIGURES` name every file under ``tables/`` and ``figures/``: one for each
file of ``bench/report/tables`` and ``bench/report/figures``, which are not imported for that. Each
is always written, so that a workflow can declare them, also where an experiment has nothing to
show.
"""

from bench.registry import discover

RECORDS = "records.parquet"

TABLES = discover("tables")
TABLE_SUFFIXES = ("csv", "md", "tex")

FIGURES = discover("figures")
FIGURE_SUFFIXES = ("svg", "png")

CAPTIONS = "captions"
"""Folder of the captions of both, for Snakemake's report."""
