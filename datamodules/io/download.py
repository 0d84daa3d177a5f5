"""Getting published files: resumed and verified transfers over HTTP(S), and archives that cannot escape.

Nothing here runs by itself: a source calls it from ``fetch``, which ``open(root, download=True)`` asks for.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import ssl
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from datamodules.io.unpack import extract
from zoo.errors import DataError, SpecError

__all__ = ["extract", "fetch"]

_CHUNK = 1 << 18
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_ADVICE = {
    401: "the publisher asks for a login: register there, and download it by hand",
    403: "the publisher refuses: register or accept the terms there, and download it by hand",
    404: "the file has moved: look for it where the source's card says, and download it by hand",
    410: "the file was taken down: look for it where the source's card says",
}


class _Interrupted(Exception):
    """A failure that may pass: what was received stays, and the transfer is tried again."""


def fetch(
    url: str,
    path: Path | str,
    *,
    size: int = 0,
    md5: str = "",
    sha256: str = "",
    progress: bool = True,
    retries: int = 4,
    backoff: float = 1.0,
    timeout: float = 30.0,
) -> Path:
    """Download ``url`` to ``path``, unless a file that passes the checks is there already.

    The bytes are gathered in ``path`` + ".part". A part that is left over is continued where the server allows it
    and the file there has not changed (by its ETag or date, kept in ".part.tag"); else it starts again. The file
    gets its name only after size and checksum are right.

    Args:
        url: address, http or https.
        path: file to write; folders above it are made.
        size: expected number of bytes; 0 where it is not known.
        md5: expected MD5 in hexadecimal; "" where it is not known.
        sha256: expected SHA-256 in hexadecimal; "" where it is not known.
        progress: show a progress bar.
        retries: how often a broken connection or a busy server is tried again.
        backoff: seconds before the first retry; each further one waits twice as long.
        timeout: seconds without a byte after which a connection counts as broken.

    Returns:
        ``path``.

    Raises:
        SpecError: the address is not http or https.
        DataError: the server refuses, stays away, sends something else than expected, or the disk is full; names
            the file and says what to do.
    """
    target = Path(path)
    if not re.fullmatch(r"https?://[^\s/]+(/[\x21-\x7e]*)?", url):
        raise SpecError(
            f"cannot download {url!r}: the address must begin with http:// or https:// and a host, and hold no spaces"
        )
    if target.is_file():
        verify(target, size=size, md5=md5, sha256=sha256)
        return target
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        waits = [backoff * 2**attempt for attempt in range(retries)]
        _repeat(url, part, waits, partial(_transfer, url, part, size, progress, timeout))
        _check_or_discard(part, size, md5, sha256, url)
        os.replace(part, target)
        _tag(part).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"the download cannot be written ({type(error).__name__}: {error.strerror}); check the free space and "
            "the rights of the folder",
            file=target,
        ) from error
    return target


def _check_or_discard(part: Path, size: int, md5: str, sha256: str, url: str) -> None:
    try:
        verify(part, size=size, md5=md5, sha256=sha256, url=url)
    except DataError:
        _discard(part)
        raise


def _repeat(url: str, part: Path, waits: Sequence[float], attempt: Callable[[], None]) -> None:
    """Try until a transfer is not interrupted, with a wait between two attempts."""
    for wait in (*waits, None):
        try:
            attempt()
            break
        except _Interrupted as error:
            if wait is None:
                raise DataError(
                    f"{url} could not be downloaded in {len(waits) + 1} attempts ({error}); check the network and "
                    "run it again: what was received is kept and continued",
                    file=part.with_name(part.name.removesuffix(".part")),
                ) from error
            time.sleep(wait)


def verify(path: Path, *, size: int = 0, md5: str = "", sha256: str = "", url: str = "") -> None:
    """Check the size and the checksums of a file; what is 0 or "" is not checked.

    Args:
        path: of the file.
        size: expected bytes; 0 is not checked.
        md5: expected checksum in hexadecimal digits; "" is not checked.
        sha256: expected checksum in hexadecimal digits; "" is not checked.
        url: where the file came from, for errors.

    Raises:
        DataError: one differs; names the expected and the found one.
    """
    source = f"what {url} sent" if url else "the file"
    advice = (
        "the broken part was removed: run it again, and if it stays so the publisher has replaced the file"
        if url
        else "it is another version or damaged: move it away to download it again"
    )
    found = path.stat().st_size
    if size and found != size:
        raise DataError(f"{source} has {found} bytes, expected {size}; {advice}", file=path)
    for name, expected in (("md5", md5), ("sha256", sha256)):
        if expected:
            digest = hashlib.new(name, usedforsecurity=False)
            with path.open("rb") as handle:
                while block := handle.read(1 << 20):
                    digest.update(block)
            if digest.hexdigest() != expected.lower():
                raise DataError(
                    f"{source} has the {name} {digest.hexdigest()}, expected {expected.lower()}; {advice}", file=path
                )


def _transfer(url: str, part: Path, size: int, progress: bool, timeout: float) -> None:
    """Receive ``url`` into ``part``, from where it ends; raise _Interrupted for what may pass."""
    have = part.stat().st_size if part.is_file() else 0
    if size and have > size:
        _discard(part)
        have = 0
    if size and have == size:
        return
    headers = {"User-Agent": "multimodal-zoo", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if _tag(part).is_file():
            headers["If-Range"] = _tag(part).read_text(encoding="latin-1")
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416 and have:
            if _total(error.headers.get("Content-Range", "")) == have:
                return
            _discard(part)
            raise _Interrupted("the part was longer than the file") from error
        if error.code in _TRANSIENT:
            raise _Interrupted(f"HTTP status {error.code}") from error
        advice = _ADVICE.get(error.code, "look for the file where the source's card says")
        raise DataError(f"{url} answered with HTTP status {error.code}; {advice}", file=_name(part)) from error
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DataError(
                f"the certificate of {url} is not trusted ({error.reason}); check the clock and the certificates "
                "of this machine, or download it by hand",
                file=_name(part),
            ) from error
        raise _Interrupted(str(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(f"{type(error).__name__}: {error}") from error
    with response:
        _receive(response, part, have, size, progress)


def _receive(response: Any, part: Path, have: int, size: int, progress: bool) -> None:
    """Append the body of ``response`` to ``part``, or write it anew where the server sends the whole file."""
    spans = response.headers.get("Content-Range", "")
    continued = response.status == 206 and spans.startswith(f"bytes {have}-")
    if response.status == 206 and not continued:
        _discard(part)
        raise _Interrupted("the server sent another range than was asked for")
    if not continued:
        have = 0
    length = response.headers.get("Content-Length", "")
    total = have + int(length) if length.isdecimal() else size
    if size and total != size:
        _discard(part)
        raise DataError(
            f"{response.url} announces {total} bytes, expected {size}; the publisher has replaced the file: look at "
            "the source's card",
            file=_name(part),
        )
    tag = response.headers.get("ETag", "")
    tag = response.headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag
    if not continued:
        _discard(part)
        if tag:
            _tag(part).write_text(tag, encoding="latin-1", errors="replace")
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with part.open("ab" if continued else "wb") as handle, Progress(*columns, disable=not progress) as bar:
        task = bar.add_task(_name(part).name, total=total or None, completed=have)
        while True:
            try:
                block = response.read1(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _Interrupted(f"the connection broke after {have} bytes: {error}") from error
            if not block:
                break
            have += len(block)
            if total and have > total:
                break
            handle.write(block)
            bar.update(task, completed=have)
    if total and have < total:
        raise _Interrupted(f"the connection ended after {have} of {total} bytes")
    if total and have > total:
        _discard(part)
        raise _Interrupted(f"the server sent more than the {total} bytes that were expected")


def _total(content_range: str) -> int:
    """Return N of ``bytes */N``; -1 where there is none."""
    text = content_range.rpartition("/")[2]
    return int(text) if text.isdecimal() else -1


def _name(part: Path) -> Path:
    return part.with_name(part.name.removesuffix(".part"))


def _tag(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag(part).unlink(missing_ok=True)
