"""Real weight layouts, made tiny by the tests: a BERT folder, timm and ESMC files. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

from zoo.contract import ModalitySpec
from zoo.encoders.base import Encoder
from zoo.encoders.bert import BERTEncoder
from zoo.encoders.choice import default_encoder
from zoo.encoders.dnabert import DNABERTEncoder
from zoo.encoders.esm import ESMEncoder
from zoo.encoders.vit import ViTEncoder
from zoo.errors import SpecError

IMAGE = ModalitySpec("xray", "image", (1, 32, 32))
TEXT = ModalitySpec("note", "text", (12,), vocab_size=30)
PROTEIN = ModalitySpec("protein", "protein", (9,))
SPECS = {
    "image": IMAGE,
    "text": TEXT,
    "protein": PROTEIN,
    "signal": ModalitySpec("eeg", "signal", (2, 50)),
    "dna": ModalitySpec("dna", "dna", (20,)),
    "expression": ModalitySpec("rna", "expression", (9,)),
    "tabular": ModalitySpec("ehr", "tabular", (2,), cardinalities=(0, 3)),
}


@pytest.fixture
def bert_folder(tmp_path: Path) -> Path:
    from transformers import BertConfig, BertModel

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=30, hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16,
    )  # fmt: skip
    BertModel(config).save_pretrained(tmp_path / "bert", safe_serialization=True)
    return tmp_path / "bert"


@pytest.mark.parametrize("dim", [24, 32])
def test_bert_folder(bert_folder: Path, dim: int) -> None:
    from transformers import BertModel

    encoder = BERTEncoder(TEXT, dim=dim, pretrained=str(bert_folder)).eval()
    reference = BertModel.from_pretrained(bert_folder).eval()
    x = torch.randint(1, 30, (3, 12))
    x[1, 7:] = 0
    tokens = encoder(x)
    assert tokens.values.shape == (3, 12, dim)
    expected = encoder.project(reference(input_ids=x, attention_mask=(x > 0).long()).last_hidden_state)
    torch.testing.assert_close(tokens.values[x > 0], expected[x > 0], rtol=1e-4, atol=1e-5)
    assert isinstance(encoder.project, torch.nn.Identity) == (dim == 24)


def test_bert_folder_too_small_for_the_modality(bert_folder: Path) -> None:
    spec = ModalitySpec("note", "text", (17,), vocab_size=31)
    with pytest.raises(SpecError, match=r"31 codes and length 17, but .* takes 30 codes and length 16"):
        BERTEncoder(spec, pretrained=str(bert_folder))


def test_another_bert_like_model(tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    config = DistilBertConfig(
        vocab_size=30, dim=24, n_layers=1, n_heads=2, hidden_dim=16, max_position_embeddings=16, dropout=0.0
    )
    DistilBertModel(config).save_pretrained(tmp_path / "distil", safe_serialization=True)
    encoder = BERTEncoder(TEXT, dim=16, pretrained=str(tmp_path / "distil"))
    x = torch.randint(1, 30, (2, 12))
    assert encoder(x).values.shape == encoder.embed(x)[0].shape == (2, 12, 16)


def test_pickled_weights_are_not_read(bert_folder: Path) -> None:
    (bert_folder / "model.safetensors").unlink()
    torch.save({}, bert_folder / "pytorch_model.bin")
    with pytest.raises(SpecError, match=r"model\.safetensors"):
        BERTEncoder(TEXT, pretrained=str(bert_folder))
    torch.save({}, bert_folder / "vit.pth")
    with pytest.raises(SpecError, match="pickled files"):
        ViTEncoder(IMAGE, pretrained=str(bert_folder / "vit.pth"))


def test_timm_file_into_a_named_model(tmp_path: Path) -> None:
    torch.manual_seed(2)
    source = timm.create_model("resnet10t", num_classes=5, in_chans=1)
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    encoder = ViTEncoder(IMAGE, dim=16, backbone="resnet10t", pretrained=str(tmp_path / "model.safetensors"))
    x = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        expected = source.eval().forward_features(x)
        torch.testing.assert_close(encoder.train().model.forward_features(x), expected, rtol=1e-3, atol=1e-4)
    assert encoder(x).values.shape == (2, 1, 16)  # BatchNorm is frozen: training mode gives the same features


def test_timm_vit_file_is_resampled_to_the_image(tmp_path: Path) -> None:
    torch.manual_seed(2)
    source = timm.create_model("test_vit", num_classes=3)
    save_file(source.state_dict(), tmp_path / "vit.safetensors")
    encoder = ViTEncoder(IMAGE, dim=16, backbone="test_vit", pretrained=str(tmp_path / "vit.safetensors"))
    assert torch.equal(encoder.model.blocks[0].attn.qkv.weight, source.blocks[0].attn.qkv.weight)
    assert encoder(torch.randn(2, 1, 32, 32)).values.shape == (2, 4, 16)


def test_timm_file_into_the_default_vit(tmp_path: Path) -> None:
    torch.manual_seed(3)
    source = VisionTransformer(
        img_size=64, patch_size=8, in_chans=1, num_classes=4, global_pool="avg", embed_dim=32, depth=1, num_heads=2,
        mlp_ratio=2.0, class_token=False, fc_norm=False,
    )  # fmt: skip
    path = tmp_path / "own.safetensors"
    save_file(source.state_dict(), path)
    encoder = ViTEncoder(IMAGE, dim=32, depth=1, heads=2, pretrained=str(path))
    assert torch.equal(encoder.model.norm.weight, source.norm.weight)
    assert encoder.model.pos_embed.shape == (1, 16, 32)
    with pytest.raises(SpecError, match="do not fit this architecture"):
        ViTEncoder(IMAGE, dim=32, depth=2, heads=2, pretrained=str(path))
    with pytest.raises(SpecError, match="both name a model"):
        ViTEncoder(IMAGE, backbone="resnet18", pretrained="resnet18.a1_in1k")


def test_esmc_file(tmp_path: Path) -> None:
    from esm.models.esmc import ESMC
    from esm.tokenization import EsmSequenceTokenizer

    torch.manual_seed(4)
    source = ESMC(d_model=32, n_heads=2, n_layers=3, tokenizer=EsmSequenceTokenizer(), use_flash_attn=False)
    path = tmp_path / "esmc.safetensors"
    save_file(source.state_dict(), path)
    encoder = ESMEncoder(PROTEIN, dim=16, heads=2, pretrained=str(path)).eval()
    assert len(encoder.model.transformer.blocks) == 3
    x = torch.tensor([[11, 9, 18, 0, 0, 0, 0, 0, 0]])
    expected = encoder.project(source.eval()(sequence_tokens=source._tokenize(["MKV"])).embeddings[:, 1:-1])
    torch.testing.assert_close(encoder(x).values[:, :3], expected, rtol=1e-4, atol=1e-5)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(SpecError, match="is not an ESMC state dict"):
        ESMEncoder(PROTEIN, pretrained=str(path))


def test_esmc_by_name_offline_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import esm.models.esmc

    def absent(name: str, device: torch.device) -> None:
        raise FileNotFoundError("cannot find the requested files in the local cache")

    monkeypatch.setattr(esm.models.esmc.ESMC, "from_pretrained", absent)
    with pytest.raises(SpecError, match="Unset HF_HUB_OFFLINE"):
        ESMEncoder(PROTEIN, pretrained="esmc_300m")


def test_hub_names_offline_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SpecError, match="unset HF_HUB_OFFLINE"):
        BERTEncoder(TEXT, pretrained="nobody/no-such-model")
    with pytest.raises(SpecError, match="unset HF_HUB_OFFLINE"):
        ViTEncoder(IMAGE, pretrained="resnet18.a1_in1k")


@pytest.mark.parametrize("kind", ["signal", "dna", "expression", "tabular"])
def test_own_state_dict(kind: str, tmp_path: Path) -> None:
    make = default_encoder(kind)
    torch.manual_seed(5)
    source: Encoder = make(SPECS[kind], dim=16, depth=1)  # type: ignore[call-arg]
    path = tmp_path / "own.safetensors"
    save_file(source.state_dict(), path)
    copy = make(SPECS[kind], dim=16, depth=1, pretrained=str(path))  # type: ignore[call-arg]
    assert all(torch.equal(v, copy.state_dict()[k]) for k, v in source.state_dict().items())
    with pytest.raises(SpecError, match="do not fit this architecture"):
        make(SPECS[kind], dim=32, depth=1, pretrained=str(path))  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", ["signal", "dna", "expression", "tabular", "protein"])
def test_a_missing_file_is_named(kind: str) -> None:
    with pytest.raises(SpecError, match=r"pretrained='nowhere.safetensors' is not an existing .safetensors file"):
        default_encoder(kind)(SPECS[kind], pretrained="nowhere.safetensors")  # type: ignore[call-arg]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"not a weight file at all")
    with pytest.raises(SpecError, match="cannot be read as safetensors"):
        DNABERTEncoder(SPECS["dna"], pretrained=str(path))
