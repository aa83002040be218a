"""A small convolutional classifier of Fashion-MNIST, at 28x28 and at 14x14, with 128 features."""

from __future__ import annotations

from bench.extractors._convolutional import ConvolutionalClassifier


def build() -> ConvolutionalClassifier:
    """An untrained network."""
    return ConvolutionalClassifier(channels=1, widths=(16, 32, 64), classes=10)
