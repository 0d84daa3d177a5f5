"""Structures: PDB, mmCIF and BinaryCIF of one chain agree, missing residues, alternates, and broken files."""

from __future__ import annotations

import contextlib
import gzip
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.io.formats import structure
from datamodules.io.formats.structure import Chain, centred, file_kind, read_structure, stem
from zoo.errors import DataError

made = runpy.run_path(str(Path(__file__).parents[3] / "data" / "structure_folder.py"))
old = runpy.run_path(str(Path(__file__).parents[3] / "data" / "protein_structures.py"))
P = np.round(made["curve"]("H", 12), 3)
SEQUENCE = "AMGGXKLVSDAA"
PLACES: list[Any] = [None if i in (2, 3, 11) else p for i, p in enumerate(P)]


def save(path: Path, text: str | bytes) -> Path:
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def bcif(path: Path) -> Path:
    """Write the mmCIF file of PLACES as BinaryCIF, compressed by every encoding that biotite chooses."""
    pdbx = pytest.importorskip("biotite.structure.io.pdbx")
    block = pdbx.CIFFile.read(save(path.with_suffix(".cif"), made["cif"](SEQUENCE, PLACES, "H", first=5))).block
    out = pdbx.BinaryCIFBlock()
    for name in ("atom_site", "entity_poly_seq", "struct_conf"):
        columns = {}
        for key, column in block[name].items():
            values = column.as_array()
            if key.startswith("Cartn") or key == "occupancy":
                values = column.as_array(np.float32)
            elif key.endswith("seq_id") or key in ("num", "id"):
                values = column.as_array(np.int32, masked_value=0)
            mask = None if column.mask is None else pdbx.BinaryCIFData(column.mask.array)
            columns[key] = pdbx.BinaryCIFColumn(pdbx.BinaryCIFData(values), mask)
        out[name] = pdbx.BinaryCIFCategory(columns)
    pdbx.compress(pdbx.BinaryCIFFile({"TEST": out})).write(path)
    return path


def check(chain: Chain) -> None:
    assert (chain.name, chain.sequence) == ("A", SEQUENCE)
    assert chain.xyz.dtype == np.float32
    assert chain.xyz[:, 3].tolist() == [float(p is not None) for p in PLACES]
    for row, place in zip(chain.xyz, PLACES, strict=True):
        np.testing.assert_allclose(row[:3], 0 if place is None else place, atol=2e-3)
    assert chain.numbers == tuple("" if p is None else str(5 + i) for i, p in enumerate(PLACES))
    assert chain.secondary == "CH--HCCCCCC-"


@pytest.mark.parametrize("ending", [".pdb", ".ent.gz", ".cif", ".mmcif.gz", ".CIF"])
def test_formats_agree(tmp_path: Path, ending: str) -> None:
    make = made["pdb"] if ending.startswith((".pdb", ".ent")) else made["cif"]
    path = save(tmp_path / f"x{ending}", make(SEQUENCE, PLACES, "H", first=5))
    check(read_structure(path))
    bare = read_structure(path, unobserved=False)
    assert (bare.sequence, bare.secondary) == ("AMXKLVSDA", "CHHCCCCCC")
    assert bare.xyz[:, 3].all()


def test_binary_cif(tmp_path: Path) -> None:
    path = bcif(tmp_path / "x.bcif")
    check(read_structure(path))
    check(read_structure(save(tmp_path / "y.bcif.gz", path.read_bytes())))


def test_chains_and_models(tmp_path: Path) -> None:
    one, two = (made["pdb"]("AGK", list(P[k : k + 3]), "", chain=c) for k, c in ((0, "A"), (3, "B")))
    text = "MODEL        1\n" + (one + two).replace("END\n", "") + "ENDMDL\nMODEL        2\n" + one + "ENDMDL\n"
    path = save(tmp_path / "x.pdb", text)
    assert read_structure(path).name == "A"
    chosen = read_structure(path, chain="B")
    np.testing.assert_allclose(chosen.xyz[:, :3], P[3:6], atol=2e-3)
    assert chosen.sequence == "AGK"
    assert chosen.secondary is None
    with pytest.raises(DataError, match=r"no protein chain 'C'.*\['A', 'B'\]"):
        read_structure(path, chain="C")
    cif = made["cif"]("AGK", list(P[:3]), "", chain="A").rstrip("#\n")
    second = [w for w in cif.splitlines() if w.startswith("ATOM")]
    later = "\n".join(w[:-1] + "2" for w in second)
    path = save(tmp_path / "x.cif", f"{cif}\n{later}\n#\ndata_other\n_cell.a 1\n")
    assert read_structure(path).xyz.shape == (3, 4)


def test_insertion_codes_and_alternates(tmp_path: Path) -> None:
    atom = old["atom"]
    lines = [
        atom(1, "ALA", 52, P[0]),
        atom(2, "GLY", 52, P[1]).replace("  52 ", "  52A"),
        atom(3, "SER", 53, P[2], alternate="A", occupancy=0.4),
        atom(4, "THR", 53, P[3], alternate="B", occupancy=0.6),
        atom(5, "LYS", 54, P[4], alternate="A", occupancy=0.5),
        atom(6, "LYS", 54, P[5], alternate="B", occupancy=0.5),
    ]
    chain = read_structure(save(tmp_path / "x.pdb", "\n".join([*lines, "END\n"])))
    assert (chain.sequence, chain.numbers) == ("AGTK", ("52", "52A", "53", "54"))
    np.testing.assert_allclose(chain.xyz[:, :3], P[[0, 1, 3, 4]], atol=2e-3)


def test_modified_residues_take_the_letter_of_their_parent(tmp_path: Path) -> None:
    text = made["pdb"]("AKL", list(P[:3]), "").replace("LYS", "QQQ")
    assert read_structure(save(tmp_path / "x.pdb", text)).sequence == "AXL"
    told = f"MODRES 1ABC QQQ A    2  LYS  SOMETHING\n{text}"
    assert read_structure(save(tmp_path / "x.pdb", told)).sequence == "AKL"


def test_seqres_that_numbers_do_not_follow(tmp_path: Path) -> None:
    text = made["pdb"]("AAGKAAGKL", [P[0], P[1], None, None, P[4], P[5], P[6], P[7], None], "")
    shifted = text
    for number in (5, 6, 7, 8):  # a jump of one instead of two
        shifted = shifted.replace(f" A{number:>4}    ", f" A{number - 1:>4}    ")
    chain = read_structure(save(tmp_path / "x.pdb", shifted))
    assert chain.xyz[:, 3].tolist() == [1, 1, 0, 0, 1, 1, 1, 1, 0]
    wrong = text.replace("SEQRES   1 A    9  ALA", "SEQRES   1 A    9  VAL")
    with pytest.raises(DataError, match="do not follow its SEQRES"):
        read_structure(save(tmp_path / "y.pdb", wrong))
    assert read_structure(tmp_path / "y.pdb", unobserved=False).sequence == "AAAAGK"


def test_strands_and_other_helices(tmp_path: Path) -> None:
    places = list(P)
    assert read_structure(save(tmp_path / "x.pdb", made["pdb"](SEQUENCE, places, "E"))).secondary == "CEEEE" + "C" * 7
    assert read_structure(save(tmp_path / "x.cif", made["cif"](SEQUENCE, places, "E"))).secondary == "CEEEE" + "C" * 7
    left = made["cif"](SEQUENCE, places, "H").replace("HELX_P", "HELX_LH_PP_P")
    assert read_structure(save(tmp_path / "y.cif", left)).secondary is None


@pytest.mark.parametrize("ending", [".pdb", ".cif", ".bcif", ".cif.gz"])
def test_broken_files(tmp_path: Path, ending: str) -> None:
    if ending == ".bcif":
        whole = bcif(tmp_path / "good.bcif").read_bytes()
    else:
        make = made["pdb"] if ending == ".pdb" else made["cif"]
        whole = save(tmp_path / f"good{ending}", make(SEQUENCE, PLACES, "H")).read_bytes()
    path = tmp_path / f"x{ending}"
    rng = np.random.default_rng(0)
    for content in (b"", b"\x00" * 50, b"\x1f\x8b junk", b"just text\n", whole[: len(whole) // 4]):
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            read_structure(path)
        assert caught.value.file == path
    for _ in range(60):
        damaged = np.frombuffer(whole, dtype=np.uint8).copy()
        damaged[rng.integers(0, len(whole), 4)] = rng.integers(0, 256, 4)
        path.write_bytes(damaged.tobytes())
        with contextlib.suppress(DataError):  # and nothing else
            chain = read_structure(path)
            assert chain.xyz.shape == (len(chain.sequence), 4)
            assert np.isfinite(chain.xyz).all()


def test_bombs_and_wrong_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "x.pdb.gz", b" " * 2**25)
    with pytest.raises(DataError, match="after unpacking"):
        read_structure(path)
    monkeypatch.setattr(structure, "MOST_BYTES", 100)
    with pytest.raises(DataError, match="more than 100 bytes"):
        read_structure(save(tmp_path / "x.pdb", made["pdb"](SEQUENCE, PLACES, "")))
    with pytest.raises(DataError, match="must end in one of"):
        read_structure(save(tmp_path / "x.txt", "a"))
    with pytest.raises(DataError, match="missing"):
        read_structure(tmp_path / "none.cif")
    assert [file_kind(Path(n)) for n in ("a.ENT.gz", "a.bcif", "a.gz")] == ["PDB", "BinaryCIF", ""]
    assert stem("a.b.cif") == "a.b"


def test_binary_runs_that_claim_too_much(tmp_path: Path) -> None:
    msgpack = pytest.importorskip("msgpack")
    runs = np.array([1, 2**30, 2, 2**30], dtype="<i4").tobytes()
    encoding = [{"kind": "RunLength", "srcSize": 2**31}, {"kind": "ByteArray", "type": 3}]
    column = {"name": "label_seq_id", "data": {"data": runs, "encoding": encoding}, "mask": None}
    category = {"name": "_atom_site", "rowCount": 2**31, "columns": [column]}
    path = save(tmp_path / "x.bcif", msgpack.packb({"dataBlocks": [{"categories": [category]}]}))
    with pytest.raises(DataError, match=r"BinaryCIF.*more than"):
        read_structure(path)


def test_nothing_finite_or_no_column(tmp_path: Path) -> None:
    text = made["cif"]("AGK", list(P[:3]), "")
    first = next(w for w in text.splitlines() if w.startswith("ATOM 2 "))
    with pytest.raises(DataError, match="not finite"):
        read_structure(save(tmp_path / "x.cif", text.replace(first, first.replace(f"{P[0][0]:.3f}", "nan"))))
    with pytest.raises(DataError, match=r"lacks the columns \['Cartn_x'\]"):
        read_structure(save(tmp_path / "x.cif", text.replace("Cartn_x", "Cartn_q")))
    with pytest.raises(DataError, match="no C-alpha"):
        read_structure(save(tmp_path / "x.cif", text.replace(" CA ", " CB ")))


def test_centred(tmp_path: Path) -> None:
    chain = read_structure(save(tmp_path / "x.pdb", made["pdb"](SEQUENCE, PLACES, "H")))
    cut = centred(chain, tmp_path, max_length=5, crop=True)
    assert (cut.sequence, cut.secondary) == (SEQUENCE[:5], "CH--H")
    np.testing.assert_allclose(cut.xyz[[0, 1, 4], :3].mean(0), 0, atol=1e-5)
    assert not cut.xyz[2:4].any()
    with pytest.raises(DataError, match="crop=true"):
        centred(chain, tmp_path, max_length=5)


def test_an_entry_of_the_protein_data_bank() -> None:
    tmtools = pytest.importorskip("tmtools")
    path = Path(tmtools.__file__).parent / "data" / "2gtl.cif"
    if not path.is_file():
        pytest.skip("this tmtools does not ship 2gtl.cif")
    chain = read_structure(path)
    assert (chain.name, len(chain.sequence), int(chain.xyz[:, 3].sum())) == ("A", 151, 147)
    assert chain.sequence.startswith("ADDEDCCSYEDRREIRHIWDDVW")
    assert chain.secondary is not None
    assert chain.secondary.count("H") > 90
    step = np.linalg.norm(np.diff(chain.xyz[4:, :3], axis=0), axis=1)
    assert abs(step - 3.8).max() < 0.2
