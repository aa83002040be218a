"""CIFAR-10: read from an archive of the binary version, without unpickling anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from bench.data import downloads
from bench.data.sources import cifar10
from bench.data.sources.cifar10 import ARCHIVE, Options, build
from bench.errors import InputError
from tests import sources


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Path]:
    """An archive of the real format, which is the known one; there is no network."""
    known = replace(ARCHIVE, sha256=sources.cifar_archive(tmp_path), urls=("http://127.0.0.1:9/",))
    with patch.object(cifar10, "ARCHIVE", known), patch.object(downloads, "PAUSE", 0.0):
        yield tmp_path / ARCHIVE.name


def test_images_and_labels_are_those_of_the_records_in_order(archive: Path) -> None:
    dataset = build(Options(path=str(archive)))
    sources.assert_read(dataset, 32, 3)
    assert dataset.sigma_data == pytest.approx(dataset.train.std().item())


def test_the_archive_is_found_in_its_folder_and_in_the_cache(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(build(Options(path=str(archive.parent))).train) == sources.TRAIN
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    with pytest.raises(InputError, match=r"put here by hand: cifar-10-binary\.tar\.gz \(SHA-256"):
        build(Options())
    cached = tmp_path / "caches" / "genpath-bench" / "cifar10" / ARCHIVE.name
    cached.write_bytes(archive.read_bytes())
    assert len(build(Options()).train) == sources.TRAIN


def test_another_archive_and_none_are_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.tar\.gz is no file; get it from http"):
        build(Options(path=str(tmp_path / "absent.tar.gz")))
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"has SHA-256 \w+, not \w+; get the official cifar-10-b"):
        build(Options(path=str(archive)))
