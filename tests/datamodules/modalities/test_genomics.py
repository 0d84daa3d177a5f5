"""Codes of DNA: by hand, round trips, bad letters, augmentation."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datamodules.core.choice import default_processor
from datamodules.modalities.genomics import AMBIGUITY, DNA, DNAProcessor, encode_dna, reverse_complement
from zoo.contract import NUCLEOTIDES
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality

RAW = RawModality("genomics", "dna")


@given(st.text(alphabet="ACGTN", min_size=1, max_size=80))
def test_round_trip(sequence: str) -> None:
    processor = DNAProcessor(max_length=80)
    codes = processor(sequence)
    assert codes.shape == (80,)
    assert codes.dtype == torch.long
    assert DNA.decode(codes) == sequence
    assert (codes[len(sequence) :] == 0).all()


@given(st.text(alphabet="ACGTN", min_size=1, max_size=80))
def test_reverse_complement_twice_is_identity(sequence: str) -> None:
    codes = encode_dna(sequence)
    assert DNA.decode(reverse_complement(reverse_complement(codes))) == sequence
    assert DNA.decode(reverse_complement(codes)) == sequence.translate(str.maketrans("ACGT", "TGCA"))[::-1]


@given(st.text(min_size=1, max_size=20))
def test_any_other_letter_is_refused(text: str) -> None:
    allowed = set("ACGT" + AMBIGUITY) | set(("ACGT" + AMBIGUITY).lower())
    if set(text) <= allowed:
        assert len(encode_dna(text)) == len(text)
    else:
        with pytest.raises(DataError, match="not nucleotides"):
            encode_dna(text)


def test_codes_are_the_contract() -> None:
    assert encode_dna(NUCLEOTIDES).tolist() == [1, 2, 3, 4, 5]
    assert encode_dna("RYSWKMBDHVN").tolist() == [5] * 11
    assert encode_dna("acgtn").tolist() == [1, 2, 3, 4, 5]


def test_error_names_letters_and_position() -> None:
    with pytest.raises(DataError, match=r"\['-', 'U'\], the first at position 2"):
        encode_dna("AC-GU")
    for empty in ("", None, 3):
        with pytest.raises(DataError, match="non-empty string"):
            encode_dna(empty)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"0\.\.5"):
        DNA.decode(torch.tensor([6]))


def test_length_is_of_the_longest_training_sequence() -> None:
    processor = DNAProcessor()
    assert processor.fits
    processor.fit(RAW, ["ACG", "ACGTA"])
    assert processor.spec(RAW).shape == (5,)
    assert processor.spec(RAW).kind == "dna"
    assert processor("AC").tolist() == [1, 2, 0, 0, 0]
    with pytest.raises(DataError, match="length 6 exceeds the length 5"):
        processor("ACGTAC")


def test_truncate_and_fixed_length() -> None:
    processor = DNAProcessor(max_length=3, truncate=True)
    assert not processor.fits
    processor.fit(RAW, ["A"])
    assert processor("TTTTA").tolist() == [4, 4, 4]
    with pytest.raises(SpecError, match="not fitted"):
        DNAProcessor()("A")
    for wrong in ({"max_length": -1}, {"substitute": 1.5}):
        with pytest.raises(SpecError):
            DNAProcessor(**wrong)  # type: ignore[arg-type]


def test_augmentation_is_off_by_default_and_seeded() -> None:
    value = DNAProcessor(max_length=8)("AACG")
    assert torch.equal(DNAProcessor(max_length=8).augment(value, np.random.default_rng(0)), value)
    flip = DNAProcessor(max_length=8, reverse_complement=True)
    seen = {DNA.decode(flip.augment(value, np.random.default_rng(i))) for i in range(20)}
    assert seen == {"AACG", "CGTT"}
    assert torch.equal(flip.augment(value, np.random.default_rng(3)), flip.augment(value, np.random.default_rng(3)))


def test_substitution_changes_known_letters_only() -> None:
    processor = DNAProcessor(max_length=300, substitute=1.0)
    value = processor("ACGT" * 50 + "N" * 20)
    changed = processor.augment(value, np.random.default_rng(0))
    assert (changed[:200] != value[:200]).all()
    assert changed[:200].min() >= 1
    assert changed[:200].max() <= 4
    assert torch.equal(changed[200:], value[200:])
    assert {int(c) for c in changed[:200:4]} == {2, 3, 4}
    some = DNAProcessor(max_length=2000, substitute=0.1)
    value = some("ACGT" * 500)
    share = float((some.augment(value, np.random.default_rng(1)) != value).float().mean())
    assert 0.07 < share < 0.13


def test_registered_and_copied() -> None:
    assert type(default_processor("dna")) is DNAProcessor
    processor = DNAProcessor()
    processor.fit(RAW, ["ACGT"])
    for twin in (copy.deepcopy(processor), pickle.loads(pickle.dumps(processor))):
        assert torch.equal(twin("AC"), processor("AC"))
