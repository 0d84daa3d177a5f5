"""Unpacking published archives: zip, tar and gz files whose members cannot leave the folder or fill the disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from zoo.errors import DataError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""Suffixes, in lower case, of the archives that are read as tar."""
_BROKEN = (
    ValueError, EOFError, RuntimeError, KeyError, MemoryError, struct.error, zlib.error, lzma.LZMAError,
    zipfile.BadZipFile, tarfile.TarError, OSError, OverflowError,
)  # fmt: skip
_LONGEST_READ = 1 << 24


@dataclass(frozen=True)
class _Member:
    """One thing to unpack: a "file", "folder", "symlink" or "hardlink" (``link`` is what it points to)."""

    path: PurePosixPath
    kind: str
    size: int = 0
    link: str = ""
    entry: Any = None


class _Guarded:
    """A stream for tarfile that refuses to read a huge header into memory."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= _LONGEST_READ:
            raise tarfile.ReadError(f"a header claims {count} bytes")
        return bytes(self.stream.read(count))

    def seek(self, position: int, whence: int = 0) -> int:
        return int(self.stream.seek(position, whence))

    def tell(self) -> int:
        return int(self.stream.tell())


def extract(archive: Path | str, folder: Path | str, *, limit: int = 0, overwrite: bool = False) -> Path:
    """Unpack a zip, tar (.gz, .bz2, .xz) or a single .gz file into ``folder``.

    All members are checked before the first is written. They are unpacked beside a new ``folder``, or in a
    hidden one inside of an existing one, and then moved: a new folder appears at once and complete, the files of an
    existing one one by one. Times and rights of members
    are not kept; links within the archive are.

    Args:
        archive: the file.
        folder: where its members go; made where it does not exist.
        limit: most bytes that may be unpacked; 0 takes 200 times the archive's size, at least 256 MiB.
        overwrite: replace files that are in ``folder`` already.

    Returns:
        ``folder``.

    Raises:
        DataError: the archive is missing, broken, of another kind or too large when unpacked; a member would leave
            the folder, is a device, occurs twice or is there already. Names archive and member; nothing is written.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise DataError("the archive is missing; download it again", file=archive)
    most = limit or max(256 << 20, 200 * archive.stat().st_size)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _open(archive, most) as (members, unpack):
            _check(members, archive)
            if not overwrite:
                _free_of(members, folder, archive)
            needed = sum(m.size for m in members)
            if needed > shutil.disk_usage(folder.parent).free:
                raise DataError(f"{needed} bytes would be unpacked and the disk has less; make room", file=archive)
            beside = folder if folder.is_dir() else folder.parent
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=beside) as temporary:
                new = Path(temporary) / "new"
                new.mkdir()
                for member in sorted(members, key=lambda m: ("folder", "file", "hardlink", "symlink").index(m.kind)):
                    _write(member, new, unpack, archive, most)
                _move(members, new, folder)
    except DataError:
        raise
    except _BROKEN as error:
        raise DataError(
            f"the archive cannot be unpacked ({type(error).__name__}: {error}); download it again, and check the "
            "free space and the rights of the folder",
            file=archive,
        ) from error
    return folder


@contextmanager
def _open(archive: Path, most: int) -> Iterator[tuple[list[_Member], Any]]:
    """Open an archive as its members and a function that opens one of them for reading."""
    name = archive.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            yield _bounded((_zip_member(packed, i) for i in packed.infolist()), most, archive), packed.open
    elif name.endswith(TAR_SUFFIXES):
        with _decompressed(archive) as stream, tarfile.open(fileobj=_Guarded(stream), mode="r:") as tar:  # type: ignore[call-overload]
            yield _bounded((_tar_member(entry, archive) for entry in tar), most, archive), tar.extractfile
    elif name.endswith(".gz"):
        member = _Member(PurePosixPath(archive.name[:-3]), "file")
        if archive.stat().st_size == 0:
            raise EOFError("the file is empty")
        with gzip.open(archive) as stream:
            yield [member], lambda _: stream
    else:
        raise DataError(
            f"'{archive.name}' is no kind of archive that can be unpacked; allowed: .zip, .gz, "
            f"{', '.join(TAR_SUFFIXES)}",
            file=archive,
        )


def _decompressed(archive: Path) -> Any:
    name = archive.name.lower()
    if name.endswith("gz"):
        return gzip.open(archive)
    if name.endswith("bz2"):
        return bz2.open(archive)
    return lzma.open(archive) if name.endswith("xz") else archive.open("rb")


def _bounded(members: Iterator[_Member], most: int, archive: Path) -> list[_Member]:
    """List the members, and stop as soon as they claim more than ``most`` bytes, headers included."""
    listed, total = [], 0
    for member in members:
        total += member.size + 512
        if member.size < 0 or total > most:
            raise _bomb(archive, most, str(member.path))
        listed.append(member)
    return listed


def _bomb(archive: Path, most: int, member: str) -> DataError:
    return DataError(
        f"the archive unpacks to more than {most} bytes, at member '{member}'; where that is right, unpack it by "
        "hand or raise 'limit'",
        file=archive,
    )


def _zip_member(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    path, mode = PurePosixPath(info.filename), stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir():
        return _Member(path, "folder")
    if mode == stat.S_IFLNK:
        if info.file_size > 4096:
            raise zipfile.BadZipFile(f"the link '{info.filename}' has a target of {info.file_size} bytes")
        return _Member(path, "symlink", link=packed.read(info).decode("utf-8"))
    kind = "file" if mode in (0, stat.S_IFREG) else "device"
    return _Member(path, kind, info.file_size, entry=info)


def _tar_member(entry: tarfile.TarInfo, archive: Path) -> _Member:
    path = PurePosixPath(entry.name)
    if entry.isdir():
        return _Member(path, "folder")
    if entry.issym() or entry.islnk():
        return _Member(path, "symlink" if entry.issym() else "hardlink", link=entry.linkname)
    return _Member(path, "file" if entry.isreg() else "device", entry.size, entry=entry)


def _check(members: list[_Member], archive: Path) -> None:
    """Refuse members that would be written outside of the folder, or through a link."""
    links = {PurePosixPath(str(m.path).casefold()) for m in members if m.kind == "symlink"}
    files: set[PurePosixPath] = set()
    for member in members:
        problem = ""
        if _escapes(str(member.path)):
            problem = "would leave the folder"
        elif member.kind == "device":
            problem = "is a device or another special file"
        elif not member.path.parts and member.kind != "folder":
            problem = "has no name"
        elif links & set(PurePosixPath(str(member.path).casefold()).parents):
            problem = "lies below a link"
        elif member.kind == "symlink" and _leads_out(member):
            problem = f"is a link to '{member.link}', which may lie outside of the folder"
        elif member.kind == "hardlink" and (_escapes(member.link) or PurePosixPath(member.link) not in files):
            problem = f"is a hard link to '{member.link}', which is no file that the archive holds before it"
        elif member.kind != "folder" and member.path in files:
            problem = "occurs twice"
        if problem:
            raise DataError(
                f"the archive's member '{member.path}' {problem}; nothing was unpacked: get the archive from its "
                "publisher again, or unpack by hand what you trust",
                file=archive,
            )
        if member.kind != "folder":
            files.add(member.path)


def _escapes(name: str) -> bool:
    """Whether a name is absolute, on any system, or climbs with '..'."""
    windows = PureWindowsPath(name)
    return bool(windows.anchor) or name.startswith("/") or ".." in windows.parts


def _leads_out(member: _Member) -> bool:
    """Whether a symbolic link may end outside: absolute, more '..' than it lies deep, or '..' after a name."""
    parts = [p for p in member.link.replace("\\", "/").split("/") if p not in ("", ".")]
    climbs = next((i for i, p in enumerate(parts) if p != ".."), len(parts))
    absolute = member.link.startswith("/") or bool(PureWindowsPath(member.link).anchor)
    return not parts or absolute or climbs >= len(member.path.parts) or ".." in parts[climbs:]


def _free_of(members: list[_Member], folder: Path, archive: Path) -> None:
    there = [m for m in members if m.kind != "folder" and os.path.lexists(folder / m.path)]
    if there:
        raise DataError(
            f"{len(there)} of the archive's members are in '{folder.name}' already, the first is '{there[0].path}'; "
            "move them away, or pass overwrite=True to replace them",
            file=archive,
        )


def _write(member: _Member, new: Path, unpack: Any, archive: Path, most: int) -> None:
    """Write one member below ``new``."""
    target = new / member.path
    if member.kind == "folder":
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.kind == "symlink":
        target.symlink_to(member.link)
    elif member.kind == "hardlink":
        os.link(new / member.link, target)
    else:
        written = 0
        with unpack(member.entry) as source, target.open("xb") as handle:
            while block := source.read(1 << 20):
                written += len(block)
                if written > most:
                    raise _bomb(archive, most, str(member.path))
                handle.write(block)
        if member.entry is not None and written != member.size:
            raise EOFError(f"member '{member.path}' has {written} of {member.size} bytes")


def _move(members: list[_Member], new: Path, folder: Path) -> None:
    """Move what lies in ``new`` to ``folder``."""
    if not folder.exists():
        os.replace(new, folder)
        return
    for member in members:
        if member.kind == "folder":
            (folder / member.path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / member.path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(new / member.path, folder / member.path)
