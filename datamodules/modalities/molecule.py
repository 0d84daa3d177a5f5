"""Molecules: a SMILES becomes the counts of its fingerprint followed by the codes of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.core.processor import PROCESSORS, Processor
from zoo.codes import shares_of_codes
from zoo.contract import MODALITIES, PAD, ModalityKind, ModalitySpec
from zoo.errors import DataError, SpecError
from zoo.modality import WORDS
from zoo.raw import RawModality
from zoo.smiles import (
    VOCABULARY,
    canonical_smiles,
    decode_smiles,
    encode_smiles,
    morgan_counts,
    random_smiles,
    read_molecule,
)
from zoo.values import Cell, Picture, Shown, digest, shorten

REMEMBERED = 100_000
"""Molecules whose tensors a processor keeps; the same few drugs often stand in many rows."""


@MODALITIES.register_as("molecule")
class Molecule(ModalityKind):
    """Molecules of shape (F + L,): F = ``ModalitySpec.descriptors`` counts of a Morgan fingerprint, then L tokens.

    The tokens are those of the SMILES, coded by ``zoo.smiles.VOCABULARY`` and padded with 0 at the end. A raw value
    is a SMILES string. Two molecules are equal where their canonical SMILES are.
    """

    codes = True
    cheap = True
    encoder = "MoleculeEncoder"
    processor = "MoleculeProcessor"
    twins = "the same molecule without its stereochemistry"

    @classmethod
    def check(cls, spec: ModalitySpec) -> None:
        """Refuse a molecule without room for tokens behind its descriptors."""
        super().check(spec)
        if not 0 <= spec.descriptors < spec.shape[0]:
            raise SpecError(
                f"modality '{spec.name}': {spec.descriptors} descriptors leave no room for tokens in shape "
                f"{spec.shape}; a molecule is (descriptors + tokens,)"
            )

    @classmethod
    def number_of_codes(cls, spec: ModalitySpec) -> int:
        """Tokens of the vocabulary, padding among them."""
        return len(VOCABULARY)

    @classmethod
    def read(cls, cell: Cell) -> str:
        """The SMILES in a cell, or in the file that it names."""
        return cell.text()

    @classmethod
    def fingerprint(cls, value: Any) -> bytes:
        """Molecules are equal however they are written; what is no molecule is compared as it is written."""
        try:
            return digest(canonical_smiles(value).encode())
        except DataError:
            return digest(str(value).encode())

    @classmethod
    def twin(cls, value: Any) -> bytes | None:
        """The fingerprint of the molecule without its stereochemistry; None where it has none."""
        try:
            flat, whole = canonical_smiles(value, stereo=False), canonical_smiles(value)
        except DataError:
            return None
        return digest(flat.encode()) if flat != whole else None

    @classmethod
    def show(cls, raw: RawModality, value: Any, side: int) -> Shown:
        """Draw the molecule's formula; what is no molecule is shown in words."""
        try:
            return Shown(shorten(str(value), WORDS), draw_molecule(value, side))
        except DataError:
            return Shown(shorten(str(value), WORDS))

    @classmethod
    def features(cls, spec: ModalitySpec, rows: Tensor) -> Tensor:
        """The logarithms of the counts of the fingerprint, and the share of each token."""
        counts, codes = rows[:, : spec.descriptors], rows[:, spec.descriptors :]
        return torch.cat([counts.float().log1p(), shares_of_codes(codes, cls.number_of_codes(spec))], 1)


def draw_molecule(smiles: str, side: int) -> Picture:
    """Draw the structural formula of a molecule, (3/4 side, side, 3).

    Raises:
        DataError: RDKit does not read the SMILES.
    """
    molecule = read_molecule(smiles)
    draw: Any = import_module("rdkit.Chem.Draw")
    picture = draw.MolToImage(molecule, size=(side, side * 3 // 4)).convert("RGB")
    return np.asarray(picture, dtype=np.uint8)


@PROCESSORS.register
class MoleculeProcessor(Processor):
    """Turn a SMILES into (F + L,) codes: counts of its Morgan fingerprint, then the tokens of its canonical SMILES.

    Canonical form and fingerprint are RDKit's. Both kinds of description stand in one tensor, since a modality is
    one: an encoder of tokens, one of fingerprints and one of both read the same batch.

    Args:
        max_length: L, the number of tokens; 0 takes the longest molecule. Longer ones are refused, since a SMILES
            that is cut is none.
        fingerprint: F, the number of counts that the circular environments are folded into; 0 leaves them out.
        enumerate: write the molecule anew in training, from a random atom along random branches (Bjerrum, arXiv
            1703.07076); the fingerprint stays.
    """

    kind = "molecule"

    def __init__(self, *, max_length: int = 0, fingerprint: int = 1024, enumerate: bool = False) -> None:
        if max_length < 0 or fingerprint < 0:
            raise SpecError(
                f"MoleculeProcessor: max_length={max_length} and fingerprint={fingerprint} must be 0 or more"
            )
        self.max_length = max_length
        self.fingerprint = fingerprint
        self.enumerate = enumerate
        self.fits = max_length == 0
        self.length = max_length
        self._known: dict[str, Tensor] = {}

    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Take the number of tokens of the longest training molecule where ``max_length`` is 0."""
        self._known.clear()
        if self.max_length:
            return
        if not len(values):
            raise DataError(f"modality '{raw.name}': no training molecule to take the length from; set max_length")
        self.length = self._longest(values)

    def admit(self, values: Sequence[Any]) -> None:
        """Lengthen L to the longest of ``values`` where ``max_length`` is 0."""
        if not self.max_length:
            self.length = max(self.length, self._longest(values))

    @staticmethod
    def _longest(values: Sequence[Any]) -> int:
        return max((len(encode_smiles(canonical_smiles(v))) for v in {str(v or "") for v in values}), default=0)

    def spec(self, raw: RawModality) -> ModalitySpec:
        """The spec: shape (F + L,), with F as its descriptors."""
        shape = (self.fingerprint + self._fitted(),)
        size = len(VOCABULARY)
        return ModalitySpec(raw.name, self.kind, shape, vocab_size=size, descriptors=self.fingerprint)

    def __call__(self, value: Any) -> Tensor:
        """Map a SMILES to (F + L,) codes, torch.long, with 0 at the end; do not change the tensor in place.

        Raises:
            DataError: RDKit does not read it, or it has more than L tokens.
        """
        length = self._fitted()
        known = self._known.get(value) if isinstance(value, str) else None
        if known is not None:
            return known
        read_molecule(value)
        made = self._write(canonical_smiles(value), length)
        if len(self._known) < REMEMBERED:
            self._known[value] = made
        return made

    def _write(self, smiles: str, length: int) -> Tensor:
        codes = encode_smiles(smiles)
        if len(codes) > length:
            raise DataError(
                f"the molecule {smiles!r} has {len(codes)} tokens, but this processor takes {length}; set max_length "
                f"to at least {len(codes)}"
            )
        out = torch.full((self.fingerprint + length,), PAD, dtype=torch.long)
        if self.fingerprint:
            out[: self.fingerprint] = torch.from_numpy(morgan_counts(smiles, self.fingerprint))
        out[self.fingerprint : self.fingerprint + len(codes)] = torch.from_numpy(codes)
        return out

    def augment(self, value: Tensor, generator: np.random.Generator) -> Tensor:
        """Return another SMILES of the same molecule, where the constructor's ``enumerate`` is set and it fits."""
        if not self.enumerate:
            return value
        codes = encode_smiles(random_smiles(self.decode(value), int(generator.integers(1, 2**31))))
        if len(codes) > self.length:
            return value
        out = value.clone()
        out[self.fingerprint :] = PAD
        out[self.fingerprint : self.fingerprint + len(codes)] = torch.from_numpy(codes)
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_known": {}}  # rows that were seen, which stay at home

    def decode(self, value: Tensor) -> str:
        """Map (F + L,) codes back to the SMILES, which is the canonical one unless the row was augmented."""
        return decode_smiles(value[self.fingerprint :])

    def _fitted(self) -> int:
        if not self.length:
            raise SpecError("MoleculeProcessor is not fitted: call fit with training molecules, or set max_length")
        return self.length
