"""What many tests share: the real data sets and the trained extractor, made once a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bench.data import DataSet, data_module
from bench.extractors import train
from bench.spec import ExtractorSpec

torch.set_num_threads(1)


@cache
def _build(name: str) -> DataSet:
    module = data_module(name)
    return module.build(module.Options())


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], DataSet]:
    """A data set with its default options, by name."""
    return _build


@pytest.fixture(scope="session")
def extractor_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path | None]:
    """The trained extractor of a data set, or None where it declares none."""
    folder = tmp_path_factory.mktemp("extractors")

    @cache
    def weights(dataset: str) -> Path | None:
        name = data_module(dataset).EXTRACTOR
        if name is None:
            return None
        path = folder / f"{name}.safetensors"
        save_file(train(name, _build(dataset), ExtractorSpec()).state_dict(), path)
        return path

    return weights
