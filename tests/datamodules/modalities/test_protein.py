"""Codes of proteins: by hand, round trips, bad letters."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datamodules.core.choice import default_processor
from datamodules.modalities.protein import Protein, ProteinProcessor, encode_protein
from zoo.contract import AMINO_ACIDS
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality

RAW = RawModality("protein", "protein")


@given(st.text(alphabet=AMINO_ACIDS, min_size=1, max_size=60))
def test_round_trip(sequence: str) -> None:
    codes = ProteinProcessor(max_length=60)(sequence)
    assert codes.shape == (60,)
    assert codes.dtype == torch.long
    assert Protein.decode(codes) == sequence
    assert (codes[len(sequence) :] == 0).all()


@given(st.text(min_size=1, max_size=20))
def test_any_other_letter_is_refused(text: str) -> None:
    if set(text) <= set(AMINO_ACIDS + "UOBZJ"):
        assert len(encode_protein(text)) == len(text)
    else:
        with pytest.raises(DataError, match="not amino acids"):
            encode_protein(text)


def test_codes_are_the_contract() -> None:
    assert encode_protein(AMINO_ACIDS).tolist() == list(range(1, 22))
    assert encode_protein("UOBZJX").tolist() == [21] * 6


def test_errors() -> None:
    with pytest.raises(DataError, match=r"\['\*', '-'\], the first at position 1"):
        encode_protein("M-K*")
    with pytest.raises(DataError, match="non-empty"):
        encode_protein("")
    with pytest.raises(DataError, match=r"0\.\.21"):
        Protein.decode(torch.tensor([22]))
    with pytest.raises(SpecError, match="not fitted"):
        ProteinProcessor()("M")
    with pytest.raises(SpecError, match="-2"):
        ProteinProcessor(max_length=-2)


def test_lengths() -> None:
    processor = ProteinProcessor()
    assert processor.fits
    processor.fit(RAW, ["MK", "MKV"])
    assert processor.spec(RAW).shape == (3,)
    assert processor("A").tolist() == [1, 0, 0]
    with pytest.raises(DataError, match="length 4 exceeds the length 3"):
        processor("AAAA")
    cut = ProteinProcessor(max_length=2, truncate=True)
    assert not cut.fits
    cut.fit(RAW, ["M"])
    assert cut("YCA").tolist() == [20, 2]
    assert type(default_processor("protein")) is ProteinProcessor
