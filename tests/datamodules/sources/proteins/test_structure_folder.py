"""The folder of structures: rows, families, tables, groups, PDB ids, and bad input."""

from __future__ import annotations

import gzip
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.io import download
from datamodules.io.formats.structure import read_structure
from datamodules.sources.proteins.protein_structures import ProteinStructures
from datamodules.sources.proteins.structure_folder import ChainTable, FamilyOptions, StructureFolder
from tests.options import grouped_for
from zoo.errors import DataError, SpecError, UnknownNameError

made = runpy.run_path(str(Path(__file__).parents[3] / "data" / "structure_folder.py"))


def opened(root: Path, **settings: Any) -> StructureFolder:
    source = StructureFolder(**grouped_for(StructureFolder, **settings))
    source.open(root)
    return source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made["write"](tmp_path / StructureFolder().folder)
    return tmp_path


def test_rows_families_and_labels(root: Path) -> None:
    source = opened(root, secondary_task="secondary_structure")
    assert len(source) == 16
    assert source.group_names() == {"family": tuple(f"f{k}" for k in range(8))}
    assert sum(source.skipped.values()) == 2
    assert source.index["group"].nunique() == 8
    for row in range(16):
        sample = source.read(row)
        number = int(Path(sample.id).name[5:8])
        xyz, states = sample.targets["structure"], sample.targets["secondary_structure"]
        assert sample.groups == {"family": number % 8}
        assert xyz.shape == (len(sample.inputs["protein"]), 4)
        assert len(states) == len(xyz)
        letter = "HE"[number % 2]
        assert states[1:5] == (f"{letter}-{letter}{letter}" if number % 4 == 3 else letter * 4)
        np.testing.assert_allclose(xyz[xyz[:, 3] > 0, :3].mean(0), 0, atol=1e-4)
        ideal = made["curve"](letter, len(xyz))
        apart = np.linalg.norm(xyz[5:, :3] - xyz[-1, :3], axis=1)
        np.testing.assert_allclose(apart, np.linalg.norm(ideal[5:] - ideal[-1], axis=1), atol=1.0)
    sample.targets["structure"][:] = 7
    assert not (source.read(15).targets["structure"] == 7).any()
    assert source.overview() is None
    plain = opened(root)
    overview = plain.overview()
    assert overview is not None
    assert overview.labelled["structure"].all()
    assert list(plain.read(0).targets) == ["structure"]


def test_groups_by_sequence_and_by_both(root: Path) -> None:
    first, ninth = "f0/chain000.pdb", "f1/chain009.cif"
    by_sequence = opened(root, group_by="sequence").index.set_index("id")
    assert by_sequence["group"].nunique() == 15
    assert by_sequence.loc[first, "group"] == by_sequence.loc[ninth, "group"]
    assert set(by_sequence["stratum"]) == {f"f{k}" for k in range(8)}
    both = opened(root, group_by="both").index.set_index("id")
    assert both["group"].nunique() == 7
    assert both.loc[first, "group"] == both.loc[ninth, "group"]


def test_a_table_names_families_and_chains(root: Path) -> None:
    source = opened(root, table=ChainTable(file="chains.csv", chain="chain"), hold_out=["strands"])
    assert source.group_names() == {"family": ("helices", "strands")}
    assert (source.index["split"] == "test").sum() == 8
    assert source.index["id"].iloc[0] == "f0/chain000.pdb_A"
    path = root / "structures" / "chains.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:10], "gone,helices,A"]) + "\n")
    with pytest.raises(DataError, match=r"'gone' is not there.*row: 11"):
        opened(root, file="chains.csv")
    some = opened(root, file="chains.csv", missing_files="skip")
    assert len(some) == 9
    assert some.skipped["file of the table is missing"] == 1
    assert some.skipped["file is not in the table"] == 7
    with pytest.raises(DataError, match="'famly'"):
        opened(root, file="chains.csv", family="famly")
    path.write_text("\n".join([lines[0], lines[1].replace(",A", ",Z")]) + "\n")
    with pytest.raises(DataError, match="no protein chain 'Z'"):
        opened(root, table=ChainTable(file="chains.csv", chain="chain")).read(0)


def test_pdb_ids_are_fetched_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    xyz = made["curve"]("H", 9)
    text = made["cif"]("ADLKMADLK", list(xyz), "H", chain="B", name="1ABC")
    asked = []

    def fetch(url: str, path: Path) -> Path:
        asked.append(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode() if "1ABC" in url else b"<html>no such entry</html>"))
        return path

    monkeypatch.setattr(download, "fetch", fetch)
    source = StructureFolder(pdb_ids=["1abc_B"])
    source.open(tmp_path, download=True)
    assert asked == ["https://files.rcsb.org/download/1ABC.cif.gz"]
    assert source.read(0).id == "1abc_B"
    assert source.read(0).inputs == {"protein": "ADLKMADLK"}
    StructureFolder(pdb_ids=["1abc_B"]).open(tmp_path, download=True)
    assert len(asked) == 1
    for name in ("9xyz", "1abc_A"):
        (tmp_path / "structures" / "1abc.cif.gz").unlink(missing_ok=True)
        with pytest.raises(DataError):
            StructureFolder(pdb_ids=[name]).open(tmp_path, download=True)
        assert not any((tmp_path / "structures").iterdir())
    with pytest.raises(DataError, match=r"no file of the entry '2abc'.*2abc\.cif\.gz"):
        opened(tmp_path, pdb_ids=["2abc"])
    (tmp_path / "structures" / "pdb2abc.ent").write_text(made["pdb"]("ADLKM", list(xyz[:5]), ""))
    assert opened(tmp_path, pdb_ids=["2abc"]).read(0).inputs == {"protein": "ADLKM"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"pdb_ids": ["globin"]}, "no PDB id"),
        ({"crop": True}, "max_length"),
        ({"max_length": -1}, "max_length"),
        ({"group_by": "fold"}, "group_by"),
        ({"file": "a.csv", "chain": "A"}, "not both"),
    ],
)
def test_bad_arguments(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        StructureFolder(**grouped_for(StructureFolder, **settings))


def test_bad_files_and_families(root: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'f1'"):
        opened(root, hold_out=["F1"])
    broken = root / "structures" / "f0" / "chain000.pdb"
    broken.write_text("nothing\n")
    source = opened(root)
    with pytest.raises(DataError, match=r"chain000\.pdb"):
        source.read(0)
    with pytest.raises(DataError, match=r"chain000\.pdb"):
        opened(root, group_by="sequence")
    with pytest.raises(DataError, match="crop=true"):
        opened(root, max_length=7).read(1)
    short = opened(root, max_length=7, crop=True).read(1)
    assert len(short.inputs["protein"]) == 7
    with pytest.raises(DataError, match="does not exist"):
        opened(root / "nowhere")


def test_real_chains(shared_data: Path) -> None:
    source = opened(shared_data, folder="protein_structures", unobserved=False)
    assert len(source) == 101
    assert source.index["group"].nunique() == 5
    sample = source.read(0)
    chain = read_structure(source.path / sample.id, unobserved=False)
    assert sample.inputs["protein"] == chain.sequence


def test_each_chain_is_a_row(tmp_path: Path) -> None:
    def atom(k: int, residue: str, number: int, chain: str = " ") -> str:
        return f"ATOM  {k:5d}  CA  {residue} {chain}{number:4d}    {float(k):8.3f}   0.000   0.000  1.00  0.00"

    folder = tmp_path / "structures"
    folder.mkdir()
    first, second = [("GLY", 1), ("ALA", 2)], [("SER", 1), ("TYR", 2), ("HIE", 3)]
    lines = [*(atom(k, *r) for k, r in enumerate(first)), "TER", *(atom(k + 9, *r) for k, r in enumerate(second))]
    (folder / "md.pdb").write_text("\n".join([*lines, "TER", "END"]))
    lines = [*(atom(k, *r, "A") for k, r in enumerate(first)), *(atom(k + 9, *r, "B") for k, r in enumerate(second))]
    (folder / "two.pdb").write_text("\n".join([*lines, "END"]))
    source = StructureFolder(chain="*", families=FamilyOptions(group_by="sequence"))
    source.open(tmp_path)
    found = {s.id: s.inputs["protein"] for s in map(source.read, range(len(source)))}
    assert found == {"md.pdb": "GA", "md.pdb_:2": "SYH", "two.pdb_A": "GA", "two.pdb_B": "SYH"}
    assert source.index["group"].nunique() == 2
    alone = StructureFolder()
    alone.open(tmp_path)
    assert [alone.read(k).inputs["protein"] for k in range(2)] == ["GA", "GA"], "and no chimera of both"
    families = tmp_path / "protein_structures" / "f"
    families.mkdir(parents=True)
    (families / "md.pdb").write_text((folder / "md.pdb").read_text())
    chains = ProteinStructures()
    chains.open(tmp_path)
    assert chains.read(0).inputs["protein"] == "GA"
