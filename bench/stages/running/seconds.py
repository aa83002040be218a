"""Core-seconds by kind of work."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from bench.registry import aside


@aside("core-seconds are no result of a stage")
class Seconds:
    """Core-seconds (CPU time of the process, all threads) by kind of work.

    ``with seconds("training"):`` charges the block to ``training``, less what blocks inside it
    charge to other kinds. What no block covers goes to ``other``; what the process spent before
    the first charge, starting up, goes to ``import``. Each second is charged once.
    """

    _charged: ClassVar[float] = 0.0

    def __init__(self) -> None:
        self._by_kind: dict[str, float] = defaultdict(float)
        self._kind = "other"
        self._charge("import")

    def _charge(self, kind: str) -> None:
        now = time.process_time()
        self._by_kind[kind] += now - Seconds._charged
        Seconds._charged = now

    @contextmanager
    def __call__(self, kind: str) -> Iterator[None]:
        """Charge the block to ``kind``."""
        self._charge(self._kind)
        outer, self._kind = self._kind, kind
        try:
            yield
        finally:
            self._charge(kind)
            self._kind = outer

    def settle(self, kind: str) -> None:
        """Charge to ``kind`` what no block has covered since the last charge."""
        self._charge(kind)

    def credit(self, seconds: Mapping[str, float]) -> None:
        """Add seconds that an earlier process spent on work that stands."""
        for kind, spent in seconds.items():
            self._by_kind[kind] += spent

    def totals(self) -> dict[str, float]:
        """Seconds by kind so far."""
        self._charge(self._kind)
        return {kind: round(seconds, 6) for kind, seconds in self._by_kind.items()}
