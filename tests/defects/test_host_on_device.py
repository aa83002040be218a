"""A change of path that leaves its factors on the host."""

from __future__ import annotations

import pytest

from bench.sampling import sample as sampling
from tests.models import test_device_agreement as contract


def test_the_contract_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "onto", lambda values, device: values)
    with pytest.raises(RuntimeError, match="meta"):
        contract.test_so_is_it_on_another_path("cosine")
