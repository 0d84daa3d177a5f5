"""One cell of a user's table as the raw value of a modality: an inline value, or the file that it names."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.arrow_table import as_text
from datamodules.files import decode_image, read_image, require_file
from zoo.errors import DataError, SpecError


def read_value(
    kind: str, cells: Mapping[str, Any], folder: Path, path: str = "", image_size: int = 0, named: bool = False
) -> Any:
    """Make the raw value of a modality (see RawModality) from the cells of a row.

    Args:
        kind: a modality kind, or "array" for any array.
        cells: column -> cell, None where unknown; one cell but for tables and for expression with a column a gene.
        folder: what relative paths are relative to.
        path: "" for inline values, else the file's path with "{}" for the cell.
        image_size: see Source.image_size.
        named: whether the columns were listed: then an expression is one number a column.

    Raises:
        DataError: a cell or a file is not what the kind needs.
    """
    if kind == "tabular":
        return {c: _scalar(v) for c, v in cells.items()}
    if named:
        missing = [c for c, v in cells.items() if v is None]
        if missing:
            raise DataError(
                f"{len(missing)} columns are empty, the first is '{missing[0]}'; fill them in, or drop them"
            )
        return _finite(_numbers(list(cells.values())))
    cell = next(iter(cells.values()))
    if not path:
        return _inline(kind, cell)
    file = folder / path.replace("{}", as_text(cell))
    if kind == "image":
        return _image(file, image_size)
    if kind in ("text", "dna", "protein"):
        return _words(file, kind)
    return _array(file) if kind == "array" else _finite(_array(file), file)


def _scalar(value: Any) -> float | str | None:
    """A cell of a tabular modality: a number where it reads as one."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return as_text(value)
    if not math.isfinite(number):
        raise DataError(
            f"a cell holds {value!r}, which is no finite number; name it under 'unknown' if it means that"
        )
    return number


def _inline(kind: str, cell: Any) -> Any:
    if kind in ("dna", "protein"):
        return as_text(cell).upper()
    if kind == "text":
        return as_text(cell)
    if kind == "image":
        content = cell.get("bytes") if isinstance(cell, Mapping) else cell
        if not isinstance(content, bytes):
            raise DataError(
                f"an image is given as bytes or as a path, got {str(cell)[:60]!r}; set 'path', such as '{{}}'"
            )
        return read_image_bytes(content)
    if isinstance(cell, list):
        return _numbers(cell) if kind == "array" else _finite(_numbers(cell))
    raise DataError(f"a {kind} is given as a list of numbers or as a path, got {str(cell)[:60]!r}; set 'path'")


def read_image_bytes(content: bytes) -> Any:
    """Decode an image that lies in a cell."""
    try:
        return decode_image(io.BytesIO(content), len(content))
    except Exception as error:
        raise DataError(f"the image in the cell cannot be decoded ({type(error).__name__}: {error})") from error


def _image(file: Path, image_size: int) -> Any:
    suffix = file.suffix.lower()
    if suffix in (".dcm", ".dicom"):
        from datamodules.formats.dicom import read_dicom

        return read_dicom(file)
    if suffix == ".npy":
        array = _finite(_array(file), file)
        return array if array.dtype == np.uint8 else array.astype(np.float32)
    return read_image(file, at_least=image_size)


def _words(file: Path, kind: str) -> str:
    try:
        text = require_file(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the text cannot be read ({error}); expected UTF-8", file=file) from error
    if kind == "text":
        return text.strip()
    lines = text.splitlines()
    if sum(line.startswith(">") for line in lines) > 1:
        raise DataError("the FASTA file holds several records; a cell names a file of one", file=file)
    return "".join(line.strip() for line in lines if not line.startswith(">")).upper()


def _array(file: Path) -> npt.NDArray[Any]:
    if file.suffix.lower() != ".npy":
        raise SpecError(f"an array is read from a .npy file, got '{file.name}'")
    try:
        array = np.load(require_file(file), allow_pickle=False, mmap_mode="r")
        return np.array(array, dtype=array.dtype if array.dtype == np.uint8 else np.float32)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"the array cannot be read ({type(error).__name__}: {error})", file=file) from error


def _finite(array: npt.NDArray[Any], file: Path | None = None) -> npt.NDArray[Any]:
    """Return the array if all of it is finite."""
    if not np.isfinite(array).all():
        raise DataError(
            f"{int((~np.isfinite(array)).sum())} of the {array.size} values are not finite; mend them, or leave the "
            "row out",
            file=file,
        )
    return array


def _numbers(values: Any) -> npt.NDArray[np.float32]:
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"not numbers: {str(values)[:60]} ({error})") from error
