"""What many tests share, made once a session: real data, a trained extractor, a finished run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from bench.data.dataset import DataSet
from bench.metrics.extractors import train
from tests import sources
from tests.checkouts import ROOT, copy_checkout
from tests.sharing import once

torch.set_num_threads(1)

LONG = ("test_workflow", "test_interruptions", "test_adding_a_formulation")
"""Files whose tests run the workflow."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run the workflow come first.

    Many short tests at the end keep all processes busy, and long ones there would keep one.
    """
    items.sort(key=lambda item: item.path.stem not in LONG)


@cache
def _build(name: str) -> DataSet:
    return sources.build(name)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], DataSet]:
    """A data set, by name: of its defaults, or of files of its format (``tests.sources``)."""
    return _build


@cache
def _unlimited(name: str) -> DataSet:
    return sources.build(name, train="unlimited", held_out=600)


@pytest.fixture(scope="session")
def unlimited_data() -> Callable[[str], DataSet]:
    """A data set, by name, of which training draws new samples for ever."""
    return _unlimited


@pytest.fixture(scope="session")
def extractor_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path | None]:
    """The trained extractor of a data set, or None where it declares none."""
    folder = tmp_path_factory.mktemp("extractors")

    @cache
    def weights(dataset: str) -> Path | None:
        name = sources.description(dataset).extractor
        if name is None:
            return None
        path = folder / f"{dataset}.safetensors"
        settings = sources.extractor_settings(dataset)
        save_file(train(name, _build(dataset), settings).state_dict(), path)
        return path

    return weights


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which ``make bench`` has run ``configs/smoke.yaml``: not to be changed.

    Its results are in ``results/smoke``; tests that change anything work on a copy.
    """

    def run(checkout: Path) -> None:
        copy_checkout(checkout)
        launch = [sys.executable, "workflow/launch.py", "configs/smoke.yaml"]
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        with (checkout / "output.txt").open("w") as output:
            code = subprocess.run(
                launch, cwd=checkout, env=environment, stdout=output, stderr=output, check=False
            ).returncode
        assert code == 0, (checkout / "output.txt").read_text()

    return once(tmp_path_factory, "finished", run)


@pytest.fixture(scope="session")
def small_data() -> DataSet:
    """Two thousand points of the plane, in eight classes."""
    generator = torch.Generator().manual_seed(0)
    points, label = torch.randn(2000, 2, generator=generator), torch.arange(2000) % 8
    return DataSet(
        "mixture2d",
        "vector",
        points[:1500],
        points[1500:],
        None,
        1.0,
        train_labels=label[:1500],
        held_out_labels=label[1500:],
    )


@pytest.fixture
def smoke(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], Path]:
    """Writes ``smoke.yaml`` with a change."""

    def write(change: Callable[[dict[str, Any]], object]) -> Path:
        config = yaml.safe_load((ROOT / "configs" / "smoke.yaml").read_text())
        change(config)
        path = tmp_path / "changed.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path

    return write


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished checkout, to be edited."""
    return Path(shutil.copytree(finished, tmp_path / "checkout"))
