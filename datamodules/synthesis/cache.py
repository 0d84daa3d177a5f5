"""What was generated, in one SQLite file: rows are added as they are made, and a killed run goes on from there."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import DataError, SpecError
from zoo.generator import Generation

STATUSES = ("ok", "repaired", "rejected")
"""What can have become of a row (see Generation)."""
_APPLICATION = 0x7A6F6F31
"""Number in the header of the file by which a cache is known: the letters zoo1."""
_TABLES = """
CREATE TABLE identity (content TEXT NOT NULL);
CREATE TABLE rows (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL, provenance TEXT NOT NULL,
    value BLOB
);
"""


@dataclass(frozen=True)
class CachedRow:
    """One row of a cache.

    Attributes:
        id: of the row it was made for.
        made: what was made.
        provenance: how, as plain JSON, such as generator, seed, fold, whether the label was read.
    """

    id: str
    made: Generation
    provenance: Mapping[str, Any] = field(default_factory=dict)


class GeneratedCache:
    """Keep generated rows in one SQLite file.

    Images (H, W, 3) uint8 are kept as PNG, everything else as JSON. A call of ``add`` is on the disk as a whole when
    it returns; SQLite undoes what a killed process left half-written. Several processes may read and add.

    Args:
        path: the file; its folder is made.
        identity: all that the values depend on (generator, its options, seed, data fingerprint), as plain JSON.
        check: called with each value that is added or read, such as zoo.generation.records.check_record; raises
            DataError for a bad one.

    Raises:
        SpecError: the file holds rows of another identity; the message names the difference.
        DataError: the file is no cache of generated rows.
    """

    def __init__(
        self, *, path: Path | str, identity: Mapping[str, Any], check: Callable[[Any], Any] | None = None
    ) -> None:
        self.path = Path(path)
        self.identity: dict[str, Any] = json.loads(_json({**identity}, "the identity of a cache"))
        self.check = check
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists() or self.path.stat().st_size == 0
        with self._connection(write=True) as connection:
            if new and not _pragma(connection, "application_id"):
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute("INSERT INTO identity VALUES (?)", (_json(self.identity, "the identity"),))
            self._check_identity(connection)

    @contextmanager
    def _connection(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection for one use: none is kept open, so that a cache may go to worker processes."""
        try:
            with closing(sqlite3.connect(self.path, timeout=60.0, isolation_level=None)) as connection:
                if not write:
                    yield connection
                    return
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"it is no readable cache of generated rows ({error}); name another file, or delete this one",
                file=self.path,
            ) from error

    def _check_identity(self, connection: sqlite3.Connection) -> None:
        if _pragma(connection, "application_id") != _APPLICATION:
            raise DataError("it is no cache of generated rows; name another file, or delete this one", file=self.path)
        kept = json.loads(connection.execute("SELECT content FROM identity").fetchone()[0])
        if kept != self.identity:
            said = "; ".join(differences(kept, self.identity))
            raise SpecError(
                f"the cache {self.path} holds rows of something else: {said}. Ask for the same, name another "
                "file, or delete this one"
            )

    def __len__(self) -> int:
        with self._connection() as connection:
            return int(connection.execute("SELECT count(*) FROM rows").fetchone()[0])

    @property
    def done(self) -> tuple[str, ...]:
        """Ids of the rows that are kept, rejected ones included, in the order in which they were added."""
        with self._connection() as connection:
            return tuple(json.loads(i) for (i,) in connection.execute("SELECT id FROM rows ORDER BY rowid"))

    @property
    def counts(self) -> dict[str, int]:
        """Status -> number of rows."""
        with self._connection() as connection:
            found = dict(connection.execute("SELECT status, count(*) FROM rows GROUP BY status").fetchall())
        return {status: found.get(status, 0) for status in STATUSES}

    def status(self, name: str) -> tuple[str, str]:
        """Status and reason of a row that is kept.

        Raises:
            KeyError: no such id is kept.
        """
        status, reason, *_ = self._select(name)
        return status, json.loads(reason)

    def add(self, rows: Sequence[CachedRow]) -> None:
        """Add rows; they are on the disk when this returns, all of them or none.

        Raises:
            DataError: an id is there already, or a value is bad.
            SpecError: a value or a provenance is not plain JSON.
        """
        lines = [self._encode(row) for row in rows]
        with self._connection(write=True) as connection:
            for row, line in zip(rows, lines, strict=True):
                try:
                    connection.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", line)
                except sqlite3.IntegrityError as error:
                    raise DataError(
                        "the row is in the cache already; make only rows not in done", row=row.id
                    ) from error

    def get(self, name: str) -> CachedRow:
        """Read one row.

        Raises:
            KeyError: no such id is kept.
            DataError: the row cannot be read.
        """
        status, reason, text, provenance, value = self._select(name)
        try:
            decoded = _decode(value)
            self._check(decoded, status)
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(
                f"the row cannot be read ({error}); delete the cache", file=self.path, row=name
            ) from error
        made = Generation(decoded, status, json.loads(reason), json.loads(text))
        return CachedRow(name, made, json.loads(provenance))

    def read(self) -> Iterator[CachedRow]:
        """Read all rows in the order in which they were added, one at a time.

        Raises:
            DataError: a row cannot be read.
        """
        for name in self.done:
            yield self.get(name)

    def _select(self, name: str) -> tuple[Any, ...]:
        columns = "status, reason, text, provenance, value"
        with self._connection() as connection:
            found = connection.execute(f"SELECT {columns} FROM rows WHERE id = ?", (json.dumps(name),)).fetchone()
        if found is None:
            raise KeyError(name)
        return tuple(found)

    def _encode(self, row: CachedRow) -> tuple[str, str, str, str, str, bytes | None]:
        made = row.made
        try:
            self._check(made.value, made.status)
            value = _png(made.value) if isinstance(made.value, np.ndarray) else None
        except DataError as error:
            raise DataError(str(error), row=row.id) from error
        if value is None and made.value is not None:
            value = _json(made.value, f"row {row.id!r}").encode("ascii")
        told = _json({**row.provenance}, f"row {row.id!r}")
        return json.dumps(row.id), made.status, json.dumps(made.reason), json.dumps(made.text), told, value

    def _check(self, value: Any, status: str) -> None:
        if status not in STATUSES or (value is None) != (status == "rejected"):
            raise DataError(
                f"status {status!r} with {'no' if value is None else 'a'} value; allowed: 'ok' or 'repaired' with a "
                "value, 'rejected' without"
            )
        if value is not None and self.check is not None:
            self.check(value)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _json(content: Any, what: str) -> str:
    try:
        return json.dumps(content, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"{what} is not plain JSON ({error})") from error


def _png(image: Any) -> bytes:
    """Encode an image as PNG, without loss."""
    from PIL import Image

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(f"a generated image is uint8 (H, W, 3), got {image.dtype} {image.shape}")
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, format="PNG")
    return stream.getvalue()


def _decode(value: bytes | None) -> Any:
    """What ``add`` was given: None, an image from PNG, or anything from JSON."""
    if value is None:
        return None
    if value.startswith(b"\x89PNG"):
        from PIL import Image

        with Image.open(io.BytesIO(value)) as picture:
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    return json.loads(value)


def differences(kept: Any, asked: Any, path: str = "") -> list[str]:
    """Say where two plain JSON values differ.

    Args:
        kept: what the cache says.
        asked: what is asked for.
        path: to the values, with dots.

    >>> differences({"seed": 1, "steps": 40}, {"seed": 2, "steps": 40})
    ['seed: 1 in the cache, 2 asked for']
    """
    if not (isinstance(kept, dict) and isinstance(asked, dict)):
        return [] if kept == asked else [f"{path}: {str(kept)[:60]} in the cache, {str(asked)[:60]} asked for"]
    said = []
    for name in sorted({*kept, *asked}):
        where = f"{path}.{name}" if path else name
        if name in kept and name in asked:
            said += differences(kept[name], asked[name], where)
        else:
            said.append(f"{where}: only {'in the cache' if name in kept else 'asked for'}")
    return said
