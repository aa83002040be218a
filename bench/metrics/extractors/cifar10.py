"""A small convolutional classifier of CIFAR-10 with 64 features."""

from __future__ import annotations

from bench.metrics.extractors._convolutional import ConvolutionalClassifier


class Cifar10Classifier(ConvolutionalClassifier):
    """Of ten classes."""

    def __init__(self) -> None:
        super().__init__(channels=3, widths=(32, 64, 128), classes=10)


build = Cifar10Classifier
