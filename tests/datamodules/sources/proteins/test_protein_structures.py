"""The structure source: PDB files by hand, a made-up layout, and the real chains."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from datamodules.io.formats.structure import read_structure
from datamodules.modalities.protein import encode_protein
from datamodules.sources.proteins.protein_structures import ProteinStructures
from zoo.errors import DataError, SpecError, UnknownNameError

made = runpy.run_path(str(Path(__file__).parents[3] / "data" / "protein_structures.py"))
write, atom = made["write"], made["atom"]
P = np.arange(30, dtype=float).reshape(10, 3)


def read_chain(path: Path) -> tuple[str, np.ndarray]:
    chain = read_structure(path, unobserved=False)
    return chain.sequence, chain.xyz


def pdb(tmp_path: Path, lines: list[str]) -> Path:
    path = tmp_path / "x.pdb"
    path.write_text("\n".join([*lines, "END"]) + "\n")
    return path


def opened(root: Path, **settings: object) -> ProteinStructures:
    source = ProteinStructures(**settings)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_modified_unknown_and_foreign_residues(tmp_path: Path) -> None:
    lines = [
        atom(1, "ALA", 1, P[0]),
        atom(2, "MSE", 2, P[1], record="HETATM"),
        atom(3, "UNK", 3, P[2]),
        atom(4, "GLY", 7, P[3], name="N"),
        atom(5, "LYS", 8, P[4]),
        atom(6, "HOH", 9, P[5], name="O", record="HETATM"),
        atom(7, "CA", 10, P[6], name="CA", record="HETATM"),
        atom(8, "TRP", 1, P[7], chain="B"),
    ]
    sequence, xyz = read_chain(pdb(tmp_path, lines))
    assert sequence == "AMXGK"
    assert xyz.dtype == np.float32
    assert xyz[:, 3].tolist() == [1, 1, 1, 0, 1]
    np.testing.assert_allclose(xyz[[0, 1, 2, 4], :3], P[[0, 1, 2, 4]])
    assert xyz[3].tolist() == [0, 0, 0, 0]


def test_alternate_locations_by_occupancy(tmp_path: Path) -> None:
    lines = [
        atom(1, "ALA", 1, P[0], alternate="A", occupancy=0.3),
        atom(2, "ALA", 1, P[1], alternate="B", occupancy=0.7),
        atom(3, "SER", 2, P[2], alternate="A", occupancy=0.6),
        atom(4, "THR", 2, P[3], alternate="B", occupancy=0.4),
    ]
    sequence, xyz = read_chain(pdb(tmp_path, lines))
    assert sequence == "AS"
    np.testing.assert_allclose(xyz[:, :3], P[[1, 2]])


def test_first_model_and_first_chain_with_residues(tmp_path: Path) -> None:
    lines = [
        "MODEL        1",
        atom(1, "DA", 1, P[0], name="P", chain="D"),
        atom(2, "VAL", 1, P[1], chain="B"),
        "ENDMDL",
        "MODEL        2",
        atom(1, "GLY", 1, P[2], chain="B"),
        "ENDMDL",
    ]
    sequence, xyz = read_chain(pdb(tmp_path, lines))
    assert sequence == "V"
    np.testing.assert_allclose(xyz[0, :3], P[1])


def test_unreadable_files(tmp_path: Path) -> None:
    broken = atom(1, "ALA", 1, P[0]).replace("0.000", "  abc", 1)
    for lines in ([], ["not a pdb file"], [atom(1, "HOH", 1, P[0], name="O", record="HETATM")], [broken]):
        path = pdb(tmp_path, lines)
        with pytest.raises(DataError) as caught:
            read_chain(path)
        assert caught.value.file == path
    (tmp_path / "x.pdb.gz").write_bytes(b"\x1f\x8b no gzip")
    with pytest.raises(DataError, match="not a readable PDB"):
        read_chain(tmp_path / "x.pdb.gz")
    nan = atom(1, "ALA", 1, P[0]).replace("0.000", "  nan", 1)
    with pytest.raises(DataError, match="not finite"):
        read_chain(pdb(tmp_path, [nan]))


def test_rows_families_and_targets(tmp_path: Path) -> None:
    write(tmp_path / "protein_structures", n=12)
    source = opened(tmp_path)
    assert len(source) == 12
    assert sum(source.skipped.values()) == 1
    assert source.group_names() == {"family": ("helices", "strands")}
    assert source.index["group"].nunique() == 10
    assert set(source.index["split"]) == {""}
    for row in range(12):
        sample = source.read(row)
        xyz = sample.targets["structure"]
        assert xyz.shape == (len(sample.inputs["protein"]), 4)
        np.testing.assert_allclose(xyz[:, :3].mean(0), 0, atol=1e-4)
        step = np.linalg.norm(np.diff(xyz[:, :3], axis=0), axis=1)
        assert (abs(step - 3.8) < 1.0).all()
        assert sample.groups["family"] == int(sample.id.startswith("strands"))


def test_hold_out_length_and_crop(tmp_path: Path) -> None:
    write(tmp_path / "protein_structures", n=12)
    source = opened(tmp_path, hold_out=["strands"])
    assert (source.index["split"] == "test").equals(source.index["stratum"] == "strands")
    with pytest.raises(UnknownNameError, match="did you mean 'strands'"):
        opened(tmp_path, hold_out=["strand"])
    with pytest.raises(DataError, match="crop=true"):
        opened(tmp_path, max_length=7)
    short = opened(tmp_path, max_length=7, crop=True)
    for row in range(12):
        sample, whole = short.read(row), source.read(row)
        assert len(sample.inputs["protein"]) == 7
        got, all_of = (s.targets["structure"][:7, :3] for s in (sample, whole))
        np.testing.assert_allclose(got, all_of - all_of.mean(0), atol=1e-4)
    for wrong in ({"max_length": -1}, {"crop": True}):
        with pytest.raises(SpecError, match="max_length"):
            ProteinStructures(**wrong)  # type: ignore[arg-type]


def test_read_gives_a_copy(tmp_path: Path) -> None:
    write(tmp_path / "protein_structures", n=4)
    source = opened(tmp_path)
    source.read(0).targets["structure"][:] = 7.0
    assert not (source.read(0).targets["structure"] == 7.0).any()


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "protein_structures").mkdir()
    with pytest.raises(DataError, match="no rows found"):
        opened(tmp_path)


def test_real_chains(shared_data: Path) -> None:
    source = opened(shared_data)
    counts = {"cytochromes": 10, "globins": 26, "ldh": 26, "trypsins": 24, "zincfingers": 15}
    assert source.index["stratum"].value_counts().to_dict() == counts
    limits = {"cytochromes": (103, 108), "ldh": (295, 374), "trypsins": (220, 259), "zincfingers": (25, 34)}
    for family, (low, high) in limits.items():
        lengths = source.index.loc[source.index["stratum"] == family, "length"]
        assert (lengths.min(), lengths.max()) == (low, high)
    for row in range(len(source)):
        sample = source.read(row)
        xyz = sample.targets["structure"]
        assert xyz.shape == (len(encode_protein(sample.inputs["protein"])), 4)
        steps = np.linalg.norm(np.diff(xyz[:, :3], axis=0), axis=1)
        assert 3.7 < np.median(steps) < 3.9
