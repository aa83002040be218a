"""Run the workflow on one experiment file: what ``make bench`` calls.

Exit codes: 0 done, 2 bad input, 1 anything else. Interrupted at any point, the next start goes on
where this one stopped.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import InputError
from bench.experiment.layout import Layout
from bench.experiment.loading import load
from bench.experiment.plan import describe
from bench.experiment.prerequisites import check
from bench.stages.running import run_lock as alive
from bench.stages.running.devices import visible_gpus

SNAKEMAKE_LOCKS = Path(".snakemake/locks")
PATIENCE = 5.0  # seconds in which the jobs of a killed run end


def count(option: str, text: str, least: int) -> int:
    """A whole number given to ``option``.

    Raises:
        InputError: it is something else, or less than ``least``.
    """
    if not text.isdecimal() or int(text) < least:
        raise InputError(f"{option}={text}: write a whole number of at least {least}")
    return int(text)


def snakemake(config: str, *options: str) -> int:
    """Run Snakemake on an experiment file; returns its exit code."""
    command = [sys.executable, "-m", "snakemake", "--configfile", config, *options]
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # Snakemake has it too, and is stopping its jobs
            continue


def launch(arguments: Sequence[str]) -> int:
    """Plan, run, and say where the report is; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="an experiment file, such as configs/default.yaml")
    parser.add_argument("--cores", default="", help="cores to use; all of them by default")
    parser.add_argument("--gpus", default="", help="GPU jobs at a time; one a GPU by default")
    command = parser.parse_args(arguments)
    cores = count("CORES", command.cores, 1) if command.cores else len(os.sched_getaffinity(0))
    gpus = count("GPUS", command.gpus, 0) if command.gpus else visible_gpus()
    experiment = load(command.config)
    root = Path("results", experiment.name)
    print(describe(experiment, cores, Layout(root)), flush=True)
    check(experiment, Layout(root))

    if alive.is_held(alive.LOCK, PATIENCE):
        print(f"A run is in progress in {Path.cwd()}: wait for it, or stop it.", file=sys.stderr)
        return 1
    if any(SNAKEMAKE_LOCKS.glob("*")):  # left by a run that was killed, for none is in progress
        snakemake(command.config, "--unlock", "--quiet", "all")
    status = snakemake(
        command.config,
        *("--cores", str(cores), "--resources", f"gpu={gpus}"),
        *("--rerun-incomplete", "--keep-going", "--quiet", "host", "reason"),
        *("--scheduler", "greedy"),  # jobs want one core or all: nothing for a solver to weigh
    )
    report = root / "report.html"
    if status == 0:
        print(f"Done. The report: {report}")
    else:
        print("Not finished, see above; the same command goes on from here.", file=sys.stderr)
        if (root / "records.parquet").exists() and report.exists():
            print(f"The report, as far as it goes: {report}", file=sys.stderr)
    return 0 if status == 0 else 1


if __name__ == "__main__":
    try:
        sys.exit(launch(sys.argv[1:]))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(1)
