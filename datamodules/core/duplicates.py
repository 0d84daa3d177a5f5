"""Nearly equal images among many, in less than quadratic time.

Two hashes of 64 bits that differ in at most three of them agree in at least three of six bands. So for each choice
of three bands, images are sorted by those bits, and only neighbours that agree in all of them are compared: first by
their hashes, then by the correlation of their thumbnails and of the fine detail in these.
"""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import numpy.typing as npt

SIDE = 32
"""Side of thumbnails in pixels."""
BITS = 3
"""Hashes of near-identical images differ in at most so many bits."""
CORRELATION = 0.98
"""Thumbnails of near-identical images correlate by more than this."""
BEYOND = 0.96
"""Without the usual picture of their set, thumbnails of near-identical images correlate by more than this: discs on
black are alike without being copies (docs/decisions/2026-12-audit.md)."""
USUAL, FEW = 5_000, 20
"""Pictures that the usual one is made of at most, and how many count as little beside it."""
DETAIL = 0.75
"""What a 5 x 5 blur takes out of two thumbnails correlates by more than this in near-identical images: see needed."""
CLOSER = 0.7
"""How far from the detail that images of one kind share to full agreement near-identical ones are."""
WINDOW = 256
"""Images that agree in three bands are compared with at most so many others of their kind."""
_WIDTHS = (11, 11, 11, 11, 10, 10)
_CHUNK = 4096


def near_pairs(
    hashes: npt.NDArray[np.uint64], thumbs: npt.NDArray[np.uint8], detail: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], int]:
    """Find pairs of near-identical images.

    Args:
        hashes: (N,) difference hashes.
        thumbs: (N, SIDE * SIDE) thumbnails.
        detail: (N,) what ``needed`` says of the images of each one's kind.

    Returns:
        (P, 2) pairs i < j without repeats, and how many images share their bands with more than WINDOW others (of
        these, not all pairs were compared).
    """
    rows = np.flatnonzero((thumbs != thumbs[:, :1]).any(axis=1))  # not those of one grey
    masks = _masks()
    found: list[npt.NDArray[np.int64]] = []
    crowded = np.zeros(len(hashes), dtype=bool)
    look = np.random.default_rng(0).standard_normal((thumbs.shape[1],)).astype(np.float32)
    place, common = _project(thumbs, look), usual(thumbs)
    for turn, mask in enumerate(masks):
        keys = hashes[rows] & mask
        order = rows[np.lexsort((place[rows], keys))]
        sorted_keys = hashes[order] & mask
        for shift in range(1, min(WINDOW, len(order) - 1) + 1):
            same = np.flatnonzero(sorted_keys[shift:] == sorted_keys[:-shift])
            if not len(same):
                break
            if shift == WINDOW:
                crowded[order[same]] = crowded[order[same + shift]] = True
            left, right = order[same], order[same + shift]
            differ = hashes[left] ^ hashes[right]
            close = popcount(differ) <= BITS
            for earlier in masks[:turn]:  # a pair is taken at the first choice of bands that it agrees in
                close &= (differ & earlier) != 0
            pairs = np.stack([np.minimum(left[close], right[close]), np.maximum(left[close], right[close])], axis=1)
            if len(pairs):
                found.append(pairs[alike(thumbs, pairs, detail, common)])
    pairs = np.concatenate(found) if found else np.zeros((0, 2), dtype=np.int64)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int64), int(crowded.sum())


def _masks() -> list[np.uint64]:
    """One mask for each choice of three of the six bands."""
    bands, low = [], 0
    for width in _WIDTHS:
        bands.append(((1 << width) - 1) << low)
        low += width
    return [np.uint64(a | b | c) for a, b, c in combinations(bands, 3)]


def _project(thumbs: npt.NDArray[np.uint8], look: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """One number a thumbnail, close for those that are close."""
    parts = [_standard(thumbs[k : k + _CHUNK]) @ look for k in range(0, len(thumbs), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def popcount(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Count the bits that are set.

    >>> popcount(np.array([0, 7, 2**63], dtype=np.uint64)).tolist()
    [0, 3, 1]
    """
    octets = np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)
    return np.asarray(_BITS_OF[octets].sum(axis=1), dtype=np.int64)


_BITS_OF = np.array([bin(k).count("1") for k in range(256)], dtype=np.uint8)


def needed(thumbs: npt.NDArray[np.uint8]) -> float:
    """How much the detail of two images of a kind must correlate for them to be near-identical.

    Photographs of the eye share much detail, films of the chest little: it is measured on pairs drawn at random.

    Args:
        thumbs: (N, SIDE * SIDE) thumbnails of one kind.
    """
    pairs = np.random.default_rng(0).integers(0, max(len(thumbs), 1), (5_000, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    if not len(pairs):
        return DETAIL
    shared = np.concatenate([_fine(thumbs, pairs[k : k + _CHUNK]) for k in range(0, len(pairs), _CHUNK)])
    most, many = np.quantile(shared, [0.99, 0.9]).tolist()
    usual = min(most, many + 0.4 * (1 - many))  # in a small set, copies may be one pair in a hundred
    return max(DETAIL, float(usual + CLOSER * (1 - usual)))


def usual(thumbs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The mean (SIDE * SIDE,) of thumbnails of mean 0 and length 1, nearer to 0 where they are few.

    Args:
        thumbs: (N, SIDE * SIDE) thumbnails.
    """
    some = thumbs[:: max(1, -(-len(thumbs) // USUAL))]
    return np.asarray(_standard(some).sum(axis=0) / (len(some) + FEW), dtype=np.float32)


def alike(
    thumbs: npt.NDArray[np.uint8],
    pairs: npt.NDArray[np.int64],
    detail: npt.NDArray[np.float32],
    common: npt.NDArray[np.float32],
) -> npt.NDArray[np.bool_]:
    """Tell for each pair whether the thumbnails, what is not usual in them, and the detail in them correlate.

    Args:
        thumbs: (N, side, side) small grey pictures.
        pairs: (P, 2) numbers of the pictures of each pair.
        detail: (N,) how much the detail of near-identical pictures must correlate; see ``needed``.
        common: (SIDE * SIDE,) the usual picture; see ``usual``.
    """
    parts = []
    for k in range(0, len(pairs), _CHUNK):
        some = pairs[k : k + _CHUNK]
        left, right = (_standard(thumbs[some[:, side]]) for side in (0, 1))
        close = (left * right).sum(axis=1) > CORRELATION
        close &= (_standard(left - common) * _standard(right - common)).sum(axis=1) > BEYOND
        close[close] = _fine(thumbs, some[close]) > detail[some[close]].max(axis=1)
        parts.append(close)
    return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)


def _fine(thumbs: npt.NDArray[np.uint8], pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Correlation of the detail in pairs of thumbnails."""
    left, right = (_standard(_detail(thumbs[pairs[:, side]])) for side in (0, 1))
    return np.asarray((left * right).sum(axis=1), dtype=np.float32)


def _standard(flat: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Bring each line to mean 0 and length 1; one of equal values stays 0."""
    values = flat.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    length = np.sqrt((values**2).sum(axis=1, keepdims=True))
    return np.asarray(values / np.maximum(length, 1e-6), dtype=np.float32)


def _detail(flat: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What a 5 x 5 mean takes out of each thumbnail, clipped so that one strong edge does not outweigh the rest."""
    images = flat.reshape(-1, SIDE, SIDE).astype(np.float32)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)), mode="edge")
    blurred = np.zeros_like(images)
    for r, c in product(range(5), repeat=2):
        blurred += padded[:, r : r + SIDE, c : c + SIDE] / 25
    fine = (images - blurred).reshape(-1, SIDE * SIDE)
    size = np.abs(fine)
    size[size <= 0.5] = np.inf  # less than half a level of grey is none
    size.sort(axis=1)
    there = np.isfinite(size).sum(axis=1)
    usual = np.where(there, size[np.arange(len(size)), there // 2], 1.0)[:, None]  # the median of what there is
    usual[~np.isfinite(usual)] = 1.0
    return np.asarray(np.clip(fine, -2 * usual, 2 * usual), dtype=np.float32)
