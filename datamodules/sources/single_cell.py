"""Single cells in an h5ad file: reading and checking it, and the SingleCellH5AD source."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.source import SOURCES, RawModality, RawTask, Source, SourceCard
from zoo.contract import Sample
from zoo.errors import DataError, unknown_name

LABEL_COLUMNS = (
    "cell_type",
    "celltype",
    "cell_types",
    "bulk_labels",
    "label",
    "labels",
    "cluster",
    "louvain",
    "leiden",
)
"""Columns of obs that are taken as the label, the first that is there."""
GROUP_COLUMNS = ("organ", "tissue", "donor", "patient", "batch")
"""Columns of obs that become group columns where they are there."""
DONOR_COLUMNS = ("donor", "patient", "batch")
"""Columns of obs whose cells stay in one split by default, the first that is there."""


@dataclass(frozen=True)
class Cells:
    """The cells of one h5ad file.

    Attributes:
        file: where they come from.
        matrix: scipy CSR matrix (N, G) of float32.
        names: N names of cells.
        genes: G names of genes.
        obs: table of N lines that describes the cells.
        obsm: name -> further table (N, ...) of the file.
    """

    file: Path | str
    matrix: Any
    names: tuple[str, ...]
    genes: tuple[str, ...]
    obs: pd.DataFrame
    obsm: dict[str, Any]

    def row(self, i: int) -> npt.NDArray[np.float32]:
        """Expression (G,) of cell ``i``."""
        return np.asarray(self.matrix[i].toarray()[0], dtype=np.float32)

    def column(self, name: str) -> list[str]:
        """Column ``name`` of obs as text, "" where unknown.

        Raises:
            UnknownNameError: obs has no such column.
        """
        if name not in self.obs.columns:
            raise unknown_name(f"obs column of {Path(self.file).name}", name, map(str, self.obs.columns))
        values = self.obs[name]
        return [("" if unknown else str(v)) for v, unknown in zip(values, values.isna(), strict=True)]


def load_cells(path: Path, *, integers: bool) -> Cells:
    """Read an h5ad file and check its matrix.

    Args:
        path: the file.
        integers: whether the values must be whole numbers, as counts are.

    Raises:
        DataError: the file is missing or broken, or a value is negative, not finite, or not whole where it
            must be.
    """
    if not path.is_file():
        raise DataError("the file does not exist; check the source's 'file' argument", file=path)
    import anndata

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = anndata.read_h5ad(path)
    except Exception as error:
        raise DataError(f"not a readable h5ad file ({type(error).__name__}); get it again", file=path) from error
    if data.X is None or 0 in data.shape:
        raise DataError(
            f"the file holds no expression matrix (shape {data.shape}); X must be (cells, genes)", file=path
        )
    return make_cells(data, path, data.X, map(str, data.var_names), integers=integers)


def make_cells(data: Any, file: Path | str, matrix: Any, genes: Any, *, integers: bool) -> Cells:
    """Check ``matrix`` (N, G) of an AnnData ``data`` and gather what sources need of it; see load_cells."""
    from scipy import sparse

    cells = Cells(
        file,
        sparse.csr_matrix(matrix, dtype=np.float32),
        tuple(str(n) for n in data.obs_names),
        tuple(genes),
        data.obs,
        dict(data.obsm),
    )
    values = cells.matrix.data
    checks = [("is not finite; drop the cell or the gene", ~np.isfinite(values))]
    checks.append(("is negative; expected counts or log values, not scaled ones", values < 0))
    if integers:
        checks.append(
            ("is not a whole number, so these are no counts; give the source the 'unit' they have", values % 1 != 0)
        )
    for problem, bad in checks:
        if bad.any():
            where = int(np.flatnonzero(bad)[0])
            row = int(np.searchsorted(cells.matrix.indptr, where, side="right")) - 1
            gene = cells.genes[cells.matrix.indices[where]]
            raise DataError(f"gene '{gene}': the value {values[where]} {problem}", file=file, row=cells.names[row])
    return cells


def natural_order(names: Sequence[str]) -> list[str]:
    """Sort distinct names with the numbers in them as numbers.

    >>> natural_order(["type_10", "type_2", "type_2"])
    ['type_2', 'type_10']
    """

    def key(name: str) -> list[tuple[int, int, str]]:
        return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"([0-9]+)", name)]

    return sorted(set(names), key=key)


def class_names(labels: Sequence[str], prefix: str) -> list[str]:
    """Labels as class names: mere numbers get ``prefix``, so that files do not share classes by accident.

    >>> class_names(["type_3", "type_0"], "kidney")
    ['kidney type 3', 'kidney type 0']
    >>> class_names(["B cell", ""], "kidney")
    ['B cell', '']
    """
    found = [re.fullmatch(r"(?:[a-zA-Z]+[ _-]?)?([0-9]+)", label) for label in labels if label]
    if not all(found):
        return list(labels)
    return [f"{prefix} type {re.sub('[^0-9]', '', label)}" if label else "" for label in labels]


def encode(values: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Names in natural order, and the code of each value: its position among the names, -1 for "".

    >>> encode(["lung", "", "heart"])
    (('heart', 'lung'), [1, -1, 0])
    """
    names = tuple(natural_order([v for v in values if v]))
    codes = {name: code for code, name in enumerate(names)}
    return names, [codes.get(v, -1) for v in values]


def choose_cells(n: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Positions, in increasing order, of ``most`` of ``n`` cells drawn at random; all of them for 0."""
    if not most or most >= n:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


_KNOWN = {
    "kidney.h5ad": "Young et al., Single-cell transcriptomes from human kidneys, Science 361, 2018 (in scDCC: "
    "Tian et al., Nat. Commun. 12:1873, 2021)",
    "pbmc4k.h5ad": "10x Genomics, PBMC 4k (in scDCC: Tian et al., Nat. Commun. 12:1873, 2021)",
}


@SOURCES.register
class SingleCellH5AD(Source):
    """Read single cells with a cell type from any h5ad file: X of counts (N, G), labels in obs.

    Args:
        folder: folder of the file, below the root.
        file: name of the h5ad file.
        label: obs column of the cell type; "" takes the first of LABEL_COLUMNS that is there.
        organ: organ of all cells, for a file without such a column; "" leaves it unknown.
        group_by: obs column whose cells never cross a split; "" takes a donor column where there is one.
        unit: "counts", "mean counts", or what else X holds, such as "log1p CP10k".
        modality: name of the modality. Files whose genes differ need different names.

    The classes are known after ``open``. Labels that are mere numbers are prefixed by the file's name
    ("kidney type 3"). A cell without a label is read without a target. Group columns are ``cell_type`` and
    those of GROUP_COLUMNS that the file has.
    """

    def __init__(
        self,
        *,
        folder: str = "scrna",
        file: str = "kidney.h5ad",
        label: str = "",
        organ: str = "",
        group_by: str = "",
        unit: str = "counts",
        modality: str = "scrna",
    ) -> None:
        super().__init__(folder=folder)
        self.file, self.label, self.organ, self.group_by = file, label, organ, group_by
        self.card = SourceCard(
            title=f"Single-cell RNA sequencing, {file}",
            modalities=(RawModality(modality, "expression", unit),),
            tasks=(RawTask("cell_type", "classification", modalities=(modality,)),),
            licence="not stated",
            access="open",
            citation=_KNOWN.get(file, "not stated"),
            where="the scDCC repository (data/Small_Datasets), or any h5ad file of your own",
            layout=f"{file}: AnnData with X (cells, genes) in '{unit}' and a column of obs with the cell type",
            caution="kidney and pbmc4k: 2000 genes without names, not shared between files; the labels of pbmc4k "
            "come from clustering of the same data, so accuracy on them is optimistic",
        )
        self._cells: Cells | None = None
        self._groups: dict[str, tuple[tuple[str, ...], list[int]]] = {}

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        raw = self.card.modalities[0]
        cells = load_cells(path, integers=raw.unit == "counts")
        label = self.label or next((c for c in LABEL_COLUMNS if c in cells.obs.columns), "")
        if not label:
            raise DataError(
                f"no column of obs is known to hold labels; give 'label' as one of {list(cells.obs.columns)}",
                file=path,
            )
        labels = class_names(cells.column(label), Path(self.file).stem)
        classes = tuple(natural_order([name for name in labels if name]))
        if len(classes) < 2:
            raise DataError(f"obs column '{label}' has the classes {classes}; at least 2 are needed", file=path)
        self._groups = {"cell_type": encode(labels)}
        for name in GROUP_COLUMNS:
            if name in cells.obs.columns and name != label:
                self._groups[name] = encode(cells.column(name))
        if self.organ and "organ" not in self._groups:
            self._groups["organ"] = encode([self.organ] * len(labels))
        group_by = self.group_by or next((c for c in DONOR_COLUMNS if c in self._groups), "")
        group = cells.column(group_by) if group_by else [""] * len(labels)
        self._cells = cells
        self.card = replace(
            self.card,
            modalities=(replace(raw, features=cells.genes),),
            tasks=(replace(self.card.tasks[0], classes=classes),),
        )
        return cell_table(Path(self.file).stem, cells.names, group, labels, np.arange(len(labels)))

    def read(self, row: int) -> Sample:
        """Read one cell: expression (G,) in the unit of the card, its type, and its groups."""
        sample = self.peek(row)
        assert self._cells is not None
        cell = int(self.index["cell"].to_numpy()[row])
        sample.inputs[self.card.modalities[0].name] = self._cells.row(cell)
        return sample

    def peek(self, row: int) -> Sample:
        """Like ``read``, with None for the expression."""
        line = self.index.iloc[row]
        targets = {"cell_type": line["stratum"]} if line["stratum"] else {}
        groups = {name: codes[line["cell"]] for name, (_, codes) in self._groups.items()}
        return Sample(line["id"], {self.card.modalities[0].name: None}, targets, groups)

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Names of cell types and of the group columns of the file."""
        return {name: names for name, (names, _) in self._groups.items()}


def cell_table(
    prefix: str, names: Sequence[str], group: Sequence[str], stratum: Sequence[str], cells: npt.NDArray[np.int64]
) -> pd.DataFrame:
    """Index of ``cells``, positions in the file; ``names``, ``group`` and ``stratum`` are of all cells in it."""
    return pd.DataFrame(
        {
            "id": [f"{prefix}/{names[i]}" for i in cells],
            "subject": "",
            "group": [group[i] for i in cells],
            "stratum": [stratum[i] for i in cells],
            "split": "",
            "cell": cells,
        }
    )
