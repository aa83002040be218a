"""How many GPUs this process may use, told without torch."""

from __future__ import annotations

import os
import subprocess

from bench.registry import aside


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
