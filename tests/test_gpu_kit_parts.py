"""The parts of the kit for a GPU: what they write, what they notice, and what they skip."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.models.path_model import PathModel
from bench.sampling.solvers.catalogue import SOLVERS
from tests.benchmarks.gpu import correctness, measure, small_networks, throughput
from tests.benchmarks.gpu.measure import Deadline, Findings, Group, Measurement, measure_all, read
from tests.benchmarks.throughput import Setting, Work, rounded_products

CPU = torch.device("cpu")


def figure(subject: str, value: float = 1.0, high: float | None = None) -> Measurement:
    return Measurement("part", subject, "size", value, None, high, "1")


def begin(folder: Path) -> Findings:
    return Findings.open(folder, "part", CPU)


# --- the file -------------------------------------------------------------------------------------


def test_what_was_found_is_on_disk_before_the_call_returns(tmp_path: Path) -> None:
    findings = begin(tmp_path)
    findings.add(figure("a"), figure("b", high=2.0))
    findings.failed("c", RuntimeError("broken\nand more"))
    known = read(tmp_path / "part.json")
    assert [row["subject"] for row in known["measurements"]] == ["a", "b"]
    assert known["failures"] == [{"subject": "c", "error": "RuntimeError: broken"}]
    assert known["complete"] is False
    findings.close()
    assert read(tmp_path / "part.json")["complete"] is True


def test_a_later_run_goes_on_and_tries_again_what_failed(tmp_path: Path) -> None:
    findings = begin(tmp_path)
    findings.add(figure("a", 1.0))
    findings.add(figure("b", 1.0))
    findings.failed("b", "too large")
    later = begin(tmp_path)
    assert later.has("a")
    assert not later.has("b")  # something of it failed
    assert not later.has("c")
    later.add(figure("b", 3.0))
    known = read(tmp_path / "part.json")
    assert [(row["subject"], row["value"]) for row in known["measurements"]] == [("a", 1), ("b", 3)]
    assert known["failures"] == []
    assert later.has("b")


@pytest.mark.parametrize("name", ["card", "torch", "commit"])
def test_figures_of_two_cards_or_commits_never_share_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path).add(figure("a"))
    now = measure.environment_of(CPU)
    monkeypatch.setattr(measure, "environment_of", lambda device: now | {name: "another"})
    assert not begin(tmp_path).has("a")


def test_the_commit_can_be_named_where_there_is_no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(measure.COMMIT_VARIABLE, "1234")
    assert measure.environment_of(CPU)["commit"] == "1234"


def test_a_command_names_no_folder_of_the_machine() -> None:
    said = measure.command(["tests/gpu/part.py", "--out", "/tmp/secret/out", "--seconds", "9"])
    assert said == "python tests/gpu/part.py --out out --seconds 9"


@pytest.mark.parametrize("value", [math.nan, math.inf, None, True, "1"])
def test_a_figure_is_a_finite_number(value: float) -> None:
    with pytest.raises(ValueError, match="value of 'a'"):
        figure("a", value)


Change = Callable[[dict], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda known: known.pop("failures"), "lacks failures"),
        (lambda known: known.update(more=1), "unknown more"),
        (lambda known: known.update(part="other"), "holds the part 'other'"),
        (lambda known: known.update(complete="yes"), "complete is 'yes'"),
        (lambda known: known["environment"].pop("card"), "environment lacks card"),
        (lambda known: known["measurements"][0].pop("unit"), "measurement 0 lacks unit"),
        (lambda known: known["measurements"][0].update(value="3"), "is a number, not '3'"),
        (lambda known: known["measurements"][0].update(part="x"), "of the part 'x'"),
        (lambda known: known["measurements"][0].update(value=math.nan), "a figure is NaN"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    begin(tmp_path).add(figure("a"))
    path = tmp_path / "part.json"
    known = json.loads(path.read_text())
    change(known)
    path.write_text(json.dumps(known))
    with pytest.raises(ValueError, match=message):
        read(path)
    assert not begin(tmp_path).has("a")  # and a run begins anew


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    begin(tmp_path).add(figure("a"))
    path = tmp_path / "part.json"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(ValueError, match="not JSON"):
        read(path)


# --- one group after the other --------------------------------------------------------------------


def group(*found: Measurement, seconds: float = 0.0) -> Group:
    return Group(tuple(row.subject for row in found), seconds, lambda: found)


def a_minute() -> Deadline:
    """A minute from now, however long the tests of this process have run."""
    return Deadline(time.process_time() + 60)


def test_a_part_measures_what_is_missing_and_says_whether_that_was_all(tmp_path: Path) -> None:
    asked: list[str] = []

    def measured(name: str, seconds: float = 0.0) -> Group:
        return Group((name,), seconds, lambda: (asked.append(name), [figure(name)])[1])

    groups = [measured("a"), measured("long", 1e6), measured("b")]
    assert measure_all(begin(tmp_path), a_minute(), groups) == 0
    assert asked == ["a", "b"]  # what does not fit is left out, what comes behind it is not
    assert not read(tmp_path / "part.json")["complete"]
    assert measure_all(begin(tmp_path), Deadline(1e9), groups) == 0
    assert asked == ["a", "b", "long"]
    assert read(tmp_path / "part.json")["complete"]


def test_an_error_beyond_its_bound_is_a_failure_and_is_kept(tmp_path: Path) -> None:
    groups = [group(figure("right", 1.0, 1.0)), group(figure("wrong", 1.1, 1.0))]
    assert measure_all(begin(tmp_path), a_minute(), groups, checks=True) == 1
    known = read(tmp_path / "part.json")
    assert [row["subject"] for row in known["measurements"]] == ["right", "wrong"]
    assert [row["subject"] for row in known["failures"]] == ["wrong"]


def test_what_raises_is_a_failure_of_its_group_alone(tmp_path: Path) -> None:
    def broken() -> list[Measurement]:
        raise RuntimeError("no")

    groups = [Group(("x", "y"), 0.0, broken), group(figure("a"))]
    assert measure_all(begin(tmp_path), a_minute(), groups) == 1
    known = read(tmp_path / "part.json")
    assert [row["subject"] for row in known["failures"]] == ["x", "y"]
    assert [row["subject"] for row in known["measurements"]] == ["a"]


def test_a_deadline_counts_what_the_process_has_worked_before() -> None:
    deadline = Deadline(1000.0)
    assert deadline.left() < 1000.0
    assert not deadline.passed()
    assert Deadline(0.0).passed()


def test_quartiles_of_few_values_lie_between_them() -> None:
    assert measure.quartiles([3.0]) == (3.0, 3.0, 3.0)
    assert measure.quartiles([1.0, 2.0]) == (1.25, 1.5, 1.75)
    assert measure.quartiles([5.0, 1.0, 4.0, 2.0, 3.0]) == (2.0, 3.0, 4.0)


# --- correctness: each check notices what it is for -----------------------------------------------


def beyond(checks: list[correctness.Check]) -> list[str]:
    return [check.quantity for check in checks if not check.error <= check.bound]


def bent(model: PathModel) -> PathModel:
    """The same model, one part in a thousand off."""
    for parameter in model.network.parameters():
        parameter.data *= 1.001
    return model


def test_a_solver_whose_network_is_a_thousandth_off_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check = correctness.solver_check
    assert beyond(check(correctness.TINY, CPU, SOLVERS["ddim"])) == []
    made = correctness.unet_model

    def other(*arguments: object, exact: bool = False) -> PathModel:
        model = made(*arguments, exact=exact)
        return model if exact else bent(model)

    monkeypatch.setattr(correctness, "unet_model", other)
    assert beyond(check(correctness.TINY, CPU, SOLVERS["ddim"])) == [
        "error of the end points, U-Net"
    ]
    pairs = correctness.pair_check(correctness.TINY, CPU)
    assert beyond(pairs) == ["error of the ends"]


def test_a_solver_that_spends_more_than_it_declares_is_noticed() -> None:
    euler = replace(SOLVERS["euler"], cost=lambda intervals: 2 * intervals)
    assert beyond(correctness.solver_check(correctness.TINY, CPU, euler)) == [
        "evaluations awry, U-Net",
        "evaluations awry, exact field",
    ]


def test_an_update_from_other_weights_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    check = correctness.update_check
    assert beyond(check(correctness.TINY, CPU, "flow_matching")) == []
    exact = correctness.in_float64

    def other(network: nn.Module) -> nn.Module:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter *= 1.01
        return exact(network)

    monkeypatch.setattr(correctness, "in_float64", other)
    assert beyond(check(correctness.TINY, CPU, "flow_matching")) == [
        "error of the loss",
        "error of the gradient",
    ]


def test_bfloat16_is_no_float32() -> None:
    name, way = "flow_matching", ("bf16",)
    rounded = correctness.way_check(correctness.TINY, CPU, name, way, correctness.BFLOAT16)
    assert beyond(rounded) == []
    assert max(check.error for check in rounded) > correctness.FLOAT32


def test_a_change_of_path_in_the_wrong_time_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert beyond(correctness.change_check(CPU, "vp", "edm", "euler")) == []
    whole, calls = correctness.PathChange._scale, [0]

    def other(self: object, r: torch.Tensor) -> object:
        calls[0] += 1
        return whole(self, r if calls[0] > 12 else r * 0.999)  # the run on the device comes first

    monkeypatch.setattr(correctness.PathChange, "_scale", other)
    assert beyond(correctness.change_check(CPU, "vp", "edm", "euler")) == [
        "error of the end points"
    ]


def test_an_error_that_is_not_a_number_is_no_figure() -> None:
    error = correctness.relative(torch.tensor([math.nan, 1.0]), torch.ones(2))
    with pytest.raises(ValueError, match="not finite"):
        correctness.as_measurements("a", [correctness.Check("error", error, 1.0)])
    with pytest.raises(ValueError, match="2 numbers where 3"):
        correctness.relative(torch.ones(2), torch.ones(3))


def test_two_jobs_that_share_a_device_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    unleased = correctness.HOLDS.replace("ready(1)", "__import__('torch').device('cpu')")
    assert unleased != correctness.HOLDS
    monkeypatch.setattr(correctness, "HOLDS", unleased)
    assert beyond(correctness.lease_check(CPU)) == ["jobs that did not wait"]


def test_memory_that_does_not_run_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    update = correctness.scarce_update
    assert beyond(update(correctness.TINY, CPU)) == []
    monkeypatch.setattr(correctness, "HELD", 1.0)
    assert beyond(update(correctness.TINY, CPU)) == ["batches that fitted"]
    found = correctness.scarce_samples(correctness.TINY, CPU)
    assert [beyond(checks) for checks in found.values()] == [["batches that fitted"]] * 2


# --- throughput -----------------------------------------------------------------------------------


def test_overlapping_work_of_the_device_counts_once() -> None:
    assert throughput.union([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0), (5.2, 5.5)]) == 4.0


def test_works_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def clock(work: Work, device: torch.device, steps: int) -> float:
        taken.extend([str(work.take())] * steps)
        return 0.4

    monkeypatch.setattr(throughput, "seconds", clock)
    sizes = replace(throughput.TINY, turns=2, least=0.7)
    works = {name: Work(lambda name=name: name, 1, 1) for name in "ab"}
    assert throughput.in_turns(works, CPU, sizes) == {"a": [0.4, 0.4], "b": [0.4, 0.4]}
    assert "".join(taken) == "aaabbb" + "aabb" * 2


@pytest.fixture
def tiny() -> Setting:
    return throughput.setting("configs/fashion.yaml", CPU, tiny=True)


def test_a_way_counts_the_flops_of_the_real_step(tiny: Setting, tmp_path: Path) -> None:
    findings = Findings.open(tmp_path, throughput.PART, CPU)
    findings.add(*throughput.ceilings(CPU, throughput.TINY))
    found = throughput.rates(findings, tiny, "training", [("bf16",)], (), throughput.TINY)
    by_quantity = {row.quantity: row for row in found}
    training = tiny.trainer(("bf16",))
    training.probe()
    flops = training.ledger.costs["update"].flops
    assert by_quantity["FLOPs of a step"].value == flops
    rate = by_quantity["samples a second"].value
    share = by_quantity["share of the measured ceiling"]
    most = next(row.value for row in findings.measurements if row.subject == share.note)
    assert share.value == pytest.approx(rate / tiny.batch * flops / most)


def test_the_sizes_are_those_of_the_experiments() -> None:
    for config, batch in (("configs/fashion.yaml", 256), ("configs/cifar10.yaml", 128)):
        assert throughput.setting(config, CPU, tiny=False).batch == batch


def test_the_switches_of_tf32_are_left_as_they_were() -> None:
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flag.allow_tf32 for flag in flags]
    with rounded_products(True):
        assert [flag.allow_tf32 for flag in flags] == [True, True]
    assert [flag.allow_tf32 for flag in flags] == before


# --- small networks -------------------------------------------------------------------------------


@pytest.fixture
def processes() -> Iterator[small_networks.Processes]:
    with small_networks.Processes(2) as started:
        yield started


def test_processes_work_at_the_same_time_and_a_dead_one_is_replaced(
    processes: small_networks.Processes,
) -> None:
    order = small_networks.Order("cpu", "mixture2d", "training", small_networks.TINY)
    rates = processes.rates(order, 2)
    assert [len(found) for found in rates] == [small_networks.TINY.windows] * 2
    assert all(rate > 0 for found in rates for rate in found)
    processes._started[1].kill()
    processes._started[1].wait()
    with pytest.raises((RuntimeError, BrokenPipeError)):
        processes.rates(order, 2)
    assert processes._started == []
    wrong = dataclasses.replace(order, dataset="unknown")
    with pytest.raises(RuntimeError, match="a process has ended"):
        processes.rates(wrong, 1)


def test_the_card_beside_the_cpu_takes_the_best_way_to_share_it(tmp_path: Path) -> None:
    findings = Findings.open(tmp_path, small_networks.PART, CPU)
    known = {"cuda/1": 10.0, "cuda/2": 30.0, "cuda/4": 20.0, "cpu/1": 20.0, "cpu/16": 15.0}
    for where, rate in known.items():
        subject, quantity = f"training/digits/{where}", "updates a second, all together"
        findings.add(Measurement(small_networks.PART, subject, quantity, rate, None, None, "1/s"))
    found = small_networks.beside(findings, "training", "digits", 16, (1, 2, 4))
    assert [(row.value, row.note) for row in found] == [
        (0.5, "the CPU is faster"),
        (2.0, "the card is faster"),
    ]
    assert found[1].quantity == "2 processes on the card over 16 cores"
