"""TabularProcessor against scikit-learn and hand-computed codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from datamodules.modalities.tabular import TabularProcessor
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality

RAW = RawModality("clinical", "tabular", features=("age", "sex", "size"))
TRAIN = [
    {"age": 40.0, "sex": "male", "size": 5.0},
    {"age": None, "sex": "female", "size": 5.0},
    {"age": 60.0, "sex": None, "size": 5.0},
]


def fitted(rows: list[dict], raw: RawModality = RAW, **arguments: int) -> TabularProcessor:
    processor = TabularProcessor(**arguments)
    processor.fit(raw, rows)
    return processor


def test_by_hand():
    processor = fitted(TRAIN)
    spec = processor.spec(RAW)
    assert spec.features == ("age", "sex", "size", "age_missing")
    assert spec.cardinalities == (0, 3, 0, 3)
    assert processor.categories == {"sex": ("female", "male")}
    assert processor(TRAIN[0]).tolist() == [-1.0, 2.0, 0.0, 1.0]
    assert processor(TRAIN[1]).tolist() == [0.0, 1.0, 0.0, 2.0]
    assert processor(TRAIN[2]).tolist() == [1.0, 0.0, 0.0, 1.0]


def test_unseen_values_at_evaluation():
    processor = fitted(TRAIN)
    assert processor({"age": 70, "sex": "other", "size": None}).tolist() == [2.0, 0.0, 0.0, 1.0]
    assert processor({"age": 50, "sex": "male", "size": 7.0}).tolist() == [0.0, 2.0, 2.0, 1.0]
    with pytest.raises(DataError, match="'size' holds numbers in training, but here the word 'big'"):
        processor({"age": 50, "sex": "male", "size": "big"})


def test_numbers_are_standardised_as_by_scikit_learn():
    x = np.random.default_rng(0).normal(5, 3, (50, 4))
    columns = ("a", "b", "c", "d")
    rows = [dict(zip(columns, map(float, r), strict=True)) for r in x]
    raw = RawModality("t", "tabular")
    processor = fitted(rows, raw)
    assert processor.spec(raw).features == columns
    got = np.stack([processor(r).numpy() for r in rows])
    np.testing.assert_allclose(got, StandardScaler().fit_transform(x), atol=1e-5)


def test_order_of_columns_in_a_row_does_not_matter():
    processor = fitted(TRAIN)
    assert processor(dict(reversed(TRAIN[0].items()))).tolist() == processor(TRAIN[0]).tolist()


def test_evaluation_rows_change_nothing():
    processor = fitted(TRAIN)
    before = processor(TRAIN[0]).tolist()
    processor({"age": 1e9, "sex": "poison", "size": -1e9})
    assert processor(TRAIN[0]).tolist() == before
    assert processor.spec(RAW).cardinalities == (0, 3, 0, 3)


def test_mixed_and_empty_columns():
    rows = [{"a": "x", "b": None}, {"a": 3, "b": None}, {"a": 3.0, "b": None}]
    raw = RawModality("t", "tabular")
    processor = fitted(rows, raw)
    assert processor.categories == {"a": ("3", "x")}
    assert [processor(r).tolist() for r in rows] == [[2.0, 0.0, 2.0], [1.0, 0.0, 2.0], [1.0, 0.0, 2.0]]
    assert processor({"a": "x", "b": 4}).tolist() == [2.0, 4.0, 1.0]


def test_numpy_numbers_and_booleans():
    rows = [{"a": np.float32(1), "b": True, "c": np.int64(2)}, {"a": np.float32(3), "b": np.False_, "c": np.int64(2)}]
    assert fitted(rows, RawModality("t", "tabular"))(rows[0]).tolist() == [-1.0, 1.0, 0.0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "n": st.none() | st.floats(-1e6, 1e6),
                "w": st.none() | st.sampled_from(["a", "b", "c"]),
            }
        ),
        min_size=1,
        max_size=12,
    )
)
def test_codes_are_within_cardinalities(rows):
    raw = RawModality("t", "tabular", features=("n", "w"))
    processor = fitted(rows, raw)
    spec = processor.spec(raw)
    for row in rows:
        value = processor(row)
        assert np.isfinite(value.numpy()).all()
        for size, code in zip(spec.cardinalities, value.tolist(), strict=True):
            assert size == 0 or (code == int(code) and 0 <= code < size)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"age": np.nan, "sex": "male", "size": 5.0}, "'age' holds nan"),
        ({"age": np.inf, "sex": "male", "size": 5.0}, "'age' holds inf"),
        ({"age": 3.0, "sex": "male"}, r"expected the columns \['age', 'sex', 'size'\]"),
        ({"age": 3.0, "sex": "male", "size": 1.0, "x": 1.0}, "expected the columns"),
        ([1.0, 2.0], "a row holds list"),
        ({"age": [3.0], "sex": "male", "size": 1.0}, "of type list"),
    ],
)
def test_bad_rows(row, message):
    with pytest.raises(DataError, match=message):
        fitted(TRAIN)(row)
    with pytest.raises(DataError, match=message):
        fitted([*TRAIN, row])


def test_bad_fits():
    many = [{"a": f"note {i}"} for i in range(5)]
    with pytest.raises(DataError, match="5 categories in training, more than max_categories=4"):
        fitted(many, RawModality("t", "tabular"), max_categories=4)
    with pytest.raises(SpecError, match="clash"):
        fitted([{"a": None, "a_missing": 1.0}], RawModality("t", "tabular"))
    with pytest.raises(SpecError, match="at least 1"):
        TabularProcessor(max_categories=0)
    with pytest.raises(DataError, match="no training row"):
        fitted([])
    with pytest.raises(SpecError, match="only after fit"):
        TabularProcessor().spec(RAW)


def test_a_deviation_that_underflows_counts_as_constant() -> None:
    processor = TabularProcessor()
    processor.fit(RawModality("t", "tabular"), [{"n": 0.0}, {"n": 1.9e-281}])
    assert float(processor({"n": 0.0})[0]) == 0.0
