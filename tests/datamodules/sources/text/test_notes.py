"""ClinicalNotes on made-up files."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from datamodules.sources.text.notes import ClinicalNotes, NoteColumns
from tests.options import grouped_for
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "notes.py"))["write"]


def opened(root: Path, **arguments: object) -> ClinicalNotes:
    source = ClinicalNotes(**grouped_for(ClinicalNotes, **arguments))  # type: ignore[arg-type]
    source.open(root)
    return source


@pytest.mark.parametrize("file", ["notes.csv", "notes.jsonl"])
def test_rows(tmp_path: Path, file: str) -> None:
    write(tmp_path / "notes")
    source = opened(tmp_path, file=file)
    assert len(source) == 15
    assert source.index["id"].tolist() == [f"n{i:03d}" for i in range(15)]
    assert source.index["group"].tolist() == [f"p{i // 2}" for i in range(15)]
    assert set(source.index["split"]) == {""}
    assert source.card.tasks[0].classes == ("asthma", "healthy", "pneumonia")
    sample = source.read(1)
    assert "pneumonia" in sample.inputs["text"]
    assert sample.targets == {"disease": "pneumonia"}
    assert source.peek(14).targets == {}
    assert ClinicalNotes().card.tasks[0].name == "disease"


@pytest.mark.parametrize("file", ["notes.csv", "notes.jsonl"])
def test_multilabel_and_split(tmp_path: Path, file: str) -> None:
    write(tmp_path / "notes")
    source = opened(tmp_path, file=file, label=["findings"], delimiter=";", task_name="findings", split="split")
    assert source.index["split"].tolist()[:8] == ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    for row in range(len(source)):
        sample = source.read(row)
        said = {n for n in source.card.tasks[0].classes if n in sample.inputs["text"].split("with")[1]}
        assert {n for n, value in sample.targets["findings"].items() if value} == said


def test_several_columns_lists_and_ids(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    rows = [
        {"text": "one", "a": ["x", "y"], "b": "z; y"},
        {"text": "two", "a": [], "b": None},
        {"text": " ", "a": ["q"], "b": "q"},
    ]
    (folder / "notes.jsonl").write_text("\n\n".join(json.dumps(r) for r in rows))
    settings = {
        "file": "notes.jsonl",
        "label": ["a", "b"],
        "delimiter": ";",
        "id": "",
        "group": "",
    }
    with pytest.raises(DataError, match=r"no word.*skip_empty=True.*row: 5"):
        opened(tmp_path, **settings)
    source = opened(tmp_path, skip_empty=True, **settings)
    assert source.skipped == {"the note has no word (skip_empty)": 1}
    assert [t.classes for t in source.card.tasks] == [("x", "y"), ("y", "z")]
    by_text = {s.inputs["text"]: s.targets for s in map(source.read, range(2))}
    assert by_text == {
        "one": {"a": {"x": 1, "y": 1}, "b": {"y": 1, "z": 1}},
        "two": {"a": {"x": 0, "y": 0}, "b": {"y": 0, "z": 0}},
    }


def test_bad_input(tmp_path: Path) -> None:
    for wrong in ({"file": "notes.txt"}, {"label": []}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            ClinicalNotes(**grouped_for(ClinicalNotes, **wrong))  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="classes fit one"):
        ClinicalNotes(columns=NoteColumns(label=["a", "b"]), classes=["x"])
    with pytest.raises(DataError, match="does not exist"):
        opened(tmp_path)
    write(tmp_path / "notes")
    with pytest.raises(DataError, match=r"'pneumonia' is none of the classes.*row: 3"):
        opened(tmp_path, classes=["asthma", "healthy"])
    with pytest.raises(DataError, match=r"lacks a column.*'diagnosis'"):
        opened(tmp_path, label=["diagnosis"])
    with pytest.raises(DataError, match=r"lacks the keys \['diagnosis'\].*row: 1"):
        opened(tmp_path, label=["diagnosis"], file="notes.jsonl")
    with pytest.raises(DataError, match=r"split 'p0' is unknown.*row: 2"):
        opened(tmp_path, split="patient")
    with pytest.raises(DataError, match="'p0' occurs twice"):
        opened(tmp_path, id="patient")
    with pytest.raises(DataError, match=r"file is missing.*other\.csv"):
        opened(tmp_path, file="other.csv")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b'{"id": 1', b"[1]\n", b'{"id": {}, "patient": 1, "text": "a", "label": "b"}']
)
def test_broken_lines(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "notes")
    (tmp_path / "notes" / "notes.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=r"notes\.jsonl|no rows"):
        opened(tmp_path, file="notes.jsonl")
