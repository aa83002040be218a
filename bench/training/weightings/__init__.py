"""How much each time counts in the loss. One file a weighting; each exposes ``build``.

A weighting is a callable ``(c, gain, gap) -> [b]``, a factor on the squared error of the network's
output. Most are published for the error of the data instead: ``gain`` is the derivative of the data
by the output, so that a weight ``w`` on the error of the data is ``w*gain^2`` here, and means the
same whatever the network predicts.
"""

from bench.training.weightings._base import Weighting

__all__ = ["Weighting"]
