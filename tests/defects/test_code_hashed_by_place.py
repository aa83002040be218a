"""Defects: a digest of code that knows where a definition stands, one that follows no helper."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.experiment.code import Code
from bench.experiment.definitions import Content, Definition
from tests.experiment import test_code as contract
from tests.experiment.test_code import before, house

__all__ = ["before", "house"]


def test_a_digest_that_knows_the_module_is_seen(
    house: Path, before: contract.Digests, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Code._read

    def planted(self: Code, definition: Definition) -> Content:
        found = honest(self, definition)
        return Content([definition.module, found.syntax], found.names)

    monkeypatch.setattr(Code, "_read", planted)
    known = contract.digests(contract.PACKAGES)
    with pytest.raises(AssertionError):
        contract.check_neutral(house, known, contract.move, 0)


def test_a_digest_that_follows_no_helper_is_seen(
    house: Path, before: contract.Digests, monkeypatch: pytest.MonkeyPatch
) -> None:
    constant = Definition("bench.models.path_model", "LOG_SNR_CLIP")
    assert contract.check_change(house, before, constant, 0)
    honest = Code._read

    def planted(self: Code, definition: Definition) -> Content:
        found = honest(self, definition)
        return Content(found.syntax, tuple(name for name in found.names if name != constant))

    reached = contract.reaching(constant)
    monkeypatch.setattr(Code, "_read", planted)
    monkeypatch.setattr(contract, "reaching", lambda target: reached)
    known = contract.digests(contract.PACKAGES)
    with pytest.raises(AssertionError):
        contract.check_change(house, known, constant, 0)
