"""A data file that is not the one described is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.data.dataset import DataSet, data_module
from bench.data.files import DESCRIPTION, load, save
from bench.errors import InputError


def test_tensors_of_another_description_are_refused(
    real_data: Callable[[str], DataSet], tmp_path: Path
) -> None:
    dataset = real_data("digits")
    save(dataset, tmp_path)
    description = (tmp_path / DESCRIPTION).read_text()
    save(dataclasses.replace(dataset, train=dataset.train[1:]), tmp_path)
    (tmp_path / DESCRIPTION).write_text(description)
    with pytest.raises(InputError, match=r"data\.safetensors: not the data of data\.json"):
        load(tmp_path)


def test_the_same_data_is_the_same_file(
    real_data: Callable[[str], DataSet], tmp_path: Path
) -> None:
    first = save(real_data("mixture2d"), tmp_path / "a")
    assert save(real_data("mixture2d"), tmp_path / "b") == first


def test_an_unknown_data_set_is_bad_input() -> None:
    with pytest.raises(InputError, match="did you mean 'digits'"):
        data_module("digts")
