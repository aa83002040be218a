"""A small convolutional classifier of letters, at 8x8 to 28x28, with 64 features.

Three epochs of 20,000 images in batches of 256 at a rate of 2e-3 are enough (section
``extractor``).
"""

from __future__ import annotations

from bench.metrics.extractors._convolutional import ConvolutionalClassifier


class LettersClassifier(ConvolutionalClassifier):
    """Of all 26 letters; where the data have fewer, the last logits stay low."""

    def __init__(self) -> None:
        super().__init__(channels=1, widths=(16, 32, 64), classes=26)


build = LettersClassifier
