"""MedMNIST: the twelve two-dimensional sets of small, labelled medical images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io import download
from datamodules.io.files import read_npz
from datamodules.io.formats.npz import NpzArray, load_npz, npz_arrays
from zoo.contract import TASKS, Sample
from zoo.errors import DataError, MissingExtraError, SpecError, check_choice, unknown_name
from zoo.raw import RawModality, RawTask

Side = Literal[28, 64, 128, 224]


@dataclass(frozen=True)
class MedMNISTSet:
    """What is published of one set, and the modality and task that it is given as.

    Attributes:
        modality: name of the modality.
        task: name of the task.
        classes: published labels 0, 1, ...
        images: published numbers of images for training, validation and test.
        source: where the images come from.
        kind: kind of the task.
        colour: whether the images are (H, W, 3).
        caution: pitfalls of this set.
        licence: as published.
    """

    modality: str
    task: str
    classes: tuple[str, ...]
    images: tuple[int, int, int]
    source: str
    kind: str = "classification"
    colour: bool = False
    caution: str = ""
    licence: str = "CC BY 4.0"


_FINDINGS = (
    "atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia", "pneumothorax",
    "consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia",
)  # fmt: skip
_ORGANS = (
    "bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver", "lung-left",
    "lung-right", "pancreas", "spleen",
)  # fmt: skip
_BLOOD = (
    "basophil", "eosinophil", "erythroblast",
    "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)", "lymphocyte", "monocyte", "neutrophil",
    "platelet",
)  # fmt: skip
_KIDNEY = (
    "Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule", "Glomerular endothelial cells",
    "Interstitial endothelial cells", "Leukocytes", "Podocytes", "Proximal Tubule Segments",
    "Thick Ascending Limb",
)  # fmt: skip
_TISSUES = (
    "adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa",
    "cancer-associated stroma", "colorectal adenocarcinoma epithelium",
)  # fmt: skip
_SKIN = (
    "actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma", "benign keratosis-like lesions",
    "dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions",
)  # fmt: skip
_RETINA = ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal")
_VIEWS = "The three organ sets show the same scans from three sides: keep one."
_LITS = "Liver Tumor Segmentation Benchmark (LiTS) and organ boxes of Xu et al., IEEE TMI 2019"
SETS = {
    "pathmnist": MedMNISTSet(
        "pathology", "tissue_type", _TISSUES, (89996, 10004, 7180), "Kather et al., PLoS Medicine 2019", colour=True,
        caution="The test images come from another centre; training and validation may share slides.",
    ),
    "chestmnist": MedMNISTSet(
        "xray", "radiographic_findings", _FINDINGS, (78468, 11219, 22433), "NIH ChestX-ray14, Wang et al., CVPR 2017",
        kind="multilabel", caution="Labels were mined from reports and are uncertain. The same films as NIH "
        "ChestX-ray14: use one of the two.",
    ),
    "dermamnist": MedMNISTSet(
        "dermoscopy", "disease", _SKIN, (7007, 1003, 2005), "HAM10000, Tschandl et al., Scientific Data 2018",
        colour=True, licence="CC BY-NC 4.0", caution="The official split puts images of one lesion into several "
        "parts (Abhishek et al., Scientific Data 12:196, 2025). The same images as HAM10000: use one of the two.",
    ),
    "octmnist": MedMNISTSet(
        "oct", "disease", _RETINA, (97477, 10832, 1000), "Kermany et al., Cell 172, 2018",
        caution="Patients have many images, and training and validation may share some.",
    ),
    "pneumoniamnist": MedMNISTSet(
        "xray", "disease", ("normal", "pneumonia"), (4708, 524, 624), "Kermany et al., Cell 172, 2018",
        caution="Children of one to five years. Several films of one child may lie in one split, or in two.",
    ),
    "retinamnist": MedMNISTSet(
        "fundus", "retinopathy", ("0", "1", "2", "3", "4"), (1080, 120, 400), "DeepDRiD, Liu et al., Patterns 2022",
        kind="ordinal", colour=True, caution="A patient has several images.",
    ),
    "breastmnist": MedMNISTSet(
        "ultrasound", "breast_cancer", ("malignant", "normal, benign"), (546, 78, 156),
        "Al-Dhabyani et al., Data in Brief 2020", caution="The source set is known to hold duplicates. "
        "Not malignant is one class here, benign or normal: see the argument classes.",
    ),
    "bloodmnist": MedMNISTSet(
        "microscopy", "cell_type", _BLOOD, (11959, 1712, 3421), "Acevedo et al., Data in Brief 2020", colour=True
    ),
    "tissuemnist": MedMNISTSet(
        "microscopy", "cell_type", _KIDNEY, (165466, 23640, 47280), "BBBC051, Broad Bioimage Benchmark Collection",
        caution="All cells come from three specimens, which the parts may share.",
    ),
    "organamnist": MedMNISTSet("ct", "organ", _ORGANS, (34561, 6491, 17778), _LITS, caution=_VIEWS),
    "organcmnist": MedMNISTSet("ct", "organ", _ORGANS, (12975, 2392, 8216), _LITS, caution=_VIEWS),
    "organsmnist": MedMNISTSet("ct", "organ", _ORGANS, (13932, 2452, 8827), _LITS, caution=_VIEWS),
}  # fmt: skip
"""Flag -> what is published of the set, as in version 3.0.2 of the package medmnist."""
_SPLITS = ("train", "val", "test")


@SOURCES.register
class MedMNIST(Source):
    """Read one of the two-dimensional MedMNIST sets, in one of its four sizes, with the official splits.

    The archive ``<flag>.npz`` (28 x 28) or ``<flag>_<size>.npz`` holds ``{train,val,test}_images``, uint8 (N, H, W)
    or (N, H, W, 3), and ``{...}_labels``, whole numbers (N, 1) or (N, labels). Labels are read by ``open``. Images
    that lie uncompressed (``numpy.savez``) are mapped from disk; the published archives are compressed, so the
    images of a split are read whole at its first ``read``.

    Args:
        flag: name of the set, one of SETS.
        size: side of the images in pixels.
        folder: folder of the archive below the root; "" takes ``flag``.
        modality: name of the modality; "" takes the set's.
        task_name: name of the task; "" takes the set's.
        classes: other names for the published labels, in their order, such as those of another source of the same
            task; () takes the published ones.
        published_split: take the official splits; False leaves the split open, and patients may cross it, for the
            archives do not tell them.
    """

    def __init__(
        self,
        *,
        flag: str = "pneumoniamnist",
        size: Side = 28,
        folder: str = "",
        modality: str = "",
        task_name: str = "",
        classes: Sequence[str] = (),
        published_split: bool = True,
    ) -> None:
        super().__init__(folder=folder or flag)
        if flag not in SETS:
            raise unknown_name("two-dimensional MedMNIST set", flag, SETS)
        check_choice(self, "size", size, get_args(Side))
        known = SETS[flag]
        self.flag, self.size, self.published_split, self.known = flag, size, published_split, known
        self.classes = tuple(classes) or known.classes
        if len(self.classes) != len(known.classes):
            raise SpecError(f"MedMNIST: '{flag}' has the {len(known.classes)} classes {known.classes}, got {classes}")
        self.modality, self.task_name = modality or known.modality, task_name or known.task
        self.file = f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz"
        self._arrays: dict[str, NpzArray] = {}
        self._images: dict[str, npt.NDArray[np.uint8]] = {}
        self._labels: dict[str, npt.NDArray[np.int64]] = {}
        self._lines: list[tuple[str, str, int]] = []
        train, val, test = known.images
        self.card = SourceCard(
            title=f"{flag.removesuffix('mnist').capitalize()}MNIST (MedMNIST v2), {size} x {size}",
            modalities=(RawModality(self.modality, "image"),),
            tasks=(RawTask(self.task_name, known.kind, self.classes, (self.modality,)),),
            licence=known.licence,
            access="open",
            citation=f"Yang et al., MedMNIST v2, Scientific Data 10:41, 2023; images: {known.source}",
            where=f"{self.file} from the MedMNIST project (Zenodo record 10519652); the package medmnist knows its "
            "address",
            layout=f"{self.file}, with {{train,val,test}}_{{images,labels}}",
            caution=f"No patient identifiers. Altered copies circulate: see size. {known.caution}".strip(),
            size=f"official splits of {train}, {val} and {test} images",
        )

    def fetch(self) -> None:
        """Download the archive, with the address and the checksum of the package medmnist.

        Raises:
            MissingExtraError: the package is not installed.
            DataError: the transfer failed, or the checksum is wrong.
        """
        path = self.path / self.file
        if path.is_file():
            return
        try:
            from medmnist.info import INFO  # type: ignore[import-untyped, unused-ignore]
        except ImportError as error:
            raise MissingExtraError("medmnist", "medmnist") from error
        suffix = "" if self.size == 28 else f"_{self.size}"
        download.fetch(INFO[self.flag][f"url{suffix}"], path, md5=INFO[self.flag][f"MD5{suffix}"])

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        self._arrays = npz_arrays(path)
        parts = []
        for split in _SPLITS:
            count = self._check_images(split)
            key = f"{split}_labels"
            labels = read_npz(path, key) if key in self._arrays else np.zeros((0, 0))
            wide = not TASKS.get(self.known.kind).class_codes
            if labels.shape != (count, len(self.classes)) if wide else labels.shape not in ((count, 1), (count,)):
                expected = f"({count}, {len(self.classes)}), 0 or 1 a label" if wide else f"({count}, 1), one class"
                raise DataError(f"'{key}' must be {expected} an image, got {labels.shape}", file=path)
            parts.append(self._rows(split, labels))
        return pd.concat(parts, ignore_index=True)

    def _check_images(self, split: str) -> int:
        """Check type and shape of the images of a split; return how many there are."""
        found = self._arrays.get(f"{split}_images")
        side = (self.size, self.size, 3) if self.known.colour else (self.size, self.size)
        if found is None or found.dtype != np.uint8 or found.shape[1:] != side:
            got = f"{found.dtype} {found.shape}" if found else "no such array"
            raise DataError(
                f"'{split}_images' must be uint8 (N, {', '.join(map(str, side))}), got {got}; "
                "check the arguments flag and size, or download the archive again",
                file=self.path / self.file,
            )
        return found.shape[0]

    def _rows(self, split: str, labels: npt.NDArray[Any]) -> pd.DataFrame:
        wide = not TASKS.get(self.known.kind).class_codes
        most = 2 if wide else len(self.classes)
        bad = np.flatnonzero(~np.isin(labels, np.arange(most)).reshape(len(labels), -1).all(axis=1))
        if len(bad):
            raise DataError(
                f"label {labels[bad[0]].tolist()!r} is outside the "
                + ("values 0 and 1" if wide else f"{most} classes {self.classes}"),
                file=self.path / self.file,
                row=f"{split}/{bad[0]:05d}",
            )
        codes = labels.astype(np.int64).reshape(len(labels), -1)
        self._labels[split] = codes
        names = np.array(self.classes, dtype=object)
        return pd.DataFrame(
            {
                "id": [f"{self.flag}/{split}/{i:05d}" for i in range(len(labels))],
                "subject": "",
                "group": "",
                "stratum": "" if wide else names[codes[:, 0]],
                "split": split if self.published_split else "",
                "part": split,
                "position": np.arange(len(labels)),
            }
        )

    def peek(self, row: int) -> Sample:
        """Return the label of a row, without its image."""
        if not self._lines:
            table = self.index
            self._lines = list(
                zip(table["id"].tolist(), table["part"].tolist(), table["position"].tolist(), strict=True)
            )
        name, part, position = self._lines[row]
        codes = self._labels[part][position].tolist()
        target: Any = self.classes[codes[0]]
        if not TASKS.get(self.known.kind).class_codes:
            target = dict(zip(self.classes, codes, strict=True))
        return Sample(name, {self.modality: None}, {self.task_name: target})

    def read(self, row: int) -> Sample:
        """Read the image and the label of a row.

        Raises:
            DataError: the images of the split cannot be read.
        """
        sample = self.peek(row)
        _, part, position = self._lines[row]
        if part not in self._images:
            key = f"{part}_images"
            self._images[part] = load_npz(self.path / self.file, key, self._arrays[key])
        sample.inputs[self.modality] = np.array(self._images[part][position])
        return sample
