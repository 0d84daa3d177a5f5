"""SmallDiffusion and what it is told by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from zoo.errors import DataError, SpecError
from zoo.generation.painters.conditioning import ConditionEmbedding, Conditions, described
from zoo.generation.painters.pixels import resized
from zoo.generation.painters.small_diffusion import SmallDiffusion
from zoo.generator import GENERATORS, Condition

pytest.importorskip("diffusers")
TINY = {
    "size": 8,
    "channels": [16, 16],
    "batch_size": 16,
    "sampling_steps": 5,
    "sampling_batch": 4,
    "progress": False,
}


def rows(count: int, seed: int = 0, images: bool = True) -> list[Condition]:
    """Half red, half blue."""
    random = np.random.default_rng(seed)
    made = []
    for i in range(count):
        image = random.integers(0, 40, (10, 12, 3)).astype(np.uint8)
        image[..., 2 * (i % 2)] += 200
        table = {"tint": ("red", "blue")[i % 2], "age": float(random.integers(20, 80))}
        made.append(Condition(f"r{seed}_{i}", image if images else None, table, label=("r", "b")[i % 2]))
    return made


@pytest.fixture(scope="module")
def fitted() -> SmallDiffusion:
    painter = SmallDiffusion(**TINY, steps=150, ema=0.98, learning_rate=3e-3)
    painter.fit(rows(64), 0)
    return painter


def test_pictures_follow_the_condition(fitted: SmallDiffusion) -> None:
    made = fitted.generate(rows(12, 1, images=False), 0)
    assert all(m.status == "ok" and m.value.shape == (8, 8, 3) and m.value.dtype == np.uint8 for m in made)
    colours = np.stack([m.value.reshape(-1, 3).mean(0) for m in made])
    redder = colours[:, 0] - colours[:, 2]
    assert (redder[0::2] > 60).all()
    assert (redder[1::2] < -60).all()
    assert np.isfinite(fitted.last_loss)


def test_a_picture_depends_on_its_row_alone(fitted: SmallDiffusion) -> None:
    asked = rows(7, 2, images=False)
    together = fitted.generate(asked, 3)
    for i in (0, 3, 6):
        np.testing.assert_array_equal(fitted.generate([asked[i]], 3)[0].value, together[i].value)
    assert any((a.value != b.value).any() for a, b in zip(together, fitted.generate(asked, 4), strict=True))
    assert fitted.generate([], 0) == []


def test_saved_and_loaded(fitted: SmallDiffusion, tmp_path: Path) -> None:
    fitted.save(tmp_path / "fit")
    again = SmallDiffusion(**TINY, steps=150, ema=0.98, learning_rate=3e-3)
    again.load(tmp_path / "fit")
    asked = rows(3, 5, images=False)
    for one, other in zip(fitted.generate(asked, 0), again.generate(asked, 0), strict=True):
        np.testing.assert_array_equal(one.value, other.value)
    with pytest.raises(SpecError, match=r"guidance: 2\.0 there, 3\.0 here"):
        SmallDiffusion(**TINY, steps=150, ema=0.98, learning_rate=3e-3, guidance=3.0).load(tmp_path / "fit")
    (tmp_path / "fit" / "model.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match="file: "):
        again.load(tmp_path / "fit")


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_a_fit_follows_its_seed(prediction: str) -> None:
    pictures = []
    for seed in (0, 0, 1):
        painter = SmallDiffusion(**TINY, epochs=1, prediction=prediction, flip="both", guidance=1.0)
        before = torch.get_rng_state()
        painter.fit(rows(20), seed)
        assert torch.equal(before, torch.get_rng_state())
        pictures.append(painter.generate(rows(1, images=False), 0)[0].value)
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()


def test_label_is_told_only_on_purpose() -> None:
    leaky = SmallDiffusion(**TINY, steps=2, condition_on_label=True)
    assert leaky.leaky_replication
    assert leaky.options()["condition_on_label"] is True
    leaky.fit(rows(8), 0)
    asked = rows(1, 1, images=False)[0]
    told, untold = leaky.generate([asked, Condition("x", metadata=asked.metadata)], 0)
    assert told.status == "ok"
    assert untold.status == "rejected"
    assert "label" in untold.reason
    plain = SmallDiffusion(**TINY, steps=2)
    plain.fit(rows(8), 0)
    assert not plain.leaky_replication
    pair = [Condition("x", metadata=asked.metadata, label=label) for label in ("r", "b")]
    one, other = plain.generate(pair, 0)
    np.testing.assert_array_equal(one.value, other.value)
    with pytest.raises(DataError, match=r"no label.*row: u"):
        leaky.fit([*rows(4), Condition("u", rows(1)[0].image, asked.metadata)], 0)


def test_rows_that_cannot_be_used_are_said() -> None:
    painter = SmallDiffusion(**TINY, steps=1)
    with pytest.raises(SpecError, match="after fit or load"):
        painter.generate(rows(1), 0)
    with pytest.raises(DataError, match="none of 2 training rows"):
        painter.fit(rows(2, images=False), 0)
    with pytest.warns(UserWarning, match="3 of 7 training rows have no image"):
        painter.fit([*rows(4), *rows(3, images=False)], 0)
    strange = painter.generate([Condition("n"), Condition("s", metadata={"tint": "green", "other": 1.0})], 0)
    assert [m.status for m in strange] == ["rejected", "rejected"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 65}, "size must lie"),
        ({"size": 9}, "multiple of 2"),
        ({"channels": [12]}, "multiples of 8"),
        ({"channels": []}, "multiples of 8"),
        ({"flip": "up"}, "flip 'up'"),
        ({"prediction": "x0"}, "prediction 'x0'"),
        ({"steps": 0}, "steps must be"),
        ({"drop": 0.0}, "guidance needs drop"),
        ({"ema": 1.0}, "drop and ema"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        SmallDiffusion(**TINY | options)


def test_conditions_by_hand() -> None:
    learned = Conditions.fit([{"age": 1.0, "sex": "f"}, {"age": 3.0, "sex": "m"}, {"sex": "f", "one": "same"}])
    assert learned.numbers == {"age": (2.0, 1.0)}
    assert learned.categories == {"sex": ("f", "m")}
    values, codes = learned.encode(
        [{"age": 4.0, "sex": "m"}, {"sex": "never seen"}, {"age": float("nan")}, {"age": 99}]
    )
    assert values.tolist() == [[2.0, 1.0], [0.0, 0.0], [0.0, 0.0], [5.0, 1.0]]
    assert codes.tolist() == [[2], [0], [0], [0]]
    assert Conditions.from_state(learned.state()) == learned
    few = Conditions.fit([{"c": w} for w in "aabbbc"], max_categories=2)
    assert few.categories == {"c": ("b", "a")}
    with pytest.raises(DataError, match="nothing to condition on"):
        Conditions.fit([{"a": 1.0}, {"a": 1.0}])
    with pytest.raises(SpecError, match="form that save writes"):
        Conditions.from_state({"numbers": []})


def test_embedding_hides_what_is_not_told() -> None:
    learned = Conditions.fit([{"age": 1.0, "sex": "f"}, {"age": 3.0, "sex": "m"}])
    embedding = ConditionEmbedding(learned, 8)
    out = embedding(*learned.encode([{"sex": "f"}, {"sex": "m"}, {"sex": "m"}]), torch.tensor([True, True, False]))
    assert out.shape == (3, 8)
    assert not torch.equal(out[0], out[1])
    assert torch.equal(out[2], embedding.nothing)


def test_described_keeps_what_is_known() -> None:
    row = Condition("a", metadata={"b": "x", "a": 1.0, "c": None, "d": " Unknown ", "e": float("nan")}, label="y")
    assert described(row) == {"a": 1.0, "b": "x"}
    assert described(row, ["b"], label=True) == {"b": "x", "label": "y"}
    with pytest.raises(DataError, match="row: z"):
        described(Condition("z", metadata={"label": "x"}, label="x"), label=True)


def test_pictures_of_any_form_become_square() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert resized(grey, 8).shape == (8, 8, 3)
    np.testing.assert_array_equal(resized(grey[..., None], 8), resized(grey, 8))
    assert (resized(np.full((5, 9, 3), 7, np.uint8), 4) == 7).all()


def test_registered() -> None:
    assert GENERATORS.get("SmallDiffusion").fits
