"""Small arrays that a sweep leaves beside its records."""

from __future__ import annotations

from typing import Any

from safetensors.numpy import load_file

from bench.report.study import Panel, Study


def first_file(study: Study, panel: Panel, label: str, name: str) -> dict[str, Any]:
    """Arrays of the first seed that has the file, or nothing."""
    layout = study.layout(panel)
    if layout is None:
        return {}
    for seed in study.experiment(panel).seeds:
        path = layout.sweep(panel.dataset, label, seed) / name
        if path.is_file():
            return dict(load_file(path))
    return {}
