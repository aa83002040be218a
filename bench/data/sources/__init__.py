"""Data sets: one file a source, found by its name; see :mod:`bench.data.dataset`."""
