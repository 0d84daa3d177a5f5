"""PneumoniaMNIST, and any other two-dimensional single-label archive of the MedMNIST layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.files import npz_shapes, read_npz
from datamodules.source import SOURCES, RawModality, RawTask, Source, SourceCard
from zoo.contract import Sample
from zoo.errors import DataError, SpecError

_SPLITS = ("train", "val", "test")


@SOURCES.register
class PneumoniaMNIST(Source):
    """Read chest X-rays of children, 28 x 28, normal or pneumonia, with the official splits.

    The archive holds ``{train,val,test}_images``, uint8 (N, H, W) or (N, H, W, 3), and ``{...}_labels``, whole
    numbers (N, 1) or (N,). Labels are read by ``open``; the images of a split at its first ``read``. Another
    MedMNIST archive is read by naming its file, modality and classes.

    Args:
        folder: folder of the archive below the root.
        file: name of the archive.
        modality: name of the modality that the images are.
        task_name: name of the task.
        classes: names of the classes 0, 1, ...
    """

    def __init__(
        self,
        *,
        folder: str = "pneumoniamnist",
        file: str = "pneumoniamnist.npz",
        modality: str = "xray",
        task_name: str = "disease",
        classes: Sequence[str] = ("normal", "pneumonia"),
    ) -> None:
        super().__init__(folder=folder)
        if len(classes) < 2:
            raise SpecError(f"PneumoniaMNIST: classes must name at least 2 classes, got {list(classes)}")
        self.file, self.modality, self.task_name, self.classes = file, modality, task_name, tuple(classes)
        self._images: dict[str, npt.NDArray[np.uint8]] = {}
        self.card = SourceCard(
            title="PneumoniaMNIST (MedMNIST v2)",
            modalities=(RawModality(modality, "image"),),
            tasks=(RawTask(task_name, "classification", self.classes, (modality,)),),
            licence="CC BY 4.0 (as MedMNIST publishes it); not stated beside copies in other repositories",
            access="open",
            citation="Yang et al., MedMNIST v2, Scientific Data 10:41, 2023; images: Kermany et al., Cell 172, 2018",
            where=f"{file} from the MedMNIST project",
            layout=f"{file}, with {{train,val,test}}_{{images,labels}}",
            caution="Altered copies circulate: the official splits hold 4708, 524 and 624 images. No patient "
            "identifiers: several films of one child may lie in one split.",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        shapes = npz_shapes(path)
        parts = []
        for split in _SPLITS:
            shape = shapes.get(f"{split}_images", ())
            labels = read_npz(path, f"{split}_labels")
            if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3):
                raise DataError(
                    f"'{split}_images' must be (N, H, W) or (N, H, W, 3), got {shape or 'no such array'}", file=path
                )
            if labels.shape not in ((shape[0], 1), (shape[0],)):
                raise DataError(
                    f"'{split}_labels' must be ({shape[0]}, 1), one class an image, got {labels.shape}", file=path
                )
            parts.append(self._rows(split, labels.reshape(-1), path))
        return pd.concat(parts, ignore_index=True)

    def _rows(self, split: str, labels: npt.NDArray[Any], path: Path) -> pd.DataFrame:
        bad = np.flatnonzero(~np.isin(labels, np.arange(len(self.classes))))
        if len(bad):
            raise DataError(
                f"label {labels[bad[0]]!r} is outside the {len(self.classes)} classes {self.classes}; name all "
                "classes of this archive",
                file=path,
                row=f"{split}/{bad[0]:05d}",
            )
        names = [self.classes[int(k)] for k in labels]
        table = pd.DataFrame({"id": [f"{split}/{i:05d}" for i in range(len(labels))], "label": names})
        return table.assign(subject="", group="", stratum=names, split=split, position=np.arange(len(labels)))

    def peek(self, row: int) -> Sample:
        """Return the label of a row, without its image."""
        table = self.index
        return Sample(
            str(table["id"].iloc[row]), {self.modality: None}, {self.task_name: str(table["label"].iloc[row])}
        )

    def read(self, row: int) -> Sample:
        """Read the image and the label of a row.

        Raises:
            DataError: the images of the split are not uint8.
        """
        sample = self.peek(row)
        split, position = str(self.index["split"].iloc[row]), int(self.index["position"].iloc[row])
        if split not in self._images:
            images = read_npz(self.path / self.file, f"{split}_images")
            if images.dtype != np.uint8:
                raise DataError(
                    f"'{split}_images' must be uint8, got {images.dtype}", file=self.path / self.file, row=sample.id
                )
            self._images[split] = images
        sample.inputs[self.modality] = self._images[split][position]
        return sample
