"""OCT and fundus images of the same eyes, with diabetic macular oedema and retinopathy."""

from __future__ import annotations

import re

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import content_keys, merge_groups, one_of, read_csv, require_listed
from datamodules.io.unknown import RULE
from zoo.contract import Sample
from zoo.errors import DataError
from zoo.raw import RawModality, RawTask

RETINOPATHY = ("no_dr", "npdr", "pdr")
"""Classes of the task ``retinopathy``: none, non-proliferative, proliferative."""
_GRADES = {"0": "no_dr", "NPDR": "npdr", "PDR": "pdr", "-": "", "": ""}
_EDEMA = {"0": "normal", "1": "DME"}
_KINDS = ("oct", "fundus")
_COLUMNS = ("file", "patient", "eye", "DME", "DR")


@SOURCES.register
class OCTFundus(Source):
    """Read eyes, each with an OCT scan, a fundus photograph, or both.

    The images of an eye are ordered by the number at the end of their names; the k-th row of an eye holds its
    k-th OCT and its k-th fundus image, or the one that is there. Every image is thus in one row, and an eye of m
    and n images gives max(m, n) rows. Labels are those of the eye: a grade known from one image counts for all
    its rows; "-" and empty grades are unknown. Rows of a patient share a group, and patients who share a
    byte-identical image share one too.

    Args:
        folder: folder of ``oct`` and ``fundus`` below the root.
        paired_only: list only rows with both images.
    """

    group_unit = "patient"

    def __init__(self, *, folder: str = "oct_fundus", paired_only: bool = False) -> None:
        super().__init__(folder=folder)
        self.paired_only = paired_only
        self.card = SourceCard(
            title="Dataset of Eye Fundus and OCT Images for the study of Diabetic Macular Edema and Diabetic "
            "Retinopathy",
            modalities=tuple(RawModality(kind, "image") for kind in _KINDS),
            tasks=(
                RawTask("disease", "classification", tuple(_EDEMA.values()), _KINDS),
                RawTask("retinopathy", "ordinal", RETINOPATHY, _KINDS),
            ),
            licence="not stated (the authors ask for citation)",
            access="open",
            citation="Hughes Cano, Olivares Pinto, Thebault, Dataset of Eye Fundus and OCT Images for the study of "
            "Diabetic Macular Edema and Diabetic Retinopathy, Traslational Visual Health Laboratory",
            where="the authors' repository Traslational-Visual-Health-Laboratory/OCT-AND-EYE-FUNDUS-DATASET",
            layout="{oct,fundus}/labels.csv (file, patient, eye: OD or OI, DME: 0 or 1, DR: 0, NPDR, PDR or -) and "
            "the images that they list",
            caution="'normal' of the task disease means no macular oedema: such an eye may have retinopathy. Images "
            "come from three institutions and the classes differ in camera: colour alone reaches AUC .78 on fundus "
            "images, so scores overstate. Split by patient.",
            size="1,113 OCT images of 831 patients, 1,548 fundus images of 1,174 patients; 414 eyes have both",
        )

    def _index(self) -> pd.DataFrame:
        images = pd.concat([self._listing(kind) for kind in _KINDS], ignore_index=True)
        images["group"] = merge_groups(
            images["patient"].tolist(), content_keys([self.path / f for f in images["file"]])
        )
        labels = {eye: self._labels_of(rows) for eye, rows in images.groupby(["patient", "eye"], sort=True)}
        rows = []
        for eye, members in images.groupby(["patient", "eye"], sort=True):
            files = {k: members["file"][members["kind"] == k].tolist() for k in _KINDS}
            for k in range(max(map(len, files.values()))):
                one = {kind: names[k] if k < len(names) else "" for kind, names in files.items()}
                both = "+".join(name for name in one.values() if name)
                rows.append({"id": both, "group": members["group"].iloc[0], **one, **labels[eye]})
        table = pd.DataFrame(rows).assign(subject="", split="")
        table["stratum"] = table["disease"] + "/" + table["retinopathy"]
        return table[(table["oct"] != "") & (table["fundus"] != "")] if self.paired_only else table

    def _listing(self, kind: str) -> pd.DataFrame:
        """Read one labels.csv: kind, file, patient, eye, number, disease, retinopathy."""
        path = self.path / kind / "labels.csv"
        table = read_csv(path, _COLUMNS)[list(_COLUMNS)]
        require_listed(self.path / kind, table["file"], path)
        table["eye"] = table["eye"].str.upper()
        for row, (patient, eye, edema, grade) in enumerate(table[["patient", "eye", "DME", "DR"]].to_numpy()):
            if RULE(patient):
                raise DataError("the patient is empty; every image needs one, for the split", file=path, row=row)
            one_of(eye, ("OD", "OI"), "eye", file=path, row=row)
            one_of(edema, tuple(_EDEMA), "DME", file=path, row=row)
            one_of(grade, tuple(_GRADES), "DR", file=path, row=row)
        numbers = [int(m.group(1)) if (m := re.search(r"(\d+)\.\w+$", f)) else 0 for f in table["file"]]
        table = table.assign(
            kind=kind, number=numbers, disease=table["DME"].map(_EDEMA), retinopathy=table["DR"].map(_GRADES)
        ).sort_values(["number", "file"])
        table["file"] = kind + "/" + table["file"]
        return table

    def _labels_of(self, images: pd.DataFrame) -> dict[str, str]:
        """Join the labels of the images of one eye; "" where unknown."""
        labels = {}
        for task in ("disease", "retinopathy"):
            known = sorted(set(images[task]) - {""})
            if len(known) > 1:
                raise DataError(
                    f"the images of one eye disagree on {task}: {known}; correct the labels of "
                    f"{images['file'].tolist()}",
                    file=self.path,
                    row=f"{images['patient'].iloc[0]} {images['eye'].iloc[0]}",
                )
            labels[task] = known[0] if known else ""
        return labels

    def peek(self, row: int) -> Sample:
        """Return the labels of a row, without its images."""
        line = self.index.iloc[row]
        inputs = {kind: None for kind in _KINDS if line[kind]}
        targets = {task: str(line[task]) for task in ("disease", "retinopathy") if line[task]}
        return Sample(str(line["id"]), dict(inputs), dict(targets))

    def read(self, row: int) -> Sample:
        """Read the images and the labels of a row.

        Raises:
            DataError: an image cannot be decoded.
        """
        sample = self.peek(row)
        for kind in sample.inputs:
            sample.inputs[kind] = self.image(kind, self.path / str(self.index[kind].iloc[row]))
        return sample
