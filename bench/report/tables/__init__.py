"""Every table of a report: one file a table, whose ``TABLE`` declares it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from bench.report import TABLES
from bench.report.declared import table
from bench.report.study import Study
from bench.report.table import Table


def build_all(study: Study) -> dict[str, Table]:
    """Every table of :data:`bench.report.TABLES`."""
    return {name: build(study, name) for name in TABLES}


def build(study: Study, name: str) -> Table:
    """One table; the header of its data stands there also where it has no row."""
    declaration = table(name)
    built = declaration.build(study)
    if len(built.data.columns):
        return built
    return replace(built, data=pd.DataFrame(columns=list(declaration.columns)))
