"""``run.py data``: list, describe and check, from the command line."""

from __future__ import annotations

import dataclasses
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import datamodules.phantom
import datamodules.sources  # noqa: F401
from datamodules.core.source import SOURCES
from datamodules.io.joined_table import JoinedTable
from datamodules.io.long_table import LongTable
from datamodules.sources.table import Table, TableModality
from zoo.contract import MODALITIES, TASKS
from zoo.table_task import TableTask

Call = Callable[..., tuple[int, str]]
DATA = Path(__file__).parents[2] / "data"


def write(name: str, folder: Path) -> None:
    runpy.run_path(str(DATA / f"{name}.py"))["write"](folder)


def test_list_and_filters(call: Call) -> None:
    code, text = call("data", "list")
    assert code == 0
    assert all(name in text for name in SOURCES.names())
    assert "\u2502" not in text  # plain text where there is no terminal
    code, text = call("data", "list", "--access", "credentialed", "--modality", "xray")
    names = [line.split()[0] for line in text.splitlines()[2:] if line.strip()]
    assert code == 0
    assert names == [
        n
        for n in SOURCES.names()
        for card in [SOURCES.get(n)().card]
        if card.access == "credentialed" and "xray" in [m.name for m in card.modalities]
    ]
    code, text = call("data", "list", "--modality", "xry")
    assert code == 2
    assert "did you mean 'xray'" in text


@pytest.mark.parametrize("name", SOURCES.names())
def test_describe_every_source(call: Call, name: str) -> None:
    code, text = call("data", "describe", name)
    assert code == 0
    card = SOURCES.get(name)().card
    assert all(words in text for words in (card.title, card.licence, card.citation, card.where, card.layout))
    assert "init_args" in text


def test_describe_shows_every_field_of_a_modality_and_a_task_of_a_table(call: Call) -> None:
    _, text = call("data", "describe", "Table")
    arguments, example = text.split("\nexample\n")
    modality, task = arguments.split("TableModality:")[1].split("TableTask:")
    for part, described, kinds in ((modality, TableModality, MODALITIES), (task, TableTask, TASKS)):
        for field in dataclasses.fields(described):
            line, told = re.search(rf"\n +{field.name}: (.*)\n +(.*)", part).groups()  # type: ignore[union-attr]
            assert line.startswith(str(field.type))
            made = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            assert line.endswith("must be given" if field.name == "kind" else repr(made))
            assert told.endswith(".")
        assert all(re.search(rf"\n +{name}  +[A-Z].{{10,}}", part) for name in kinds)
    joined, inner = arguments.split("JoinedTable:")[1].split("TableModality:")[0].split("LongTable:")
    for part, described in ((joined, JoinedTable), (inner, LongTable)):
        for field in dataclasses.fields(described):
            assert re.search(rf"\n +{field.name}: ", part), field.name
    source = yaml.safe_load(example)["data"]["init_args"]["sources"][0]["init_args"]
    assert source.pop("reading")["exceptions"] == "missing"
    for key, described in (("modalities", TableModality), ("tasks", TableTask)):
        source[key] = {name: described(**told) for name, told in source[key].items()}
    assert [m.kind for m in Table(**source).card.modalities] == ["image", "text", "tabular"]


def test_the_example_of_describe_is_a_configuration(call: Call, tmp_path: Path) -> None:
    write("ham10000", tmp_path / "ham10000")
    _, text = call("data", "describe", "HAM10000")
    (tmp_path / "example.yaml").write_text(text[text.index("\ndata:") :])
    code, text = call("data", "check", "--root", str(tmp_path), "--config", str(tmp_path / "example.yaml"))
    assert code in (0, 1)
    assert "HAM10000: " in text


def test_describe_an_unknown_name(call: Call) -> None:
    code, text = call("data", "describe", "HAM1000")
    assert code == 2
    assert "did you mean 'HAM10000'" in text


def test_check_finds_a_planted_copy_and_writes_reports(call: Call, tmp_path: Path) -> None:
    write("brain_tumor_mri", tmp_path / "data/brain_tumor_mri")  # one file is in both folders
    write("uci_splice", tmp_path / "data/uci_splice")
    files = {o: tmp_path / f"report.{o}" for o in ("html", "png", "json")}
    options = [w for o, path in files.items() for w in (f"--{o}", str(path))]
    code, text = call("data", "check", "--root", str(tmp_path / "data"), *options)
    assert code == 1
    assert "yes, dropped" in text
    assert "BrainTumorMRI: 2 leaks as published; the zoo's own reading is free of them" in text
    assert call("data", "check", "--root", str(tmp_path / "data"), "--handled-ok")[0] == 0
    said = json.loads(files["json"].read_text())
    assert [s["name"] for s in said["sources"]] == ["BrainTumorMRI", "UCISplice"]
    page = files["html"].read_text()
    assert "<img" in page
    assert 'src="data:image/png;base64,' in page
    assert "http" not in page
    assert "prefers-color-scheme" in page
    with Image.open(files["png"]) as sheet:
        assert np.asarray(sheet).std() > 10


def test_check_of_clean_data(call: Call, tmp_path: Path) -> None:
    write("cb513", tmp_path / "cb513")
    code, text = call("data", "check", "--root", str(tmp_path), "--source", "CB513")
    assert code == 0
    assert "CB513: no leak" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--root", "nowhere"], "not a folder"),
        (["--root", "."], "data list"),
        (["--source", "HeadCT"], "Expected below the folder"),
        (["--source", "HeadCt"], "did you mean 'HeadCT'"),
        (["--config", "no.yaml"], "unknown configuration"),
        (["--limit", "-1"], "--limit"),
        (["--no-such-option"], "unrecognized"),
    ],
)
def test_bad_usage(call: Call, options: list[str], words: str) -> None:
    code, text = call("data", "check", *options)
    assert code == 2
    assert words in text


def test_configuration_with_a_table(call: Call, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    lines = [f"r{k},p{k},{'train' if k % 4 else 'test'},note {k} of {k * k},{'ab'[k % 2]}" for k in range(24)]
    (tmp_path / "mine/table.csv").write_text("\n".join(["id,patient,split,text,disease", *lines]))
    config = """
data:
  class_path: datamodules.MultimodalDataModule
  init_args:
    root: .
    sources:
      - class_path: datamodules.sources.Table
        init_args:
          folder: mine
          id: id
          group: patient
          split: split
          modalities: {text: {kind: text}}
          tasks: {disease: {kind: classification}}
"""
    (tmp_path / "c.yaml").write_text(config)
    assert call("data", "check", "--config", "c.yaml")[0] == 0
    lines[0] = lines[0].replace("note 0 of 0", "Note 1  of 1")
    (tmp_path / "mine/table.csv").write_text("\n".join(["id,patient,split,text,disease", *lines]))
    assert call("data", "check", "--config", "c.yaml", "--handled-ok")[0] == 1
    (tmp_path / "c.yaml").write_text(config.replace("  id: id", "  ident: id"))
    code, text = call("data", "check", "--config", "c.yaml")
    assert code == 2
    assert "ident" in text
