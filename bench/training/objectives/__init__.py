"""What training minimises. One file an objective; each exposes ``build``.

An objective is a callable ``(model, pair, draws, progress) -> loss [b]``. It is built from a time
sampling and a weighting, which are factors of their own. ``draws`` gives it random numbers by
purpose: those of the purpose ``time`` become times, and are shared by seed across formulations;
``progress`` runs from 0 to 1 over the stage.

What every objective keeps to is tested by ``tests/contracts/test_objectives.py``.
"""

from bench.training.objectives._base import Objective

__all__ = ["Objective"]
