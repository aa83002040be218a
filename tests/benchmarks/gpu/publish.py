"""Bring home what a run of the kit found, and publish it.

Run from the repository's root, with the folder that ``run.py`` wrote on the machine:

    .venv/bin/python tests/benchmarks/gpu/publish.py OUT [--check]

Every file is validated first; ``--check`` stops there. Then ``results/reference/gpu/`` is written:
``measurements.csv``, one row a figure, and ``manifest.json``, with card, driver, torch, commit and
command of each part, what is complete and what has failed. The README's table is written anew from
them. The experiment of the part ``fashion`` is unpacked into ``results/fashion``, collected and
reported with the full configuration, so that missing seeds are marked, and published as
``results/reference/fashion``, with the machine's own manifest.

A rehearsal, or a run without a GPU, is refused: nothing of it is a figure of a GPU.
"""

from __future__ import annotations

import argparse
import csv
import io
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bench.data.dataset import data_module
from bench.data.files import TENSORS, save
from bench.errors import InputError, RunError
from bench.evidence import manifest as manifests
from bench.experiment.layout import CONFIG, FINISHED, OUTCOME, Layout
from bench.experiment.loading import load
from bench.experiment.spec import Experiment
from bench.files import read_json, sha256, write_json, write_text
from bench.stages import collect, gate, report
from bench.stages import publish as publishing
from tests.benchmarks.gpu import fashion, run
from tests.benchmarks.gpu.measure import Measurement, quartiles, read

ROOT = Path(__file__).resolve().parents[3]

GPU = "gpu"
MEASUREMENTS, MANIFEST = "measurements.csv", "manifest.json"

COLUMNS = ("card", *(field.name for field in fields(Measurement)))

BEGIN, END = "<!-- gpu:begin -->", "<!-- gpu:end -->"
NOTHING = "No figure has been measured on a GPU yet."


@dataclass(frozen=True)
class Found:
    """What a run brought, validated.

    Attributes:
        environment: of ``environment.json``.
        parts: contents of the parts' files, in the order of their value.
        experiment: what the archive of the experiment holds, or None without one.
    """

    environment: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Any]]
    experiment: Experiment | None

    @property
    def cards(self) -> tuple[str | None, ...]:
        """Names of the cards, each once."""
        return tuple({part["environment"]["card"]: None for part in self.parts.values()})

    @property
    def rehearsed(self) -> bool:
        """Whether any of it is of no GPU, or of tiny sizes."""
        commands = [part["environment"]["command"] for part in self.parts.values()]
        commands.append(self.environment["command"])
        return None in self.cards or any("--tiny" in shlex.split(words) for words in commands)


def validate(out: Path) -> Found:
    """Read the results of a run.

    Raises:
        ValueError: what is wrong with them, and where.
    """
    path = out / run.ENVIRONMENT
    if not path.is_file():
        raise ValueError(f"{out}: no {path.name}; give the folder that run.py wrote")
    try:
        environment = read_json(path)
        missing = {"commit", "command", "started", "cards", "packages", "parts"} - set(environment)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from None
    if missing:
        raise ValueError(f"{path.name} lacks {', '.join(sorted(missing))}")
    parts = {
        part.name: read(out / f"{part.name}.json")
        for part in run.PARTS
        if (out / f"{part.name}.json").is_file()
    }
    if not parts:
        raise ValueError(f"{out}: no part has left a file; see {run.LOG}")
    archive, experiment = out / fashion.ARCHIVE, None
    if archive.is_file():
        with tempfile.TemporaryDirectory() as folder:
            fashion.unpack(archive, Path(folder))
            if not (Path(folder) / CONFIG).is_file():
                raise ValueError(f"{archive.name}: holds no {CONFIG}")
            try:
                experiment = load(Path(folder) / CONFIG)
            except InputError as error:
                raise ValueError(f"{archive.name}: {error}") from None
    return Found(environment, parts, experiment)


# --- measurements ---------------------------------------------------------------------------------


def write_measurements(found: Found, target: Path) -> None:
    """Write ``measurements.csv`` and ``manifest.json``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for part in found.parts.values():
        for row in part["measurements"]:
            writer.writerow({"card": part["environment"]["card"], **row})
    write_text(target / MEASUREMENTS, text.getvalue())
    about = {key: value for key, value in found.environment.items() if key != "parts"}
    state = {
        name: {
            "environment": part["environment"],
            "complete": part["complete"],
            "measurements": len(part["measurements"]),
            "failures": part["failures"],
        }
        for name, part in found.parts.items()
    }
    missing = [part.name for part in run.PARTS if part.name not in found.parts]
    write_json(target / MANIFEST, {**about, "parts": state, "not run": missing})


# --- the experiment -------------------------------------------------------------------------------


def bring_experiment(out: Path, root: Path, experiment: Experiment) -> None:
    """Unpack the experiment and make its records and report.

    Its manifest stays the machine's: it says where the numbers come from.

    Raises:
        InputError: the folder holds results of another origin.
    """
    layout = Layout(root)
    if layout.root.exists() and not (layout.root / fashion.CARD).is_file():
        raise InputError(
            f"{layout.root}: holds results that no GPU kit made; move them before publishing"
        )
    shutil.rmtree(layout.root, ignore_errors=True)
    fashion.unpack(out / fashion.ARCHIVE, layout.root)
    for name in (OUTCOME, FINISHED):
        for path in sorted(layout.root.rglob(name)):
            _leave_behind(path)
    _show_real_images(experiment, layout)
    about = read_json(layout.root / manifests.MANIFEST)
    collect.run(experiment, layout)
    write_json(layout.root / manifests.MANIFEST, about)
    report.run(experiment, layout)


def _leave_behind(path: Path) -> None:
    """Name the files of an outcome that did not travel apart from those that did."""
    outcome = read_json(path)
    files = outcome["files"]
    here = {name: digest for name, digest in files.items() if (path.parent / name).is_file()}
    away = {name: digest for name, digest in files.items() if name not in here}
    if away:
        write_json(path, {**outcome, "files": here, "files_left_behind": away})


def _show_real_images(experiment: Experiment, layout: Layout) -> None:
    """Build the data sets whose files are at hand: the report shows samples beside real images."""
    for dataset in experiment.datasets:
        module, folder = data_module(dataset), layout.data(dataset)
        try:
            data = module.build(module.Options(**experiment.datasets[dataset].options))
        except InputError as error:
            print(f"the report shows no real images: {error}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as fresh:
            save(data, Path(fresh))
            known = read_json(folder / OUTCOME).get("files_left_behind", {}).get(TENSORS)
            if sha256(Path(fresh) / TENSORS) == known:
                shutil.copyfile(Path(fresh) / TENSORS, folder / TENSORS)


def publish_experiment(root: Path, experiment: Experiment) -> None:
    """Publish the collected results: as finished where they are, else with what is missing named.

    Raises:
        RunError: something has failed, or is not what it claims to be.
    """
    layout = Layout(root)
    unfinished = any(line.endswith(gate.NOT_RUN) for line in gate.failed_stages(experiment, layout))
    if not unfinished:
        gate.run(experiment, layout)
    publishing.run(root, unfinished=unfinished)


# --- the README's table ---------------------------------------------------------------------------


SHOWN = (
    "FLOPs a second",
    "bytes a second",
    "samples a second",
    "share of the measured ceiling",
    "seconds of our update over those of its loop",
    "seconds of euler over those of bare forwards",
    "seconds of dpmpp_2m over those of bare forwards",
    "seconds of ancestral over those of bare forwards",
    "share of the seconds until the host had issued all",
    "seconds until a job can train",
    "updates a second, all together",
    "operations of sampling",
)
"""Quantities that the README shows, in this order; the others stand in the file alone."""


def block(measured: Path) -> str:
    """What stands between the markers: a line while nothing is published, else a table.

    A row a subject. Checks, which have an upper bound and no lower one, have one row a part: how
    many, and the one that comes closest to its bound. So have the models of the experiment.
    """
    if not measured.is_file():
        return NOTHING
    rows = read_measurements(measured)
    lines = [f"Measured on {' and '.join(dict.fromkeys(card for card, _ in rows))}.", ""]
    lines += ["| part | subject | figures: median [quartiles] |", "| --- | --- | --- |"]
    for part in dict.fromkeys(m.part for _, m in rows):
        found = [m for _, m in rows if m.part == part]
        lines += [f"| {part} | {subject} | {text} |" for subject, text in _rows(found)]
    return "\n".join(lines)


def _rows(found: Sequence[Measurement]) -> Iterator[tuple[str, str]]:
    """Subjects of a part, and what is shown of each."""
    checks = [m for m in found if m.low is None and m.high is not None]
    if checks:
        worst = max(checks, key=_of_bound)
        closest = f"{worst.subject}, at {_of_bound(worst):.2g} of its bound"
        yield f"{len(checks)} checks", f"closest to its bound: {closest}"
    for subject in dict.fromkeys(m.subject for m in found):
        shown = {m.quantity: m for m in found if m.subject == subject and m not in checks}
        text = "; ".join(f"{name} {_shown(shown[name])}" for name in SHOWN if name in shown)
        if text:
            yield subject, text
    yield from _models(found)


def _models(found: Sequence[Measurement]) -> Iterator[tuple[str, str]]:
    """Seconds of the models of an experiment, of their stages together and of their sweeps."""
    spent: dict[str, dict[bool, float]] = {}
    for m in found:
        model, _, stage = m.subject.rpartition("/")
        if m.part == fashion.PART and m.quantity == fashion.WALL and model.startswith("seed"):
            of_model = spent.setdefault(model, {True: 0.0, False: 0.0})
            of_model[stage == "sweep"] += m.value
    if spent:
        stages = _spread([of_model[False] for of_model in spent.values()])
        sweeps = _spread([of_model[True] for of_model in spent.values()])
        yield f"{len(spent)} models", f"stages {stages} s; sweep {sweeps} s"


def _spread(values: Sequence[float]) -> str:
    low, middle, high = quartiles(values)
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


def _of_bound(m: Measurement) -> float:
    return m.value / m.high if m.high else float(m.value > 0)


def _shown(m: Measurement) -> str:
    spread = f" [{m.low:.4g}, {m.high:.4g}]" if m.low is not None and m.high is not None else ""
    unit = "" if m.unit in ("1", "1/s") else f" {m.unit}"
    return f"{m.value:.4g}{spread}{unit}"


def read_measurements(path: Path) -> list[tuple[str, Measurement]]:
    """Rows of the published file: card and measurement.

    Raises:
        ValueError: it is not such a file.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path.name}: has the columns {reader.fieldnames}, not {COLUMNS}")
        return [(row.pop("card"), _measurement(row)) for row in reader]


def _measurement(row: Mapping[str, str]) -> Measurement:
    low, high = (float(row[name]) if row[name] else None for name in ("low", "high"))
    return Measurement(
        row["part"], row["subject"], row["quantity"], float(row["value"]), low, high,
        row["unit"], row["note"],
    )  # fmt: skip


def with_block(readme: str, text: str) -> str:
    """A README with the text between its markers.

    Raises:
        ValueError: it has no markers, or several.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"the README has no {BEGIN} ... {END}")
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


# --- the command ----------------------------------------------------------------------------------


def publish(out: Path, root: Path = ROOT) -> None:
    """Publish the results in ``out`` below ``root``.

    Raises:
        InputError: they are of no GPU, or the experiment is not the shipped one.
        RunError: the experiment is not what it claims to be; its measurements are published.
        ValueError: they are no results.
    """
    found = validate(out)
    if found.rehearsed:
        raise InputError(f"{out}: is a rehearsal, or of no GPU; there is nothing to publish")
    if found.experiment is not None and found.experiment != fashion.experiment_of(tiny=False):
        raise InputError(f"{out}: {fashion.ARCHIVE} is not of configs/fashion.yaml as it is here")
    target = root / "results" / publishing.REFERENCE / GPU
    write_measurements(found, target)
    readme = root / "README.md"
    text = with_block(readme.read_text(encoding="utf-8"), block(target / MEASUREMENTS))
    write_text(readme, text)
    if found.experiment is not None:
        folder = root / "results" / found.experiment.name
        bring_experiment(out, folder, found.experiment)
        publish_experiment(folder, found.experiment)


def described(found: Found) -> Iterable[str]:
    """What has been found, a line each."""
    for part in run.PARTS:
        if part.name not in found.parts:
            yield f"{part.name}: has not run"
            continue
        one = found.parts[part.name]
        state = "complete" if one["complete"] else "not complete"
        yield (
            f"{part.name}: {state}, {len(one['measurements'])} measurements on "
            f"{one['environment']['card'] or 'no GPU'}"
        )
        yield from (f"    {row['subject']}: {row['error']}" for row in one["failures"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Validate and publish; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder that run.py wrote")
    parser.add_argument("--check", action="store_true", help="validate, and publish nothing")
    given = parser.parse_args(arguments)
    try:
        print(*described(validate(given.out)), sep="\n")
        if not given.check:
            publish(given.out)
    except (InputError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
