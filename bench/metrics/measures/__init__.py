"""Metrics: one file each, found by its name; see :mod:`bench.metrics.declared`."""
