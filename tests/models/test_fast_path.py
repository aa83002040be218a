"""The fast path: what it changes, what it does not, and how it is chosen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.errors import InputError
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.formulations.grammar import coupling, path, time_sampling, weighting
from bench.models.fast_path import arrange, compile_forward, round_products
from bench.models.meter import counted
from bench.models.path_model import PathModel, build_network
from bench.stages.running.switches import SWITCHES, Choice, Turn, choose, paired_ratio, remembered
from bench.training.batches import FreshNoise
from bench.training.budget import Ledger
from bench.training.loop import Settings, Trainer
from bench.training.objectives.regression import Regression

IMAGES = 0.3 * torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
UPDATES = 12


def unet() -> torch.nn.Module:
    options = {
        "channels": 8, "multipliers": [1, 2], "blocks": 1, "attention": [4], "head": 8,
        "embedding": 16,
    }  # fmt: skip
    return build_network("unet", (1, 8, 8), options, 0)


def trainer(network: torch.nn.Module, learning_rate: float = 1e-2) -> Trainer:
    return Trainer(
        model=PathModel(network, path("linear").build(), "velocity", 1.0),
        objective=Regression(time_sampling("uniform").build(), weighting("unit").build()),
        coupling=coupling("independent").build(),
        source=FreshNoise(IMAGES, 0),
        settings=Settings(16, learning_rate, 0.1, 0.1, 1.0),
        ledger=Ledger(),
        seed=0,
    )


def curve(network: torch.nn.Module, learning_rate: float = 1e-2) -> torch.Tensor:
    """Losses of the updates of a short training."""
    training = trainer(network, learning_rate)
    return torch.stack([training._update(update, UPDATES) for update in range(UPDATES)])


@pytest.fixture(scope="module")
def plain() -> torch.Tensor:
    return curve(unet())


def test_the_curves_that_are_compared_fall(plain: torch.Tensor) -> None:
    untrained = curve(unet(), learning_rate=0.0)
    assert plain[-3:].mean() < 0.9 * untrained[-3:].mean()


def test_channels_last_changes_the_layout_and_rounding_only(plain: torch.Tensor) -> None:
    network = unet()
    arrange(network, SWITCHES)
    layouts = [
        p.is_contiguous(memory_format=torch.channels_last)
        for p in network.parameters()
        if p.dim() == 4
    ]
    assert layouts
    assert all(layouts)
    torch.testing.assert_close(curve(network), plain, rtol=1e-4, atol=1e-4)
    untouched = unet()
    arrange(untouched, ())
    assert not all(p.is_contiguous(memory_format=torch.channels_last)
                   for p in untouched.parameters() if p.dim() == 4)  # fmt: skip


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_network_trains_alike_and_its_passes_are_counted(
    backend: str, plain: torch.Tensor
) -> None:
    network = unet()
    training = trainer(network)
    compile_forward(network, backend)
    found = torch.stack([training._update(update, UPDATES) for update in range(UPDATES)])
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)
    charge = training.ledger.charges["train"]
    assert charge.forwards == charge.backwards == UPDATES * 16


def test_compiling_for_a_batch_leaves_other_batches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def spy(forward: object, **options: object) -> object:
        def compiled(x: torch.Tensor, *told: object) -> torch.Tensor:
            seen.append(len(x))
            return x

        return compiled

    monkeypatch.setattr("torch.compile", spy)
    network = unet()
    compile_forward(network, batch=4)
    with torch.no_grad():
        for size in (4, 3, 8):
            network(IMAGES[:size], torch.zeros(size, 1), None)
    assert seen == [4]


def test_products_in_bf16_train_alike_within_their_rounding(plain: torch.Tensor) -> None:
    network = unet()
    round_products(network)
    with torch.no_grad():
        network(IMAGES[:2], torch.zeros(2, 1), None)
    rounded = curve(network)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, plain)
    torch.testing.assert_close(rounded, plain, rtol=2e-2, atol=1e-3)
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_names_of_weights_stay() -> None:
    network = unet()
    names = list(network.state_dict())
    arrange(network, SWITCHES)
    round_products(network)
    compile_forward(network, "eager")
    assert list(network.state_dict()) == names


def test_sampling_is_the_same_compiled() -> None:
    network = unet()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))
    model = PathModel(network, path("linear").build(), "velocity", 1.0)
    t = torch.tensor([0.5], dtype=torch.float64)
    with torch.no_grad(), counted():
        before = model.data(IMAGES[:4], t)
        compile_forward(network, "eager", batch=4)
        after = model.data(IMAGES[:4], t)
    torch.testing.assert_close(after, before)


# --- the choice -----------------------------------------------------------------------------------


def turns(seconds: float, loss: float = 1.0) -> Turn:
    return lambda: (seconds, loss)


def test_a_switch_is_kept_where_it_is_faster() -> None:
    seconds = {(): 1.0, ("channels_last",): 0.5, ("channels_last", "compile"): 0.49}
    choice = choose(lambda on: turns(seconds[on]))
    assert choice.on == ("channels_last",)
    assert choice.ratios == {"channels_last": 0.5, "compile": pytest.approx(0.98)}
    assert not choice.refused


def test_a_switch_that_cannot_run_is_refused_and_one_that_disagrees_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def make(on: tuple[str, ...]) -> Turn:
        if "compile" in on:
            raise RuntimeError("no compiler\nand a long story")
        return turns(0.1, float("nan")) if on else turns(1.0)

    choice = choose(make)
    assert choice.on == ()
    assert choice.ratios == {}
    assert choice.refused == {"compile": "RuntimeError: no compiler"}
    assert choice.wrong == {"channels_last": "a loss of nan where 1 was expected"}
    warnings = capsys.readouterr().err.splitlines()
    assert warnings == [
        "warning: channels_last is wrong and stays off: a loss of nan where 1 was expected"
    ]


def test_a_failure_without_switches_is_a_failure() -> None:
    def make(on: tuple[str, ...]) -> Turn:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        choose(make)


def test_the_ratio_is_a_median_of_turns_after_one_to_warm_up() -> None:
    def counting(values: Iterator[float]) -> Turn:
        return lambda: (next(values), 1.0)

    one = counting(iter([100.0, 1.0, 2.0, 9.0]))
    assert paired_ratio(one, counting(iter([1.0, 2.0, 2.0, 2.0])), turns=3) == 1.0


def test_a_choice_is_measured_once_for_a_device_and_its_work(tmp_path: Path) -> None:
    file, calls = tmp_path / "acceleration.json", []

    def measure() -> Choice:
        calls.append(1)
        return Choice(("compile",), {"compile": 0.5}, {"channels_last": "why"}, {"x": "wrong"})

    first = remembered(file, {"device": "a"}, measure)
    assert remembered(file, {"device": "a"}, measure) == first
    assert len(calls) == 1
    assert json.loads(file.read_text())["on"] == ["compile"]
    remembered(file, {"device": "b"}, measure)
    assert len(calls) == 2


# --- the experiment file --------------------------------------------------------------------------


def experiment(**training: object) -> Experiment:
    return from_mapping(
        {
            "name": "x",
            "datasets": {"mixture2d": {}},
            "formulations": {"flow_matching": {}},
            "budget": {"amount": {"mixture2d": 1e9}},
            "training": training,
        },
        "x.yaml",
    )


def test_the_setting_is_auto_off_or_names() -> None:
    assert experiment().training.acceleration == "auto"
    assert experiment(acceleration=False).training.acceleration == "off"
    named = experiment(acceleration=["compile"])
    assert named.training.acceleration == ["compile"]
    assert from_mapping(named.resolved(), "x.yaml") == named
    with pytest.raises(InputError, match="acceleration"):
        experiment(acceleration=["warp"])
    with pytest.raises(InputError, match="acceleration"):
        experiment(acceleration="warp")


def test_the_default_is_no_part_of_the_digest_and_others_are() -> None:
    assert "acceleration" not in experiment().resolved()["training"]
    digests = {
        experiment(**more).digest for more in ({}, {"acceleration": "off"}, {"precision": "bf16"})
    }
    assert len(digests) == 3
