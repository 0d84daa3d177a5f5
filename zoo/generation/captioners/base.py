"""What captioners share: they make records, which a model reads as rows of a flat table."""

from __future__ import annotations

from typing import Any

from zoo.generation.records.flat import flatten
from zoo.generation.records.schema import unknown_record
from zoo.generator import Generator


class Captioner(Generator):
    """Write a record of a row from its picture and its metadata."""

    makes = "tabular"
    processor = "RecordProcessor"

    def unknown(self) -> Any:
        """A record in which everything is unknown."""
        return unknown_record()

    def as_input(self, value: Any) -> Any:
        """The record as a flat table row, without its diagnosis."""
        return flatten(value)
