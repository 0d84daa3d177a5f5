"""TexturePainter, Frechet distance and colour features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from zoo.errors import DataError, SpecError
from zoo.generation.painters.image_statistics import ColourFeatures, frechet_distance, gaussian_frechet, image_frechet
from zoo.generation.painters.texture import TexturePainter
from zoo.generator import GENERATORS, Condition


def spectrum(image: np.ndarray) -> np.ndarray:
    """Amplitudes without phase, so that where waves start does not matter."""
    return np.abs(np.fft.fft2(image.astype(float), axes=(0, 1)))


def test_texture_is_a_function_of_row_and_seed() -> None:
    painter = TexturePainter(size=32)
    rows = [
        Condition("a", metadata={"biome": "sea", "ph": 8.0}),
        Condition("b", metadata={"biome": "sea", "ph": 8.0}),
    ]
    first, twin = painter.generate(rows, 0)
    assert first.value.shape == (32, 32, 3)
    assert first.value.dtype == np.uint8
    np.testing.assert_array_equal(TexturePainter(size=32).generate(rows[:1], 0)[0].value, first.value)
    assert (twin.value != first.value).any()
    assert (painter.generate(rows, 1)[0].value != first.value).any()


def test_texture_shows_the_metadata_and_not_the_label() -> None:
    painter = TexturePainter(size=32, noise=0.0)
    tables = [{"biome": "sea", "ph": 8.0}, {"biome": "soil", "ph": 8.0}, {"biome": "sea", "ph": 4.0}]
    sea, soil, sour = (spectrum(painter.generate([Condition("a", metadata=t)], 0)[0].value) for t in tables)
    assert np.abs(sea - soil).mean() > 1
    assert np.abs(sea - sour).mean() > 0.1
    one, other = painter.generate([Condition("a", metadata=tables[0], label=x) for x in "xy"], 0)
    np.testing.assert_array_equal(one.value, other.value)
    (only,) = TexturePainter(size=32, noise=0.0, columns=["biome"]).generate([Condition("a", metadata=tables[0])], 0)
    (same,) = painter.generate([Condition("a", metadata={"biome": "sea"})], 0)
    np.testing.assert_array_equal(only.value, same.value)


def test_texture_says_that_it_is_simulated() -> None:
    painter = TexturePainter()
    made = painter.generate(
        [Condition("a", metadata={"x": 1.0}), Condition("b"), Condition("c", metadata={"x": None})], 0
    )
    assert [m.status for m in made] == ["ok", "rejected", "rejected"]
    assert "no information" in made[0].reason
    assert GENERATORS.get("TexturePainter").simulated
    assert "simulated" in painter.options()


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(min_size=1), st.one_of(st.floats(), st.text(), st.none()), max_size=5))
def test_texture_takes_any_table(table: dict[str, float | str | None]) -> None:
    (made,) = TexturePainter(size=16).generate([Condition("a", metadata=table)], 0)
    assert made.status == "rejected" or made.value.shape == (16, 16, 3)


def test_texture_options_are_checked() -> None:
    for options, message in (({"size": 8}, "size"), ({"noise": 2}, "noise"), ({"ranges": {"a": [1, 1]}}, "ranges")):
        with pytest.raises(SpecError, match=message):
            TexturePainter(**options)
    ranged = TexturePainter(ranges={"x": [0, 10]}, noise=0.0)
    low, below = ranged.generate([Condition("a", metadata={"x": v}) for v in (0.0, -5.0)], 0)
    np.testing.assert_array_equal(low.value, below.value)


def test_frechet_of_gaussians_by_hand_and_against_scipy() -> None:
    # |(1, 2)|^2 + (2 - 1)^2 + (3 - 1)^2 for diagonal covariances: 5 + 1 + 4
    assert gaussian_frechet([1, 2], np.diag([4, 9]), [0, 0], np.eye(2)) == pytest.approx(10.0)
    random = np.random.default_rng(0)
    a, b = (m @ m.T for m in random.normal(size=(2, 5, 5)))
    expected = np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert gaussian_frechet(np.zeros(5), a, np.zeros(5), b) == pytest.approx(expected)
    flat = np.diag([1.0, 0.0])  # of rank 1: (1 - 0)^2 + (0 - 2)^2
    assert gaussian_frechet([0, 0], flat, [0, 0], np.diag([0.0, 4.0])) == pytest.approx(5.0)


def test_frechet_of_features() -> None:
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])  # mean 0, covariance 1
    assert frechet_distance(corners, 3 * corners + [1, 0], "empirical") == pytest.approx(1 + 4 + 4)
    random = np.random.default_rng(0)
    few = random.normal(size=(5, 40))  # fewer rows than features
    for covariance in ("ledoit_wolf", "empirical"):
        assert frechet_distance(few, few, covariance) == pytest.approx(0.0, abs=1e-6)
    near, far = random.normal(size=(2, 60, 8)) + np.array([0.0, 2.0])[:, None, None]
    real = random.normal(size=(60, 8))
    assert frechet_distance(real, near) < frechet_distance(real, far)
    assert frechet_distance(real, far) == pytest.approx(frechet_distance(far, real))


def test_frechet_refuses_what_has_no_distance() -> None:
    good = np.random.default_rng(0).normal(size=(4, 3))
    bad = good.copy()
    bad[2, 1] = np.nan
    with pytest.raises(DataError, match=r"1 of 4 rows of the made features.*row: 2"):
        frechet_distance(good, bad)
    with pytest.raises(DataError, match="2 rows at least"):
        frechet_distance(good[:1], good)
    with pytest.raises(DataError, match="3 wide, of made 2"):
        frechet_distance(good, good[:, :2])
    with pytest.raises(SpecError, match="'robust' is unknown"):
        frechet_distance(good, good, "robust")


def test_colour_features() -> None:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (9, 12, 3)).astype(np.uint8) for _ in range(20)]
    features = ColourFeatures(images, components=4, size=8)
    table = features(images)
    assert table.shape == (20, 10)
    np.testing.assert_allclose(table.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(table.std(0), 1)
    dark = [(i // 2).astype(np.uint8) for i in images]
    assert image_frechet(images, images, features) < 1e-6 < image_frechet(images, dark, features)
    assert features([images[0][..., 0]]).shape == (1, 10)
    with pytest.raises(DataError, match="2 images"):
        ColourFeatures(images[:1])
