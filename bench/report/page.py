"""``report.html``: one file that opens offline, with every figure and table inside.

The template is ``page.html.j2``; this module prepares what it shows. All sentences with numbers are
computed by :mod:`bench.report.findings`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from bench.files import write_text
from bench.report import declared
from bench.report.costs import cost_matrix, expected_seconds
from bench.report.declared import SECTIONS, figures_of, tables_of
from bench.report.findings import findings, warnings
from bench.report.numbers import plain, scaled
from bench.report.study import Study
from bench.report.svg import data_uri
from bench.report.table import Table, is_loud
from bench.report.tables.claims import section as claims_section
from bench.report.titles import metric_title

TEMPLATE = "page.html.j2"


def write(study: Study, tables: Mapping[str, Table], figures: Path, target: Path) -> None:
    """Write the page.

    Args:
        study: what is reported.
        tables: from :func:`bench.report.tables.build_all`.
        figures: folder of the SVG files.
        target: the HTML file.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(TEMPLATE).render(
        title=" and ".join(e.name for e in study.experiments),
        facts=_facts(study),
        warnings=warnings(study),
        panels=[
            {
                "title": panel.title,
                "metric": metric_title(panel.primary),
                "findings": findings(study, panel),
            }
            for panel in study.panels
        ],
        claims=claims_section(study),
        seconds=_seconds(study),
        sections=[
            {
                "anchor": anchor,
                "title": title,
                "figures": [_figure(figures, name) for name in figures_of(anchor)],
                "tables": [_table(tables[name]) for name in tables_of(anchor)],
            }
            for anchor, title in SECTIONS.items()
        ],
        manifests=[
            {"name": name, "text": json.dumps(_without_config(part), indent=1)}
            for name, part in study.manifests.items()
        ],
        machines=[_machine(part) for part in study.manifests.values()],
    )
    write_text(target, text)


def _facts(study: Study) -> list[dict[str, Any]]:
    """What was compared, experiment by experiment."""
    told = []
    for experiment in study.experiments:
        budget = experiment.budget
        unit = {"flops": "FLOP", "network_passes": "network passes", "device_seconds": "s"}
        told.append(
            {
                "name": experiment.name,
                "formulations": ", ".join(study.titles[label] for label in experiment.labels),
                "datasets": ", ".join(
                    p.title for p in study.panels if p.experiment == experiment.name
                ),
                "foreign": ", ".join(study.titles[label] for label in experiment.models),
                "seeds": len(experiment.seeds),
                "budget": "; ".join(
                    f"{name} {scaled(amount)} {unit[budget.unit]}".replace("  ", " ")
                    for name, amount in budget.amount.items()
                ),
                "accounting": budget.accounting.replace("_", "-"),
                "solvers": ", ".join(experiment.sweep.solvers),
                "nfe": ", ".join(map(str, experiment.sweep.nfe)),
                "digest": experiment.digest,
            }
        )
    return told


def _seconds(study: Study) -> list[tuple[str, str, str]]:
    """Kind of work, measured and expected core-seconds."""
    measured = cost_matrix(study).sum()
    expected = expected_seconds(study)
    rows = [
        (str(kind), plain(float(seconds)), plain(expected.get(str(kind), math.nan)))
        for kind, seconds in measured.items()
    ]
    rows.append(
        (
            "all",
            plain(float(measured.sum())),
            plain(sum(expected.values()) if expected else math.nan),
        )
    )
    return rows


def _figure(folder: Path, name: str) -> dict[str, Any]:
    declaration = declared.figure(name)
    drawing = (folder / f"{name}.svg").read_text(encoding="utf-8")
    return {
        "name": name,
        "title": declaration.title,
        "caption": declaration.caption,
        "source": Markup(data_uri(drawing)),
    }


def _table(table: Table) -> dict[str, Any]:
    blocks = []
    for title, rows in table.blocks():
        cells = [[_cell(str(value)) for value in row] for row in rows.itertuples(index=False)]
        columns = [
            {"name": _lines(str(name)), "words": name in table.words} for name in rows.columns
        ]
        blocks.append({"title": title, "columns": columns, "rows": cells})
    return {
        "name": table.name,
        "title": table.title,
        "wordy": table.wordy,
        "caption": table.caption,
        "blocks": blocks if len(table.text) else [],
    }


def _lines(text: str) -> Markup:
    return Markup("<br>").join(escape(part) for part in text.split("\n"))


def _cell(text: str) -> dict[str, Any]:
    """A cell; the sampler below a number is small, and a failure is marked."""
    first, *lines = text.split("\n")
    return {"text": _lines(text), "first": first, "rest": lines, "failed": is_loud(first)}


def _machine(manifest: Mapping[str, Any]) -> str:
    """The machine in one line."""
    hardware, packages = manifest["hardware"], manifest["packages"]
    gpus = f", {', '.join(hardware['gpus'])}" if hardware["gpus"] else ", no GPU"
    return (
        f"{manifest['experiment']}: {hardware['cpu']}, {hardware['cores_usable']} cores, "
        f"{plain(hardware['memory_bytes'] / 2**30)} GiB{gpus}; Python {packages['python']}, "
        f"torch {packages.get('torch', 'unknown')}"
    )


def _without_config(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest without the configuration, which stands in ``config.yaml``."""
    return {key: value for key, value in manifest.items() if key != "config"}
