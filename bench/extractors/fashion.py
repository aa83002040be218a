"""A small convolutional classifier of Fashion-MNIST, at 28x28 and at 14x14, with 64 features.

In batches of 256 at a rate of 2e-3, four epochs at 28x28 take some 90 seconds of one core and three
at 14x14 take 23; they recognise 87 and 88% of the held-out images (of the first 4,000).
"""

from __future__ import annotations

from bench.extractors._convolutional import ConvolutionalClassifier


class FashionClassifier(ConvolutionalClassifier):
    """Of ten classes."""

    def __init__(self) -> None:
        super().__init__(channels=1, widths=(16, 32, 64), classes=10)


build = FashionClassifier
