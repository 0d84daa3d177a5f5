"""The files of a bundle: written with a manifest of their checksums, and read only where nothing was changed.

A bundle is data. Nothing in it is unpickled, no name in it is imported unless a registry or a plugin in use has it,
and no path in it leaves its folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from torch import Tensor

from zoo.errors import DataError, SpecError

FORMAT = 1
"""Version of the layout of a bundle; a higher one is refused."""
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
MODEL = "model.json"
PREPROCESSING = "preprocessing.json"
ARRAYS = "preprocessing.safetensors"
TRUST = "trust.json"
DETECTOR = "detector.safetensors"
CARD = "README.md"
EXAMPLES = "examples"
"""Names of the files of a bundle, and of the folder of the example inputs."""
SUFFIXES = (".json", ".safetensors", ".md", ".csv", ".txt", ".png", ".npy")
"""Endings of the files that a bundle may hold; none of these formats can carry code."""
LIBRARIES = ("multimodal-zoo", "torch", "lightning", "numpy", "pandas", "safetensors")
"""Packages whose versions are noted."""
_HEX = re.compile(r"[0-9a-f]{64}")


def write_json(path: Path, value: object) -> None:
    """Write plain data; numbers that are not finite are refused."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read what ``write_json`` wrote.

    Raises:
        DataError: the file holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(
            f"a file of the bundle cannot be read ({type(error).__name__}: {error})", file=path
        ) from error
    if not isinstance(value, dict):
        raise DataError("a file of the bundle holds no JSON object", file=path)
    return value


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, each with a memory of its own, so that tied weights are stored once a name."""
    from safetensors.torch import save

    path.write_bytes(save({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read what ``write_tensors`` wrote.

    Raises:
        DataError: the file is no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        found: dict[str, Tensor] = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise DataError(f"the tensors of the bundle cannot be read ({error})", file=path) from error
    return found


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_checksum(manifest: Mapping[str, Any]) -> str:
    """The SHA-256 of a manifest without the entry that holds it."""
    told = {k: v for k, v in manifest.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Library -> version that is installed, of LIBRARIES."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def seal(folder: Path, plugins: tuple[str, ...]) -> None:
    """Write the manifest of all files that lie in a folder.

    Args:
        folder: of the bundle.
        plugins: packages whose classes the model or its data need.

    Raises:
        SpecError: a file is of a format that a bundle may not hold.
    """
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    barred = [n for n in names if PurePosixPath(n).suffix not in SUFFIXES]
    if barred:
        raise SpecError(f"a bundle holds {', '.join(SUFFIXES)} alone, but '{barred[0]}' would have to go along")
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "versions": versions(),
        "plugins": list(plugins),
        "files": {n: checksum(folder / n) for n in names if n != MANIFEST},
    }
    manifest["sha256"] = manifest_checksum(manifest)
    write_json(folder / MANIFEST, manifest)


def check_folder(folder: Path) -> dict[str, Any]:
    """Return the manifest of a bundle whose files are all there, unchanged, and no others.

    Raises:
        DataError: one is not, with the file and the fix.
    """
    if not folder.is_dir():
        raise DataError("the bundle does not exist; give the folder 'bundle' of a run of fit", file=folder)
    if not (folder / MANIFEST).is_file():
        raise DataError(
            f"the folder holds no {MANIFEST}, so it is no bundle; give the folder 'bundle' of a run of fit"
        )
    manifest = read_json(folder / MANIFEST)
    number = manifest.get("format")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise DataError(f"the manifest states the format {number!r}, not a number from 1 on", file=folder / MANIFEST)
    if number > FORMAT:
        raise DataError(
            f"the bundle is of format {number}, but this version of the zoo reads up to format {FORMAT}; "
            "update multimodal-zoo",
            file=folder / MANIFEST,
        )
    files = manifest.get("files")
    if manifest.get("sha256") != manifest_checksum(manifest) or not isinstance(files, dict):
        raise _changed(folder / MANIFEST)
    for name, digest in files.items():
        _check_name(folder, name, digest)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise DataError(f"the bundle holds a link, '{name}'; links are not followed: remove it", file=path)
        if path.is_file() and name != MANIFEST and name not in files:
            raise DataError(
                f"the bundle holds a file that its manifest does not list, '{name}'; remove it", file=path
            )
    for name, digest in files.items():
        if not (folder / name).is_file():
            raise DataError(f"the bundle lacks its file '{name}'; copy it again", file=folder / name)
        if checksum(folder / name) != digest:
            raise _changed(folder / name)
    return manifest


def _changed(path: Path) -> DataError:
    return DataError(
        f"'{path.name}' is not as it was written: its checksum differs; copy the bundle again", file=path
    )


def _check_name(folder: Path, name: object, digest: object) -> None:
    """Refuse a name in a manifest that leaves the folder, or of a file that may carry code."""
    if not isinstance(name, str) or not isinstance(digest, str) or not _HEX.fullmatch(digest):
        raise DataError(f"the manifest lists {name!r} without its checksum", file=folder / MANIFEST)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or str(path) != name:
        raise DataError(
            f"the manifest lists '{name}', a path that leaves the bundle's folder", file=folder / MANIFEST
        )
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"the manifest lists '{name}', which could carry code; a bundle holds {', '.join(SUFFIXES)} alone",
            file=folder / MANIFEST,
        )
