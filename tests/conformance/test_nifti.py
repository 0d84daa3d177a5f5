"""NIfTI as nibabel reads it: the closest canonical orientation, scaled values."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

nib = pytest.importorskip("nibabel")

from datamodules.io.frames import ImageReading  # noqa: E402
from datamodules.io.images import decode_image, read_image  # noqa: E402
from tests.conformance.table import Case, Format, Variant, cases  # noqa: E402

VOXELS = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)
OBLIQUE = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.3, 0.2, 0.1) * [1, 2, 3], [4, 5, 6])


def nifti(
    voxels: npt.NDArray[Any] = VOXELS,
    affine: npt.NDArray[Any] | None = None,
    *,
    name: str = "a.nii",
    kind: type = nib.Nifti1Image,
    slope: tuple[float, float] | None = None,
    order: str = "<",
) -> Callable[[Path], Path]:
    """A volume."""

    def make(folder: Path) -> Path:
        header = kind.header_class(endianness=order)
        header.set_data_dtype(voxels.dtype)
        image = kind(voxels, np.eye(4) if affine is None else affine, header)
        if slope:
            image.header.set_slope_inter(*slope)
        nib.save(image, folder / name)
        return folder / name

    return make


def quaternion_only(folder: Path) -> Path:
    """An orientation in the qform alone."""
    image = nib.Nifti1Image(VOXELS, None)
    image.header.set_qform(np.diag([-2.0, 3.0, -4.0, 1.0]), code=1)
    image.header.set_sform(None, code=0)
    nib.save(image, folder / "a.nii")
    return folder / "a.nii"


def no_suffix(folder: Path) -> Path:
    return nifti(name="a.nii.gz")(folder).rename(folder / "volume")


def wrong_suffix(folder: Path) -> Path:
    path = nifti()(folder)
    (folder / "a.img").write_bytes(gzip.compress(path.read_bytes()))
    return folder / "a.img"


def pair(folder: Path) -> Path:
    nib.save(nib.Nifti1Pair(VOXELS, np.eye(4)), folder / "a.hdr")
    return folder / "a.hdr"


def analyze(folder: Path) -> Path:
    nib.save(nib.AnalyzeImage(VOXELS, np.eye(4)), folder / "a.hdr")
    return folder / "a.hdr"


def cut(folder: Path) -> Path:
    path = nifti(name="a.nii.gz")(folder)
    path.write_bytes(path.read_bytes()[:-40])
    return path


def ours(path: Path, **reading: Any) -> npt.NDArray[Any]:
    """All slices of a plane, as (F, H, W) where there are several."""
    image = read_image(path, reading=ImageReading(**({"frame": "all"} | reading)))
    return np.moveaxis(image, -1, 0) if image.ndim == 3 else image


def taking(**reading: Any) -> Callable[[Path], npt.NDArray[Any]]:
    return lambda path: ours(path, **reading)


def canonical(path: Path) -> npt.NDArray[Any]:
    """nibabel's canonical volume with its axes last in the order of the planes, (volumes ..., X, Y, Z)."""
    image = nib.as_closest_canonical(nib.Nifti1Image.from_bytes(_unpacked(path)) if _first(path) else _second(path))
    voxels = image.get_fdata().astype(np.float32)
    return np.moveaxis(voxels, range(3), range(-3, 0))


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _first(path: Path) -> bool:
    return 348 in (int.from_bytes(_unpacked(path)[:4], order) for order in ("little", "big"))


def _second(path: Path) -> Any:
    return nib.Nifti2Image.from_bytes(_unpacked(path))


def axial(path: Path) -> npt.NDArray[Any]:
    """Axial slices, volume by volume, as radiologists view them: anterior up, the patient's right at the left."""
    voxels = canonical(path)
    return np.moveaxis(voxels, -1, -3).swapaxes(-1, -2)[..., ::-1, ::-1].reshape(-1, *voxels.shape[-2:-4:-1])


def coronal(path: Path) -> npt.NDArray[Any]:
    return np.moveaxis(canonical(path), -2, -3).swapaxes(-1, -2)[..., ::-1, ::-1]


def sagittal(path: Path) -> npt.NDArray[Any]:
    return canonical(path).swapaxes(-1, -2)[..., ::-1, ::-1]


NIFTI = Format(
    "NIfTI",
    library="nibabel.as_closest_canonical, get_fdata",
    reference=axial,
    ours=ours,
    variants=(
        Variant("signed 16 bits", nifti()),
        Variant("compressed", nifti(name="a.nii.gz")),
        Variant("compressed, without suffix", no_suffix),
        Variant("compressed, named .img", wrong_suffix),
        Variant("NIfTI-2", nifti(kind=nib.Nifti2Image)),
        Variant("big-endian", nifti(order=">")),
        Variant("big-endian NIfTI-2", nifti(kind=nib.Nifti2Image, order=">")),
        Variant("slope and intercept", nifti(slope=(0.5, -1024))),
        Variant("unsigned 8 bits, scaled", nifti(VOXELS.astype(np.uint8), slope=(0.25, 3))),
        Variant("decimal numbers", nifti(VOXELS.astype(np.float32) / 7)),
        Variant("decimal numbers of 64 bits", nifti(VOXELS / 7)),
        Variant("radiological order (LAS)", nifti(affine=np.diag([-1.0, 1, 1, 1]))),
        Variant("the order of DICOM (LPS)", nifti(affine=np.diag([-0.5, -0.5, 5, 1]))),
        Variant("sagittal order of the file", nifti(affine=np.eye(4)[[1, 2, 0, 3]])),
        Variant("an oblique volume", nifti(affine=OBLIQUE)),
        Variant("an orientation in the qform alone", quaternion_only),
        Variant("coronal slices", nifti(affine=OBLIQUE), ours=taking(plane="coronal"), reference=coronal),
        Variant("sagittal slices", nifti(affine=OBLIQUE), ours=taking(plane="sagittal"), reference=sagittal),
        Variant("slices, none chosen", nifti(), ours=read_image, error="holds 7 axial slices"),
        Variant("the middle slice", nifti(), ours=taking(frame="middle"), reference=lambda p: axial(p)[3]),
        Variant("a slice beyond the last", nifti(), ours=taking(frame=7), error="no frame 7"),
        Variant("a single slice", nifti(VOXELS[:, :, :1]), ours=read_image, reference=lambda p: axial(p)[0]),
        Variant("two axes", nifti(VOXELS[:, :, 0]), ours=read_image,
                reference=lambda p: nib.load(p).get_fdata().T[::-1, ::-1]),
        Variant("a fourth axis of length 1", nifti(VOXELS[..., None])),
        Variant("four volumes of times", nifti(np.stack([VOXELS, VOXELS + 9, -VOXELS, VOXELS * 2], -1))),
        Variant("four volumes, none chosen", nifti(np.stack([VOXELS] * 4, -1)), ours=read_image,
                error="28 axial slices (4 x 7)"),
        Variant("the middle slice of the middle of four volumes, compressed",
                nifti(np.stack([VOXELS, VOXELS + 9, -VOXELS, VOXELS * 2], -1), name="a.nii.gz"),
                ours=taking(frame="middle"), reference=lambda p: axial(p)[2 * 7 + 3]),
        Variant("the bytes of a volume", nifti(name="a.nii.gz"),
                ours=lambda p: decode_image(p.read_bytes(), reading=ImageReading(frame=2)),
                reference=lambda p: axial(p)[2]),
        Variant("complex numbers", nifti(VOXELS.astype(np.complex64)), error="must be real numbers"),
        Variant("NaN", nifti(np.where(VOXELS == 3, np.nan, VOXELS).astype(np.float32)), error="NaN or infinite"),
        Variant("header and voxels apart", pair, error="whose voxels lie in another file"),
        Variant("Analyze 7.5", analyze, error="does not say where left is"),
        Variant("cut short", cut, error="cannot be read"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", cases(NIFTI), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
