"""What all readers of matrices in HDF5 files share: opening once in a process, mapping, and checking values."""

from __future__ import annotations

import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.io.formats.h5 import Place, Positions, find_place, reading
from zoo.errors import SpecError

MAPPED_ROWS = 256
"""Rows after which the pages of the mapped file are handed back; they stay in the page cache of the system."""

Rows = npt.NDArray[np.float32]


class MatrixRows(ABC):
    """The rows (cells) of a matrix (N, G) in an HDF5 file; opened lazily, once in each process.

    Args:
        path: the file.
        shape: (N, G).
        keys: paths of the datasets inside the file.
        names: N names of cells, for messages; () for none.
        genes: G names of genes, for messages; () for none.
        whole: whether values must be whole numbers, as counts are.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int],
        keys: tuple[str, ...],
        *,
        names: Sequence[str] = (),
        genes: Sequence[str] = (),
        whole: bool = False,
    ) -> None:
        self.path, self.shape, self.keys, self.names, self.genes, self.whole = path, shape, keys, names, genes, whole
        self._process = 0
        self._file: Any = None
        self._sets: list[Any] = []
        self._map: mmap.mmap | None = None
        self._views: list[npt.NDArray[Any]] = []
        self._places: list[Place] = []
        self._since = 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getstate__(self) -> dict[str, Any]:
        unopened: dict[str, Any] = {
            "_process": 0,
            "_file": None,
            "_sets": [],
            "_map": None,
            "_views": [],
            "_places": [],
            "_since": 0,
        }
        return {**self.__dict__, **unopened}

    @property
    def mapped(self) -> bool:
        """Whether rows come from a map of the file, without HDF5 in between."""
        self._open()
        return self._map is not None

    @abstractmethod
    def rows(self, indices: Sequence[int] | npt.NDArray[Any]) -> Any:
        """Rows ``indices``, in that order: a scipy CSR matrix of float32, or float32 (n, G) where dense on disk.

        Raises:
            DataError: the file is broken, or a value is not finite, negative, or not whole where it must be.
            SpecError: an index is out of range.
        """

    def dense(self, indices: Sequence[int] | npt.NDArray[Any]) -> Rows:
        """Rows ``indices`` as float32 (n, G); see ``rows``."""
        found = self.rows(indices)
        return np.asarray(found if isinstance(found, np.ndarray) else found.toarray(), dtype=np.float32)

    def _open(self) -> None:
        """Open in this process: a handle that a fork inherited shares its position with the parent."""
        if self._process == os.getpid():
            return
        import h5py

        self._map, self._views, self._places, self._sets = None, [], [], []
        with reading(self.path):
            self._file = h5py.File(self.path, "r")
            self._sets = [self._file[key] for key in self.keys]
            size = self.path.stat().st_size
            places = [find_place(s, size) for s in self._sets]
            if all(p is not None for p in places):
                self._places = [p for p in places if p is not None]
                with self.path.open("rb") as handle:
                    self._map = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
                for p in self._places:
                    count = (size - p.shift) // p.dtype.itemsize
                    self._views.append(np.frombuffer(self._map, p.dtype, count, p.shift))
                self._sets = []
                self._file.close()
        self._process = os.getpid()

    def _wanted(self, indices: Sequence[int] | npt.NDArray[Any]) -> Positions:
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < self.shape[0]):
            bad = wanted[(wanted < 0) | (wanted >= self.shape[0])][0]
            raise SpecError(f"{self.path.name}: row {bad} is out of range; the matrix has {self.shape[0]} rows")
        return wanted

    def _let_go(self, rows: int) -> None:
        """Hand mapped pages back now and then, so that memory does not grow with what was ever touched."""
        self._since += rows
        if self._map is not None and self._since >= MAPPED_ROWS and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._since = 0

    def _name(self, row: int) -> str:
        return self.names[row] if self.names else str(row)

    def _gene(self, column: int) -> str:
        return f"gene '{self.genes[column]}'" if self.genes else f"gene number {column}"


def bad_value(values: npt.NDArray[Any], whole: bool) -> tuple[int, str] | None:
    """Position of the first value that is not finite, negative, or not whole where it must be, and what it is."""
    if not len(values):
        return None
    good = bool(values.min() >= 0 and values.max() < np.inf)  # both are False for NaN
    if good and (not whole or bool((np.floor(values) == values).all())):
        return None
    checks = [("is not finite; drop the cell or the gene", ~np.isfinite(values))]
    checks.append(("is negative; expected counts or log values, not scaled ones", values < 0))
    if whole:
        with np.errstate(invalid="ignore"):
            odd = values % 1 != 0
        checks.append(("is not a whole number, so these are no counts; give the source the 'unit' they have", odd))
    return next((int(np.flatnonzero(bad)[0]), problem) for problem, bad in checks if bad.any())
