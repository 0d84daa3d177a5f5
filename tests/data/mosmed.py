"""Write a tiny folder in the published layout of MosMedData (COVID19_1110)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

GRADES = ("CT-0", "CT-1", "CT-2", "CT-3", "CT-4")


def write(folder: Path, seed: int = 0, n: int = 20) -> None:
    """Write n volumes over five grades as study_0001.nii.gz ..., 12 x 10 voxels and 6 to 9 slices, stored as LPS.

    Voxels are whole HU; the voxel at the patient's right, anterior, in slice k (0 is the lowest) has 100 * k HU, and
    the other values are noise about -800.
    """
    import nibabel

    generator = np.random.default_rng(seed)
    affine = np.diag([-0.8, -0.8, 8.0, 1.0])
    for i in range(n):
        grade = i % 5
        voxels = generator.integers(-900, -700, (12, 10, 6 + i % 4)).astype(np.int16)
        voxels[3:8, 3:7] += 150 * grade
        voxels[0, 0] = 100 * np.arange(voxels.shape[2])
        path = folder / "studies" / GRADES[grade] / f"study_{i + 1:04d}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
