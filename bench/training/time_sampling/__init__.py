"""At which times a model is trained. One file a law; each exposes ``build``.

A law is a callable ``(u [b], path) -> t [b]``: uniform numbers in (0, 1) become times of the path's
interval by the inverse of the law's distribution function, so that times rise with ``u`` and a law
whose support is wider than the interval is truncated to it, not heaped up at its ends.
"""

from bench.training.time_sampling._base import TimeSampling

__all__ = ["TimeSampling"]
