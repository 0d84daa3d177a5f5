"""HAM10000: dermoscopic images of pigmented skin lesions with clinical metadata."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_files, one_of, read_csv
from datamodules.io.unknown import UNKNOWN_WORDS
from zoo.contract import Sample
from zoo.errors import DataError
from zoo.raw import RawModality, RawTask

DIAGNOSES = {
    "akiec": "actinic keratosis",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic nevus",
    "vasc": "vascular lesion",
}
"""Published code -> class. akiec includes Bowen's disease; bkl lentigines and lichen planus-like keratoses."""
SITES = (
    "abdomen", "acral", "back", "chest", "ear", "face", "foot", "genital", "hand", "lower extremity", "neck",
    "scalp", "trunk", "upper extremity",
)  # fmt: skip
"""Published localisations, apart from "unknown"."""
_COLUMNS = ("lesion_id", "image_id", "dx", "age", "sex", "localization")
_UNKNOWN = (*UNKNOWN_WORDS, "unknown")


@SOURCES.register
class HAM10000(Source):
    """Read dermoscopic images with age, sex and site of the lesion, and one of seven diagnoses.

    Images of a lesion share a group. ``clinical`` has the columns age (years), sex and localization, None where
    unknown; the group column ``site`` is the localization.

    Args:
        folder: folder of ``HAM10000_metadata.csv`` and the image folders below the root.
        task_name: name of the task.
    """

    group_unit = "lesion"

    def __init__(self, *, folder: str = "ham10000", task_name: str = "disease") -> None:
        super().__init__(folder=folder)
        self.task_name = task_name
        self.card = SourceCard(
            title="HAM10000",
            modalities=(
                RawModality("dermoscopy", "image"),
                RawModality("clinical", "tabular", features=("age", "sex", "localization")),
            ),
            tasks=(RawTask(task_name, "classification", tuple(DIAGNOSES.values()), ("dermoscopy", "clinical")),),
            licence="CC BY-NC 4.0 (non-commercial)",
            access="open",
            citation="Tschandl, Rosendahl, Kittler, The HAM10000 dataset, Scientific Data 5:180161, 2018",
            where="Harvard Dataverse, doi:10.7910/DVN/DBW86T",
            layout="HAM10000_metadata.csv and HAM10000_images_part_1/*.jpg, and HAM10000_images_part_2/*.jpg where "
            "the metadata lists its images",
            caution="Several images show one lesion: split by lesion. Diagnoses come partly from follow-up or "
            "consensus, and how often differs by class. An age of 0 years may stand for unknown.",
            size="10,015 images of 600 x 450 of 7,470 lesions; about 3 GB",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / "HAM10000_metadata.csv"
        table = read_csv(path, _COLUMNS)[list(_COLUMNS)]
        files: dict[str, str] = {}
        parts = [p for p in ("HAM10000_images_part_1", "HAM10000_images_part_2") if (self.path / p).is_dir()]
        for part in parts:
            files.update({name.rsplit(".", 1)[0]: f"{part}/{name}" for name in image_files(self.path / part)})
        absent = [(row, name) for row, name in enumerate(table["image_id"]) if name not in files]
        if absent:
            raise DataError(
                f"{len(absent)} of {len(table)} images are in no image folder (found: {parts or 'none'}), the "
                f"first is '{absent[0][1]}'; add the other part, or remove their rows",
                file=path,
                row=absent[0][0],
            )
        ages = []
        for row, (_, _, dx, age, sex, site) in enumerate(table.to_numpy()):
            one_of(dx, tuple(DIAGNOSES), "dx", file=path, row=row)
            one_of(sex, ("male", "female", *_UNKNOWN), "sex", file=path, row=row)
            one_of(site, (*SITES, *_UNKNOWN), "localization", file=path, row=row)
            ages.append(_age(age, path, row))
        labels = table["dx"].map(DIAGNOSES)
        return table.assign(
            id=table["image_id"], file=table["image_id"].map(files), age=ages, label=labels, subject="",
            group=self.known_cells(table["lesion_id"], "lesion_id"), stratum=labels, split="",
        )  # fmt: skip

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``site``."""
        return {"site": SITES}

    def peek(self, row: int) -> Sample:
        """Return the diagnosis, the metadata and the site of a row, without its image."""
        line = self.index.iloc[row]
        site = str(line["localization"])
        clinical = {
            "age": None if math.isnan(line["age"]) else float(line["age"]),
            "sex": None if line["sex"] in _UNKNOWN else str(line["sex"]),
            "localization": None if site in _UNKNOWN else site,
        }
        groups = {"site": -1 if site in _UNKNOWN else SITES.index(site)}
        targets = {self.task_name: str(line["label"])}
        return Sample(str(line["id"]), {"dermoscopy": None, "clinical": clinical}, dict(targets), groups)

    def read(self, row: int) -> Sample:
        """Read the image, the metadata and the diagnosis of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["dermoscopy"] = self.image("dermoscopy", self.path / str(self.index["file"].iloc[row]))
        return sample


def _age(text: str, path: Path, row: int) -> float:
    """Parse an age in years; NaN where unknown."""
    if text in _UNKNOWN:
        return math.nan
    try:
        age = float(text)
    except ValueError:
        age = -1.0
    if not 0 <= age <= 130:
        raise DataError(f"age must be 0 to 130 years, or empty for unknown, got {text!r}", file=path, row=row)
    return age
