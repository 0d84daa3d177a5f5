"""Measures of drawn lesions whose shape and colours are known."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zoo.errors import DataError
from zoo.generation.captioners.appearance import (
    CONCERNING,
    MEASURES,
    NO_LESION,
    OF_LESION,
    PALETTE,
    WORDS,
    learn_thresholds,
    measure,
    quality_note,
    vector,
    words,
)

SKIN = (225, 190, 170)
Y, X = np.mgrid[:128, :128] - 64


def draw(mask: npt.NDArray[np.bool_], colour: tuple[int, int, int] = PALETTE["dark_brown"]) -> npt.NDArray[np.uint8]:
    image = np.full((128, 128, 3), SKIN, np.uint8)
    image[mask] = colour
    return image


DISC = X**2 + Y**2 < 30**2
ELLIPSE = (X + Y) ** 2 / 50**2 + (X - Y) ** 2 / 20**2 < 1
PEAR = DISC & ~((X > 0) & (Y > 0))
STAR = np.hypot(X, Y) < 28 * (1 + 0.35 * np.sin(9 * np.arctan2(Y, X)))


def test_a_disc() -> None:
    m = measure(draw(DISC))
    assert tuple(m) == MEASURES
    assert m["found"] == 1.0
    assert m["relative_size"] == pytest.approx(math.pi * 30**2 / 128**2, rel=0.06)
    assert m["asymmetry"] < 0.03
    assert m["border_irregularity"] == pytest.approx(1.0, abs=0.05)
    assert m["colour_count"] == 1.0
    assert m["dark_brown"] > 0.9
    assert m["hair"] < 0.02


def test_asymmetry_is_about_the_principal_axes() -> None:
    ellipse, pear = measure(draw(ELLIPSE)), measure(draw(PEAR))
    assert ellipse["asymmetry"] < 0.05
    assert pear["asymmetry"] > 0.1


def test_a_rough_border() -> None:
    assert measure(draw(STAR))["border_irregularity"] > 1.5


@pytest.mark.parametrize("name", [n for n in PALETTE if n != "white"])
def test_each_colour_is_told(name: str) -> None:
    m = measure(draw(DISC, PALETTE[name]))
    assert max(PALETTE, key=lambda n: m[n]) == name
    assert sum(m[n] for n in PALETTE) == pytest.approx(1.0)


def test_two_colours_count_and_spread() -> None:
    image = draw(DISC)
    image[DISC & (X > 0)] = PALETTE["black"]
    two, one = measure(image), measure(draw(DISC))
    assert two["colour_count"] == 2.0
    assert two["colour_spread"] > one["colour_spread"]
    assert two["black"] == pytest.approx(0.5, abs=0.06)


def test_lines_and_hairs() -> None:
    lines = draw(DISC, PALETTE["light_brown"])
    lines[DISC & ((X % 8 < 2) | (Y % 8 < 2))] = PALETTE["dark_brown"]
    plain = measure(draw(DISC, PALETTE["light_brown"]))
    assert measure(lines)["network"] > 2 * plain["network"]
    assert measure(lines)["texture"] > plain["texture"]
    hairy = draw(DISC)
    hairy[:, ::20] = (40, 30, 30)
    assert measure(hairy)["hair"] > 0.02


def test_the_lesion_is_the_part_near_the_middle() -> None:
    corner = (X < -50) & (Y < -40)
    assert measure(draw(DISC | corner))["relative_size"] == pytest.approx(
        measure(draw(DISC))["relative_size"], rel=0.1
    )


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (40, 50, 3), (40, 50)])
def test_a_constant_picture_has_no_lesion(value: int, shape: tuple[int, ...]) -> None:
    m = measure(np.full(shape, value, np.uint8))
    assert m["found"] == 0.0
    assert all(math.isnan(m[n]) for n in OF_LESION)
    assert words(m, {})[0] == NO_LESION
    assert len(vector(m)) == len(MEASURES)


@settings(max_examples=25)
@given(arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))))
def test_any_picture_is_measured(image: npt.NDArray[np.uint8]) -> None:
    m = measure(image)
    assert all(math.isfinite(v) for n, v in m.items() if m["found"] or n not in OF_LESION)
    assert m == pytest.approx(measure(image.copy()), nan_ok=True)


def test_grey_is_its_three_channels() -> None:
    grey = draw(DISC)[..., 0]
    assert measure(grey) == measure(np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_picture_is_refused(image: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(DataError, match="picture"):
        measure(image)


def test_thresholds_are_quantiles_of_what_is_known() -> None:
    rows = [{**dict.fromkeys(MEASURES, math.nan), "found": 1.0, "asymmetry": float(v)} for v in range(7)]
    rows.append(dict.fromkeys(MEASURES, math.nan))
    assert learn_thresholds(rows) == {"asymmetry": (pytest.approx(2.0), pytest.approx(4.0))}
    assert learn_thresholds([]) == {}


def test_words_by_level() -> None:
    levels = {"asymmetry": (0.1, 0.3), "blue_grey": (0.0, 0.0)}
    said = [words({"found": 1.0, "asymmetry": v, "blue_grey": 0.0}, levels) for v in (0.05, 0.2, 0.4)]
    assert said == [(WORDS["asymmetry"][k],) for k in range(3)]
    assert words({"found": 1.0, "blue_grey": 0.1}, levels) == ("blue-grey veil",)
    assert words({"found": 1.0, "asymmetry": math.nan}, levels) == ()


def test_every_word_is_said_of_one_level_and_without_a_separator() -> None:
    every = [w for levels in WORDS.values() for w in levels if w]
    assert len(set(every)) == len(every)
    assert not any(";" in w for w in every)
    assert set(CONCERNING) <= set(every)


def test_quality() -> None:
    levels = {"sharpness": (0.1, 0.5), "brightness": (0.2, 0.8)}
    assert quality_note({"sharpness": 0.2, "brightness": 0.5}, levels) == "adequate"
    assert quality_note({"sharpness": 0.05, "brightness": 0.9}, levels) == "soft focus, bright"
