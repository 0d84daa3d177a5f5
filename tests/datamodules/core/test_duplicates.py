"""The search for near-identical images, against brute force and on pictures that merely look alike."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import numpy.typing as npt
from PIL import Image

from datamodules.core.duplicates import BITS, WINDOW, alike, near_pairs, needed, popcount, usual
from datamodules.core.fingerprints import Prints


def picture(rng: np.random.Generator, size: int = 96) -> npt.NDArray[np.uint8]:
    """A smooth random picture with some detail."""
    field = np.zeros((size, size))
    y, x = np.mgrid[:size, :size] / size
    for _ in range(24):
        u, v, phase = [*rng.uniform(-9, 9, 2).tolist(), rng.uniform(0, 7)]
        field += rng.uniform(0.3, 1) * np.sin(2 * np.pi * (u * x + v * y) + phase)
    return (128 + 90 * field / np.abs(field).max()).astype(np.uint8)


def again(image: npt.NDArray[np.uint8], quality: int, scale: float = 1.0) -> npt.NDArray[np.uint8]:
    held = io.BytesIO()
    shown = Image.fromarray(image)
    shown = shown.resize((round(shown.width * scale), round(shown.height * scale)), Image.Resampling.BILINEAR)
    shown.save(held, "JPEG", quality=quality)
    return np.asarray(Image.open(held))


def test_reencoded_and_resized_copies_are_found_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    images = [picture(rng) for _ in range(40)]
    images += [again(images[3], 60), again(images[5], 90, 0.75), images[7].copy()]
    prints = Prints("image")
    for row, image in enumerate(images):
        prints.add(row, image)
    assert len(prints.keys) == 42  # the exact copy of 7 is one content with it
    assert prints.clusters()[7].tolist() == [7, 42]
    pairs, crowded = near_pairs(prints.hashes, prints.thumbs, prints.detail)
    assert pairs.tolist() == [[3, 40], [5, 41]]
    assert crowded == 0


def test_blurred_discs_on_black_are_not_copies() -> None:
    """As photographs of eyes with a cataract, whose rim is all the detail that they have."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:96, :96] / 48 - 1
    images = []
    for _ in range(80):
        light = rng.uniform(130, 200) + rng.uniform(-25, 25) * x + rng.uniform(-25, 25) * y
        spot = 20 * np.exp(-((x - rng.uniform(-0.4, 0.4)) ** 2 + (y - rng.uniform(-0.4, 0.4)) ** 2) / 0.02)
        images.append(np.where(x**2 + y**2 < 0.95, light + spot, 0).clip(0, 255).astype(np.uint8))
    prints = Prints("image")
    for row, image in enumerate(images):
        prints.add(row, image)
    pairs = np.array(list(combinations(range(80), 2)))
    detail = np.zeros(80, dtype=np.float32)  # whatever the rims say
    nothing = np.zeros(prints.thumbs.shape[1], dtype=np.float32)
    as_they_are = alike(prints.thumbs, pairs, detail, nothing).sum()
    assert as_they_are > 300
    assert alike(prints.thumbs, pairs, detail, usual(prints.thumbs)).sum() < as_they_are / 5


def test_images_that_look_alike_are_not_copies() -> None:
    """One strong common shape, and detail of their own: as films of two chests."""
    rng = np.random.default_rng(1)
    common = picture(rng, 96).astype(float)
    prints = Prints("image")
    for row in range(60):
        noise = np.kron(rng.normal(0, 6, (32, 32)), np.ones((3, 3)))
        prints.add(row, (common + noise).clip(0, 255).astype(np.uint8))
    assert (
        popcount(prints.hashes[:1] ^ prints.hashes) <= BITS
    ).sum() > 5  # their hashes alone would be taken for copies
    assert len(near_pairs(prints.hashes, prints.thumbs, prints.detail)[0]) == 0


def test_banded_search_finds_what_brute_force_finds() -> None:
    rng = np.random.default_rng(2)
    hashes = rng.integers(0, 2**64, 400, dtype=np.uint64)
    for k in range(120):  # up to five bits away from another
        flips = rng.choice(64, rng.integers(0, 6), replace=False)
        hashes[200 + k] = hashes[k] ^ np.uint64(sum(1 << int(b) for b in flips))
    thumb = rng.integers(0, 255, 1024).astype(np.uint8)
    thumbs = np.tile(thumb, (400, 1))  # all alike: only the hashes decide
    found = near_pairs(hashes, thumbs, np.full(400, 0.9, np.float32))[0].tolist()
    wanted = [[i, j] for i, j in combinations(range(400), 2) if int(hashes[i] ^ hashes[j]).bit_count() <= BITS]
    assert found == wanted
    assert len(wanted) > 50


def test_a_crowd_is_thinned_and_counted() -> None:
    rng = np.random.default_rng(3)
    size = WINDOW + 200
    thumbs = rng.integers(0, 255, (size, 1024)).astype(np.uint8)
    thumbs[-1] = thumbs[0]
    pairs, crowded = near_pairs(np.zeros(size, np.uint64), thumbs, np.full(size, 0.9, np.float32))
    assert pairs.tolist() == [[0, size - 1]]  # neighbours in the order of their projection
    assert crowded > WINDOW


def test_flat_images_and_none() -> None:
    flat = np.zeros((3, 1024), np.uint8)
    assert len(near_pairs(np.zeros(3, np.uint64), flat, np.ones(3, np.float32))[0]) == 0
    assert len(near_pairs(np.zeros(0, np.uint64), flat[:0], np.ones(0, np.float32))[0]) == 0
    assert 0.7 < needed(flat[:1]) < 1
