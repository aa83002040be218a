"""What the stages do with the switches of the fast path."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.data.dataset import DataSet
from bench.evidence.manifest import _acceleration, _batch_parts
from bench.experiment.layout import OUTCOME, Layout
from bench.experiment.spec import Experiment
from bench.files import read_json, write_json
from bench.models.path_model import PathModel
from bench.models.paths.linear import Linear
from bench.stages import train
from bench.stages.running import switches as switching
from bench.stages.running.job import Job
from bench.stages.running.outcome import read_outcome
from bench.stages.running.switches import Turn, paired_ratio
from tests.contracts.test_formulations import experiment, run_all_stages
from tests.fields import exact_model, ring

CPU, GPU = torch.device("cpu"), torch.device("cuda")
DATA = "mixture2d"


def asked(name: str = "flow_matching", **training: object) -> Experiment:
    chosen = experiment(name)
    return chosen.model_copy(update={"training": chosen.training.model_copy(update=training)})


def job(chosen: Experiment, root: Path) -> Job:
    (label,) = chosen.labels
    return Job(chosen, Layout(root), DATA, label, chosen.formulation(label).stages[-1].name, 0)


@pytest.mark.parametrize("name", ["flow_matching", "mean_flow", "consistency_distillation"])
def test_a_training_in_bf16_with_named_switches_says_so(
    name: str, small_data: DataSet, tmp_path: Path
) -> None:
    losses = {}
    for precision in ("float32", "bf16"):
        chosen = asked(name, acceleration=["channels_last"], precision=precision)
        run_all_stages(chosen, Layout(tmp_path / precision), small_data)
        final = Layout(tmp_path / precision).stage(
            DATA, name, 0, chosen.formulation(name).final.name
        )
        outcome = read_outcome(final)
        assert outcome is not None
        assert outcome["status"] == "ok", outcome["error"]
        assert outcome["acceleration"] == ["channels_last"]
        assert outcome["batch_parts"] == 1
        losses[precision] = (final / train.LOSSES).read_text()
    assert (losses["bf16"] != losses["float32"]) == (name != "mean_flow")


def test_nothing_is_measured_on_the_cpu_or_where_the_switches_are_named(
    small_data: DataSet, tmp_path: Path
) -> None:
    for setting, device, expected in (
        ("auto", CPU, ()),
        ("off", GPU, ()),
        (["compile"], GPU, ("compile",)),
    ):
        work = job(asked(acceleration=setting), tmp_path)
        assert train.switches(work, small_data, device) == expected
    assert not list(tmp_path.iterdir())


def test_on_a_gpu_the_choice_is_measured_once_and_reaches_the_manifest(
    small_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[object] = []

    def turn(job: Job, data: DataSet, device: torch.device, on: tuple[str, ...]) -> Turn:
        measured.append(on)
        return lambda: (1.0 / (1 + len(on)), 1.0)

    monkeypatch.setattr(train, "_turn", turn)
    monkeypatch.setattr(train, "about_choice", lambda *about: {"device": "a card"})
    work = job(asked(), tmp_path)
    both = ("channels_last", "compile")
    assert train.switches(work, small_data, GPU) == both
    count = len(measured)
    assert train.switches(work, small_data, GPU) == both
    assert len(measured) == count
    assert read_json(work.layout.acceleration(DATA, work.label, work.stage))["on"] == list(both)
    (place, found), *others = _acceleration(work.layout)["acceleration"].items()
    assert place == f"{DATA}/{work.label}/{work.stage}"
    assert found["ratios"] == {"channels_last": 0.5, "compile": pytest.approx(2 / 3)}
    assert not others
    assert _acceleration(Layout(tmp_path / "none")) == {}


def test_a_switch_whose_loss_is_wrong_stays_off_and_is_called_so_in_the_manifest(
    small_data: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def turn(job: Job, data: DataSet, device: torch.device, on: tuple[str, ...]) -> Turn:
        if "compile" in on:
            raise RuntimeError("no compiler")
        return lambda: (0.1, 2.0) if on else (1.0, 1.0)

    monkeypatch.setattr(train, "_turn", turn)
    monkeypatch.setattr(train, "about_choice", lambda *about: {"device": "a card"})
    work = job(asked(), tmp_path)
    for _ in range(2):
        assert train.switches(work, small_data, GPU) == ()
    (choice,) = _acceleration(work.layout)["acceleration"].values()
    assert (choice["on"], choice["ratios"]) == ([], {})
    assert choice["wrong"] == {"channels_last": "a loss of 2 where 1 was expected"}
    assert choice["refused"] == {"compile": "RuntimeError: no compiler"}
    assert capsys.readouterr().err.count("channels_last is wrong and stays off") == 1


def test_a_batch_taken_in_parts_reaches_the_manifest(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for seed, parts in ((0, 1), (1, 4)):
        write_json(
            layout.stage(DATA, "flow_matching", seed, "train") / OUTCOME, {"batch_parts": parts}
        )
    assert _batch_parts(layout) == {"batch_parts": {f"{DATA}/flow_matching/seed1/train": 4}}
    assert _batch_parts(Layout(tmp_path / "none")) == {}


def test_the_steps_that_are_compared_are_real_and_the_same(
    small_data: DataSet, tmp_path: Path
) -> None:
    work = job(asked(), tmp_path)
    one, other = (train._turn(work, small_data, CPU, on) for on in ((), ("channels_last",)))
    assert paired_ratio(one, other, turns=1) > 0
    assert one()[1] == other()[1]
    assert one()[1] != one()[1]


def test_evaluations_that_are_compared_are_those_of_a_copy() -> None:
    model: PathModel = exact_model(Linear(), ring())
    forward = model.network.forward
    one, other = (switching._turn(model, (2,), 8, CPU, on) for on in ((), ("channels_last",)))
    assert paired_ratio(one, other, turns=1) > 0
    assert model.network.forward == forward
