"""The data of whas500 ship with scikit-learn: there is no layout to write."""

from __future__ import annotations

from pathlib import Path


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write nothing; the source reads the packaged data wherever it is opened."""
