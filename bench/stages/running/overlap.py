"""Work in two halves: the second one beside the first half of the next piece.

A cell of a sweep is sampled, which asks the network and on a GPU leaves the host idle, and then
scored: features, and statistics on the host. :class:`Overlap` gives the second half to a thread of
its own. No value depends on it: one second half runs at a time, in order, and what it gives is
collected by the thread that began it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import torch

from bench.registry import aside

T = TypeVar("T")


class Charged(Protocol):
    """Core-seconds by kind of work, see :class:`bench.stages.running.outcome.Seconds`."""

    def __call__(self, kind: str) -> AbstractContextManager[None]:
        """Charge a block."""
        ...

    def credit(self, seconds: Mapping[str, float]) -> None:
        """Add seconds."""
        ...


@aside("when something is scored, not what")
class Overlap(Generic[T]):
    """Second halves in the order of the first ones; a context that ends when all are collected.

    Core-seconds are those of the process. Those of the thread pass while another kind of work is
    charged, and are moved when its piece is collected.

    Args:
        seconds: charged with both halves.
        first, second: kinds of work of the two halves.
        beside: run second halves on a thread; or else at once.
        device: of the work. On a GPU the thread queues its work apart from the caller's.
    """

    def __init__(
        self,
        seconds: Charged,
        first: str,
        second: str,
        *,
        beside: bool,
        device: torch.device,
    ) -> None:
        self._seconds, self._first, self._second = seconds, first, second
        self._pending: tuple[Future[tuple[T, float]], Callable[[T], None]] | None = None
        self._thread: ThreadPoolExecutor | None = None
        if beside:
            self._thread = ThreadPoolExecutor(1, initializer=_own_stream, initargs=(device,))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.collect()
        finally:
            if self._thread is not None:
                self._thread.shutdown(wait=kind is None, cancel_futures=True)

    def finish(self, second: Callable[[], T], collected: Callable[[T], None]) -> None:
        """Run ``second`` after those before it; ``collected`` takes what it gives, once, here."""
        self.collect()
        if self._thread is None:
            with self._seconds(self._second):
                result = second()
            collected(result)
        else:
            self._pending = self._thread.submit(_timed, second), collected

    def collect(self) -> None:
        """Wait for the second half that is running, if one is, and hand on what it gives."""
        if self._pending is not None:
            (future, collected), self._pending = self._pending, None
            result, spent = future.result()
            self._seconds.credit({self._first: -spent, self._second: spent})
            collected(result)


def _own_stream(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_stream(torch.cuda.Stream(device))


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """What ``work`` gives, and the CPU seconds of this thread that it took."""
    start = time.thread_time()
    result = work()
    return result, time.thread_time() - start
