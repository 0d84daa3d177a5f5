"""XenaExpression on a made-up cohort."""

from __future__ import annotations

import gzip
import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest

from datamodules.modalities.single_cell import ExpressionProcessor
from datamodules.sources.omics.xena import ExpressionValues, Phenotype, XenaExpression, parse_barcode
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "xena.py"))["write"]
FOLDER = "TCGA.BRCA.sampleMap"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / FOLDER)
    return tmp_path


def opened(root: Path, source: XenaExpression) -> XenaExpression:
    source.open(root)
    return source


def matrix(root: Path) -> list[list[str]]:
    text = gzip.decompress((root / FOLDER / "HiSeqV2.gz").read_bytes()).decode()
    return [line.split("\t") for line in text.splitlines()]


def rewrite(root: Path, old: str, new: str, count: int = 1) -> None:
    path = root / FOLDER / "HiSeqV2.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new, count).encode()))


def test_profiles(root: Path) -> None:
    source = opened(root, XenaExpression())
    table = matrix(root)
    assert len(source) == 30
    assert source.card.modalities[0].features == tuple(line[0] for line in table[1:])
    assert source.card.modalities[0].unit == "log2(norm_count+1)"
    assert [t.name for t in source.card.tasks] == ["tumour"]
    assert source.index["group"].nunique() == 20
    for row in range(30):
        sample = source.read(row)
        column = table[0].index(sample.id)
        np.testing.assert_allclose(
            sample.inputs["expression_profile"], [float(line[column]) for line in table[1:]], rtol=1e-6
        )
        assert sample.inputs["expression_profile"].dtype == np.float32
        assert sample.targets == {"tumour": "normal" if sample.id.endswith("-11") else "tumour"}
        assert source.index["group"][row] == sample.id[:12]
        assert source.peek(row).inputs == {"expression_profile": None}
    again = pickle.loads(pickle.dumps(source)).read(0)
    assert again.inputs["expression_profile"].tolist() == source.read(0).inputs["expression_profile"].tolist()


def test_subtypes(root: Path) -> None:
    source = opened(root, XenaExpression(phenotype=Phenotype(label_column="PAM50Call_RNAseq"), join_patients=True))
    assert source.card.tasks[1].classes == ("Basal", "Her2", "LumA", "LumB")
    assert sum("subtype" in source.peek(i).targets for i in range(30)) == 19
    assert source.index["subject"].tolist() == source.index["group"].tolist()
    with pytest.raises(DataError, match=r"'Her2' is unknown|'Basal' is unknown"):
        opened(root, XenaExpression(phenotype=Phenotype(label_column="PAM50Call_RNAseq", classes=("LumA", "LumB"))))
    with pytest.raises(DataError, match=r"BRCA_clinicalMatrix"):
        opened(root, XenaExpression(phenotype=Phenotype(label_column="PAM51")))


def test_processor_takes_it(root: Path) -> None:
    source = opened(root, XenaExpression())
    values = [source.read(i).inputs["expression_profile"] for i in range(30)]
    processor = ExpressionProcessor()
    processor.fit(source.card.modalities[0], values)
    np.testing.assert_array_equal(processor(values[3]).numpy(), values[3])
    natural = opened(root, XenaExpression(values=ExpressionValues(natural_log=True)))
    raw = natural.card.modalities[0]
    assert raw.unit == "log1p norm_count"
    scaled = [natural.read(i).inputs["expression_profile"] for i in range(30)]
    np.testing.assert_allclose(np.expm1(scaled[2]), 2 ** values[2] - 1, rtol=1e-3, atol=1e-4)
    variable = ExpressionProcessor(num_genes=5)
    variable.fit(raw, scaled)
    assert variable.spec(raw).shape == (5,)


def test_chosen_genes(root: Path) -> None:
    source = opened(root, XenaExpression(values=ExpressionValues(genes=("GENE5", "HIF3A"))))
    whole = opened(root, XenaExpression())
    names = whole.card.modalities[0].features
    assert source.card.modalities[0].features == ("GENE5", "HIF3A")
    row = whole.read(4).inputs["expression_profile"]
    assert source.read(4).inputs["expression_profile"].tolist() == [
        row[names.index("GENE5")],
        row[names.index("HIF3A")],
    ]
    with pytest.raises(DataError, match=r"\['NONE'\] are not in the matrix"):
        opened(root, XenaExpression(values=ExpressionValues(genes=("NONE",))))
    with pytest.raises(DataError, match="max_bytes=100"):
        opened(root, XenaExpression(values=ExpressionValues(max_bytes=100)))


def test_unknown_values(root: Path) -> None:
    value = matrix(root)[2][5]
    rewrite(root, value, "NA")
    with pytest.raises(
        DataError, match=rf"gene 'HIF3A' has no finite value in sample '{matrix(root)[0][5]}'.*HiSeqV2.gz"
    ):
        opened(root, XenaExpression())
    source = opened(root, XenaExpression(values=ExpressionValues(missing_values="skip")))
    assert len(source.card.modalities[0].features) == 11
    assert source.skipped == {"gene with unknown values (missing_values)": 1}


def test_samples_without_barcode_or_phenotype(root: Path) -> None:
    first = matrix(root)[0][1]
    rewrite(root, first, "K-562-SM-1")
    with pytest.raises(DataError, match=r"'K-562-SM-1'\S*;|'K-562-SM-1'.*unmatched='skip'"):
        opened(root, XenaExpression())
    with pytest.raises(DataError, match=r"'K-562-SM-1' is no TCGA.*column 2"):
        opened(root, XenaExpression(phenotype=Phenotype(file="")))
    source = opened(root, XenaExpression(phenotype=Phenotype(file=""), barcodes="skip"))
    assert (len(source), source.skipped) == (29, {"no barcode (barcodes)": 1})
    source = opened(root, XenaExpression(phenotype=Phenotype(file=""), barcodes="ignore"))
    assert source.peek(source.index["id"].tolist().index("K-562-SM-1")).targets == {}
    rewrite(root, "K-562-SM-1", "TCGA-QQ-A111-01")
    source = opened(root, XenaExpression(phenotype=Phenotype(unmatched="skip")))
    assert source.skipped == {"not in the phenotype table (unmatched)": 1}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("\nHIF3A\t", "\nARHGEF10L\t", "'ARHGEF10L' occurs twice"),
        ("\nHIF3A\t", "\nHIF3A\tlow", "cannot be read.*low"),
        ("\nHIF3A\t", "\nHIF3A\t1\t", "cannot be read"),
        ("\nARHGEF10L\t", "\nARHGEF10L\t1\t", "the second has 31 values.*row: 1"),
        ("sample\t", "sample\tx\t", "the first line names 31 samples.*row: 1"),
        ("-01\t", "-11\t", "the first line names 30 samples, of which 29 differ"),
    ],
)
def test_bad_matrix(root: Path, old: str, new: str, says: str) -> None:
    rewrite(root, old, new)
    with pytest.raises(DataError, match=says):
        opened(root, XenaExpression())


def test_short_line(root: Path) -> None:
    line = "\t".join(matrix(root)[4])
    rewrite(root, line, line.rsplit("\t", 3)[0])
    with pytest.raises(DataError, match="GENE3"):
        opened(root, XenaExpression())


def test_broken_files_and_arguments(root: Path) -> None:
    path = root / FOLDER / "HiSeqV2.gz"
    whole = path.read_bytes()
    for content in (whole[:-40], b"", whole[:30] + b"\x00\x00" + whole[32:], b"\x89PNG\r\n\x1a\n" + bytes(99)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"HiSeqV2\.gz"):
            opened(root, XenaExpression())
    path.write_bytes(whole)
    table = root / FOLDER / "BRCA_clinicalMatrix"
    text = table.read_text()
    table.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(DataError, match=r"occurs twice.*row: 33"):
        opened(root, XenaExpression())
    table.write_bytes(text.encode() + "TCGA-ZZ-A998-01\t\u00e9\t\t\t\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"name its encoding.*BRCA_clinicalMatrix"):
        opened(root, XenaExpression())
    assert len(opened(root, XenaExpression(phenotype=Phenotype(encoding="latin-1")))) == 30
    path.unlink()
    with pytest.raises(DataError, match=r"missing.*HiSeqV2.gz"):
        opened(root, XenaExpression())
    with pytest.raises(SpecError, match="natural_log"):
        XenaExpression(values=ExpressionValues(unit="log2(tpm+0.001)", natural_log=True))
    assert parse_barcode("TCGA-AR-A5QQ") is None
