"""CBIS-DDSM: scanned film mammograms with benign and malignant abnormalities."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pandas as pd
from PIL import Image

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_files, one_of, parts_to_read, read_csv
from datamodules.io.formats.dicom import dicom_header
from datamodules.io.sniff import DICOM, content_of_file
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

PATHOLOGIES = {"BENIGN_WITHOUT_CALLBACK": "benign_without_callback", "BENIGN": "benign", "MALIGNANT": "malignant"}
"""Published pathology -> class, the gravest last."""
KINDS = ("mass", "calcification")
CLINICAL = ("density", "side", "view", "abnormality")
"""Columns of ``clinical``."""
_TABLES = {
    f"{short}_case_description_{part}_set.csv": (kind, part)
    for short, kind in (("mass", "mass"), ("calc", "calcification"))
    for part in ("train", "test")
}
_COLUMNS = (
    "patient_id", "left_or_right_breast", "image_view", "pathology", "image_file_path", "cropped_image_file_path",
    "ROI_mask_file_path", "breast_density",
)  # fmt: skip


@SOURCES.register
class CBISDDSM(Source):
    """Read mammograms, or the regions cropped from them, with benign or malignant abnormalities.

    ``clinical`` has the columns density (BI-RADS 1 to 4, None where the table has 0 or nothing), side (left, right),
    view (CC, MLO) and abnormality (mass, calcification), which is also a group column. Images of a patient share a
    group. The four tables were divided separately: a patient with a mass and a calcification can be in the training
    table of one and the test table of the other, and then all of that patient's images count as test.

    Args:
        folder: folder of the tables and images below the root, in one of three layouts (see the card).
        task_name: name of the task.
        region: "breast" reads whole mammograms: a row is an image, and malignant if one of its abnormalities is;
            "abnormality" reads the published crops: a row is an abnormality.
        without_callback: what becomes of the pathology BENIGN_WITHOUT_CALLBACK: it counts as "benign", is a
            "separate" class, or is left out ("skip").
        published_split: keep the publisher's test tables as the split "test" (train is divided into train and val);
            False leaves the split open.
        missing_images: "raise" if a listed image is missing; "skip" leaves such rows out.

    Attributes:
        skipped: reason -> number of rows that were left out.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "cbis_ddsm",
        task_name: str = "breast_cancer",
        region: Literal["breast", "abnormality"] = "breast",
        without_callback: Literal["benign", "separate", "skip"] = "benign",
        published_split: bool = True,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        for name, value, allowed in (
            ("region", region, ("breast", "abnormality")),
            ("without_callback", without_callback, ("benign", "separate", "skip")),
            ("missing_images", missing_images, ("raise", "skip")),
        ):
            check_choice(self, name, value, allowed)
        self.task_name, self.region, self.without_callback = task_name, region, without_callback
        self.published_split, self.missing_images = published_split, missing_images
        classes: tuple[str, ...] = ("benign", "malignant")
        if without_callback == "separate":
            classes = tuple(PATHOLOGIES.values())
        self._rows: list[dict[str, Any]] = []
        self.card = SourceCard(
            title="CBIS-DDSM (Curated Breast Imaging Subset of DDSM)",
            modalities=(RawModality("mammography", "image"), RawModality("clinical", "tabular", features=CLINICAL)),
            tasks=(RawTask(task_name, "classification", classes, ("mammography", "clinical")),),
            licence="CC BY 3.0",
            access="open",
            citation="Lee, Gimenez, Hoogi, Miyake, Gorovoy, Rubin, A curated mammography data set for use in "
            "computer-aided detection and diagnosis research, Scientific Data 4:170177, 2017",
            where="The Cancer Imaging Archive, doi:10.7937/K9/TCIA.2016.7O02S9CY",
            layout="{mass,calc}_case_description_{train,test}_set.csv, in the folder or in csv/, and the images: "
            "metadata.csv and CBIS-DDSM/ as the NBIA Data Retriever writes them; or CBIS-DDSM/<case>/<study UID>/"
            "<series UID>/*.dcm; or the JPEG copy, jpeg/<series UID>/*.jpg",
            caution="Scanned film of the 1990s, with labels and marks on the film. The file names in the tables "
            "(000000.dcm) are not those on disk (1-1.dcm), and the columns of crop and mask are partly exchanged: "
            "the crop is told from its mask by its size. The tables of masses and of calcifications were divided "
            "separately, so a patient can be in both parts. BENIGN_WITHOUT_CALLBACK is benign by judgement, without "
            "biopsy. There are no normal mammograms.",
            size="1,566 patients, 3,103 mammograms, 3,568 abnormalities, 164 GB of DICOM",
        )

    def _listing(self, name: str) -> Path:
        return self.path / name if (self.path / name).is_file() else self.path / "csv" / name

    def _index(self) -> pd.DataFrame:
        rows: dict[str, dict[str, Any]] = {}
        locations = self._locations()
        listed = parts_to_read(_TABLES, lambda name: self._listing(name).is_file(), published=self.published_split)
        for name in listed:
            (kind, part), path = _TABLES[name], self._listing(name)
            table = read_csv(path, ("patient_id", "pathology"))
            table.columns = table.columns.str.replace(" ", "_")
            if lacking := [c for c in _COLUMNS if c not in table.columns]:
                raise DataError(f"the table lacks the columns {lacking} (spaces as _)", file=path)
            table["patient_id"] = self.known_cells(table["patient_id"], "patient_id")
            for number, cells in enumerate(table[list(_COLUMNS)].to_numpy().tolist()):
                line = self._line(dict(zip(_COLUMNS, cells, strict=True)), path, number, locations)
                known = rows.setdefault(line["id"], line | {"abnormality": kind, "split": part})
                if self.region == "breast":
                    known["label"] = max(known["label"], line["label"], key=list(PATHOLOGIES.values()).index)
                elif known["row"] != (path, number):
                    raise DataError(f"the crop '{line['id']}' is listed twice", file=path, row=number)
        kept = self._kept(rows)
        if not kept:
            raise DataError("no row is left; see missing_images and without_callback", file=self.path)
        table = pd.DataFrame(kept).drop(columns=["row"])
        table["split"] = [("test" if s == "test" else "") if self.published_split else "" for s in table["split"]]
        if self.published_split:
            table.loc[table["group"].isin(set(table["group"][table["split"] == "test"])), "split"] = "test"
        return table.assign(subject="", stratum=table["label"] + "/" + table["abnormality"])

    def _locations(self) -> dict[str, str] | None:
        """Return series UID -> folder from the table of the NBIA Data Retriever; None where there is none."""
        path = self.path / "metadata.csv"
        if (self.path / "jpeg").is_dir() or not path.is_file():
            return None
        table = read_csv(path, ("Series UID", "File Location"))
        places = [p.replace("\\", "/").removeprefix("./") for p in table["File Location"]]
        for row, place in enumerate(places):
            if place.startswith("/") or ":" in place or ".." in place.split("/"):
                raise DataError(f"File Location must lie below this folder, got {place!r}", file=path, row=row)
        return dict(zip(table["Series UID"], places, strict=True))

    def _line(self, cells: dict[str, str], path: Path, row: int, locations: dict[str, str] | None) -> dict[str, Any]:
        """Check one abnormality and make its line."""
        one_of(cells["pathology"], tuple(PATHOLOGIES), "pathology", file=path, row=row)
        one_of(cells["left_or_right_breast"], ("LEFT", "RIGHT"), "left or right breast", file=path, row=row)
        one_of(cells["image_view"], ("CC", "MLO"), "image view", file=path, row=row)
        one_of(cells["breast_density"], ("", "0", "1", "2", "3", "4"), "breast density", file=path, row=row)
        breast = self.region == "breast"
        columns = ("image_file_path",) if breast else ("cropped_image_file_path", "ROI_mask_file_path")
        folders, case = [], ""
        for column in columns:
            parts = cells[column].strip().strip('"').strip().replace("\\", "/").split("/")
            if len(parts) != 4 or not all(parts[:3]) or ".." in parts:
                raise DataError(
                    f"{column} must be <case>/<study UID>/<series UID>/<file>, got {cells[column]!r}",
                    file=path,
                    row=row,
                )
            case = case or parts[0]
            if (self.path / "jpeg").is_dir():
                folders.append(f"jpeg/{parts[2]}")
            elif locations is not None:
                folders.append(locations.get(parts[2], ""))
            else:
                folders.append("CBIS-DDSM/" + "/".join(parts[:3]))
        return {
            "id": case, "folders": tuple(dict.fromkeys(folders)), "row": (path, row), "group": cells["patient_id"],
            "label": PATHOLOGIES[cells["pathology"]], "side": cells["left_or_right_breast"].lower(),
            "view": cells["image_view"], "density": cells["breast_density"],
        }  # fmt: skip

    def _kept(self, rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Find the files of the rows, and leave out what the arguments say."""
        kept: list[dict[str, Any]] = []
        absent = uncalled = 0
        for line in rows.values():
            if line["label"] == "benign_without_callback" and self.without_callback != "separate":
                if self.without_callback == "skip":
                    uncalled += 1
                    continue
                line["label"] = "benign"
            files = [f"{folder}/{name}" for folder in line.pop("folders") for name in _images(self.path, folder)]
            wrong = len(files) != 1 if self.region == "breast" else len(files) < 2
            if wrong and self.missing_images == "raise":
                path, row = line["row"]
                wanted = "one image" if self.region == "breast" else "a crop and its mask"
                raise DataError(
                    f"'{line['id']}' must have {wanted} in the folder of its series, found {files or 'none'}; "
                    "complete the download, or give missing_images='skip'",
                    file=path,
                    row=row,
                )
            absent += wrong
            if not wrong:
                kept.append(line | {"files": tuple(files)})
        self.skipped = {"image is missing": absent, "benign without callback": uncalled}
        return kept

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``abnormality``."""
        return {"abnormality": KINDS}

    def _at(self, row: int) -> dict[str, Any]:
        """Return line ``row`` of the index."""
        if not self._rows:
            names = ["id", "label", "files", *CLINICAL]
            self._rows = [dict(zip(names, v, strict=True)) for v in self.index[names].to_numpy().tolist()]
        return self._rows[row]

    def peek(self, row: int) -> Sample:
        """Return the class and the clinical columns of a row, without its image."""
        line = self._at(row)
        clinical = {name: line[name] for name in CLINICAL}
        clinical["density"] = None if line["density"] in ("", "0") else float(line["density"])
        groups = {"abnormality": KINDS.index(line["abnormality"])}
        inputs = {"mammography": None, "clinical": clinical}
        return Sample(line["id"], dict(inputs), {self.task_name: line["label"]}, groups)

    def read(self, row: int) -> Sample:
        """Read the image, the clinical columns and the class of a row.

        Raises:
            DataError: the image cannot be decoded, or a crop cannot be told from its mask.
        """
        sample = self.peek(row)
        paths = [self.path / name for name in self._at(row)["files"]]
        path = paths[0] if len(paths) == 1 else _smallest(paths)
        sample.inputs["mammography"] = self.image("mammography", path)
        return sample


def _images(root: Path, folder: str) -> list[str]:
    """List the names of the images in a folder, sorted; [] where there is no folder."""
    if not folder or not (root / folder).is_dir():
        return []
    return image_files(root / folder)


def _smallest(paths: list[Path]) -> Path:
    """Return the image of the fewest pixels: the crop, since a mask is as large as the mammogram."""
    sizes = [_pixels(path) for path in paths]
    if sizes.count(min(sizes)) != 1:
        raise DataError(
            f"the crop cannot be told from its mask: {[p.name for p in paths]} have {sizes} pixels; remove what is "
            "no crop",
            file=paths[0],
        )
    return paths[sizes.index(min(sizes))]


def _pixels(path: Path) -> int:
    """Count the pixels of an image from its header."""
    try:
        if content_of_file(path).kind == DICOM:
            header = dicom_header(path)
            return int(header.get("Rows") or 0) * int(header.get("Columns") or 0)
        with Image.open(path) as image:
            return image.width * image.height
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"the image cannot be opened ({type(error).__name__})", file=path) from error
