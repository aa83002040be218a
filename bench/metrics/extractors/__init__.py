"""Feature extractors: one file a network, found by its file name.

The file of an extractor holds ``build``, a class of networks:

* a :class:`Classifier` is trained by the workflow on the training half of a data set (``digits``);
* a plain :class:`Extractor` beside ``WEIGHTS``, a :class:`Weights`, is trained elsewhere: its
  weights are read from a local file and verified (``efficientnet_lite0``, ``inception``,
  ``dinov2``);
* a plain :class:`Extractor` alone needs no weights: ``build()`` draws them (``random_conv``).

A network takes images ``[n, 3, height, width]`` uint8, as :meth:`bench.data.DataSet.to_uint8` makes
them: rounded to the grey levels of the source, [-1, 1] to 0..255, grey repeated in three equal
channels. What follows (resizing, scaling) is the extractor's own and stands in its file.
:func:`extract` feeds it batches of one size. A Frechet distance is named after the extractor
(``fd_digits``) and is comparable within one extractor only.
"""

from bench.metrics.extractors._base import (
    Classifier,
    Extractor,
    content_digest,
    extract,
    extractor_module,
    load,
)
from bench.metrics.extractors._published import Weights, published, weights_file
from bench.metrics.extractors._training import accuracy, shown, train

__all__ = [
    "Classifier",
    "Extractor",
    "Weights",
    "accuracy",
    "content_digest",
    "extract",
    "extractor_module",
    "load",
    "published",
    "shown",
    "train",
    "weights_file",
]
