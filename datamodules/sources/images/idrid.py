"""IDRiD: fundus photographs with grades of diabetic retinopathy and risk of macular oedema."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import all_of, content_keys, image_tree, listed_there, parts_to_read, read_csv
from datamodules.sources.images.aptos import grade_names
from zoo.contract import Sample
from zoo.errors import SpecError, check_choice
from zoo.raw import RawModality, RawTask

EDEMA_RISKS = ("no_exudates", "exudates_far_from_macula", "exudates_near_macula")
"""Risk of macular oedema 0 to 2: no visible hard exudates; all further than one disc diameter from the centre of the
macula; some within it."""
_PARTS = (
    ("train", "a. Training Set", "a. IDRiD_Disease Grading_Training Labels.csv"),
    ("test", "b. Testing Set", "b. IDRiD_Disease Grading_Testing Labels.csv"),
)
_COLUMNS = ("Image name", "Retinopathy grade", "Risk of macular edema")


@SOURCES.register
class IDRiD(Source):
    """Read fundus photographs of the part "B. Disease Grading", with two grades each.

    The two sets count their images alike, so ids are such as ``train/IDRiD_001``. There are no patients in the
    tables; byte-identical files share a group.

    Args:
        folder: folder below the root that holds "B. Disease Grading", or is it.
        task_name: name of the task of retinopathy.
        edema_task: name of the ordinal task of the risk of macular oedema; "" for none.
        grades: "five" gives no_dr, mild_npdr, moderate_npdr, severe_npdr and pdr; "three" no_dr, npdr and pdr, the
            classes of OCTFundus and RetinopathyGrades, so that they share one task.
        published_split: the testing set is the test split, and the training set is divided into train and val;
            False leaves the split open.
        missing_images: "raise" if a listed image is missing; "skip" leaves it out.
    """

    group_unit = "image"

    def __init__(
        self,
        *,
        folder: str = "idrid",
        task_name: str = "retinopathy",
        edema_task: str = "macular_edema_risk",
        grades: Literal["five", "three"] = "five",
        published_split: bool = True,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        if task_name == edema_task:
            raise SpecError(f"IDRiD: the two tasks have one name, {task_name!r}; give edema_task another, or ''")
        self.task_name, self.edema_task = task_name, edema_task
        self.published_split, self.missing_images = published_split, missing_images
        self._names, classes = grade_names(grades, "IDRiD")
        edema = (RawTask(edema_task, "ordinal", EDEMA_RISKS, ("fundus",)),) if edema_task else ()
        self.card = SourceCard(
            title="Indian Diabetic Retinopathy Image Dataset (IDRiD), disease grading",
            modalities=(RawModality("fundus", "image"),),
            tasks=(RawTask(task_name, "ordinal", classes, ("fundus",)), *edema),
            licence="CC BY 4.0",
            access="registration",
            citation="Porwal et al., Indian Diabetic Retinopathy Image Dataset (IDRiD): A Database for Diabetic "
            "Retinopathy Screening Research, Data 3:25, 2018",
            where="B. Disease Grading.zip from IEEE DataPort, doi:10.21227/H25W98",
            layout="B. Disease Grading/1. Original Images/{a. Training Set,b. Testing Set}/*.jpg and 2. Groundtruths/"
            "{a. IDRiD_Disease Grading_Training Labels.csv,b. IDRiD_Disease Grading_Testing Labels.csv}",
            caution="No patient identifiers: two eyes of one patient may lie on both sides of the split, the "
            "published one too. Few images of mild retinopathy. One camera and one clinic.",
            size="413 training and 103 test images, 4288 x 2848",
        )

    def _index(self) -> pd.DataFrame:
        inner = self.path / "B. Disease Grading"
        base = inner if inner.is_dir() else self.path
        self.skipped = {"image is missing": 0}
        parts = parts_to_read(
            _PARTS, lambda p: (base / "1. Original Images" / p[1]).is_dir(), published=self.published_split
        )
        table = pd.concat([self._listing(base, *part) for part in parts], ignore_index=True)
        return table.assign(group=content_keys([self.path / f for f in table["file"]]))

    def _listing(self, base: Path, split: str, folder: str, name: str) -> pd.DataFrame:
        """Read one table and look up its images."""
        path = base / "2. Groundtruths" / name
        table = read_csv(path, _COLUMNS)[list(_COLUMNS)].set_axis(["name", "grade", "risk"], axis=1)
        all_of(table["grade"], tuple("01234"), "Retinopathy grade", file=path)
        all_of(table["risk"], tuple("012"), "Risk of macular edema", file=path)
        within = (base / "1. Original Images" / folder).relative_to(self.path).as_posix()
        files = image_tree(self.path, (within,))
        names = (table["name"].str.strip() + ".jpg").tolist()
        there = listed_there(names, files, self.missing_images, path)
        self.skipped["image is missing"] += int((~there).sum())
        labels = [self._names[int(g)] for g in table["grade"]]
        return pd.DataFrame({
            "id": split + "/" + table["name"].str.strip(),
            "subject": "",
            "stratum": labels,
            "split": "test" if split == "test" and self.published_split else "",
            "file": [files.get(n, "") for n in names],
            "label": labels,
            "risk": [EDEMA_RISKS[int(r)] for r in table["risk"]],
        })[there]  # fmt: skip

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        return list(self.index[["id", "file", "label", "risk"]].itertuples(index=False, name=None))

    def peek(self, row: int) -> Sample:
        """Return the grades of a row, without its image."""
        name, _, label, risk = self._rows[row]
        edema = {self.edema_task: risk} if self.edema_task else {}
        return Sample(name, {"fundus": None}, {self.task_name: label, **edema})

    def read(self, row: int) -> Sample:
        """Read the image and the grades of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["fundus"] = self.image("fundus", self.path / self._rows[row][1])
        return sample
