"""GenPathBench: a matched-budget comparison of generative path formulations."""

__version__ = "0.7.0"
