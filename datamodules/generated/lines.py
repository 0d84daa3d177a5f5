"""Lines and files of a cache: JSON lines, files that are whole or absent, and how two identities differ."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import SpecError


def differences(kept: Any, asked: Any, path: str = "") -> list[str]:
    """Say where two plain JSON values differ.

    >>> differences({"seed": 1, "steps": 40}, {"seed": 2, "steps": 40})
    ['seed: 1 in the cache, 2 asked for']
    """
    if isinstance(kept, dict) and isinstance(asked, dict):
        names = sorted({*kept, *asked})
        nothing = object()
        pairs = [(f"{path}.{n}" if path else n, kept.get(n, nothing), asked.get(n, nothing)) for n in names]
        missing = {
            where: f"{where}: only {'asked for' if a is nothing else 'in the cache'}"
            for where, a, b in pairs
            if nothing in (a, b)
        }
        return [
            s for where, a, b in pairs for s in ([missing[where]] if where in missing else differences(a, b, where))
        ]
    return [] if kept == asked else [f"{path}: {str(kept)[:60]} in the cache, {str(asked)[:60]} asked for"]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole, on the disk, or not at all."""
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(beside, path)


def png(image: npt.NDArray[np.uint8]) -> bytes:
    """Encode an image (H, W, 3) uint8 as PNG, without loss."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, format="PNG")
    return stream.getvalue()


def json_line(content: Mapping[str, Any], what: str) -> bytes:
    """Write one line of ASCII JSON with its end.

    Raises:
        SpecError: the content is not plain JSON; the message begins with ``what``.
    """
    try:
        return (json.dumps(content, allow_nan=False) + "\n").encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"{what} is not plain JSON ({error})") from error


def json_object(line: bytes) -> dict[str, Any] | None:
    """Read a line as a JSON object; None where it is none."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
