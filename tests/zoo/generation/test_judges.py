"""Judges: rules by hand on drawn pictures and records; the language model's path with a tiny random one."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.zoo.generation.tiny_vision_language import save_tiny
from zoo.errors import SpecError
from zoo.generation.captioners.appearance import WORDS
from zoo.generation.judges.attributes import AttributeJudge
from zoo.generation.judges.base import JUDGES, statements
from zoo.generation.judges.consistency import ConsistencyJudge
from zoo.generation.judges.language import LanguageModelJudge, judge_prompt, parse_score
from zoo.generation.records.schema import check_record
from zoo.generator import Condition, Generation

RECORD: dict[str, Any] = {
    "patient": {"age_years": 40, "sex": "male"},
    "encounter": {"encounter_type": "unknown", "site": "unknown"},
    "lesion_observation": {
        "anatomical_site": "upper back",
        "visual_findings": [],
        "size_mm": "unknown",
        "image_quality_note": "adequate",
    },
    "assessment": {"provisional_diagnosis_label": "unknown", "malignancy_risk": "unknown", "rationale": []},
    "orders": [],
}


def record(**changes: Any) -> dict[str, Any]:
    """RECORD with some fields changed, whatever part they are in."""
    made = copy.deepcopy(RECORD)
    for name, value in changes.items():
        part = next((p for p in made.values() if isinstance(p, dict) and name in p), made)
        part[name] = value
    check_record(made)
    return made


def orders(*types: str) -> list[dict[str, str]]:
    return [{"type": t, "note": "x"} for t in types]


def picture(seed: int, black: bool) -> np.ndarray:
    """A disc on skin, black or red."""
    g = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    image = np.full((64, 64, 3), (220, 180, 160), np.float64)
    image[(y - 32) ** 2 + (x - 32) ** 2 < (12 + seed % 5) ** 2] = (30, 25, 25) if black else (185, 70, 70)
    return (image + g.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8)


TRAIN = [
    Condition(
        f"t{i}", picture(i, i % 2 == 0), {"sex": "male" if i % 2 == 0 else "female", "age": 70.0 - 40 * (i % 2)}
    )
    for i in range(24)
]


@pytest.fixture(scope="module")
def judge() -> AttributeJudge:
    found = AttributeJudge(neighbours=3)
    found.fit(TRAIN)
    return found


def test_registered() -> None:
    assert JUDGES.names() == ["AttributeJudge", "ConsistencyJudge", "LanguageModelJudge"]


@pytest.mark.parametrize("name", list(WORDS))
def test_every_word_of_the_captioner_is_read(name: str) -> None:
    for level, word in enumerate(WORDS[name]):
        if word:
            assert statements(word) == {name: level}, word


def test_statements_of_free_text() -> None:
    assert statements("No irregular border; brownish") == {"border_irregularity": 0, "brown": 2}
    assert statements("light brown macule with regular borders") == {"border_irregularity": 0, "light_brown": 2}
    assert statements("blue-white veil is absent") == {"blue_grey": 2}  # a negation behind a word is not read
    assert statements("nothing of note") == {}


def test_facts_of_a_record(judge: AttributeJudge) -> None:
    known = Condition("a", None, {"age": 42.0, "sex": "male", "localization": "back"})
    assert judge.score(known, Generation(record())).score == 5.0
    wrong = judge.score(known, Generation(record(sex="female")))
    assert wrong.score == pytest.approx(1 + 4 * 2 / 3)
    assert wrong.reasons == ("sex is 'female', not 'male'",)
    assert judge.score(known, Generation(record(age_years=60, sex="female", anatomical_site="foot"))).score == 1.0
    assert judge.score(known, Generation(record(age_years="unknown"))).score == pytest.approx(1 + 4 * 2.5 / 3)
    nothing = judge.score(Condition("a", None, {"sex": None, "age": math.nan}), Generation(record()))
    assert math.isnan(nothing.score)
    assert nothing.checks == 0


def test_findings_against_the_picture(judge: AttributeJudge) -> None:
    black, red = (Condition("b", picture(50, flag)) for flag in (True, False))
    for given, says, score in (
        (black, "black areas", 5.0),
        (red, "black areas", 1.0),
        (red, "reddish", 5.0),
        (red, "no black areas", 5.0),
        (black, "no lesion found", 1.0),
        (Condition("c", np.full((40, 40, 3), 200, np.uint8)), "no lesion found", 5.0),
    ):
        found = judge.score(given, Generation(record(visual_findings=[says])))
        assert found.score in ((3.0, 5.0) if score == 5.0 else (score,)), (says, found)
    mixed = judge.score(red, Generation(record(visual_findings=["black areas", "an odd remark"])))
    assert (mixed.score, mixed.checks) == (1.0, 1)


def test_a_picture_against_its_metadata(judge: AttributeJudge) -> None:
    man = Condition("x", None, {"sex": "male", "age": 70.0})
    good, bad = (judge.score(man, Generation(picture(60, flag))) for flag in (True, False))
    assert good.score > 4.5
    assert bad.score == 1.0
    assert good.checks == 2
    assert "sex" in bad.reasons[0]
    assert math.isnan(judge.score(Condition("y", None, {"sex": None}), Generation(picture(60, True))).score)


def test_pictures_that_tell_nothing_are_not_judged() -> None:
    g = np.random.default_rng(0)
    rows = [
        Condition(str(i), g.integers(0, 256, (16, 16, 3), dtype=np.uint8), {"coin": "ab"[i % 2]}) for i in range(40)
    ]
    found = AttributeJudge()
    found.fit(rows)
    assert found._real is not None
    chance, real = found._real.reach["coin"]
    assert abs(real - chance) < 0.15
    empty = AttributeJudge()
    empty.fit([])
    assert math.isnan(empty.score(rows[0], Generation(rows[0].image)).score)


def test_misuse(judge: AttributeJudge) -> None:
    gone = judge.score(TRAIN[0], Generation(None, "rejected", "no JSON"))
    assert math.isnan(gone.score)
    assert gone.reasons == ("rejected: no JSON",)
    with pytest.raises(SpecError, match="not fitted"):
        AttributeJudge().score(TRAIN[0], Generation(record()))
    with pytest.raises(SpecError, match="reads records and pictures, got str"):
        judge.score(TRAIN[0], Generation("x"))
    with pytest.raises(SpecError, match="neighbours at least 1"):
        AttributeJudge(neighbours=0)
    with pytest.raises(SpecError, match="reads records, got ndarray"):
        ConsistencyJudge().score(TRAIN[0], Generation(TRAIN[0].image))


@pytest.mark.parametrize(
    ("changes", "score", "reason"),
    [
        ({"malignancy_risk": 0.9, "orders": orders("biopsy")}, 5.0, ""),
        ({"malignancy_risk": 0.9, "orders": orders("reassurance")}, 1.0, "reassurance is ordered"),
        ({"malignancy_risk": 0.05, "orders": orders("urgent_referral")}, 1.0, "risk is 0.05"),
        ({"malignancy_risk": 0.05, "orders": orders("biopsy")}, 3.0, "risk is 0.05"),
        ({"orders": orders("reassurance", "excision")}, 1.0, "beside"),
        ({"visual_findings": ["symmetric shape", "asymmetric shape"]}, 1.0, "findings contradict each other"),
        ({"visual_findings": ["irregular border"], "rationale": ["a regular border"]}, 1.0, "rationale and findings"),
        ({"malignancy_risk": 0.1, "visual_findings": ["asymmetric, irregular border, black"]}, 1.0, "3 concerning"),
        ({"malignancy_risk": 0.1, "provisional_diagnosis_label": "melanoma"}, 1.0, "diagnosis says 'melanoma'"),
        ({"malignancy_risk": 0.9, "rationale": ["this is not benign"]}, 5.0, ""),
    ],
)
def test_consistency(changes: dict[str, Any], score: float, reason: str) -> None:
    found = ConsistencyJudge().score(Condition("a"), Generation(record(**changes)))
    assert found.score == score, found
    assert any(reason in r for r in found.reasons) or not reason
    assert math.isnan(ConsistencyJudge().score(Condition("a"), Generation(record())).score)


def test_scores_of_answers() -> None:
    for answer, score in (
        ("The sex agrees.\nScore: 4", 4.0),
        ("score = 2.5", 2.5),
        ("**Score**: 3", 3.0),
        ("4.5", 4.5),
        ("Score: 0", None),
        ("Score: 12", None),
        ("1 and 2 agree", None),
        ("", None),
    ):
        assert parse_score(answer) == score, answer


def test_the_prompt_holds_the_label_only_on_demand() -> None:
    given = Condition("a", TRAIN[0].image, {"age": 40.0}, label="melanoma")
    assert "melanoma" not in judge_prompt(given, Generation(record()))
    assert "melanoma" in judge_prompt(given, Generation(record()), with_diagnosis=True)
    assert "40.0" in judge_prompt(given, Generation(TRAIN[1].image))
    with pytest.raises(SpecError, match="needs its label"):
        judge_prompt(TRAIN[0], Generation(record()), with_diagnosis=True)


def test_a_tiny_random_model_goes_the_whole_way(tmp_path: Path) -> None:
    tiny = LanguageModelJudge(model=str(save_tiny(tmp_path)), max_new_tokens=4, device="cpu")
    found = tiny.score(TRAIN[0], Generation(record()))
    assert math.isnan(found.score) or 1 <= found.score <= 5
    assert found.reasons
    with pytest.raises(SpecError, match="has none"):
        tiny.score(Condition("a"), Generation(record()))
    with pytest.raises(SpecError, match="was not found"):
        LanguageModelJudge(model=str(tmp_path / "none")).score(TRAIN[0], Generation(record()))
