"""What training minimises. One file an objective; each exposes ``build``.

An objective is a callable ``(model, pair, uniform, progress) -> loss [b]``. ``uniform [b]`` are
the random numbers in (0, 1) that its time sampling turns into times, drawn by the training loop so
that they are shared by seed across formulations; ``progress`` runs from 0 to 1 over the stage.
"""

from bench.objectives._base import Objective

__all__ = ["Objective"]
