"""The page: one HTML file of any number of results that fetches nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from experiments.page import compare, drawing
from experiments.page.check import read_picture
from experiments.page.plotly_figures import plotly_figure
from experiments.page.tables import badge, html_table
from zoo.errors import MissingExtraError
from zoo.results import Example, Figure, Result

MULTIPLES = 6
"""Up to so many bars or lines of a group are shown as small multiples; others are behind a chooser."""
COMPARED = 24
"""Up to so many rows a comparison of runs is drawn as well."""
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect x='1' y='8' "
    "width='4' height='7' fill='%230072B2'/%3E%3Crect x='6' y='4' width='4' height='11' fill='%23E69F00'/%3E%3Crect "
    "x='11' y='1' width='4' height='14' fill='%23009E73'/%3E%3C/svg%3E"
)
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:; worker-src blob:; connect-src 'none'; base-uri 'none'; form-action 'none'"
)
"""Even text that slipped through every escape could fetch nothing."""


def plotly_source() -> str:
    """The text of plotly.js.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingExtraError("plotly", "evidence") from error
    return str(get_plotlyjs())


def embedded_json(value: Any) -> str:
    r"""JSON that may stand in a script element of any type.

    >>> embedded_json("</script>")
    '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII: U+2028 is escaped
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class Page:
    """Collects sections and figures, and puts the file together.

    Args:
        title: of the page.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.figures: dict[str, Any] = {}
        self.sections: list[str] = []
        self.contents: list[tuple[int, str, str]] = []

    def add_runs(self, results: Sequence[Result]) -> None:
        """Add an overview and comparisons where there are several, and a section for each run.

        Raises:
            DataError: a picture is missing or broken.
        """
        names = compare.labels(results)
        if len(results) > 1:
            self._overview(results, names)
        for k, (result, name) in enumerate(zip(results, names, strict=True), 1):
            self._run(f"run-{k}", result, name)

    def render(self) -> str:
        """The whole file."""
        here = resources.files("experiments.page")
        style, script = (here.joinpath(n).read_text(encoding="utf-8") for n in ("style.css", "page.js"))
        contents = "".join(
            f'<li class="level-{level}"><a href="#{anchor}">{escape(text)}</a></li>'
            for level, anchor, text in self.contents
        )
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f'<link rel="icon" href="{ICON}">\n<title>{escape(self.title)}</title>\n'
            f"<style>\n{style}</style>\n</head>\n"
            '<body>\n<a class="skip" href="#main">Skip to the results</a>\n<header class="top">'
            f'<button type="button" id="menu" aria-expanded="false" aria-controls="contents">Contents</button>'
            f"<h1>{escape(self.title)}</h1>"
            '<button type="button" id="theme" aria-label="Switch between light and dark">Dark</button></header>\n'
            f'<nav id="contents" aria-label="Contents"><ol>{contents}</ol></nav>\n'
            f'<main id="main">\n{"".join(self.sections)}\n</main>\n'
            f'<script type="application/json" id="figures">{embedded_json(self.figures)}</script>\n'
            f"<script>{plotly_source()}</script>\n<script>\n{script}</script>\n</body>\n</html>\n"
        )

    def _section(self, level: int, anchor: str, title: str, inner: str, contents: str = "", mark: str = "") -> str:
        self.contents.append((level, anchor, contents or title))
        tag = f"h{level}"
        return f'<section id="{anchor}"><{tag}>{escape(title)} {mark}</{tag}>{inner}</section>\n'

    # -- several runs --------------------------------------------------------------------------------------

    def _overview(self, results: Sequence[Result], names: Sequence[str]) -> None:
        links = [f"#run-{k}" for k in range(1, len(results) + 1)]
        table = html_table(compare.overview(results, names), links)
        self.sections.append(self._section(2, "overview", f"{len(results)} runs", table, "Overview"))
        known = compare.compare(results, names)
        if not known:
            return
        panels = []
        for k, found in enumerate(known):
            figure = ""
            if len(found.table.rows) <= COMPARED:
                shown = replace(found.figure, name=f"comparison-{k}")
                figure = self._figure("compare", shown, drawing.colours([shown])[shown.name])
            panels.append((f"{found.name}: {found.quantity}", html_table(found.table) + figure))
        inner = (
            '<p class="note">Rows of tables that several runs have under one name, found by their text columns; '
            "where a run lacks a row, its cell is empty.</p>" + _chooser("Compare", panels)
        )
        self.sections.append(self._section(2, "compare", "Side by side", inner))

    # -- one run -------------------------------------------------------------------------------------------

    def _run(self, anchor: str, result: Result, name: str) -> None:
        self.contents.append((2, anchor, f"{result.command}: {name}"))
        parts = [_facts(result, name)]
        if result.summary:
            parts.append('<ul class="summary">' + "".join(f"<li>{escape(s)}</li>" for s in result.summary) + "</ul>")
        if result.tables:
            inner = "".join(html_table(t) for t in result.tables)
            parts.append(self._section(3, f"{anchor}-tables", "Tables", inner))
        if result.figures:
            parts.append(self._section(3, f"{anchor}-figures", "Figures", self._figures(anchor, result.figures)))
        if result.examples:
            inner = _examples(result.examples, result.folder or Path())
            parts.append(self._section(3, f"{anchor}-examples", "Examples to look at", inner))
        title = f"<h2>{escape(result.title or result.command)} {badge(result.data)}</h2>"
        self.sections.append(f'<section id="{anchor}" class="run">{title}{"".join(parts)}</section>\n')

    def _figures(self, anchor: str, figures: Sequence[Figure]) -> str:
        colours = drawing.colours(figures)
        groups: dict[str, list[Figure]] = {}
        for k, figure in enumerate(figures):
            groups.setdefault(figure.group or f"\0{k}", []).append(figure)
        singles: list[str] = []
        parts: list[str] = []
        for group, members in groups.items():
            drawn = [(f.panel or f.title, self._figure(anchor, f, colours[f.name])) for f in members]
            if len(drawn) == 1:
                singles.append(drawn[0][1])
                continue
            parts += [_grid(singles)] if singles else []
            singles = []
            title = f'<h4 class="group">{escape(group.replace("_", " "))}</h4>'
            small = len(drawn) <= MULTIPLES and all(f.kind in ("bars", "lines") for f in members)
            parts.append(title + (_grid([d for _, d in drawn]) if small else _chooser("Show", drawn)))
        parts += [_grid(singles)] if singles else []
        return "".join(parts)

    def _figure(self, anchor: str, figure: Figure, colours: dict[str, str]) -> str:
        key = f"{anchor}-{figure.name}"
        drawn = plotly_figure(figure, colours)
        self.figures[key] = drawn
        narrow = 0
        if figure.kind == "heatmap":
            longest = max((len(r) for r in figure.rows), default=0)
            widest = max((len(c) for c in figure.columns), default=0)
            narrow = 60 + 6 * min(longest, 18) + max(38, 6 * min(widest, 9)) * len(figure.columns)
        mark = badge(figure.data) if figure.data != "real" else ""
        notes = [figure.note] if figure.note else []
        if drawing.has_simulated(figure) and figure.kind == "bars":
            notes.append("Hatched: simulated data.")
        if drawing.has_simulated(figure) and figure.kind == "lines":
            notes.append("Open circles: simulated data.")
        many = len(figure.series) * len(drawing.categories(figure)) > 20 and drawing.lies(figure)
        wide = ' class="wide"' if (figure.kind == "bars" and many) or narrow > 480 else ""
        note = f'<p class="note">{escape(" ".join(notes))}</p>' if notes else ""
        caption = f"<figcaption>{escape(figure.title)} {mark}</figcaption>{_legend(figure, colours)}"
        return (
            f'<figure id="{key}"{wide}>{caption}<div class="scroll">'
            f'<div class="plot" data-figure="{key}" role="img" aria-label="{escape(figure.title)}" '
            f'style="height:{int(drawn["layout"]["height"])}px;min-width:{narrow}px"></div></div>{note}</figure>'
        )


def _legend(figure: Figure, colours: dict[str, str]) -> str:
    """What each colour stands for; a button hides and shows it."""
    shapes = {
        s.name: ("tick" if figure.kind == "bars" else "dash") if s.dashed else figure.kind for s in figure.series
    }
    shapes |= dict.fromkeys(figure.chains, "lines")
    hatched = {s.name for s in figure.series if all(drawing.simulated(s)) and s.x and not s.dashed}
    items = "".join(
        f'<li><button type="button" aria-pressed="true" data-series="{escape(name)}"><i class="{shape}'
        f'{" hatched" if name in hatched and shape == "bars" else ""}" style="--c:{colours[name]}"></i>'
        f"{escape(name)}</button></li>"
        for name, shape in shapes.items()
    )
    return f'<ul class="legend">{items}</ul>' if items else ""


def _grid(figures: Iterable[str]) -> str:
    return f'<div class="figures">{"".join(figures)}</div>'


def _chooser(label: str, panels: Sequence[tuple[str, str]]) -> str:
    """Panels of which one is shown, and a list with buttons for the one before and after."""
    if len(panels) == 1:
        return panels[0][1]
    options = "".join(f'<option value="{k}">{escape(name)}</option>' for k, (name, _) in enumerate(panels))
    shown = "".join(
        f'<div class="panel"{" hidden" if k else ""}><p class="panel-name">{escape(name)}</p>{inner}</div>'
        for k, (name, inner) in enumerate(panels)
    )
    return (
        f'<div class="chooser"><div class="bar"><label>{escape(label)} <select>{options}</select></label>'
        '<span class="steps"><button type="button" data-step="-1" aria-label="before">&lsaquo;</button>'
        '<button type="button" data-step="1" aria-label="next">&rsaquo;</button></span></div>'
        f"{shown}</div>"
    )


def _facts(result: Result, name: str) -> str:
    """What was run, when, on what and how."""
    facts = {
        "command": result.command, "folder": name, "config": result.config,
        "seeds": ", ".join(map(str, result.seeds)), "machine": result.machine,
        "finished": result.created.replace("T", " "), "wall time": drawing.duration(result.seconds),
    }  # fmt: skip
    shown = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items() if v)
    typed = (
        f'<div class="typed"><code>{escape(result.command_line)}</code>'
        '<button type="button" class="copy">Copy</button></div>'
        if result.command_line
        else ""
    )
    return f'<dl class="facts">{shown}</dl>{typed}'


def _examples(examples: Sequence[Example], folder: Path) -> str:
    tasks = dict.fromkeys(e.task for e in examples)
    panels = [(t, '<div class="cards">' + "".join(_card(e, folder) for e in examples if e.task == t)) for t in tasks]
    return _chooser("Task", [(t, cards + "</div>") for t, cards in panels])


def _card(example: Example, folder: Path) -> str:
    pictures = []
    for modality, name in example.pictures.items():
        kind, content = read_picture(folder, name)
        data = base64.b64encode(content).decode("ascii")
        alt = escape(f"{modality} of {example.id}")
        caption = f"<figcaption>{escape(modality)}</figcaption>"
        pictures.append(f'<figure><img src="data:{kind};base64,{data}" alt="{alt}">{caption}</figure>')
    texts = "".join(f"<div><dt>{escape(m)}</dt><dd>{escape(t)}</dd></div>" for m, t in example.texts.items())
    score = f"<div><dt>score</dt><dd>{drawing.number(example.score)}</dd></div>" if example.score is not None else ""
    return (
        f'<article class="card {escape(example.data)}"><h5>{escape(example.id)} {badge(example.data)}</h5>'
        f'<div class="pictures">{"".join(pictures)}</div>'
        f"<dl><div><dt>truth</dt><dd>{escape(example.truth)}</dd></div>"
        f"<div><dt>predicted</dt><dd>{escape(example.prediction)}</dd></div>{score}{texts}</dl></article>"
    )


def write_page(
    results: Sequence[Result], path: Path, title: str, progress: Callable[[str], None] | None = None
) -> int:
    """Write the page of ``results`` and return its size in bytes.

    Raises:
        DataError: a picture is missing or broken.
        MissingExtraError: plotly is not installed.
    """
    page = Page(title)
    page.add_runs(results)
    if progress is not None:
        progress(f"{len(page.figures)} figures")
    content = page.render().encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(path.name + ".part")
    written.write_bytes(content)
    written.replace(path)
    return len(content)
