"""A store of the features of rows that a frozen network has seen: in memory, and in a folder where asked for."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.errors import DataError

Features = npt.NDArray[np.float16]
_MIB = 1 << 20
VARIABLE = "ZOO_FEATURES"
"""Environment variable: the folder of stores that name none. Commands that train in several processes set it."""


def row_keys(x: Tensor) -> list[bytes]:
    """Map N rows of any shape to N keys of 16 bytes: equal for equal shape, type and values."""
    rows = x.detach().cpu().contiguous()
    head = f"{rows.dtype}{tuple(rows.shape[1:])}".encode()
    values = rows.numpy() if rows.dtype != torch.bfloat16 else rows.view(torch.int16).numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=16, key=hashlib.md5(head).digest()).digest() for row in values]


class FeatureStore:
    """Keep a vector of ``width`` float16 numbers a key.

    In memory up to ``mib``; once that is full nothing more is taken, as an epoch that goes through more rows than
    fit would otherwise push each row out before it comes again. In the folder there is one SQLite file for each
    network, without a bound, which any number of processes may read and write at once.

    Args:
        width: numbers a row.
        mib: bound of the memory in MiB; 0 keeps nothing in memory.
        folder: where the file lies; made where it is missing; "" takes that of the environment variable
            ZOO_FEATURES, and keeps nothing on disk where that is not set.
        name: name of the file without ending: of the network, its weights and its settings.
    """

    def __init__(self, width: int, mib: int, folder: str, name: str) -> None:
        self.width, self.mib = width, mib
        folder = folder or os.environ.get(VARIABLE, "")
        self.file = Path(folder) / f"{name}.sqlite" if folder else None
        self._memory: dict[bytes, Features] = {}
        self._connection: sqlite3.Connection | None = None
        self._process = 0

    def __len__(self) -> int:
        return len(self._memory)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Features]:
        """Return what is known of ``keys``."""
        found = {k: self._memory[k] for k in keys if k in self._memory}
        missing = list(dict.fromkeys(k for k in keys if k not in found))
        if missing and self.file is not None:
            read = self._read(missing)
            self._keep(read)
            found.update(read)
        return found

    def put(self, values: dict[bytes, Features]) -> None:
        """Take in new vectors."""
        self._keep(values)
        if self.file is not None and values:
            rows = [(k, v.tobytes()) for k, v in values.items()]
            try:
                with self._open() as connection:  # one transaction
                    connection.executemany("INSERT OR IGNORE INTO features VALUES (?, ?)", rows)
            except sqlite3.Error as error:
                raise self._broken(error) from error

    def _keep(self, values: dict[bytes, Features]) -> None:
        room = self.mib * _MIB // (2 * self.width) - len(self._memory)
        for key, value in values.items():
            if room <= 0:
                return
            room -= key not in self._memory
            self._memory[key] = value

    def _read(self, keys: list[bytes]) -> dict[bytes, Features]:
        out: dict[bytes, Features] = {}
        try:
            connection = self._open()
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                marks = ",".join("?" * len(part))
                out.update(
                    (bytes(k), np.frombuffer(v, dtype=np.float16))
                    for k, v in connection.execute(f"SELECT key, value FROM features WHERE key IN ({marks})", part)
                )
        except (sqlite3.Error, ValueError) as error:
            raise self._broken(error) from error
        if any(v.shape != (self.width,) for v in out.values()):
            raise self._broken(f"a row has another width than {self.width}")
        return out

    def _open(self) -> sqlite3.Connection:
        """Connect once a process: a connection must not cross a fork."""
        assert self.file is not None
        if self._connection is None or self._process != os.getpid():
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._broken(error) from error
            self._connection = sqlite3.connect(self.file, timeout=60.0, check_same_thread=False)
            self._process = os.getpid()
            with self._connection as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, value BLOB NOT NULL)")
        return self._connection

    def _broken(self, why: object) -> DataError:
        return DataError(
            f"the cache of features cannot be used: {why}; delete the file or set cache=''", file=self.file
        )
