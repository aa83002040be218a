"""Probability paths ``x_t = alpha(t)*data + sigma(t)*noise``, from noise (t=0) to data (t=1).

A path gives its two coefficients, their time derivatives, ``log_snr = 2*log(alpha/sigma)`` (which
rises with t) and the inverse of the latter. It says nothing about how noise and data are coupled,
what a network predicts, or at which times it is trained. One file a path; each exposes ``build``.
"""

from bench.models.paths._base import T_DATA, T_NOISE, Path
from bench.tensors import PathCoefficients

__all__ = ["T_DATA", "T_NOISE", "Path", "PathCoefficients"]
