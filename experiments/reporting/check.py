"""What has to hold in a Result before it is drawn: lengths agree, names can be files, pictures open."""

from __future__ import annotations

import re
from pathlib import Path

from zoo.errors import DataError
from zoo.results import DATA_WORDS, FILE, Figure, Result

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
"""Pictures that browsers show, by Pillow's name of the format."""


def check_result(result: Result) -> None:
    """Look a loaded result over.

    Raises:
        DataError: naming the file and what in it cannot be drawn.
    """
    file = (result.folder or Path()) / FILE
    if result.data not in DATA_WORDS:
        raise DataError(f"data is {result.data!r}; allowed: {DATA_WORDS}", file=file)
    for what, names in (("figure", [f.name for f in result.figures]), ("table", [t.name for t in result.tables])):
        for name in names:
            if what == "figure" and not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise DataError(f"{what} {name!r}: a name has only letters, digits, '_' and '-'", file=file)
            if names.count(name) > 1:
                raise DataError(f"{what} '{name}' occurs {names.count(name)} times; names are unique", file=file)
    for table in result.tables:
        if not table.columns:
            raise DataError(f"table '{table.name}' has no columns", file=file)
        for row in table.rows:
            if not isinstance(row, dict):
                raise DataError(f"table '{table.name}': a row is a {type(row).__name__}, not a dictionary", file=file)
    for figure in result.figures:
        problem = _problem(figure)
        if problem:
            raise DataError(f"figure '{figure.name}': {problem}", file=file)


def _problem(figure: Figure) -> str:
    for series in figure.series:
        n = len(series.x)
        lengths = {"y": series.y, "low": series.low or series.x, "high": series.high or series.x}
        lengths |= {"n": series.n or series.x}
        lengths |= {"simulated": series.simulated} if isinstance(series.simulated, list) else {}
        for name, values in lengths.items():
            if len(values) != n:
                return f"series '{series.name}' has {n} x and {len(values)} {name}"
        if any(isinstance(v, str) for v in (*series.y, *series.low, *series.high)):
            return f"series '{series.name}' has text among y, low or high"
    shape_differs = len(figure.values) != len(figure.rows) or any(
        len(r) != len(figure.columns) for r in figure.values
    )
    if figure.kind == "heatmap" and shape_differs:
        return f"values are not {len(figure.rows)} rows of {len(figure.columns)} columns"
    names = [s.name for s in figure.series]
    if len(set(names)) != len(names):
        return f"names of series repeat: {names}"
    for name, chain in figure.chains.items():
        if any(len(point) != 3 for point in chain):
            return f"chain '{name}' has a point that is not x, y, z"
    return ""


def read_picture(folder: Path, name: str) -> tuple[str, bytes]:
    """The media type and bytes of a picture that a result refers to.

    Raises:
        DataError: the picture is missing, lies outside the result's folder, or cannot be read.
    """
    from PIL import Image

    path = folder / name
    if Path(name).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise DataError("the picture lies outside the folder of its result", file=path)
    try:
        content = path.read_bytes()
        with Image.open(path) as image:
            kind = FORMATS.get(image.format or "")
            image.load()
    except FileNotFoundError as error:
        raise DataError(f"the picture is missing, to which {folder / FILE} refers", file=path) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"the picture cannot be read: {error}", file=path) from error
    if kind is None:
        raise DataError(
            f"the picture is of a format that browsers may not show; formats: {tuple(FORMATS)}", file=path
        )
    return kind, content
