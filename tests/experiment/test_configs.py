"""The experiments that ship with the project, and the schema of their files."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from bench.experiment.loading import load
from bench.experiment.schema import SCHEMA, schema
from bench.experiment.spec import untuned

CONFIGS = Path(__file__).parents[2] / "configs"
EACH = sorted(CONFIGS.glob("*.yaml"))


def test_the_schema_is_that_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == schema(), "run: python -m bench schema"


@pytest.mark.parametrize("path", EACH, ids=lambda path: path.stem)
def test_every_config_loads_and_is_named_after_its_file(path: Path) -> None:
    assert load(path).name == path.stem


@pytest.mark.parametrize("path", EACH, ids=lambda path: path.stem)
def test_every_config_and_its_resolved_form_fit_the_schema(path: Path) -> None:
    validator = jsonschema.Draft202012Validator(schema())
    validator.validate(yaml.safe_load(path.read_text()))
    validator.validate(load(path).resolved())


def test_the_schema_rejects_what_load_rejects() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    values = yaml.safe_load((CONFIGS / "smoke.yaml").read_text())
    assert validator.is_valid(values)
    assert not validator.is_valid(values | {"budgte": {}})
    assert not validator.is_valid(values | {"seeds": []})
    assert not validator.is_valid(values | {"training": {"batch_size": 0}})


def test_smoke_has_the_labels_and_the_solvers_of_the_default() -> None:
    smoke, default = load(CONFIGS / "smoke.yaml"), load(CONFIGS / "default.yaml")
    assert smoke.labels == default.labels
    assert len(smoke.datasets) == len(default.datasets)
    assert set(default.sweep.solvers) <= set(smoke.sweep.solvers)
    assert len(smoke.seeds) == 3
    assert len(default.seeds) == 5
    assert smoke.budget.unit == "flops"


def test_rates_are_tuned_on_what_they_are_used_for() -> None:
    tuning, default = load(CONFIGS / "default_tuning.yaml"), load(CONFIGS / "default.yaml")
    trained = [
        {name: (data.options, data.network, data.ranked_by) for name, data in one.datasets.items()}
        for one in (tuning, default)
    ]
    assert trained[0] == trained[1]
    assert tuple(dict.fromkeys(map(untuned, tuning.labels))) == default.labels
    assert tuning.budget == default.budget
    assert tuning.training.batch_size == default.training.batch_size
    assert not set(tuning.seeds) & set(default.seeds)
