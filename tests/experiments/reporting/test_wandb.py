"""An offline W&B run, read back from its own file: nothing is asked, nothing is sent, everything is in it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BLOCK = 32768
"""W&B writes LevelDB's log format: blocks of this many bytes, records cut at their ends."""


def payloads(path: Path) -> Iterator[bytes]:
    """Yield the records of a .wandb file (LevelDB log format, after a header of 7 bytes)."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    position, parts = 7, b""
    while position + 7 <= len(data):
        room = BLOCK - position % BLOCK
        if room < 7:
            position += room
            continue
        _checksum, length, kind = struct.unpack("<IHB", data[position : position + 7])
        if length == 0 and kind == 0:
            position += room
            continue
        part = data[position + 7 : position + 7 + length]
        assert len(part) == length
        position += 7 + length
        parts += part
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def records(folder: Path) -> list[Any]:
    """Every record of the only offline run below ``folder``."""
    proto = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    (path,) = folder.glob("**/offline-run-*/run-*.wandb")
    found = []
    for payload in payloads(path):
        record = proto.Record()
        record.ParseFromString(payload)
        found.append(record)
    return found


def key_of(item: Any) -> str:
    return item.key or "/".join(item.nested_key)


def test_an_offline_run_holds_everything(run, small: str, tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    logger = {
        "class_path": "lightning.pytorch.loggers.WandbLogger",
        "init_args": {
            "save_dir": ".",
            "project": "zoo-test",
            "group": "small",
            "tags": ["tiny", "simulated"],
            "job_type": "fit",
            "name": "one",
        },
    }
    done = run(
        "fit",
        "--config",
        small,
        *tiny,
        f"--trainer.logger={json.dumps(logger)}",
        WANDB_API_KEY="",
        WANDB_DIR=str(tmp_path),
        timeout=280,
    )
    assert "wandb login" not in done.stdout + done.stderr
    found = records(tmp_path)
    (first, *_) = [r.run for r in found if r.HasField("run")]
    assert (first.project, first.run_group, first.job_type) == ("zoo-test", "small", "fit")
    assert set(first.tags) == {"tiny", "simulated"}
    assert first.display_name == "one"

    config = {key_of(u): u.value_json for u in first.config.update}
    for record in found:
        if record.HasField("config"):
            config |= {key_of(u): u.value_json for u in record.config.update}
    whole = json.loads(config["config"])
    for word in ("PhantomCohort", "ViTEncoder", "gradient_clip_val", "seed_everything"):
        assert word in whole

    items = {key_of(i): i.value_json for r in found if r.HasField("history") for i in r.history.item}
    assert {"train/loss", "val/disease/balanced_accuracy", "val/skill", "test/skill"} <= items.keys(), sorted(items)
    assert json.loads(items["report/_type"]) == "table-file"
    (file,) = tmp_path.glob(f"**/offline-run-*/files/{json.loads(items['report/path'])}")
    content = json.loads(file.read_text())
    assert content["columns"][:3] == ["task", "metric", "value"]
    assert {"disease", "expression", "vqa"} <= {row[0] for row in content["data"]}
    assert json.loads(items["report_figure/_type"]) == "images/separated"
    summary = {key_of(u) for r in found if r.HasField("summary") for u in r.summary.update}
    assert "report/disease" in summary
