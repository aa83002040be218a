"""Defect: a Snakefile that always loads the default experiment, and runs more than was named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import test_workflow as contract

GUARD = "if not workflow.configfiles:\n"


def test_the_contract_sees_it(copied: Path, smoke: Callable[..., Path]) -> None:
    snakefile = copied / "Snakefile"
    honest = snakefile.read_text()
    assert GUARD in honest
    snakefile.write_text(honest.replace(GUARD, "if True:\n"))
    with pytest.raises(AssertionError):
        contract.test_a_config_with_one_formulation_plans_one(copied, smoke)
