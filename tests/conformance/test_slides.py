"""Whole slides as OpenSlide reads them, whoever decodes them here, and with and without the optional packages."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from datamodules.io.frames import ImageReading
from datamodules.io.images import decode_image, read_image
from tests.conformance.slides import COARSE, FINE, JPEG, JPEG_2000, TILE, coded, write_mirax, write_pyramid, write_vms
from tests.conformance.table import Case, Format, Variant, cases

PLAIN: Mapping[str, Any] = {"format": ""}


def slide(how: Mapping[str, Any], *, aperio: bool) -> Callable[[Path], Path]:
    """A pyramid of tiles in one of two layouts."""
    return lambda folder: write_pyramid(folder / ("a.svs" if aperio else "a.tif"), how, aperio=aperio)


def with_openslide(level: int) -> Callable[[Path], npt.NDArray[Any]]:
    """A level as the library gives it, without its transparency."""

    def read(path: Path) -> npt.NDArray[Any]:
        import openslide

        with openslide.OpenSlide(path) as opened:
            return np.asarray(opened.read_region((0, 0), level, opened.level_dimensions[level]))[..., :3]

    return read


def ours(path: Path, level: int = 0) -> npt.NDArray[Any]:
    return read_image(path, reading=ImageReading(level=level))


def second(path: Path) -> npt.NDArray[Any]:
    return ours(path, 1)


def without(*modules: str, level: int = 0) -> Callable[[Path], npt.NDArray[Any]]:
    """Read as where these packages are missing, be they installed or not."""
    from tifffile import tifffile as module

    def missing(*_: Any, **__: Any) -> Any:
        raise ValueError("<COMPRESSION.APERIO_JP2000_RGB: 33005> requires the 'imagecodecs' package")

    def read(path: Path) -> npt.NDArray[Any]:
        with pytest.MonkeyPatch.context() as patch:
            if "imagecodecs" in modules:
                patch.setattr(module.TiffPage, "asarray", missing)
            if "openslide" in modules:
                patch.setitem(sys.modules, "openslide", None)
            return ours(path, level)

    return read


def tiles_on_ground(_: Path) -> npt.NDArray[Any]:
    """The two tiles of ``write_mirax`` as Pillow decodes them, beside a place of its colour of the background."""
    parts = [FINE[:TILE, :TILE], FINE[:TILE, TILE : 2 * TILE]]
    decoded = [np.asarray(Image.open(io.BytesIO(coded(p, JPEG))).convert("RGB")) for p in parts]
    ground = np.broadcast_to(np.array([0xFE, 0xFF, 0], np.uint8), (TILE, TILE, 3))
    return np.hstack([*decoded, ground])


def lonely(folder: Path) -> Path:
    """A slide of 3DHISTECH without the folder that holds the picture."""
    (folder / "b.mrxs").write_bytes(write_mirax(folder).read_bytes())
    return folder / "b.mrxs"


def cut_short(folder: Path) -> Path:
    """A slide of 3DHISTECH of whose tiles the last bytes are missing."""
    path = write_mirax(folder)
    data = folder / "a" / "Data0000.dat"
    data.write_bytes(data.read_bytes()[:-2000])
    return path


def database(folder: Path) -> Path:
    """What is no slide although one could begin like that."""
    (folder / "a.svslide").write_bytes(b"SQLite format 3\0" + bytes(4080))
    return folder / "a.svslide"


def as_bytes(path: Path) -> npt.NDArray[Any]:
    try:
        return decode_image(path.read_bytes())
    except Exception as error:
        error.file = path  # type: ignore[attr-defined]  # the caller of decode_image knows it
        raise


GENERIC, APERIO = slide(JPEG, aperio=False), slide(JPEG, aperio=True)
APERIO_2000 = slide(JPEG_2000, aperio=True)
NEEDS = "pip install -e '.[slides]'"

SLIDES = Format(
    "Whole slides",
    library="openslide.OpenSlide.read_region",
    reference=with_openslide(0),
    ours=ours,
    variants=(
        Variant("tiles of JPEG", GENERIC, needs="openslide"),
        Variant("tiles of JPEG, the second level", GENERIC, ours=second, reference=with_openslide(1),
                needs="openslide"),
        Variant("tiles without compression", slide(PLAIN, aperio=False), needs="openslide"),
        Variant("Aperio, JPEG", APERIO, needs="openslide"),
        Variant("Aperio, JPEG, the second level", APERIO, ours=second, reference=with_openslide(1),
                needs="openslide"),
        Variant("Aperio, no compression", slide(PLAIN, aperio=True), needs="openslide"),
        Variant("Aperio, JPEG, without the extra", APERIO, ours=without("openslide", "imagecodecs"),
                needs="openslide"),
        Variant("Aperio, JPEG 2000", APERIO_2000, reference=lambda _: FINE, needs="imagecodecs"),
        Variant("Aperio, JPEG 2000, the second level", APERIO_2000, ours=second, reference=lambda _: COARSE,
                needs="imagecodecs"),
        Variant("Aperio, JPEG 2000, without imagecodecs", APERIO_2000, ours=without("imagecodecs"),
                reference=lambda _: FINE, needs="openslide"),
        Variant("Aperio, JPEG 2000, the second level without imagecodecs", APERIO_2000,
                ours=without("imagecodecs", level=1), reference=lambda _: COARSE, needs="openslide"),
        Variant("Aperio, JPEG 2000, without the extra", APERIO_2000, ours=without("openslide", "imagecodecs"),
                error=NEEDS),
        Variant("JPEG 2000 in a layout that OpenSlide does not read, without imagecodecs",
                slide(JPEG_2000, aperio=False), ours=without("imagecodecs"), error=NEEDS),
        Variant("Aperio, a third level of two", APERIO, ours=lambda p: ours(p, 2), error="no level 2"),
        Variant("Hamamatsu, .vms", write_vms, needs="openslide"),
        Variant("Hamamatsu, .vms, the second level", write_vms, ours=second, reference=with_openslide(1),
                needs="openslide"),
        Variant("Hamamatsu, .vms, without the extra", write_vms, ours=without("openslide"), error=NEEDS),
        Variant("3DHISTECH, .mrxs, with a place that was not scanned", write_mirax, reference=tiles_on_ground,
                needs="openslide"),
        Variant("3DHISTECH, .mrxs, a level that it lacks", write_mirax, ours=second, error="no level 1",
                needs="openslide"),
        Variant("3DHISTECH, .mrxs, the sixth frame", write_mirax,
                ours=lambda p: read_image(p, reading=ImageReading(frame=5)), error="a slide has 1",
                needs="openslide"),
        Variant("3DHISTECH, .mrxs, without its folder", lonely, error="the folder 'b' that belongs to it",
                needs="openslide"),
        Variant("3DHISTECH, .mrxs, cut short", cut_short, error="cannot be decoded", needs="openslide"),
        Variant("3DHISTECH, .mrxs, without the extra", write_mirax, ours=without("openslide"), error=NEEDS),
        Variant("a database that is no slide", database, error="knows no slide", needs="openslide"),
        Variant("the bytes of a slide", write_vms, ours=as_bytes, error="save it to a file"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", cases(SLIDES), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
