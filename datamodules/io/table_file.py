"""Any file of a table as one Arrow table of plain types: text, also compressed, Parquet, Arrow and Excel."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import mmap
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from datamodules.io.files import require_file
from datamodules.io.json_table import JSON, json_columns
from zoo.errors import DataError, MissingExtraError

TEXT = {".csv": "", ".tsv": "\t", ".tab": "\t", ".txt": ""}
"""Suffix of a table of text -> what separates its columns; "" where the header tells."""
SEPARATORS = (",", ";", "\t", "|")
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
ARROW, EXCEL = (".arrow", ".feather"), (".xlsx", ".xlsm", ".xls", ".ods")
EXPECTED = (
    "csv, tsv, txt, jsonl or json, also as .gz, .bz2, .xz, .zst or .zip; parquet, a file or a folder; arrow, "
    "feather; xlsx"
)
_BLOCKS = (2**20, 2**26, 2**30)
"""Bytes of text that are read at once; a row must fit, so that larger blocks follow where one does not."""
_HEAD = 2**16
SPREADSHEET_ROWS = 2**20
"""Rows that a sheet of a spreadsheet can have."""


@dataclass(frozen=True)
class TextFormat:
    """How a table of text is written, where the file does not tell.

    Attributes:
        separator: between columns; "" takes a tab for .tsv and .tab, else that of , ; tab | of which the header has
            most.
        encoding: of the letters, such as latin-1; "" takes UTF-8, or UTF-16 where the file begins with its mark.
        sheet: of a spreadsheet; "" takes the only one that is not empty.
        part: column to make of what the ``*`` of a pattern of names stands for in the name of each row's file.
    """

    separator: str = ""
    encoding: str = ""
    sheet: str = ""
    part: str = ""


def suffix_of(path: Path) -> tuple[str, str]:
    """The suffix that names the type of a table, and that of its packing, "" for none.

    >>> suffix_of(Path("a.b.csv.gz")), suffix_of(Path("A.CSV")), suffix_of(Path("all.zip"))
    (('.csv', '.gz'), ('.csv', ''), ('', '.zip'))
    """
    last = path.suffix.lower()
    return (Path(path.stem).suffix.lower(), last) if last in PACKED else (last, "")


def read_table_file(path: Path, told: TextFormat = TextFormat()) -> Any:
    """Read a table whole, as a pyarrow Table of plain types in one chunk a column.

    Dictionaries, views, run ends and extension types become the plain type of their values. Columns of text files are
    all text, as written.

    Args:
        path: the file, or the folder of a Parquet data set; its suffix says what it is.
        told: how text is written.

    Raises:
        DataError: the file is missing, broken, of another type, has no row, or repeats the name of a column.
    """
    kind, packing = suffix_of(path)
    if not path.is_dir():
        require_file(path)
        if not (
            kind in (*TEXT, *JSON) or packing == ".zip" or (not packing and kind in (".parquet", *ARROW, *EXCEL))
        ):
            raise DataError(f"a table must be {EXPECTED}; got '{path.name}'", file=path)
    try:
        if path.is_dir():
            table = _parquet_folder(path)
        elif kind == ".parquet":
            import pyarrow.parquet as pq

            table = pq.ParquetFile(path).read()
        elif kind in ARROW:
            table = map_arrow(path)[0]
        elif kind in EXCEL:
            table = _excel(path, told.sheet)
        elif kind in JSON:
            table = _json(path, told.encoding)
        else:
            table = _text(path, told)
        table.validate(full=True)  # Arrow trusts offsets: a damaged one would end the process at the first access
        check_names(table, path)
        return plain(table)
    except (DataError, MissingExtraError):
        raise
    except Exception as error:  # what unpackers and spreadsheet readers raise on broken files has no common base
        raise DataError(
            f"the table cannot be read ({type(error).__name__}: {str(error)[:200]}); expected {EXPECTED}", file=path
        ) from error


def check_names(table: Any, path: Path) -> None:
    """Raise DataError where a column name is repeated, or there is no row."""
    names = table.column_names
    twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"a column name is repeated: {twice[:5]}; give each column a name of its own", file=path)
    if not len(table):
        raise DataError("the table has no rows", file=path)


def map_arrow(path: Path) -> tuple[Any, mmap.mmap]:
    """Map an Arrow file: its table, of which nothing is read yet, and the map that holds it."""
    import pyarrow as pa

    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped))).read_all(), mapped


# -- plain types -----------------------------------------------------------------------------------------------------


def plain(table: Any) -> Any:
    """The same table with plain types, in one chunk a column."""
    import pyarrow as pa

    columns = [_plain_column(table.column(i)) for i in range(table.num_columns)]
    return pa.table(dict(zip(table.column_names, columns, strict=True)))


def _plain_column(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    while isinstance(column.type, pa.BaseExtensionType):
        storage = [c.storage for c in column.chunks]
        column = pa.chunked_array(storage, column.type.storage_type)
    if types.is_run_end_encoded(column.type):
        column = pc.run_end_decode(column)
    if types.is_dictionary(column.type):
        column = pc.dictionary_decode(column) if column.num_chunks else column.cast(column.type.value_type)
    wanted = _large(column.type)
    if types.is_list_view(column.type) or types.is_large_list_view(column.type):
        column = pa.chunked_array([pa.array(column.to_pylist(), wanted)])  # pyarrow casts such views wrongly
    if wanted != column.type:
        column = column.cast(wanted)
    whole = column.combine_chunks()  # large types: no offset overflows, so that this is one chunk
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole


def _large(kind: Any) -> Any:
    """The type of the same values whose offsets do not overflow; null becomes text, dictionaries their values."""
    import pyarrow as pa

    types = pa.types
    if types.is_null(kind) or types.is_string(kind) or types.is_string_view(kind):
        return pa.large_string()
    if types.is_binary(kind) or types.is_binary_view(kind):
        return pa.large_binary()
    if types.is_dictionary(kind):
        return _large(kind.value_type)
    if types.is_list(kind) or types.is_list_view(kind) or types.is_large_list_view(kind) or types.is_large_list(kind):
        return pa.large_list(_large(kind.value_type))
    return kind


# -- Parquet and spreadsheets ----------------------------------------------------------------------------------------


def _parquet_folder(folder: Path) -> Any:
    """A folder of Parquet files; folders that are called NAME=VALUE give a column of words."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    files = sorted(
        p for p in folder.rglob("*.parquet")
        if p.is_file() and not any(part.startswith((".", "_")) for part in p.relative_to(folder).parts)
    )  # fmt: skip
    if not files:
        raise DataError("the folder holds no .parquet file; expected a Parquet data set", file=folder)
    schemas = [pq.read_schema(p) for p in files]
    whole = pa.unify_schemas([s.remove_metadata() for s in schemas], promote_options="permissive")
    keys = [part.split("=", 1)[0] for part in files[0].relative_to(folder).parts[:-1] if "=" in part]
    parts = pa.schema([(k, pa.string()) for k in keys])  # words: a code such as 01 keeps its zero
    both = pa.unify_schemas([whole, parts])
    told = ds.partitioning(parts, flavor="hive") if keys else None
    found = ds.dataset([str(p) for p in files], schema=both, format="parquet", partitioning=told,
                       partition_base_dir=str(folder))  # fmt: skip
    return found.to_table()


def _excel(path: Path, sheet: str) -> Any:
    """One sheet of a spreadsheet; a column of numbers alone is one of numbers, every other one is text or dates."""
    import pandas as pd
    import pyarrow as pa

    _check_rows(path)
    try:
        sheets = pd.read_excel(
            path, sheet_name=None, header=None, dtype=object, keep_default_na=False, na_values=[""]
        )
    except ImportError as error:
        raise MissingExtraError("openpyxl", "excel", file=path) from error
    filled = {str(name): frame for name, frame in sheets.items() if frame.notna().any(axis=None)}
    if sheet and sheet not in filled:
        raise DataError(f"the sheet '{sheet}' is not there or empty; sheets: {sorted(filled)}", file=path)
    if not sheet and len(filled) != 1:
        raise DataError(f"{len(filled)} sheets are filled: {sorted(filled)}; name one as 'sheet'", file=path)
    frame = filled[sheet or next(iter(filled))].dropna(how="all")
    names = ["" if v is None or v != v else str(v) for v in frame.iloc[0]]
    columns = [_cells(frame.iloc[1:, i].tolist()) for i in range(len(names))]
    return pa.Table.from_arrays(columns, names=names)


def _check_rows(path: Path) -> None:
    """Refuse a spreadsheet with a row of a number that no spreadsheet has; all rows before it would be made.

    Raises:
        DataError: it has one.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.startswith("xl/worksheets/"):
                continue
            for found in re.finditer(rb"<row\b[^>]*?\br=\"(\d+)", archive.read(name)):
                if int(found[1]) > SPREADSHEET_ROWS:
                    raise DataError(
                        f"a row in '{name}' has the number {int(found[1])}, but a spreadsheet has at most "
                        f"{SPREADSHEET_ROWS} rows: the file is damaged; export it again",
                        file=path,
                    )


def _cells(values: Sequence[Any]) -> Any:
    import pyarrow as pa

    from datamodules.io.unknown import text_of

    known = [None if v is None or v != v else v for v in values]
    kinds = {type(v) for v in known if v is not None}
    if kinds <= {int, float} or len(kinds) == 1:
        return pa.array([float(v) if kinds == {int, float} and v is not None else v for v in known])
    return pa.array([None if v is None else text_of(v) for v in known], pa.large_string())


def _json(path: Path, encoding: str) -> Any:
    """A table of a JSON object a row."""
    import pyarrow as pa

    with _open_packed(path) as file:
        columns = json_columns(file, path, encoding or "utf-8-sig", lines=suffix_of(path)[0] != ".json")
    return pa.Table.from_arrays([_cells(v) for v in columns.values()], names=list(columns))


# -- text ------------------------------------------------------------------------------------------------------------


def _open_packed(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked as its suffix says."""
    packing = path.suffix.lower()
    if packing == ".zip":
        archive = zipfile.ZipFile(path)
        names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
        if len(names) != 1:
            raise DataError(f"the archive holds {len(names)} files, and a table is one; unpack it", file=path)
        return cast(BinaryIO, archive.open(names[0]))
    if packing == ".zst":
        import pyarrow as pa

        return cast(BinaryIO, pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    if packing == ".gz":
        return cast(BinaryIO, gzip.open(path))
    if packing == ".bz2":
        return cast(BinaryIO, bz2.open(path))
    return cast(BinaryIO, lzma.open(path)) if packing == ".xz" else path.open("rb")


def _text(path: Path, told: TextFormat) -> Any:
    """A table of text; every column is text, as written."""
    with _open_packed(path) as file:
        head = file.read(_HEAD)
    encoding = told.encoding or _encoding(head, path)
    with _open_packed(path) as file, io.TextIOWrapper(file, encoding, errors="strict", newline="") as words:
        try:
            separator, names = _header(words, told.separator or TEXT.get(suffix_of(path)[0], ""))
        except UnicodeDecodeError as error:
            raise _not_utf8(path, encoding) from error
    for size in _BLOCKS:
        table = _blocks(path, separator, names, encoding, size)
        if table is not None:
            return table
    raise DataError(f"a row is longer than {_BLOCKS[-1] >> 20} MiB; is a quotation mark not closed?", file=path)


def _encoding(head: bytes, path: Path) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in head:
        raise DataError(
            "the text holds the byte 0, so that it is not UTF-8; give its 'encoding', such as utf-16-le", file=path
        )
    return "utf-8-sig"


def _not_utf8(path: Path, encoding: str) -> DataError:
    name = "UTF-8" if encoding == "utf-8-sig" else encoding
    return DataError(f"the text is not {name}; give its 'encoding', such as latin-1, or save it as UTF-8", file=path)


def _header(words: io.TextIOWrapper, separator: str) -> tuple[str, list[str]]:
    """What separates the columns, and their names."""
    limit = csv.field_size_limit(2**30)
    try:
        lines = []
        for line in words:
            lines.append(line)
            if "".join(lines).count('"') % 2 == 0 and line.strip():
                break
        first = "".join(lines)
        bare = "".join(first.split('"')[::2])  # outside quotation marks
        separator = separator or max(SEPARATORS, key=lambda s: (bare.count(s), -SEPARATORS.index(s)))
        rows = (row for row in csv.reader(io.StringIO(first, newline=""), delimiter=separator) if row)
        return separator, next(rows, [])
    finally:
        csv.field_size_limit(limit)


def _blocks(path: Path, separator: str, names: Sequence[str], encoding: str, size: int) -> Any:
    """Read in blocks of ``size`` bytes; None where a row is longer than that."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "error"

    plain_utf8 = encoding in ("utf-8-sig", "utf-8", "utf8")
    try:
        with (
            _open_packed(path) as file,
            arrow_csv.open_csv(
                file,
                read_options=arrow_csv.ReadOptions(block_size=size, encoding="utf8" if plain_utf8 else encoding),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=separator, newlines_in_values=True, invalid_row_handler=note
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={n: pa.large_string() for n in names}, strings_can_be_null=False
                ),
            ) as reader,
        ):
            return reader.read_all()
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        if ragged:
            row = ragged[0]
            raise DataError(
                f"a row has {row.actual_columns} cells and the header {row.expected_columns}; quote cells that hold "
                f"'{separator}', and close quotation marks",
                file=path,
                row=None if row.number is None else row.number - 2,
            ) from error
        said = str(error)
        if "straddling" in said:
            return None
        if isinstance(error, UnicodeDecodeError) or "UTF8" in said:
            raise _not_utf8(path, encoding) from error
        raise
