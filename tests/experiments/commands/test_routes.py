"""The parts of the command routes: ranks, retrieval, the classifier of images, and lines of tables by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.commands.routes import tables
from experiments.commands.routes.probes import ImageProbe
from experiments.commands.routes.rows import Rows, chunks
from zoo.contract import Batch
from zoo.evaluation.generated.agreement import UNKNOWN


def rows(n: int, labels: np.ndarray) -> Rows:
    batch = Batch(
        {"a": torch.arange(n).float().view(n, 1)}, {"a": torch.ones(n).bool()}, {}, {}, {}, tuple(map(str, range(n)))
    )
    return Rows(batch, [f"patient:{k // 2}" for k in range(n)], labels)


def test_rows_that_are_as_near_share_their_places() -> None:
    same = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert tables.ranks(same, same).tolist() == [0.5, 0.5, 0.0]
    other = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    assert tables.ranks(same, other).tolist() == [2.0, 0.5, 1.5]


def test_recall_stands_beside_what_chance_gives() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(40, 8, generator=generator), dim=1)
    table = tables.prompt_table({"a": x, "b": x.roll(1, 0)}, [str(k) for k in range(40)], 50)
    assert [r["chance"] for r in table.rows] == [0.25, 0.25]
    assert abs(table.rows[0]["value"] - 0.25) < 0.2
    own = tables.prompt_table({"a": x, "b": x}, [str(k) for k in range(40)], 50)
    assert own.rows[0]["value"] == 1.0
    assert own.rows[0]["value_low"] < 1.0


def test_the_classifier_reads_real_images_and_not_those_of_other_rows() -> None:
    rng = np.random.default_rng(0)
    labels = np.stack([np.arange(200) % 2, np.full(200, UNKNOWN)], 1)
    labels[:3, 1] = 1  # too few to learn from
    real = rng.normal(size=(200, 30))
    real[:, 0] += 6 * labels[:, 0]
    probe = ImageProbe.fit(real, labels)
    assert list(probe.models) == [0]
    assert probe.features(real).shape == (200, 30)
    test = rows(80, labels[:80])
    line = tables.image_row("x", real[:80], real[:80], test, probe, ["a", "b"], 50)
    assert line["value"] == pytest.approx(line["real"])
    assert float(line["value"]) > 0.95  # type: ignore[arg-type]
    assert line["scored"] == "a"
    moved = tables.image_row("x", np.roll(real[:80], 1, 0), real[:80], test, probe, ["a", "b"], 50)
    assert float(moved["value"]) < 0.1  # type: ignore[arg-type]
    assert float(moved["frechet"]) == pytest.approx(float(line["frechet"]), rel=0.5)  # type: ignore[arg-type]


def test_images_without_labels_have_a_distance_alone() -> None:
    real = np.random.default_rng(0).normal(size=(60, 12))
    labels = np.full((60, 1), UNKNOWN)
    line = tables.image_row("x", real, real, rows(60, labels), ImageProbe.fit(real, labels), ["a"], 20)
    assert "value" not in line
    assert "frechet" in line


def test_texts_stand_beside_a_constant_one() -> None:
    real = ["the heart is enlarged", "no acute disease"] * 30
    made = {"constant": ["no acute disease"] * 60, "copy": list(real), "turned": real[1:] + real[:1]}
    table = tables.text_table("report", made, real, rows(60, np.zeros((60, 0), dtype=np.int64)), 50)
    lines = {r["route"]: r for r in table.rows}
    assert lines["constant"]["normal"] == pytest.approx(0.5)
    assert lines["copy"]["normal"] == lines["copy"]["bleu1"] == 1.0
    assert lines["turned"]["normal"] == 0.0
    assert lines["copy"]["f1"] == 1.0
    assert lines["copy"]["distinct"] == pytest.approx(2 / 60)


def test_words_that_differ_are_counted_where_either_text_has_some() -> None:
    a, b = torch.tensor([[5, 6, 0, 0]]), torch.tensor([[5, 7, 8, 0]])
    assert tables.word_errors(a, b) == pytest.approx(2 / 3)
    assert tables.retrieved(torch.eye(3), torch.eye(3).roll(1, 0)) == [1, 2, 0]


def test_chunks_hold_every_row_once() -> None:
    parts = chunks(rows(7, np.zeros((7, 0), dtype=np.int64)).batch, 3)
    assert [len(p) for p in parts] == [3, 3, 1]
    assert torch.cat([p.inputs["a"] for p in parts]).flatten().tolist() == list(range(7))
