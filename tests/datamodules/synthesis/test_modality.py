"""Generated modalities: learned from training rows alone, never from a row itself, resumable, and leak-free."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.core.options import LoadingOptions, ProcessingOptions
from datamodules.core.prepare import prepare
from datamodules.core.query import Pipeline
from datamodules.core.view import PipelineView
from datamodules.modalities.imaging import ImageProcessor
from datamodules.modalities.tabular import TabularProcessor
from datamodules.sources import HAM10000
from datamodules.synthesis.base import GeneratorInputs
from datamodules.synthesis.modality import GeneratedModality
from datamodules.synthesis.rows import GeneratedRows
from zoo.errors import DataError, SpecError, UnknownNameError
from zoo.generator import Condition, Generation, Generator

WRITE = runpy.run_path(str(Path(__file__).parents[2] / "data" / "ham10000.py"))["write"]


CALLS: list[str] = []
"""Rows that Notes was asked for, in order; the pipeline works with copies of a generator."""


class Notes(Generator):
    """Writes down what it was told, as columns of a table."""

    makes = "tabular"
    processor = "RecordProcessor"
    fits = True

    def __init__(self, *, leaky_replication: bool = False, stop_after: int = 0, reject: str = "") -> None:
        self.leaky_replication, self.stop_after, self.reject = leaky_replication, stop_after, reject
        self.learned: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        return {"leaky": self.leaky_replication}

    def fit(self, rows: Sequence[Condition], seed: int) -> None:
        assert all(r.label for r in rows)
        self.learned = tuple(r.id for r in rows)

    def generate(self, rows: Sequence[Condition], seed: int) -> list[Generation]:
        made = []
        for row in rows:
            if self.stop_after and len(CALLS) >= self.stop_after:
                raise KeyboardInterrupt
            CALLS.append(row.id)
            if self.reject and row.id.endswith(self.reject):
                made.append(Generation(None, "rejected", "asked for"))
                continue
            image = row.image
            assert image is not None
            value = {"own": str(row.id in self.learned), "label": row.label, "learned": float(len(self.learned))}
            made.append(Generation({**value, "mean": float(image.mean()), "names": "|".join(self.learned)}))
        return made


class Blue(Generator):
    """Paints every picture blue."""

    makes = "image"
    condition_on_label = False

    def options(self) -> dict[str, Any]:
        return {}

    def generate(self, rows: Sequence[Condition], seed: int) -> list[Generation]:
        return [Generation(np.full((8, 8, 3), (0, 0, 255), np.uint8)) for _ in rows]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "ham10000").mkdir()
    WRITE(tmp_path / "ham10000", n=42)
    return tmp_path


def prepared(root: Path, **generated: Any) -> Pipeline:
    processors = {"dermoscopy": ImageProcessor(size=8, channels=3)}
    processors |= {n: TabularProcessor(max_categories=1000) for n, g in generated.items() if "ote" in n}
    return prepare([HAM10000()], root=root, processing=ProcessingOptions(processors=processors, generated=generated))


def notes(generator: Notes | None = None, **options: Any) -> GeneratedModality:
    return GeneratedModality(
        generator or Notes(),
        inputs=GeneratorInputs(image="dermoscopy", metadata="clinical", label="disease"),
        **options,
    )


def values(pipe: Pipeline, split: str, name: str = "note") -> dict[str, Any]:
    return {pipe.join.id(r): pipe.dataset.raw(r).inputs[name] for r in pipe.rows[split].tolist()}


def test_no_row_is_described_by_a_generator_that_learned_from_it_or_its_group(root: Path) -> None:
    pipe = prepared(root, note=notes(folds=3))
    group = pipe.join.table.set_index("id")["group"]
    train = {pipe.join.id(r) for r in pipe.rows["train"].tolist()}
    for name, value in values(pipe, "train").items():
        learned = set(value["names"].split("|"))
        assert value["own"] == "False"
        assert learned < train
        assert group[name] not in set(group[list(learned)])
    for split in ("val", "test"):
        for value in values(pipe, split).values():
            assert set(value["names"].split("|")) == train


def test_without_folds_training_rows_are_described_by_what_learned_from_them(root: Path) -> None:
    pipe = prepared(root, note=notes(folds=0))
    assert {v["own"] for v in values(pipe, "train").values()} == {"True"}


def test_labels_are_told_only_where_it_leaks_on_purpose(root: Path) -> None:
    assert {
        v["label"] for s in ("train", "val", "test") for v in values(prepared(root, note=notes()), s).values()
    } == {""}
    leaky = prepared(root, note=notes(Notes(leaky_replication=True)))
    assert all(v["label"] for v in values(leaky, "test").values())
    assert "LEAKS" in leaky.generated["note"].describe()


def test_labels_of_the_test_split_change_no_encoding(root: Path) -> None:
    """Poison: other diagnoses and images of test rows; training and validation are encoded as before."""
    clean = prepared(root, note=notes())
    table = root / "ham10000" / "HAM10000_metadata.csv"
    ids = {clean.join.id(r).split("/")[-1] for r in clean.rows["test"].tolist()}
    splits = {clean.join.id(r): s for s, rows in clean.rows.items() for r in rows.tolist()}
    lines = table.read_text().splitlines()
    poisoned = []
    for line in lines:
        cells = line.split(",")
        if cells[1] in ids:
            cells[4], cells[6] = "130.0", "scalp"
        poisoned.append(",".join(cells))
    table.write_text("\n".join(poisoned) + "\n")
    other = prepared(root, note=notes())
    assert {other.join.id(r): s for s, rows in other.rows.items() for r in rows.tolist()} == splits
    for split in ("train", "val"):
        for row in clean.rows[split].tolist():
            first, second = clean.dataset.processed(row), other.dataset.processed(row)
            for name in first.inputs:
                assert np.array_equal(first.inputs[name].numpy(), second.inputs[name].numpy()), name
    assert clean.modality_specs == other.modality_specs


def test_a_killed_run_goes_on_and_makes_no_row_twice(root: Path) -> None:
    cache = str(root / "cache")
    whole = prepared(root, note=notes(cache=str(root / "other")))
    CALLS.clear()
    with pytest.raises(KeyboardInterrupt):
        prepared(root, note=notes(Notes(stop_after=35), cache=cache))
    interrupted = list(CALLS)
    CALLS.clear()
    pipe = prepared(root, note=notes(cache=cache))
    again = list(CALLS)
    kept = {k for k in interrupted if k not in again}
    assert kept, "what was finished before the stop was kept"
    assert len(again) + len(kept) == 42
    for split in ("train", "val", "test"):
        assert values(pipe, split) == values(whole, split)
    CALLS.clear()
    third = prepared(root, note=notes(cache=cache))
    assert CALLS == []
    assert values(third, "test") == values(whole, "test")


def test_ranks_and_runs_that_share_a_cache_make_each_row_once(root: Path) -> None:
    CALLS.clear()
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: prepared(root, note=notes(cache=str(root / "cache"))), range(2)))
    assert sorted(CALLS) == sorted({*CALLS})
    assert len(CALLS) == 42
    assert values(both[0], "test") == values(both[1], "test")


def test_rejected_rows_lack_the_modality_and_are_counted(root: Path) -> None:
    pipe = prepared(root, note=notes(Notes(reject="5")))
    lacking = [r for rows in pipe.rows.values() for r in rows.tolist() if not pipe.availability.present["note"][r]]
    assert {pipe.join.id(r)[-1] for r in lacking} == {"5"}
    assert pipe.generated["note"].counts["rejected"] == len(lacking) == 4
    assert pipe.generated["note"].reasons == {"asked for": 4}
    assert all("note" not in pipe.dataset.raw(r).inputs for r in lacking)
    alone = prepare(
        [HAM10000()],
        root=root,
        modalities=["note"],
        processing=ProcessingOptions(
            generated={"note": notes(Notes(reject="5"))}, processors={"note": TabularProcessor(max_categories=1000)}
        ),
    )
    assert sum(len(r) for r in alone.rows.values()) == 38, "rows without anything that was asked for are left out"
    assert [s.name for s in alone.modality_specs] == ["note"]


def test_a_generated_modality_informs_the_tasks_of_what_it_is_made_of(root: Path) -> None:
    pipe = prepared(root, note=notes())
    assert pipe.task_specs[0].modalities == ("dermoscopy", "clinical", "note")
    view = PipelineView(pipe, modalities=["clinical", "note"])
    assert [s.name for s in view.modality_specs] == ["clinical", "note"]


def test_a_generator_reads_images_as_they_are_on_disk(root: Path) -> None:
    """What is made of a row must not depend on the size of the network's images."""
    plain = prepare(
        [HAM10000()],
        root=root,
        processing=ProcessingOptions(processors={"dermoscopy": ImageProcessor(size=8, channels=3)}),
    )
    assert plain.sources[0].image_size == 8
    assert prepared(root, note=notes()).sources[0].image_size == 0
    more = GeneratedRows(Blue(), modality="dermoscopy", inputs=GeneratorInputs(metadata="clinical"))
    assert prepared(root, more=more).sources[0].image_size == 0


def test_further_rows_replace_images_of_training_rows_alone(root: Path) -> None:
    more = GeneratedRows(Blue(), modality="dermoscopy", inputs=GeneratorInputs(metadata="clinical"), share=0.5)
    pipe = prepared(root, more=more)
    blue = ImageProcessor(size=8, channels=3)
    blue.fit(pipe.raw_modalities["dermoscopy"], [np.zeros((8, 8, 3), np.uint8)])
    expected = blue(np.full((8, 8, 3), (0, 0, 255), np.uint8))
    seen = []
    for row in pipe.rows["train"].tolist():
        for epoch in range(8):
            sample = pipe.dataset[(row, epoch)]
            seen.append(bool((sample.inputs["dermoscopy"] == expected).all()))
            same = pipe.dataset[(row, epoch)]
            assert (same.inputs["dermoscopy"] == sample.inputs["dermoscopy"]).all()
    assert 0.35 < np.mean(seen) < 0.65
    for row in [*pipe.rows["val"].tolist(), *pipe.rows["test"].tolist(), *pipe.rows["train"].tolist()]:
        assert not bool((pipe.dataset[(row, -1)].inputs["dermoscopy"] == expected).all())
    for row in [*pipe.rows["val"].tolist(), *pipe.rows["test"].tolist()]:
        assert not bool((pipe.dataset[(row, 3)].inputs["dermoscopy"] == expected).all())


def test_a_share_of_one_shows_generated_images_alone_and_of_none_makes_nothing(root: Path) -> None:
    alone = prepared(
        root,
        more=GeneratedRows(Blue(), modality="dermoscopy", inputs=GeneratorInputs(metadata="clinical"), share=1.0),
    )
    row = int(alone.rows["train"][0])
    assert len({float(alone.dataset[(row, e)].inputs["dermoscopy"].mean()) for e in range(4)}) == 1
    none = prepared(
        root,
        more=GeneratedRows(Blue(), modality="dermoscopy", inputs=GeneratorInputs(metadata="clinical"), share=0.0),
    )
    assert not none.generated["more"].counts


def test_bad_options_say_what_to_do(root: Path) -> None:
    with pytest.raises(SpecError, match="folds must be 0"):
        notes(folds=1)
    with pytest.raises(SpecError, match=r"name the task under inputs\.label"):
        GeneratedModality(Notes(leaky_replication=True), inputs=GeneratorInputs(image="dermoscopy"))
    with pytest.raises(SpecError, match="reads nothing"):
        GeneratedModality(Notes(), inputs=GeneratorInputs())
    told = Blue()
    told.condition_on_label = True
    with pytest.raises(SpecError, match="rows that are evaluated"):
        GeneratedModality(told, inputs=GeneratorInputs(metadata="clinical"))
    with pytest.raises(UnknownNameError, match="did you mean 'dermoscopy'"):
        prepared(root, note=GeneratedModality(Notes(), inputs=GeneratorInputs(image="dermoscopi")))
    with pytest.raises(SpecError, match="rename it"):
        prepare([HAM10000()], root=root, processing=ProcessingOptions(generated={"clinical": notes()}))
    with pytest.raises(SpecError, match=r"data\.loading\.index"):
        prepare(
            [HAM10000()],
            root=root,
            loading=LoadingOptions(index=str(root / "i")),
            processing=ProcessingOptions(generated={"note": notes()}),
        )
    with pytest.raises(SpecError, match="share must lie"):
        GeneratedRows(Blue(), modality="dermoscopy", inputs=GeneratorInputs(metadata="clinical"), share=1.5)
    with pytest.raises(SpecError, match="groups of training rows"):
        prepared(root, note=notes(folds=40))


def test_a_generator_without_training_rows_says_so(root: Path) -> None:
    class Painter(Blue):
        fits = True

    with pytest.raises(DataError, match="no training row to learn from"):
        GeneratedModality(Painter(), inputs=GeneratorInputs(metadata="clinical", learns_from="x")).lessons(
            prepared(root).dataset, [0, 1]
        )


def test_what_a_generator_draws_by_rules_makes_its_rows_simulated(root: Path) -> None:
    class Drawn(Blue):
        simulated = True

    pipe = prepared(root, picture=GeneratedModality(Drawn(), inputs=GeneratorInputs(metadata="clinical"), folds=0))
    assert pipe.source_simulated == (True,)
    assert PipelineView(pipe, modalities=["clinical", "dermoscopy"]).source_simulated == (False,)
    assert PipelineView(pipe, modalities=["clinical", "picture"]).source_simulated == (True,)
    assert "simulated" in pipe.generated["picture"].describe()
