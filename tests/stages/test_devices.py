"""One job a GPU, told by fake devices: a lease is exclusive, and ends however its process does."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from bench.errors import InputError
from bench.stages.running import devices
from bench.stages.running.devices import lease_gpu, ready

HOLD = "from bench.stages.running.devices import lease_gpu; print(lease_gpu(), flush=True); input()"
Job = subprocess.Popen[str]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Job]]:
    """Starts a job that leases one of two devices and holds it."""
    started: list[Job] = []

    def start() -> Job:
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "0, MIG-b", "TMPDIR": str(tmp_path)}
        environment.pop("SLURM_JOB_ID", None)
        job = subprocess.Popen(
            [sys.executable, "-c", HOLD],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(job)
        return job

    yield start
    for job in started:
        job.kill()
        job.communicate()


def leased(job: Job, within: float = 60.0) -> str | None:
    """The device that a job says it holds, or None if it still waits."""
    assert job.stdout is not None
    known, _, _ = select.select([job.stdout], [], [], within)
    return job.stdout.readline().strip() if known else None


def test_a_lease_is_exclusive_and_a_killed_job_gives_it_back(start: Callable[[], Job]) -> None:
    first, second = start(), start()
    held = {leased(first), leased(second)}
    assert held == {"0", "MIG-b"}
    third = start()
    assert leased(third, within=3.0) is None
    first.kill()
    first.wait()
    assert leased(third) in held


@pytest.fixture
def no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(devices, "_held", [])
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")


@pytest.mark.usefixtures("no_lease")
def test_slurm_has_picked_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert lease_gpu() is None


@pytest.mark.usefixtures("no_lease")
def test_a_gpu_that_torch_cannot_use_is_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "visible_gpus", lambda: 1)
    with pytest.raises(InputError, match=r"GPU 0 .* cannot use it; .* CUDA_VISIBLE_DEVICES="):
        ready(1)


@pytest.mark.usefixtures("no_lease")
@pytest.mark.parametrize(("precision", "rounded"), [("float32", False), ("bf16", True)])
def test_float32_is_float32_unless_products_may_round(
    monkeypatch: pytest.MonkeyPatch, precision: str, rounded: bool
) -> None:
    monkeypatch.setattr(devices, "visible_gpus", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    threads = torch.get_num_threads()
    try:
        assert ready(threads, precision).type == "cpu"
        assert torch.backends.cudnn.allow_tf32 is rounded
        assert torch.backends.cuda.matmul.allow_tf32 is rounded
    finally:
        ready(threads)
