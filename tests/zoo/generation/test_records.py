"""Records: a valid one round-trips, all else is repaired by a named rule or rejected with field and value."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import DataError
from zoo.generation.records.find import MOST_CHARACTERS
from zoo.generation.records.flat import flatten
from zoo.generation.records.parse import parse_record
from zoo.generation.records.schema import ORDERS, check_record, record_schema, record_schema_text

RECORD = {
    "patient": {"age_years": 45.0, "sex": "female"},
    "encounter": {"encounter_type": "outpatient", "site": "Clinic"},
    "lesion_observation": {
        "anatomical_site": "Back",
        "visual_findings": ["irregular border", "unknown", "two colours", "two colours"],
        "size_mm": 6.5,
        "image_quality_note": "unknown",
    },
    "assessment": {
        "provisional_diagnosis_label": "melanoma",
        "malignancy_risk": 0.8,
        "rationale": ["asymmetry of melanoma"],
    },
    "orders": [{"type": "biopsy", "note": "soon"}, {"type": "excision", "note": "unknown"}],
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda t: any(not c.isspace() for c in t) and t.strip("\x1c\x1d\x1e\x1f\x85\x00") != ""
)
LISTS = st.lists(TEXTS, max_size=4)


def numbers(low: float, high: float) -> st.SearchStrategy:
    return st.just("unknown") | st.floats(low, high)


RECORDS = st.fixed_dictionaries(
    {
        "patient": st.fixed_dictionaries(
            {"age_years": numbers(0, 130), "sex": st.sampled_from(["male", "female", "unknown"])}
        ),
        "encounter": st.fixed_dictionaries({"encounter_type": TEXTS, "site": TEXTS}),
        "lesion_observation": st.fixed_dictionaries(
            {
                "anatomical_site": TEXTS,
                "visual_findings": LISTS,
                "size_mm": numbers(0, 1000),
                "image_quality_note": TEXTS,
            }
        ),
        "assessment": st.fixed_dictionaries(
            {"provisional_diagnosis_label": TEXTS, "malignancy_risk": numbers(0, 1), "rationale": LISTS}
        ),
        "orders": st.lists(st.fixed_dictionaries({"type": st.sampled_from(ORDERS), "note": TEXTS}), max_size=3),
    }
)


def changed(section: str, field: str, value: object) -> dict:
    record = copy.deepcopy(RECORD)
    record[section][field] = value
    return record


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.booleans(), st.sampled_from(["{}", "```json\n{}\n```", "Here it is: {} Is it all?"]))
def test_any_valid_record_round_trips(record, ascii_only, around):
    made = parse_record(around.replace("{}", json.dumps(record, ensure_ascii=ascii_only)))
    assert (made.status, made.reason) == ("ok", "")
    assert made.value == check_record(record) == record
    flat = flatten(record)
    assert all(v is None or isinstance(v, float | str) for v in flat.values())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_rejected_and_never_raise(soup):
    made = parse_record(soup.decode("utf-8", errors="surrogateescape"))
    assert made.status == "rejected"
    assert made.value is None
    assert made.reason


PLACES = [(s, f) for s in (*RECORD, "more") for f in (*(RECORD.get(s, ()) if s != "orders" else ()), "more", "")]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PLACES), JSON)
def test_a_record_with_anything_in_a_field_is_valid_afterwards_or_rejected(place, value):
    section, field = place
    record = copy.deepcopy(RECORD)
    if field and isinstance(record.get(section), dict):
        record[section][field] = value
    else:
        record[section] = value
    text = json.dumps(record)
    made = parse_record(text)
    assert made.text == text
    if made.status == "rejected":
        assert made.value is None
        assert made.reason
        assert made.reason.isprintable()
    else:
        assert check_record(made.value) == made.value
        assert (made.status == "ok") == (made.reason == "")
        json.dumps(made.value, allow_nan=False)
        again = parse_record(json.dumps(made.value))
        assert (again.status, again.value) == ("ok", made.value)


@pytest.mark.parametrize(
    ("section", "field", "given_", "expected"),
    [
        ("patient", "age_years", "45", 45.0),
        ("patient", "age_years", "45 years old", 45.0),
        ("patient", "age_years", "45-year-old", 45.0),
        ("patient", "age_years", "forty-five years", 45.0),
        ("patient", "age_years", "Seventy", 70.0),
        ("patient", "age_years", "40-50", "unknown"),
        ("patient", "age_years", "elderly", "unknown"),
        ("patient", "age_years", None, "unknown"),
        ("patient", "age_years", float("nan"), "unknown"),
        ("patient", "sex", "F", "female"),
        ("patient", "sex", "Male", "male"),
        ("patient", "sex", "other", "unknown"),
        ("patient", "sex", 1, "unknown"),
        ("lesion_observation", "size_mm", "5 mm", 5.0),
        ("lesion_observation", "size_mm", "~0.5 cm", 5.0),
        ("lesion_observation", "size_mm", "about 5mm", 5.0),
        ("lesion_observation", "size_mm", "5 x 4 mm", "unknown"),
        ("lesion_observation", "size_mm", "5 years", "unknown"),
        ("lesion_observation", "visual_findings", "dark", ["dark"]),
        ("lesion_observation", "visual_findings", "Unknown", []),
        ("lesion_observation", "visual_findings", ["dark", None, " "], ["dark"]),
        ("lesion_observation", "anatomical_site", "", "unknown"),
        ("lesion_observation", "anatomical_site", ["arm", "hand"], "arm; hand"),
        ("assessment", "malignancy_risk", "30%", 0.3),
        ("assessment", "malignancy_risk", 30, 0.3),
        ("assessment", "malignancy_risk", "30", 0.3),
        ("assessment", "malignancy_risk", "thirty percent", 0.3),
        ("assessment", "malignancy_risk", "high", "unknown"),
        ("assessment", "provisional_diagnosis_label", 3, "3"),
    ],
)
def test_repairs_of_fields(section, field, given_, expected):
    made = parse_record(json.dumps(changed(section, field, given_)))
    assert made.status == "repaired"
    assert made.reason.startswith(f"{section}.{field}: ")
    assert made.value[section][field] == expected
    assert made.value == changed(section, field, made.value[section][field])


@pytest.mark.parametrize(
    ("section", "field", "value", "said"),
    [
        ("patient", "age_years", 200, "patient.age_years: got 200; allowed: number 0 to 130"),
        ("patient", "age_years", True, "patient.age_years: got True"),
        ("lesion_observation", "size_mm", -1, "lesion_observation.size_mm: got -1"),
        ("lesion_observation", "visual_findings", [["a"]], "lesion_observation.visual_findings.0: got \\['a'\\]"),
        ("lesion_observation", "visual_findings", ["a"] * 101, "visual_findings: got "),
        ("assessment", "malignancy_risk", 1.5, "assessment.malignancy_risk: got 1.5"),
        ("assessment", "malignancy_risk", "200%", "assessment.malignancy_risk: got '200%'"),
        ("assessment", "malignancy_risk", 10**400, "assessment.malignancy_risk: got 1000"),
        ("encounter", "site", {"a": 1}, "encounter.site: got {'a': 1}; allowed: text"),
        ("encounter", "site", "x" * 2001, "encounter.site: got 'xxx"),
    ],
)
def test_what_no_rule_mends_is_rejected_with_field_and_value(section, field, value, said):
    record = changed(section, field, value)
    made = parse_record(json.dumps(record))
    assert made.status == "rejected"
    assert made.value is None
    with pytest.raises(DataError, match=said):
        check_record(record)
    assert made.reason.startswith(f"{section}.{field}")


def test_orders_are_repaired():
    record = {**RECORD, "orders": ["Urgent referral", {"type": "BIOPSY", "by": "me"}, {"type": "x-ray", "note": "a"}]}
    made = parse_record(json.dumps(record))
    assert made.value["orders"] == [
        {"type": "urgent_referral", "note": "unknown"},
        {"type": "biopsy", "note": "unknown"},
    ]
    assert made.reason.count("orders.") == 3
    assert "orders.2: {'type': 'x-ray', 'note': 'a'} dropped" in made.reason
    one = parse_record(json.dumps({**RECORD, "orders": {"type": "biopsy", "note": "a"}}))
    assert one.value["orders"] == [{"type": "biopsy", "note": "a"}]
    none = parse_record(json.dumps({**RECORD, "orders": "unknown"}))
    assert (none.status, none.value["orders"]) == ("repaired", [])
    bad = parse_record(json.dumps({**RECORD, "orders": 3}))
    assert (bad.status, bad.reason) == ("rejected", "orders: got 3; allowed: list of {type, note}")


def test_missing_and_further_fields():
    record = copy.deepcopy(RECORD)
    del record["encounter"], record["patient"]["sex"], record["orders"]
    record["patient"]["name"] = record["note"] = "a"
    made = parse_record(json.dumps(record))
    assert made.reason.split("; ") == [
        "'note': dropped, no field of a record",
        "patient.'name': dropped, no field of a record",
        "patient.sex: missing, taken as unknown",
        "encounter: missing, all of it unknown",
        "orders: missing, taken as none",
    ]
    assert made.value["encounter"] == {"encounter_type": "unknown", "site": "unknown"}
    assert made.value["patient"] == {"age_years": 45.0, "sex": "unknown"}
    assert parse_record('{"patient": {}}').reason.startswith("the repair leaves nothing known")
    assert parse_record('{"patient": 5}').reason.startswith("patient: got 5; allowed: object")


def test_the_object_is_found_in_a_text():
    text = json.dumps(RECORD)
    comma = text.replace('"unknown"}', '"unknown",}').replace("}]", "},]")
    mended = parse_record(comma)
    assert (mended.status, mended.reason, mended.value) == ("repaired", "trailing commas", check_record(RECORD))
    in_text = parse_record(json.dumps(changed("encounter", "site", "a,} b,]")).replace('"female"}', '"female" ,\n}'))
    assert (in_text.value["encounter"]["site"], in_text.reason) == ("a,} b,]", "trailing commas")
    draft = json.dumps(changed("patient", "age_years", 3))
    two = parse_record(f"A {{draft}}: {draft} and then: {text}")
    assert (two.value["patient"]["age_years"], two.reason) == (45.0, "2 records, the last is read")
    inner = parse_record(json.dumps({"record": RECORD}))
    assert (inner.value, inner.reason) == (check_record(RECORD), "the record is read from the key 'record'")
    twice = parse_record(text.replace('"sex"', '"sex": "male", "sex"'))
    assert (twice.value["patient"]["sex"], twice.reason) == ("male", "a key is given twice, the first is read")
    broken = parse_record(text.replace("Clinic", "Cli\nnic"))
    assert (broken.value["encounter"]["site"], broken.reason) == ("Cli\nnic", "control characters in texts")


def test_what_cannot_be_read_says_why():
    assert "not closed" in parse_record(json.dumps(RECORD)[:-5]).reason
    assert "holds none of patient" in parse_record('{"a": {"b": 1}}').reason
    assert "cannot be read" in parse_record("{'patient': 1}").reason
    assert parse_record('{"patient":' * 3000 + "1" + "}" * 3000).status == "rejected"
    assert parse_record("{" * 3000).reason == "the text opens more than 50 objects"
    assert f"more than {MOST_CHARACTERS}" in parse_record("a" * (MOST_CHARACTERS + 1)).reason
    assert parse_record('"' * 9999 + "{" + '\\"' * 9999).status == "rejected"


def test_schema_texts():
    assert set(json.loads(record_schema_text())) == set(RECORD) == set(record_schema()["properties"])
    assert record_schema()["additionalProperties"] is False
    assert all(order in record_schema_text() for order in ORDERS)
    assert len(ORDERS) == 5


def test_flatten_leaves_the_diagnosis_out():
    flat = flatten(RECORD)
    assert flat == {
        "age_years": 45.0,
        "sex": "female",
        "encounter_type": "outpatient",
        "site": "Clinic",
        "anatomical_site": "Back",
        "size_mm": 6.5,
        "malignancy_risk": 0.8,
        "image_quality": None,
        "orders": "biopsy; excision",
        "visual_findings": "irregular border; two colours",
    }
    assert "melanoma" not in json.dumps(flat)
    assert flatten({**RECORD, "orders": []})["orders"] is None
    with pytest.raises(DataError, match=r"patient\.sex: got 'x'"):
        flatten(changed("patient", "sex", "x"))
    with pytest.raises(DataError, match="patient: is missing"):
        check_record({})
