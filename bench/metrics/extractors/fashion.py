"""A small convolutional classifier of Fashion-MNIST, at 28x28 and at 14x14, with 64 features.

Three or four epochs in batches of 256 at a rate of 2e-3 are enough (section ``extractor``).
"""

from __future__ import annotations

from bench.metrics.extractors._convolutional import ConvolutionalClassifier


class FashionClassifier(ConvolutionalClassifier):
    """Of ten classes."""

    def __init__(self) -> None:
        super().__init__(channels=1, widths=(16, 32, 64), classes=10)


build = FashionClassifier
