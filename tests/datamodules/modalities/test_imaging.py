"""The image processor, and the reading of files, against hand-computed values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datamodules.core.choice import default_processor
from datamodules.io.files import (
    content_keys,
    read_csv,
    read_json_rows,
    read_npz,
    require_listed,
)
from datamodules.io.frames import ImageReading
from datamodules.io.images import read_image
from datamodules.modalities.imaging import ImageProcessor
from tests.options import grouped_for
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality

XRAY = RawModality("xray", "image")
CT = RawModality("ct", "image", unit="HU")


def fitted(value: np.ndarray, raw: RawModality = XRAY, **arguments: object) -> ImageProcessor:
    processor = ImageProcessor(**grouped_for(ImageProcessor, **arguments))  # type: ignore[arg-type]
    processor.fit(raw, [value])
    return processor


def test_registered_for_images() -> None:
    assert type(default_processor("image")) is ImageProcessor


def test_same_size_is_exact() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4) * 17
    out = fitted(image, size=4)(image)
    assert out.shape == (1, 4, 4)
    assert out.dtype == torch.float32
    np.testing.assert_allclose(out[0].numpy(), image / 255 * 2 - 1, atol=1e-6)


def test_padding_is_black_and_centred() -> None:
    image = np.full((2, 4), 255, dtype=np.uint8)
    out = fitted(image, size=4)(image)
    assert out[0].tolist() == [[-1.0] * 4, [1.0] * 4, [1.0] * 4, [-1.0] * 4]
    assert (fitted(image, size=4, pad=False)(image) == 1).all()


def test_resize_is_antialiased() -> None:
    """A fine checkerboard becomes grey; without antialiasing it would stay black and white."""
    image = ((np.indices((64, 64)).sum(0) % 2) * 255).astype(np.uint8)
    out = fitted(image, size=8)(image)
    assert out.abs().max() < 0.05


def test_resize_agrees_with_pillow() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((10, 10), Image.Resampling.BILINEAR)) / 255 * 2 - 1
    np.testing.assert_allclose(fitted(image, size=10)(image)[0].numpy(), expected, atol=2.5 / 255)


def test_grey_and_colour() -> None:
    colour = np.zeros((4, 4, 3), dtype=np.uint8)
    colour[..., 0] = 200
    grey_as_rgb = np.full((4, 4, 3), 77, dtype=np.uint8)
    assert fitted(colour).spec(XRAY).shape == (3, 32, 32)
    assert fitted(grey_as_rgb).spec(XRAY).shape == (1, 32, 32)
    assert fitted(grey_as_rgb[..., 0], channels=3, size=4)(grey_as_rgb[..., 0]).shape == (3, 4, 4)
    luma = fitted(colour, channels=1, size=4)(colour)
    np.testing.assert_allclose(luma.numpy(), 0.299 * 200 / 255 * 2 - 1, atol=1e-5)


def test_channels_from_any_of_several() -> None:
    processor = ImageProcessor()
    red = np.zeros((3, 3, 3), dtype=np.uint8)
    red[..., 0] = 9
    processor.fit(XRAY, [np.zeros((3, 3), dtype=np.uint8), red])
    assert processor.spec(XRAY).shape[0] == 3


def test_window_clips_and_scales() -> None:
    image = np.array([[-1000.0, -100.0], [0.0, 400.0]], dtype=np.float32)
    out = fitted(image, CT, size=2, window=(-100.0, 300.0))(image)
    np.testing.assert_allclose(out[0].numpy(), [[-1.0, -1.0], [-0.5, 1.0]], atol=1e-6)
    soft = fitted(image, CT, size=2)(image)
    np.testing.assert_allclose(soft[0].numpy(), [[-1.0, 60 / 200 - 1], [160 / 200 - 1, 1.0]], atol=1e-6)


def test_percentiles_are_learned_in_fit() -> None:
    images = [np.full((10, 10), float(k), dtype=np.float32) for k in range(101)]
    processor = ImageProcessor(size=2, percentiles=(10.0, 90.0))
    assert processor.fits
    assert not ImageProcessor().fits
    processor.fit(XRAY, images)
    for value, expected in ((5.0, -1.0), (10.0, -1.0), (50.0, 0.0), (90.0, 1.0), (99.0, 1.0)):
        out = processor(np.full((4, 4), value, dtype=np.float32))
        np.testing.assert_allclose(out.numpy(), expected, atol=1e-5)


def test_uint8_and_hounsfield_share_a_modality() -> None:
    """Pictures of 8 bits are scaled by 255 whatever the window is."""
    processor = fitted(np.zeros((2, 2), dtype=np.float32), CT, size=2, window=(0.0, 100.0))
    assert (processor(np.full((2, 2), 255, dtype=np.uint8)) == 1).all()
    assert (processor(np.full((2, 2), 50, dtype=np.float32)) == 0).all()


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((0, 4), dtype=np.uint8), "pixels"),
        (np.zeros((4, 4, 2), dtype=np.uint8), r"\(4, 4, 2\)"),
        (np.zeros(4, dtype=np.uint8), r"\(4,\)"),
        (np.zeros((4, 4), dtype=np.int64), "int64"),
        (np.array([[0.0, np.nan]], dtype=np.float32), "1 values that are NaN"),
        (np.zeros((4, 4), dtype=np.float32), "window="),
    ],
)
def test_refused_images(image: np.ndarray, says: str) -> None:
    processor = fitted(np.zeros((4, 4), dtype=np.uint8), size=4)
    with pytest.raises(DataError, match=says):
        processor(image)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"size": 0}, "size"),
        ({"channels": 2}, "channels"),
        ({"window": (1.0, 1.0)}, "window"),
        ({"window": (0.0, 1.0), "percentiles": (1.0, 99.0)}, "not both"),
        ({"percentiles": (99.0, 1.0)}, "percentiles"),
        ({"shift": 32}, "shift"),
        ({"rotation": -1.0}, "rotation"),
        ({"contrast": 2.0}, "contrast"),
    ],
)
def test_refused_arguments(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        ImageProcessor(**grouped_for(ImageProcessor, **arguments))  # type: ignore[arg-type]


def test_must_be_fitted() -> None:
    with pytest.raises(SpecError, match="fit"):
        ImageProcessor().spec(XRAY)
    with pytest.raises(SpecError, match="fit"):
        ImageProcessor()(np.zeros((4, 4), dtype=np.uint8))
    flat = np.zeros((4, 4), dtype=np.float32)
    with pytest.raises(DataError, match="both"):
        ImageProcessor(percentiles=(1.0, 99.0)).fit(XRAY, [flat])


def test_augmentation_is_a_function_of_the_generator() -> None:
    image = np.random.default_rng(1).integers(0, 256, (16, 16), dtype=np.uint8)
    processor = fitted(image, size=16, augment=True, flip=True, shift=2)
    plain = processor(image)
    once = processor.augment(plain, np.random.default_rng(5))
    again = processor.augment(plain, np.random.default_rng(5))
    other = processor.augment(plain, np.random.default_rng(6))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert not torch.equal(once, plain)
    assert once.shape == plain.shape
    assert once.min() >= -1
    assert once.max() <= 1
    assert torch.equal(plain, processor(image))
    off = fitted(image, size=16)
    assert torch.equal(off.augment(plain, np.random.default_rng(5)), plain)


def test_flip_alone_gives_the_image_or_its_mirror() -> None:
    image = np.random.default_rng(1).integers(0, 256, (8, 8), dtype=np.uint8)
    processor = fitted(image, size=8, augment=True, flip=True, rotation=0.0, brightness=0.0, contrast=0.0)
    plain, generator = processor(image), np.random.default_rng(0)
    mirrored = 0
    for _ in range(200):
        out = processor.augment(plain, generator)
        is_mirror = torch.allclose(out, plain.flip(-1), atol=1e-6)
        assert is_mirror or torch.allclose(out, plain, atol=1e-6)
        mirrored += is_mirror
    assert 70 < mirrored < 130


def test_shift_alone_moves_by_whole_pixels_within_its_limit() -> None:
    image = np.zeros((9, 9), dtype=np.uint8)
    image[4, 4] = 255
    processor = fitted(image, size=9, augment=True, shift=2, rotation=0.0, brightness=0.0, contrast=0.0)
    plain, generator, seen = processor(image), np.random.default_rng(0), set()
    for _ in range(300):
        out = processor.augment(plain, generator)[0]
        where = (out > 0.9).nonzero().tolist()
        assert len(where) == 1
        seen.add((where[0][0] - 4, where[0][1] - 4))
    assert seen == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.booleans(), st.integers(1, 24))
def test_any_shape_gives_the_spec(height: int, width: int, colour: bool, pad: bool, size: int) -> None:
    shape = (height, width, 3) if colour else (height, width)
    image = np.random.default_rng(height * 41 + width).integers(0, 256, shape, dtype=np.uint8)
    processor = fitted(image, size=size, pad=pad)
    out = processor(image)
    assert tuple(out.shape) == processor.spec(XRAY).shape
    assert out.min() >= -1
    assert out.max() <= 1


def test_read_image_modes(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert np.array_equal(read_image(tmp_path / "grey.png"), grey)
    deep = (grey.astype(np.uint16) * 1000) + 7
    Image.fromarray(deep).save(tmp_path / "deep.png")
    read = read_image(tmp_path / "deep.png")
    assert read.dtype == np.uint16
    assert np.array_equal(read, deep)
    rgba = np.dstack([grey, grey + 1, grey + 2, np.full_like(grey, 255)])
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    assert np.array_equal(read_image(tmp_path / "rgba.png"), rgba[..., :3])
    Image.fromarray(grey).convert("1").save(tmp_path / "binary.png")
    assert read_image(tmp_path / "binary.png").dtype == np.uint8
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(grey).save(tmp_path / "turned.png", exif=turned)
    assert np.array_equal(read_image(tmp_path / "turned.png"), np.rot90(grey, -1))


def test_unreadable_images_name_the_file(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)).save(whole)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:400])
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("cut.jpg", "text.png", "empty.png", "absent.png"):
        with pytest.raises(DataError, match=name):
            read_image(tmp_path / name)


def test_read_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("file,grade\na.jpg,\nNA,001\n")
    assert read_csv(path, ("file", "grade")).to_numpy().tolist() == [["a.jpg", ""], ["NA", "001"]]
    with pytest.raises(DataError, match=r"did you mean 'grade'.*t\.csv"):
        read_csv(path, ("file", "grades"))
    for text in ("", "file,grade\n", 'file,grade\n"a,b\n', "file,grade\na,b,c,d\ne,f,g\n"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"t\.csv"):
            read_csv(path, ("file", "grade"))
    path.write_bytes(b"file,grade\n\xff\xfe,1\n")
    with pytest.raises(DataError, match=r"UTF-8.*t\.csv"):
        read_csv(path, ("file", "grade"))


def test_read_npz_never_unpickles(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.zeros((2, 3)), b=np.array([{"x": 1}], dtype=object))
    assert read_npz(path, "a").shape == (2, 3)
    with pytest.raises(DataError, match=r"Object arrays.*a\.npz"):
        read_npz(path, "b")
    with pytest.raises(DataError, match="no array 'c'"):
        read_npz(path, "c")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"a\.npz"):
        read_npz(path, "a")


def test_read_json_rows(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text('[{"a": 1}, {"b": 2}]')
    with pytest.raises(DataError, match=r"\['a'\].*r\.json.*row: 1"):
        read_json_rows(path, ("a",))
    for text in ("{", "{}", "[]", "[1]", '"a"'):
        path.write_text(text)
        with pytest.raises(DataError, match=r"r\.json"):
            read_json_rows(path, ("a",))


def test_small_helpers(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"two"), ("c", b"one"), ("d", b"three")):
        (tmp_path / name).write_bytes(content)
    keys = content_keys([tmp_path / n for n in "abcd"])
    assert keys[0] == keys[2] != ""
    assert keys[1] == keys[3] == ""
    with pytest.raises(DataError, match=r"1 of the 2 images.*first is 'z'.*row: 1"):
        require_listed(tmp_path, ["a", "z"], tmp_path / "labels.csv")


def test_a_window_is_one_of_8_bits_too_where_there_is_no_unit() -> None:
    image = np.array([[0, 50], [100, 255]], dtype=np.uint8)
    processor = ImageProcessor(size=2, channels=1, window=(50.0, 100.0))
    processor.fit(RawModality("scan", "image"), [image])
    assert processor(image)[0].tolist() == [[-1, -1], [1, 1]]
    assert processor.decode(processor(image)).tolist() == [[50, 50], [100, 100]]
    processor = ImageProcessor(size=2, channels=1, window=(-1000.0, 1000.0))
    processor.fit(RawModality("ct", "image", unit="HU"), [image])
    assert np.allclose(processor(image)[0], image / 127.5 - 1)  # an export to be looked at: not in HU


def test_16_bits_have_one_scale() -> None:
    processor = ImageProcessor(size=2, channels=1)
    dark = np.array([[0, 655], [1310, 1311]], dtype=np.uint16)
    processor.fit(RawModality("scan", "image"), [dark])
    assert np.allclose(processor(dark)[0], dark / 32767.5 - 1, atol=1e-6)
    processor = ImageProcessor(size=2, channels=1, percentiles=(0.0, 100.0))
    processor.fit(RawModality("scan", "image"), [dark])
    assert processor(dark)[0].min() == -1
    assert processor(dark)[0].max() == 1


def test_how_files_are_read() -> None:
    plain, hu = RawModality("scan", "image"), RawModality("ct", "image", unit="HU")
    assert ImageProcessor().reading(plain) == ImageReading()
    assert ImageProcessor().reading(hu) == ImageReading(unit="HU")
    assert ImageProcessor(window=(5.0, 9.0)).reading(plain) == ImageReading(values="levels", padding=5.0)
    assert ImageProcessor(percentiles=(1.0, 99.0)).reading(plain).values == "levels"
    own = ImageProcessor(reading=ImageReading(unit="SUV", values="display", padding=-1.0), window=(0.0, 5.0))
    assert own.reading(plain) == ImageReading(unit="SUV", values="display", padding=-1.0)
    own.fit(plain, [np.zeros((4, 4), np.uint8)])
    assert own.spec(plain).unit == "SUV"
    with pytest.raises(SpecError, match="frames are channels: leave channels at 0"):
        ImageProcessor(channels=3, reading=ImageReading(frame="all"))
    for wrong in ({"frame": -1}, {"frame": "first"}, {"plane": "flat"}, {"level": -1}, {"values": "raw"}):
        with pytest.raises(SpecError, match="ImageReading"):
            ImageReading(**wrong)
