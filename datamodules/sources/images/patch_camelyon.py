"""PatchCamelyon: patches of lymph node sections, with or without metastasis of breast cancer."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io import download
from datamodules.io.files import parts_to_read, read_csv, require_file
from datamodules.io.formats.h5 import check_claims, reading
from zoo.contract import Sample
from zoo.errors import DataError
from zoo.raw import RawModality, RawTask

CLASSES = ("normal", "tumor")
"""Published label 0: no pixel of tumour in the central 32 x 32; 1: at least one."""
SPLITS = {"train": "train", "valid": "val", "test": "test"}
"""Word in the file names -> split."""
MD5 = {
    "train_x.h5.gz": "1571f514728f59376b705fc836ff4b63",
    "train_y.h5.gz": "35c2d7259d906cfc8143347bb8e05be7",
    "train_meta.csv": "5a3dd671e465cfd74b5b822125e65b0a",
    "valid_x.h5.gz": "d5b63470df7cfa627aeec8b9dc0c066e",
    "valid_y.h5.gz": "2b85f58b927af9964a4c15b8f7e8f179",
    "valid_meta.csv": "67589e00a4a37ec317f2d1932c7502ca",
    "test_x.h5.gz": "d8c2d60d490dbd479f8199bdfa0cf6ec",
    "test_y.h5.gz": "60a7035772fbdb7f34eb86d4420cf66a",
    "test_meta.csv": "3455fd69135b66734e1008f3af684566",
}
_PREFIX = "camelyonpatch_level_2_split_"
_URL = "https://zenodo.org/records/2546921/files/{}?download=1"
_SIDES = (96, 96, 3)


@SOURCES.register
class PatchCamelyon(Source):
    """Read patches of 96 x 96 pixels at 10x, stained with H&E, and whether their centre holds tumour.

    Patches of a slide share a group where ``..._meta.csv`` is there. Images are read singly from the HDF5 files,
    which are opened once in each process.

    Args:
        folder: folder of the HDF5 files below the root.
        modality: name of the modality.
        task_name: name of the task.
        published_split: take the publisher's splits; False leaves the split open, by slide, and needs the tables.
    """

    group_unit = "slide"

    def __init__(
        self,
        *,
        folder: str = "patch_camelyon",
        modality: str = "pathology",
        task_name: str = "breast_cancer",
        published_split: bool = True,
    ) -> None:
        super().__init__(folder=folder)
        self.modality, self.task_name, self.published_split = modality, task_name, published_split
        self._opened: dict[tuple[int, str], Any] = {}
        self._lines: list[tuple[str, str, int, int]] = []
        self.card = SourceCard(
            title="PatchCamelyon (PCam)",
            modalities=(RawModality(modality, "image"),),
            tasks=(RawTask(task_name, "classification", CLASSES, (modality,)),),
            licence="CC0 1.0",
            access="open",
            citation="Veeling et al., Rotation Equivariant CNNs for Digital Pathology, MICCAI 2018; slides: "
            "Ehteshami Bejnordi et al., JAMA 318(22), 2017 (Camelyon16)",
            where="Zenodo record 2546921, unpacked with gunzip",
            layout=f"{_PREFIX}{{train,valid,test}}_{{x,y}}.h5, and optionally {_PREFIX}{{train,valid,test}}_meta.csv "
            "with the slide of each patch",
            caution="Only the central 32 x 32 pixels decide the label, so crops and shifts can change it. Patches "
            "were drawn at random and some are repeated. No slide is in two parts; patients are not told.",
            size="262144, 32768 and 32768 patches from the 400 slides of Camelyon16; 8 GB packed",
        )

    def fetch(self) -> None:
        """Download and unpack what is missing; a packed file that was downloaded is removed once it is unpacked.

        Raises:
            DataError: a transfer failed, or a checksum is wrong.
        """
        for name, md5 in MD5.items():
            packed = self.path / f"{_PREFIX}{name}"
            plain = packed.with_name(packed.name.removesuffix(".gz"))
            if plain.is_file():
                continue
            had = packed.is_file()
            download.fetch(_URL.format(packed.name), packed, md5=md5)
            if packed != plain:
                download.extract(packed, self.path)
                if not had:
                    packed.unlink()

    def _file(self, split: str, ending: str) -> Path:
        path = self.path / f"{_PREFIX}{split}_{ending}"
        packed = path.with_name(f"{path.name}.gz")
        if not path.is_file() and packed.is_file():
            raise DataError(
                "the file is still packed; unpack it with gunzip, and keep it beside the others", file=packed
            )
        return path

    def _open(self, split: str, key: str) -> Any:
        """Open dataset ``key`` of a split, and check what it claims."""
        import h5py

        path = require_file(self._file(split, f"{key}.h5"), self.card.where)
        with ExitStack() as stack, reading(path):
            handle = stack.enter_context(h5py.File(path, "r"))
            own = isinstance(handle.get(key, getlink=True), h5py.HardLink)
            dataset = handle[key] if own else None
            if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
                raise DataError(f"the file has no dataset '{key}' of its own; it has {sorted(handle)}", file=path)
            check_claims(dataset, path)
            sides = _SIDES if key == "x" else (1, 1, 1)
            if dataset.shape[1:] != sides or dataset.dtype != np.uint8:
                raise DataError(
                    f"'{key}' must be uint8 (N, {', '.join(map(str, sides))}), got {dataset.dtype} {dataset.shape}; "
                    "download the file again",
                    file=path,
                )
            stack.pop_all()  # it stays open
        return dataset

    def _images(self, split: str) -> Any:
        """Return the images of a split, opened once in this process."""
        known = (os.getpid(), split)
        if known not in self._opened:
            self._opened[known] = self._open(split, "x")
        return self._opened[known]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the open files, which each process opens for itself."""
        return {**self.__dict__, "_opened": {}}

    def _index(self) -> pd.DataFrame:
        parts = parts_to_read(SPLITS, lambda s: self._file(s, "x.h5").is_file(), published=self.published_split)
        return pd.concat([self._rows(split) for split in parts], ignore_index=True)

    def _rows(self, split: str) -> pd.DataFrame:
        path = self._file(split, "y.h5")
        labels = self._open(split, "y")
        with reading(path), labels.file:
            codes: npt.NDArray[np.uint8] = labels[:].reshape(-1)
        if len(codes) != len(self._images(split)):
            raise DataError(
                f"'y' has {len(codes)} labels for {len(self._images(split))} images; download both again", file=path
            )
        bad = np.flatnonzero(codes > 1)
        if len(bad):
            raise DataError(f"label {codes[bad[0]]} is neither 0 nor 1", file=path, row=int(bad[0]))
        names = np.array(CLASSES, dtype=object)[codes]
        return pd.DataFrame(
            {
                "id": [f"pcam/{split}/{i:06d}" for i in range(len(codes))],
                "subject": "",
                "group": self._slides(split, len(codes)),
                "stratum": names,
                "split": SPLITS[split] if self.published_split else "",
                "part": split,
                "position": np.arange(len(codes)),
                "code": codes.astype(np.int64),
            }
        )

    def _slides(self, split: str, count: int) -> list[str]:
        """Slide of each patch of a split; "" where the table is not there."""
        path = self._file(split, "meta.csv")
        if not path.is_file():
            if not self.published_split:
                require_file(
                    path, "published_split=False needs the slides; add the table, or take the published split"
                )
            return [""] * count
        slides: list[str] = self.known_cells(read_csv(path, ["wsi"])["wsi"], "wsi")
        if len(slides) != count:
            raise DataError(f"the table has {len(slides)} rows for {count} patches; download it again", file=path)
        return slides

    def peek(self, row: int) -> Sample:
        """Return the label of a row, without its image."""
        if not self._lines:
            columns = [self.index[c].tolist() for c in ("id", "part", "position", "code")]
            self._lines = list(zip(*columns, strict=True))
        name, _, _, code = self._lines[row]
        return Sample(name, {self.modality: None}, {self.task_name: CLASSES[code]})

    def read(self, row: int) -> Sample:
        """Read the image (96, 96, 3) and the label of a row.

        Raises:
            DataError: the image cannot be read.
        """
        sample = self.peek(row)
        _, part, position, _ = self._lines[row]
        images = self._images(part)
        with reading(self._file(part, "x.h5")):
            sample.inputs[self.modality] = np.asarray(images[position], dtype=np.uint8)
        return sample
