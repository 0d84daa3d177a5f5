"""Figures and tables as PNG files, and W&B runs that hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.commands.report import draw_all, load_runs
from tests.experiments.reporting.made_up_results import figures, tasks_table, write_runs
from zoo.rendering import drawing
from zoo.rendering.png import MOST_ROWS, save_figure, save_table
from zoo.results import Column, Figure, Series, Table


def dark_share(path: Path) -> float:
    """Share of pixels that are not white."""
    with Image.open(path) as image:
        histogram = image.convert("L").histogram()
    return 1 - sum(histogram[250:]) / sum(histogram)


@pytest.mark.parametrize("figure", figures(1), ids=lambda f: f.name)
def test_every_figure_is_drawn(figure: Figure, tmp_path: Path) -> None:
    path = tmp_path / "f.png"
    save_figure(figure, drawing.colours(figures(1))[figure.name], path)
    assert dark_share(path) > 0.005


def test_simulated_bars_are_hatched(tmp_path: Path) -> None:
    shares = []
    for flag in (False, True):
        series = [Series("a", ["x", "y"], [0.5, 0.6], simulated=flag)]
        path = tmp_path / f"{flag}.png"
        save_figure(Figure("f", "f", "bars", series=series), {"a": "#0072B2"}, path)
        with Image.open(path) as image:
            colours = image.convert("RGB").getcolors(2**24) or []
        shares.append(sum(n for n, c in colours if c == (0, 114, 178)))
    assert shares[1] < 0.95 * shares[0]


def test_the_mark_of_simulated_data_moves_no_axis(tmp_path: Path) -> None:
    """The entry of the legend once was a bar of its own, which reached to -0.4 on an axis of values."""
    begin = []
    for flag in (False, True):
        names = [f"a task with a long name {k}" for k in range(9)]
        path = tmp_path / f"{flag}.png"
        save_figure(
            Figure("f", "f", "bars", series=[Series("a", names, [0.6] * 9, simulated=flag)]), {"a": "#0072B2"}, path
        )
        with Image.open(path) as image:
            blue = (np.asarray(image.convert("RGB")) == (0, 114, 178)).all(-1)
        begin.append(int(np.flatnonzero(blue[: len(blue) * 3 // 4].any(0))[0]))
    assert abs(begin[1] - begin[0]) <= 2


def test_figures_of_nothing_are_drawn_too(tmp_path: Path) -> None:
    for k, figure in enumerate(
        (
            Figure("f", "f", "bars"),
            Figure("f", "f", "lines", series=[Series("a", [], [])]),
            Figure("f", "f", "lines", series=[Series("a", [1], [None], [None], [None])], references={"c": 0.5}),
            Figure("f", "f", "lines", series=[Series("a", [1, 10, 100], [1.0, 2.0, 3.0])], log_x=True),
            Figure("f", "f", "heatmap"),
            Figure("f", "f", "heatmap", rows=["a"], columns=["b"], values=[[None]]),
            Figure("f", "f", "chains", chains={"a": [], "b": [[0.0, 0.0, 0.0]]}),
        )
    ):
        save_figure(figure, drawing.colours([figure])["f"], tmp_path / f"{k}.png")


def test_tables_are_drawn_and_say_what_they_leave_out(tmp_path: Path) -> None:
    save_table(tasks_table(0), tmp_path / "t.png")
    assert dark_share(tmp_path / "t.png") > 0.005
    many = Table("t", "t", [Column("a", kind="integer")], [{"a": k} for k in range(MOST_ROWS + 5)])
    save_table(many, tmp_path / "m.png")
    save_table(Table("t", "t", [Column("a")], []), tmp_path / "e.png")


def test_every_figure_and_table_of_every_run_has_a_file(tmp_path: Path) -> None:
    results = load_runs(write_runs(tmp_path / "runs", 1))
    made = draw_all(results, ["a/b"], tmp_path / "png")
    assert len(made) == len(results[0].figures) + len(results[0].tables)
    assert all(p.is_file() and p.parent == tmp_path / "png" / "a-b" for p in made.values())
    assert (tmp_path / "png" / "a-b" / "rows.png").is_file()


def test_wandb_gets_tables_pictures_and_charts_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("plotly", reason="the extra 'evidence' is not installed")
    from experiments.reporting.wandb_log import log_results

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    results = load_runs(write_runs(tmp_path / "runs", 1))
    results[0].figures = results[0].figures[:4]
    pictures = {(0, "figures/ood"): tmp_path / "ood.png"}
    save_figure(results[0].figures[1], drawing.colours(results[0].figures)["ood"], pictures[(0, "figures/ood")])
    (folder,) = log_results(results, ["a"], pictures, "a-project")
    files = {p.name.split("_")[0] for p in Path(folder).rglob("*") if p.is_file() and p.parent.name != "logs"}
    media = {part for p in Path(folder).glob("files/media/**/*") for part in p.parts}
    assert list(Path(folder).glob("*.wandb")), files
    assert {"tables", "png", "plotly"} <= media, media
