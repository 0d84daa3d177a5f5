"""The audit of generated values through the command line: copies are refused, new values are not."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zoo.bundle.load
from datamodules import MultimodalDataModule
from datamodules.core.options import ProcessingOptions
from datamodules.modalities.imaging import ImageProcessor
from datamodules.sources import Table
from datamodules.sources.table import TableModality
from zoo.bundle.load import Bundle
from zoo.table_task import TableTask

TRAIN, HELDOUT = 60, 50


def picture(generator: np.random.Generator) -> np.ndarray:
    """A picture (12, 12) of its own."""
    return generator.integers(0, 256, (3, 3)).repeat(4, 0).repeat(4, 1).astype(np.uint8)


def report(generator: np.random.Generator) -> str:
    """A text of its own."""
    return " ".join(np.array([f"w{k}" for k in range(40)])[generator.integers(0, 40, 8)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tables of real rows; pictures are named without their ending."""
    found = tmp_path_factory.mktemp("real")
    generator = np.random.default_rng(0)
    (found / "images").mkdir()
    for name, first, count in (("train", 0, TRAIN), ("held_out", 1000, HELDOUT)):
        with (found / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["uid", "frontal", "report", "sick"])
            for k in range(first, first + count):
                Image.fromarray(picture(generator)).save(found / "images" / f"{k}.png")
                table.writerow([k, k, report(generator), "yes" if k % 2 else "no"])
    return found


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    """The real preprocessing of a model that was never trained."""
    data = MultimodalDataModule(
        [
            Table(
                folder=str(folder),
                file="train.csv",
                id="uid",
                group="uid",
                modalities={
                    "frontal": TableModality("image", path="images/{}.png"),
                    "report": TableModality("text"),
                },
                tasks={"sick": TableTask("classification")},
            )
        ],
        processing=ProcessingOptions(processors={"frontal": ImageProcessor(size=12, channels=1)}),
    )
    specs = {spec.name: spec for spec in data.modality_specs}
    model: Any = SimpleNamespace(modalities=specs, tasks={})
    return Bundle(folder, model, data.preprocessing(), {}, {}, {"sha256": {"weights": "0"}})


@pytest.fixture
def audit(call, folder: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """audit(values, *options): write values as generate does, and run the command on them."""
    monkeypatch.setattr(zoo.bundle.load, "load", lambda path, **options: bundle)

    def inner(values: list[dict[str, Any]], *options: str) -> tuple[int, str]:
        made = tmp_path / "made"
        (made / "images").mkdir(parents=True, exist_ok=True)
        lines = []
        for k, value in enumerate(values):
            told = dict(value)
            if isinstance(told.get("frontal"), np.ndarray):
                path = f"images/{k:06d}-0-frontal.png"
                Image.fromarray(told["frontal"]).save(made / path)
                told["frontal"] = path
            lines.append({"row": k, "id": f"new{k}", "draw": 0, "made": told, "problem": ""})
        (made / "generated.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
        result: tuple[int, str] = call(
            "audit-generated", "--made", str(made), "--model", "bundle", "--train", str(folder / "train.csv"),
            "--held-out", str(folder / "held_out.csv"), *options,
        )  # fmt: skip
        return result

    return inner


def copies(folder: Path) -> list[dict[str, Any]]:
    """Pictures and texts of training rows with slight noise."""
    generator = np.random.default_rng(1)
    with (folder / "train.csv").open() as file:
        rows = list(csv.DictReader(file))[:40]
    pictures = [np.asarray(Image.open(folder / "images" / f"{row['frontal']}.png")).astype(int) for row in rows]
    noisy = [(p + generator.integers(-4, 5, p.shape)).clip(0, 255).astype(np.uint8) for p in pictures]
    return [{"frontal": p, "report": row["report"]} for p, row in zip(noisy, rows, strict=True)]


def new(count: int = 40) -> list[dict[str, Any]]:
    """Pictures and texts of the same distribution that are nobody's."""
    generator = np.random.default_rng(2)
    return [{"frontal": picture(generator), "report": report(generator)} for _ in range(count)]


def test_copies_of_training_rows_end_in_status_1_and_are_named(audit, folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, said = audit(copies(folder))
    assert code == 1, said
    assert "exceeded: frontal: 100.0% of the made values are near copies" in said
    assert "exceeded: report: 100.0% of the made values are words of one training patient only" in said
    assert "--most-auc" in said
    told = json.loads((tmp_path / "made" / "privacy.json").read_text())
    frontal = told["modalities"]["frontal"]
    assert (frontal["n_made"], frontal["n_train"], frontal["n_heldout"]) == (40, TRAIN, HELDOUT)
    assert frontal["compared"] == "processed values"
    for pair in frontal["closest"]:  # row k was copied of training row k
        assert pair["made"] == f"row {pair['train']} (new{pair['train']}), draw 0"
    assert told["modalities"]["report"]["closest"][0]["value"] == 1.0
    assert (tmp_path / "made" / "closest.png").read_bytes().startswith(b"\x89PNG")


def test_new_values_end_in_status_0_and_empty_lines_are_counted(audit, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, said = audit([*new(), {}], "--out", str(tmp_path / "out"))
    assert code == 0, said
    assert "exceeded" not in said
    assert "1 of 41 lines of generated.ndjson hold nothing that was made" in said
    assert "membership attack, AUC" in said
    told = json.loads((tmp_path / "out" / "privacy.json").read_text())
    assert all(not m["complaints"] for m in told["modalities"].values())
    assert (tmp_path / "out" / "closest.png").exists()


def test_looser_limits_let_copies_pass(audit, folder: Path) -> None:  # type: ignore[no-untyped-def]
    pictures = [{"frontal": row["frontal"]} for row in copies(folder)]
    code, said = audit(pictures, "--most-copies", "0.99", "--most-auc", "0.99")
    assert code == 0, said


def test_a_missing_picture_and_an_unknown_modality_are_refused_with_status_2(audit) -> None:  # type: ignore[no-untyped-def]
    code, said = audit([*new(5), {"frontal": "images/gone.png"}])
    assert code == 2
    assert "names the file 'images/gone.png', which is not there" in said
    code, said = audit([*new(5), {"frontal": "../../secret.png"}])
    assert code == 2
    assert "which is not there" in said
    code, said = audit([{"lateral": "x"}])
    assert code == 2
    assert "'lateral' was made, and the model has frontal, report" in said
    code, said = audit([{}, {}])
    assert code == 2
    assert "nothing to audit" in said


def test_the_same_patients_in_both_tables_are_refused(audit, folder: Path) -> None:  # type: ignore[no-untyped-def]
    code, said = audit(new(), "--held-out", str(folder / "train.csv"))
    assert code == 2
    assert "60 units are in training and held-out rows" in said


def test_a_folder_without_anything_generated_and_missing_options_are_refused(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, said = call("audit-generated", "--made", str(tmp_path))
    assert code == 2
    assert "audit-generated needs --model" in said
    told = ("--model", "b", "--train", "t.csv", "--held-out", "h.csv")
    code, said = call("audit-generated", "--made", str(tmp_path), *told)
    assert code == 2
    assert "there is no generated.ndjson" in said
    (tmp_path / "generated.ndjson").write_text('{"row": 0}\n')
    assert "line 1 is not one that zoo generate writes" in call("audit-generated", "--made", str(tmp_path), *told)[1]
