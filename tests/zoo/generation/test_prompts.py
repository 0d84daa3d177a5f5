"""Prompts: what they tell, and that the diagnosis is not in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import SpecError
from zoo.generation.captioners.prompts import repair_prompt, system_prompt, user_prompt
from zoo.generation.captioners.vision_language import conversation
from zoo.generation.records.schema import record_schema_text
from zoo.generator import Condition

CLASSES = {
    "akiec": "actinic keratosis",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic nevus",
    "vasc": "vascular lesion",
}
VALUES = st.one_of(st.none(), st.floats(), st.text(st.characters(max_codepoint=127), max_size=10))


def whole(row: Condition, leaky: bool = False) -> str:
    return "\n".join(
        p.get("text", "") for turn in conversation(row, leaky_replication=leaky) for p in turn["content"]
    )


@pytest.mark.parametrize(("code", "name"), CLASSES.items())
def test_the_default_prompt_has_no_diagnosis(code: str, name: str) -> None:
    metadata = {"age": 50.0, "sex": "female", "localization": "back"}
    for label in (code, name):
        said = whole(Condition("a", metadata=metadata, label=label)).lower()
        assert name not in said
        assert code not in said.replace("(", " ").replace(",", " ").split()
        assert said == whole(Condition("a", metadata=metadata)).lower()


@settings(max_examples=30)
@given(st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=5), VALUES, max_size=4), st.text())
def test_the_default_prompt_is_the_same_whatever_the_label(metadata: dict[str, float | str], label: str) -> None:
    assert whole(Condition("a", metadata=metadata, label=label)) == whole(Condition("a", metadata=metadata))


def test_the_leaky_prompt_has_it() -> None:
    row = Condition("a", metadata={"age": 50.0}, label="melanoma")
    assert user_prompt(row, leaky_replication=True).count("melanoma") == 1
    with pytest.raises(SpecError, match=r"row 'b'.*leaky_replication"):
        user_prompt(Condition("b"), leaky_replication=True)


def test_what_is_known_is_told() -> None:
    said = user_prompt(
        Condition("a", metadata={"age": 50.0, "size": 2.5, "sex": None, "x": float("nan"), "site": "back"})
    )
    lines = ["- age: 50", "- size: 2.5", "- sex: unknown", "- x: unknown", "- site: back"]
    assert said.splitlines()[1:6] == lines
    assert "- nothing" in user_prompt(Condition("a"))


def test_the_schema_is_told() -> None:
    assert record_schema_text() in system_prompt()
    assert "age_years: got" in repair_prompt("age_years: got -1")
