"""The reader study: the page knows no answer and fetches nothing; answers are joined with the key and scored."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from tests.experiments.reporting.browser import Browser, chromium
from zoo.errors import DataError, SpecError, UnknownNameError
from zoo.evaluation.generated.readers.analysis import read_answers, reader_agreement, score_readers
from zoo.evaluation.generated.readers.form import write_study
from zoo.evaluation.generated.readers.items import QUESTIONS, Item

EVIL = "</script><script>window.broken=1</script> & \u2028 <b>\u00e4"


def items(each: int = 4) -> list[Item]:
    generator = np.random.default_rng(0)
    made = []
    for task, asked in QUESTIONS.items():
        for k in range(each):
            images = tuple(generator.integers(0, 255, (8, 8), dtype=np.uint8) for _ in range(asked.images))
            report = f"Report {k}. {EVIL}" if asked.report else ""
            made.append(Item(task, asked.answers[k % 2], images, report, unit=f"p{k}", source="SECRET"))
    return made


def held(page: Path) -> list[dict[str, object]]:
    found = re.search(
        r'<script type="application/json" id="items">(.*?)</script>', page.read_text("utf-8"), re.DOTALL
    )
    assert found is not None
    shown: list[dict[str, object]] = json.loads(found[1])
    return shown


def answer(folder: Path, reader: str, right: dict[str, float], seed: int = 0) -> Path:
    """A file of answers that are right with the given chance by task."""
    generator, key = np.random.default_rng(seed), pd.read_csv(folder / "key.csv")
    rows = []
    for row in key.itertuples():
        a, b = QUESTIONS[row.task].answers
        other = b if row.truth == a else a
        told = "" if right[row.task] < 0 else row.truth if generator.random() < right[row.task] else other
        rows.append((reader, row.item, row.task, told, 2.0))
    file = folder / f"answers_{reader}.csv"
    pd.DataFrame(rows, columns=["reader", "item", "task", "answer", "seconds"]).to_csv(file, index=False)
    return file


def test_pages_hold_all_items_in_orders_of_their_own_and_no_truth(tmp_path: Path) -> None:
    pages = write_study(items(), tmp_path, ["ann", "bob"], seed=3)
    assert [p.name for p in pages] == ["reader_ann.html", "reader_bob.html"]
    first, second = (held(p) for p in pages)
    assert len(first) == 20
    assert [x["item"] for x in first] != [x["item"] for x in second]
    assert {str(x) for x in first} == {str(x) for x in second}
    assert set(first[0]) == {"item", "task", "question", "answers", "images", "report"}
    assert "SECRET" not in pages[0].read_text("utf-8")
    key = pd.read_csv(tmp_path / "key.csv")
    assert sorted(key["item"]) == list(key["item"]) == sorted(str(x["item"]) for x in first)
    assert set(key.columns) == {"item", "task", "truth", "unit", "source"}
    by_name = {str(x["item"]): x for x in first}
    assert all(by_name[r.item]["task"] == r.task for r in key.itertuples())
    again = write_study(items(), tmp_path / "again", ["ann"], seed=3)
    assert again[0].read_bytes() == pages[0].read_bytes()


def test_numbers_of_items_do_not_tell_the_truth(tmp_path: Path) -> None:
    write_study(items(40), tmp_path, ["ann"])
    key = pd.read_csv(tmp_path / "key.csv")
    assert abs(key.index.to_series().corr(key["truth"].isin(["real", "yes"]).astype(float))) < 0.2
    assert abs(key.index.to_series().corr(key["task"].astype("category").cat.codes)) < 0.2


@pytest.mark.skipif(not chromium(), reason="no Chromium here: apt-get install chromium")
def test_a_browser_shows_the_items_and_writes_the_answers(tmp_path: Path) -> None:
    page = write_study(items(2), tmp_path / "study", ["ann"])[0]
    with Browser(tmp_path / "profile") as browser:
        browser.open(page)
        script = (
            "(() => { const seen = []; for (let k = 0; k < items.length; k++) {"
            "  seen.push([items[at].task, document.querySelectorAll('#pictures img').length,"
            "    document.getElementById('words').textContent, document.getElementById('question').textContent]);"
            "  const inputs = document.querySelectorAll('#answers input');"
            "  if (k > 0) inputs[k % 2].click();"
            "  document.getElementById('next').click(); } return seen; })()"
        )
        seen = browser.run(script)
        assert sorted(s[0] for s in seen) == sorted(2 * list(QUESTIONS))
        for task, pictures, text, question in seen:
            assert pictures == QUESTIONS[task].images
            assert question == QUESTIONS[task].text
            assert (EVIL in text) == QUESTIONS[task].report
        assert browser.run("document.getElementById('left').textContent") == "1 without an answer"
        loaded = "Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))"
        browser.run("show(items.findIndex(i => i.task === 'views'))")
        assert browser.run(loaded) == [8, 8]
        text = browser.run("asCsv()")
        browser.run("document.getElementById('download').click()")
        assert browser.complaints() == []
        assert {u for u in browser.fetched() if not u.startswith(("data:", "blob:"))} == {page.as_uri()}
        assert browser.run("window.broken === undefined")
    file = tmp_path / "answers_ann.csv"
    file.write_text(text)
    found = read_answers([file], tmp_path / "study" / "key.csv")
    assert len(found) == 10
    assert (found["answer"] == "").sum() == 1
    assert set(found["reader"]) == {"ann"}


def test_scores_by_hand(tmp_path: Path) -> None:
    write_study(items(10), tmp_path, ["ann"])
    right = dict.fromkeys(QUESTIONS, 1.0) | {"lateral": 0.0, "fit": -1.0}
    scores = {s.task: s for s in score_readers(read_answers([answer(tmp_path, "ann", right)], tmp_path / "key.csv"))}
    frontal = scores["frontal"]
    assert (frontal.n, frontal.unanswered, frontal.right.value, frontal.seconds) == (10, 0, 1.0, 2.0)
    assert frontal.right.low == pytest.approx(0.025 ** (1 / 10))  # Clopper and Pearson for 10 of 10
    assert frontal.p == pytest.approx(2 / 2**10)
    assert (scores["lateral"].right.value, scores["lateral"].right_first.value) == (0.0, 0.0)
    assert (scores["fit"].n, scores["fit"].unanswered) == (0, 10)
    assert math.isnan(scores["fit"].right.value)


def test_a_reader_who_always_says_real_is_seen_as_such(tmp_path: Path) -> None:
    write_study(items(10), tmp_path, ["ann"])
    file = answer(tmp_path, "ann", dict.fromkeys(QUESTIONS, 1.0))
    table = pd.read_csv(file)
    table["answer"] = [QUESTIONS[t].answers[0] for t in table["task"]]
    table.to_csv(file, index=False)
    score = score_readers(read_answers([file], tmp_path / "key.csv"))[0]
    assert (score.right.value, score.right_first.value, score.right_second.value) == (0.5, 1.0, 0.0)
    assert score.p == 1.0


def test_agreement_is_that_of_the_libraries(tmp_path: Path) -> None:
    write_study(items(30), tmp_path, ["ann", "bob", "cid"])
    files = [answer(tmp_path, name, dict.fromkeys(QUESTIONS, 0.8), seed=k) for k, name in enumerate(("ann", "bob"))]
    answers = read_answers(files, tmp_path / "key.csv")
    found = {a.task: a for a in reader_agreement(answers, resamples=50)}
    wide = answers[answers["task"] == "views"].pivot(index="item", columns="reader", values="answer")
    views = found["views"]
    assert views.cohen["ann", "bob"].value == pytest.approx(cohen_kappa_score(wide["ann"], wide["bob"]))
    codes = (wide == "yes").to_numpy()
    same = (codes[:, 0] == codes[:, 1]).mean()
    guess = codes.mean() ** 2 + (1 - codes.mean()) ** 2
    assert views.fleiss.value == pytest.approx((same - guess) / (1 - guess))
    assert views.fleiss.low < views.fleiss.value < views.fleiss.high
    assert views.n == 30
    assert views.unit == "patient (30)"
    part = answers[answers["task"] == "views"]
    assert views.right.value == pytest.approx((part["answer"] == part["truth"]).mean())
    alone = reader_agreement(answers[answers["reader"] == "ann"], resamples=5)
    assert math.isnan(alone[0].fleiss.value)
    assert alone[0].cohen == {}


def test_items_that_no_reader_answered_leave_nothing_to_agree_on(tmp_path: Path) -> None:
    write_study(items(4), tmp_path, ["ann"])
    files = [answer(tmp_path, name, dict.fromkeys(QUESTIONS, -1.0)) for name in ("ann", "bob")]
    found = reader_agreement(read_answers(files, tmp_path / "key.csv"), resamples=5)
    assert found[0].n == 0
    assert math.isnan(found[0].right.value)


def test_items_that_tell_their_truth_are_refused(tmp_path: Path) -> None:
    small, large = (np.zeros((n, n), np.uint8) for n in (8, 9))
    frontal = [Item("frontal", "real", (small,)), Item("frontal", "generated", (large,))]
    with pytest.raises(DataError, match="task 'frontal' differ in shape"):
        write_study(frontal, tmp_path, ["ann"])
    with pytest.raises(DataError, match="all 1 items of task 'frontal' are 'real'"):
        write_study(frontal[:1], tmp_path, ["ann"])
    with pytest.raises(DataError, match=r"truth 'yes' of task 'frontal' is none of \('real', 'generated'\).*row: 0"):
        write_study([Item("frontal", "yes", (small,))], tmp_path, ["ann"])
    with pytest.raises(DataError, match="shows 1 images and a report, got 1 images, 0 letters"):
        write_study([Item("fit", "yes", (small,))], tmp_path, ["ann"])
    with pytest.raises(DataError, match="bytes"):
        write_study([Item("frontal", "real", (small / 2,))], tmp_path, ["ann"])
    with pytest.raises(UnknownNameError, match="did you mean 'frontal'"):
        write_study([Item("frontals", "real", (small,))], tmp_path, ["ann"])
    with pytest.raises(DataError, match="needs items"):
        write_study([], tmp_path, ["ann"])
    for readers in ([], ["a b"], ["ann", "ann"]):
        with pytest.raises(SpecError, match="readers need different names"):
            write_study(items(2), tmp_path, readers)


def test_answers_that_do_not_fit_the_key_are_named(tmp_path: Path) -> None:
    write_study(items(2), tmp_path, ["ann"])
    file = answer(tmp_path, "ann", dict.fromkeys(QUESTIONS, 1.0))
    good = pd.read_csv(file)
    with pytest.raises(DataError, match="two files are of one reader"):
        read_answers([file, file], tmp_path / "key.csv")
    good.iloc[1:].to_csv(file, index=False)
    with pytest.raises(DataError, match=r"1 items are not once in both.*'item-0001'.*answers_ann\.csv"):
        read_answers([file], tmp_path / "key.csv")
    pd.concat([good, good[:1]]).to_csv(file, index=False)
    with pytest.raises(DataError, match="1 items are not once"):
        read_answers([file], tmp_path / "key.csv")
    good.assign(answer="maybe").to_csv(file, index=False)
    with pytest.raises(DataError, match=r"the answer 'maybe' is none of .*row: item-0001"):
        read_answers([file], tmp_path / "key.csv")
    good.drop(columns="seconds").to_csv(file, index=False)
    with pytest.raises(DataError, match=r"no column \['seconds'\]"):
        read_answers([file], tmp_path / "key.csv")
    with pytest.raises(DataError, match=r"no table of a reader study.*nowhere\.csv"):
        read_answers([tmp_path / "nowhere.csv"], tmp_path / "key.csv")
