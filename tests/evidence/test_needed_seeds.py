"""``plan --detect``: where the spread is read, what is assumed, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import main
from bench.evidence import records
from bench.evidence.needed_seeds import ASSUMED, describe_detection, spreads
from bench.evidence.statistics.power import requirement
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from tests import synthetic

SMOKE = Path(__file__).parents[2] / "configs" / "smoke.yaml"
LABELS = ("flow_matching", "vp_diffusion")


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    formulations = dict.fromkeys(LABELS)
    sweep = {"solvers": ["euler"], "nfe": [1, 8], "tolerances": []}
    return synthetic.experiment(formulations=formulations, sweep=sweep)


def write_records(experiment: Experiment, folder: Path) -> Path:
    """Records of the digits alone."""
    folder.mkdir(parents=True)
    rows = [
        row
        for label in LABELS
        for seed in experiment.seeds
        for row in synthetic.sweep_rows(experiment, "digits", label, seed)
    ]
    records.write(records.frame(rows), folder / "records.parquet")
    return folder / "records.parquet"


def test_what_was_measured_is_used_and_what_was_not_is_called_assumed(
    experiment: Experiment, tmp_path: Path
) -> None:
    layout = Layout(tmp_path / "results" / experiment.name)
    before = describe_detection(experiment, layout, 1.1)
    assert before.count("assumed, not measured") == 2
    source = write_records(experiment, tmp_path / "results" / "reference" / experiment.name)
    published = describe_detection(experiment, layout, 1.1)
    assert published.count("assumed, not measured") == 1
    assert f"from {source}" in published
    own = write_records(experiment, layout.root)
    assert f"from {own}" in describe_detection(experiment, layout, 1.1)


def test_the_printed_seeds_are_those_of_the_spread(experiment: Experiment, tmp_path: Path) -> None:
    layout = Layout(tmp_path / experiment.name)
    source = write_records(experiment, layout.root)
    spread = spreads(experiment, source)["digits"]
    assert 0.02 < spread.total(1194) < 0.2  # made with 0.05 a formulation and seed, and 0.01 a cell
    text = describe_detection(experiment, layout, 1.05)
    for dataset, used in (("digits", spread), ("mixture2d", ASSUMED)):
        need = requirement(used, 1.05, 5, 1194)
        assert (
            f"{dataset}: {need.seeds} seeds of 1,194 samples, {need.seeds_at_least} seeds" in text
        )
        assert f"see a factor of {need.smallest:.3g}" in text


@pytest.mark.parametrize("ratio", ["1", "0", "-2", "nan", "inf"])
def test_what_is_no_ratio_is_refused_in_one_line(
    ratio: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(SMOKE), f"--detect={ratio}"]) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert said.out == ""
    assert f"--detect {float(ratio):g}" in line
    assert "such as 1.1" in line


def test_only_a_plan_that_is_asked_loads_the_statistics_and_none_loads_torch() -> None:
    script = (
        "import sys; from bench.cli import main; "
        f"main(['plan', {str(SMOKE)!r}]); assert 'bench.evidence.statistics' not in sys.modules; "
        f"main(['plan', {str(SMOKE)!r}, '--detect', '1.1']); "
        "loaded = {'torch', 'snakemake', 'matplotlib', 'sklearn'} & set(sys.modules); "
        "assert not loaded, loaded"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=SMOKE.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "to see a factor of 1.1" in done.stdout
