"""GenBankFeatures on made-up records."""

from __future__ import annotations

import gzip
import pickle
import runpy
from pathlib import Path

import pytest

from datamodules.sources.omics.genbank import FeatureClasses, FeatureWindows, GenBankFeatures
from zoo.errors import DataError, SpecError

generator = runpy.run_path(str(Path(__file__).parents[3] / "data" / "genbank.py"))
write, COMPLEMENT = generator["write"], generator["COMPLEMENT"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "genbank")
    return tmp_path


def opened(root: Path, source: GenBankFeatures) -> GenBankFeatures:
    source.open(root)
    return source


def letters(root: Path) -> dict[str, str]:
    folder = root / "genbank"
    text = (folder / "first.gb").read_text() + gzip.decompress((folder / "second.gbff.gz").read_bytes()).decode()
    found = {}
    for part in text.split("//\n")[:-1]:
        name = part.split("VERSION")[1].split()[0]
        found[name] = "".join(c for c in part.split("ORIGIN")[1] if c.isalpha()).upper()
    return found


def test_features(root: Path) -> None:
    source = opened(root, GenBankFeatures())
    assert len(source) == 40
    assert source.index["group"].nunique() == 8
    whole = letters(root)
    got = {s.id: s for s in (source.read(i) for i in range(40))}
    for name, dna in whole.items():
        reverse = dna[::-1].translate(COMPLEMENT)
        expected = {
            f"{name}:CDS:[10:100](+)": dna[10:100],
            f"{name}:CDS:[150:210](-)": reverse[600 - 210 : 600 - 150],
            f"{name}:tRNA:[300:370](+)": dna[300:370],
            f"{name}:rRNA:[<400:520](+)": dna[400:520],
        }
        for key, sequence in expected.items():
            assert got[key].inputs == {"genomics": sequence}
            assert got[key].targets == {"feature_type": key.split(":")[1]}
        (joined,) = (s for k, s in got.items() if k.startswith(f"{name}:CDS:join"))
        assert joined.inputs["genomics"] == (dna[220:230] + dna[240:250])[::-1].translate(COMPLEMENT)
    assert pickle.loads(pickle.dumps(source)).peek(5) == source.read(5)


def test_windows_and_groups(root: Path) -> None:
    source = opened(
        root,
        GenBankFeatures(
            types=("CDS", "rRNA"), windows=FeatureWindows(max_length=50, min_length=15), group_by="feature"
        ),
    )
    name = next(iter(letters(root)))
    lengths = {
        s.id: len(s.inputs["genomics"]) for s in (source.read(i) for i in range(len(source))) if s.id.startswith(name)
    }
    assert sorted(lengths.values()) == [20, 20, 40, 50, 50, 50, 50]
    assert f"{name}:rRNA:[<400:520](+)/50" in lengths
    assert source.skipped == {"window is too short (min_length)": 8}  # the last ten of each 60
    assert source.index["group"].nunique() == 32
    assert opened(root, GenBankFeatures(group_by="organism")).index["group"].nunique() == 4


def test_qualifiers(root: Path) -> None:
    source = opened(root, GenBankFeatures(types=("CDS",), qualifier="product"))
    assert source.card.tasks[0].classes == ("kinase", "ligase")
    assert len(source) == 24
    everything = {"types": ("CDS", "gene", "tRNA"), "qualifier": "product"}
    with pytest.raises(DataError, match=r"no qualifier 'product'.*first.gb.*row: XX000000.1:gene:\[10:100\]"):
        opened(root, GenBankFeatures(**everything))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"'tRNA-Ala' is unknown"):
        opened(
            root,
            GenBankFeatures(**everything, labels=FeatureClasses(classes=("kinase", "ligase"), unlabelled="skip")),
        )  # type: ignore[arg-type]
    source = opened(
        root,
        GenBankFeatures(
            **everything, labels=FeatureClasses(classes=("kinase", "ligase"), unlabelled="skip", other_classes="skip")
        ),  # type: ignore[arg-type]
    )
    assert len(source) == 24
    assert source.skipped == {
        "no qualifier 'product' (unlabelled)": 8,
        "'product' is in no class (other_classes)": 8,
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("     600 bp", "     900 bp"),
        ("11..100", "11..x00"),
        ("11..100", "11..1000"),
        ("301..370", "XX999999.1:301..370"),
        ("LOCUS       XX000001", "LOCVS       XX000001"),
        ("//\nLOCUS       XX000001", "LOCUS       XX000001"),
    ],
)
def test_broken_records(root: Path, old: str, new: str) -> None:
    path = root / "genbank" / "first.gb"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=r"first\.gb"):
        opened(root, GenBankFeatures())


def test_a_record_twice(root: Path) -> None:
    (root / "genbank" / "copy.gb").write_text((root / "genbank" / "first.gb").read_text())
    with pytest.raises(DataError, match=r"'XX000000.1' is also in 'copy.gb'.*first.gb"):
        opened(root, GenBankFeatures())


def test_every_truncation_is_refused(root: Path) -> None:
    path = root / "genbank" / "first.gb"
    text = path.read_text()
    for cut in [*range(1, len(text) // 4, 97), len(text) - 4, len(text) - 3]:
        path.write_text(text[:cut])
        with pytest.raises(DataError, match=r"first\.gb"):
            opened(root, GenBankFeatures())


def test_other_files(root: Path) -> None:
    path = root / "genbank" / "second.gbff.gz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"second.gbff.gz"):
        opened(root, GenBankFeatures())
    for content in (b"", b"\x00\xff" * 50, b">fasta\nACGT\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"second.gbff.gz"):
            opened(root, GenBankFeatures())
    path.unlink()
    (root / "genbank" / "first.gb").unlink()
    with pytest.raises(DataError, match="no GenBank file"):
        opened(root, GenBankFeatures())
    with pytest.raises(SpecError, match="min_length"):
        GenBankFeatures(windows=FeatureWindows(max_length=5, min_length=6))
