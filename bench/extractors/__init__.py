"""Feature extractors trained by the workflow itself: one file a network, found by its file name.

The file of an extractor holds ``build()``, a fresh network. A network takes images
``[n, 3, height, width]`` uint8 and has two views of them: ``features(images) -> [n, features]``,
the space in which Frechet distances are measured, and ``forward(images) -> [n, classes]``, the
logits it is trained by. A Frechet distance is named after the extractor (``fd_digits``): it is
comparable within one extractor only.
"""

from bench.extractors._base import Extractor, extractor_module, load
from bench.extractors._training import accuracy, train

__all__ = ["Extractor", "accuracy", "extractor_module", "load", "train"]
