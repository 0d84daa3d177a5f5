"""What every registered encoder must do. A new encoder fails here until it has a row in CASES."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from zoo.contract import MODALITIES, ModalitySpec
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.choice import default_encoder
from zoo.errors import SpecError, UnknownNameError

CASES: dict[str, ModalitySpec] = {
    "ViTEncoder": ModalitySpec("xray", "image", (1, 16, 24)),
    "LSTMEncoder": ModalitySpec("eeg", "signal", (5, 100), unit="uV", sampling_rate=100.0),
    "DNABERTEncoder": ModalitySpec("dna", "dna", (40,)),
    "SCBERTEncoder": ModalitySpec("rna", "expression", (60,), unit="counts"),
    "ESMEncoder": ModalitySpec("protein", "protein", (20,)),
    "BERTEncoder": ModalitySpec("note", "text", (18,), vocab_size=50),
    "TabularEncoder": ModalitySpec("ehr", "tabular", (6,), cardinalities=(0, 4, 0, 0, 3, 0)),
    "MLPEncoder": ModalitySpec("ehr", "tabular", (6,), cardinalities=(0, 4, 0, 0, 3, 0)),
    "MoleculeEncoder": ModalitySpec("drug", "molecule", (32 + 20,), descriptors=32),
    "PeptideBagEncoder": ModalitySpec("protein", "protein", (20,)),
    "PeptideComponentsEncoder": ModalitySpec("protein", "protein", (20,)),
    "PixelComponentsEncoder": ModalitySpec("xray", "image", (1, 16, 24)),
    "FrozenImageEncoder": ModalitySpec("xray", "image", (1, 16, 24)),
    "FrozenTextEncoder": ModalitySpec("note", "text", (18,), vocab_size=50),
}
FROZEN = ("FrozenImageEncoder", "FrozenTextEncoder")
OTHERS = (*FROZEN, "MLPEncoder", "PeptideBagEncoder", "PeptideComponentsEncoder", "PixelComponentsEncoder")
"""Encoders that are the default of no kind, and that have no heads and no depth."""
SHALLOW = ("MLPEncoder", "PeptideBagEncoder", "PeptideComponentsEncoder", "PixelComponentsEncoder")
"""Encoders that are shallow as a whole: ``embed`` uses every parameter."""
NAMES = sorted(CASES)
CODES = {"dna": 6, "protein": 22, "text": 50, "molecule": 30}


@cache
def frozen_weights() -> Path:
    """A folder with a tiny image model of timm and a tiny BERT, both of random weights."""
    import timm
    from transformers import BertConfig, BertModel

    torch.manual_seed(11)
    folder = Path(tempfile.mkdtemp(prefix="zoo-frozen-"))
    save_file(timm.create_model("test_efficientnet").state_dict(), folder / "image.safetensors")
    config = BertConfig(
        vocab_size=50, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=32, initializer_range=0.3,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder / "text", safe_serialization=True)
    return folder


def sizes(name: str) -> dict[str, object]:
    """Small sizes for the encoder ``name``."""
    if name == "FrozenImageEncoder":
        file = str(frozen_weights() / "image.safetensors")
        return {"dim": 32, "backbone": "test_efficientnet", "pretrained": file, "image_size": 64, "tokens": "grid",
                "dropout": 0.0}  # fmt: skip
    if name == "FrozenTextEncoder":
        return {"dim": 32, "pretrained": str(frozen_weights() / "text"), "tokens": "words", "dropout": 0.0}
    if name == "PeptideBagEncoder":
        return {"dim": 32, "k": 2, "hidden": 48, "dropout": 0.0}
    if name == "PeptideComponentsEncoder":
        return {"dim": 32, "k": 2, "components": 24, "hidden": 48, "dropout": 0.0}
    if name == "PixelComponentsEncoder":
        return {"dim": 32, "components": 24, "hidden": 48, "dropout": 0.0}
    if name == "MLPEncoder":
        return {"dim": 32, "hidden": (24, 16), "embedding": 4, "dropout": 0.0}
    return {"dim": 32, "depth": 1, "heads": 4}


def rows(spec: ModalitySpec, n: int, seed: int = 0) -> Tensor:
    """Random valid rows; code rows have different lengths, padded at the end."""
    generator = torch.Generator().manual_seed(seed)
    if spec.is_integer:
        codes = torch.randint(1, CODES[spec.kind], (n, *spec.shape), generator=generator)
        shortest = (spec.shape[0] + spec.descriptors) // 2
        length = torch.randint(shortest, spec.shape[0] + 1, (n, 1), generator=generator)
        return codes * (torch.arange(spec.shape[0]) < length)
    x = torch.randn((n, *spec.shape), generator=generator)
    if spec.kind == "expression":
        return (x * 2).relu().round()
    if spec.kind == "tabular":
        for f, size in enumerate(spec.cardinalities):
            if size:
                x[:, f] = torch.randint(0, size, (n,), generator=generator).float()
    return x * 20 if spec.kind == "signal" else x


def make(name: str, **settings: object) -> Encoder:
    torch.manual_seed(0)
    return ENCODERS.get(name)(CASES[name], **{**sizes(name), **settings})  # type: ignore[arg-type]


def test_every_encoder_has_a_row() -> None:
    assert set(ENCODERS.names()) == set(CASES)
    assert {default_encoder(kind).__name__ for kind in MODALITIES} == set(CASES) - set(OTHERS)


def test_unknown_kind_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'image'"):
        default_encoder("images")


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_types(name: str) -> None:
    encoder, spec = make(name), CASES[name]
    tokens = encoder(rows(spec, 3))
    n, length, dim = tokens.values.shape
    assert (n, dim) == (3, 32)
    assert tokens.mask.shape == (3, length)
    assert tokens.mask.dtype == torch.bool
    assert tokens.mask.any(1).all()
    assert tokens.pooled.shape == (3, 32)
    assert tokens.values.dtype == tokens.pooled.dtype == torch.float32
    assert torch.isfinite(tokens.values).all()
    values, mask = encoder.embed(rows(spec, 3))
    assert values.shape[::2] == (3, 32)
    assert mask.shape == values.shape[:2]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_no_rows(name: str, training: bool) -> None:
    encoder, spec = make(name).train(training), CASES[name]
    tokens = encoder(rows(spec, 0))
    full = encoder(rows(spec, 1))
    assert tokens.values.shape == (0, *full.values.shape[1:])
    assert tokens.mask.shape == (0, full.mask.shape[1])
    assert tokens.pooled.shape == (0, 32)
    (tokens.values.sum() + tokens.pooled.sum()).backward()  # carries a graph
    assert encoder.embed(rows(spec, 0))[0].shape[::2] == (0, 32)
    with torch.inference_mode():
        assert encoder(rows(spec, 0)).pooled.shape == (0, 32)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_does_not_depend_on_the_others(name: str) -> None:
    encoder, x = make(name), rows(CASES[name], 5)
    for training in (True, False):
        encoder.train(training)
        alone, together = encoder(x[2:3]), encoder(x)
        torch.testing.assert_close(alone.pooled, together.pooled[2:3], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone.values, together.values[2:3], rtol=1e-4, atol=1e-5)
        assert torch.equal(alone.mask, together.mask[2:3])


def widened(name: str, extra: int) -> Encoder:
    """The same encoder for rows that are ``extra`` codes longer: position tables are extended, the rest is copied."""
    small, spec = make(name), CASES[name]
    torch.manual_seed(1)
    longer = replace(spec, shape=(spec.shape[0] + extra,))
    large = ENCODERS.get(name)(longer, **sizes(name))  # type: ignore[arg-type]
    state = large.state_dict()
    for key, value in small.state_dict().items():
        if state[key].shape == value.shape:
            state[key] = value
        else:
            state[key][: len(value)] = value
    large.load_state_dict(state)
    return large


@pytest.mark.parametrize("name", [n for n in NAMES if CASES[n].is_integer])
def test_padding_changes_nothing(name: str) -> None:
    x = rows(CASES[name], 4)
    short = make(name).eval()(x)
    long = widened(name, 9).eval()(torch.nn.functional.pad(x, (0, 9)))
    length = short.values.shape[1]
    torch.testing.assert_close(long.pooled, short.pooled, rtol=1e-4, atol=1e-5)
    assert torch.equal(long.mask[:, :length], short.mask)
    assert not long.mask[:, length:].any()
    torch.testing.assert_close(long.values[:, :length][short.mask], short.values[short.mask], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in NAMES if CASES[n].is_integer])
def test_a_row_of_padding_is_finite_and_has_a_token(name: str) -> None:
    encoder, spec = make(name), CASES[name]
    x = rows(spec, 2)
    x[1] = 0
    tokens = encoder(x)
    assert tokens.mask[1].sum() == 1
    (tokens.values.square().sum() + tokens.pooled.sum()).backward()
    assert torch.isfinite(tokens.values).all()
    assert torch.isfinite(tokens.pooled).all()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name: str) -> None:
    encoder = make(name) if name in OTHERS else make(name, heads=2, depth=2)
    tokens = encoder(rows(CASES[name], 8))
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(tokens.values.shape, generator=generator)
    (tokens.values * weight).sum().add((tokens.pooled * weight[:, 0]).sum()).backward()
    dead = [k for k, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert dead == []


@pytest.mark.parametrize("name", NAMES)
def test_embed_parameters_are_some_of_the_parameters(name: str) -> None:
    encoder = make(name)
    used = {id(p) for p in encoder.embed_parameters()}
    everything = {id(p) for p in encoder.parameters()}
    assert used
    assert used == everything if name in SHALLOW else used < everything


@pytest.mark.parametrize("name", NAMES)
def test_wrong_kind_names_both(name: str) -> None:
    other = next(spec for spec in CASES.values() if not ENCODERS.get(name).takes(spec))
    message = rf"{name} takes modalities of kind .* '{other.name}' is of kind '{other.kind}'"
    with pytest.raises(SpecError, match=message):
        ENCODERS.get(name)(other)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", [n for n in NAMES if n not in OTHERS])
def test_width_that_does_not_split_into_heads(name: str) -> None:
    with pytest.raises(SpecError, match=f"{name}: dim=30 is not a multiple of"):
        make(name, dim=30)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_is_off_in_evaluation(name: str) -> None:
    encoder, x = make(name, dropout=0.5), rows(CASES[name], 2)
    encoder.train()
    assert not torch.equal(encoder(x).pooled, encoder(x).pooled)
    encoder.eval()
    assert torch.equal(encoder(x).pooled, encoder(x).pooled)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_weights(name: str) -> None:
    one, two = make(name).state_dict(), make(name).state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize("name", NAMES)
def test_training_works_after_an_inference_pass(name: str) -> None:
    encoder, x = make(name), rows(CASES[name], 2)
    with torch.inference_mode():
        encoder.eval()(x)
    encoder.train()(x).pooled.square().sum().backward()


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_survives_safetensors(name: str, tmp_path: Path) -> None:
    encoder, x = make(name).eval(), rows(CASES[name], 3)
    save_file({k: v.contiguous() for k, v in encoder.state_dict().items()}, tmp_path / "a.safetensors")
    torch.manual_seed(9)
    other = ENCODERS.get(name)(CASES[name], **sizes(name)).eval()  # type: ignore[arg-type]
    assert not torch.allclose(other(x).pooled, encoder(x).pooled)
    other.load_state_dict(load_file(tmp_path / "a.safetensors"))
    assert torch.equal(other(x).pooled, encoder(x).pooled)


@pytest.mark.parametrize("name", NAMES)
def test_memorises_sixteen_rows(name: str) -> None:
    encoder, x = make(name), rows(CASES[name], 16)
    target = torch.randint(0, 4, (16,), generator=torch.Generator().manual_seed(5))
    head = nn.Linear(32, 4)
    optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=3e-3)
    accuracy = 0.0
    for _ in range(200):
        logits = head(encoder(x).pooled)
        accuracy = float((logits.argmax(1) == target).float().mean())
        if accuracy == 1.0:
            break
        optimiser.zero_grad()
        nn.functional.cross_entropy(logits, target).backward()
        optimiser.step()
    assert accuracy == 1.0


def test_importing_the_encoders_imports_no_large_library() -> None:
    code = "import sys, zoo.encoders; print([m for m in ('timm', 'transformers', 'esm') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
