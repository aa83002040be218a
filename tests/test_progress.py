"""Progress lines: seldom, complete, and one at the end."""

from __future__ import annotations

import io

import pytest

from bench.progress import Progress


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lines_every_five_seconds_and_one_at_the_end() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("digits flow_matching", 2000, "updates", stream=stream, clock=clock) as progress:
        for _ in range(20):
            clock.now += 1.0
            progress.advance(100)
    assert stream.getvalue().splitlines() == [
        "digits flow_matching: 500/2,000 updates (25%), 0:05, 100/s, 0:15 left",
        "digits flow_matching: 1,000/2,000 updates (50%), 0:10, 100/s, 0:10 left",
        "digits flow_matching: 1,500/2,000 updates (75%), 0:15, 100/s, 0:05 left",
        "digits flow_matching: 2,000/2,000 updates (100%), 0:20, done",
    ]


def test_work_of_an_earlier_run_does_not_count_towards_the_rate() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress("cells", 100, "cells", done=90, stream=stream, clock=clock)
    clock.now += 10.0
    progress.advance(1)
    assert stream.getvalue() == "cells: 91/100 cells (91%), 0:10, 0.1/s, 1:30 left\n"


def test_an_interruption_says_how_far_it_came() -> None:
    stream, clock = io.StringIO(), Clock()

    def interrupted() -> None:
        with Progress("pairs", 4, "pairs", stream=stream, clock=clock) as progress:
            progress.advance()
            clock.now += 3723
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue() == "pairs: 1/4 pairs (25%), 1:02:03, stopped\n"


def test_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("cells", 1, "cells") as progress:
        progress.advance()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "cells: 1/1 cells (100%), 0:00, done\n"
