"""A small convolutional classifier of CIFAR-10 with 128 features."""

from __future__ import annotations

from bench.extractors._convolutional import ConvolutionalClassifier


def build() -> ConvolutionalClassifier:
    """An untrained network."""
    return ConvolutionalClassifier(channels=3, widths=(32, 64, 128), classes=10)
