"""Defect: a power study whose thresholds are set by draws that are faulty themselves."""

from __future__ import annotations

from typing import Any

import pytest

from bench.data.mixture import GaussianMixture
from bench.data.sources import mixture2d
from bench.metrics import detection, planted
from tests.metrics import test_power as contract


def test_the_contract_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    law = mixture2d.mixture(mixture2d.Options())
    contract.check_that_faults_are_found(law)

    def defect(law: GaussianMixture, kind: str, **given: Any) -> list[dict[str, Any]]:
        monkeypatch.setattr(detection, "none", planted.spread)
        return detection.study(law, kind, **given)

    with pytest.raises(AssertionError, match=r"0\.95"):
        contract.check_that_faults_are_found(law, defect)
