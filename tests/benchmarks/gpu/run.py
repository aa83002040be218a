"""Run the kit on a bare machine with a GPU: one command, no network, whatever the time allows.

From the folder of the kit, or from a checkout at its commit that travelled in place of its tree:

    python3 KIT/run.py --out OUT [--before FOLDER] [--seconds 560]
    python3 tests/benchmarks/gpu/run.py KIT --out OUT [--before FOLDER] [--seconds 560]

It makes the environment ready from the kit, then runs the parts of :data:`PARTS`, the most valuable
first, each under a limit of its own and in a process of its own. All that should survive the
machine lies in OUT, at most eight files of 16 MiB, whole at every instant: ``environment.json``,
``log.txt``, one JSON file a part and ``fashion.tar.xz``. A later run, on this machine or another,
goes on from them with ``--before``: parts that are complete are not run again.

Exit codes: 0 when all parts are complete and what they check is right, 1 otherwise, 2 on bad input.
Only the standard library is imported here: nothing else is there yet.
"""

from __future__ import annotations

import argparse
import ctypes
import gzip
import hashlib
import io
import json
import lzma
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

KIT = "kit.json"
ENVIRONMENT, LOG = "environment.json", "log.txt"
COMMIT_VARIABLE = "GENPATH_KIT_COMMIT"
"""As in ``measure.py``, which cannot be imported before the tree is there."""

PARTS_FOLDER = Path("tests", "benchmarks", "gpu")

MOST_FILES = 8
MOST_BYTES = 16 * 2**20
LOG_BYTES = 4 * 2**20
"""What a part may add to the log; of more, the middle is cut out."""

OVERRUN = 15.0
"""Seconds beyond its limit after which a part is killed."""

LAST = 12.0
"""Seconds kept for the summary and for what ends late."""


@dataclass(frozen=True)
class Part:
    """A script of the kit.

    Attributes:
        name: of the script, and of the file it leaves.
        limit: seconds it is given, or None for all that are left.
        archive: a further file it leaves.
    """

    name: str
    limit: float | None
    archive: str | None = None


PARTS = (
    Part("correctness", 90),
    Part("throughput", 120),
    Part("small_networks", 60),
    Part("fashion", None, archive="fashion.tar.xz"),
)
"""In the order of their value."""


class UnusableError(Exception):
    """Bad input; the message is one line."""


# --- the kit --------------------------------------------------------------------------------------


def read_kit(folder: Path) -> dict[str, Any]:
    """What ``kit.json`` says, after every file of the kit was found to be the one it names.

    The tree may be missing, where the checkout travelled instead of it.
    """
    try:
        kit: dict[str, Any] = json.loads((folder / KIT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnusableError(f"{folder}: no {KIT}; give the folder that pack.py wrote") from None
    except ValueError as error:
        raise UnusableError(f"{folder / KIT}: {error}; pack the kit again") from None
    files = {f"wheels/{name}": known for name, known in kit["wheels"].items()}
    files |= {kit[name]["file"]: kit[name] for name in ("data", "tree") if kit[name]}
    for name, known in files.items():
        path = folder / name
        if not path.is_file():
            if name == kit["tree"]["file"]:
                continue
            raise UnusableError(f"{path}: missing; pack the kit again")
        if _sha256(path.read_bytes()) != known["sha256"]:
            raise UnusableError(f"{path}: is not the file that was packed; pack the kit again")
    return kit


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _new(path: Path) -> Iterator[Path]:
    """A folder that is whole or absent."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    yield fresh
    fresh.rename(path)


def find_tree(kit: Mapping[str, Any], folder: Path, work: Path) -> Path:
    """The kit's tree, unpacked; where it was left at home, the checkout that this script lies in.

    Raises:
        UnusableError: that checkout is not the one that the kit was packed from.
    """
    packed, tree = folder / kit["tree"]["file"], work / f"tree-{kit['commit'][:12]}"
    if packed.is_file():
        if not tree.is_dir():
            with _new(tree) as fresh, tarfile.open(packed, "r:xz") as archive:
                archive.extractall(fresh, filter="data")
        return tree
    checkout = Path(__file__).resolve().parents[len(PARTS_FOLDER.parts)]
    for name, digest in kit["tree"]["files"].items():
        path = checkout / name
        if not path.is_file() or _sha256(path.read_bytes()) != digest:
            raise UnusableError(
                f"{path}: is not as in commit {kit['commit'][:12]}, which the kit was packed from; "
                f"bring {packed.name} too, or pack the kit again"
            )
    return checkout


def install(kit: Mapping[str, Any], folder: Path, work: Path) -> Path:
    """Install the wheels where nothing else is; returns the folder for ``PYTHONPATH``."""
    name = _sha256(json.dumps(kit["wheels"], sort_keys=True).encode())[:12]
    site = work / f"site-{name}"
    if not site.is_dir():
        wheels = [str(folder / "wheels" / name) for name in kit["wheels"]]
        with _new(site) as fresh:
            options = ["--no-index", "--no-deps", "--no-compile", "--no-cache-dir"]
            options += ["--quiet", "--disable-pip-version-check", "--target", str(fresh)]
            words = [sys.executable, "-m", "pip", "install", *options, *wheels]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                raise UnusableError(f"the wheels cannot be installed: {done.stderr.strip()}")
    return site


def unpack_data(kit: Mapping[str, Any], folder: Path, work: Path) -> Path | None:
    """Fashion-MNIST as the four gzip files that its reader looks for; None where it was left out.

    Raises:
        UnusableError: a content is not the one known.
    """
    known = kit["data"]
    if not known:
        return None
    target = work / f"data-{known['sha256'][:12]}"
    if not target.is_dir():
        with _new(target) as fresh:
            content = io.BytesIO(lzma.decompress((folder / known["file"]).read_bytes()))
            for file in known["files"]:
                part = content.read(file["bytes"])
                if _sha256(part) != file["sha256"]:
                    raise UnusableError(f"{known['file']}: {file['name']} has another content")
                (fresh / file["name"]).write_bytes(gzip.compress(part, compresslevel=1))
    return target


# --- what is known already ------------------------------------------------------------------------


def take_over(before: Path, out: Path) -> list[str]:
    """Copy the files of an earlier run that this folder has not; returns their names.

    Raises:
        UnusableError: the folder is none of the kit's.
    """
    named = [LOG, ENVIRONMENT, *(f"{part.name}.json" for part in PARTS)]
    named += [part.archive for part in PARTS if part.archive]
    found = [name for name in named if (before / name).is_file()]
    if not found:
        raise UnusableError(f"{before}: holds no results of an earlier run")
    taken = [name for name in found if not (out / name).exists()]
    for name in taken:
        _write(out / name, (before / name).read_bytes())
    return taken


def _write(path: Path, content: bytes) -> None:
    """Write a file that is whole or absent."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def _read(path: Path) -> dict[str, Any]:
    """A JSON mapping, empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_done(part: Part, out: Path, card: str | None, commit: str) -> bool:
    """Whether a part is complete on such a card, of this commit, and nothing of it has failed."""
    found = _read(out / f"{part.name}.json")
    about = dict(found.get("environment") or {})
    same = (about.get("card"), about.get("commit")) == (card, commit)
    whole = part.archive is None or (out / part.archive).is_file()
    return same and whole and bool(found.get("complete")) and not found.get("failures")


# --- where it runs --------------------------------------------------------------------------------


def cards() -> list[dict[str, str]]:
    """Name, driver and memory of each GPU, as its driver says."""
    keys = ("name", "driver_version", "memory.total")
    query = ["nvidia-smi", f"--query-gpu={','.join(keys)}", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split(", ") for line in said.strip().splitlines()]
    return [dict(zip(keys, row, strict=True)) for row in rows if len(row) == len(keys)]


def environment(kit: Mapping[str, Any], site: Path, found: Sequence[Mapping[str, str]]) -> Any:
    """What the figures were measured on, and the command; no folder of the machine is named."""
    paths = [str(site), *sys.path]
    packages: dict[str, str] = {}
    for distribution in metadata.distributions(path=paths):
        packages.setdefault(distribution.metadata["Name"], distribution.version)
    words = [Path(a).name if Path(a).is_absolute() else a for a in sys.argv]
    return {
        "commit": kit["commit"],
        "command": shlex.join(["python3", *words]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "cards": list(found),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
        "parts": {},
    }


# --- running --------------------------------------------------------------------------------------


def _dies_with_its_parent() -> None:
    """Ask the kernel to kill this process when the one that started it dies (Linux)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def run_part(
    words: Sequence[str], root: Path, variables: Mapping[str, str], log: Path, limit: float
) -> int:
    """Run a part, its output in the log; returns its exit code, 124 where it was killed."""
    began = log.stat().st_size if log.exists() else 0
    with log.open("ab") as stream:
        process = subprocess.Popen(
            words,
            cwd=root,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            preexec_fn=_dies_with_its_parent,
            process_group=0,
        )
        try:
            code = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            code = 124
        finally:
            # Its own children too, such as processes that share the card.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    _shorten(log, began)
    return code


def _shorten(log: Path, began: int) -> None:
    """Cut the middle out of what a part has said, and the beginning off the log, if too much."""
    content = log.read_bytes()
    earlier, said = content[:began], content[began:]
    if len(said) > LOG_BYTES:
        half = LOG_BYTES // 2
        said = said[:half] + b"\n[... cut ...]\n" + said[-half:]
    shortened = (earlier + said)[-MOST_BYTES:]
    if shortened != content:
        _write(log, shortened)


def _sweep_up(out: Path) -> None:
    """Remove what writes left that were cut off."""
    for path in out.glob(".*"):
        if path.is_file():
            path.unlink()


def summary(out: Path, ran: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], bool]:
    """What a reader of the last lines must know, and whether all is complete and right."""
    lines, sound = [], True
    for part in PARTS:
        found = _read(out / f"{part.name}.json")
        failures = found.get("failures") or []
        state = "complete" if found.get("complete") else "not complete"
        how = ran.get(part.name)
        taken = f"{how['seconds']:.0f} s, exit code {how['exit']}" if how else "not run now"
        counts = f"{len(found.get('measurements') or [])} measurements, {len(failures)} failures"
        lines.append(f"{part.name:<16}{state}, {counts}; {taken}")
        lines += [f"    {row['subject']}: {row['error']}"[:300] for row in failures[:10]]
        sound = sound and bool(found.get("complete")) and not failures
        sound = sound and (how is None or how["exit"] == 0)
    for path in sorted(out.iterdir()):
        lines.append(f"{path.name:<24}{path.stat().st_size / 2**20:8.2f} MiB")
    return lines, sound


def run(given: argparse.Namespace) -> int:
    """Make ready, run what is not done yet, and say what there is."""
    started = time.monotonic()

    def left() -> float:
        return float(given.seconds - (time.monotonic() - started))

    kit_folder, out, work = (path.resolve() for path in (given.kit, given.out, given.work))
    kit = read_kit(kit_folder)
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    _sweep_up(out)
    if given.before is not None:
        print("from an earlier run:", ", ".join(take_over(given.before, out)) or "nothing new")
    root = find_tree(kit, kit_folder, work)
    site = install(kit, kit_folder, work)
    data = unpack_data(kit, kit_folder, work)
    found = cards()
    card = found[0]["name"] if found else None
    about = environment(kit, site, found)
    _write_json(out / ENVIRONMENT, about)
    print(f"ready after {time.monotonic() - started:.0f} s, on {card or 'no GPU'}", flush=True)
    variables = {
        "PYTHONPATH": os.pathsep.join([str(root), str(site)]),
        "PYTHONUNBUFFERED": "1",
        "MPLCONFIGDIR": str(work / "matplotlib"),
        "TORCHINDUCTOR_CACHE_DIR": str(work / "inductor"),
        COMMIT_VARIABLE: kit["commit"],
    }
    for part in PARTS:
        if is_done(part, out, card, kit["commit"]):
            print(f"{part.name}: complete already")
            continue
        room = left() - LAST
        limit = room if part.limit is None else min(part.limit, room)
        if limit <= 0:
            print(f"{part.name}: no time is left")
            continue
        words = [sys.executable, str(PARTS_FOLDER / f"{part.name}.py")]
        words += ["--out", str(out), "--seconds", f"{limit:.0f}"]
        words += ["--tiny"] if given.tiny else []
        if part.archive is not None:
            words += ["--results", str(work / "results")]
            words += [] if data is None else ["--data", str(data)]
        with (out / LOG).open("a", encoding="utf-8") as stream:
            stream.write(f"\n=== {part.name}, {limit:.0f} s, {about['started']}\n")
        print(f"{part.name}: at most {limit:.0f} s", flush=True)
        begun = time.monotonic()
        most = min(limit + OVERRUN, left() - 2)
        code = run_part(words, root, variables, out / LOG, most)
        taken = time.monotonic() - begun
        about["parts"][part.name] = {"seconds": round(taken, 1), "limit": limit, "exit": code}
        _write_json(out / ENVIRONMENT, about)
        if code not in (0, 1) or not (out / f"{part.name}.json").is_file():
            said = (out / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
            print(f"{part.name}: exit code {code}", *said[-15:], sep="\n    ", flush=True)
    _sweep_up(out)
    lines, sound = summary(out, about["parts"])
    print(*lines, sep="\n", flush=True)
    return 0 if sound else 1


def _write_json(path: Path, value: Any) -> None:
    _write(path, (json.dumps(value, indent=1) + "\n").encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the kit; returns the exit code."""
    here = Path(__file__).resolve().parent
    beside: dict[str, Any] = {"nargs": "?", "default": here} if (here / KIT).is_file() else {}
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kit", type=Path, help="folder that pack.py wrote", **beside)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="results to go on from")
    parser.add_argument("--seconds", type=float, default=560, help="for all, 560 by default")
    parser.add_argument("--tiny", action="store_true", help="all parts at tiny sizes: a rehearsal")
    kept = Path(tempfile.gettempdir()) / f"genpath-bench-kit-{os.getuid()}"
    parser.add_argument("--work", type=Path, default=kept, help="what need not survive")
    try:
        return run(parser.parse_args(arguments))
    except UnusableError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # unwinds, and ends the part at hand
    sys.exit(main())
