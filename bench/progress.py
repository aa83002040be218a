"""Progress as plain lines on stderr, which read well in a terminal and in a log alike."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from bench.registry import aside

PERIOD = 5.0
"""Seconds between two lines; shorter work prints one line, at its end."""


@aside("for the reader who waits")
class Progress:
    """Prints how far a piece of work is: done, total, rate, and the time that is left.

    Args:
        title: what is being done.
        total: how much there is to do.
        unit: what is counted, in the plural.
        done: how much an earlier run did already; it does not count towards the rate.
        stream: where the lines go; stderr unless given.
        clock: seconds that never run backwards.
    """

    def __init__(
        self,
        title: str,
        total: int,
        unit: str,
        *,
        done: int = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = self._resumed = done
        self._stream = stream or sys.stderr
        self._clock = clock
        self._start = self._printed = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._print("stopped" if error else "done")

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count ``amount`` more; prints when the last line is old enough, with ``note`` behind."""
        self._done += amount
        now = self._clock()
        if now - self._printed >= PERIOD and self._done < self._total:
            self._printed = now
            rate = (self._done - self._resumed) / (now - self._start)
            left = _duration((self._total - self._done) / rate) if rate > 0 else "unknown"
            self._print(", ".join(filter(None, [f"{rate:,.3g}/s", f"{left} left", note])))

    def _print(self, tail: str) -> None:
        percent = 100 * self._done / self._total if self._total else 100.0
        elapsed = _duration(self._clock() - self._start)
        line = f"{self._title}: {self._done:,}/{self._total:,} {self._unit} ({percent:.0f}%)"
        print(f"{line}, {elapsed}, {tail}", file=self._stream, flush=True)


def _duration(seconds: float) -> str:
    """``0:07``, ``12:30`` or ``1:02:03``."""
    minutes, remainder = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{remainder:02}" if hours else f"{minutes}:{remainder:02}"
