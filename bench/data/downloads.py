"""Public files of known content: found in a cache, or downloaded from mirrors. Torch-free.

A download goes into ``<name>.part`` and goes on there after an interruption, at the same mirror or
at the next one; it is renamed to its name once its SHA-256 is the expected one. Nothing else is
trusted: a mirror may use plain HTTP.
"""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from bench.errors import InputError
from bench.files import sha256
from bench.progress import Progress

ATTEMPTS = 3
"""How often a mirror is asked for a file before the next one is."""

PAUSE = 1.0
"""Seconds after a mirror's first failure; each further one doubles them."""

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as lost."""

_CHUNK = 1 << 18
_PARTIAL, _NOT_SATISFIABLE, _SERVER_ERROR = 206, 416, 500


@dataclass(frozen=True)
class Remote:
    """A file that the network has.

    Attributes:
        name: of the file.
        sha256: of its content, in hexadecimal.
        urls: where it is, in the order in which they are tried.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]


def cache(name: str) -> Path:
    """The folder of downloaded files of a data set: below ``XDG_CACHE_HOME``, or ``~/.cache``."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "genpath-bench" / name


def fetch(remotes: Sequence[Remote], folder: Path) -> list[Path]:
    """Paths of files below ``folder``, downloaded where they are not there yet.

    Raises:
        InputError: a file has another digest, or no mirror has it; the one line says where to put
            the missing files by hand, and which digest each must have.
    """
    paths = [folder / remote.name for remote in remotes]
    missing = [file for file, path in zip(remotes, paths, strict=True) if not _is_there(file, path)]
    for index, remote in enumerate(missing):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _download(remote, folder)
        except OSError as error:
            wanted = ", ".join(f"{file.name} (SHA-256 {file.sha256})" for file in missing[index:])
            raise InputError(
                f"{folder}: cannot download {remote.name} ({_reason(error)}); put here by hand: "
                f"{wanted}"
            ) from None
    return paths


def _is_there(remote: Remote, path: Path) -> bool:
    if not path.is_file():
        return False
    digest = sha256(path)
    if digest != remote.sha256:
        raise InputError(f"{path}: has SHA-256 {digest}, not {remote.sha256}; delete it")
    return True


def _download(remote: Remote, folder: Path) -> None:
    """Bring one file.

    Raises:
        OSError: no mirror gave it; the error of the last attempt.
    """
    part = folder / f"{remote.name}.part"
    last: OSError = OSError("it has no mirror")
    for url in remote.urls:
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            try:
                resumed = _transfer(url, part)
            except HTTPException as error:
                last = OSError(f"{url}: {type(error).__name__}")
                continue
            except OSError as error:
                last = error
                if isinstance(error, urllib.error.HTTPError) and error.code < _SERVER_ERROR:
                    break  # the mirror will say the same again
                continue
            digest = sha256(part)
            if digest == remote.sha256:
                os.replace(part, folder / remote.name)
                return
            part.unlink()
            last = OSError(f"{url} has SHA-256 {digest}")
            if not resumed:
                break  # a whole file from this mirror, and not the one: ask the next
    raise last


def _transfer(url: str, part: Path) -> bool:
    """Bring ``part`` to the end of the file at ``url``; whether it was begun earlier.

    Raises:
        HTTPError: the mirror refuses.
        OSError, HTTPException: the connection fails or ends early; what has arrived is kept.
    """
    begun = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "genpath-bench"})
    if begun:
        request.add_header("Range", f"bytes={begun}-")
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if begun and error.code == _NOT_SATISFIABLE:
            return True  # nothing is left to come: the digest says whether it is the file
        raise
    with response:
        if response.status != _PARTIAL:
            begun = 0
        left = response.length
        total = begun + (left or 0)
        arrived = begun
        with (
            part.open("ab" if begun else "wb") as stream,
            Progress(part.stem, total, "bytes", done=begun) as progress,
        ):
            while chunk := response.read(_CHUNK):
                stream.write(chunk)
                arrived += len(chunk)
                progress.advance(len(chunk))
    if left is not None and arrived < total:
        raise ConnectionError(f"{url} ended after {arrived} of {total} bytes")
    return begun > 0


def _reason(error: OSError) -> str:
    return " ".join(str(error).split())
