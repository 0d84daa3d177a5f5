"""The report command: what it reads, refuses and writes; tables and comparisons as HTML; plotly's figures."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.commands.report import find_runs, load_runs
from experiments.reporting import compare
from experiments.reporting.html import embedded_json, environment, write_page
from experiments.reporting.plotly_figures import plotly_figure
from experiments.reporting.tables import page_table
from tests.experiments.conftest import Call
from tests.experiments.reporting.made_up_results import LONG, NASTY, figures, result, tasks_table, write_runs
from zoo.errors import DataError, MissingExtraError
from zoo.rendering import drawing
from zoo.results import Column, Figure, Result, Series, Table

go = pytest.importorskip("plotly.graph_objects", reason="the extra 'evidence' is not installed")


def html_table(table: Table) -> str:
    return str(environment().get_template("macros.html").module.table(page_table(table)))  # type: ignore[attr-defined]


class Reader(HTMLParser):
    """Elements by name, with attributes, and the text outside of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._quiet = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._quiet = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._quiet = False

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self.text.append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    write_runs(folder, 2)
    path = folder / "index.html"
    size = write_page(load_runs([folder]), path, f"Title {NASTY}")
    text = path.read_text(encoding="utf-8")
    assert size == path.stat().st_size
    return text


def test_the_page_is_one_file_and_texts_stay_texts(page: str) -> None:
    reader = Reader()
    reader.feed(page)
    said = "".join(reader.text)
    assert said.count(NASTY) > 20
    assert LONG in said
    for tag, attributes in reader.elements:
        assert "onerror" not in attributes
        for name in ("src", "href", "data", "action"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("data:image/", "#")), (tag, name, value)
    assert sum(tag == "script" for tag, _ in reader.elements) == 3
    assert sum(tag == "img" for tag, _ in reader.elements) == 10
    ids = [a["id"] for _, a in reader.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert "@import" not in page.split("</style>")[0]
    assert "url(" not in page.split("</style>")[0]


def test_every_plot_has_its_figure(page: str) -> None:
    reader = Reader()
    reader.feed(page)
    plots = {str(a["data-figure"]) for _, a in reader.elements if "data-figure" in a}
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page)
    assert found
    assert set(json.loads(found[1])) == plots
    assert len([p for p in plots if p.startswith("compare-")]) == 4  # value, chance, rows and AUROC
    assert len([p for p in plots if p.startswith("run-1-")]) == len(figures(0))


@given(st.text())
def test_json_in_a_script_element_cannot_end_it(text: str) -> None:
    embedded = embedded_json({"a": text})
    assert "<" not in embedded
    assert embedded.isascii()
    assert json.loads(embedded) == {"a": text}


@pytest.mark.parametrize("figure", figures(0), ids=lambda f: f.name)
def test_plotly_accepts_each_figure(figure: Figure) -> None:
    colours = drawing.colours(figures(0))[figure.name]
    drawn = plotly_figure(figure, colours)
    go.Figure(drawn)  # checks every name and value
    json.dumps(drawn, allow_nan=False)


def test_bars_carry_intervals_hatching_and_references() -> None:
    series = [
        Series(
            "a",
            ["x", "y", "z"],
            [0.5, None, 0.7],
            [0.4, None, 0.6],
            [0.8, None, 0.75],
            simulated=[False, False, True],
        )
    ]
    figure = Figure("f", "f", "bars", series=series, references={"chance": 0.2})
    drawn = plotly_figure(figure, {"a": "#000000"})
    bar = drawn["data"][0]
    assert bar["marker"]["pattern"]["shape"] == ["", "", "/"]
    assert bar["error_y"]["array"] == pytest.approx([0.3, 0.0, 0.05])
    assert bar["error_y"]["arrayminus"] == pytest.approx([0.1, 0.0, 0.1])
    assert bar["y"] == [0.5, None, 0.7]
    assert [(s["y0"], s["line"]["dash"]) for s in drawn["layout"]["shapes"]] == [(0.2, "dash")]
    assert "chance 0.200" in drawn["layout"]["annotations"][0]["text"]


def test_a_band_breaks_where_a_point_is_unknown() -> None:
    series = [Series("a", [1, 2, 3, 4], [1.0, 2.0, None, 4.0], [0.0, 1.0, None, 3.0], [2.0, 3.0, None, 5.0])]
    band = plotly_figure(Figure("f", "f", "lines", series=series), {"a": "#000000"})["data"][0]
    assert band["x"] == [1, 2, 2, 1, None, 4, 4]
    assert band["y"] == [2.0, 3.0, 1.0, 0.0, None, 5.0, 3.0]


def test_labels_that_are_cut_alike_stay_apart() -> None:
    series = [Series("a", [LONG + "1", LONG + "2"], [1.0, 2.0])]
    bar = plotly_figure(Figure("f", "f", "bars", series=series), {"a": "#000000"})["data"][0]
    assert bar["x"] == [0, 1]


def test_names_keep_their_colour_over_the_figures_of_a_run() -> None:
    one = Figure("one", "", "bars", series=[Series("a", [], []), Series("b", [], [])])
    two = Figure("two", "", "lines", series=[Series("b", [], [])])
    found = drawing.colours([one, two])
    assert found["two"]["b"] == found["one"]["b"] == drawing.PALETTE[1]
    many = [Figure(f"f{k}", "", "bars", series=[Series(f"s{k}", [], [])]) for k in range(9)]
    assert drawing.colours(many)["f8"]["s8"] == drawing.PALETTE[0]  # more names than colours: by group


def test_cells_show_intervals_flags_and_nothing_for_unknown() -> None:
    text = html_table(tasks_table(0))
    assert '<span class="interval">0.400 to 0.490</span>' in text
    assert 'data-v="1200.0">1,200</td>' in text
    assert '<td class="flag yes" data-v="1">yes</td>' in text
    assert '<td class="empty"></td>' in text
    assert text.count('aria-sort="none"') == 7
    assert text.count('<tr class="simulated">') == 3
    assert "</script>" not in text


def test_a_row_of_simulated_data_has_a_badge_where_no_column_says_so() -> None:
    table = Table("t", "t", [Column("a", "a")], [{"a": "x", "data": "simulated"}, {"a": "y", "data": "real"}])
    text = html_table(table)
    assert text.count('class="badge simulated"') == 1
    assert "no rows" in html_table(Table("t", "t", [Column("a")], []))


def runs_with(*tables: Table) -> list[Result]:
    return [Result("fit", "", tables=[t], folder=Path(f"runs/v{k}")) for k, t in enumerate(tables)]


def test_runs_are_compared_row_by_row() -> None:
    columns = [Column("task"), Column("n", "n", "integer"), Column("value", "value", "number", "low", "high")]
    one = Table(
        "t", "T", columns, [{"task": "a", "value": 0.5, "low": 0.4, "high": 0.6, "n": 3}, {"task": "b", "value": 0.7}]
    )
    two = Table(
        "t",
        "T",
        columns,
        [
            {"task": "c", "value": 0.1},
            {"task": "a", "value": 0.8, "low": 0.7, "high": 0.9, "n": 4, "data": "simulated"},
        ],
    )
    found = compare.compare(runs_with(one, two), ["v0", "v1"])
    assert [f.quantity for f in found] == ["value", "n"]  # what has an interval comes first
    rows = found[0].table.rows
    assert [(r["task"], r["v0"], r["v1"], r["data"]) for r in rows] == [
        ("a", 0.5, 0.8, "mixed"), ("b", 0.7, None, "real"), ("c", None, 0.1, "real")
    ]  # fmt: skip
    assert (rows[0]["l1"], rows[0]["h1"], rows[0]["difference"]) == (0.7, 0.9, pytest.approx(0.3))
    assert "difference" not in rows[1]
    assert [s.name for s in found[0].figure.series] == ["v0", "v1"]
    assert found[0].figure.series[1].y == [0.8, None, 0.1]


def test_tables_that_cannot_be_put_side_by_side_are_left_apart() -> None:
    twice = Table(
        "t", "T", [Column("task"), Column("v", kind="number")], [{"task": "a", "v": 1.0}, {"task": "a", "v": 2.0}]
    )
    assert compare.compare(runs_with(twice, twice), ["v0", "v1"]) == []
    bare = Table("t", "T", [Column("v", kind="number")], [{"v": 1.0}])
    assert compare.compare(runs_with(bare, bare), ["v0", "v1"]) == []
    assert compare.compare(runs_with(bare), ["v0"]) == []


def test_runs_are_called_by_as_much_of_their_path_as_tells_them_apart() -> None:
    def named(*folders: str) -> list[str]:
        return compare.labels([Result("fit", "", folder=Path(f)) for f in folders])

    assert named("runs/a/version_0", "runs/a/version_1") == ["version_0", "version_1"]
    assert named("runs/a/version_0", "runs/b/version_0") == ["a/version_0", "b/version_0"]
    assert named("x", "x") == ["run 1", "run 2"]


def test_runs_are_found_below_a_folder_once(tmp_path: Path) -> None:
    folders = write_runs(tmp_path, 2)
    files = [f / "result.json" for f in folders]
    assert find_runs([tmp_path]) == files
    assert find_runs([folders[1], tmp_path, files[0]]) == [files[1], files[0]]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no result.json in it or below.*empty"):
        load_runs([tmp_path / "empty"])
    with pytest.raises(DataError, match=r"no such file or folder.*nowhere"):
        load_runs([tmp_path / "nowhere"])
    for name, content in (("notes.txt", "hello"), ("other.json", "{}"), ("bytes.bin", b"\xff\xfe\x00")):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(DataError, match=re.escape(name)):
            load_runs([path])
    (folder,) = write_runs(tmp_path / "cut", 1)
    path = folder / "result.json"
    path.write_text(path.read_text()[:500])
    with pytest.raises(DataError, match=r"not a readable result.json.*result.json"):
        load_runs([folder])


def broken(tmp_path: Path, made: Result) -> Path:
    made.save(tmp_path)
    return tmp_path


def test_a_result_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    cases = [
        (Figure("f", "", "lines", series=[Series("s", [1, 2], [1.0])]), "2 x and 1 y"),
        (Figure("f", "", "bars", series=[Series("s", [1], [1.0], low=[0.0, 0.1])]), "1 x and 2 low"),
        (Figure("f", "", "bars", series=[Series("s", [1], [1.0], simulated=[])]), "1 x and 0 simulated"),
        (Figure("f", "", "heatmap", rows=["a"], columns=["b"], values=[[1.0, 2.0]]), "1 rows of 1 columns"),
        (Figure("f", "", "chains", chains={"a": [[1.0, 2.0]]}), "not x, y, z"),
        (Figure("../f", "", "bars"), "only letters"),
        (Figure("f", "", "bars", series=[Series("s", [], []), Series("s", [], [])]), "repeat"),
    ]
    for figure, message in cases:
        with pytest.raises(DataError, match=message) as caught:
            load_runs([broken(tmp_path, Result("fit", "", figures=[figure]))])
        assert "result.json" in str(caught.value)
    with pytest.raises(DataError, match="'f' occurs 2 times"):
        load_runs([broken(tmp_path, Result("fit", "", figures=[Figure("f", "", "bars")] * 2))])


@pytest.mark.parametrize("how", ["missing", "broken", "outside"])
def test_a_picture_that_cannot_be_shown_is_named(tmp_path: Path, how: str) -> None:
    (folder,) = write_runs(tmp_path, 1)
    if how == "missing":
        (folder / "examples" / "disease_1.png").unlink()
    elif how == "broken":
        picture = folder / "examples" / "disease_1.png"
        picture.write_bytes(picture.read_bytes()[:200])
    else:
        path = folder / "result.json"
        path.write_text(path.read_text().replace("examples/disease_1.png", "../disease_1.png"))
    with pytest.raises(DataError, match=f"{'outside' if how == 'outside' else ''}.*disease_1.png"):
        write_page(load_runs([folder]), tmp_path / "index.html", "")
    assert not (tmp_path / "index.html").exists()


def test_the_command_says_what_it_wrote(call: Call, tmp_path: Path) -> None:
    runs = write_runs(tmp_path / "runs", 2)
    code, said = call("report", "runs", "--no-png", "--out", "out")
    assert code == 0, said
    assert "fit: run_1/version_0 (mixed data)" in said
    assert re.search(r"report: out \(\d\.\d MiB\): 2 runs, 4 tables, 26 figures", said)
    assert (tmp_path / "out").is_file()
    code, said = call("report", str(runs[0] / "nothing"))
    assert code != 0
    assert "nothing" in said


def test_one_run_needs_no_overview(tmp_path: Path) -> None:
    made = result(0)
    made.folder = tmp_path
    write_page([made], tmp_path / "page.html", "One")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'id="overview"' not in text
    assert 'id="run-1"' in text
    write_page([Result("ood", "Nothing yet")], tmp_path / "page.html", "Empty")  # nothing to show is no error


def test_without_plotly_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [n for n in sys.modules if n == "plotly" or n.startswith("plotly.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(MissingExtraError, match=r"'plotly'.*\[evidence\]"):
        write_page([result(0)], tmp_path / "page.html", "")


@settings(max_examples=25)
@given(st.text(max_size=200), st.integers(4, 30), st.integers(1, 4))
def test_labels_keep_to_their_width(text: str, width: int, most: int) -> None:
    lines = drawing.lines_of(text, width, most)
    assert 1 <= len(lines) <= most
    assert all(len(line) <= width for line in lines)
