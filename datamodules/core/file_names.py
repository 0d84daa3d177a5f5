"""What the names of files say about rows that belong together: copies, and frames of one study."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from datamodules.core.splits import SPLITS

NAME = "name"
"""The word under data.split.group_by for ``original``."""
STUDIES = (
    r"([^/]*\d[^/]*)/[^/]*$",
    r"([^/]*\d[^/]*)[ _-][^/ _-]*$",
    r"([^/]*\d[^/]*)[ _-][^/ _-]*[ _-][^/ _-]*$",
)
"""Where the name of a study may stand in a path: its folder, or the file's name without its last one or two parts."""
_WORDS = "copy|copie|kopie|copia|duplicate|dup|aug|augmented|flip|flipped|rot|rotated|mirror|mirrored"
_MARK = re.compile(
    rf"(?:\s*\(\d+\)|[ _.-]+(?:{_WORDS})(?:[ _.-]*(?:\(\d+\)|\d{{1,3}}))?)$",
    re.IGNORECASE,
)
_PARTS = {*SPLITS, "training", "testing", "valid", "validation", "dev"}


def original(path: str) -> tuple[str, bool]:
    """The name that a file has in common with its copies, and whether it is marked as a copy.

    Folders called after a split, suffixes and case are left out; so are the marks that systems and people give to
    copies: " (1)", "_copy", " - Copy (2)", "_aug3", "_flip", "_rot90".

    >>> original("train/a/Scan_001 (1).png"), original("test/a/scan_001.jpg")
    (('a/scan_001', True), ('a/scan_001', False))
    """
    *folders, name = path.replace("\\", "/").split("/")
    stem = re.sub(r"(\.[A-Za-z][A-Za-z0-9]{0,4}){1,2}$", "", name)
    marked = False
    while (shorter := _MARK.sub("", stem)) != stem and shorter:
        stem, marked = shorter, True
    kept = [f for f in folders if f.lower() not in _PARTS]
    return "/".join([*kept, stem]).lower(), marked


def copies(paths: Sequence[str], most: int) -> list[list[int]]:
    """Rows whose files are copies of one by their names.

    ``image (1)`` to ``image (60)`` is a series: marked names count only beside the unmarked one, and not where more
    than ``most`` files share it.

    Args:
        paths: of the files, one a row; "" for none.
        most: files that one name may have.

    >>> copies(["a/1.png", "a/1 (1).png", "a/2 (1).png", "b/1 (1).png"], 10)
    [[0, 1]]
    """
    held: dict[str, list[tuple[int, bool]]] = {}
    for row, path in enumerate(paths):
        if path:
            key, marked = original(path)
            held.setdefault(key, []).append((row, marked))
    whole = [rows for rows in held.values() if len({m for _, m in rows}) == 2 and len(rows) <= most]
    return [[row for row, _ in rows] for rows in whole]


def found_by(pattern: str, paths: Iterable[str]) -> list[str]:
    """What a pattern's first pair of brackets finds in each path; "" where it does not match.

    Args:
        pattern: regular expression, or NAME for the name that copies share.
        paths: names of rows.

    >>> found_by(r"(p[0-9]+)_", ["a/p7_1.png", "a/other.png"])
    ['p7', '']
    """
    if pattern == NAME:
        return [original(path)[0] for path in paths]
    compiled = re.compile(pattern)
    return [(m[1] or "") if (m := compiled.search(path)) else "" for path in paths]
