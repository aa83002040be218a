"""Second halves of work: in order, collected by who began them, and charged once."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from bench.stages.running.overlap import Overlap
from bench.stages.running.seconds import Seconds

CPU = torch.device("cpu")


def overlap(seconds: Seconds, *, beside: bool) -> Overlap[str]:
    return Overlap(seconds, "sampling", "metrics", beside=beside, device=CPU)


def busy(spent: float) -> None:
    """Spend CPU seconds of this thread."""
    end = time.thread_time() + spent
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("beside", [False, True])
def test_what_is_collected_keeps_its_order_and_thread(beside: bool) -> None:
    events: list[tuple[str, bool]] = []

    def note(what: str) -> None:
        events.append((what, threading.current_thread() is threading.main_thread()))

    with overlap(Seconds(), beside=beside) as pieces:
        for name in "abc":
            note(f"first {name}")
            pieces.finish(lambda name=name: (note(f"second {name}"), name)[1], note)
    assert {here for what, here in events if what.startswith("second")} == {not beside}
    assert {here for what, here in events if not what.startswith("second")} == {True}
    assert [what for what, _ in events if len(what) == 1] == ["a", "b", "c"]
    order = [what for what, _ in events]
    for name in "abc":
        assert order.index(f"first {name}") < order.index(f"second {name}") < order.index(name)


def test_a_second_half_runs_while_the_next_first_one_does() -> None:
    meeting = threading.Barrier(2, timeout=20)
    with overlap(Seconds(), beside=True) as pieces:
        pieces.finish(lambda: str(meeting.wait()), lambda _: None)
        meeting.wait()  # the first half of the next piece


def test_one_second_half_runs_at_a_time_and_collecting_waits_for_it() -> None:
    running, most, found = 0, 0, list[str]()

    def second() -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1
        return "done"

    with overlap(Seconds(), beside=True) as pieces:
        for _ in range(3):
            pieces.finish(second, found.append)
        assert len(found) == 2
        pieces.collect()
        assert len(found) == 3
    assert most == 1


@pytest.mark.parametrize("beside", [False, True])
def test_each_half_is_charged_once_to_its_kind(beside: bool) -> None:
    seconds = Seconds()
    with seconds("sampling"), overlap(seconds, beside=beside) as pieces:
        for _ in range(2):
            busy(0.05)
            pieces.finish(lambda: str(busy(0.1)), lambda _: None)
    found = seconds.totals()
    assert found["metrics"] == pytest.approx(0.2, abs=0.03)
    assert found["sampling"] == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize("beside", [False, True])
def test_a_failure_reaches_who_began_the_work(beside: bool) -> None:
    def second() -> str:
        raise ValueError("broken")

    def fails() -> None:
        with overlap(Seconds(), beside=beside) as pieces:
            pieces.finish(second, pytest.fail)

    with pytest.raises(ValueError, match="broken"):
        fails()


def test_an_interruption_does_not_wait_for_what_is_running() -> None:
    release, ended, pieces = threading.Event(), list[bool](), overlap(Seconds(), beside=True)

    def second() -> str:
        ended.append(release.wait(20))
        return ""

    def interrupted() -> None:
        with pieces:
            pieces.finish(second, pytest.fail)
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert not ended
    finally:
        release.set()
