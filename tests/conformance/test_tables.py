"""Tables as pandas and pyarrow read them."""

from __future__ import annotations

import bz2
import datetime
import decimal
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from datamodules.io.arrow_table import ArrowTable
from datamodules.io.table_file import TextFormat
from tests.conformance.table import Case, Format, Make, Read, Variant, assert_same, cases
from zoo.errors import DataError

NOTE = "word " * 450_000


def ours(path: Path) -> dict[str, list[Any]]:
    """Column -> its cells as the zoo holds them, None where unknown."""
    table = ArrowTable(path)
    return {
        name: [table.value(name, row) if known else None for row, known in enumerate(table.known(name))]
        for name in table.names
    }


def written(**how: str) -> Read:
    def read(path: Path) -> dict[str, list[Any]]:
        table = ArrowTable(path, told=TextFormat(**how))
        return {name: [v or None for v in table.texts(name)] for name in table.names}

    return read


# -- text ----------------------------------------------------------------------------------------------------


def text(content: str | bytes, name: str = "table.csv") -> Make:
    """A file of this content."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def packed(suffix: str, files: int = 1) -> Make:
    """The same small table, packed."""
    content = b"a,b\n01,x\n02,\n"

    def make(folder: Path) -> Path:
        path = folder / f"table.csv{suffix}"
        if suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                for number in range(files):
                    archive.writestr(f"table{number}.csv", content)
        elif suffix == ".zst":
            with pa.CompressedOutputStream(str(path), "zstd") as file:
                file.write(content)
        else:
            path.write_bytes({".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix](content))
        return path

    return make


def cut(folder: Path) -> Path:
    path = folder / "table.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,x\n" * 5000)[:-20])
    return path


def with_pandas(**options: Any) -> Read:
    def read(path: Path) -> dict[str, list[Any]]:
        if path.suffix == ".zst":
            return with_pandas(**options)(_unpacked(path))
        frame = pd.read_csv(path, dtype=str, **options)
        return {name: [None if v != v else v for v in frame[name]] for name in frame.columns}

    return read


def _unpacked(path: Path) -> Path:
    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as file:
        path.with_suffix("").write_bytes(file.read())
    return path.with_suffix("")


SEMICOLONS = "a;b\n1,5;x\n2,25;y\n"

CSV = Format(
    "csv, tsv and other text",
    library="pandas.read_csv",
    reference=with_pandas(),
    ours=ours,
    variants=(
        Variant("plain", text("a,b\n1,x\n2,y\n")),
        Variant("leading zeros", text("zip,b\n00123,x\n0042,y\n")),
        Variant("more digits than a float holds", text("id,b\n12345678901234567890,x\n0.1000000000000000055511,y\n")),
        Variant("a byte-order mark", text(b"\xef\xbb\xbfa,b\n1,x\n")),
        Variant("line ends of Windows", text("a,b\r\n1,x\r\n2,y\r\n")),
        Variant("line ends of old Macs", text("a,b\r1,x\r2,y\r")),
        Variant("no line end after the last row", text("a,b\n1,x\n2,y")),
        Variant("empty lines between rows and at the end", text("a,b\n1,x\n\n2,y\n\n\n")),
        Variant("a comma in quotes", text('a,b\n"1,5",x\n')),
        Variant("a line end in quotes", text('a,b\n"first\nsecond",x\n')),
        Variant("quotes in quotes", text('a,b\n"he said ""no""",x\n')),
        Variant("a quoted header with a line end", text('"a\nb",c\n1,2\n')),
        Variant("words that pandas takes for missing", text("a,b\nNone,nan\nNA,null\n<NA>,n/a\nno,none\n")),
        Variant("empty cells", text("a,b\n,x\n1,\n")),
        Variant("quoted empty cells", text('a,b\n"",x\n1,""\n')),
        Variant("letters beyond ASCII", text("größe,名\n1,é\n")),
        Variant("blanks around values stay", text("a,b\n x ,y\n")),
        Variant("an unnamed first column, as pandas writes its index", text(",a\n0,x\n1,y\n"),
                reference=lambda p: {"": ["0", "1"], "a": ["x", "y"]}),
        Variant("a field of 2 MB", text(f'note,dx\n"{NOTE}",ill\nshort,ok\n')),
        Variant("2,000 columns", text(",".join(map(str, range(2000))) + "\n" + ",".join(["1.5"] * 2000) + "\n")),
        Variant("a column of empty cells alone", text("a,b\n,1\n,2\n")),
        Variant("tabs", text("a\tb\n1\tx, y\n", "table.tsv"), reference=with_pandas(sep="\t")),
        Variant("semicolons, found in the header", text(SEMICOLONS), reference=with_pandas(sep=";")),
        Variant("another separator that is named", text("a:b\n1:x\n"), ours=written(separator=":"),
                reference=with_pandas(sep=":")),
        Variant("UTF-16 with its mark", text("a,b\n1,é\n".encode("utf-16")),
                reference=with_pandas(encoding="utf-16")),
        Variant("Latin-1 that is named", text("a,b\n1,é\n".encode("latin-1")), ours=written(encoding="latin-1"),
                reference=with_pandas(encoding="latin-1")),
        Variant("packed by gzip", packed(".gz")),
        Variant("packed by bzip2", packed(".bz2")),
        Variant("packed by xz", packed(".xz")),
        Variant("packed by zstd", packed(".zst")),
        Variant("packed by zip", packed(".zip")),
        Variant("a trailing comma in every row but the header", text("a,b\n1,x,\n2,y,\n"),
                error="a row has 3 cells and the header 2"),
        Variant("a repeated column name", text("a,a\n1,2\n"), error="a column name is repeated: ['a']"),
        Variant("no row", text("a,b\n"), error="the table has no rows"),
        Variant("an empty file", text(""), error="Empty CSV file"),
        Variant("rows of two lengths", text("a,b\n1\n"), error="a row has 1 cells and the header 2"),
        Variant("a quotation mark that is never closed", text('a,b\n"1,x\n2,y\n'), error="close quotation marks"),
        Variant("Latin-1 that is not named", text("a,b\n1,é\n".encode("latin-1")), error="the text is not UTF-8"),
        Variant("UTF-16 without its mark", text("a,b\n1,x\n".encode("utf-16-le")), error="holds the byte 0"),
        Variant("a zip archive of two files", packed(".zip", 2), error="the archive holds 2 files"),
        Variant("a gzip file that is cut short", cut, error="the table cannot be read"),
        Variant("another type", text("a", "table.sas7bdat"), error="a table must be csv"),
    ),
)  # fmt: skip

# -- Parquet, Arrow and Excel --------------------------------------------------------------------------------

WORDS = ["ill", None, "ok", "ill"]


def arrow(suffix: str, values: Any = None, **columns: Any) -> Make:
    """A file of Arrow columns beside a column of four numbers."""

    def make(folder: Path) -> Path:
        table = pa.table({"number": [1, 2, 3, 4], **({"v": values} if values is not None else columns)})
        path = folder / f"table{suffix}"
        if suffix == ".parquet":
            pq.write_table(table, path)
        elif suffix == ".arrow":
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        else:
            feather.write_feather(table, path)
        return path

    return make


def typed(suffix: str, make: Callable[[], Any]) -> Make:
    """As ``arrow``, of an array that is made when it is needed."""
    return lambda folder: arrow(suffix, make())(folder)


def frame_of(suffix: str, make: Callable[[], pd.DataFrame], **options: Any) -> Make:
    """A file that pandas writes."""

    def write(folder: Path) -> Path:
        path = folder / f"table{suffix}"
        frame = make()
        if suffix == ".parquet":
            frame.to_parquet(path, **options)
        elif suffix == ".xlsx":
            frame.to_excel(path, index=False, **options)
        else:
            frame.to_feather(path)
        return path

    return write


def with_pyarrow(path: Path) -> dict[str, list[Any]]:
    if path.is_dir() or path.suffix == ".parquet":
        table = pq.read_table(path)
    elif path.suffix == ".arrow":
        table = pa.ipc.open_file(pa.OSFile(str(path))).read_all()
    else:
        table = feather.read_table(path)
    columns = {}
    for name in table.column_names:
        values = table[name].to_pylist()
        columns[name] = [None if v is None or v != v else v for v in values]
    return columns


def plain_time(value: Any) -> Any:
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value


def chunks(folder: Path) -> Path:
    path = folder / "table.parquet"
    pq.write_table(pa.table({"a": [f"{i:03d}" for i in range(100)]}), path, row_group_size=7)
    return path


def parts(folder: Path) -> Path:
    path = folder / "table.parquet"
    path.mkdir()
    for number in range(3):
        pq.write_table(pa.table({"a": [number, number + 10], "b": ["x", None]}), path / f"part-{number}.parquet")
    (path / "_SUCCESS").write_text("")
    return path


def hive(folder: Path) -> Path:
    path = folder / "table"
    for site in ("01", "02"):
        (path / f"site={site}").mkdir(parents=True)
        pq.write_table(pa.table({"a": [int(site)]}), path / f"site={site}" / "part.parquet")
    return path


def grown(folder: Path) -> Path:
    path = folder / "table"
    path.mkdir()
    pq.write_table(pa.table({"a": [1]}), path / "p0.parquet")
    pq.write_table(pa.table({"a": [2.5], "b": ["new"]}), path / "p1.parquet")
    return path


def empty_folder(folder: Path) -> Path:
    (folder / "table.parquet").mkdir()
    return folder / "table.parquet"


def damaged(folder: Path) -> Path:
    path = arrow(".parquet", ["a", "b", "c", "d"])(folder)
    content = path.read_bytes()
    path.write_bytes(content[:60] + content[70:])
    return path


def columns_of(suffix: str) -> tuple[Variant, ...]:
    """What Parquet and Arrow files have in common: every type that pandas and pyarrow write."""
    days = [datetime.date(2020, 1, 31), None, datetime.date(1899, 12, 31), datetime.date(2400, 2, 29)]
    times = [datetime.datetime(2020, 1, 31, 12, 30), None, datetime.datetime(1960, 1, 1), None]
    price = [decimal.Decimal("1.50"), None, decimal.Decimal("-0.05"), decimal.Decimal("10.00")]
    return (
        Variant("text with nulls", arrow(suffix, WORDS)),
        Variant("a categorical of pandas with nulls",
                frame_of(suffix, lambda: pd.DataFrame({"dx": pd.Categorical(WORDS)}))),
        Variant("an ordered categorical with a class that no row has",
                frame_of(suffix, lambda: pd.DataFrame(
                    {"dx": pd.Categorical(["b", "a"], ["a", "b", "c"], ordered=True)}))),
        Variant("a dictionary with codes of 8 bits", typed(suffix, lambda: pa.array(WORDS).dictionary_encode().cast(
            pa.dictionary(pa.int8(), pa.string())))),
        Variant("a dictionary of numbers", typed(suffix, lambda: pa.array([7, 9, None, 7]).dictionary_encode())),
        Variant("large strings", typed(suffix, lambda: pa.array(WORDS, pa.large_string()))),
        Variant("views of strings", typed(suffix, lambda: pa.array(WORDS, pa.string_view()))),
        Variant("a column of nulls alone", typed(suffix, lambda: pa.nulls(4))),
        Variant("integers with nulls stay integers", arrow(suffix, [2**53 + 1, None, -1, 0])),
        Variant("nullable integers of pandas",
                frame_of(suffix, lambda: pd.DataFrame({"a": pd.array([1, None, 3], "Int64")}))),
        Variant("unsigned integers of 64 bits", typed(
            suffix, lambda: pa.array([2**64 - 1, 0, None, 1], pa.uint64()))),
        Variant("floats with nulls and NaN", arrow(suffix, [1.5, None, float("nan"), -0.0])),
        Variant("floats of 16 bits", typed(suffix, lambda: pa.array(np.array([1.5, 2, 3, 4], np.float16)))),
        Variant("booleans with nulls", arrow(suffix, [True, None, False, True])),
        Variant("decimals", typed(suffix, lambda: pa.array(price, pa.decimal128(9, 2)))),
        Variant("dates", arrow(suffix, days)),
        Variant("times", typed(suffix, lambda: pa.array(times, pa.timestamp("ms")))),
        Variant("times with a zone", typed(suffix, lambda: pa.array(times, pa.timestamp("us", "Europe/Berlin")))),
        Variant("lists of numbers, some empty or null", arrow(suffix, [[1.0, 2.0], [], None, [3.0]])),
        Variant("lists of words", arrow(suffix, [["a", "b"], [None], None, []])),
        Variant("bytes", arrow(suffix, [b"\x00\xff", None, b"", b"x"])),
        Variant("structures", arrow(suffix, [{"bytes": b"x", "path": "p"}, None, None, None])),
        Variant("strings of pandas with pd.NA",
                frame_of(suffix, lambda: pd.DataFrame({"a": pd.array(["x", pd.NA, "01"], "string")}))),
        Variant("a field of 2 MB", arrow(suffix, [NOTE.strip(), "b", "c", "d"])),
        Variant("the words nan and None in a column of text", arrow(suffix, ["nan", "None", "a", ""]),
                differs="they stand for an unknown value, as in a csv, and are counted; reading.values keeps them",
                expected={"number": [1, 2, 3, 4], "v": [None, None, "a", None]}),
    )  # fmt: skip


def repeated(suffix: str) -> Make:
    def make(folder: Path) -> Path:
        table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
        path = folder / f"table{suffix}"
        if suffix == ".parquet":
            pq.write_table(table, path)
        else:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        return path

    return make


PARQUET = Format(
    "Parquet",
    library="pyarrow.parquet.read_table",
    reference=with_pyarrow,
    ours=ours,
    variants=(
        *columns_of(".parquet"),
        Variant("many row groups", chunks),
        Variant("a folder of parts", parts),
        Variant("a folder whose parts have other columns and types", grown,
                reference=lambda p: {"a": [1.0, 2.5], "b": [None, "new"]}),
        Variant("a folder partitioned by a code", hive, differs="the codes stay words, 01 and not 1",
                expected={"a": [1, 2], "site": ["01", "02"]}),
        Variant("a named index of pandas", frame_of(".parquet", lambda: pd.DataFrame(
            {"a": [1, 2]}, index=pd.Index(["p1", "p2"], name="patient")))),
        Variant("a repeated column name", repeated(".parquet"), error="a column name is repeated: ['a']"),
        Variant("no row", frame_of(".parquet", lambda: pd.DataFrame({"a": []})), error="the table has no rows"),
        Variant("a folder without parts", empty_folder, error="the folder holds no .parquet file"),
        Variant("a damaged file", damaged, error="the table cannot be read"),
    ),
)  # fmt: skip

ARROW = Format(
    "Arrow and Feather",
    library="pyarrow.ipc.open_file",
    reference=with_pyarrow,
    ours=ours,
    variants=(
        *columns_of(".arrow"),
        Variant("run ends", typed(".arrow", lambda: pc.run_end_encode(pa.array(["a", "a", "b", None])))),
        Variant("views of lists", typed(".arrow", lambda: pa.array(
            [[1], None, [2, 3], []], pa.list_view(pa.int64())))),
        Variant("compressed Feather", arrow(".feather", WORDS)),
        Variant("an extension type", typed(".arrow", lambda: pa.ExtensionArray.from_storage(
            pa.bool8(), pa.array([1, 0, None, 1], pa.int8()))), differs="the stored values",
            expected={"number": [1, 2, 3, 4], "v": [1, 0, None, 1]}),
        Variant("a repeated column name", repeated(".arrow"), error="a column name is repeated: ['a']"),
        Variant("another file under the name", text("a,b\n1,2\n", "table.arrow"), error="the table cannot be read"),
    ),
)  # fmt: skip


def sheets(folder: Path) -> Path:
    path = folder / "table.xlsx"
    with pd.ExcelWriter(path) as writer:
        for name in ("one", "two"):
            pd.DataFrame({name: [1, 2]}).to_excel(writer, sheet_name=name, index=False)
    return path


def row_beyond_all(folder: Path) -> Path:
    """A spreadsheet with a damaged number of a row, before which a reader would make all others."""
    path = frame_of(".xlsx", lambda: pd.DataFrame({"a": [1, 2]}))(folder)
    with zipfile.ZipFile(path) as archive:
        members = {i.filename: archive.read(i) for i in archive.infolist()}
    sheet = "xl/worksheets/sheet1.xml"
    members[sheet] = members[sheet].replace(b'<row r="2"', b'<row r="9999999999"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def with_excel(path: Path) -> dict[str, list[Any]]:
    frame = pd.read_excel(path)
    return {str(n): [None if v is None or v != v else plain_time(v) for v in frame[n]] for n in frame}


def spreadsheet(name: str, values: list[Any], **more: Any) -> Variant:
    make = frame_of(".xlsx", lambda: pd.DataFrame({"n": range(len(values)), "v": pd.Series(values, dtype=object)}))
    return Variant(name, make, needs="openpyxl", **more)


EXCEL = Format(
    "Excel",
    library="pandas.read_excel",
    reference=with_excel,
    ours=ours,
    variants=(
        spreadsheet("numbers", [1.5, 2.0, -3.25]),
        spreadsheet("whole numbers", [1, 2, 3]),
        spreadsheet("numbers with gaps", [1.5, None, 2.0]),
        spreadsheet("words", ["ill", "ok", "ill"]),
        spreadsheet("words with gaps", ["ill", None, "ok"]),
        spreadsheet("codes written as text", ["007", "01", "10"], differs="they stay text, and no numbers",
                    expected={"n": [0, 1, 2], "v": ["007", "01", "10"]}),
        spreadsheet("letters beyond ASCII", ["größe", "名", "é"]),
        spreadsheet("line ends in a cell", ["a\nb", "c", "d"]),
        spreadsheet("dates", [datetime.datetime(2020, 1, 31), datetime.datetime(2021, 2, 1)]),
        spreadsheet("booleans", [True, False, True]),
        spreadsheet("a long text", [NOTE[:30_000].strip(), "b"]),
        spreadsheet("words that pandas takes for missing", ["NA", "x", "nan"]),
        spreadsheet("numbers and words in one column", [1, "<5", 2.5], differs="such a column is text, cell by cell",
                    expected={"n": [0, 1, 2], "v": ["1", "<5", "2.5"]}),
        spreadsheet("integers with gaps", [1, None, 3], differs="they stay integers",
                    expected={"n": [0, 1, 2], "v": [1, None, 3]}),
        Variant("a sheet that is named", sheets, needs="openpyxl", reference=lambda p: {"two": ["1", "2"]},
                ours=written(sheet="two")),
        Variant("two sheets, none named", sheets, needs="openpyxl", error="2 sheets are filled: ['one', 'two']"),
        Variant("a sheet that is not there", sheets, needs="openpyxl", ours=written(sheet="three"),
                error="the sheet 'three' is not there"),
        Variant("no row", frame_of(".xlsx", lambda: pd.DataFrame({"a": []})), needs="openpyxl",
                error="the table has no rows"),
        Variant("a row beyond the last one of a sheet", row_beyond_all, needs="openpyxl",
                error="a spreadsheet has at most 1048576 rows: the file is damaged"),
        Variant("another file under the name", text("a,b\n", "table.xlsx"), needs="openpyxl",
                error="the table cannot be read"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", cases(CSV, PARQUET, ARROW, EXCEL), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)


@pytest.mark.parametrize("case", [c for c in cases(CSV, PARQUET, ARROW) if c.variant.ours is None], ids=str)
def test_a_mapped_copy_is_the_same(case: Case, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    path = case.variant.make(tmp_path / "files")
    if case.variant.error:
        with pytest.raises(DataError):
            ArrowTable(path, tmp_path / "index")
        return
    plain, mapped = ArrowTable(path), ArrowTable(path, tmp_path / "index")
    assert plain.names == mapped.names
    for name in plain.names:
        assert_same(mapped.column(name).to_pylist(), plain.column(name).to_pylist())
