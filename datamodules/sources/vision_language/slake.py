"""SLAKE: bilingual questions about radiology images."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import one_of, parts_to_read, read_json_rows
from datamodules.sources.vision_language.vqa_rad import normalise_answer
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

MODALITIES = {"CT": "ct", "MRI": "mri", "X-Ray": "xray"}
"""Published modality -> name."""
_KEYS = ("qid", "img_name", "q_lang", "question", "answer", "answer_type", "modality", "location")
_FILES = (("train.json", "train"), ("validate.json", "val"), ("test.json", "test"))


def question_answer(
    question: object, answer: object, *, skip_empty: bool, file: Path, row: object
) -> tuple[str, str] | None:
    """Bring a question and its answer to the forms of the zoo; None where one has no words and may be skipped.

    An answer of signs alone, such as "+", which ``normalise_answer`` would empty, stays as it is.

    Args:
        question: as the file has it.
        answer: as the file has it.
        skip_empty: whether empty ones are skipped, instead of refused.
        file: for errors.
        row: for errors.

    Raises:
        DataError: the question or the answer is empty and ``skip_empty`` is not set.
    """
    asked = "" if question is None else str(question).strip()
    said = "" if answer is None else str(answer).strip().lower()
    if asked and said:
        return asked, normalise_answer(said) or said
    if skip_empty:
        return None
    raise DataError(
        f"the question {question!r} or its answer {answer!r} is empty; correct it, or give skip_empty=True",
        file=file,
        row=row,
    )


@SOURCES.register
class SLAKE(Source):
    """Read questions in English or Chinese about a CT or MRI slice or a radiograph, with their answers.

    A row is a question. Its image is given as ``ct``, ``mri`` or ``xray``, the part of the body as the group column
    ``location``. Questions on an image share a group. Answers are brought to one form by ``normalise_answer``.

    Args:
        folder: folder of the JSON files and ``imgs`` below the root.
        task_name: name of the task.
        language: "en", "zh", or "both" for all questions.
        closed_only: keep only questions whose answers are a choice (answer_type CLOSED).
        published_split: take the publisher's train, validation and test; False leaves the split open, and questions
            on one image stay together.
        skip_empty: leave questions without a word in question or answer out, which is an error otherwise.
        missing_images: "raise" if the image of a question is missing; "skip" leaves such questions out.

    Attributes:
        skipped: reason -> number of questions that were left out.
    """

    group_unit = "image"

    def __init__(
        self,
        *,
        folder: str = "slake",
        task_name: str = "vqa",
        language: Literal["en", "zh", "both"] = "en",
        closed_only: bool = False,
        published_split: bool = True,
        skip_empty: bool = False,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "language", language, ("en", "zh", "both"))
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.language, self.closed_only = task_name, language, closed_only
        self.published_split, self.skip_empty, self.missing_images = published_split, skip_empty, missing_images
        self._locations: tuple[str, ...] = ()
        modalities = (RawModality("question", "text"), *(RawModality(m, "image") for m in MODALITIES.values()))
        self.card = SourceCard(
            title="SLAKE",
            modalities=modalities,
            tasks=(RawTask(task_name, "vqa", (), tuple(m.name for m in modalities), reads="question"),),
            licence="CC BY 4.0",
            access="open",
            citation="Liu, Zhan, Xu, Ma, Yang, Wu, SLAKE: a semantically-labeled knowledge-enhanced dataset for "
            "medical visual question answering, ISBI 2021, arXiv:2102.09542",
            where="med-vqa.com/slake, Slake1.0.zip",
            layout="train.json, validate.json, test.json and imgs/xmlab*/source.jpg",
            caution="English and Chinese ask much the same of the same images: keep them together, as the groups do. "
            "Images are single slices from other public data sets (such as MSD, CHAOS and ChestX-ray8), so they may "
            "be in those as well; patients are not named.",
            size="642 images, 14028 questions, about half of them English",
        )

    def _index(self) -> pd.DataFrame:
        self.skipped = {}
        rows: list[dict[str, str]] = []
        for name, split in parts_to_read(
            _FILES, lambda f: (self.path / f[0]).is_file(), published=self.published_split
        ):
            path = self.path / name
            for number, entry in enumerate(read_json_rows(path, _KEYS)):
                if row := self._row(entry, path, number):
                    rows.append(row | {"split": split if self.published_split else ""})
        rows = self._there(rows)
        self._locations = tuple(sorted({r["location"] for r in rows}))
        columns = ["id", "image", "modality", "location", "question", "answer", "group", "stratum", "split"]
        return pd.DataFrame(rows, columns=columns).assign(subject="")

    def _row(self, entry: dict[str, Any], path: Path, number: int) -> dict[str, str] | None:
        """Check one question and make its line of the index; None where an argument leaves it out."""
        language = one_of(str(entry["q_lang"]).strip(), ("en", "zh"), "q_lang", file=path, row=number)
        if self.language not in (language, "both"):
            self._skip(f"the question is not in '{self.language}' (language)")
            return None
        if self.closed_only and str(entry["answer_type"]).strip().upper() != "CLOSED":
            self._skip("open question (closed_only)")
            return None
        modality = one_of(str(entry["modality"]).strip(), tuple(MODALITIES), "modality", file=path, row=number)
        pair = question_answer(
            entry["question"], entry["answer"], skip_empty=self.skip_empty, file=path, row=f"qid {entry['qid']}"
        )
        if pair is None:
            self._skip("no question or no answer (skip_empty)")
            return None
        image, location = str(entry["img_name"]).strip(), str(entry["location"]).strip()
        return {
            "id": f"{path.stem}/{entry['qid']}", "image": image, "modality": MODALITIES[modality],
            "location": location, "question": pair[0], "answer": pair[1], "group": image,
            "stratum": f"{modality} {location}",
        }  # fmt: skip

    def _skip(self, reason: str) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def _there(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        """Keep the rows whose image is there; look at each image once, without opening it."""
        absent = {i for i in {r["image"] for r in rows} if not (self.path / "imgs" / i).is_file()}
        lost = [r for r in rows if r["image"] in absent]
        if lost and self.missing_images == "raise":
            raise DataError(
                f"the images of {len(lost)} questions are missing, the first is '{lost[0]['image']}'; add them, or "
                "give missing_images='skip'",
                file=self.path / "imgs" / lost[0]["image"],
                row=lost[0]["id"],
            )
        if lost:
            self.skipped["image is missing"] = len(lost)
        return [r for r in rows if r["image"] not in absent]

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``location``; known once the source is open."""
        return {"location": self._locations}

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        """Columns of the index as lists: row by row they are far faster than a table."""
        columns = {c: self.index[c].tolist() for c in self.index.columns}
        return columns | {"code": [self._locations.index(x) for x in columns["location"]]}

    def peek(self, row: int) -> Sample:
        """Return the question, the answer and the location of a row, without its image."""
        columns = self._columns
        inputs = {"question": columns["question"][row], columns["modality"][row]: None}
        groups = {"location": columns["code"][row]}
        return Sample(columns["id"][row], inputs, {self.task_name: columns["answer"][row]}, groups)

    def read(self, row: int) -> Sample:
        """Read the question, the image, the answer and the location of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        path = self.path / "imgs" / self._columns["image"][row]
        modality = self._columns["modality"][row]
        sample.inputs[modality] = self.image(modality, path)
        return sample
