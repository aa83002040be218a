"""Give results of version 0.6.0 the digests by which this version knows them.

    python workflow/translate.py RESULTS [RESULTS ...] --old CHECKOUT

0.6.0 hashed the files of code, this version hashes what code computes; no value differs. CHECKOUT
is a checkout of 0.6.0, such as ``git worktree add`` makes: it says what its digests are, and those
of the results must be these. Of a run's own folder the outcomes and journals are written anew, so
that nothing is computed again; of a published one ``digests.json`` is written, which says for each
of its ledgers' digests what it is now. Records keep the digests under which they were made.

Exit codes: 0 done, 2 results that are not those of the checkout; nothing is written then.
"""

from __future__ import annotations

import argparse
import json
import runpy
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from bench.errors import InputError
from bench.evidence import ledgers
from bench.experiment.layout import CONFIG, FINISHED, OUTCOME, Layout
from bench.files import read_json, write_json, write_text

TRANSLATION = "digests.json"
OLD = Path(__file__).with_name("digests_of_0.6.0.txt")
NEW = Path(__file__).with_name("digests.py")
JOURNAL = "journal.jsonl"


def told_by(checkout: Path, config: Path) -> dict[str, str]:
    """What a checkout of 0.6.0 says of an experiment: digests by place.

    Raises:
        InputError: it cannot read the experiment.
    """
    command = [sys.executable, "-c", OLD.read_text(encoding="utf-8"), str(config.resolve())]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{checkout}: cannot say the digests of {config}: {last}")
    digests: dict[str, str] = json.loads(done.stdout)
    return digests


def told_here(config: Path) -> dict[str, str]:
    """The same of this version."""
    stream = StringIO()
    arguments, sys.argv = sys.argv, [str(NEW), str(config)]
    try:
        with redirect_stdout(stream):
            runpy.run_path(str(NEW), run_name="__main__")
    finally:
        sys.argv = arguments
    digests: dict[str, str] = json.loads(stream.getvalue())
    return digests


def stored(layout: Layout) -> Iterator[tuple[str, str]]:
    """Places of results, and the digests that they carry."""
    if (layout.root / ledgers.LEDGERS).is_file():
        for place, ledger in ledgers.of_run(layout).items():
            yield str(Path(place).parent), ledger["digest"]
        return
    for outcome in sorted(layout.root.rglob(OUTCOME)):
        yield str(outcome.parent.relative_to(layout.root)), read_json(outcome)["digest"]


def strangers(layout: Layout, old: Mapping[str, str]) -> list[str]:
    """A line for each result that is not what the checkout would have made."""
    return [
        f"{layout.root / place}: has digest {digest}, and the checkout says {old.get(place)}"
        for place, digest in stored(layout)
        if old.get(place) != digest
    ]


def translate(root: Path, checkout: Path) -> None:
    """Translate the digests of the results in a folder.

    Raises:
        InputError: something there is not of the checkout.
    """
    layout = Layout(root)
    if not layout.config.is_file():
        raise InputError(f"{root}: no {CONFIG}; give a folder of results")
    old, new = told_by(checkout, layout.config), told_here(layout.config)
    if wrong := strangers(layout, old):
        raise InputError("\n".join(wrong))
    table = {old[place]: new[place] for place in old if old[place] is not None}
    if (root / ledgers.LEDGERS).is_file():
        ledger_digests = {ledger["digest"] for ledger in ledgers.of_run(layout).values()}
        write_json(root / TRANSLATION, {digest: table[digest] for digest in sorted(ledger_digests)})
    else:
        _rewrite(root, table)
    print(f"{root}: translated", file=sys.stderr)


def _rewrite(root: Path, table: Mapping[str, str]) -> None:
    """Outcomes last: they are what a later start believes."""
    for journal in sorted(root.rglob(JOURNAL)):
        lines = map(json.loads, journal.read_text(encoding="utf-8").splitlines())
        translated_lines = (
            line | {"digest": table.get(line["digest"], line["digest"])} for line in lines
        )
        write_text(journal, "".join(f"{json.dumps(line)}\n" for line in translated_lines))
    for name in (FINISHED, OUTCOME):
        for path in sorted(root.rglob(name)):
            outcome: dict[str, Any] = read_json(path)
            digest = table.get(outcome["digest"], outcome["digest"])
            write_json(path, outcome | {"digest": digest})


def main(arguments: Sequence[str] | None = None) -> int:
    """Translate; returns the exit code."""
    parser = argparse.ArgumentParser(description="Translate the digests of results of 0.6.0.")
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--old", required=True, type=Path, help="a checkout of version 0.6.0")
    command = parser.parse_args(arguments)
    try:
        for root in command.results:
            translate(root, command.old)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
