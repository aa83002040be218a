"""Where results come from: command, configuration, code, packages, machine, data, extractor.

A manifest names no host, no user and no folder of the machine, so that it can be published.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

from bench.evidence import expectation
from bench.evidence.version import running
from bench.experiment.graph import nodes, verbs
from bench.experiment.layout import MADE_BY, OUTCOME, Layout
from bench.experiment.roots import verb_digest
from bench.experiment.spec import Experiment
from bench.files import read_json

MANIFEST = "manifest.json"

PACKAGES = (
    "torch", "torchdiffeq", "torch-fidelity", "numpy", "scipy", "pot",
    "scikit-learn", "pandas", "pyarrow", "safetensors", "pydantic", "matplotlib", "jinja2",
    "snakemake",
)  # fmt: skip

TOLD = ("collect", "report")
"""Verbs that make records and pages of what the stages leave."""


def command_line(arguments: Sequence[str]) -> str:
    """The command of this process, with the folders of absolute paths left out."""
    words = [PurePath(a).name if PurePath(a).is_absolute() else a for a in arguments]
    program = words[0] if words else ""
    head = ["python", "-m", "bench"] if program == "__main__.py" else [program]
    return " ".join([*head, *words[1:]])


def versions() -> dict[str, str]:
    """Versions of the packages that results can depend on, of Python, and of the code itself.

    The code is that of this process, whichever version is installed.
    """
    packages = {"python": platform.python_version(), "genpath-bench": running()["version"]}
    for package in PACKAGES:
        try:
            packages[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return packages


def hardware() -> dict[str, Any]:
    """CPU model, cores this process may use, memory, and GPUs as their driver names them."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": _gpus(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or "unknown")


def _gpus() -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False, timeout=30)
    return answer.stdout.split("\n")[:-1] if answer.returncode == 0 else []


def _outcome_slice(folder: Path) -> dict[str, Any] | None:
    """What a stage's outcome says of its product: digests, checksums, accuracy, sizes."""
    path = folder / OUTCOME
    if not path.is_file():
        return None
    ignored = ("seconds", "wall_seconds", "error", MADE_BY)
    return {key: value for key, value in read_json(path).items() if key not in ignored}


def _acceleration(layout: Layout) -> dict[str, Any]:
    """The measured choices of the fast path, where there are any: data set, label, stage."""
    root = layout.acceleration("*", "*", "*").relative_to(layout.root)
    choices = {
        "/".join(path.parent.relative_to(layout.root).parts[1:]): read_json(path)
        for path in sorted(layout.root.glob(str(root)))
    }
    return {"acceleration": choices} if choices else {}


def _batch_parts(layout: Layout) -> dict[str, Any]:
    """In how many parts a batch was taken that did not fit into memory: data set, label, stage."""
    every = layout.model("*", "*", 0).parent.relative_to(layout.root) / "*" / "*" / OUTCOME
    by_stage = {
        "/".join(path.parent.relative_to(layout.root).parts[1:]): parts
        for path in sorted(layout.root.glob(str(every)))
        if (parts := read_json(path).get("batch_parts", 1)) > 1
    }
    return {"batch_parts": by_stage} if by_stage else {}


def _made_by(experiment: Experiment, layout: Layout) -> list[dict[str, Any]]:
    """The versions and commits that have made the stages, each with its stages if not with all.

    A stage that says nothing was made by a version that did not write it down.
    """
    stages: dict[str, list[str]] = {}
    for node in nodes(experiment):
        path = node.folder(layout) / OUTCOME
        if path.is_file():
            about = json.dumps(read_json(path).get(MADE_BY))
            stages.setdefault(about, []).append(str(path.parent.relative_to(layout.root)))
    return [
        {**(json.loads(about) or {"version": None}), "stages": places if len(stages) > 1 else "all"}
        for about, places in stages.items()
    ]


def manifest(experiment: Experiment, root: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """The manifest of the results in ``root``."""
    layout = Layout(root)
    return {
        "experiment": experiment.name,
        "command": command_line(arguments),
        "collected": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": experiment.resolved(),
        "config_digest": experiment.digest,
        "code": {verb: verb_digest(verb) for verb in (*verbs(experiment), *TOLD)},
        "collected_by": running(),
        "expected": expectation.stored(experiment, layout),
        "made_by": _made_by(experiment, layout),
        "packages": versions(),
        "hardware": hardware(),
        "load": dict(zip(("1 min", "5 min", "15 min"), os.getloadavg(), strict=True)),
        "data": {name: _outcome_slice(layout.data(name)) for name in experiment.datasets},
        "extractors": {
            name: outcome
            for name in experiment.datasets
            if (outcome := _outcome_slice(layout.extractor(name))) is not None
        },
        "timing": {name: _outcome_slice(layout.timing(name)) for name in experiment.datasets},
        **_acceleration(layout),
        **_batch_parts(layout),
    }


def parts(whole: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The manifests inside a manifest: itself, or those of the runs that were joined."""
    return list(whole.get("joined", [whole]))


def current() -> list[str]:
    """Arguments of this process."""
    return list(sys.argv)
