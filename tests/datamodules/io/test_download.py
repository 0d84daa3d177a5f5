"""Transfers against a server on loopback, and archives that try to do harm."""

from __future__ import annotations

import gzip
import hashlib
import io
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from datamodules.io.download import extract, fetch
from zoo.errors import DataError, SpecError

BODY = np.random.default_rng(0).bytes(300_000)
MD5, SHA = hashlib.md5(BODY).hexdigest(), hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves BODY; the attributes say how it misbehaves, and it keeps what it was asked for."""

    ranges = True
    cuts = 0
    busy = 0
    status = 200
    tag = '"one"'
    body = BODY

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range", "")
        server.asked.append(asked)
        if server.busy or server.status != 200:
            self.send_error(503 if server.busy else server.status)
            server.busy = max(0, server.busy - 1)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        if self.headers.get("If-Range", server.tag) != server.tag:
            start = 0
        if start >= len(server.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        rest = server.body[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}")
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", server.tag)
        self.end_headers()
        if server.cuts:
            server.cuts -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def get(server: Server, path: Path, **arguments: object) -> Path:
    return fetch(server.url, path, **({"progress": False, "backoff": 0.0} | arguments))  # type: ignore[arg-type]


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_whole(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "a" / "file.bin"
    assert get(server, path, size=len(BODY), md5=MD5, sha256=SHA.upper(), progress=True) == path
    assert path.read_bytes() == BODY
    assert leftovers(path.parent) == ["file.bin"]
    get(server, path, md5=MD5)
    assert server.asked == [""]  # what is there is checked and not transferred again
    path.write_bytes(b"mine")
    with pytest.raises(DataError, match=rf"has the md5 .*expected {MD5}.*move it away"):
        get(server, path, md5=MD5)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize(("cuts", "busy"), [(1, 0), (3, 0), (0, 2)])
def test_interrupted_and_resumed(server: Server, tmp_path: Path, cuts: int, busy: int) -> None:
    server.cuts, server.busy = cuts, busy
    assert get(server, tmp_path / "x", sha256=SHA).read_bytes() == BODY
    assert len(server.asked) == 1 + cuts + busy
    assert all(asked.startswith("bytes=") for asked in server.asked[1:] if cuts)


def test_given_up_and_continued_later(server: Server, tmp_path: Path) -> None:
    server.cuts = 2
    with pytest.raises(DataError, match=r"in 1 attempts.*150000 of 300000.*run it again"):
        get(server, tmp_path / "x", retries=0)
    assert leftovers(tmp_path) == ["x.part", "x.part.tag"]
    with pytest.raises(DataError, match="225000 of 300000"):
        get(server, tmp_path / "x", retries=0)
    assert get(server, tmp_path / "x").read_bytes() == BODY
    assert server.asked == ["", "bytes=150000-", "bytes=225000-"]


def test_changed_on_the_server(server: Server, tmp_path: Path) -> None:
    server.cuts = 1
    with pytest.raises(DataError):
        get(server, tmp_path / "x", retries=0)
    server.tag, server.body = '"two"', BODY[::-1]
    assert get(server, tmp_path / "x").read_bytes() == BODY[::-1]


def test_server_without_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, 1
    assert get(server, tmp_path / "x", md5=MD5).read_bytes() == BODY
    assert server.asked == ["", "bytes=150000-"]


@pytest.mark.parametrize("size", [0, len(BODY)])
@pytest.mark.parametrize("have", [len(BODY), len(BODY) + 5])
def test_part_as_long_or_longer(server: Server, tmp_path: Path, size: int, have: int) -> None:
    (tmp_path / "x.part").write_bytes((BODY + b"12345")[:have])
    assert get(server, tmp_path / "x", size=size, md5=MD5).read_bytes() == BODY
    assert leftovers(tmp_path) == ["x"]


def test_wrong_checksum_or_size(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"md5 {MD5}, expected {'0' * 32}; the broken part was removed.*x\.part"):
        get(server, tmp_path / "x", md5="0" * 32)
    with pytest.raises(DataError, match="announces 300000 bytes, expected 7"):
        get(server, tmp_path / "x", size=7)
    (tmp_path / "x.part").write_bytes(b"another file")  # continued, and then found to be wrong
    with pytest.raises(DataError, match="sha256"):
        get(server, tmp_path / "x", sha256=SHA)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(("status", "says"), [(404, "404; the file has moved"), (403, "register"), (418, "card")])
def test_refused(server: Server, tmp_path: Path, status: int, says: str) -> None:
    server.status = status
    with pytest.raises(DataError, match=says):
        get(server, tmp_path / "x")
    assert len(server.asked) == 1
    assert leftovers(tmp_path) == []


def test_no_server_and_no_address(server: Server, tmp_path: Path) -> None:
    server.busy = 9
    with pytest.raises(DataError, match=r"in 3 attempts .*503"):
        get(server, tmp_path / "x", retries=2)
    for url in ("file:///etc/hosts", "ftp://127.0.0.1/x", "x.npz", "http:///x", f"{server.url} x"):
        with pytest.raises(SpecError, match="must begin with"):
            fetch(url, tmp_path / "x")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written"):
        get(server, tmp_path / "file" / "x")


def a_zip(path: Path, members: dict[str, bytes], modes: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    return path


def a_tar(path: Path, members: list[tuple[str, bytes, str]], mode: str = "w") -> Path:
    """Each member: name, type, and content or link target."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
            else:
                info.linkname = content
            archive.addfile(info, io.BytesIO(content.encode()) if kind == tarfile.REGTYPE else None)
    return path


FILE, FOLDER, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "zip"])
def test_extract(tmp_path: Path, suffix: str) -> None:
    archive = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        a_zip(archive, {"d/": b"", "d/one.txt": b"1", "./two.txt": b"22"})
    else:
        mode = {"tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}.get(suffix, "w")
        members = [(".", FOLDER, ""), ("./d", FOLDER, ""), ("d/one.txt", FILE, "1"), ("two.txt", FILE, "22")]
        a_tar(archive, [*members, ("d/l", LINK, "../two.txt"), ("h", HARD, "two.txt")], mode)
    folder = extract(archive, tmp_path / "out")
    assert (folder / "d" / "one.txt").read_bytes() == b"1"
    assert (folder / "two.txt").read_bytes() == b"22"
    if suffix != "zip":
        assert (folder / "d" / "l").is_symlink()
        assert (folder / "d" / "l").read_bytes() == (folder / "h").read_bytes() == b"22"
    assert leftovers(tmp_path) == [archive.name, "out"]
    with pytest.raises(DataError, match=r"in 'out' already, the first is 'd/one.txt'"):
        extract(archive, folder)
    (folder / "two.txt").write_bytes(b"old")
    (folder / "other").write_bytes(b"kept")
    extract(archive, folder, overwrite=True)
    assert (folder / "two.txt").read_bytes() == b"22"
    assert (folder / "other").read_bytes() == b"kept"


def test_extract_gz_beside_itself(tmp_path: Path) -> None:
    (tmp_path / "x.h5.gz").write_bytes(gzip.compress(BODY))
    extract(tmp_path / "x.h5.gz", tmp_path)
    assert (tmp_path / "x.h5").read_bytes() == BODY


BAD_TARS = {
    "climbs": [("ok", FILE, "1"), ("../evil", FILE, "x")],
    "climbs inside": [("a/../../evil", FILE, "x")],
    "absolute": [("/evil", FILE, "x")],
    "windows": [("..\\evil", FILE, "x")],
    "drive": [("C:\\evil", FILE, "x")],
    "link out": [("l", LINK, "../evil")],
    "link absolute": [("l", LINK, "/etc")],
    "link deep": [("a/b", FILE, ""), ("a/l", LINK, "../../evil")],
    "link winds": [("d/l", LINK, ".."), ("x", LINK, "d/l/../..")],
    "through link": [("l", LINK, "d"), ("l/x", FILE, "x")],
    "hard link out": [("h", HARD, "../../etc/passwd")],
    "hard link unknown": [("h", HARD, "nothing")],
    "hard link to link": [("l", LINK, "d"), ("h", HARD, "l/x")],
    "device": [("d", tarfile.CHRTYPE, "")],
    "fifo": [("d", tarfile.FIFOTYPE, "")],
    "twice": [("a", FILE, "1"), ("a", FILE, "2")],
    "link then file": [("a", LINK, "b"), ("a", FILE, "2")],
}


@pytest.mark.parametrize("name", BAD_TARS)
def test_tar_that_escapes(tmp_path: Path, name: str) -> None:
    archive = a_tar(tmp_path / "bad.tar", BAD_TARS[name])
    with pytest.raises(DataError, match=r"member '.*nothing was unpacked.*bad\.tar"):
        extract(archive, tmp_path / "in" / "out")
    assert leftovers(tmp_path / "in") == []


@pytest.mark.parametrize(
    ("members", "modes"),
    [
        ({"ok": b"", "../evil": b"x"}, {}),
        ({"/evil": b"x"}, {}),
        ({"..\\evil": b"x"}, {}),
        ({"l": b"../evil"}, {"l": stat.S_IFLNK | 0o777}),
        ({"l": b"/etc"}, {"l": stat.S_IFLNK | 0o777}),
        ({"l": b"d", "l/x": b"x"}, {"l": stat.S_IFLNK | 0o777}),
        ({"d": b""}, {"d": stat.S_IFBLK | 0o644}),
    ],
)
def test_zip_that_escapes(tmp_path: Path, members: dict[str, bytes], modes: dict[str, int]) -> None:
    archive = a_zip(tmp_path / "bad.zip", members, modes)
    with pytest.raises(DataError, match=r"member '.*nothing was unpacked.*bad\.zip"):
        extract(archive, tmp_path / "in" / "out")
    assert leftovers(tmp_path / "in") == []


@pytest.mark.parametrize("suffix", ["zip", "tar.gz", "gz"])
def test_bomb(tmp_path: Path, suffix: str) -> None:
    archive = tmp_path / f"big.{suffix}"
    if suffix == "zip":
        a_zip(archive, {"zeros": bytes(1 << 20)})
    elif suffix == "gz":
        archive.write_bytes(gzip.compress(bytes(1 << 20)))
    else:
        a_tar(archive, [("zeros", FILE, "\0" * (1 << 20))], "w:gz")
    with pytest.raises(DataError, match=rf"more than 100000 bytes, at member '(zeros|big)'.*big\.{suffix}"):
        extract(archive, tmp_path / "out", limit=100_000)
    assert leftovers(tmp_path) == [archive.name]
    extract(archive, tmp_path / "out", limit=1 << 21)


def test_tar_header_that_claims_much(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    (tmp_path / "x.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(DataError, match=r"cannot be unpacked.*x\.tar"):
        extract(tmp_path / "x.tar", tmp_path / "out")


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "gz"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_broken_archives(tmp_path: Path, suffix: str, damage: str) -> None:
    archive = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        a_zip(archive, {"a": BODY[:5000]})
    elif suffix == "gz":
        archive.write_bytes(gzip.compress(BODY[:5000]))
    else:
        mode = "w" if suffix == "tar" else f"w:{suffix[4:]}"
        a_tar(archive, [("a", FILE, "text " * 1000)], mode)
    good = archive.read_bytes()
    middle = 20 if suffix == "tar" else len(good) // 2
    flipped = good[:middle] + bytes(b ^ 255 for b in good[middle : middle + 8]) + good[middle + 8 :]
    bad = {"cut": good[: len(good) // 3], "flipped": flipped, "empty": b"", "text": b"<html>not found</html>" * 99}
    archive.write_bytes(bad[damage])
    with pytest.raises(DataError, match=rf"a\.{suffix}"):
        extract(archive, tmp_path / "out")
    assert leftovers(tmp_path) == [archive.name]


def test_unknown_kind(tmp_path: Path) -> None:
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(DataError, match=r"no kind of archive.*allowed: \.zip"):
        extract(tmp_path / "a.rar", tmp_path / "out")
    with pytest.raises(DataError, match="archive is missing"):
        extract(tmp_path / "b.zip", tmp_path / "out")
