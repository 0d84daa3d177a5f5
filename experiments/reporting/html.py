"""The page: one HTML file of any number of results that fetches nothing, drawn by one template."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from experiments.reporting import compare
from experiments.reporting.check import read_picture
from experiments.reporting.plotly_figures import plotly_figure
from experiments.reporting.tables import PageTable, breakable, page_table
from zoo.errors import MissingExtraError
from zoo.rendering import drawing
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


def environment() -> Environment:
    """Jinja2 with the templates of this package; whatever is shown is escaped."""
    made = Environment(
        loader=PackageLoader("experiments.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    made.filters["breakable"] = breakable
    return made


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


@dataclass
class PageFigure:
    """A figure as the template draws it: ``key`` names it among the figures of the page."""

    key: str
    title: str
    data: str
    height: int
    narrow: int
    wide: bool
    note: str
    legend: list[dict[str, str]]


@dataclass
class Group:
    """Figures that belong together: side by side where they are ``small``, else behind a chooser."""

    figures: list[PageFigure]
    names: list[str]
    title: str = ""
    small: bool = True


@dataclass
class Comparison:
    """Rows that several runs have in common, as a table and, where they are few, as a figure."""

    name: str
    table: PageTable
    figure: PageFigure | None


@dataclass
class Run:
    """One run, ready for the template."""

    anchor: str
    title: str
    data: str
    facts: dict[str, str]
    typed: str
    summary: list[str]
    tables: list[PageTable]
    groups: list[Group]
    examples: list[dict[str, Any]]


@dataclass
class Page:
    """Collects what is shown, and puts the file together."""

    title: str
    figures: dict[str, Any] = field(default_factory=dict)
    contents: list[tuple[int, str, str]] = field(default_factory=list)
    overview: PageTable | None = None
    comparisons: list[Comparison] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def add_runs(self, results: Sequence[Result]) -> None:
        """Add an overview and comparisons where there are several, and a section for each run.

        Raises:
            DataError: a picture is missing or broken.
        """
        names = compare.labels(results)
        if len(results) > 1:
            self._compare(results, names)
        for k, (result, name) in enumerate(zip(results, names, strict=True), 1):
            self._run(f"run-{k}", result, name)

    def render(self) -> str:
        """The whole file."""
        here = resources.files("experiments.reporting")
        style, script = (here.joinpath(n).read_text(encoding="utf-8") for n in ("style.css", "page.js"))
        return (
            environment()
            .get_template("page.html")
            .render(
                title=self.title,
                policy=POLICY,
                icon=ICON,
                style=style,
                script=script,
                plotly=plotly_source(),
                figures=embedded_json(self.figures),
                contents=self.contents,
                overview=self.overview,
                comparisons=self.comparisons,
                runs=self.runs,
            )
        )

    def _compare(self, results: Sequence[Result], names: Sequence[str]) -> None:
        links = [f"#run-{k}" for k in range(1, len(results) + 1)]
        self.overview = page_table(compare.overview(results, names), links)
        self.contents.append((2, "overview", "Overview"))
        known = compare.compare(results, names)
        if known:
            self.contents.append((2, "compare", "Side by side"))
        for k, found in enumerate(known):
            drawn = None
            if len(found.table.rows) <= COMPARED:
                shown = replace(found.figure, name=f"comparison-{k}")
                drawn = self._figure("compare", shown, drawing.colours([shown])[shown.name])
            self.comparisons.append(Comparison(f"{found.name}: {found.quantity}", page_table(found.table), drawn))

    def _run(self, anchor: str, result: Result, name: str) -> None:
        self.contents.append((2, anchor, f"{result.command}: {name}"))
        parts = (("tables", "Tables"), ("figures", "Figures"), ("examples", "Examples to look at"))
        self.contents += [(3, f"{anchor}-{part}", title) for part, title in parts if getattr(result, part)]
        self.runs.append(
            Run(
                anchor,
                result.title or result.command,
                result.data,
                _facts(result, name),
                result.command_line,
                result.summary,
                [page_table(t) for t in result.tables],
                self._groups(anchor, result.figures),
                _examples(result.examples, result.folder or Path()),
            )
        )

    def _groups(self, anchor: str, figures: Sequence[Figure]) -> list[Group]:
        """Figures by group, in their order; single ones that follow one another share a row."""
        colours = drawing.colours(figures)
        named: dict[str, list[Figure]] = {}
        for k, figure in enumerate(figures):
            named.setdefault(figure.group or f"\0{k}", []).append(figure)
        groups: list[Group] = []
        for name, members in named.items():
            drawn = [self._figure(anchor, f, colours[f.name]) for f in members]
            names = [f.panel or f.title for f in members]
            if len(drawn) == 1:
                if groups and not groups[-1].title:
                    groups[-1].figures += drawn
                else:
                    groups.append(Group(drawn, names))
                continue
            small = len(drawn) <= MULTIPLES and all(f.kind in ("bars", "lines") for f in members)
            groups.append(Group(drawn, names, name.replace("_", " "), small))
        return groups

    def _figure(self, anchor: str, figure: Figure, colours: dict[str, str]) -> PageFigure:
        key = f"{anchor}-{figure.name}"
        self.figures[key] = drawn = plotly_figure(figure, colours)
        narrow = _least_width(figure)
        notes = [figure.note] if figure.note else []
        if drawing.has_simulated(figure) and figure.kind == "bars":
            notes.append("Hatched: simulated data.")
        if drawing.has_simulated(figure) and figure.kind == "lines":
            notes.append("Open circles: simulated data.")
        many = len(figure.series) * len(drawing.categories(figure)) > 20 and drawing.lies(figure)
        wide = (figure.kind == "bars" and many) or narrow > 480
        height = int(drawn["layout"]["height"])
        return PageFigure(
            key, figure.title, figure.data, height, narrow, wide, " ".join(notes), _legend(figure, colours)
        )


def _least_width(figure: Figure) -> int:
    """Pixels below which a heatmap cannot be read; 0 for the other kinds."""
    if figure.kind != "heatmap":
        return 0
    longest = max((len(r) for r in figure.rows), default=0)
    widest = max((len(c) for c in figure.columns), default=0)
    return 60 + 6 * min(longest, 18) + max(38, 6 * min(widest, 9)) * len(figure.columns)


def _legend(figure: Figure, colours: dict[str, str]) -> list[dict[str, str]]:
    """What each colour stands for; a button hides and shows it."""
    shapes = {
        s.name: ("tick" if figure.kind == "bars" else "dash") if s.dashed else figure.kind for s in figure.series
    }
    shapes |= dict.fromkeys(figure.chains, "lines")
    hatched = {s.name for s in figure.series if all(drawing.simulated(s)) and s.x and not s.dashed}
    return [
        {
            "name": name,
            "css": shape + (" hatched" if name in hatched and shape == "bars" else ""),
            "colour": colours[name],
        }
        for name, shape in shapes.items()
    ]


def _facts(result: Result, name: str) -> dict[str, str]:
    """What was run, when, on what and how."""
    facts = {
        "command": result.command, "folder": name, "config": result.config,
        "seeds": ", ".join(map(str, result.seeds)), "machine": result.machine,
        "finished": result.created.replace("T", " "), "wall time": drawing.duration(result.seconds),
    }  # fmt: skip
    return {k: v for k, v in facts.items() if v}


def _examples(examples: Sequence[Example], folder: Path) -> list[dict[str, Any]]:
    """The cards of each task."""
    tasks = dict.fromkeys(e.task for e in examples)
    return [{"task": t, "cards": [_card(e, folder) for e in examples if e.task == t]} for t in tasks]


def _card(example: Example, folder: Path) -> dict[str, Any]:
    pictures = []
    for modality, name in example.pictures.items():
        kind, content = read_picture(folder, name)
        source = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
        pictures.append({"source": source, "alt": f"{modality} of {example.id}", "name": modality})
    score = drawing.number(example.score) if example.score is not None else ""
    shown = {"id": example.id, "data": example.data, "truth": example.truth, "prediction": example.prediction}
    return {**shown, "texts": example.texts, "pictures": pictures, "score": score}


def write_page(
    results: Sequence[Result], path: Path, title: str, progress: Callable[[str], None] | None = None
) -> int:
    """Write the page of ``results`` and return its size in bytes.

    Args:
        results: to show, in this order.
        path: of the file.
        title: of the page.
        progress: told how far it is; None for nobody.

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
