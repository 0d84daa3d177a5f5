"""Records: the schema, reading one from what a language model said, and one as a row of a table."""

from zoo.generative.records.flat import flatten, words_of
from zoo.generative.records.parse import parse_record
from zoo.generative.records.schema import (
    ORDERS,
    SEXES,
    UNKNOWN,
    Record,
    check_record,
    record_schema,
    record_schema_text,
    unknown_record,
)

__all__ = [
    "ORDERS",
    "SEXES",
    "UNKNOWN",
    "Record",
    "check_record",
    "flatten",
    "parse_record",
    "record_schema",
    "record_schema_text",
    "unknown_record",
    "words_of",
]
