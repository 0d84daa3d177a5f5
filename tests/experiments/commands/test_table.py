"""run.py table: forms of the paper filled from made-up runs, by hand-computed numbers; and the figures of a run."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from experiments.commands.cross_modal import figures as drawn
from experiments.commands.table import fill_all, unused
from experiments.commands.table.fill import Entry, Filled
from experiments.commands.table.papers import papers
from experiments.commands.table.papers.cross_modal import FIGURES, PAPER
from experiments.commands.table.scores import checked
from experiments.commands.table.write import KEYS, measured, written
from experiments.reporting.check import check_result
from experiments.reporting.plotly_figures import plotly_figure
from zoo.errors import DataError, SpecError, UnknownNameError
from zoo.rendering import drawing
from zoo.rendering.png import save_figure
from zoo.results import Column, Result, Table

Call = Callable[..., tuple[int, str]]
METRICS = ("accuracy", "auroc", "macro_f1", "precision", "recall", "balanced_accuracy", "weighted_f1")


def score(setting: str, value: float, seed: int = 0, **more: Any) -> dict[str, Any]:
    """A row of scores whose metrics are value, value + .01, ..."""
    row = {"dataset": "ham10000_mini", "direction": "image_to_text", "setting": setting, "mode": "fusion"}
    row |= {"trained": "separate", "calibrated": False, "leaky": False, "seed": seed, "n": 102, "data": "real"}
    return {**row, **{m: value + k / 100 for k, m in enumerate(METRICS)}, **more}


def rows(*scores: dict[str, Any]) -> list[dict[str, Any]]:
    return [checked(s, k, "made up") for k, s in enumerate(scores)]


def one(number: int, *scores: dict[str, Any]) -> Filled:
    found = fill_all(PAPER, rows(*scores), [number])
    assert len(found) == 1
    return found[0]


def entry(filled: Filled, label: str) -> Entry:
    found = [e for e in filled.entries if e.label == label]
    assert len(found) == 1, [e.label for e in filled.entries]
    return found[0]


def save(folder: Path, scores: Sequence[dict[str, Any]], command: str = "cross_modal", name: str = "scores") -> Path:
    columns = [Column(k) for k in (scores[0] if scores else {"dataset": 0})]
    Result(command, "made up", tables=[Table(name, "Scores", columns, list(scores))]).save(folder)
    return folder


def table4(seeds: int = 3) -> list[dict[str, Any]]:
    found = []
    for seed in range(seeds):
        found.append(score("fusion+records", 0.80 + seed / 100, seed))
        found.append(score("fusion+records", 0.60 + seed / 100, seed, mode="image", trained="masked"))
        found.append(score("fusion+records leaky", 0.95, seed, leaky=True))
    return found


def test_mean_and_standard_deviation_by_hand() -> None:
    filled = one(4, *table4())
    fusion = entry(filled, "Fusion")
    mean, sd, seeds = fusion.estimate("Accuracy")
    assert (round(mean, 6), seeds) == (0.81, 3)
    assert sd == pytest.approx(statistics.stdev([0.80, 0.81, 0.82]))
    assert measured(fusion, "AUC", 4) == "0.8200 (0.0100)"
    assert fusion.paper == FIGURES[4]["Fusion"]
    assert fusion.n == "102"
    assert filled.missing == ["Meta-only"]
    assert entry(filled, "Meta-only").rows == []
    assert entry(filled, "Fusion, leaky").remarks == ["LEAKY: the generator was told the label"]
    assert filled.dataset == "ham10000_mini"


def test_the_figures_fit_the_forms() -> None:
    assert [f.number for f in PAPER.forms] == [3, 4, 5, 7, 11, 14, 15, 16, 17]
    for form in PAPER.forms:
        several = len(form.blocks) > 1
        lines = {(f"{b.dataset}: " if several else "") + x.label for b in form.blocks for x in b.lines if not x.extra}
        printed = set(FIGURES[form.number])
        assert lines <= printed
        assert printed - lines <= {"Absolute Gain", "Round trip (appendix E)"}
        for values in FIGURES[form.number].values():
            assert set(values) <= set(form.columns)
        for home in form.blocks:
            assert all(p.settings for line in home.lines for _, p in line.picks)


def test_the_gains_that_the_paper_prints_are_its_differences() -> None:
    for number, base in ((14, "Image-only (Baseline)"), (15, "Random Forest (Baseline)")):
        for column, gain in FIGURES[number]["Absolute Gain"].items():
            ours, theirs = (float(FIGURES[number][r][column].split()[0]) for r in ("Proposed (Ours)", base))
            assert float(gain) == pytest.approx(ours - theirs, abs=1e-9)


def test_calibrated_rows_come_first_and_what_that_leaves_out_is_said() -> None:
    scores = [score("fusion+records", 0.5, 0), score("fusion+records", 0.6, 1)]
    scores.append(score("fusion+records", 0.7, 0, calibrated=True))
    filled = one(4, *scores)
    fusion = entry(filled, "Fusion")
    assert fusion.estimate("Accuracy")[0] == pytest.approx(0.7)
    assert fusion.remarks == ["calibrated", "left out, not calibrated: seed 1"]
    given = rows(*scores)
    assert unused(given, fill_all(PAPER, given, [4])) == [
        "not shown: 2 rows before calibration, of lines that are shown calibrated"
    ]


def test_masked_is_the_papers_and_an_own_model_says_so() -> None:
    masked = score("fusion+records", 0.4, mode="tabular", trained="masked")
    own = score("metadata+records", 0.5, mode="tabular")
    assert [e.label for e in one(4, masked, own).entries if e.rows] == ["Meta-only", "Meta-only, a model of its own"]
    filled = one(4, own)
    assert "Meta-only" not in filled.missing  # something gives it, in words that say what
    assert [e.label for e in filled.entries if e.rows] == ["Meta-only, a model of its own"]


def test_unknown_values_and_one_seed() -> None:
    fusion = entry(one(4, score("fusion+records", 0.5, 0), score("fusion+records", 0.6, 1, auroc=None)), "Fusion")
    assert measured(fusion, "AUC", 4) == "0.5100, 1 of 2 seeds"
    none = entry(one(4, score("fusion+records", 0.5, auroc=None)), "Fusion")
    assert measured(none, "AUC", 4) == "-"
    assert math.isnan(none.estimate("Accuracy")[1])


def test_gain_is_of_the_seeds_that_both_have() -> None:
    scores = [score("image", v, s, mode="image") for s, v in ((0, 0.5), (1, 0.6))]
    scores += [score("fusion+records", v, s) for s, v in ((0, 0.7), (1, 0.7), (2, 0.1))]
    filled = one(14, *scores)
    gain = entry(filled, "Absolute Gain")
    assert gain.seeds == [0, 1]
    assert measured(gain, "Accuracy", 4) == "+0.1500 (0.0707)"
    assert gain.paper["Accuracy"] == "+0.0850"
    text = written([filled], "text")
    assert "Measured on ham10000_mini; the paper's data: PAD-UFES-20" in text
    none = [score("image", 0.5, 0, mode="image"), score("fusion+records", 0.6, 1)]
    assert entry(one(14, *none), "Absolute Gain").remarks == ["no seed in common"]
    leaky = one(14, *scores, score("fusion+records leaky", 0.9, 0, leaky=True))
    assert measured(entry(leaky, "Absolute Gain, leaky"), "Accuracy", 4) == "+0.4000"


def test_one_table_a_data_set_and_blocks_of_two() -> None:
    scores = [
        score("synthetic image + metadata", 0.5),
        score("synthetic image + metadata", 0.6, dataset="pad_ufes20"),
    ]
    filled = fill_all(PAPER, rows(*scores), [16])
    assert [f.dataset for f in filled] == ["pad_ufes20", "ham10000_mini"]  # the paper's first
    emp = {"dataset": "emp500", "direction": "text_to_image"}
    table = one(11, score("concat", 0.5), score("fusion+records", 0.6), score("fusion", 0.7, **emp))
    assert [(e.dataset, e.label, bool(e.rows)) for e in table.entries] == [
        ("ham10000_mini", "Simple Concat", True),
        ("ham10000_mini", "Proposed Method", True),
        ("emp500", "Simple Concat", False),
        ("emp500", "Proposed Method", True),
    ]
    assert table.missing == ["EMPO: Simple Concat"]
    assert "| ham10000_mini | Simple Concat | measured | 0.5000 |" in written([table], "markdown")


def test_settings_say_which_table_a_data_set_is_for() -> None:
    own = {"dataset": "soil", "direction": "text_to_image"}
    tables = [f.form.number for f in fill_all(PAPER, rows(score("fusion", 0.5, **own)), []) if not f.empty]
    assert tables == [5, 7]
    real = [score("fusion", 0.5, **own), score("image", 0.5, mode="image", **own)]  # its images are real
    assert not [f for f in fill_all(PAPER, rows(*real), []) if not f.empty]
    both = [score(s, 0.5, dataset="pad_ufes20") for s in ("fusion+records", "synthetic image + metadata", "fusion")]
    tables = [f.form.number for f in fill_all(PAPER, rows(*both), []) if not f.empty]
    assert tables == [3, 4, 7, 14, 15, 16, 17]
    variant = one(11, score("concat", 0.4), score("fusion+records", 0.5), score("gated", 0.6))
    assert [e.paper != {} for e in variant.entries] == [True, True, False, True, True]
    assert not entry(variant, "Proposed Method, gated fusion").paper  # the paper's stands once


def test_difference_to_the_closed_generator() -> None:
    closed = score("fusion+records", 0.9, generator="GPT-4o-mini")
    opened = score("fusion+records", 0.8, generator="Qwen2.5-VL")
    with pytest.raises(DataError, match="two rows of scores for seed 0"):
        one(7, closed, opened)  # the row of any generator cannot hold both
    with_names = one(7, closed, {**opened, "seed": 1})
    assert [measured(e, "Delta vs Closed", 3) for e in with_names.entries[:2]] == ["-", "0.100 / 0.100"]


def test_simulated_data_and_floors_are_said() -> None:
    scores = [score("fusion+records", 0.5, data="simulated"), score("chance", 0.1), score("round trip", 0.4)]
    filled = one(4, *scores)
    assert entry(filled, "Fusion").remarks == ["simulated data"]
    assert entry(filled, "Chance").paper == {}
    assert entry(filled, "Round trip (appendix E)").paper["Accuracy"] == "0.946"
    assert one(4, score("chance", 0.1)).empty  # a floor alone is nothing of the table


def test_every_format() -> None:
    filled = one(3, *table4(), score("fusion", 0.7))
    text = written([filled], "text")
    assert "paper (its data)" in text
    assert "[Standard Vision Backbones]" in text
    assert "not run: 8: InceptionV3" in text
    latex = written([filled], "latex")
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 1
    widths = {line.count("&") for line in latex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line}
    assert len(widths) == 1
    assert r"\_" in written([one(11, score("concat", 0.5))], "latex")
    cells = list(csv.DictReader(io.StringIO(written([filled, one(4, *table4())], "csv"))))
    assert tuple(cells[0]) == KEYS
    assert {c["table"] for c in cells} == {"3", "4"}
    ours = next(c for c in cells if (c["table"], c["row"], c["column"]) == ("4", "Fusion", "Accuracy"))
    assert (ours["mean"], ours["sd"], ours["seeds"], ours["paper"]) == ("0.81", "0.01", "3", "0.9570(0.0034)")
    empty = next(c for c in cells if c["row"] == "ResNet50")
    assert (empty["mean"], empty["seeds"], empty["paper"]) == ("", "0", "0.850")
    with pytest.raises(UnknownNameError, match="did you mean 'latex'"):
        written([filled], "latx")


def test_a_table_that_no_run_gives_is_one_line() -> None:
    for style in ("text", "markdown", "latex"):
        said = written([one(15, *table4())], style)
        assert "no run gives any of its 2 rows" in said
        assert len(said.strip().splitlines()) == 1


def test_the_command(call: Call, tmp_path: Path) -> None:
    run = save(tmp_path / "run", [*table4(), score("mystery", 0.1)])
    code, said = call("table", "--paper", "cross_modal", str(run), "--tables", "4", "16", "--out", "tables")
    assert code == 0, said
    assert "0.8100 (0.0100)" in said
    assert "Table 16" in said
    assert "in none of these tables: 1 rows of scores: mystery (ham10000_mini, fusion, separate): 1" in said
    assert "told the diagnosis" in said
    names = {p.name for p in (tmp_path / "tables").iterdir()}
    assert names == {f"table_{n}.{s}" for n in (4, 16) for s in ("csv", "md", "tex")}
    code, said = call("table", "--paper", "cross_modal", str(run), "--format", "csv", "--tables", "4")
    assert code == 0
    assert said.startswith(",".join(KEYS))
    code, said = call("table", "--paper", "cross_modal", str(run))
    assert code == 0
    assert all(f"Table {f.number}" in said for f in PAPER.forms)


def test_help_and_wrong_input(call: Call, tmp_path: Path) -> None:
    code, said = call("table", "--help")
    assert code == 0
    assert "cross_modal: tables 3, 4, 5, 7, 11, 14, 15, 16, 17" in said
    run = str(save(tmp_path / "run", table4()))
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "result.json").write_text("{")
    wrong = {
        ("--paper", "cros_modal", run): "did you mean 'cross_modal'?",
        ("--paper", "cross_modal", run, "--tables", "6"): "--tables 6: 'cross_modal' has no such table here",
        ("--paper", "cross_modal", "--tables", "4", run): "put the folders of runs before --tables",
        ("--paper", "cross_modal", str(tmp_path / "empty")): "no result.json",
        ("--paper", "cross_modal", str(tmp_path / "nowhere")): "no such file or folder",
        ("--paper", "cross_modal", str(tmp_path / "broken")): "not a readable result.json",
        (run,): "--paper",
        ("--paper", "cross_modal", str(save(tmp_path / "fit", [], "fit"))): "a result of run.py fit",
        ("--paper", "cross_modal", str(save(tmp_path / "old", [], name="rows"))): "no table 'scores'",
    }
    for arguments, expected in wrong.items():
        code, said = call("table", *arguments)
        assert code != 0
        assert expected in said, said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mode": "both"}, "mode is 'both'; allowed: fusion, image, tabular"),
        ({"direction": None}, "no 'direction'"),
        ({"seed": "one"}, "seed is 'one'"),
        ({"accuracy": "high"}, "accuracy is 'high'"),
        ({"data": "made"}, "data is 'made'"),
    ],
)
def test_a_broken_row_is_named(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match="row: 3") as caught:
        checked({**score("fusion", 0.5), **change}, 3, "result.json")
    assert expected in str(caught.value)


def test_one_run_twice_is_refused(tmp_path: Path, call: Call) -> None:
    run, copy = save(tmp_path / "a", table4()), save(tmp_path / "b", table4())
    code, said = call("table", "--paper", "cross_modal", str(run), str(run), "--tables", "4")
    assert code == 0, said  # the same folder twice is one run
    code, said = call("table", "--paper", "cross_modal", str(run), str(copy), "--tables", "4")
    assert code != 0
    assert "give each run once" in said


def test_the_registry_of_papers() -> None:
    assert list(papers()) == ["cross_modal"]
    with pytest.raises(SpecError, match="known: 3, 4, 5, 7, 11, 14, 15, 16, 17"):
        fill_all(PAPER, [], [99])


# the figures of run.py cross_modal


def check(found: Sequence[Any], folder: Path) -> None:
    """They can be saved, drawn on the page and as PNG."""
    result = Result("cross_modal", "made up", figures=list(found))
    result.save(folder)
    check_result(result)
    json.loads((folder / "result.json").read_text())
    colours = drawing.colours(result.figures)
    for figure in result.figures:
        assert plotly_figure(figure, colours[figure.name])["data"]
        save_figure(figure, colours[figure.name], folder / f"{figure.name}.png")


def test_bars_of_settings(tmp_path: Path) -> None:
    scores = [*table4(), score("chance", 0.14, 0), score("chance", 0.16, 1), score("fusion", 0.5, auroc=None)]
    scores.append(score("fusion+records", 0.9, 0, calibrated=True))
    found = drawn.setting_bars(scores, ("accuracy", "auroc"))
    assert [f.y_label for f in found] == ["accuracy", "macro AUROC"]
    plain, calibrated = found[0].series
    assert plain.x == ["fusion+records", "fusion+records, image alone (masked)", "fusion+records leaky", "fusion"]
    assert plain.y[0] == pytest.approx(0.81)
    assert plain.low[0] == pytest.approx(0.80)
    assert plain.low[3] is None  # one seed has no spread
    assert plain.n[0] == 306
    assert (calibrated.x, calibrated.y) == (["fusion+records"], [0.9])
    assert found[0].references == {"chance": pytest.approx(0.15)}
    assert "fusion" not in found[1].series[0].x  # unknown for every seed
    check(found, tmp_path)
    with pytest.raises(DataError, match="has no direction"):
        drawn.setting_bars([{**scores[0], "direction": None}])


def pairs(truth: str, predicted: str, count: int, **more: Any) -> dict[str, Any]:
    row = {"dataset": "d", "setting": "fusion", "mode": "image", "truth": truth, "predicted": predicted}
    return {**row, "count": count, **more}


def test_confusion_matrices(tmp_path: Path) -> None:
    counts = [pairs("mel", "mel", 3), pairs("mel", "nv", 1), pairs("mel", "mel", 4), pairs("nv", "df", 2)]
    found = drawn.confusion_figures(counts, classes=("nv", "mel", "df", "vasc"))
    assert len(found) == 1
    assert found[0].rows == ["nv (n 2)", "mel (n 8)", "df (n 0)"]
    assert found[0].values == [[0, 0, 1], [0.125, 0.875, 0], [None, None, None]]
    other = drawn.confusion_figures([*counts, pairs("nv", "nv", 1, mode="tabular")])
    assert [f.panel for f in other] == ["fusion, image", "fusion, tabular"]
    check(other, tmp_path)
    with pytest.raises(DataError, match="'mel' is none of the classes"):
        drawn.confusion_figures(counts, classes=("nv",))
    with pytest.raises(DataError, match="count is -1"):
        drawn.confusion_figures([pairs("a", "a", -1)])


def test_many_classes_are_joined_not_dropped() -> None:
    counts = [pairs(f"c{k}", f"c{k}", k + 1) for k in range(6)]
    figure = drawn.confusion_figures(counts, most=3)[0]
    assert figure.columns == ["c4", "c5", "the other 4"]
    assert figure.rows[-1] == "the other 4 (n 10)"
    assert "4 rarer classes" in figure.note


def test_gain_by_class(tmp_path: Path) -> None:
    gains = [("nv", 400, (0.0, 0.02)), ("df", 8, (0.3, 0.1)), ("mel", 60, (0.1, 0.1)), ("akiec", 9, (None, None))]
    made = [
        {"dataset": "d", "setting": "fusion", "baseline": "image", "class": name, "n_train": n, "seed": s, "gain": g}
        for name, n, both in gains
        for s, g in enumerate(both)
    ]
    found = drawn.class_gain_figures(made)
    assert found[0].series[0].x == ["df (8)", "mel (60)", "nv (400)"]
    assert found[0].series[0].y == pytest.approx([0.2, 0.1, 0.01])
    assert "fusion against image: Spearman correlation of gain and frequency -1.00." in found[0].note
    check(found, tmp_path)


def test_gain_by_alignment(tmp_path: Path) -> None:
    base = {
        "dataset": "d",
        "setting": "fusion+records",
        "baseline": "image",
        "judge": "AttributeJudge",
        "data": "mixed",
    }
    made = [
        {**base, "bin": b, "n": n, "seed": "all", "gain": g, "gain_low": low, "gain_high": high}
        for b, n, g, low, high in (("< 4", 10, 0.03, -0.1, 0.2), ("4", 0, None, None, None), ("5", 20, 0.2, 0.1, 0.3))
    ]
    found = drawn.alignment_gain_figures(made)
    series = found[0].series[0]
    assert (series.x, series.y, series.n) == (["< 4", "4", "5"], [0.03, None, 0.2], [10, 0, 20])
    assert series.low == [-0.1, None, 0.1]
    assert "95 %" in found[0].note
    assert found[0].data == "mixed"
    check(found, tmp_path)
    seeds = [{**base, "bin": "5", "n": 5, "seed": s, "gain": g} for s, g in enumerate((0.1, 0.3))]
    spread = drawn.alignment_gain_figures(seeds)[0].series[0]
    assert spread.y == [pytest.approx(0.2)]
    assert spread.high == [pytest.approx(0.2 + statistics.stdev([0.1, 0.3]))]
    assert drawn.alignment_gain_figures([]) == drawn.class_gain_figures([]) == drawn.confusion_figures([]) == []
