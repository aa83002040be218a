"""Which device a job runs on, and the lease that keeps two jobs off one GPU.

Snakemake counts GPUs and never picks one. A local job therefore takes an exclusive lock on a file
that stands for a device, before torch is imported; the kernel releases it however the process
ends. Devices come from ``CUDA_VISIBLE_DEVICES`` where it is set, else from ``nvidia-smi``. Under
slurm the scheduler has picked already. Without a GPU the same job runs on the CPU.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import InputError
from bench.registry import aside

if TYPE_CHECKING:
    import torch

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


_POLL_SECONDS = 0.2


_held: list[int] = []


@aside("which of equal devices is used")
def lease_gpu() -> str | None:
    """Hold one of the visible GPUs until the process ends; waits for a free one.

    Returns:
        The device that was set as ``CUDA_VISIBLE_DEVICES``, or None where there is no GPU or
        slurm has assigned one.
    """
    if _held or "SLURM_JOB_ID" in os.environ:
        return None
    pool = _pool()
    while pool:
        for name in pool:
            descriptor = _try_lock(name)
            if descriptor is not None:
                _held.append(descriptor)
                os.environ["CUDA_VISIBLE_DEVICES"] = name
                return name
        time.sleep(_POLL_SECONDS)
    return None


def _pool() -> list[str]:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return [str(index) for index in range(visible_gpus())]
    return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]


def _try_lock(name: str) -> int | None:
    # Hashed, because a MIG device's name is not a file name.
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"genpath-bench-gpu-{digest}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def limit_threads(threads: int) -> None:
    """Tell numeric libraries their threads; they read it once, when they are imported."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


def ready(threads: int, precision: str = "float32") -> torch.device:
    """Lease a GPU if there is one, import torch, set its threads, and say where to compute.

    Products of float32 numbers are exact to float32. With the precision ``bf16`` those outside of
    autocast, which are those of sampling, may round to TF32, as the field samples.

    Raises:
        InputError: there is a GPU and torch cannot use it.
    """
    leased = lease_gpu()
    import torch

    torch.set_num_threads(threads)
    rounded = precision == "bf16"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = rounded
    if torch.cuda.is_available():
        return torch.device("cuda")
    if leased is not None and visible_gpus():
        raise InputError(
            f"GPU {leased} is there and torch {torch.__version__} cannot use it; install a torch "
            "that fits its driver, or set CUDA_VISIBLE_DEVICES= to compute without it"
        )
    return torch.device("cpu")


@aside("which of equal devices is used")
def visible_gpus() -> int:
    """GPUs of this machine, less those that ``CUDA_VISIBLE_DEVICES`` leaves out."""
    try:
        listing = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return sum(line.startswith("GPU ") for line in listing.splitlines())
    names = (name.strip() for name in chosen.split(","))
    return sum(name not in ("", "-1") for name in names)
