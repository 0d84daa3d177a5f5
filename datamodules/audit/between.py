"""What two sources share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from datamodules.audit.findings import Finding, SourceReport
from datamodules.audit.reading import Reading
from datamodules.core.duplicates import near_pairs
from datamodules.core.fingerprints import Prints
from zoo.contract import MODALITIES

Part = tuple[SourceReport, Reading]


def between(parts: Sequence[Part]) -> list[Finding]:
    """Find samples that two sources share, where these lie in different folders."""
    found = []
    for left, right in combinations(parts, 2):
        if _apart(left[0].folder, right[0].folder):
            found += _identical(left, right)
    return found + _near(parts)


def _apart(left: str, right: str) -> bool:
    a, b = Path(left).resolve(), Path(right).resolve()
    return not (a.is_relative_to(b) or b.is_relative_to(a))


def _first(prints: Prints, reading: Reading, content: int) -> str:
    return reading.ids[prints.rows[prints.contents.index(content)]]


def _identical(left: Part, right: Part) -> list[Finding]:
    found = []
    for a, one in left[1].prints.items():
        for b, other in right[1].prints.items():
            if one.kind != other.kind or MODALITIES.get(one.kind).table:
                continue
            shared = [key for key in one.keys if key in other.keys]
            if shared:
                names = f"{left[0].name}.{a} and {right[0].name}.{b}"
                pairs = [
                    (_first(one, left[1], one.keys[k]), _first(other, right[1], other.keys[k])) for k in shared[:4]
                ]
                message = f"{len(shared)} contents are in both {names}"
                numbers = {"shared": float(len(shared))}
                found.append(Finding("elsewhere", "note", names, message, "", numbers, tuple(pairs)))
    return found


def _near(parts: Sequence[Part]) -> list[Finding]:
    """Find near-identical images across sources, with one search over all images."""
    images = [(s, m, p) for s, (_, reading) in enumerate(parts) for m, p in reading.prints.items() if p.pictured]
    if len({s for s, _, _ in images}) < 2:
        return []
    hashes = np.concatenate([p.hashes for _, _, p in images])
    thumbs = np.concatenate([p.thumbs for _, _, p in images])
    detail = np.concatenate([p.detail for _, _, p in images])
    owner = np.repeat(np.arange(len(images)), [len(p.hashes) for _, _, p in images])
    start = np.concatenate([[0], np.cumsum([len(p.hashes) for _, _, p in images])])
    keys = [key for _, _, p in images for key in p.keys]
    counted: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i, j in near_pairs(hashes, thumbs, detail)[0].tolist():
        a, b = int(owner[i]), int(owner[j])
        folders = [parts[images[k][0]][0].folder for k in (a, b)]
        if images[a][0] != images[b][0] and _apart(*folders) and keys[i] != keys[j]:
            counted.setdefault((a, b), []).append((i - int(start[a]), j - int(start[b])))
    found = []
    for (a, b), pairs in counted.items():
        (s, m, p), (t, n, q) = images[a], images[b]
        names = f"{parts[s][0].name}.{m} and {parts[t][0].name}.{n}"
        shown = tuple((_first(p, parts[s][1], i), _first(q, parts[t][1], j)) for i, j in pairs[:4])
        message = f"{len(pairs)} pairs of nearly identical images are in {names}"
        found.append(Finding("elsewhere", "note", names, message, "", {"near": float(len(pairs))}, shown))
    return found
