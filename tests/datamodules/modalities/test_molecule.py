"""Molecules: tokens against hand-cut SMILES, canonical form and fingerprints against RDKit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.modalities.molecule import Molecule, MoleculeProcessor
from zoo.contract import Batch, ModalitySpec, RawModality
from zoo.errors import DataError, MissingExtraError, SpecError
from zoo.smiles import (
    ELEMENTS,
    VOCABULARY,
    canonical_smiles,
    decode_smiles,
    encode_smiles,
    mask_atoms,
    morgan_counts,
    random_smiles,
    smiles_tokens,
)

RAW = RawModality("drug", "molecule")
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
AWKWARD = (
    "[Pt@SP1](Cl)(N)(Br)I", "[C@TH1](F)(Cl)(Br)I", "c1cc[nH]c1", "c1cc[se]c1", "[2H]C([2H])Cl", "[NH4+].[Cl-]",
    "C[C@@H](N)C(=O)[O-]", "F/C=C\\F", "C%12CCCC%12", "[Cs+].[OH-]", "N->[Cu+2]", "[13CH3][Sc]", "C[As](C)c1ccccc1",
)  # fmt: skip


def test_tokens_cut_by_hand() -> None:
    assert smiles_tokens("BrCCl[nH+]") == ["Br", "C", "Cl", "[", "n", "H", "+", "]"]
    assert smiles_tokens("Sc") == ["S", "c"]  # sulphur and an aromatic carbon
    assert smiles_tokens("[Sc]") == ["[", "Sc", "]"]
    assert smiles_tokens("C[C@@H]") == ["C", "[", "C", "@", "@", "H", "]"]


def test_elements_are_those_ofrdkit_modules() -> None:
    chem = pytest.importorskip("rdkit.Chem")
    assert [chem.Atom(z).GetSymbol() for z in range(1, 119)] == list(ELEMENTS)
    assert len(set(VOCABULARY)) == len(VOCABULARY)


@pytest.mark.parametrize("smiles", AWKWARD)
def test_codes_give_the_smiles_back(smiles: str) -> None:
    assert decode_smiles(encode_smiles(smiles)) == smiles
    canonical = canonical_smiles(smiles)
    assert decode_smiles([*encode_smiles(canonical), 0, 0]) == canonical


@pytest.mark.parametrize(("smiles", "message"), [("CX", "'X' at position 1"), ("C[N", "not closed"), ("C]", "']'")])
def test_what_is_no_smiles(smiles: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        smiles_tokens(smiles)
    with pytest.raises(DataError, match="codes of SMILES tokens"):
        decode_smiles([999])


def test_a_row_is_the_fingerprint_and_the_tokens() -> None:
    chem = pytest.importorskip("rdkit.Chem")
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    processor = MoleculeProcessor(fingerprint=128)
    processor.fit(RAW, [ASPIRIN, "C"])
    spec = processor.spec(RAW)
    assert (spec.shape, spec.descriptors, spec.is_integer) == ((128 + 21,), 128, True)
    row = processor("O=C(C)Oc1ccccc1C(=O)O")  # aspirin, written in another way
    assert processor.decode(row) == ASPIRIN == canonical_smiles(ASPIRIN)
    counts = GetMorganGenerator(radius=2, fpSize=128).GetCountFingerprintAsNumPy(chem.MolFromSmiles(ASPIRIN))
    assert np.array_equal(row[:128].numpy(), counts)
    assert row.dtype == torch.long
    assert processor("C")[128:].tolist() == [*encode_smiles("C"), *[0] * 20]
    assert MoleculeProcessor(max_length=5, fingerprint=0)("CC(C)").shape == (5,)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("C(C)(C)(C)(C)C", r"'C\(C\)\(C\)\(C\)\(C\)C' is not a molecule.*valence.*mend the SMILES"),
        ("c1cccc1", "kekulize"),
        ("hello", "syntax"),
        ("", "must be a SMILES string"),
        (None, "must be a SMILES string, got None"),
        ("CCCCCCCCCCCC", "12 tokens, but this processor takes 8; set max_length to at least 12"),
    ],
)
def test_a_bad_molecule_names_value_and_fix(value: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        MoleculeProcessor(max_length=8)(value)


def test_longer_molecules_outside_training_are_admitted() -> None:
    processor = MoleculeProcessor(fingerprint=8)
    processor.fit(RAW, ["CC"])
    processor.admit(["CCCC", "C"])
    assert processor.spec(RAW).shape == (12,)
    with pytest.raises(DataError, match="not a molecule"):
        processor.admit(["C(("])


def test_enumeration_keeps_the_molecule_and_its_fingerprint() -> None:
    processor = MoleculeProcessor(max_length=40, fingerprint=64, enumerate=True)
    row = processor(ASPIRIN)
    kept = row.clone()
    written = {processor.decode(processor.augment(row, np.random.default_rng(k))) for k in range(8)}
    assert len(written) > 3
    assert {canonical_smiles(w) for w in written} == {ASPIRIN}
    assert torch.equal(row, kept), "changed in place"
    assert torch.equal(processor.augment(row, np.random.default_rng(1))[:64], row[:64])
    assert random_smiles(ASPIRIN, 7) == random_smiles(ASPIRIN, 7)


def test_a_molecule_of_wildcards_has_a_fingerprint() -> None:
    assert mask_atoms(ASPIRIN, [0, 4]) == "*C(=O)O*1ccccc1C(=O)O"
    assert morgan_counts(mask_atoms("c1cc[nH]c1", [3]), 64).sum() > 0
    with pytest.raises(DataError, match="not a molecule"):
        morgan_counts("c1cccc1", 64)


def test_equal_molecules_share_a_fingerprint_and_flat_ones_are_twins() -> None:
    assert Molecule.fingerprint(ASPIRIN) == Molecule.fingerprint("O=C(C)Oc1ccccc1C(=O)O")
    left, right, flat = "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC(N)C(=O)O"
    assert len({Molecule.fingerprint(s) for s in (left, right, flat, "no molecule")}) == 4
    assert Molecule.twin(left) == Molecule.twin(right) == Molecule.fingerprint(flat)
    assert Molecule.twin(flat) is Molecule.twin("no molecule") is None


def test_a_molecule_is_drawn() -> None:
    shown = Molecule.show(RAW, ASPIRIN, 160)
    assert shown.words == ASPIRIN
    assert shown.picture is not None
    assert shown.picture.shape == (120, 160, 3)
    assert 0.002 < (shown.picture.min(-1) < 128).mean() < 0.3
    assert Molecule.show(RAW, "no molecule", 160).picture is None


def test_plain_features() -> None:
    processor = MoleculeProcessor(max_length=6, fingerprint=16)
    rows = torch.stack([processor("CCO"), processor("CCCCO")])
    features = Molecule.features(processor.spec(RAW), rows)
    assert features.shape == (2, 16 + len(VOCABULARY))
    torch.testing.assert_close(features[:, :16], rows[:, :16].float().log1p())
    carbon, oxygen = (16 + int(encode_smiles(letter)[0]) for letter in "CO")
    torch.testing.assert_close(features[:, [carbon, oxygen]], torch.tensor([[2 / 3, 1 / 3], [0.8, 0.2]]))


def test_options_and_specs_are_checked() -> None:
    with pytest.raises(SpecError, match="must be 0 or more"):
        MoleculeProcessor(fingerprint=-1)
    with pytest.raises(SpecError, match="not fitted"):
        MoleculeProcessor().spec(RAW)
    with pytest.raises(SpecError, match="leave no room for tokens"):
        ModalitySpec("drug", "molecule", (64,), descriptors=64)


def test_without_rdkit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import zoo.smiles

    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(zoo.smiles, "import_module", absent)
    zoo.smiles.rdkit_modules.cache_clear()
    with pytest.raises(MissingExtraError, match="molecules"):
        canonical_smiles("C")
    monkeypatch.undo()
    zoo.smiles.rdkit_modules.cache_clear()
    assert canonical_smiles("OC") == "CO"


def test_a_table_has_molecules_and_a_bad_one_names_its_row(tmp_path: Path) -> None:
    from datamodules import MultimodalDataModule
    from datamodules.core.options import ProcessingOptions
    from datamodules.sources.table import Table, TableModality, TableTask

    def served(smiles: list[str]) -> Batch:
        lines = [f"r{i:02d},{s},MK{'AV' * (i % 3)},{i / 4}" for i, s in enumerate(smiles)]
        (tmp_path / "table.csv").write_text("name,drug,protein,pkd\n" + "\n".join(lines) + "\n")
        modalities = {"drug": TableModality("molecule"), "protein": TableModality("protein")}
        table = Table(
            folder="", file=str(tmp_path / "table.csv"), id="name", modalities=modalities,
            tasks={"affinity": TableTask("regression", column="pkd")})  # fmt: skip
        processing = ProcessingOptions(processors={"drug": MoleculeProcessor(max_length=30, fingerprint=16)})
        data = MultimodalDataModule([table], root=str(tmp_path), processing=processing)
        return next(iter(data.train_dataloader()))

    batch = served(["CC", ASPIRIN, "C", "CCO"] * 4)
    assert batch.inputs["drug"].shape[1:] == (16 + 30,)
    assert len(batch.inputs["drug"]) == len(batch.inputs["protein"]) == len(batch)
    with pytest.raises(DataError, match=r"'C\(C\(' is not a molecule.*mend the SMILES or drop the row.*row: .*r\d\d"):
        served(["C(C("] * 16)
