"""Defect: samplers are screened on the very seed that is scored, so that its luck is kept."""

from __future__ import annotations

import pytest

from bench.evidence.statistics import selection
from bench.evidence.statistics.selection import Values
from tests.evidence.statistics import test_selection


def test_a_choice_that_peeks_at_the_seeds_own_scores_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def planted(values: Values, seed: int) -> tuple[set[int], str]:
        return {other for by_seed in values.values() for other in by_seed}, "other seeds"

    test_selection.test_the_best_for_a_seed_begin_with_its_choice_and_never_read_its_scores()
    monkeypatch.setattr(selection, "_deciding", planted)
    with pytest.raises(AssertionError):
        test_selection.test_the_best_for_a_seed_begin_with_its_choice_and_never_read_its_scores()


def test_a_choice_by_the_scoring_noise_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "SELECTION", selection.SCORING)
    with pytest.raises(AssertionError):
        test_selection.test_the_best_for_a_seed_begin_with_its_choice_and_never_read_its_scores()
