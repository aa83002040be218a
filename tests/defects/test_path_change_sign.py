"""Defect: a change of path that forgets how the scale changes, or turns its sign round."""

from __future__ import annotations

import pytest
from torch import Tensor

from bench.sampling.path_change import PathChange
from tests.sampling import test_path_change as contract


@pytest.mark.parametrize("factor", [-1.0, 0.0])
def test_the_contracts_see_it(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    honest = PathChange._scale

    def planted(self: PathChange, r: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        s, d_log_s, t, dt = honest(self, r)
        return s, factor * d_log_s, t, dt

    monkeypatch.setattr(PathChange, "_scale", planted)
    with pytest.raises(AssertionError):
        contract.test_the_changed_velocity_is_the_exact_one_of_the_other_path("vp", "linear")
    with pytest.raises(AssertionError):
        contract.test_euler_on_the_linear_path_is_ddim_on_every_path("vp", "edm")
    with pytest.raises(AssertionError):
        contract.test_the_converged_end_points_agree_over_sampled_paths("vp")
