"""TextToImagePainter through a real pipeline of tiny random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.zoo.generation.tiny_text_to_image import write_pipeline
from zoo.errors import DataError, SpecError
from zoo.generation.painters.text_to_image import TextToImagePainter
from zoo.generator import GENERATORS, Condition

pytest.importorskip("diffusers")
SEA = Condition("a", metadata={"biome": "marine", "depth_m": 12.5, "ph": None, "site": "unknown"})
SOIL = Condition("b", metadata={"biome": "soil", "depth_m": 0.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("pipeline")
    write_pipeline(path)
    return str(path)


def painter(folder: str, **options: object) -> TextToImagePainter:
    return TextToImagePainter(**{"model": folder, "steps": 2, "progress": False} | options)


def test_a_row_has_the_same_picture_whatever_is_drawn_with_it(folder: str) -> None:
    first, second = painter(folder).generate([SEA, SOIL], 42)
    assert first.value.shape == (16, 16, 3)
    assert first.value.dtype == np.uint8
    assert first.status == "ok"
    (alone,) = painter(folder).generate([SOIL], 42)
    np.testing.assert_array_equal(alone.value, second.value)
    (other_seed,) = painter(folder).generate([SOIL], 43)
    assert (other_seed.value != second.value).any()
    twin = Condition("b", metadata=SEA.metadata)  # the same noise, another prompt
    assert (painter(folder).generate([twin], 42)[0].value != second.value).any()


def test_size_steps_and_guidance_reach_the_pipeline(folder: str) -> None:
    (wide,) = painter(folder, height=16, width=24).generate([SEA], 0)
    assert wide.value.shape == (16, 24, 3)
    (weak,) = painter(folder, guidance=1.5).generate([SEA], 0)
    (strong,) = painter(folder).generate([SEA], 0)
    assert (weak.value != strong.value).any()


def test_a_prompt_that_would_be_cut_is_rejected(folder: str) -> None:
    (made,) = painter(folder).generate([Condition("a", metadata={"note": "long " * 80})], 0)
    assert made.status == "rejected"
    assert "of which the pipeline reads 256" in made.reason


def test_prompt_tells_what_is_known_and_never_the_label() -> None:
    labelled = Condition("a", metadata=SEA.metadata, label="SECRET")
    text = TextToImagePainter(model="x").prompt(labelled)
    assert text.startswith("biome: marine; depth m: 12.5. ")
    assert "SECRET" not in text
    some = TextToImagePainter(model="x", template="{biome} at {ph}, {description}", columns=["depth_m"])
    assert some.prompt(labelled) == "marine at unknown, depth m: 12.5"
    assert TextToImagePainter(model="x", template="{ph}").prompt(SEA) == ""
    with pytest.raises(DataError, match=r"column 'label'.*row: a"):
        some.prompt(Condition("a", metadata={"label": "SECRET"}))


def test_label_is_told_on_purpose_only() -> None:
    leaky = TextToImagePainter(model="x", template="{label}: {description}", leaky_replication=True)
    assert leaky.prompt(Condition("a", metadata={"biome": "soil"}, label="mel")) == "mel: biome: soil"
    assert leaky.options()["leaky_replication"] is True
    (made,) = leaky.generate([SOIL], 0)
    assert made.status == "rejected"
    assert "no label" in made.reason
    with pytest.raises(SpecError, match="leaky_replication is False"):
        TextToImagePainter(model="x", template="{label} {description}")
    with pytest.raises(SpecError, match="leaky_replication is True"):
        TextToImagePainter(model="x", leaky_replication=True)


def test_prompt_reads_a_record_without_its_diagnosis() -> None:
    record = {
        "patient": {"age_years": 61, "sex": "female"},
        "encounter": {"encounter_type": "unknown", "site": "unknown"},
        "lesion_observation": {
            "anatomical_site": "back",
            "visual_findings": ["blue veil"],
            "size_mm": "unknown",
            "image_quality_note": "unknown",
        },
        "assessment": {"provisional_diagnosis_label": "mel", "malignancy_risk": 0.5, "rationale": ["SECRET"]},
        "orders": [],
    }
    text = TextToImagePainter(model="x", template="{description}").prompt(Condition("a", record=record))
    assert "sex: female" in text
    assert "blue veil" in text
    assert "mel" not in text
    assert "SECRET" not in text


def test_a_row_that_knows_nothing_is_rejected_before_any_pipeline_is_read() -> None:
    made = TextToImagePainter(model="nowhere").generate([Condition("a"), Condition("b", metadata={"x": None})], 0)
    assert [m.status for m in made] == ["rejected", "rejected"]
    assert all(m.value is None and m.reason for m in made)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, "dtype 'int8'"),
        ({"steps": 0}, "steps must be 1"),
        ({"template": "a photograph"}, "names no column"),
        ({"template": "{a.b}"}, "plain names"),
        ({"template": "{a:>9}"}, "plain names"),
        ({"template": "{a"}, "cannot be read"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        TextToImagePainter(**{"model": "x"} | options)


def test_a_missing_pipeline_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"not on this machine.*download: true"):
        TextToImagePainter(model="nobody/nothing").generate([SEA], 0)
    with pytest.raises(SpecError, match="local folder without"):
        TextToImagePainter(model=str(tmp_path)).generate([SEA], 0)


def test_registered() -> None:
    assert GENERATORS.get("TextToImagePainter").makes == "image"
