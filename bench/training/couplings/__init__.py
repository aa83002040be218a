"""Joint laws of noise and data inside a batch. One file a coupling; each exposes ``build``.

A coupling is a callable ``(pair, generator) -> pair`` that leaves the order of the data alone.
"""

from bench.training.couplings._base import Coupling, Pair

__all__ = ["Coupling", "Pair"]
