"""The ledgers of a run, wherever they lie."""

from __future__ import annotations

from typing import Any

from bench.experiment.layout import LEDGER, Layout
from bench.files import read_json

LEDGERS = "ledgers.json"
"""All ledgers of a published run, by the place where the run had each."""

Entry = dict[str, Any]


def of_run(layout: Layout) -> dict[str, Entry]:
    """Every ledger of a run, by its place below the folder of the run; of a published one, too."""
    together = layout.root / LEDGERS
    if together.is_file():
        return dict(read_json(together))
    return {
        str(path.relative_to(layout.root)): read_json(path)
        for path in sorted(layout.root.glob(f"runs/**/{LEDGER}"))
    }
