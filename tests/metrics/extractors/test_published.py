"""Weights trained elsewhere: found, verified, refused in one line; and the networks they fill."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from bench.errors import InputError
from bench.files import sha256
from bench.metrics.extractors import (
    efficientnet_lite0,
    extract,
    inception,
    load,
    published,
    weights_file,
)
from bench.metrics.extractors.efficientnet_lite0 import EfficientNetLite0
from bench.streams import stream


@pytest.mark.parametrize(
    ("name", "digest"),
    [("inception", "6726825d"), ("efficientnet_lite0", "57934424"), ("dinov2", "0b8b82f8")],
)
def test_a_missing_file_is_asked_for_in_one_line(name: str, digest: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        weights_file(name, str(tmp_path / "absent.pth"))
    line = str(refused.value)
    assert "\n" not in line
    for part in (
        name,
        "absent.pth",
        "get ",
        " from ",
        f"begins with {digest}",
        "extractor.weights",
    ):
        assert part in line


def test_the_standard_place_is_torchs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InputError, match=str(tmp_path / "checkpoints" / inception.WEIGHTS.file)):
        weights_file("inception", None)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / inception.WEIGHTS.file
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"is not that of 'inception'; get .* 6726825d"):
        weights_file("inception", str(path))


def test_extractors_of_our_own_have_no_published_weights() -> None:
    assert weights_file("digits", None) is None
    assert weights_file("random_conv", None) is None


def test_a_verified_file_is_read_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.arange(6.0).reshape(2, 3).T}, path)
    known = dataclasses.replace(inception.WEIGHTS, digest=sha256(path)[:8])
    monkeypatch.setattr(inception, "WEIGHTS", known)
    found = weights_file("inception", str(path))
    assert found == path
    assert published(path)["a"].is_contiguous()
    torch.save({"a": print}, path)
    with pytest.raises(Exception, match="weights_only"):
        published(path)


def test_inception_is_torch_fidelitys(tmp_path: Path) -> None:
    """With weights of no use: the pipeline and the features are the same, bit by bit."""

    class Untrained(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: object) -> None:
            """Keeps what torch drew."""

    empty = tmp_path / "empty.pth"
    torch.save({}, empty)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = Untrained("inception-v3-compat", ["2048"], str(empty))
    weights = tmp_path / "weights.safetensors"
    save_file(theirs.state_dict(), weights)
    ours = load("inception", weights)
    images = torch.randint(0, 256, (1, 3, 8, 8), generator=stream("inception")).to(torch.uint8)
    features = ours.features(images)
    assert features.shape == (1, inception.FEATURES)
    assert torch.equal(features, theirs(images)[0])


class Averages(nn.Module):
    """Stands for the network of the package: features ``[n, 1280, 2, 2]`` that show its input."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def extract_features(self, pixels: Tensor) -> Tensor:
        assert pixels.shape[1:] == (3, 224, 224)
        mean = self.gain * pixels.mean(dim=(1, 2, 3))
        return mean[:, None, None, None].expand(-1, efficientnet_lite0.FEATURES, 2, 2)


def test_efficientnet_lite0_resizes_and_scales(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("efficientnet_lite_pytorch")
    vars(package)["EfficientNet"] = type("Net", (), {"from_name": lambda name: Averages()})
    monkeypatch.setitem(sys.modules, package.__name__, package)
    weights = tmp_path / "weights.safetensors"
    save_file({"gain": torch.full((1,), 2.0)}, weights)
    network = load("efficientnet_lite0", weights)
    images = torch.full((3, 3, 8, 8), 255, dtype=torch.uint8)
    images[1] = 127
    features = extract(network, images)
    assert features.shape == (3, 1280)
    assert features[:, 0].tolist() == pytest.approx([2.0, 0.0, 2.0], abs=1e-6)


def test_efficientnet_lite0s_weights_come_with_its_packages() -> None:
    """Their features are those of which the network of the package makes its logits."""
    path = weights_file("efficientnet_lite0", None)
    assert path is not None
    network = EfficientNetLite0.restored(published(path))
    shape = (1, 3, 224, 224)
    images = torch.randint(0, 256, shape, generator=stream("efficientnet")).to(torch.uint8)
    features = network.features(images)
    assert features.shape == (1, efficientnet_lite0.FEATURES)
    logits = network.network((images.float() - 127) / 128)
    torch.testing.assert_close(network.network._fc(features), logits, rtol=1e-4, atol=1e-4)


def test_a_missing_package_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(InputError, match="install the package efficientnet-lite-pytorch"):
        EfficientNetLite0()
