"""A change of path that leaves its factors on the host."""

from __future__ import annotations

import pytest

from bench.sampling import path_change
from tests.models import test_device_agreement as contract


def test_the_contract_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_change, "onto", lambda values, device: values)
    with pytest.raises(RuntimeError, match="meta"):
        contract.test_so_is_it_on_another_path("cosine")
