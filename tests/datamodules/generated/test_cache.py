"""Caches of generated rows: killed in the middle they go on; what is not theirs or is broken is refused by name."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from datamodules.generated.cache import CachedRow, ImageCache, RecordCache
from zoo.errors import DataError, SpecError
from zoo.generative.records import check_record
from zoo.generator import Made

IDENTITY = {"generator": "Fake", "options": {"steps": 40, "size": (8, 8)}, "seed": 42}
ROOT = Path(__file__).parents[3]
WRITER = """
import sys, time
import numpy as np
from datamodules.generated.cache import CachedRow, ImageCache, RecordCache
from zoo.generator import Made
kind, where, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
told = {"seed": 1}
cache = RecordCache(path=where, identity=told) if kind == "record" else ImageCache(folder=where, identity=told)
done = set(cache.done)
for k in range(60):
    name = f"row/{k}"
    if name not in done:
        value = {"a": "x" * 500, "k": k} if kind == "record" else np.full((16, 16, 3), k, np.uint8)
        cache.add([CachedRow(name, Made(value), {"fold": k % 2})])
        time.sleep(pause)
"""


def records(path: Path, **options) -> RecordCache:
    return RecordCache(path=path, identity=IDENTITY, **options)


def row(name: str, value: object = 1, status: str = "ok", **more) -> CachedRow:
    return CachedRow(name, Made(value, status, **more), {"fold": 0})


def image(k: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 256, (5, 4, 3), dtype=np.uint8)


def test_rows_come_back_in_order(tmp_path):
    cache = records(tmp_path / "deep" / "rows.ndjson")
    rows = [row("b", {"x": 1.5}), row("a", None, "rejected", reason="no \ud800 JSON", text="\u2028\n?")]
    cache.add(rows)
    cache.add([])
    cache.add([row("c", [1, "two"], "repaired", reason="comma")])
    again = records(cache.path)
    assert again.done == cache.done == ("b", "a", "c")
    assert list(again.read()) == list(cache.read()) == [*rows, cache.get("c")]
    assert again.counts == cache.counts == {"ok": 1, "repaired": 1, "rejected": 1}
    assert again.status("a") == ("rejected", "no \ud800 JSON")
    assert (again.dropped, len(again)) == (0, 3)
    with pytest.raises(KeyError):
        again.get("d")


def test_images_come_back_exactly(tmp_path):
    cache = ImageCache(folder=tmp_path / "c", identity=IDENTITY)
    names = ["a/../b", "\u00e9 \ud800", "x" * 500, "no image"]
    cache.add([CachedRow(n, Made(image(k)), {"k": k}) for k, n in enumerate(names[:3])])
    cache.add([row(names[3], None, "rejected", reason="black")])
    again = ImageCache(folder=tmp_path / "c", identity=IDENTITY)
    assert again.done == tuple(names)
    for k, got in enumerate(again.read()):
        if k < 3:
            np.testing.assert_array_equal(got.made.value, image(k))
            assert got.provenance == {"k": k}
        else:
            assert got.made == Made(None, "rejected", "black")
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == sorted(
        [*(again.path_of(n).name for n in names[:3]), "index.ndjson"]
    )


@pytest.mark.parametrize("kind", ["record", "image"])
def test_a_killed_writer_goes_on(kind, tmp_path):
    def start(where: Path, pause: float) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", WRITER, kind, str(where), str(pause)], cwd=ROOT)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole, 0).wait(60) == 0
    index, expected = (p if kind == "record" else p / "index.ndjson" for p in (killed, whole))
    writer = start(killed, 0.02)
    limit = time.monotonic() + 60
    while not index.exists() or index.read_bytes().count(b"\n") < 6:
        assert time.monotonic() < limit
        assert writer.poll() is None
        time.sleep(0.005)
    writer.send_signal(signal.SIGKILL)
    assert writer.wait(60) == -signal.SIGKILL
    before = index.read_bytes()
    assert 6 <= before.count(b"\n") < 61
    with index.open("ab") as handle:  # as a kill in the middle of a write leaves it
        handle.write(b'{"id": "row/99", "val')
    if kind == "image":
        (killed / "half.png.part").write_bytes(b"\x89PNG")
        (killed / "half.png.part").rename(ImageCache(folder=killed, identity={"seed": 1}).path_of("row/59"))
    assert start(killed, 0).wait(60) == 0
    assert index.read_bytes() == expected.read_bytes()
    if kind == "image":
        files = {p.name: p.read_bytes() for p in whole.iterdir()}
        assert {p.name: p.read_bytes() for p in killed.iterdir()} == files
        assert len(files) == 61


@pytest.mark.parametrize("cut", range(1, 30, 4))
def test_a_half_line_is_dropped_counted_and_made_again(cut, tmp_path):
    cache = records(tmp_path / "c")
    cache.add([row("a"), row("b")])
    whole = cache.path.read_bytes()
    cache.path.write_bytes(whole[:-cut])
    again = records(cache.path)
    assert (again.dropped, again.done) == (1, ("a",))
    assert cache.path.read_bytes() == whole[:-cut]  # opening alone changes nothing: another process may write
    again.add([row("b")])
    assert cache.path.read_bytes() == whole
    assert records(cache.path).dropped == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 43}, "seed: 42 in the cache, 43 asked for"),
        ({"options": {"steps": 20, "size": (8, 8)}}, "options.steps: 40 in the cache, 20 asked for"),
        ({"fingerprint": "ab"}, "fingerprint: only asked for"),
    ],
)
def test_another_identity_is_refused_with_the_difference(change, said, tmp_path):
    records(tmp_path / "c").add([row("a")])
    with pytest.raises(SpecError, match=said):
        RecordCache(path=tmp_path / "c", identity={**IDENTITY, **change})
    with pytest.raises(SpecError, match="options: only in the cache; seed: only in the cache"):
        RecordCache(path=tmp_path / "c", identity={"generator": "Fake"})
    assert len(records(tmp_path / "c")) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{nonsense", "is not a JSON object"),
        (b"[1]", "is not a JSON object"),
        (b"\xff\x00", "is not a JSON object"),
        (b'{"id": "z"}', "does not hold"),
        (
            b'{"id": 3, "value": 1, "status": "ok", "reason": "", "text": "", "provenance": {}}',
            "does not hold",
        ),
        (
            b'{"id": "z", "value": null, "status": "ok", "reason": "", "text": "", "provenance": {}}',
            "status 'ok' with no value",
        ),
        (
            b'{"id": "z", "value": 1, "status": "good", "reason": "", "text": "", "provenance": {}}',
            "status 'good'",
        ),
    ],
)
def test_a_broken_line_in_the_middle_is_refused_with_file_and_row(line, said, tmp_path):
    cache = records(tmp_path / "c")
    cache.add([row("a"), row("b")])
    lines = cache.path.read_bytes().splitlines()
    cache.path.write_bytes(b"\n".join([*lines[:2], line, lines[2], b""]))
    with pytest.raises(DataError, match=said) as caught:
        records(cache.path)
    assert (caught.value.file, caught.value.row) == (cache.path, 3)


def test_an_id_comes_once(tmp_path):
    cache = records(tmp_path / "c")
    cache.add([row("a"), row("b")])
    with pytest.raises(DataError, match=r"not in done \[row: a\]"):
        cache.add([row("c"), row("a")])
    with pytest.raises(DataError, match=r"not in done \[row: c\]"):
        cache.add([row("c"), row("c")])
    assert records(cache.path).done == ("a", "b")
    with cache.path.open("ab") as handle:
        handle.write(cache.path.read_bytes().splitlines()[1] + b"\n")
    with pytest.raises(DataError, match="the id 'a' comes twice, first in line 2") as caught:
        records(cache.path)
    assert caught.value.row == 4


def test_what_is_no_cache_is_left_alone(tmp_path):
    for content in (b"", b"notes of mine", b'{"cache": 2, "identity": {}}\n', b'{"cache": 1, "identity": {}}'):
        (tmp_path / "c").write_bytes(content)
        with pytest.raises(DataError, match="no header of a cache"):
            records(tmp_path / "c")
        assert (tmp_path / "c").read_bytes() == content


def test_values_are_checked(tmp_path):
    cache = records(tmp_path / "c", check=check_record)
    with pytest.raises(DataError, match=r"patient: is missing.*\[row: a\]"):
        cache.add([row("a", {})])
    records(cache.path).add([row("a", {})])
    with pytest.raises(DataError, match="not a valid record") as caught:
        records(cache.path, check=check_record)
    assert caught.value.row == 2
    with pytest.raises(SpecError, match="row 'b' is not plain JSON"):
        records(cache.path).add([row("b", float("nan"))])
    with pytest.raises(SpecError, match="identity of a cache is not plain JSON"):
        RecordCache(path=tmp_path / "d", identity={"a": object()})
    with pytest.raises(DataError, match="'rejected' without"):
        records(cache.path).add([row("b", 1, "rejected")])


def test_two_writers_are_noticed(tmp_path):
    first, second = records(tmp_path / "c"), records(tmp_path / "c")
    first.add([row("a")])
    with pytest.raises(DataError, match="changed by another process"):
        second.add([row("b")])


def test_images_that_are_none_are_refused(tmp_path):
    cache = ImageCache(folder=tmp_path / "c", identity=IDENTITY)
    for value in (image(0).astype(np.float32), image(0)[..., 0], image(0)[:0], "a.png"):
        with pytest.raises(DataError, match=r"uint8 \(H, W, 3\), got .*\[row: b\]"):
            cache.add([row("a", image(1)), row("b", value)])
    assert [p.name for p in cache.folder.iterdir()] == ["index.ndjson"]
    cache.add([row("a", image(1)), row("b", image(2))])
    cache.path_of("b").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match="the image cannot be read"):
        cache.get("b")
    lines = cache.path.read_text().replace(cache.path_of("b").name, cache.path_of("a").name)
    cache.path.write_text(lines)
    with pytest.raises(DataError, match="the row names"):
        ImageCache(folder=cache.folder, identity=IDENTITY).get("b")
    cache.path_of("b").unlink()
    with pytest.raises(DataError, match="is not there; delete its line") as caught:
        ImageCache(folder=cache.folder, identity=IDENTITY)
    assert caught.value.row == 3
    assert json.loads(cache.path.read_text().splitlines()[0])["identity"]["options"]["size"] == [8, 8]
