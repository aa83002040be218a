"""Pages that are followed to the letter: their files are written and their commands run, in a copy.

A page shows a new file as its name in code, an empty line, and a block of its whole text. A change
of a file that exists is shown the same way, with the line below which the block goes, or above
which it goes as a definition of its own, with two empty lines between::

    `bench/some/file.py`, below `the line`

Commands stand in blocks marked ``sh``.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from tests.checkouts import ROOT

BLOCK = re.compile(
    r"^`(?P<name>[\w./]+)`(?:, (?P<side>below|above) `(?P<line>[^`\n]+)`)?:?\n\n"
    r"```\w+\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = {".venv/bin/python": [sys.executable], "make": [sys.executable, "workflow/launch.py"]}
"""The pages' first words of a command, as they are called in a copy without an environment."""


def write(page: Path, checkout: Path) -> list[str]:
    """Do to ``checkout`` what the blocks of a page say; the names of the files, in order."""
    names = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        path = checkout / block["name"]
        if block["side"] is None:
            assert not path.exists(), f"{page}: {block['name']} is there already"
            path.write_text(block["text"], encoding="utf-8")
        else:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            places = [i for i, line in enumerate(lines) if line.strip() == block["line"].strip()]
            assert len(places) == 1, f"{page}: {block['name']} has {len(places)} {block['line']!r}"
            below = block["side"] == "below"
            lines.insert(places[0] + below, block["text"] + ("" if below else "\n\n"))
            path.write_text("".join(lines), encoding="utf-8")
        names.append(block["name"])
    return names


def commands(page: Path) -> list[str]:
    """The command lines of a page, in order."""
    blocks = COMMANDS.findall(page.read_text(encoding="utf-8"))
    return [line for block in blocks for line in block.splitlines()]


def arguments(line: str) -> list[str]:
    """A command of a page as it runs in a copy: with this environment's Python."""
    first, *rest = shlex.split(line)
    if first == "make":
        target, config = rest
        assert target == "bench"
        rest = [config.removeprefix("CONFIG=")]
    return [*PYTHON[first], *rest]


def all_pages() -> list[Path]:
    """The pages of the repository: its own README and those of its folders."""
    folders = ("bench", "configs", "workflow", "tests", "results/reference")
    inner = [page for folder in folders for page in sorted((ROOT / folder).rglob("README.md"))]
    return [ROOT / "README.md", *inner]
