"""Two gloo processes train as one process with the same global batch does."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

SMALL = str(Path(__file__).parent / "small.yaml")


def losses(folder: Path) -> dict[str, list[float]]:
    """Column -> the logged training losses of all tasks and of each, means over five steps and all ranks."""
    (path,) = folder.glob("runs/small/version_*/metrics.csv")
    with path.open() as file:
        rows = [r for r in csv.DictReader(file) if r["train/loss"]]
    return {c: [float(r[c]) for r in rows] for c in rows[0] if c.startswith("train/")}


@pytest.mark.parametrize("weighting", ["FixedWeighting", "UncertaintyWeighting"])
def test_two_processes_equal_one(run, tmp_path: Path, weighting: str) -> None:  # type: ignore[no-untyped-def]
    common = [
        "fit",
        "--config",
        SMALL,
        "--test_after_fit=false",
        "--trainer.max_steps=10",
        "--trainer.max_epochs=-1",
        "--trainer.log_every_n_steps=5",
        f"--model.weighting={weighting}",
        "--trainer.limit_val_batches=0",
        "--model.fusion=ConcatFusion",
        "--model.fusion.init_args.dropout=0",
        "--model.encoders.image.init_args.dropout=0",
        "--model.encoders.dna.init_args.dropout=0",
        "--model.encoders.text.init_args.dropout=0",
    ]
    note = '[{"class_path": "spies.NoteBatches", "init_args": {"path": "ids"}}]'
    one, two = tmp_path / "one", tmp_path / "two"
    run(
        *common,
        "--data.sampling.batch_size=8",
        f"--trainer.default_root_dir={one}",
        f"--trainer.logger.init_args.save_dir={one}/runs",
    )
    run(
        *common,
        "--data.sampling.batch_size=4",
        "--trainer.devices=2",
        "--trainer.strategy=ddp",
        f"--trainer.callbacks={note}",
        "--test_after_fit=true",
        f"--trainer.default_root_dir={two}",
        f"--trainer.logger.init_args.save_dir={two}/runs",
    )
    assert list(two.glob("runs/small/version_*/report.json")), "the test after the fit wrote no report"
    a, b = losses(one), losses(two)
    assert a.keys() == b.keys()
    assert {"train/loss", "train/disease/loss", "train/vqa/loss"} <= a.keys()
    for column, values in a.items():
        assert len(values) == 2
        assert b[column] == pytest.approx(values, abs=1e-4), column
    notes = [(tmp_path / f"ids{r}").read_text().splitlines() for r in (0, 1)]
    assert len(notes[0]) == len(notes[1]) == 10
    lacking = 0
    for x, y in zip(*notes, strict=True):
        (ids0, none0), (ids1, none1) = x.split("|"), y.split("|")
        assert not set(ids0.split()) & set(ids1.split())
        lacking += set(none0.split()) != set(none1.split())
    assert lacking > 0, "no step in which one rank lacked a modality that the other had"
