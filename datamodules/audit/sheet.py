"""A contact sheet: examples of every source and class on one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.audit.examples import TILE, Example, wrap
from datamodules.audit.findings import Report, SourceReport
from zoo.values import shorten

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

COLUMNS = 12
GAP = 6
LABEL = 24
_INK, _SOFT, _RED = (20, 20, 20), (110, 110, 110), (190, 30, 30)


def write_sheet(report: Report, path: Path) -> None:
    """Write a PNG: a heading a source, its examples by class, and its flagged pairs framed in red."""
    from PIL import Image, ImageDraw

    blocks = [(s, _tiles(s)) for s in report.sources if s.examples]
    wide, high = TILE + GAP, TILE + LABEL + GAP
    height = GAP + sum(22 + -(-len(tiles) // COLUMNS) * high for _, tiles in blocks)
    sheet = Image.new("RGB", (GAP + COLUMNS * wide, max(height, 40)), "white")
    draw = ImageDraw.Draw(sheet)
    y = GAP
    for source, tiles in blocks:
        draw.text((GAP, y + 4), _ascii(f"{source.name}: {source.title} ({source.rows} rows)"), fill=_INK)
        y += 22
        for k, (example, modality, flagged) in enumerate(tiles):
            left, top = GAP + k % COLUMNS * wide, y + k // COLUMNS * high
            _draw_tile(sheet, draw, (left, top), example, modality, flagged)
        y += -(-len(tiles) // COLUMNS) * high
    if not blocks:
        draw.text((GAP, GAP), "no examples", fill=_INK)
    sheet.save(path, format="PNG", optimize=True)


def _tiles(source: SourceReport) -> list[tuple[Example, str, bool]]:
    """Example, modality and whether it is flagged, for each tile of a source: at most two rows of examples."""
    ordered = sorted(source.examples, key=lambda e: e.label)
    by_class: dict[str, list[tuple[Example, str, bool]]] = {}
    for example in ordered:
        for name in (*example.pictures, *example.words):
            by_class.setdefault(example.label, []).append((example, name, False))
    most = max(1, 2 * COLUMNS // max(1, len(by_class)))
    tiles = [t for of_class in by_class.values() for t in of_class[:most]][: 2 * COLUMNS]
    for _, left, right in source.pairs[: COLUMNS // 2]:
        tiles += [(e, n, True) for e in (left, right) for n in (*e.pictures, *e.words)][:2]
    return tiles


def _draw_tile(
    sheet: Any, draw: ImageDraw, corner: tuple[int, int], example: Example, modality: str, flagged: bool
) -> None:
    from PIL import Image

    left, top = corner
    if modality in example.pictures:
        picture = example.pictures[modality]
        sheet.paste(Image.fromarray(np.ascontiguousarray(picture)), (left, top))
    else:
        draw.rectangle([left, top, left + TILE - 1, top + TILE - 1], fill=(245, 245, 245))
        draw.multiline_text((left + 3, top + 3), _ascii(wrap(example.words[modality], 13, 8)), fill=_INK, spacing=1)
    if flagged:
        draw.rectangle([left - 2, top - 2, left + TILE + 1, top + TILE + 1], outline=_RED, width=2)
    draw.text((left, top + TILE), _ascii(shorten(example.label or modality, 16)), fill=_RED if flagged else _INK)
    below = f"{modality} {example.split}" if not flagged else f"{example.split}: {example.id.rsplit('/', 1)[-1]}"
    draw.text((left, top + TILE + 11), _ascii(shorten(below, 16)), fill=_SOFT)


def _ascii(text: str) -> str:
    """The built-in font has few letters."""
    return text.encode("ascii", "replace").decode()
