"""Where the rows that a generator made are kept: in a cache on disk, or in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from datamodules.synthesis.cache import CachedRow, GeneratedCache
from zoo.generator import Generation


class Store:
    """Rows by id: in a cache on disk where there is one, else in memory.

    Args:
        cache: None keeps them in memory alone.
        provenance: what every row says of its origin.
    """

    def __init__(self, cache: GeneratedCache | None, provenance: Mapping[str, Any]) -> None:
        self.cache, self.provenance = cache, dict(provenance)
        self._kept: dict[str, Generation] = {}

    @property
    def done(self) -> Set[str]:
        """Ids of rows that were made or rejected."""
        return self._kept.keys() if self.cache is None else set(self.cache.done)

    def add(self, names: Sequence[str], made: Sequence[Generation], more: Mapping[str, Any]) -> None:
        """Keep rows; on disk they are whole when this returns.

        Args:
            names: ids of the rows.
            made: what was made of each.
            more: what else is to be said of their origin.
        """
        if self.cache is None:
            self._kept.update(zip(names, made, strict=True))
        else:
            self.cache.add([CachedRow(n, m, {**self.provenance, **more}) for n, m in zip(names, made, strict=True)])

    def status(self, name: str) -> tuple[str, str]:
        """What became of a row, and why."""
        if self.cache is not None:
            return self.cache.status(name)
        return self._kept[name].status, self._kept[name].reason

    def value(self, name: str) -> Any:
        """What was made of a row; None where it was rejected."""
        return (self._kept[name] if self.cache is None else self.cache.get(name).made).value


@contextmanager
def alone(folder: Path | None) -> Iterator[None]:
    """Let one process at a time work on a cache; others (ranks, workers, runs) wait, and then find it finished."""
    if folder is None:
        yield
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        yield


def make_store(folder: Path | None, identity: Mapping[str, Any]) -> Store:
    """Open or make the store of one generator, seed and set of rows that it learned from.

    Args:
        folder: of the cache; None keeps rows in memory.
        identity: what the rows depend on.
    """
    keys = ("generator", "seed", "leaky", "label")
    provenance = {k: identity[k] for k in keys} | {"simulated": bool(identity.get("simulated"))}
    cache = None if folder is None else GeneratedCache(path=folder / "rows.sqlite", identity=identity)
    return Store(cache, provenance)
