"""Loom files as loompy reads them: the matrix of counts, names of cells and genes, attributes of any type."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from datamodules.sources.omics.loom import Loom, LoomMatrix
from tests.conformance.table import Case, Format, Variant, cases

write = runpy.run_path(str(Path(__file__).parents[1] / "data" / "loom.py"))["write"]
TEXT = h5py.string_dtype("utf-8")
KINDS = ("T cell", "B cell", "NK cell")


def ours(label: str = "cell_type", **options: Any) -> Callable[[Path], dict[str, Any]]:
    def read(path: Path) -> dict[str, Any]:
        source = Loom(folder=str(path.parent), file=path.name, label=label, matrix=LoomMatrix(**options))
        source.open()
        order = np.argsort(source.index["cell"].to_numpy())
        samples = [source.read(int(k)) for k in order]
        return {
            "cells": [str(source.id(int(k))).rsplit("/", 1)[1] for k in order],
            "genes": list(source.card.modalities[0].features),
            "labels": [sample.targets.get("cell_type") for sample in samples],
            "counts": np.stack([sample.inputs["scrna"] for sample in samples]).astype(np.float64),
        }

    return read


def with_loompy(
    label: str = "cell_type", layer: str = "", cells: str = "CellID", genes: str = "Gene"
) -> Callable[[Path], dict[str, Any]]:
    def read(path: Path) -> dict[str, Any]:
        import loompy

        with loompy.connect(str(path), mode="r", validate=False) as file:
            return {
                "cells": [str(v) for v in file.ca[cells]],
                "genes": [str(v) for v in file.ra[genes]],
                "labels": [str(v) for v in file.ca[label]],
                "counts": np.asarray(file.layers[layer][:, :], dtype=np.float64).T,
            }

    return read


def loom(edit: Callable[[Any], Any] = lambda file: None, n: int = 12) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write(folder, n=n)
        with h5py.File(folder / "cells.loom", "a") as file:
            edit(file)
        return folder / "cells.loom"

    return make


def put(name: str, values: Any, **options: Any) -> Callable[[Any], None]:
    """Write a data set anew."""

    def edit(file: Any) -> None:
        if name in file:
            del file[name]
        file.create_dataset(name, data=values, **options)

    return edit


def matrix(kind: Any, **options: Any) -> Callable[[Any], None]:
    """Store the matrix in another type or layout."""
    return lambda file: put("matrix", file["matrix"][()].astype(kind), **options)(file)


def kinds(values: list[Any], **options: Any) -> Callable[[Path], Path]:
    """Cells whose type is one of ``values`` in turn."""
    return loom(put("col_attrs/cell_type", [values[k % len(values)] for k in range(12)], **options))


def types(path: Path) -> Any:
    return ours()(path)["labels"]


FRACTION = np.full((30, 12), 0.5, dtype=np.float32)
NEGATIVE = -np.ones((30, 12), dtype=np.float32)

LOOM = Format(
    "Loom",
    library="loompy.connect",
    reference=with_loompy(),
    ours=ours(),
    variants=(
        Variant("as it is specified", loom()),
        Variant("32-bit integers", loom(matrix(np.int32))),
        Variant("8-bit unsigned integers", loom(matrix(np.uint8))),
        Variant("64-bit floats", loom(matrix(np.float64))),
        Variant("big-endian", loom(matrix(">f4"))),
        Variant("not chunked", loom(matrix(np.float32, chunks=None))),
        Variant("chunks of one row, by LZF", loom(matrix(np.float32, chunks=(1, 12), compression="lzf"))),
        Variant("shuffled bytes", loom(matrix(np.int16, chunks=(8, 8), compression="gzip", shuffle=True))),
        Variant("a layer", loom(), ours=ours(layer="spliced"), reference=with_loompy(layer="spliced")),
        Variant("left on disk", loom(), ours=ours(backed=True)),
        Variant("more cells than a block", loom(n=600)),
        Variant("words of fixed length", kinds([k.encode() for k in KINDS], dtype="S8")),
        Variant("letters beyond ASCII", kinds(["größe", "名", "é"], dtype=TEXT), ours=types,
                differs="loompy drops the letters, and they stay here", expected=["größe", "名", "é"] * 4),
        Variant("types that are numbers", kinds([3, 10, 2])),
        Variant("another attribute as the type", loom(), ours=ours("donor"), reference=with_loompy("donor")),
        Variant("genes of one name", loom(put("row_attrs/Gene", ["A", "A", *map(str, range(28))], dtype=TEXT))),
        Variant("cells of one name", loom(put("col_attrs/CellID", ["x", "x", *map(str, range(10))], dtype=TEXT)),
                error="the cell 'x' occurs twice"),
        Variant("names of cells under another attribute",
                loom(put("col_attrs/obs_names", [f"b{k}" for k in range(12)], dtype=TEXT)),
                ours=ours(cell_names="obs_names"), reference=with_loompy(cells="obs_names")),
        Variant("names of genes under another attribute",
                loom(put("row_attrs/Accession", [f"ENSG{k}" for k in range(30)], dtype=TEXT)),
                ours=ours(gene_names="Accession"), reference=with_loompy(genes="Accession")),
        Variant("fractions as counts", loom(put("matrix", FRACTION)), error="0.5"),
        Variant("fractions in their unit", loom(put("matrix", FRACTION)), ours=ours(unit="log1p CP10k")),
        Variant("negative counts", loom(put("matrix", NEGATIVE)), error="-1"),
        Variant("a type that is unknown", kinds(["T cell", "B cell", ""], dtype=TEXT), ours=types,
                differs="such a cell has no label", expected=["T cell", "B cell", None] * 4),
        Variant("no matrix", loom(lambda file: file.__delitem__("matrix")), error="it has no 'matrix'"),
        Variant("too few names", loom(put("col_attrs/CellID", ["a", "b"], dtype=TEXT)), error="has shape (2,)"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", cases(LOOM), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    pytest.importorskip("loompy")
    case.check(tmp_path)
