"""The cells of a column, each once: what is asked of a cell costs as much as there are different ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.io.unknown import text_of


def distinct(column: Any) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """The different cells of a column, null among them, and the place of each row's cell in that list.

    Args:
        column: a pyarrow array, or a chunked one. Cells that cannot be compared, such as lists, count as different.

    >>> import pyarrow as pa
    >>> cells, places = distinct(pa.array(["HR", None, "HR"]))
    >>> cells, places.tolist()
    (['HR', None], [0, 1, 0])
    """
    import pyarrow as pa

    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    try:
        coded = whole.dictionary_encode(null_encoding="encode")
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return whole.to_pylist(), np.arange(len(whole))
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.unify_dictionaries().combine_chunks()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def texts_of(column: Any) -> npt.NDArray[np.object_]:
    """(N,) the cells of a column as ``text_of`` gives them.

    Args:
        column: a pyarrow array, or a chunked one.
    """
    cells, places = distinct(column)
    texts: npt.NDArray[np.object_] = np.array([text_of(v) for v in cells], dtype=object)[places]
    return texts
