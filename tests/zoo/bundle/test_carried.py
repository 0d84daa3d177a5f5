"""Local files that a model is made from go along in its bundle, or are not needed there."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import zoo
from datamodules.core.multimodal import MultimodalDataModule
from datamodules.core.options import ProcessingOptions, SamplingOptions
from datamodules.core.processor import PROCESSORS
from datamodules.modalities.text import TextProcessor
from datamodules.sources.table import Table, TableModality
from tests.zoo.bundle.test_bundle import PATH, reseal
from zoo.bundle import files
from zoo.bundle.build import build_model, plain
from zoo.bundle.parts import left_behind
from zoo.bundle.save import learn, save
from zoo.carried import Box
from zoo.encoders.base import ENCODERS
from zoo.errors import DataError, SpecError
from zoo.models.multitask.module import MultitaskModule
from zoo.table_task import TableTask

WORDS = ["clear", "lungs", "a", "round", "shadow", "##s"]


def write_bert(folder: Path, draw: int) -> str:
    """A folder as save_pretrained writes it: tokenizer, configuration and weights."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(str(folder))
    torch.manual_seed(draw)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, initializer_range=0.3,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder, safe_serialization=True)
    return str(folder)


def write_esm(path: Path) -> str:
    from esm.models.esmc import ESMC
    from esm.tokenization import EsmSequenceTokenizer

    torch.manual_seed(2)
    model = ESMC(d_model=16, n_heads=2, n_layers=1, tokenizer=EsmSequenceTokenizer(), use_flash_attn=False)
    save_file({k: v.clone() for k, v in model.state_dict().items()}, path)
    return str(path)


def write_timm(path: Path, name: str) -> str:
    torch.manual_seed(3)
    save_file(timm.create_model(name).state_dict(), path)
    return str(path)


def write_timm_folder(folder: Path, name: str) -> str:
    folder.mkdir()
    model = timm.create_model(name)
    told = {"architecture": name, "num_classes": model.num_classes, "num_features": model.num_features}
    told["pretrained_cfg"] = {k: v for k, v in model.pretrained_cfg.items() if k not in ("url", "hf_hub_id")}
    (folder / "config.json").write_text(json.dumps(told))
    save_file(model.state_dict(), folder / "model.safetensors")
    return f"local-dir:{folder}"


def encoders(home: Path) -> dict[str, Any]:
    """An encoder on a local file for each modality."""
    home.mkdir()
    own, frozen = write_bert(home / "own", 0), write_bert(home / "frozen", 1)
    network = write_timm(home / "b net.safetensors", "test_efficientnet")
    cache = str(home / "cache")
    return {
        "note": ("BERTEncoder", {"pretrained": own}),
        "remark": ("FrozenTextEncoder", {"pretrained": frozen, "cache": cache}),
        "xray": ("ViTEncoder", {"pretrained": network, "backbone": "test_efficientnet"}),
        "scan": (
            "FrozenImageEncoder",
            {"pretrained": network, "backbone": "test_efficientnet", "image_size": 32, "cache": cache},
        ),
        "photo": ("ViTEncoder", {"pretrained": write_timm_folder(home / "timm", "test_vit")}),
        "chain": ("ESMEncoder", {"pretrained": write_esm(home / "esm.safetensors"), "heads": 2}),
    }


def write_table(folder: Path) -> None:
    folder.mkdir()
    draw, rows = np.random.default_rng(0), []
    for k in range(40):
        ill = k % 2
        pixels = draw.integers(0, 120, (32, 32)) + 100 * ill
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"p{k}.png")
        words = "a round shadows" if ill else "clear lungs"
        picture = [f"p{k}.png"] * 3
        rows.append([words, words[::2] + " a", *picture, "ACDE" if ill else "GGHI", ("ill", "healthy")[1 - ill]])
    names = ["note", "remark", "xray", "scan", "photo", "chain", "diagnosis"]
    pd.DataFrame(rows, columns=names).to_csv(folder / "table.csv", index=False)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, pd.DataFrame], pd.DataFrame]:
    """A fitted model's bundle, moved, with all that it was made from deleted; and what it predicted before."""
    root = tmp_path_factory.mktemp("carried")
    write_table(root / "mine")
    made = encoders(root / "home")
    kinds = dict.fromkeys(("note", "remark"), "text") | dict.fromkeys(("xray", "scan", "photo"), "image")
    modalities = {
        m: TableModality(k, column=m, path="{}" if k == "image" else "")
        for m, k in {**kinds, "chain": "protein"}.items()
    }
    table = Table(folder="mine", modalities=modalities, tasks={"diagnosis": TableTask("classification")})
    texts = TextProcessor(max_length=8, tokenizer=str(root / "home" / "own"))
    data = MultimodalDataModule(
        [table],
        root=str(root),
        sampling=SamplingOptions(batch_size=8),
        processing=ProcessingOptions(processors={"text": texts}),
    )
    config = {
        "class_path": "zoo.MultitaskModule",
        "init_args": {
            "encoders": {m: {"class_path": f"zoo.{c}", "init_args": {"dim": 8, **a}} for m, (c, a) in made.items()},
            "fusion": {"class_path": "zoo.ConcatFusion", "init_args": {"dim": 8}},
        },
    }
    model = build_model(plain(config) | {"class_path": PATH}, data.modality_specs, data.task_specs)
    assert isinstance(model, MultitaskModule)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **quiet)  # type: ignore[arg-type]
    trainer.fit(model, data)
    model.eval()
    assert save(root / "bundle", model, data, learn(model, data), config=config) == []
    rows = pd.read_csv(root / "mine" / "table.csv").iloc[:6].drop(columns="diagnosis")
    rows.loc[1, "note"] = rows.loc[2, "xray"] = None
    pictures = root / "pictures"
    pictures.mkdir()
    for k in range(6):
        shutil.copy(root / "mine" / f"p{k}.png", pictures)
    before = zoo.load(root / "bundle").predict(rows, folder=pictures)
    shutil.move(root / "bundle", root / "away")
    shutil.rmtree(root / "home")
    shutil.rmtree(root / "mine")
    return root / "away", pictures, before, rows


def test_predictions_without_the_originals(moved: Any) -> None:
    away, pictures, before, rows = moved
    found = zoo.load(away).predict(rows, folder=pictures)
    numbers = [f["diagnosis"].select_dtypes("number").to_numpy(float) for f in (before, found)]
    assert np.allclose(*numbers, atol=1e-6, equal_nan=True)
    assert before["diagnosis"]["predicted"].notna().all()
    assert found["diagnosis"]["modalities"].tolist()[:2] == [
        "note|remark|xray|scan|photo|chain",
        "remark|xray|scan|photo|chain",
    ]


def test_what_went_along(moved: Any) -> None:
    away = moved[0]
    told = json.loads((away / files.MODEL).read_text())
    args = {m: e["init_args"] for m, e in told["init_args"]["encoders"].items()}
    assert args["xray"]["pretrained"] == "layout:test_efficientnet"
    assert args["chain"] == {"dim": 8, "pretrained": "", "heads": 2, "width": 16, "depth": 1}
    assert args["remark"]["cache"] == args["scan"]["cache"] == ""
    assert args["scan"]["pretrained"].endswith("/b_net.safetensors")
    held = {str(p.relative_to(away / "files").name): p for p in (away / "files").rglob("*") if p.is_file()}
    assert set(held) == {
        "config.json", "model.safetensors", "b_net.safetensors", "tokenizer.json", "tokenizer_config.json",
        "special_tokens_map.json",
    }  # fmt: skip
    listed = json.loads((away / files.MANIFEST).read_text())["files"]
    assert len([n for n in listed if n.startswith("files/")]) == 8  # one tokenizer for two modalities
    text = "".join(p.read_text() for p in away.rglob("*.json")) + (away / files.CARD).read_text()
    assert str(away.parent) not in text
    card = (away / files.CARD).read_text()
    for what in ("tokenizer of `own`", "pretrained network of `frozen`", "weights of `b net.safetensors`"):
        assert f"holds the {what}, which the model was made from" in card


def test_a_file_that_is_missing_or_lies_outside(moved: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(moved[0], copy)
    network = next(copy.rglob("b_net.safetensors"))
    name = network.relative_to(copy).as_posix()
    network.unlink()
    with pytest.raises(DataError, match=f"the bundle lacks its file '{name}'; copy it again"):
        zoo.load(copy)
    reseal(copy)
    with pytest.raises(DataError, match=f"the bundle lacks its file '{name}'; copy it again"):
        zoo.load(copy)
    told = (copy / files.MODEL).read_text()
    for outside in ("files/../../x.safetensors", "../x", "/etc/passwd", "model.json", "files//x"):
        (copy / files.MODEL).write_text(told.replace(f"bundle:{name}", f"bundle:{outside}"))
        reseal(copy)
        with pytest.raises(DataError, match="a path that leaves its folder 'files'"):
            zoo.load(copy)


def test_a_file_that_vanished_before_the_end(tmp_path: Path) -> None:
    for owner in (ENCODERS.get("FrozenImageEncoder"), ENCODERS.get("BERTEncoder"), PROCESSORS.get("TextProcessor")):
        (name,) = [n for n in owner.carried if n != "cache"]
        gone = str(tmp_path / "gone.safetensors")
        with pytest.raises(SpecError, match=r"gone\.safetensors"):
            owner.carried[name](name, {name: gone}, Box(tmp_path))


@pytest.mark.parametrize("owner", [r.get(n) for r in (ENCODERS, PROCESSORS) for n in r.names()])
def test_every_argument_that_names_a_file_is_declared(owner: type) -> None:
    """Found by its words: an argument of text whose description speaks of a file or folder."""
    told = (inspect.getdoc(owner) or "").partition("Args:\n")[2].partition("\n\n")[0]
    lines: dict[str, str] = {}
    name = ""
    for line in told.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            name, _, line = line.strip().partition(":")
        lines[name] = lines.get(name, "") + line
    texts = [n for n, p in inspect.signature(owner).parameters.items() if "str" in str(p.annotation).split("[")[0]]
    spoken = {n for key, words in lines.items() for n in key.split(", ")
              if n in texts and any(w in words for w in ("file", "folder", "see ``Frozen"))}  # fmt: skip
    assert spoken == set(owner.carried), owner  # type: ignore[attr-defined]


def test_an_undeclared_local_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "atlas.csv"
    path.write_text("a")
    told = {"init_args": {"atlas": str(path), "words": ["/", "a/b"], "kind": "text/plain"}}
    assert left_behind(told) == [f"atlas={str(path)!r}"]
