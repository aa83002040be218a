"""GPUs are counted without torch, and no more of them than this process may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.stages.running.devices import visible_gpus

LISTING = """GPU 0: Some device (UUID: GPU-a)
  MIG 1g.10gb Device 0: (UUID: MIG-b)
GPU 1: Some device (UUID: GPU-c)
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ``nvidia-smi`` that lists two devices, alone on the path."""
    path = tmp_path / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{LISTING}END\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return path


def test_all_devices_of_the_machine(tool: Path) -> None:
    assert visible_gpus() == 2


@pytest.mark.parametrize(("chosen", "count"), [("1", 1), ("MIG-b, GPU-c", 2), ("", 0), ("-1", 0)])
def test_devices_that_are_left_out_do_not_count(
    tool: Path, monkeypatch: pytest.MonkeyPatch, chosen: str, count: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert visible_gpus() == count


def test_without_a_driver_there_is_none(tool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool.unlink()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert visible_gpus() == 0


def test_a_driver_that_fails_is_none(tool: Path) -> None:
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert visible_gpus() == 0
