"""The schema of experiment files, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.experiment.spec import Experiment
from bench.files import write_json
from bench.models.architectures import NetworkSpec as NetworkSpec

SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "experiment.schema.json"
"""For editors and other programs; names of formulations and their options are checked by load."""


def schema() -> dict[str, Any]:
    """The JSON schema of an experiment file."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **Experiment.model_json_schema()}


def write_schema() -> None:
    """Write the schema to its file."""
    write_json(SCHEMA, schema())
