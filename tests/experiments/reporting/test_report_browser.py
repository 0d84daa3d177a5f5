"""The page in a real browser: it sorts, filters, changes its theme, fits a phone, and fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.commands.report import load_runs
from tests.experiments.reporting.browser import Browser, chromium
from tests.experiments.reporting.made_up_results import write_runs

pytest.importorskip("plotly", reason="the extra 'evidence' is not installed")
pytestmark = pytest.mark.skipif(not chromium(), reason="no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from experiments.reporting.html import write_page

    folder = tmp_path_factory.mktemp("page")
    write_runs(folder / "runs", 2)
    path = folder / "a page of runs.html"
    runs = load_runs([folder / "runs"])
    runs[1].figures = runs[1].figures[:1]  # all of them are in the first run
    write_page(runs, path, "Two runs </title><script>window.broken=1</script>")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def column(browser: Browser, table: str, k: int) -> list[Any]:
    script = f"[...document.querySelectorAll('{table} tbody tr')].map(r => r.cells[{k}].textContent.trim())"
    found = browser.run(script)
    assert isinstance(found, list)
    return found


def press(browser: Browser, table: str, k: int) -> str:
    """Click the k-th header of a table and return its aria-sort."""
    head = f"document.querySelectorAll('{table} th')[{k}]"
    return str(browser.run(f"({head}.querySelector('button').click(), {head}.getAttribute('aria-sort'))"))


def assert_clean(browser: Browser, page: Path) -> None:
    harmless = ("getImageData", "GPU stall", "GroupMarkerNotSet", "software WebGL")  # of drawing in software
    assert [c for c in browser.complaints() if not any(h in c for h in harmless)] == []
    others = [u for u in browser.fetched() if not u.startswith(("data:", "blob:"))]
    assert set(others) == {page.as_uri()}
    assert browser.run("window.broken === undefined")


TABLE = "#run-1-tables .table:first-of-type"


def test_headers_sort_by_click_and_by_key_with_empty_cells_below(browser: Browser, page: Path) -> None:
    browser.size(1280, 900)
    browser.open(page)
    before = column(browser, TABLE, 0)
    assert press(browser, TABLE, 2) == "descending"
    values = [float(v.split()[0]) for v in column(browser, TABLE, 2) if v]
    assert len(values) == 7
    assert values == sorted(values, reverse=True)
    assert column(browser, TABLE, 2)[-1] == ""
    assert press(browser, TABLE, 2) == "ascending"
    assert [float(v.split()[0]) for v in column(browser, TABLE, 2) if v] == sorted(values)
    assert column(browser, TABLE, 2)[-1] == ""
    browser.run(f"document.querySelector('{TABLE} th button').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
        )
    assert browser.run(f"document.querySelector('{TABLE} th').getAttribute('aria-sort')") == "ascending"
    assert browser.run(f"document.querySelectorAll('{TABLE} th')[2].getAttribute('aria-sort')") == "none"
    names = column(browser, TABLE, 0)
    assert sorted(names) == sorted(before)
    known = ["brain_tumor", "cell_type", "disease", "radiographic_findings", "structure", "vqa"]
    assert [n for n in names if n in known] == known
    assert press(browser, TABLE, 4) == "descending"  # thousands are not sorted as text
    assert column(browser, TABLE, 4)[0] == "7,200"
    assert_clean(browser, page)


def test_the_filter_hides_rows_and_says_how_many_are_left(browser: Browser, page: Path) -> None:
    browser.open(page)
    box = f"document.querySelector('{TABLE} input')"
    browser.run(f"({box}.value = 'ACCURACY sim', {box}.dispatchEvent(new Event('input')))")
    shown = browser.run(f"[...document.querySelectorAll('{TABLE} tbody tr')].filter(r => !r.hidden).length")
    assert shown == 3
    assert browser.run(f"document.querySelector('{TABLE} .shown').textContent") == "3 of 8"
    assert_clean(browser, page)


def test_every_figure_is_drawn_and_drawn_anew_in_the_other_theme(
    browser: Browser, page: Path, tmp_path: Path
) -> None:
    browser.size(1280, 900)
    browser.open(page)
    browser.run("zooReport.drawVisible().then(() => 1)")
    visible = browser.run("[...document.querySelectorAll('.plot')].filter(b => b.offsetParent).length")
    assert visible == 13  # one of each chooser
    assert (
        browser.run("[...document.querySelectorAll('.plot')].filter(b => b.querySelector('.main-svg')).length")
        == visible
    )
    assert browser.run("document.querySelectorAll('.plot canvas').length") >= 1  # a structure, in WebGL
    assert_fits(browser)
    assert browser.screenshot(tmp_path / "1280_light.png").read_bytes().startswith(b"\x89PNG")
    ink = "document.querySelector('#run-1-ood .plot')._fullLayout.font.color"
    light = browser.run(ink)
    assert browser.run("document.documentElement.dataset.theme") == "light"
    browser.run("document.getElementById('theme').click()")
    assert browser.run("document.documentElement.dataset.theme") == "dark"
    assert browser.run(ink) != light
    assert_fits(browser)
    assert browser.screenshot(tmp_path / "1280_dark.png").read_bytes().startswith(b"\x89PNG")
    browser.open(page)
    assert browser.run("document.documentElement.dataset.theme") == "dark"  # it is remembered
    browser.run("document.getElementById('theme').click()")
    assert browser.run("document.documentElement.dataset.theme") == "light"
    assert_clean(browser, page)


def test_choosers_legends_and_contents_work(browser: Browser, page: Path) -> None:
    browser.size(1280, 900)
    browser.open(page)
    chooser = "document.querySelector('#run-1-figures .chooser')"
    shown = f"[...{chooser}.querySelectorAll('.panel')].map(p => !p.hidden)"
    assert browser.run(shown) == [True, False]
    browser.run(f"{chooser}.querySelector('[data-step=\"1\"]').click()")
    assert browser.run(shown) == [False, True]
    assert browser.run(f"{chooser}.querySelectorAll('.panel')[1].querySelector('.main-svg') !== null")
    browser.run("document.querySelector('#run-1-ood .legend button').click()")
    assert browser.run("document.querySelector('#run-1-ood .legend button').getAttribute('aria-pressed')") == "false"
    assert browser.run("document.querySelector('#run-1-ood .plot').data[0].visible") is False
    dead = (
        "[...document.querySelectorAll('#contents a')].filter(a => !document.querySelector(a.getAttribute('href')))"
    )
    assert browser.run(f"{dead}.length") == 0
    assert_clean(browser, page)


def test_storage_may_be_refused(browser: Browser, page: Path) -> None:
    refuse = (
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }})"
    )
    made = browser.call("Page.addScriptToEvaluateOnNewDocument", source=refuse)
    try:
        browser.open(page)
        browser.run("document.getElementById('theme').click()")
        assert browser.run("document.documentElement.dataset.theme") in ("light", "dark")
        assert_clean(browser, page)
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=made["identifier"])


def assert_fits(browser: Browser) -> None:
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
    outside = "[...document.querySelectorAll('main > section, h1, h2, h4, figure, .summary, .facts, .card')]"
    assert browser.run(f"{outside}.filter(e => e.getBoundingClientRect().right > window.innerWidth + 1).length") == 0


def test_it_fits_a_phone_in_light_and_dark(browser: Browser, page: Path, tmp_path: Path) -> None:
    browser.size(390, 800)
    browser.open(page)
    browser.run("zooReport.drawVisible().then(() => 1)")
    assert_fits(browser)
    assert browser.screenshot(tmp_path / "390_light.png").read_bytes().startswith(b"\x89PNG")
    browser.size(390, 800, dark=True)
    assert browser.screenshot(tmp_path / "390_dark.png").read_bytes().startswith(b"\x89PNG")
    browser.size(360, 640)
    assert_fits(browser)
    assert browser.run("getComputedStyle(document.getElementById('contents')).display") == "none"
    browser.run("document.getElementById('menu').click()")
    assert browser.run("getComputedStyle(document.getElementById('contents')).display") == "block"
    assert_clean(browser, page)
