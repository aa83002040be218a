"""Measure what each metric of an exact law sees, and write the table of it.

    python workflow/power.py DATASET [DATASET ...] [--out FILE] [--seed N] [--repetitions N]
                             [--samples N [N ...]] [--metrics NAME [NAME ...]]

Faults are planted in samples of the law (``bench/metrics/planted.py``), and each metric is asked
whether it finds them (``bench/metrics/detection.py``). The file has one row for each data set,
metric or pair of metrics, number of samples and fault: ``power``, the share of faulty draws that
are found, and ``size``, the share of exact ones. Rows that are not measured anew stay: metrics may
be measured one after the other. All numbers of samples are the first ones of the same draws, so
that another largest number means other draws. The published table is
``results/reference/power/power.csv``, and ``power.md`` beside it shows it as a page. A seed gives
the same table again.

Exit codes: 0 done, 2 a data set whose law is not known, or a metric that is not tried.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.data.dataset import data_module, described
from bench.errors import InputError
from bench.files import write_text
from bench.progress import Progress

OUT = Path("results/reference/power/power.csv")
KEYS = ["dataset", "metric", "samples", "fault"]
ENOUGH = 0.95
"""Power that a metric or a pair must have against every fault."""


def measured(
    dataset: str,
    seed: int,
    repetitions: int,
    samples: Sequence[int],
    metrics: Sequence[str] | None,
) -> pd.DataFrame:
    """The power of every metric on a data set with its default options.

    Raises:
        InputError: a data set whose law is not known, or a metric that is not tried.
    """
    module = data_module(dataset)
    options = module.Options()
    told = described(dataset, {})
    if not told.exact:
        raise InputError(f"{dataset}: its law is not known; choose a data set that is drawn")
    import torch

    from bench.metrics.detection import DETECTORS, study
    from bench.metrics.planted import FAULTS

    for name in metrics or ():
        if name not in DETECTORS:
            raise InputError(f"--metrics {name}: not tried; known: {', '.join(DETECTORS)}")
    torch.set_num_threads(1)
    with Progress(f"power/{dataset}", len(FAULTS) + 2, "faults") as progress:
        rows = study(
            module.mixture(options),
            told.kind,
            counts=sorted(samples),
            repetitions=repetitions,
            among=metrics,
            key=("power", seed, dataset),
            advance=lambda fault: progress.advance(),
        )
    return pd.DataFrame(rows).assign(dataset=dataset, seed=seed)


def page(table: pd.DataFrame) -> str:
    """The table as a page: one line for each metric and number of samples."""
    lines = [
        "# What each metric sees",
        "",
        "Share of draws with a planted fault that a metric finds while it finds 5% of exact ones "
        "(`exact`: the share that it did find). Faults: `bench/metrics/planted.py`; how:",
        "`bench/metrics/detection.py`. Made by",
        "",
        *(
            f"    {command(dataset, rows)}"
            for dataset, rows in table.groupby("dataset", sort=False)
        ),
    ]
    for dataset, rows in table.groupby("dataset", sort=False):
        faults = list(dict.fromkeys(rows["fault"]))
        lines += ["", f"## {dataset}", "", f"| metric | samples | exact | {' | '.join(faults)} |"]
        lines += [f"| --- | --- | --- | {' | '.join('---' for _ in faults)} |"]
        for (metric, samples), metric_rows in rows.groupby(["metric", "samples"], sort=False):
            power = metric_rows.set_index("fault")["power"]
            shown = " | ".join(f"{power[fault]:.2f}" for fault in faults)
            size = metric_rows["size"].iloc[0]
            lines.append(f"| {metric} | {samples:,} | {size:.2f} | {shown} |")
        lines += ["", *sufficient(rows)]
    return "\n".join(lines) + "\n"


def command(dataset: object, rows: pd.DataFrame) -> str:
    """What made the rows of a data set."""
    seed, repetitions = rows["seed"].iloc[0], rows["repetitions"].iloc[0]
    samples = " ".join(map(str, sorted(set(rows["samples"]))))
    arguments = f"{dataset} --seed {seed} --repetitions {repetitions} --samples {samples}"
    return f"python workflow/power.py {arguments}"


def sufficient(rows: pd.DataFrame) -> list[str]:
    """What each metric and pair misses at its largest number of samples; one line each."""
    lines = [f"Found with a power below {ENOUGH:g} at the largest number of samples tried:", ""]
    for metric, own in rows.groupby("metric", sort=False):
        largest = own[own["samples"] == own["samples"].max()]
        missed = largest[largest["power"] < ENOUGH]["fault"]
        found = ", ".join(missed) if len(missed) else "none"
        lines.append(f"* `{metric}` ({largest['samples'].iloc[0]:,}): {found}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; returns the exit code."""
    parser = argparse.ArgumentParser(description="Measure the power of metrics of exact laws.")
    parser.add_argument("datasets", nargs="+", metavar="DATASET")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--samples", type=int, nargs="+", default=[597, 1194, 2388, 4776])
    parser.add_argument("--metrics", nargs="+")
    options = parser.parse_args(arguments)
    try:
        for dataset in options.datasets:
            rows = measured(
                dataset, options.seed, options.repetitions, options.samples, options.metrics
            )
            table = rows[["dataset", *(name for name in rows if name != "dataset")]]
            if options.out.is_file():
                both = pd.concat([pd.read_csv(options.out), table], ignore_index=True)
                table = both.drop_duplicates(KEYS, keep="last").sort_values(
                    "dataset", kind="stable"
                )
            write_text(options.out, table.to_csv(index=False))
            write_text(options.out.with_suffix(".md"), page(table))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
