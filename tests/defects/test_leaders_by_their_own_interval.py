"""Defect: a leader is told apart by its own interval, whatever the number of pairs."""

from __future__ import annotations

import pytest

from bench.evidence.statistics import comparisons
from tests.report import test_findings as contract


def test_the_sentence_of_three_labels_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    contract.test_an_interval_that_excludes_one_is_not_enough_among_many_pairs()
    monkeypatch.setattr(comparisons, "holm", list)
    with pytest.raises(AssertionError):
        contract.test_an_interval_that_excludes_one_is_not_enough_among_many_pairs()
