"""The files of an index of samples: an Arrow file that is memory-mapped, and the fitted state beside it as JSON.

What a run finds out before its first batch (which rows join, which split they are in, what they hold, what
processors learned) is kept here, so that the next run opens in seconds, whatever the number of rows, and all
workers share one copy. A folder holds one sub-folder a configuration, named by a hash of everything that the
index depends on: sources and their arguments, files' stamps, seed, fractions, processors.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.core.availability import Availability
from datamodules.core.join import Join, Members, Samples
from datamodules.core.splits import SPLITS
from datamodules.io.arrow_table import write_arrow
from zoo.errors import DataError

FORMAT = 3
"""Part of the hash: raised when the files change their meaning."""


class StoredSamples(Samples):
    """Samples whose table lies in a memory-mapped Arrow file; nothing is copied.

    Args:
        path: the file ``samples.arrow``.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            self._ids, self._units = table["id"].chunk(0), table["unit"].chunk(0)
            self.source = table["source"].chunk(0).to_numpy()
            self.split: npt.NDArray[np.int8] = table["split"].chunk(0).to_numpy()
            self._table = table
            lists = table["members"].chunk(0)
            start = lists.offsets.to_numpy()
            self.members = Members(
                start, lists.values.field("source").to_numpy(), lists.values.field("row").to_numpy()
            )
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise DataError(
                f"the index cannot be read ({error}); delete its folder and run again", file=path
            ) from error

    def id(self, row: int) -> str:
        """Name of a sample: its first source and the id there."""
        return str(self._ids[row].as_py())

    def _shared_unit(self, row: int) -> str:
        return str(self._units[row].as_py())

    def availability(self, modalities: Sequence[str], tasks: Sequence[str]) -> Availability:
        """Which modalities and labels the samples have; a column is unpacked when it is asked for."""
        return Availability(_Columns(self._table, "has", modalities), _Columns(self._table, "label", tasks))


class _Columns(Mapping[str, npt.NDArray[np.bool_]]):
    """Columns of bits in a file, unpacked one at a time."""

    def __init__(self, table: Any, prefix: str, names: Sequence[str]) -> None:
        self._table, self._prefix, self._names = table, prefix, tuple(names)

    def __getitem__(self, name: str) -> npt.NDArray[np.bool_]:
        if name not in self._names:
            raise KeyError(name)
        column: npt.NDArray[np.bool_] = self._table[f"{self._prefix}/{name}"].chunk(0).to_numpy(zero_copy_only=False)
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def write_samples(path: Path, join: Join, split: npt.NDArray[np.int8], availability: Availability) -> None:
    """Write the table of samples as one uncompressed Arrow record batch.

    Args:
        path: the file.
        join: the samples.
        split: (N,) position in SPLITS, -1 for samples that are not used.
        availability: which modalities and labels the samples have, one column of bits for each.
    """
    import pyarrow as pa

    members = pa.StructArray.from_arrays(
        [pa.array(join.members.source, pa.int16()), pa.array(join.members.row, pa.int64())], ["source", "row"]
    )
    table = pa.table(
        {
            "id": pa.array(join.table["id"], pa.large_string()),
            "unit": pa.array(join.table["unit"], pa.large_string()),
            "source": pa.array(join.source, pa.int16()),
            "split": pa.array(split, pa.int8()),
            "members": pa.LargeListArray.from_arrays(pa.array(join.members.start, pa.int64()), members),
            **{f"has/{m}": pa.array(column) for m, column in availability.present.items()},
            **{f"label/{t}": pa.array(column) for t, column in availability.labelled.items()},
        }
    )
    write_arrow(table, path)


def rows_of_split(split: npt.NDArray[np.int8]) -> dict[str, npt.NDArray[np.int64]]:
    """Split -> the numbers of its samples, in order."""
    return {name: np.flatnonzero(split == k) for k, name in enumerate(SPLITS)}


def fingerprint(parts: Mapping[str, Any]) -> str:
    """A hash of everything that an index depends on."""
    text = json.dumps({"format": FORMAT, **parts}, sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_index(
    folder: Path, join: Join, split: npt.NDArray[np.int8], availability: Availability, state: Mapping[str, Any]
) -> None:
    """Write an index as a whole: another process sees all of it or nothing.

    Args:
        folder: the sub-folder of the configuration.
        join: the samples.
        split: see write_samples.
        availability: see write_samples.
        state: what ``read_state`` returns, of what JSON holds.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        write_samples(made / "samples.arrow", join, split, availability)
        (made / "state.json").write_text(json.dumps(state), encoding="utf-8")
        if folder.exists():
            for name in ("samples.arrow", "state.json"):
                os.replace(made / name, folder / name)
        else:
            os.rename(made, folder)
    except OSError:
        if not (folder / "state.json").exists():  # else another rank was first
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def read_state(folder: Path) -> dict[str, Any] | None:
    """The state of an index; None where there is none.

    Raises:
        DataError: the file is there and broken.
    """
    path = folder / "state.json"
    if not path.exists():
        return None
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"the index cannot be read ({error}); delete its folder and run again", file=path) from error
    if not isinstance(state, dict):
        raise DataError("the index cannot be read; delete its folder and run again", file=path)
    return state
