"""The page of a reader study: one HTML file for each reader that fetches nothing and knows no answer."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from zoo.errors import SpecError
from zoo.evaluation.generated.readers.items import QUESTIONS, Item, check_items

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'none'; "
    "base-uri 'none'; form-action 'none'"
)
"""Even text that slipped through every escape could fetch nothing."""
KEY = "key.csv"
"""File with the right answers, which stays with whoever leads the study."""
NAME = re.compile(r"[A-Za-z0-9_-]+")


def write_study(
    items: Sequence[Item], folder: str | Path, readers: Sequence[str], *, title: str = "Reader study", seed: int = 0
) -> list[Path]:
    """Write one page for each reader, and the key with the right answers.

    Each reader sees all items in an order of their own. Pages hold numbers of items, pictures and texts, and neither
    truth nor source; pictures are written alike (PNG without further words), whatever they come from. Traces within
    them are the caller's to remove: blocks of JPEG, burnt-in letters, resizing that only real pictures went through.

    Args:
        items: to be judged.
        folder: where the pages ``reader_NAME.html`` and ``key.csv`` are written.
        readers: names of the readers: letters, digits, "_" and "-".
        title: heading of the page.
        seed: of the numbers of items and of all orders.

    Raises:
        UnknownNameError: an item of an unknown task.
        DataError: an item cannot be shown or tells its truth, see ``check_items``.
        SpecError: no reader, a name twice, or a name with other signs.
    """
    check_items(items)
    wrong = [name for name in readers if not NAME.fullmatch(name)]
    if not readers or wrong or len(set(readers)) < len(readers):
        raise SpecError(
            f"readers need different names of letters, digits, '_' and '-', got {list(readers)}; pages are named so"
        )
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng([seed, 0]).permutation(len(items))
    names = [f"item-{number + 1:04d}" for number in numbers]
    rows = [(n, i.task, i.truth, i.unit or n, i.source) for n, i in zip(names, items, strict=True)]
    key = pd.DataFrame(rows, columns=["item", "task", "truth", "unit", "source"]).sort_values("item")
    key.to_csv(place / KEY, index=False)
    shown = [_shown(name, item) for name, item in zip(names, items, strict=True)]
    made = []
    for k, reader in enumerate(readers):
        order = np.random.default_rng([seed, k + 1]).permutation(len(items))
        path = place / f"reader_{reader}.html"
        path.write_text(_page(title, reader, [shown[j] for j in order]), encoding="utf-8")
        made.append(path)
    return made


def _page(title: str, reader: str, items: list[dict[str, object]]) -> str:
    environment = Environment(
        loader=PackageLoader("zoo.evaluation.generated.readers"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    text = json.dumps(items, ensure_ascii=True).replace("<", "\\u003c").replace("&", "\\u0026")
    template = environment.get_template("form.html")
    return template.render(title=title, reader=reader, policy=POLICY, count=len(items), items=text)


def _shown(name: str, item: Item) -> dict[str, object]:
    """What the page holds of an item."""
    asked = QUESTIONS[item.task]
    return {
        "item": name,
        "task": item.task,
        "question": asked.text,
        "answers": list(asked.answers),
        "images": [_png(image) for image in item.images],
        "report": item.report.strip(),
    }


def _png(image: npt.NDArray[np.uint8]) -> str:
    """A picture as text for a page; grey ones become coloured, so that the number of channels tells nothing."""
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(image if image.ndim == 2 else image[..., :3]).convert("RGB").save(held, format="PNG")
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode("ascii")
