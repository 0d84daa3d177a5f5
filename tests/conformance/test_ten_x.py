"""Cell Ranger's matrices as scanpy reads them: counts, barcodes, names of genes, kinds of features, both versions."""

from __future__ import annotations

import gzip
import runpy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from datamodules.sources.omics.ten_x import BarcodeTable, TenX, TenXFeatures
from tests.conformance.table import Case, Format, Variant, cases

Make = Callable[[Path], Path]
write = runpy.run_path(str(Path(__file__).parents[1] / "data" / "ten_x.py"))["write"]
NEW, OLD = "filtered_feature_bc_matrix", "filtered_gene_bc_matrices/GRCh38"
NEW_H5, OLD_H5 = "filtered_feature_bc_matrix.h5", "filtered_gene_bc_matrices_h5.h5"


def ours(**options: Any) -> Callable[[Path], dict[str, Any]]:
    def read(path: Path) -> dict[str, Any]:
        features = TenXFeatures(**options)
        source = TenX(folder=str(path.parent), matrix=path.name, labels=BarcodeTable(file=""), features=features)
        source.open()
        order = np.argsort(source.index["cell"].to_numpy())
        names = source.index["id"].to_numpy()[order]
        return {
            "names": [str(n).rsplit("/", 1)[1] for n in names],
            "genes": list(source.card.modalities[0].features),
            "counts": np.stack([source.read(int(k)).inputs["scrna"] for k in order]).astype(np.float64),
        }

    return read


def with_scanpy(names: str = "gene_symbols", kind: str = "Gene Expression") -> Callable[[Path], dict[str, Any]]:
    def read(path: Path) -> dict[str, Any]:
        import scanpy

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.is_dir():
                data = scanpy.read_10x_mtx(path, var_names=names, make_unique=True, gex_only=False)
            else:
                data = scanpy.read_10x_h5(path, gex_only=False)
                if names == "gene_ids":
                    data.var_names = data.var["gene_ids"]
        if "feature_types" in data.var:
            data = data[:, data.var["feature_types"] == kind].copy()
        data.var_names_make_unique()
        return {
            "names": list(data.obs_names),
            "genes": list(data.var_names),
            "counts": data.X.toarray().astype(np.float64),
        }

    return read


def run(place: str, edit: Callable[[Path], Any] = lambda path: None) -> Make:
    def make(folder: Path) -> Path:
        write(folder)
        edit(folder / place)
        return folder / place

    return make


def text(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    """Change a file of a folder, packed or not."""

    def edit(path: Path) -> None:
        packed = path / f"{name}.gz"
        if packed.is_file():
            packed.write_bytes(gzip.compress(change(gzip.decompress(packed.read_bytes()).decode()).encode()))
        else:
            (path / name).write_text(change((path / name).read_text()))

    return edit


def h5(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        with h5py.File(path, "a") as file:
            change(file)

    return edit


def commented(lines: str) -> str:
    return lines.replace("\n", "\n% a comment\n", 1)


IDS = {"ours": ours(names="ids"), "reference": with_scanpy("gene_ids")}
PROTEINS = {"ours": ours(feature_type="Antibody Capture"), "reference": with_scanpy(kind="Antibody Capture")}

TEN_X = Format(
    "10x Genomics",
    library="scanpy.read_10x_mtx, read_10x_h5",
    reference=with_scanpy(),
    ours=ours(),
    variants=(
        Variant("version 3, a folder", run(NEW)),
        Variant("version 2, a folder", run(OLD)),
        Variant("version 3, h5", run(NEW_H5)),
        Variant("version 2, h5", run(OLD_H5)),
        Variant("identifiers, version 3, a folder", run(NEW), **IDS),
        Variant("identifiers, version 2, a folder", run(OLD), **IDS),
        Variant("identifiers, version 3, h5", run(NEW_H5), **IDS),
        Variant("identifiers, version 2, h5", run(OLD_H5), **IDS),
        Variant("antibodies, a folder", run(NEW), **PROTEINS),
        Variant("antibodies, h5", run(NEW_H5), **PROTEINS),
        Variant("h5 left on the disk", run(NEW_H5), ours=ours(backed=True)),
        Variant("a comment in the matrix", run(NEW, text("matrix.mtx", commented))),
        Variant("three genes of one symbol", run(NEW, text("features.tsv", lambda t: t.replace("GENE8", "GENE6")))),
        Variant("a symbol that looks like a repeated one",
                run(NEW, text("features.tsv", lambda t: t.replace("GENE9\t", "GENE6-1\t")))),
        Variant("barcodes without a suffix", run(NEW, text("barcodes.tsv", lambda t: t.replace("-1", "")))),
        Variant("a matrix of a wrong length", run(NEW, text("matrix.mtx", lambda t: t.rsplit("\n", 2)[0] + "\n")),
                error="not a readable Matrix Market file"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", cases(TEN_X), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
