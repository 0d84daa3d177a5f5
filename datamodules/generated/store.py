"""Where the rows that a generator made are kept: in a cache on disk, or in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from datamodules.generated.cache import CachedRow, ImageCache, RecordCache
from zoo.generator import Made


class Store:
    """Rows by id, on disk where there is a cache.

    Args:
        cache: None keeps them in memory alone.
        provenance: what every row says of its origin.
    """

    def __init__(self, cache: RecordCache | None, provenance: Mapping[str, Any]) -> None:
        self.cache, self.provenance = cache, dict(provenance)
        self._status: dict[str, tuple[str, str]] = {}
        self._values: dict[str, Any] = {}
        for row in cache.read() if cache is not None else ():
            self._keep(row.id, row.made)

    def _keep(self, name: str, made: Made) -> None:
        self._status[name] = (made.status, made.reason)
        if not isinstance(self.cache, ImageCache):  # images are read when they are asked for
            self._values[name] = made.value

    @property
    def done(self) -> Set[str]:
        """Ids of rows that were made or rejected."""
        return self._status.keys()

    def add(self, names: Sequence[str], made: Sequence[Made], more: Mapping[str, Any]) -> None:
        """Keep rows; on disk they are whole when this returns."""
        if self.cache is not None:
            self.cache.add([CachedRow(n, m, {**self.provenance, **more}) for n, m in zip(names, made, strict=True)])
        for name, each in zip(names, made, strict=True):
            self._keep(name, each)

    def status(self, name: str) -> tuple[str, str]:
        """What became of a row, and why."""
        return self._status[name]

    def value(self, name: str) -> Any:
        """What was made of a row; None where it was rejected."""
        if isinstance(self.cache, ImageCache):
            return self.cache.get(name).made.value
        return self._values[name]


@contextmanager
def alone(folder: Path | None) -> Iterator[None]:
    """Let one process at a time work on a cache; others (ranks, workers, runs) wait, and then find it finished."""
    if folder is None:
        yield
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        yield


def make_store(makes: str, folder: Path | None, identity: Mapping[str, Any]) -> Store:
    """Open or make the store of one generator, seed and set of rows that it learned from.

    Args:
        makes: "image", or "tabular" for records.
        folder: of the cache; None keeps rows in memory.
        identity: what the rows depend on.
    """
    keys = ("generator", "seed", "leaky", "label")
    provenance = {k: identity[k] for k in keys} | {"simulated": bool(identity.get("simulated"))}
    if folder is None:
        return Store(None, provenance)
    if makes == "image":
        return Store(ImageCache(folder=folder, identity=identity), provenance)
    return Store(RecordCache(path=folder / "records.ndjson", identity=identity), provenance)
