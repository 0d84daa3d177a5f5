"""The affinities of DAVIS, on a made-up layout and on the real tables."""

from __future__ import annotations

import gzip
import runpy
from pathlib import Path
from typing import Any

import pytest

from datamodules.core.splits import assign_splits
from datamodules.sources.proteins.davis_dti import DavisDTI, gene
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "davis_dti.py"))["write"]


def opened(root: Path, **arguments: Any) -> DavisDTI:
    source = DavisDTI(**arguments)
    source.open(root)
    return source


def test_rows_hold_both_modalities_and_their_affinity(tmp_path: Path) -> None:
    write(tmp_path / "davis_dti", n=12)
    source = opened(tmp_path)
    assert len(source) == 4 * 14
    with gzip.open(tmp_path / "davis_dti" / "affinities.csv.gz", "rt") as file:
        lines = {f"{d}-{p}": float(v) for d, p, _, v, _ in (line.strip().split(",") for line in list(file)[1:])}
    names = source.group_names()
    for row in range(len(source)):
        sample = source.read(row)
        drug, protein = sample.id.split("-")
        assert sample.targets == {"affinity": {"pKd": lines[sample.id]}}
        assert (names["drug"][sample.groups["drug"]], names["protein"][sample.groups["protein"]]) == (drug, protein)
    assert source.read(0).inputs["drug"] == "CC(=O)Oc1ccccc1C(=O)O"


def test_kinases_of_one_gene_or_one_sequence_stay_together(tmp_path: Path) -> None:
    write(tmp_path / "davis_dti", n=12)
    proteins = tmp_path / "davis_dti" / "proteins.csv"
    text = proteins.read_text()
    same = next(line.split(",")[1] for line in text.splitlines() if line.startswith("K2,"))
    text = "".join(f"K3,{same}\n" if line.startswith("K3,") else f"{line}\n" for line in text.splitlines())
    proteins.write_text(text)
    group = opened(tmp_path).index.groupby("protein")["group"].first()
    assert group["K0"] == group["K0(T315I)"] == "K0"
    assert group["K1"] == group["K1(V600E)"]
    assert group["K2"] == group["K3"]
    assert group.nunique() == 11
    assert opened(tmp_path, group="drug").index["group"].nunique() == 4
    assert set(opened(tmp_path, group="").index["group"]) == {""}


def test_published_parts(tmp_path: Path) -> None:
    write(tmp_path / "davis_dti", n=12)
    with gzip.open(tmp_path / "davis_dti" / "affinities.csv.gz", "rt") as file:
        fold = {f"{d}-{p}": int(f) for d, p, _, _, f in (line.strip().split(",") for line in list(file)[1:])}
    source = opened(tmp_path, published=True, group="", val_fold=2)
    wanted = {-1: "test", 2: "val"}
    assert all(s == wanted.get(fold[i], "train") for i, s in source.index[["id", "split"]].itertuples(index=False))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"group": "kinase"}, "must be 'gene', 'drug' or ''"),
        ({"published": True}, "set group to ''"),
        ({"val_fold": 5}, r"one of \(0, 1, 2, 3, 4\)"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        DavisDTI(**arguments)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1000,K99,1.0,9.0,0", "the protein 'K99' is not in proteins.csv"),
        ("99,K1,1.0,9.0,0", "the drug '99' is not in drugs.csv"),
        ("1000,K1,1.0,inf,0", "pKd must be a finite number"),
        ("1000,K1,1.0,9.0,7", "fold must be -1"),
    ],
)
def test_broken_lines(tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path / "davis_dti", n=2)
    path = tmp_path / "davis_dti" / "affinities.csv.gz"
    with gzip.open(path, "rt") as file:
        text = file.read()
    with gzip.open(path, "wt") as file:
        file.write(text + line + "\n")
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path)
    assert caught.value.row == 16


def test_a_broken_table(tmp_path: Path) -> None:
    write(tmp_path / "davis_dti", n=2)
    drugs = tmp_path / "davis_dti" / "drugs.csv"
    drugs.write_text(drugs.read_text() + "1000,CC\n")
    with pytest.raises(DataError, match="'1000' occurs twice"):
        opened(tmp_path)
    drugs.write_text("drug,smiles\n1000,\n")
    with pytest.raises(DataError, match="drug or smiles is empty"):
        opened(tmp_path)


def test_real_tables(shared_data: Path) -> None:
    source = opened(shared_data)
    assert len(source) == 30_056
    assert (source.index["pKd"] == 5.0).mean() == pytest.approx(0.70, abs=0.01)
    assert {n: len(v) for n, v in source.group_names().items()} == {"drug": 68, "protein": 442}
    split = assign_splits(source.index, fractions=(0.6, 0.15, 0.25))
    by_gene = source.index.assign(split=split, gene=source.index["protein"].map(gene))
    assert by_gene.groupby("gene")["split"].nunique().max() == 1
    published = opened(shared_data, published=True, group="")
    counts = published.index["split"].value_counts()
    assert counts["test"] == 5010
    assert counts["train"] + counts["val"] == 25_046
