"""MosMedData: chest CT volumes graded by how much of the lungs COVID-19 has affected."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.formats.folders import require_classes, spread
from datamodules.io.formats.nifti import nifti_shape, read_nifti_slice
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

GRADES = ("CT-0", "CT-1", "CT-2", "CT-3", "CT-4")
"""No sign of pneumonia; at most 25 %, 25 to 50 %, 50 to 75 %, and more of the lung parenchyma affected."""
_SUFFIXES = (".nii.gz", ".nii")


@SOURCES.register
class MosMedData(Source):
    """Read axial slices of chest CT volumes, with the volume's grade as an ordinal label.

    Every slice carries the grade of its whole volume. Slices of a volume share a group; a volume is a patient.

    Args:
        folder: folder of ``studies`` below the root (the archive unpacks to COVID19_1110).
        task_name: name of the task.
        slices_per_volume: evenly spaced slices that are rows of their own.
        extent: part of the volume that slices are taken from, as fractions from the lowest slice to the highest.
        merge_severe: let CT-3 and CT-4, of which there are two volumes, be one class "CT-3 or CT-4".
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "mosmed",
        task_name: str = "covid_severity",
        slices_per_volume: int = 1,
        extent: tuple[float, float] = (0.1, 0.9),
        merge_severe: bool = False,
    ) -> None:
        super().__init__(folder=folder)
        if slices_per_volume < 1:
            raise SpecError(f"MosMedData: slices_per_volume must be at least 1, got {slices_per_volume}")
        if not 0 <= extent[0] < extent[1] <= 1:
            raise SpecError(f"MosMedData: extent must rise within 0..1, got {tuple(extent)}")
        self.task_name, self.slices_per_volume, self.extent = task_name, slices_per_volume, (extent[0], extent[1])
        severe = "CT-3 or CT-4"
        self.labels = {g: severe if merge_severe and g in GRADES[3:] else g for g in GRADES}
        self.card = SourceCard(
            title="MosMedData: Chest CT Scans with COVID-19 Related Findings (COVID19_1110)",
            modalities=(RawModality("ct", "image", unit="HU"),),
            tasks=(RawTask(task_name, "ordinal", tuple(dict.fromkeys(self.labels.values())), ("ct",)),),
            licence="CC BY-NC-ND 3.0 (non-commercial, no derivatives)",
            access="registration",
            citation="Morozov et al., MosMedData: Chest CT Scans with COVID-19 Related Findings Dataset, medRxiv "
            "2020.05.20.20100362, 2020",
            where="the publisher's site mosmed.ai, data set COVID19_1110",
            layout="studies/CT-{0,1,2,3,4}/study_NNNN.nii.gz (or .nii)",
            size="1,110 volumes of as many patients: 254, 684, 125, 45 and 2 of CT-0 to CT-4; about 33 GB unpacked",
            caution="Two volumes are CT-4: no split holds that class everywhere (see merge_severe). Only every tenth "
            "slice was published, of a soft-tissue reconstruction. A slice may show nothing of what the volume is "
            "graded for. The default window of CT images is that of soft tissue: give the image processor a lung "
            "window such as (-1350, 150) HU.",
        )

    def _index(self) -> pd.DataFrame:
        require_classes(self.path / "studies", GRADES)
        lines = []
        for grade in GRADES:
            seen: set[str] = set()
            for path in sorted((self.path / "studies" / grade).iterdir()):
                suffix = next((s for s in _SUFFIXES if path.name.endswith(s)), "")
                study = path.name.removesuffix(suffix)
                if not suffix or study.startswith("."):
                    continue
                if study in seen:
                    raise DataError(f"the study {study} is there both as .nii and as .nii.gz; keep one", file=path)
                seen.add(study)
                for k in range(self.slices_per_volume):
                    name = f"{grade}/{path.name}"
                    lines.append((f"{name}:{k + 1}of{self.slices_per_volume}", study, self.labels[grade], name, k))
        table = pd.DataFrame(lines, columns=["id", "group", "label", "file", "slice"])
        return table.assign(subject="", stratum=table["label"], split="")

    @cached_property
    def _rows(self) -> list[tuple[str, str, str, int]]:
        return list(zip(*(self.index[c] for c in ("id", "label", "file", "slice")), strict=True))

    def peek(self, row: int) -> Sample:
        """Return the grade of a row, without its slice."""
        name, label, _, _ = self._rows[row]
        return Sample(name, {"ct": None}, {self.task_name: label})

    def read(self, row: int) -> Sample:
        """Read the slice, float32 (H, W) in HU, and the grade of a row.

        Raises:
            DataError: the volume is damaged, or has fewer slices than are asked for.
            MissingExtraError: nibabel is not installed.
        """
        sample = self.peek(row)
        _, _, file, k = self._rows[row]
        path = self.path / "studies" / file
        depth = nifti_shape(path)[2]
        if depth < self.slices_per_volume:
            raise DataError(
                f"the volume has {depth} slices, fewer than slices_per_volume={self.slices_per_volume}",
                file=path,
                row=row,
            )
        sample.inputs["ct"] = read_nifti_slice(path, spread(self.slices_per_volume, depth, self.extent)[k])
        return sample

    def read_many(self, rows: Sequence[int]) -> list[Sample]:
        """Read several lines, in the order given; a volume is unpacked once for all its slices among them."""
        read = {row: self.read(row) for row in sorted(set(rows))}
        return [read[row] for row in rows]
