"""Reading of sequence files in bounded memory: FASTA with random access, delimited tables, and lines of text or gzip.

Every function raises DataError that names the file and, where it is known, the line (counted from 1).
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Literal

import pandas as pd

from datamodules.io.files import require_file
from zoo.errors import DataError, unknown_name

MEMORY_LIMIT = 2**30
"""Bytes that a compressed file may unpack to where it has to be held in memory."""
LINE_LIMIT = 2**27
"""Characters that one line of a text file may have."""
_PIECE = 2**20
_BROKEN = (OSError, EOFError, zlib.error, UnicodeDecodeError)
_SPLITS = {"": "", "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
           "dev": "val", "test": "test"}  # fmt: skip
NUCLEIC = "ACGTRYSWKMBDHVN"
"""Letters of DNA: the four bases, and the IUPAC codes for more than one."""


def open_bytes(path: Path) -> BinaryIO:
    """Open a plain or gzip file (told by its first two bytes) as a stream of bytes."""
    require_file(path)
    try:
        with path.open("rb") as handle:
            packed = handle.read(2) == b"\x1f\x8b"
        return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise DataError(f"the file cannot be opened ({error.strerror}); check its permissions", file=path) from error


def text_lines(path: Path, *, encoding: str = "utf-8", most: int = 2**36) -> Iterator[str]:
    """Yield the lines of a plain or gzip file, with their ends.

    Args:
        path: the file.
        encoding: of its text; a byte order mark is dropped.
        most: characters over all lines, so that a small file that unpacks to a huge one is refused.

    Raises:
        DataError: the file is missing, broken or too large, or a line exceeds LINE_LIMIT.
    """
    number, total = 0, 0
    try:
        with open_bytes(path) as handle:
            while line := handle.readline(LINE_LIMIT):
                number, total = number + 1, total + len(line)
                if total > most or len(line) == LINE_LIMIT:
                    raise DataError(
                        f"the text exceeds {most} characters, or one line {LINE_LIMIT}; check that this is the "
                        "published file, and split it",
                        file=path,
                        row=number,
                    )
                if number == 1 and line.startswith(b"\xef\xbb\xbf"):
                    line = line[3:]
                yield line.decode(encoding)
    except (*_BROKEN, LookupError) as error:
        raise DataError(
            f"the file cannot be read after line {number} ({type(error).__name__}: {error}); expected complete "
            f"{encoding} text, plain or gzip: get it again, or name its encoding",
            file=path,
            row=number + 1,
        ) from error


def read_delimited(
    path: Path,
    columns: Sequence[str],
    *,
    delimiter: str = "",
    names: Sequence[str] = (),
    quoted: bool = True,
    encoding: str = "utf-8",
) -> tuple[pd.DataFrame, list[int]]:
    """Read a delimited table, plain or gzip, into stripped strings; nothing is taken for a missing value.

    Args:
        path: the file; empty lines are no rows.
        columns: columns that must be there, once.
        delimiter: one character; "" takes the comma for .csv and the tab for all others.
        names: names of the columns of a file whose first line is a row already; () takes the first line.
        quoted: whether cells may stand in double quotes.
        encoding: of its text.

    Returns:
        The table, and the line number of each row.

    Raises:
        DataError: the file is missing, broken or ragged, has no rows, or lacks a column.
    """
    bare = path.name.lower().removesuffix(".gz")
    delimiter = delimiter or ("," if bare.endswith(".csv") else "\t")
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    rows: list[list[str]] = []
    lines: list[int] = []
    limit = csv.field_size_limit(LINE_LIMIT)
    try:
        reader = csv.reader(text_lines(path, encoding=encoding), delimiter=delimiter, quoting=quoting, strict=quoted)
        for row in reader:
            if row:
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"the table cannot be read ({error}); mend the line", file=path, row=len(rows) + 1) from error
    finally:
        csv.field_size_limit(limit)
    header = list(names) or (rows.pop(0) if rows else [])
    lines = lines[len(lines) - len(rows) :]
    if not rows:
        raise DataError(f"the table has no rows; expected the columns {list(columns)}", file=path)
    for column in columns:
        if header.count(column) != 1:
            hint = f"'{column}' occurs twice" if column in header else unknown_name("column", column, header)
            raise DataError(f"the table lacks a column or repeats one: {hint}", file=path)
    for cells, line in zip(rows, lines, strict=True):
        if len(cells) != len(header):
            raise DataError(
                f"the line has {len(cells)} cells and the table {len(header)} columns (delimiter {delimiter!r}); "
                "mend it, or name the delimiter",
                file=path,
                row=line,
            )
    return pd.DataFrame(rows, columns=header, dtype=object), lines


@dataclass(frozen=True)
class _Record:
    """Where one sequence lies: its letters begin at byte ``offset`` and end before byte ``end``.

    ``bases`` and ``width`` are letters and bytes a line; ``width`` is 0 where lines differ, so that only the whole
    record can be read. ``line`` is the line of its header (0 where an index did not tell).
    """

    length: int
    offset: int
    end: int
    bases: int
    width: int
    line: int


class FastaFile:
    """Random access to the records of a FASTA or FASTQ file by byte offset.

    A plain file is scanned once for the offsets of its records (some ten seconds for a human genome) and never
    held in memory; an index ``<file>.fai``, as samtools faidx writes it, saves the scan and is checked against the
    file. A gzip file cannot be sought in: it is unpacked into memory once, up to ``MEMORY_LIMIT`` bytes, and refused
    beyond; so are FASTQ, whose qualities are not kept, and a file with the line ends of old Macs. The file is opened
    anew by every read, so that loader workers do not share a position.

    Args:
        path: the file.
        use_fai: whether an index beside the file is used.

    Raises:
        DataError: the file is missing, broken or no FASTA, an id repeats, a record is empty, or the index does not
            fit the file.
    """

    def __init__(self, path: Path, *, use_fai: bool = True) -> None:
        self.path = path
        self._held: bytes | None = None
        fai = path.with_name(path.name + ".fai")
        with open_bytes(path) as handle:
            packed = isinstance(handle, gzip.GzipFile)
            begin = self._begin(handle)
        fastq, macintosh = begin.startswith(b"@"), b"\r" in begin and b"\n" not in begin
        if packed or fastq or macintosh:
            self._held = self._unpack()
        if self._held is not None and macintosh:
            self._held = self._held.replace(b"\r", b"\n")
        if self._held is not None and fastq:
            self._held = self._from_fastq(self._held)
        size = len(self._held) if self._held is not None else path.stat().st_size
        if use_fai and fai.is_file():
            self._records = self._from_fai(fai, size)
        else:
            self._records = self._scan()
        if not self._records:
            raise DataError("the file has no record; expected FASTA, '>id' and lines of letters", file=path)

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, name: object) -> bool:
        return name in self._records

    @property
    def names(self) -> list[str]:
        """Ids of the records (the first word after '>'), in the order of the file."""
        return list(self._records)

    def length(self, name: str) -> int:
        """Number of letters of a record."""
        return self._record(name).length

    def line(self, name: str) -> int:
        """Line of the header of a record, from 1; 0 where only an index was read."""
        return self._record(name).line

    def read(self, name: str, *, letters: str = NUCLEIC) -> str:
        """Read a whole record as upper-case letters.

        Args:
            name: its id.
            letters: that are allowed, in whatever case; those of DNA by default.

        Raises:
            DataError: there is no such record, or it holds other characters.
        """
        record = self._record(name)
        raw = self._bytes(record.offset, record.end).translate(None, b" \t\r\n")
        return self._letters(raw, record, name, letters)

    def window(self, name: str, start: int, stop: int) -> str:
        """Read the upper-case DNA letters from ``start`` (from 0) to before ``stop``; "N" beyond both ends.

        Args:
            name: of the record.
            start: first position, from 0; it may be negative.
            stop: position behind the last.

        Raises:
            DataError: there is no such record, its lines differ in length, or it holds other characters.
        """
        record = self._record(name)
        if not record.width:
            raise DataError(
                f"the lines of record '{name}' differ in length, so that no window can be found in it; write the "
                "file with lines of one length",
                file=self.path,
                row=record.line,
            )
        low, high = max(start, 0), min(stop, record.length)
        if low >= high:
            return "N" * (stop - start)
        first = record.offset + low // record.bases * record.width + low % record.bases
        last = record.offset + (high - 1) // record.bases * record.width + (high - 1) % record.bases
        raw = self._bytes(first, last + 1).replace(b"\n", b"").replace(b"\r", b"")
        if len(raw) != high - low:
            raise DataError(
                f"record '{name}' does not have the lines that the index says; remove the .fai file, or fetch the "
                "FASTA again",
                file=self.path,
            )
        return "N" * (low - start) + self._letters(raw, record, name, NUCLEIC) + "N" * (stop - high)

    def _record(self, name: str) -> _Record:
        if name not in self._records:
            raise DataError(f"there is no record '{name}'; the first are {self.names[:5]}", file=self.path)
        return self._records[name]

    def _letters(self, raw: bytes, record: _Record, name: str, letters: str) -> str:
        strange = set(raw) - set((letters + letters.lower()).encode())
        if strange:
            raise DataError(
                f"record '{name}' holds {bytes(sorted(strange))[:8]!r}, which are not among the letters "
                f"{letters}; remove gaps and stops",
                file=self.path,
                row=record.line or name,
            )
        return raw.decode("ascii").upper()

    def _bytes(self, start: int, stop: int) -> bytes:
        if self._held is not None:
            return self._held[start:stop]
        try:
            with self.path.open("rb", buffering=0) as handle:
                handle.seek(start)
                found = handle.read(stop - start)
        except OSError as error:
            raise DataError(f"the file cannot be read ({error.strerror}); fetch it again", file=self.path) from error
        if len(found) != stop - start:
            raise DataError("the file has become shorter since it was indexed; fetch it again", file=self.path)
        return found

    def _begin(self, handle: BinaryIO) -> bytes:
        try:
            return handle.read(_PIECE)
        except _BROKEN as error:
            raise DataError(
                f"the gzip file cannot be unpacked ({type(error).__name__}: {error}); fetch it again", file=self.path
            ) from error

    def _unpack(self) -> bytes:
        try:
            with open_bytes(self.path) as handle:
                content = handle.read(MEMORY_LIMIT + 1)
        except _BROKEN as error:
            raise DataError(
                f"the gzip file cannot be unpacked ({type(error).__name__}: {error}); fetch it again", file=self.path
            ) from error
        if len(content) > MEMORY_LIMIT:
            raise DataError(
                f"the file unpacks to more than {MEMORY_LIMIT} bytes; unpack it with gunzip, and name the plain file",
                file=self.path,
            )
        return content

    def _from_fastq(self, content: bytes) -> bytes:
        """The records of a FASTQ file as FASTA, one line each."""
        from Bio.SeqIO.QualityIO import FastqGeneralIterator

        try:
            text = io.TextIOWrapper(io.BytesIO(content), encoding="ascii")
            return "".join(f">{title}\n{letters}\n" for title, letters, _ in FastqGeneralIterator(text)).encode()
        except (ValueError, UnicodeDecodeError) as error:
            raise DataError(f"the FASTQ file cannot be read ({error}); fetch it again", file=self.path) from error

    def _pieces(self) -> Iterator[bytes]:
        """Yield lines, with their ends; lines longer than a piece come in several."""
        try:
            with io.BytesIO(self._held) if self._held is not None else self.path.open("rb") as handle:
                while piece := handle.readline(_PIECE):
                    yield piece
        except OSError as error:
            raise DataError(f"the file cannot be read ({error.strerror}); fetch it again", file=self.path) from error

    def _scan(self) -> dict[str, _Record]:
        records: dict[str, _Record] = {}
        scan: _Scan | None = None
        position, line = 0, 1
        for piece in self._pieces():
            if scan is None or scan.at_line_start:
                if piece.removeprefix(b"\xef\xbb\xbf" if line == 1 else b"").startswith(b">"):
                    if scan is not None:
                        self._close(records, scan, position)
                    scan = self._header(piece, line, position + len(piece), records)
                elif scan is None and piece.strip():
                    raise DataError(
                        f"the file begins with {piece[:20]!r}; expected FASTA, whose first line is '>' and an id",
                        file=self.path,
                        row=line,
                    )
                elif scan is not None:
                    scan.add(piece)
            else:
                scan.add(piece)
            position += len(piece)
            line += piece.endswith(b"\n")
        if scan is not None:
            self._close(records, scan, position)
        return records

    def _header(self, piece: bytes, line: int, offset: int, records: dict[str, _Record]) -> _Scan:
        text = piece[piece.index(b">") + 1 :]
        words = text.split(maxsplit=1)
        try:
            name = words[0].decode("utf-8") if words and not text[:1].isspace() else ""
        except UnicodeDecodeError:
            name = ""
        if not name or (not piece.endswith(b"\n") and len(piece) == _PIECE):
            raise DataError(
                f"the header {piece[:40]!r} has no id, or is too long; expected '>id'", file=self.path, row=line
            )
        if name in records:
            raise DataError(
                f"the id '{name}' occurs twice, first in line {records[name].line}; rename or remove one of them",
                file=self.path,
                row=line,
            )
        return _Scan(name, line, offset)

    def _close(self, records: dict[str, _Record], scan: _Scan, end: int) -> None:
        scan.finish_line()
        if not scan.length:
            raise DataError(f"record '{scan.name}' has no letters; remove it", file=self.path, row=scan.line)
        if scan.name in records:  # a header that repeats the id just before it
            raise DataError(f"the id '{scan.name}' occurs twice; rename one", file=self.path, row=scan.line)
        width = scan.width if scan.regular else 0
        records[scan.name] = _Record(scan.length, scan.offset, end, scan.bases, width, scan.line)

    def _from_fai(self, fai: Path, size: int) -> dict[str, _Record]:
        records: dict[str, _Record] = {}
        for number, line in enumerate(text_lines(fai, most=MEMORY_LIMIT), start=1):
            cells = line.rstrip("\r\n").split("\t")
            numbers = [int(c) if c.isascii() and c.isdigit() and len(c) < 16 else -1 for c in cells[1:5]]
            if len(cells) != 5 or min(numbers) < 0 or not 0 < numbers[2] <= numbers[3] or numbers[0] == 0:
                raise DataError(
                    "expected id, length, offset, letters a line and bytes a line; remove the index, or write it "
                    "again with samtools faidx",
                    file=fai,
                    row=number,
                )
            length, offset, bases, width = numbers
            end = offset + (length - 1) // bases * width + (length - 1) % bases + 1
            if cells[0] in records or end > size or not self._follows_header(cells[0], offset):
                raise DataError(
                    f"record '{cells[0]}' is not in '{self.path.name}' where the index says; remove the index, or "
                    "write it again with samtools faidx",
                    file=fai,
                    row=number,
                )
            records[cells[0]] = _Record(length, offset, end, bases, width, 0)
        return records

    def _follows_header(self, name: str, offset: int) -> bool:
        before = self._bytes(max(0, offset - 4096), offset).rstrip(b"\r\n")
        header = before[before.rfind(b"\n") + 1 :]
        if not header.startswith(b">"):
            return len(before) >= 4000 and b"\n" not in before  # a header longer than what was read
        return header[1:].split(maxsplit=1)[:1] == [name.encode("utf-8")]


class _Scan:
    """The record that a scan is in: letters so far, and whether its lines have one length."""

    def __init__(self, name: str, line: int, offset: int) -> None:
        self.name, self.line, self.offset = name, line, offset
        self.length = self.bases = self.width = 0
        self.regular = self.at_line_start = True
        self._here = self._bytes = 0
        self._short = False

    def add(self, piece: bytes) -> None:
        """Take a line, or a part of one that does not end yet."""
        self._here += len(piece.rstrip(b"\r\n"))
        self._bytes += len(piece)
        self.at_line_start = piece.endswith(b"\n")
        if self.at_line_start:
            self.finish_line()

    def finish_line(self) -> None:
        """End the line: all lines of a record but the last must be as long as the first."""
        if self._bytes:
            if self._here and (self._short or (self.bases and self._here > self.bases)):
                self.regular = False
            if not self.length and self._here:
                self.bases, self.width = self._here, self._bytes
            elif self._here == self.bases and self._bytes != self.width and self.at_line_start:
                self.regular = False
            if self._here < self.bases or not self._here:
                self._short = True
        self.length += self._here
        self._here = self._bytes = 0


def sequence_key(sequence: str) -> str:
    """A key that equal sequences share, in every process and on every machine."""
    return blake2b(sequence.encode("utf-8"), digest_size=8).hexdigest()


def check_ids(
    fasta: FastaFile, ids: Sequence[str], lines: Sequence[int], table: Path, unmatched: str, name: str
) -> None:
    """Refuse repeated ids, and unless ``unmatched`` is "skip" ids that only one of two files has.

    Args:
        fasta: the records.
        ids: of the rows of the table.
        lines: their lines in it.
        table: the table, for messages.
        unmatched: "raise" or "skip".
        name: what the table is called in messages.

    Raises:
        DataError: an id is empty, occurs twice, or is not in both files.
    """
    seen: set[str] = set()
    for found, line in zip(ids, lines, strict=True):
        if found in seen or not found:
            problem = "is empty" if not found else "occurs twice"
            raise DataError(f"the id '{found}' {problem}; every row needs its own", file=table, row=line)
        seen.add(found)
        if unmatched == "raise" and found not in fasta:
            raise DataError(
                f"the id '{found}' is not in '{fasta.path.name}'; add the record, or give unmatched='skip'",
                file=table,
                row=line,
            )
    lacking = [found for found in fasta.names if found not in seen]
    if lacking and unmatched == "raise":
        raise DataError(
            f"{len(lacking)} records have no label in '{name}', the first is '{lacking[0]}'; add their rows, or give "
            "unmatched='skip'",
            file=fasta.path,
            row=fasta.line(lacking[0]),
        )


def split_name(text: str, *, file: Path, row: object) -> str:
    """Return "train", "val", "test" or "" for the usual spellings of a split.

    Args:
        text: what the table says.
        file: of the table, for errors.
        row: of the cell, for errors.

    Raises:
        DataError: another word.
    """
    if text.lower() not in _SPLITS:
        raise DataError(
            f"the split {text!r} is unknown; allowed: {', '.join(filter(None, _SPLITS))}, or empty",
            file=file,
            row=row,
        )
    return _SPLITS[text.lower()]


def class_order(labels: Sequence[str]) -> tuple[str, ...]:
    """Distinct labels other than "", sorted; whole numbers by their value.

    >>> class_order(["10", "9", "", "9"]), class_order(["b", "a"])
    (('9', '10'), ('a', 'b'))
    """
    known = sorted({label for label in labels if label})
    if all(label.isascii() and label.isdigit() for label in known):
        known.sort(key=int)
    return tuple(known)
