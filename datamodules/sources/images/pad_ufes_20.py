"""PAD-UFES-20: photographs of skin lesions by smartphone, with what patients say of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import all_of, image_tree, listed_there, read_csv
from datamodules.io.unknown import UNKNOWN_WORDS
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

DIAGNOSES = {
    "ACK": "actinic keratosis",
    "BCC": "basal cell carcinoma",
    "MEL": "melanoma",
    "NEV": "melanocytic nevus",
    "SCC": "squamous cell carcinoma",
    "SEK": "seborrheic keratosis",
}
"""Published code -> class, named as in HAM10000 where it has the class; SCC includes Bowen's disease."""
ANSWERS = (
    "smoke", "drink", "pesticide", "skin_cancer_history", "cancer_history", "has_piped_water", "has_sewage_system",
    "itch", "grew", "hurt", "changed", "bleed", "elevation",
)  # fmt: skip
"""Columns that are True, False, UNK (asked, not known) or empty (not asked)."""
NUMBERS = ("age", "fitspatrick", "diameter_1", "diameter_2")
"""Columns of numbers: years, the Fitzpatrick type 1 to 6 of the skin, and mm."""
WORDS = ("background_father", "background_mother", "gender", "region")
"""Columns of words; the backgrounds are countries or regions of origin, as they were typed."""
CLINICAL = (
    "age", "gender", "smoke", "drink", "background_father", "background_mother", "pesticide", "skin_cancer_history",
    "cancer_history", "has_piped_water", "has_sewage_system", "fitspatrick", "region", "diameter_1", "diameter_2",
    "itch", "grew", "hurt", "changed", "bleed", "elevation",
)  # fmt: skip
"""The 21 columns that may be inputs: all but the identifiers, the diagnosis and whether there was a biopsy."""
REGIONS = (
    "ABDOMEN", "ARM", "BACK", "CHEST", "EAR", "FACE", "FOOT", "FOREARM", "HAND", "LIP", "NECK", "NOSE", "SCALP",
    "THIGH",
)  # fmt: skip
_COLUMNS = ("patient_id", "lesion_id", "img_id", "diagnostic", "biopsed", *CLINICAL)
_UNKNOWN = (*UNKNOWN_WORDS, "UNK")
_BOOLEANS = {"True": "yes", "TRUE": "yes", "False": "no", "FALSE": "no"}
_LIMITS = {"age": 130.0, "fitspatrick": 6.0, "diameter_1": 1000.0, "diameter_2": 1000.0}


@SOURCES.register
class PADUFES20(Source):
    """Read photographs of skin lesions with a table of the patient, and one of six diagnoses.

    In ``clinical``, True and False are "yes" and "no"; UNK, NaN and empty cells are None. Images of a patient share
    a group. The group columns are ``site``, the region of the body, and ``skin_type``, Fitzpatrick's.

    Args:
        folder: folder of ``metadata.csv`` and the images below the root.
        task_name: name of the task.
        columns: columns of ``clinical``, some of CLINICAL. The diagnosis and ``biopsed`` cannot be among them.
        missing_images: "raise" if a listed image is missing; "skip" leaves it out.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "pad_ufes_20",
        task_name: str = "disease",
        columns: Sequence[str] = CLINICAL,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        wrong = [c for c in columns if c not in CLINICAL]
        if wrong or not columns or len(set(columns)) < len(columns):
            raise SpecError(
                f"PADUFES20: columns must be some of {CLINICAL}, each once, got {wrong or list(columns)}; diagnostic "
                "is the label, and biopsed tells it"
            )
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.columns, self.missing_images = task_name, tuple(columns), missing_images
        self.card = SourceCard(
            title="PAD-UFES-20",
            modalities=(
                RawModality("clinical_photo", "image"),
                RawModality("clinical", "tabular", features=self.columns),
            ),
            tasks=(RawTask(task_name, "classification", tuple(DIAGNOSES.values()), ("clinical_photo", "clinical")),),
            licence="CC BY 4.0",
            access="open",
            citation="Pacheco et al., PAD-UFES-20: A skin lesion dataset composed of patient data and clinical "
            "images collected from smartphones, Data in Brief 32:106221, 2020",
            where="Mendeley Data, doi:10.17632/zr7vgbcyr2.1",
            layout="metadata.csv and images/imgs_part_{1,2,3}/*.png (deeper folders, and these without images/, too)",
            caution="Every carcinoma and melanoma was biopsied, the rest mostly not, so biopsed tells the diagnosis; "
            "and what patients were not asked goes with it: that cells are empty (a table's _missing features) tells "
            "too. For a test of the table give columns that are full, such as age and region. Several images show "
            "one lesion and several lesions one patient: split by patient. Answers are the patients' own.",
            size="2,298 images of 1,641 lesions of 1,373 patients, about 3.4 GB",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / "metadata.csv"
        table = read_csv(path, _COLUMNS)[list(_COLUMNS)]
        all_of(table["diagnostic"], tuple(DIAGNOSES), "diagnostic", file=path)
        all_of(table["region"], (*REGIONS, *_UNKNOWN), "region", file=path)
        all_of(table["gender"], ("FEMALE", "MALE", *_UNKNOWN), "gender", file=path)
        for column in ANSWERS:
            all_of(table[column], (*_BOOLEANS, *_UNKNOWN), column, file=path)
            table[column] = [_BOOLEANS.get(v) for v in table[column]]
        for column in WORDS:
            table[column] = [None if v in _UNKNOWN else v for v in table[column]]
        for column in NUMBERS:
            numbers = [_number(v, column, path, row) for row, v in enumerate(table[column])]
            table[column] = np.array(numbers, dtype=object)  # keeps None apart from NaN
        nameless = table["patient_id"].isin(UNKNOWN_WORDS).to_numpy()
        if nameless.any():
            row = int(nameless.argmax())
            raise DataError("patient_id is empty; every image needs one, for the split", file=path, row=row)
        files = image_tree(self.path, ("images", *(f"imgs_part_{k}" for k in (1, 2, 3))))
        there = listed_there(table["img_id"].tolist(), files, self.missing_images, path)
        self.skipped = {"image is missing": int((~there).sum())}
        labels = table["diagnostic"].map(DIAGNOSES)
        return table.assign(
            id=table["img_id"], file=table["img_id"].map(files), label=labels, subject="",
            group=table["patient_id"], stratum=labels, split="",
        )[there]  # fmt: skip

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``site`` and ``skin_type``."""
        return {"site": REGIONS, "skin_type": tuple("123456")}

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        columns = ["id", "file", "label", "region", "fitspatrick"]
        return list(self.index[columns].itertuples(index=False, name=None))

    @cached_property
    def _clinical(self) -> list[tuple[Any, ...]]:
        return list(zip(*(self.index[c].tolist() for c in self.columns), strict=True))

    def peek(self, row: int) -> Sample:
        """Return the diagnosis and the table of a row, without its image."""
        name, _, label, region, skin = self._rows[row]
        clinical = dict(zip(self.columns, self._clinical[row], strict=True))
        groups = {"site": REGIONS.index(region) if region else -1, "skin_type": int(skin) - 1 if skin else -1}
        return Sample(name, {"clinical_photo": None, "clinical": clinical}, {self.task_name: label}, groups)

    def read(self, row: int) -> Sample:
        """Read the image, the table and the diagnosis of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["clinical_photo"] = self.image("clinical_photo", self.path / self._rows[row][1])
        return sample


def _number(text: str, column: str, path: Path, row: int) -> float | None:
    """Parse a number that is not negative and not above the column's limit; None where unknown."""
    if text in _UNKNOWN:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    low = 1.0 if column == "fitspatrick" else 0.0
    if not low <= value <= _LIMITS[column] or (column == "fitspatrick" and value != int(value)):
        raise DataError(
            f"{column} must be a number from {low:g} to {_LIMITS[column]:g}, or empty for unknown, got {text!r}",
            file=path,
            row=row,
        )
    return value
