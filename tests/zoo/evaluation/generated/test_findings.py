"""The labeler of reports: cues, scopes, statements of health, scores by hand, and agreement with manual labels."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import DataError, UnknownNameError
from zoo.evaluation.generated.findings.labeler import FindingsLabeler
from zoo.evaluation.generated.findings.rules import FINDINGS, OTHER, RULES, Value
from zoo.evaluation.generated.findings.scopes import sentences
from zoo.evaluation.generated.findings.scores import positive, score_findings
from zoo.evaluation.generated.findings.validation import half_of, validate

LABELER = FindingsLabeler()
P, N, U, X = Value.POSITIVE, Value.NEGATIVE, Value.UNCERTAIN, Value.UNMENTIONED


@pytest.mark.parametrize(
    ("report", "finding", "value"),
    [
        ("Small left pleural effusion.", "Effusion", P),
        ("No pleural effusion.", "Effusion", N),
        ("There is no pneumothorax or pleural effusion.", "Effusion", N),
        ("Effusion, pneumothorax and consolidation are not seen.", "Consolidation", N),
        ("The effusion has resolved.", "Effusion", N),
        ("Lungs are free of infiltrates.", "Opacity", N),
        ("Pleural effusion cannot be excluded.", "Effusion", U),
        ("Cannot exclude pneumonia.", "Pneumonia", U),
        ("Opacity may represent pneumonia.", "Pneumonia", U),
        ("Opacity may represent pneumonia.", "Opacity", P),
        ("Atelectasis versus scarring.", "Atelectasis", U),
        ("No effusion but a nodule is seen.", "Lesion", P),
        ("No effusion but a nodule is seen.", "Effusion", N),
        ("No cardiomegaly with small bilateral effusions.", "Effusion", P),
        ("No significant interval change in the effusion.", "Effusion", P),
        ("History of pneumonia.", "Pneumonia", X),
        ("Pericardial effusion.", "Effusion", X),
        ("Subcutaneous emphysema.", "Emphysema", X),
        ("Mass effect on the trachea.", "Lesion", X),
        ("The heart is mildly enlarged.", "Cardiomegaly", P),
        ("The heart is not enlarged.", "Cardiomegaly", N),
        ("Heart size is within normal limits.", "Cardiomegaly", N),
        ("No focal opacity, normal heart size.", "Cardiomegaly", N),
        ("Heart size is at the upper limits of normal.", "Cardiomegaly", U),
        ("Borderline heart size.", "Cardiomegaly", U),
        ("Noncalcified nodule.", "Granuloma", X),
        ("Calcified granuloma.", "Granuloma", P),
        ("Flattening of the diaphragms.", "Emphysema", U),
        ("Blunting of the left costophrenic angle.", "Effusion", U),
        ("Right PICC tip in the SVC.", "Device", P),
        ("The chest tube has been removed.", "Device", N),
        ("Left lower lobe consolidation.", "Opacity", P),
        ("No consolidation.", "Opacity", X),
        ("Nodule of 2.5 cm. No effusion.", "Effusion", N),
        ("Effusion. No effusion.", "Effusion", P),
        ("The lungs are clear.", "Effusion", X),
    ],
)
def test_one_sentence(report: str, finding: str, value: Value) -> None:
    assert LABELER.label(report)[finding] == value


@pytest.mark.parametrize(
    ("report", "value"),
    [
        ("Heart size is normal. Lungs are clear. No effusion.", P),
        ("Heart size is normal. Degenerative changes of the spine.", N),
        ("Heart size is normal. No degenerative changes.", P),
        ("Possible nodule.", N),
        ("", X),
        ("  \n", X),
    ],
)
def test_normal_is_what_nothing_speaks_against(report: str, value: Value) -> None:
    assert LABELER.label(report)["Normal"] == value


def test_letters_of_any_case_and_broken_lines_are_read_alike() -> None:
    words = "There is NO  pleural\neffusion.\n1. Cardiomegaly.\n2. No pneumothorax"
    labels = LABELER.label(words)
    assert (labels["Cardiomegaly"], labels["Pneumothorax"]) == (P, N)
    assert sentences("Size 2.5 cm.Clear lungs") == ["size 2.5 cm", "clear lungs"]


def test_mentions_name_the_words_and_the_sentence() -> None:
    found = LABELER.mentions("Heart normal. No nodule; no mass.")
    assert [(m.finding, m.value, m.words) for m in found] == [
        ("Cardiomegaly", N, "heart normal"),
        ("Lesion", N, "nodule"),
        ("Lesion", N, "mass"),
    ]
    assert found[2].sentence == "no mass"


def test_every_finding_has_a_rule_and_every_rule_a_finding() -> None:
    assert {r.finding for r in RULES} == {*FINDINGS, OTHER} - {"Normal"}
    assert LABELER.matrix([]).shape == (0, 13)


@given(st.text(alphabet="no effusion.,;?\nwith heart 1", max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_is_read(report: str) -> None:
    labels = LABELER.label(report)
    assert list(labels) == list(FINDINGS)
    assert LABELER.label(f"Pneumothorax. {report}")["Pneumothorax"] == P


def test_scores_by_hand() -> None:
    truth = [[1, 0], [1, 0], [0, 0], [0, 1]]
    said = [[1, 0], [0, 0], [1, 0], [0, 0]]
    found = score_findings(said, truth, names=("a", "b"), fewest=1, resamples=50)
    a, b = found.findings
    assert (a.precision.value, a.recall.value, a.f1.value) == (0.5, 0.5, 0.5)
    assert (a.positives, a.predicted, a.n) == (2, 2, 4)
    assert a.chance == pytest.approx(0.5)  # a random order has one hit of two on average
    assert a.always == pytest.approx(2 / 3)
    assert math.isnan(b.precision.value)
    assert (b.recall.value, b.f1.value) == (0.0, 0.0)
    assert found.macro.value == 0.25
    assert found.micro.value == pytest.approx(2 * 1 / (2 + 2 + 0 + 1))
    assert found.micro_chance == pytest.approx(2 * 1 / 5)


def test_what_is_unknown_enters_nothing() -> None:
    truth, said = np.array([[1], [0], [1], [0]]), np.array([[1], [1], [0], [0]])
    known = np.array([[1], [1], [0], [1]])
    found = score_findings(said, truth, known=known, names=("a",), fewest=1, resamples=0)
    part = score_findings(said[[0, 1, 3]], truth[[0, 1, 3]], names=("a",), fewest=1, resamples=0)
    assert (found.findings[0].n, found.findings[0].positives) == (3, 1)
    assert found.macro.value == part.macro.value
    assert found.macro_chance == pytest.approx(part.macro_chance)
    assert found.micro_chance == pytest.approx(part.micro_chance)


def test_chance_is_the_mean_over_orders() -> None:
    generator = np.random.default_rng(0)
    said, truth = (generator.random((200, 2)) < p for p in ([0.2, 0.6], [0.4, 0.3]))
    found = score_findings(said, truth, names=("a", "b"), resamples=0)
    orders = [
        score_findings(said[generator.permutation(200)], truth, names=("a", "b"), resamples=0) for _ in range(300)
    ]
    assert np.mean([o.macro.value for o in orders]) == pytest.approx(found.macro_chance, abs=0.01)
    assert np.mean([o.micro.value for o in orders]) == pytest.approx(found.micro_chance, abs=0.01)


def test_rare_findings_are_named_and_enter_no_average() -> None:
    truth = np.zeros((50, 2), dtype=bool)
    truth[:25, 0] = True
    truth[:3, 1] = True
    found = score_findings(truth, truth, names=("often", "rare"))
    assert found.scored == ("often",)
    assert found.left_out == {"rare": 3}
    assert found.macro.value == 1.0
    assert found.macro.low < 1.0
    assert math.isnan(score_findings(truth, truth, names=("often", "rare"), fewest=99).macro.value)


def test_what_cannot_be_scored_is_said() -> None:
    with pytest.raises(DataError, match=r"true findings must be \(N, 13\) .* got shape \(2, 12\)"):
        score_findings(np.zeros((2, 13)), np.zeros((2, 12)))
    with pytest.raises(DataError, match=r"must be True or False, got \[-1"):
        score_findings(np.full((2, 13), -1), np.zeros((2, 13)))
    with pytest.raises(DataError, match="2 predicted, 3 true and 3 known rows"):
        score_findings(np.zeros((2, 13)), np.zeros((3, 13)))
    with pytest.raises(DataError, match="1 units were given for 2 rows"):
        score_findings(np.zeros((2, 13)), np.zeros((2, 13)), units=["a"])


def write_table(folder: Path, rows: list[tuple[str, str, str, list[int]]]) -> Path:
    lines = [",".join(["uid", "MeSH", "findings", "impression", *FINDINGS])]
    lines += [",".join([name, mesh, text, "", *map(str, labels)]) for name, mesh, text, labels in rows]
    file = folder / "index.csv"
    file.write_text("\n".join(lines))
    return file


def test_a_table_is_validated_without_rows_of_unknown_labels(tmp_path: Path) -> None:
    normal, effusion = [0] * 12 + [1], [0] * 4 + [1] + [0] * 8
    rows = [(f"{k}", "normal", "No effusion.", normal) for k in range(8)]
    rows += [("8", "x", "Effusion.", effusion), ("9", "No Indexing", "Effusion.", normal), ("10", "x", "", normal)]
    file = write_table(tmp_path, rows)
    found = validate(file, half="all", resamples=20)
    assert (found.rows, found.unknown, found.empty) == (10, 1, 1)
    by_name = {s.finding: s for s in found.strict.findings}
    assert by_name["Effusion"].f1.value == 1.0
    assert by_name["Normal"].recall.value == pytest.approx(8 / 9)
    halves = [validate(file, half=half, resamples=0).rows for half in ("development", "evaluation")]
    assert sum(halves) == 10
    out = subprocess.run(
        [sys.executable, "-m", "zoo.evaluation.generated.findings", str(file), "--half", "all"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "10 rows; 1 of unknown labels left out; 1 without a report" in out


def test_tables_that_cannot_be_validated_are_named(tmp_path: Path) -> None:
    file = write_table(tmp_path, [("1", "normal", "x", [2] * 13)])
    with pytest.raises(DataError, match=r"labels must be 0 or 1 .*index\.csv\] \[row: 1\]"):
        validate(file, half="all")
    with pytest.raises(DataError, match=r"no column \['history'\]"):
        validate(file, texts=("history",))
    with pytest.raises(DataError, match="'development' of the table has no row"):
        validate(file, half="development")
    with pytest.raises(UnknownNameError, match="unknown half 'test'"):
        validate(file, half="test")  # type: ignore[arg-type]


def test_it_agrees_with_manual_labels_of_studies_that_it_was_not_written_on(shared_data: Path) -> None:
    file = shared_data / "openi_pairs" / "index.csv"
    if not file.is_file():
        pytest.skip(f"no labelled reports: {file.name} of openi_pairs is not there")
    found = validate(file, half="evaluation", resamples=100)
    assert found.rows > 1000
    assert half_of("1") == "evaluation"
    assert found.strict.macro.low > 0.85
    assert found.strict.micro.low > 0.9
    assert set(found.strict.left_out) == {"Consolidation", "Pneumonia", "Pneumothorax"}
    assert positive([U], uncertain=True).all()
