"""Slices of NIfTI volumes: orientations, scaling and damaged files."""

from __future__ import annotations

import gzip
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest

nib = pytest.importorskip("nibabel")

from datamodules.io.formats import nifti  # noqa: E402
from datamodules.io.formats.nifti import nifti_shape, read_nifti_slice  # noqa: E402
from zoo.errors import DataError, SpecError  # noqa: E402

RAS = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
"""A canonical volume: 2 voxels to the right, 3 to anterior, 4 to superior."""
ORDERS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


def save(path: Path, order: tuple[int, ...] = (0, 1, 2), signs: tuple[int, ...] = (1, 1, 1), **header: float) -> Path:
    """Save RAS with file axis i along canonical axis order[i], in direction signs[i]."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for i, (axis, sign) in enumerate(zip(order, signs, strict=True)):
        affine[axis, i] = sign * (1.0 + i)
    stored = RAS.transpose(order)[tuple(slice(None, None, s) for s in signs)]
    nib.save(nib.Nifti1Image(np.ascontiguousarray(stored), affine), path)
    return path


@pytest.mark.parametrize(("order", "signs"), ORDERS)
def test_every_orientation_gives_the_same_slices(
    tmp_path: Path, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    path = save(tmp_path / "a.nii", order, signs)
    assert nifti_shape(path) == (2, 3, 4)
    axial = read_nifti_slice(path, 1)
    assert axial.dtype == np.float32
    assert axial.tolist() == [[21, 9], [17, 5], [13, 1]]  # anterior up, the patient's right at the left
    assert read_nifti_slice(path, 2, axis="coronal").tolist() == [[23, 11], [22, 10], [21, 9], [20, 8]]
    assert read_nifti_slice(path, 0, axis="sagittal").tolist() == [[11, 7, 3], [10, 6, 2], [9, 5, 1], [8, 4, 0]]


def test_same_as_nibabel_canonical(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", (2, 0, 1), (-1, 1, -1))
    canonical = nib.as_closest_canonical(nib.load(path)).get_fdata()
    for k in range(4):
        assert np.array_equal(read_nifti_slice(path, k), canonical[::-1, ::-1, k].T)


def test_an_oblique_volume_takes_the_nearest_axes(tmp_path: Path) -> None:
    turn = np.deg2rad(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    nib.save(nib.Nifti1Image(RAS, affine), tmp_path / "a.nii")
    assert read_nifti_slice(tmp_path / "a.nii", 1).tolist() == [[21, 9], [17, 5], [13, 1]]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_slope_and_intercept(tmp_path: Path, suffix: str, kind: type) -> None:
    image = kind(RAS, np.eye(4))
    image.header.set_slope_inter(0.5, -1024)
    path = tmp_path / f"a{suffix}"
    nib.save(image, path)
    expected = nib.load(path).get_fdata()[::-1, ::-1, 3].T
    assert np.array_equal(read_nifti_slice(path, 3), expected.astype(np.float32))
    assert not np.array_equal(expected, RAS[::-1, ::-1, 3].T)


def test_big_endian_and_float_and_trailing_axis(tmp_path: Path) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.float32)
    nib.save(nib.Nifti1Image(RAS[..., None].astype(np.float32), np.eye(4), header), tmp_path / "a.nii")
    assert nifti_shape(tmp_path / "a.nii") == (2, 3, 4)
    assert read_nifti_slice(tmp_path / "a.nii", 0).tolist() == [[20, 8], [16, 4], [12, 0]]


def test_content_decides_on_gzip(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii")
    path.rename(tmp_path / "b.nii.gz")
    assert nifti_shape(tmp_path / "b.nii.gz") == (2, 3, 4)
    (tmp_path / "c.nii").write_bytes(gzip.compress((tmp_path / "b.nii.gz").read_bytes()))
    assert read_nifti_slice(tmp_path / "c.nii", 1).tolist() == [[21, 9], [17, 5], [13, 1]]


def test_last_volume_is_kept_and_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz")
    nifti.unpacked_bytes.cache_clear()
    read_nifti_slice(path, 0)
    read_nifti_slice(path, 1)
    assert nifti.unpacked_bytes.cache_info().hits == 1
    nib.save(nib.Nifti1Image(RAS + 100, np.eye(4)), path)
    assert read_nifti_slice(path, 1).tolist() == [[121, 109], [117, 105], [113, 101]]


@pytest.mark.parametrize("index", [-1, 4])
def test_index_outside(tmp_path: Path, index: int) -> None:
    with pytest.raises(DataError, match=rf"no axial slice {index}; the volume has 4.*a\.nii"):
        read_nifti_slice(save(tmp_path / "a.nii"), index)


def test_unknown_plane(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="axis 'z' is unknown"):
        read_nifti_slice(save(tmp_path / "a.nii"), 0, axis="z")  # type: ignore[arg-type]


def test_not_one_volume_of_finite_real_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 5), np.float32), np.eye(4)), path)
    with pytest.raises(DataError, match=r"one volume.*\(2, 2, 2, 5\)"):
        nifti_shape(path)
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.complex64), np.eye(4)), path)
    with pytest.raises(DataError, match="real numbers, got complex64"):
        nifti_shape(path)
    holed = np.zeros((2, 2, 2), np.float32)
    holed[0, 0, 1] = np.nan
    nib.save(nib.Nifti1Image(holed, np.eye(4)), path)
    assert read_nifti_slice(path, 0).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(DataError, match=r"1 of 4 values of axial slice 1.*a\.nii"):
        read_nifti_slice(path, 1)


def refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match=path.name):
        read_nifti_slice(path, 0)


def test_damaged_files(tmp_path: Path) -> None:
    plain = save(tmp_path / "good.nii").read_bytes()
    packed = gzip.compress(plain)
    for name, content in {
        "empty": b"", "short": plain[:100], "header": plain[:348], "voxels": plain[:-1], "text": b"study\n" * 200,
        "gzip": packed[:10], "half": packed[: len(packed) // 2], "sum": packed[:-8] + bytes(8),
        "flipped": packed[:60] + bytes(b ^ 0xFF for b in packed[60:80]) + packed[80:],
        "nothing": gzip.compress(b""), "fewer": gzip.compress(plain[:-1]),
    }.items():  # fmt: skip
        refused(tmp_path / f"{name}.nii", content)
    with pytest.raises(DataError, match="missing"):
        nifti_shape(tmp_path / "absent.nii")


def test_claims_beyond_the_file_allocate_nothing(tmp_path: Path) -> None:
    plain = bytearray(save(tmp_path / "good.nii").read_bytes())
    struct.pack_into("<8h", plain, 40, 3, 32767, 32767, 32767, 1, 1, 1, 1)
    refused(tmp_path / "huge.nii", bytes(plain))
    refused(tmp_path / "huge.nii.gz", gzip.compress(bytes(plain)))
    struct.pack_into("<8h", plain, 40, 3, -2, 3, 4, 1, 1, 1, 1)
    refused(tmp_path / "negative.nii", bytes(plain))
    struct.pack_into("<8h", plain, 40, 3, 2, 3, 4, 1, 1, 1, 1)
    struct.pack_into("<f", plain, 108, 1e30)
    refused(tmp_path / "offset.nii", bytes(plain))
    struct.pack_into("<f", plain, 108, float("nan"))
    refused(tmp_path / "nan.nii", bytes(plain))


def test_flipped_header_bytes_end_in_a_dataerror_or_a_slice(tmp_path: Path) -> None:
    plain = save(tmp_path / "good.nii").read_bytes()
    path = tmp_path / "flipped.nii"
    outcomes = []
    for position in range(352):
        damaged = bytearray(plain)
        damaged[position] ^= 0xFF
        path.write_bytes(bytes(damaged))
        try:
            outcomes.append(str(read_nifti_slice(path, 0).ndim))
        except DataError as error:
            outcomes.append(str(error.file))
    assert set(outcomes) == {"2", str(path)}
