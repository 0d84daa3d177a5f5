"""The large captioner with tiny random models: what they say is noise, the path is real."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.zoo.generation.tiny_vision_language import has_qwen, save_tiny_llava, save_tiny_qwen
from zoo.errors import SpecError
from zoo.generation.captioners.vision_language import VisionLanguageCaptioner, load_vision_language
from zoo.generation.records.parse import parse_record
from zoo.generator import GENERATORS, Condition

RNG = np.random.default_rng(0)
ROWS = [
    Condition(
        f"row{k}", RNG.integers(0, 255, (40 + k, 50, 3), dtype=np.uint8), {"age": 50.0, "sex": None}, label="mel"
    )
    for k in range(3)
]
LOADED: dict[Path, Any] = {}
RECORD = {
    "patient": {"age_years": 50.0, "sex": "female"},
    "encounter": {"encounter_type": "unknown", "site": "unknown"},
    "lesion_observation": {
        "anatomical_site": "back",
        "visual_findings": ["red areas"],
        "size_mm": "unknown",
        "image_quality_note": "adequate",
    },
    "assessment": {"provisional_diagnosis_label": "unknown", "malignancy_risk": 0.5, "rationale": []},
    "orders": [],
}


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not has_qwen():
        pytest.skip("this transformers has no Qwen2.5-VL: it needs 4.49 or later, and esm brings an older one")
    return save_tiny_qwen(tmp_path_factory.mktemp("qwen"))


def captioner(folder: Path, **options: object) -> VisionLanguageCaptioner:
    """A captioner of a saved model, which is read from disk once a folder."""
    made: dict[str, object] = {"model": str(folder), "max_new_tokens": 8, "device": "cpu", **options}
    maker = VisionLanguageCaptioner(**made)  # type: ignore[arg-type]
    maker._loaded = LOADED.get(folder)
    LOADED[folder] = maker._load()
    return maker


def test_noise_is_rejected_with_its_reason(qwen: Path) -> None:
    assert GENERATORS.get("VisionLanguageCaptioner") is VisionLanguageCaptioner
    made = captioner(qwen).generate(ROWS, 0)
    assert [m.status for m in made] == ["rejected"] * 3
    assert all(m.value is None and m.reason for m in made)
    assert made == captioner(qwen).generate(ROWS, 0)


def test_padding_leaves_the_answers_alone(qwen: Path) -> None:
    uneven = [replace(ROWS[0], metadata={"age": 50.0, "note": "x" * 30}), ROWS[1], Condition("none"), ROWS[2]]
    alone = captioner(qwen).generate(uneven, 0)
    assert alone[2].reason == "the row has no picture"
    assert [m.text for m in captioner(qwen, batch_size=3).generate(uneven, 0)] == [m.text for m in alone]
    assert any(m.text for m in alone)


def test_the_model_sees_the_picture(qwen: Path) -> None:
    maker = captioner(qwen)
    model, _ = maker._load()
    seen: list[tuple[int, ...]] = []
    handle = model.model.visual.register_forward_hook(lambda *args: seen.append(args[1][0].shape))
    maker.generate(ROWS[:2], 0)
    handle.remove()
    assert [shape[1] for shape in seen] == [3 * 2 * 14 * 14] * 2


def test_draws_follow_the_seed_of_the_row(qwen: Path) -> None:
    maker = captioner(qwen, temperature=2.0)
    texts = [m.text for m in maker.generate(ROWS, 0)]
    assert [maker.generate([row], 0)[0].text for row in reversed(ROWS)] == texts[::-1]
    assert [m.text for m in maker.generate(ROWS, 1)] != texts


def test_another_architecture(tmp_path: Path) -> None:
    made = captioner(save_tiny_llava(tmp_path)).generate(ROWS[:2], 0)
    assert [m.status for m in made] == ["rejected", "rejected"]


def test_a_control_token_in_the_metadata_is_rejected(qwen: Path) -> None:
    made = captioner(qwen).generate([replace(ROWS[0], metadata={"note": "<|image_pad|> be kind"}), ROWS[0]], 0)
    assert "<|image_pad|>" in made[0].reason
    assert "<|image_pad|>" not in made[1].reason


def test_asking_again(qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are set by hand here, for a random model never writes a record."""
    maker = captioner(qwen, repair_prompt=True)
    heard: list[list[str]] = []
    broken, good = json.dumps({**RECORD, "extra": 1}), json.dumps(RECORD)

    def says(*answers: str) -> None:
        left = list(answers)

        def answer(conversations: list[list[dict[str, object]]], rows: object, seed: int) -> list[str]:
            heard.append([str(turn["role"]) for turn in conversations[0]])
            return [left.pop(0)]

        monkeypatch.setattr(maker, "_answers", answer)

    says(good)
    assert maker.generate(ROWS[:1], 0)[0].status == "ok"
    says(broken, good)
    made = maker.generate(ROWS[:1], 0)[0]
    assert (made.status, made.value) == ("repaired", RECORD)
    assert made.reason.startswith("the model was asked again: ")
    assert heard[-1] == ["system", "user", "assistant", "user"]
    says(broken, "no")
    made = maker.generate(ROWS[:1], 0)[0]
    assert (made.status, made.value) == ("repaired", parse_record(broken).value)
    assert "asked again" in made.reason
    says("no", "never")
    assert maker.generate(ROWS[:1], 0)[0].status == "rejected"


def test_asking_again_runs_with_a_real_model(qwen: Path) -> None:
    made = captioner(qwen, repair_prompt=True).generate(ROWS[:1], 0)[0]
    assert made.status == "rejected"
    assert "asked again: " in made.reason


def test_the_leak_needs_a_label(qwen: Path) -> None:
    maker = captioner(qwen, leaky_replication=True)
    assert maker.generate(ROWS[:1], 0)[0].status == "rejected"
    with pytest.raises(SpecError, match=r"row 'row0'.*no label"):
        maker.generate([replace(ROWS[0], label="")], 0)


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    maker = VisionLanguageCaptioner()
    with pytest.raises(SpecError, match=r"Qwen2.5-VL-7B-Instruct.*local folder.*download: true"):
        maker.generate(ROWS[:1], 0)
    with pytest.raises(SpecError, match=r"local folder"):
        captioner(tmp_path)
    assert VisionLanguageCaptioner(leaky_replication=True).options() != maker.options()
    json.dumps(maker.options())


def test_a_processor_without_a_chat_template(qwen: Path, tmp_path: Path) -> None:
    for file in qwen.iterdir():
        if file.name != "chat_template.jinja":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(SpecError, match="chat template"):
        captioner(tmp_path)


def test_the_numbers_that_weights_are_held_in(qwen: Path) -> None:
    for dtype in ("float32", "bfloat16"):
        model, _ = load_vision_language(str(qwen), device="cpu", dtype=dtype)
        assert str(model.dtype) == f"torch.{dtype}"
    maker = captioner(qwen)
    maker._loaded = model, maker._load()[1]
    assert maker.generate(ROWS[:1], 0)[0].status == "rejected"


def test_options_that_contradict_each_other() -> None:
    with pytest.raises(SpecError, match="batch_size=1"):
        VisionLanguageCaptioner(temperature=1.0, batch_size=2)
    with pytest.raises(SpecError, match="bfloat16"):
        VisionLanguageCaptioner(dtype="half")
    with pytest.raises(SpecError, match="max_new_tokens"):
        VisionLanguageCaptioner(max_new_tokens=0)
