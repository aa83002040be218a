"""``bring``: foreign networks through the whole evaluation, by the command itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import cli
from bench.data.sources import mixture2d
from bench.errors import InputError
from bench.evidence import records
from bench.experiment.layout import Layout
from bench.experiment.loading import load
from bench.files import read_json
from bench.models import adapters
from bench.stages import bring, collect, foreign
from bench.stages.running.model_sweep import Sweep

MODULE = """
import torch
from torch import nn
from bench.models.adapters import Foreign, Tabulated
from bench.data.sources.mixture2d import Options, build
from bench.formulations.grammar import path
from bench.models.paths.vp import Vp

LAW = build(Options(train=600, held_out=600)).mixture


class Exact(nn.Module):
    def __init__(self, path, shift):
        super().__init__()
        self.path, self.shift = path, nn.Parameter(torch.tensor(shift))

    def forward(self, x, t):
        velocity = LAW.velocity(x.double(), self.path.coefficients(t.double()))
        return (velocity + self.shift).to(x.dtype)


def linear():
    return Foreign(Exact(path("linear").build(), 0.0), path("linear"), "velocity")


def table():
    times = torch.linspace(0, Vp().interval[1], 400, dtype=torch.float64)
    tabulated = Tabulated(Vp().log_snr(times))
    return Foreign(Exact(tabulated, 0.0), tabulated, "velocity")


def bare():
    return Exact(path("linear").build(), 0.0)


def other_seed():
    return Exact(path("linear").build(), 0.1)
"""

SETTINGS = """
name: settings
datasets: {mixture2d: {options: {train: 600, held_out: 600}}}
formulations: {flow_matching: {}}
budget: {amount: {mixture2d: 1.0e9}}
sweep:
  solvers: [euler, heun2, dpmpp_2m]
  nfe: [1, 8]
  samples: {scoring: 200, selection: 200}
  block: 200
  batch_size: 200
  reference_samples: 50
unified_view: {paths: [linear, vp], nfe: [4]}
convergence: {paths: [linear]}
metrics: {kid_subset_size: 50}
timing: {batch_size: 16, repeats: 1}
"""

COMMAND = [
    *("bring", "--data", "mixture2d", "--config", "settings.yaml", "--name", "hers"),
    *("--model", "perfect=her_networks:linear", "--model", "table=her_networks:table"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository of somebody else, with the command run in it once."""
    place: Path = tmp_path_factory.mktemp("hers")
    (place / "her_networks.py").write_text(MODULE)
    (place / "settings.yaml").write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "path", list(sys.path))
        assert cli.main(COMMAND) == 0
        yield place
    sys.modules.pop("her_networks")
    adapters.load.cache_clear()


def test_it_leaves_an_experiment_like_any_other(folder: Path) -> None:
    root = folder / "results" / "hers"
    assert (root / "report.html").is_file()
    assert (root / "gate.json").is_file()
    experiment = load(root / "config.yaml")
    assert experiment.labels == ("perfect", "table")
    assert experiment.models["table"].path == {"name": "tabulated"}
    facts = read_json(Layout(root).stage("mixture2d", "perfect", 0, "model") / "model.json")
    assert facts["networks"] == ["Exact"]
    assert facts["parameters"] == facts["forwards"] == 1
    table = records.read(root / "records.parquet")
    assert set(table["metric"]) >= {"w2", "endpoint_rmse", "total_rmse", "seconds_per_sample"}
    assert "convergence_rmse" in set(table["metric"])
    assert set(table[table["label"] == "perfect"]["formulation"].dropna()) == {"foreign"}
    assert not table["metric"].str.startswith("budget.").any()
    page = (root / "report.html").read_text()
    assert "Perfect, Table: their network, their training data" in page
    assert "the same budget" not in page
    methods = (root / "tables" / "methods.md").read_text()
    assert "trained elsewhere" in methods
    assert "her_networks:linear, 1.00 parameters" in methods
    assert "| Perfect | trained elsewhere: not known |" in (root / "tables/budget.md").read_text()


def test_every_evaluation_was_asked_for(folder: Path) -> None:
    assert cli.main(["verify", "results/hers"]) == 0
    table = records.read(folder / "results/hers/records.parquet")
    mine = table[table["label"].isin(["perfect", "table"]) & table["nfe_requested"].notna()]
    done = mine[mine["status"] == "ok"]
    assert (done["nfe"] == done["nfe_requested"]).all()
    assert set(mine[mine["status"] == "refused"]["solver"]) == {"heun2"}
    assert set(mine["sampled_path"].dropna()) == {"linear", "vp", "tabulated"}


def test_the_exact_velocity_scores_as_the_oracle_does(folder: Path) -> None:
    table = records.read(folder / "results/hers/records.parquet")
    keys = ["solver", "grid", "nfe_requested", "metric"]
    rows = table[
        (table["noise_bank"] == "scoring")
        & table["metric"].isin(["w2", "endpoint_rmse"])
        & table["nfe_requested"].notna()
        & (table["grid"] != "unified")
    ]
    mine = rows[rows["label"] == "perfect"].set_index(keys)["value"].astype(float).sort_index()
    oracle = rows[rows["label"] == "exact.linear"].set_index(keys)["value"]
    assert len(mine) == 10
    assert (mine / oracle.astype(float).sort_index() - 1).abs().max() < 2e-3
    field = table[(table["label"] == "perfect") & (table["metric"] == "field_rmse")]["value"]
    assert field.astype(float).max() < 1e-3


def test_a_second_identical_command_measures_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*given: Any, **more: Any) -> None:
        raise AssertionError("it was done before")

    monkeypatch.setattr(Sweep, "measure", never)
    monkeypatch.setattr(collect, "run", never)
    assert cli.main(COMMAND) == 0


def test_other_weights_are_another_model(folder: Path) -> None:
    request = bring.Request(
        ("a=her_networks:bare", "b=her_networks:other_seed"), "linear", "velocity",
        "independent", "mixture2d", settings=Path("settings.yaml"),
    )  # fmt: skip
    models = bring.brought(request).models
    assert models["a"].states != models["b"].states
    experiment = load("results/hers/config.yaml")
    stale = experiment.models["perfect"].model_copy(update={"states": ["0" * 16]})
    changed = experiment.model_copy(update={"models": {"perfect": stale}})
    data = mixture2d.build(mixture2d.Options(train=600, held_out=600))
    with pytest.raises(InputError, match=r"its state is \w+, and models.perfect says 0000"):
        foreign.model(changed, data, "perfect", 0, torch.device("cpu"))


def test_networks_of_one_label_are_its_seeds(folder: Path) -> None:
    models = ("mine=her_networks:bare", "mine=her_networks:other_seed")
    request = bring.Request(models, "linear", "velocity", "independent", "mixture2d")
    experiment = bring.brought(request)
    assert experiment.name == "mine"
    assert experiment.seeds == [0, 1]
    assert len(set(experiment.models["mine"].states)) == 2


HERS = ["bring", "--model", "her_networks:bare", "--data", "mixture2d"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*HERS], "model her_networks:bare: give --path"),
        ([*HERS, "--path", "linear"], "give --prediction"),
        ([*HERS, "--path", "linaer"], "unknown path; did you mean 'linear'"),
        ([*HERS, "--path", "linear:sgma_min=0"], "did you mean 'sigma_min'"),
        ([*HERS, "--path", "linear:sigma_min"], "write name:option=value"),
        (
            [*HERS, "--path", "linear:sigma_min=3", "--prediction", "data"],
            "need 0 <= sigma_min < 1",
        ),
        ([*HERS, "--path", "linear", "--prediction", "speed"], "unknown prediction"),
        ([*HERS[:4], "mixture3d"], "did you mean 'mixture2d'"),
        ([*HERS[:4], "digits", "--path", "linear", "--prediction", "data"], "raised RuntimeError"),
        (
            ["bring", "--model", "her_networks:linear", *HERS[3:], "--path", "vp"],
            "leave out --path",
        ),
        (["bring", "--model", "her_networks", *HERS[3:]], "write package.module:factory"),
        (["bring", "--model", "nowhere:linear", *HERS[3:]], "there is no module 'nowhere'"),
        ([*HERS, *HERS[1:3], "--path", "linear", "--prediction", "data"], "is given twice"),
        ([*HERS, "--name", "reference"], "choose another name"),
    ],
)
def test_bad_input_is_one_line_and_starts_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    before = sorted((folder / "results").iterdir())
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert sorted((folder / "results").iterdir()) == before


def test_one_network_may_have_two_labels(folder: Path) -> None:
    """What was timed for one label is told of the other; no row has the name of the first."""
    models = ["--model", "once=her_networks:bare", "--model", "again=her_networks:bare"]
    meaning = ["--path", "linear", "--prediction", "velocity", "--name", "twice"]
    assert cli.main([*COMMAND[:5], *meaning, *models]) == 0
    table = records.read(folder / "results/twice/records.parquet")
    timed = table[table["metric"] == "seconds_per_sample"]
    counts = timed["label"].value_counts()
    assert counts["once"] == counts["again"] > 0


def test_results_of_trainings_are_not_written_over(folder: Path) -> None:
    trained = folder / "results" / "trained"
    trained.mkdir()
    (trained / "config.yaml").write_text(SETTINGS)
    experiment = load(folder / "results/hers/config.yaml")
    with pytest.raises(InputError, match="holds an experiment with trainings"):
        bring.whole(experiment, Layout(trained))


def test_the_example_is_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.models.adapters import example

    monkeypatch.setattr(example, "UPDATES", 3)
    found = re.search(r"python -m bench (bring .*?)\n\n", example.__doc__ or "", re.DOTALL)
    assert found is not None
    given = vars(cli.parsed(found[1].replace("\\", "").split()))
    request = bring.Request(
        tuple(given["model"]), given["path"], given["prediction"], given["coupling"], given["data"]
    )
    assert bring.brought(request).labels == ("flow",)
