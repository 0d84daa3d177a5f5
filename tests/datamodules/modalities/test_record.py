"""RecordProcessor against hand-computed encodings and scikit-learn; nothing but training rows counts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from datamodules.core.choice import default_processor
from datamodules.core.state import get_state, set_state
from datamodules.modalities import record
from datamodules.modalities.record import RecordProcessor
from datamodules.modalities.tabular import TabularProcessor
from zoo.errors import DataError, SpecError
from zoo.generation.records.schema import ORDERS
from zoo.raw import RawModality

RAW = RawModality("record", "tabular")


def flat(
    age: float | None = 50.0,
    sex: str | None = "male",
    risk: float | None = 0.5,
    findings: str | None = None,
    orders: str | None = None,
    site: str | None = None,
) -> dict:
    return {
        "age_years": age,
        "sex": sex,
        "encounter_type": "visit",
        "site": site,
        "anatomical_site": None,
        "size_mm": None,
        "malignancy_risk": risk,
        "image_quality": "sharp",
        "orders": orders,
        "visual_findings": findings,
    }


TRAIN = [
    flat(40.0, "male", 0.25, "Irregular border; dark spot", "biopsy; excision"),
    flat(60.0, "female", 0.75, "irregular, dark; irregular"),
    flat(None, None, None, "blue veil"),
]


def fitted(rows: list[dict], **options) -> RecordProcessor:
    processor = RecordProcessor(**options)
    processor.fit(RAW, rows)
    return processor


def test_by_hand():
    processor = fitted(TRAIN, lists={"orders": ORDERS, "visual_findings": 3})
    spec = processor.spec(RAW)
    assert spec.features == (
        *("age_years", "size_mm", "malignancy_risk", "sex", "encounter_type", "site", "anatomical_site"),
        *(f"orders={o}" for o in ORDERS),
        *("visual_findings=dark", "visual_findings=irregular", "visual_findings=blue"),
    )
    assert spec.cardinalities == (0, 0, 0, 3, 2, 1, 1, *(0,) * 8)
    assert processor.vocabularies["sex"] == ("female", "male")
    assert processor(TRAIN[0]).tolist() == [-1, 0, 0.25, 2, 1, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0]
    assert processor(TRAIN[1]).tolist() == [1, 0, 0.75, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0]
    assert processor(TRAIN[2]).tolist() == [0, 0, 0.5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    unseen = flat(70.0, " FEMALE ", 0.0, "border", "x-ray", site="ward")
    assert processor(unseen).tolist() == [2, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def test_the_vector_of_the_paper():
    processor = fitted(TRAIN, lists={"orders": ORDERS, "visual_findings": 3})
    vector = processor.vector(TRAIN[0])
    assert len(vector) == len(processor.vector_features) == 3 + (3 + 2 + 1 + 1) + 5 + 3
    assert processor.vector_features[3:8] == (
        *("sex=unknown", "sex=female", "sex=male"),
        *("encounter_type=unknown", "encounter_type=visit"),
    )
    assert vector.tolist() == [-1, 0, 0.25, 0, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1, 0]
    assert processor.vector(flat(sex="other"))[3:6].tolist() == [1, 0, 0]


def test_against_scikit_learn():
    rng = np.random.default_rng(0)
    words = [f"w{k:02d}" for k in range(30)]
    rows = [
        flat(float(rng.normal(50, 9)), str(rng.choice(["male", "female"])), 0.1, " ".join(rng.choice(words, 6)))
        for _ in range(80)
    ]
    processor = fitted(rows, lists={"visual_findings": 12})
    got = np.stack([processor.vector(r).numpy() for r in rows])
    ages = StandardScaler().fit_transform([[r["age_years"]] for r in rows])
    np.testing.assert_allclose(got[:, :1], ages, atol=1e-5)
    sexes = OneHotEncoder(sparse_output=False).fit_transform([[r["sex"]] for r in rows])
    np.testing.assert_array_equal(got[:, 4:6], sexes)
    counter = CountVectorizer(binary=True)
    flags = counter.fit_transform([r["visual_findings"] for r in rows]).toarray()
    names = counter.get_feature_names_out()
    order = sorted(range(len(names)), key=lambda k: (-flags[:, k].sum(), names[k]))[:12]
    assert processor.vocabularies["visual_findings"] == tuple(names[order])
    np.testing.assert_array_equal(got[:, -12:], flags[:, order])


POISON = flat(1e9, "poison", 1e9, "poison; dark; poison venom", "poison", site="poison")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([POISON, flat(-1e9, "venom", -5.0, "blue; blue")]), min_size=1, max_size=4))
def test_rows_outside_training_change_nothing(others):
    clean, poisoned = fitted(TRAIN), fitted(TRAIN)
    poisoned.admit(others)
    for row in others:
        poisoned(row)
        poisoned.vector(row)
    assert get_state(poisoned) == get_state(clean)
    assert poisoned.spec(RAW) == clean.spec(RAW)
    assert "poison" not in json.dumps(get_state(poisoned))
    for row in TRAIN:
        assert poisoned(row).tolist() == clean(row).tolist()


def test_a_token_counts_once_a_row_and_ties_are_alphabetical():
    rows = [flat(findings="c c c; c"), flat(findings="b a"), flat(findings="b")]
    assert fitted(rows, lists={"visual_findings": 2}).vocabularies["visual_findings"] == ("b", "a")


def test_phrases():
    rows = [flat(findings="Blue  veil; dark"), flat(findings="blue veil; blue")]
    processor = fitted(rows, lists={"visual_findings": 9}, phrases=True)
    assert processor.vocabularies["visual_findings"] == ("blue veil", "blue", "dark")
    assert processor(rows[1])[-3:].tolist() == [1, 1, 0]


def test_most_categories_are_the_most_frequent():
    rows = [flat(sex=s) for s in ("x", "y", "y", "z", "unknown")]
    processor = fitted(rows, max_categories=2)
    assert processor.vocabularies["sex"] == ("x", "y")
    assert [int(processor(r)[3]) for r in rows] == [1, 2, 2, 0, 0]


def test_orders_are_those_of_records():
    assert record.ORDERS == ORDERS


def test_it_is_not_the_default_and_its_state_is_kept():
    assert type(default_processor("tabular")) is TabularProcessor
    before, after = fitted(TRAIN), RecordProcessor()
    set_state(after, json.loads(json.dumps(get_state(before))))
    assert after.spec(RAW) == before.spec(RAW)
    assert after(TRAIN[0]).tolist() == before(TRAIN[0]).tolist()
    assert after.vector(TRAIN[1]).tolist() == before.vector(TRAIN[1]).tolist()


def test_nothing_known_at_all():
    empty = dict.fromkeys(flat())
    processor = fitted([empty])
    assert processor(empty).tolist() == [0.0] * 12
    assert processor(flat())[:3].tolist() == [50.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"age_years": 3.0}, "expected the columns"),
        ([1], "a row holds list"),
        (flat(age=float("nan")), "'age_years' holds nan"),
        ({**flat(), "malignancy_risk": "high"}, "'malignancy_risk' holds 'high'"),
        ({**flat(), "orders": 3.0}, "'orders' holds 3.0"),
        ({**flat(), "sex": ["a"]}, "'sex' holds"),
    ],
)
def test_bad_rows(row, message):
    with pytest.raises(DataError, match=message):
        fitted(TRAIN)(row)
    with pytest.raises(DataError, match=message):
        fitted([*TRAIN, row])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"numbers": ("sex",)}, r"\['sex'\] are named twice"),
        ({"lists": {"orders": 0}}, "at least 1"),
        ({"lists": {"orders": ()}}, "at least 1"),
        ({"max_categories": 0}, "at least 1"),
        ({"lists": {"orders": ("a", "A")}}, "repeat"),
        ({"lists": {"orders": ("a b",)}}, "set phrases"),
        ({"numbers": (), "raw_numbers": (), "categories": (), "lists": {}}, "no column"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(SpecError, match=message):
        RecordProcessor(**options)


def test_before_and_without_rows():
    for ask in (RecordProcessor().spec, RecordProcessor(), RecordProcessor().vector):
        with pytest.raises(SpecError, match="not fitted"):
            ask(RAW if ask.__name__ == "spec" else flat()) if hasattr(ask, "__name__") else ask(flat())
    with pytest.raises(DataError, match="no training row"):
        fitted([])
    empty = RecordProcessor(numbers=(), raw_numbers=(), categories=(), lists={"orders": 2})
    empty.fit(RAW, [flat()])
    with pytest.raises(DataError, match="nothing is left"):
        empty.spec(RAW)
