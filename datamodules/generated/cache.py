"""What was generated, on disk: rows are added as they are made, and a killed run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from datamodules.generated.lines import differences, json_line, json_object, png, write_whole
from zoo.errors import DataError, SpecError, ZooError
from zoo.generator import Made

STATUSES = ("ok", "repaired", "rejected")
"""What can have become of a row (see Made)."""
_KEYS = {"id", "value", "status", "reason", "text", "provenance"}


@dataclass(frozen=True)
class CachedRow:
    """One row of a cache.

    Attributes:
        id: of the row it was made for.
        made: what was made.
        provenance: how, as plain JSON, such as generator, seed, fold, whether the label was read.
    """

    id: str
    made: Made
    provenance: Mapping[str, Any] = field(default_factory=dict)


class _Place(NamedTuple):
    """Where a row stands in the file, and what became of it."""

    number: int
    start: int
    length: int
    status: str
    reason: str


class RecordCache:
    """Keep generated rows in one NDJSON file: a header that says of what, then one row a line.

    A call of ``add`` is on the disk when it returns. A last line without an end, as a killed process leaves it, is
    dropped, counted in ``dropped``, and made again. One process adds at a time; others may read.

    Args:
        path: the file; its folder is made.
        identity: all that the values depend on (generator, its options, seed, data fingerprint), as plain JSON.
        check: called with each value that is added or read, such as zoo.generative.records.check_record; raises
            DataError for a bad one.

    Attributes:
        dropped: half-written lines found when it was opened, 0 or 1.

    Raises:
        SpecError: the file holds rows of another identity; the message names the difference.
        DataError: the file is no cache, a whole line of it cannot be read, or an id comes twice.
    """

    def __init__(
        self, *, path: Path | str, identity: Mapping[str, Any], check: Callable[[Any], Any] | None = None
    ) -> None:
        self.path = Path(path)
        self.identity: dict[str, Any] = json.loads(json_line({**identity}, "the identity of a cache"))
        self.check = check
        self.dropped = 0
        self._places: dict[str, _Place] = {}
        self._end = 0  # bytes of whole lines
        self._size = 0  # bytes that the file had when it was last looked at
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            write_whole(self.path, json_line({"cache": 1, "identity": self.identity}, "the identity of a cache"))
        self._scan()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def done(self) -> tuple[str, ...]:
        """Ids of the rows that are kept, rejected ones included, in the order in which they were added."""
        return tuple(self._places)

    @property
    def counts(self) -> dict[str, int]:
        """Status -> number of rows."""
        found = [place.status for place in self._places.values()]
        return {status: found.count(status) for status in STATUSES}

    def status(self, name: str) -> tuple[str, str]:
        """Status and reason of a row that is kept."""
        place = self._places[name]
        return place.status, place.reason

    def add(self, rows: Sequence[CachedRow]) -> None:
        """Append rows; they are on the disk when this returns.

        Raises:
            DataError: an id is there already, a value is bad, or another process has written to the file.
            SpecError: a value or a provenance is not plain JSON.
        """
        if not rows:
            return
        self._check_new(rows)
        contents = [self._content(row) for row in rows]
        lines = [json_line(content, f"row {row.id!r}") for row, content in zip(rows, contents, strict=True)]
        with self.path.open("r+b") as handle:
            if os.fstat(handle.fileno()).st_size != self._size:
                raise DataError("the cache was changed by another process; let one process write", file=self.path)
            handle.truncate(self._end)
            handle.seek(self._end)
            handle.write(b"".join(lines))
            handle.flush()
            os.fsync(handle.fileno())
        for row, line in zip(rows, lines, strict=True):
            self._note(row.id, row.made.status, row.made.reason, len(line))
        self._size = self._end

    def get(self, name: str) -> CachedRow:
        """Read one row.

        Raises:
            KeyError: no such id is kept.
            DataError: the row cannot be read.
        """
        place = self._places[name]
        content = self._read_line(place)
        made = Made(self._load(content, place.number), content["status"], content["reason"], content["text"])
        return CachedRow(content["id"], made, content["provenance"])

    def read(self) -> Iterator[CachedRow]:
        """Read all rows in the order in which they were added, one at a time.

        Raises:
            DataError: a row cannot be read.
        """
        for name in self.done:
            yield self.get(name)

    def _read_line(self, place: _Place) -> dict[str, Any]:
        with self.path.open("rb") as handle:
            handle.seek(place.start)
            return self._parse(handle.read(place.length), place.number)

    def _content(self, row: CachedRow) -> dict[str, Any]:
        """What the line of a row holds."""
        made = row.made
        content = {"id": row.id, "value": made.value, "status": made.status, "reason": made.reason}
        return {**content, "text": made.text, "provenance": {**row.provenance}}

    def _load(self, content: Mapping[str, Any], number: int) -> Any:
        """The value of a line."""
        return content["value"]

    def _check_new(self, rows: Sequence[CachedRow]) -> None:
        names: set[str] = set()
        for row in rows:
            if row.id in self._places or row.id in names:
                raise DataError("the row is in the cache already; make only rows not in done", row=row.id)
            names.add(row.id)
            try:
                self._check_made(row.made.value, row.made.status)
            except DataError as error:
                raise DataError(str(error), row=row.id) from error

    def _check_made(self, value: Any, status: str) -> None:
        if status not in STATUSES or (value is None) != (status == "rejected"):
            raise DataError(
                f"status {status!r} with {'no' if value is None else 'a'} value; allowed: 'ok' or 'repaired' with a "
                "value, 'rejected' without"
            )
        if value is not None and self.check is not None:
            self.check(value)

    def _scan(self) -> None:
        """Look over all lines: the header, then ids and where they stand."""
        with self.path.open("rb") as handle:
            self._check_header(handle.readline())
            for number, line in enumerate(handle, start=2):
                self._size += len(line)
                if not line.endswith(b"\n"):
                    self.dropped = 1
                    break
                content = self._parse(line, number)
                if content["id"] in self._places:
                    first = self._places[content["id"]].number
                    raise DataError(
                        f"the id {content['id']!r} comes twice, first in line {first}; delete one of the lines",
                        file=self.path,
                        row=number,
                    )
                self._note(content["id"], content["status"], content["reason"], len(line))

    def _check_header(self, line: bytes) -> None:
        header = json_object(line)
        if header is None or not line.endswith(b"\n") or set(header) != {"cache", "identity"} or header["cache"] != 1:
            raise DataError(
                "the first line is no header of a cache of generated rows; name another file, or delete this one",
                file=self.path,
                row=1,
            )
        if header["identity"] != self.identity:
            said = "; ".join(differences(header["identity"], self.identity))
            raise SpecError(
                f"the cache {self.path} holds rows of something else: {said}. Ask for the same, name another "
                "file, or delete this one"
            )
        self._end = self._size = len(line)

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        """Read a line.

        Raises:
            DataError: it is not what ``add`` writes; names the file and the line.
        """
        content = json_object(line)
        fault = "is not a JSON object" if content is None else ""
        if content is not None:
            words = all(isinstance(content.get(key), str) for key in ("id", "status", "reason", "text"))
            if set(content) != _KEYS or not words or not isinstance(content["provenance"], dict):
                fault = f"does not hold {sorted(_KEYS)}"
            else:
                try:
                    self._check_made(content["value"], content["status"])
                except ZooError as error:
                    fault = f"holds a bad row ({error})"
        if fault or content is None:
            raise DataError(f"the line {fault}; mend or delete it", file=self.path, row=number)
        return content

    def _note(self, name: str, status: str, reason: str, length: int) -> None:
        self._places[name] = _Place(len(self._places) + 2, self._end, length, status, reason)
        self._end += length


class ImageCache(RecordCache):
    """Keep generated images in a folder: one PNG a row, and index.ndjson, a RecordCache of their file names.

    An image is on the disk before the line that names it, so that a kill loses no row: an image without a line is
    made again in its place.

    Args:
        folder: is made.
        identity: see RecordCache.

    Raises:
        SpecError: see RecordCache.
        DataError: see RecordCache; or an image that the index names is not there.
    """

    def __init__(self, *, folder: Path | str, identity: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        super().__init__(path=self.folder / "index.ndjson", identity=identity)
        there = set(os.listdir(self.folder))
        for name, place in self._places.items():
            file = self.path_of(name)
            if place.status != "rejected" and file.name not in there:
                raise DataError(f"the image {file} is not there; delete its line", file=self.path, row=place.number)

    def path_of(self, name: str) -> Path:
        """The PNG file of an id: a hash of it, so that any id has a safe name."""
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return self.folder / f"{digest}.png"

    def add(self, rows: Sequence[CachedRow]) -> None:
        """Write the images (H, W, 3) uint8, then their lines; they are on the disk when this returns.

        Raises:
            DataError: an id is there already, a value is no such image, or another process has written.
            SpecError: a provenance is not plain JSON.
        """
        self._check_new(rows)
        for row in rows:
            if row.made.value is not None:
                _check_image(row.made.value, row.id)
        for row in rows:
            if row.made.value is not None:
                write_whole(self.path_of(row.id), png(row.made.value))
        super().add(rows)

    def _content(self, row: CachedRow) -> dict[str, Any]:
        content = super()._content(row)
        return {**content, "value": None if row.made.value is None else self.path_of(row.id).name}

    def _load(self, content: Mapping[str, Any], number: int) -> npt.NDArray[np.uint8] | None:
        from PIL import Image

        if content["value"] is None:
            return None
        file = self.path_of(content["id"])
        if content["value"] != file.name:
            raise DataError(f"the row names {content['value']!r}, not {file.name}", file=self.path, row=number)
        try:
            with Image.open(file) as picture:
                return np.asarray(picture.convert("RGB"), dtype=np.uint8)
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(
                f"the image cannot be read ({error}); delete its line and it", file=file, row=number
            ) from error


def _check_image(value: Any, row: str) -> None:
    if (
        not isinstance(value, np.ndarray)
        or value.dtype != np.uint8
        or value.ndim != 3
        or value.shape[2] != 3
        or not value.size
    ):
        got = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise DataError(f"a generated image is uint8 (H, W, 3), got {got}", row=row)
