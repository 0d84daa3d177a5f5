"""The cache of generated rows: killed in the middle it goes on; what is not its own or is broken is refused."""

from __future__ import annotations

import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from datamodules.synthesis.cache import CachedRow, GeneratedCache
from zoo.errors import DataError, SpecError
from zoo.generation.records.schema import check_record
from zoo.generator import Generation

IDENTITY = {"generator": "Fake", "options": {"steps": 40, "size": (8, 8)}, "seed": 42}
ROOT = Path(__file__).parents[3]
WRITER = """
import sys, time
import numpy as np
from datamodules.synthesis.cache import CachedRow, GeneratedCache
from zoo.generator import Generation
kind, where, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
cache = GeneratedCache(path=where, identity={"seed": 1})
done = set(cache.done)
for k in range(60):
    name = f"row/{k}"
    if name not in done:
        value = {"a": "x" * 500, "k": k} if kind == "record" else np.full((16, 16, 3), k, np.uint8)
        cache.add([CachedRow(name, Generation(value), {"fold": k % 2})])
        time.sleep(pause)
"""


def cache_of(path: Path, **options) -> GeneratedCache:
    return GeneratedCache(path=path, identity=IDENTITY, **options)


def row(name: str, value: object = 1, status: str = "ok", **more) -> CachedRow:
    return CachedRow(name, Generation(value, status, **more), {"fold": 0})


def image(k: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 256, (5, 4, 3), dtype=np.uint8)


def test_rows_come_back_in_order(tmp_path):
    cache = cache_of(tmp_path / "deep" / "rows.sqlite")
    rows = [row("b", {"x": 1.5}), row("a", None, "rejected", reason="no \ud800 JSON", text="\u2028\n?")]
    cache.add(rows)
    cache.add([])
    cache.add([row("c", [1, "two"], "repaired", reason="comma")])
    again = pickle.loads(pickle.dumps(cache_of(cache.path)))  # as it goes to a worker process
    assert again.done == cache.done == ("b", "a", "c")
    assert list(again.read()) == list(cache.read()) == [*rows, cache.get("c")]
    assert again.counts == cache.counts == {"ok": 1, "repaired": 1, "rejected": 1}
    assert again.status("a") == ("rejected", "no \ud800 JSON")
    assert len(again) == 3
    with pytest.raises(KeyError):
        again.get("d")


def test_images_come_back_exactly(tmp_path):
    cache = cache_of(tmp_path / "c")
    names = ["a/../b", "\u00e9 \ud800", "x" * 500, "no image"]
    cache.add([CachedRow(n, Generation(image(k)), {"k": k}) for k, n in enumerate(names[:3])])
    cache.add([row(names[3], None, "rejected", reason="black")])
    again = cache_of(tmp_path / "c")
    assert again.done == tuple(names)
    for k, got in enumerate(again.read()):
        if k < 3:
            np.testing.assert_array_equal(got.made.value, image(k))
            assert got.provenance == {"k": k}
        else:
            assert got.made == Generation(None, "rejected", "black")
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("kind", ["record", "image"])
def test_a_killed_writer_goes_on(kind, tmp_path):
    def start(where: Path, pause: float) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", WRITER, kind, str(where), str(pause)], cwd=ROOT)

    def kept(where: Path) -> list[CachedRow]:
        return list(GeneratedCache(path=where, identity={"seed": 1}).read())

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole, 0).wait(60) == 0
    writer = start(killed, 0.02)
    limit = time.monotonic() + 60
    while not killed.exists() or not killed.stat().st_size or len(kept(killed)) < 6:
        assert time.monotonic() < limit
        assert writer.poll() is None
    writer.send_signal(signal.SIGKILL)
    assert writer.wait(60) == -signal.SIGKILL
    assert 6 <= len(kept(killed)) < 60
    assert start(killed, 0).wait(60) == 0
    found, expected = kept(killed), kept(whole)
    assert [(r.id, r.provenance) for r in found] == [(r.id, r.provenance) for r in expected]
    assert len(found) == 60
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.made.value, other.made.value)


def test_a_file_that_a_kill_left_empty_is_begun_anew(tmp_path):
    (tmp_path / "c").touch()
    cache_of(tmp_path / "c").add([row("a")])
    assert cache_of(tmp_path / "c").done == ("a",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 43}, "seed: 42 in the cache, 43 asked for"),
        ({"options": {"steps": 20, "size": (8, 8)}}, "options.steps: 40 in the cache, 20 asked for"),
        ({"fingerprint": "ab"}, "fingerprint: only asked for"),
    ],
)
def test_another_identity_is_refused_with_the_difference(change, said, tmp_path):
    cache_of(tmp_path / "c").add([row("a")])
    with pytest.raises(SpecError, match=said):
        GeneratedCache(path=tmp_path / "c", identity={**IDENTITY, **change})
    with pytest.raises(SpecError, match="options: only in the cache; seed: only in the cache"):
        GeneratedCache(path=tmp_path / "c", identity={"generator": "Fake"})
    assert len(cache_of(tmp_path / "c")) == 1


def test_an_id_comes_once_and_a_call_is_whole_or_nothing(tmp_path):
    cache = cache_of(tmp_path / "c")
    cache.add([row("a"), row("b")])
    with pytest.raises(DataError, match=r"not in done \[row: a\]"):
        cache.add([row("c"), row("a")])
    with pytest.raises(DataError, match=r"not in done \[row: c\]"):
        cache.add([row("c"), row("c")])
    assert cache_of(tmp_path / "c").done == ("a", "b")


def test_what_is_no_cache_is_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other")) as connection:
        connection.execute("CREATE TABLE mine (x)")
        connection.commit()
    (tmp_path / "notes").write_bytes(b"notes of mine" * 100)
    for name in ("other", "notes"):
        content = (tmp_path / name).read_bytes()
        with pytest.raises(DataError, match=f"no (readable )?cache of generated rows.*{name}"):
            cache_of(tmp_path / name)
        assert (tmp_path / name).read_bytes() == content


def test_values_are_checked(tmp_path):
    cache = cache_of(tmp_path / "c", check=check_record)
    with pytest.raises(DataError, match=r"patient: is missing.*\[row: a\]"):
        cache.add([row("a", {})])
    cache_of(cache.path).add([row("a", {})])
    with pytest.raises(DataError, match=r"row cannot be read.*not a valid record.*\[row: a\]"):
        cache.get("a")
    with pytest.raises(SpecError, match="row 'b' is not plain JSON"):
        cache_of(cache.path).add([row("b", float("nan"))])
    with pytest.raises(SpecError, match="identity of a cache is not plain JSON"):
        GeneratedCache(path=tmp_path / "d", identity={"a": object()})
    with pytest.raises(DataError, match="'rejected' without"):
        cache_of(cache.path).add([row("b", 1, "rejected")])


def test_two_writers_take_turns(tmp_path):
    first, second = cache_of(tmp_path / "c"), cache_of(tmp_path / "c")
    first.add([row("a")])
    second.add([row("b")])
    assert first.done == second.done == ("a", "b")


def test_images_that_are_none_are_refused(tmp_path):
    cache = cache_of(tmp_path / "c")
    for value in (image(0).astype(np.float32), image(0)[..., 0], image(0)[:0]):
        with pytest.raises(DataError, match=r"uint8 \(H, W, 3\), got .*\[row: b\]"):
            cache.add([row("a", image(1)), row("b", value)])
    assert not cache.done
    cache.add([row("a", image(1)), row("b", image(2))])
    with closing(sqlite3.connect(cache.path)) as connection:
        connection.execute("UPDATE rows SET value = ? WHERE id = '\"b\"'", (b"\x89PNG",))
        connection.commit()
    with pytest.raises(DataError, match=r"the row cannot be read.*\[row: b\]"):
        cache.get("b")
