"""One file a formulation, found by its file name; see ``bench.declarations``."""
