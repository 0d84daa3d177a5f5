"""VQA-RAD: clinicians' questions about radiology images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_files, one_of, parts_to_read, read_json_rows
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

ORGANS = {"ABD": ("abdomen", "ct"), "CHEST": ("chest", "xray"), "HEAD": ("head", "mri")}
"""Published organ -> its name and the modality that its images are given as."""
_IMAGES = ("xray", "ct", "mri")
_KEYS = ("qid", "image_name", "image_organ", "question", "answer", "answer_type")
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def normalise_answer(answer: object) -> str:
    """Bring an answer to one form: lower case, no punctuation, single spaces, number words up to ten as digits.

    Signs inside of decimal numbers stay.

    >>> [normalise_answer(a) for a in (" Yes. ", "T2-weighted MRI", "Two, 2.5cm", 4)]
    ['yes', 't2 weighted mri', '2 2.5cm', '4']
    """
    text = str(answer).lower().replace("'", "")
    text = re.sub(r"(?<!\d)\.|\.(?!\d)|[^\w.]|_", " ", text)
    return " ".join(str(_DIGITS.index(w)) if w in _DIGITS else w for w in text.split())


@SOURCES.register
class VQARAD(Source):
    """Read questions about an image of the chest, the abdomen or the head, with their answers.

    A row is a question. Its image is given as ``xray`` for the chest, ``ct`` for the abdomen and ``mri`` for the
    head, and its organ as the group column ``organ``. Questions on an image share a group. Answers are brought to
    one form by ``normalise_answer``.

    Args:
        folder: folder of the JSON files and ``images`` below the root.
        closed_only: keep only questions whose answers are a choice, most of them yes or no.
        published_split: take the publisher's train and test, which share images; False leaves the split open, and
            questions on one image stay together.
        missing_images: "raise" if the image of a question is missing; "skip" leaves such questions out.

    Attributes:
        skipped: reason -> number of questions that were left out.
    """

    group_unit = "image"

    def __init__(
        self,
        *,
        folder: str = "vqa_rad",
        closed_only: bool = False,
        published_split: bool = False,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.closed_only, self.published_split, self.missing_images = closed_only, published_split, missing_images
        modalities = (RawModality("question", "text"), *(RawModality(m, "image") for m in _IMAGES))
        self.card = SourceCard(
            title="VQA-RAD",
            modalities=modalities,
            tasks=(RawTask("vqa", "vqa", (), tuple(m.name for m in modalities), reads="question"),),
            licence="CC0 1.0 Universal on OSF; not stated beside copies in other repositories",
            access="open",
            citation="Lau, Gayen, Ben Abacha, Demner-Fushman, A dataset of clinically generated visual questions and "
            "answers about radiology images, Scientific Data 5:180251, 2018",
            where="OSF, osf.io/89kps, in the form of trainset.json and testset.json",
            layout="trainset.json, testset.json and images/*.jpg",
            caution="Head images are CT or MRI and the files do not say which: all are given as mri. The published "
            "split shares images between train and test. The question alone reaches .61 on yes/no (majority .52).",
            size="3,515 questions on 315 images: 3,064 for training, 451 for testing",
        )

    def _index(self) -> pd.DataFrame:
        there = set(image_files(self.path / "images"))
        rows: list[dict[str, str]] = []
        open_ended = 0
        absent: list[tuple[str, str]] = []
        files = (("trainset.json", "train"), ("testset.json", "test"))
        for name, split in parts_to_read(
            files, lambda f: (self.path / f[0]).is_file(), published=self.published_split
        ):
            path = self.path / name
            for entry in read_json_rows(path, _KEYS):
                qid = str(entry["qid"])
                if self.closed_only and str(entry["answer_type"]).strip().upper() != "CLOSED":
                    open_ended += 1
                elif str(entry["image_name"]) not in there:
                    absent.append((f"{name}, qid {qid}", str(entry["image_name"])))
                else:
                    rows.append(self._row(entry, path, qid) | {"split": split if self.published_split else ""})
        if absent and self.missing_images == "raise":
            raise DataError(
                f"the images of {len(absent)} questions are missing, the first is '{absent[0][1]}'; add them, or "
                "give missing_images='skip'",
                file=self.path / "images",
                row=absent[0][0],
            )
        ids = [row["id"] for row in rows]
        if len(set(ids)) < len(ids):
            twice = next(n for k, n in enumerate(ids) if n in ids[:k])
            raise DataError(
                f"the id '{twice}' occurs twice in trainset.json or testset.json; give each question its own qid",
                file=self.path,
            )
        self.skipped = {"open question (closed_only)": open_ended, "image is missing": len(absent)}
        columns = ["id", "image", "question", "answer", "organ", "group", "stratum", "split"]
        return pd.DataFrame(rows, columns=columns).assign(subject="")

    def _row(self, entry: dict[str, Any], path: Path, qid: str) -> dict[str, str]:
        """Check one question and make its line of the index."""
        organ = one_of(str(entry["image_organ"]).strip(), tuple(ORGANS), "image_organ", file=path, row=qid)
        question, answer = str(entry["question"]).strip(), normalise_answer(entry["answer"])
        if not question or not answer:
            raise DataError(
                f"the question {entry['question']!r} or its answer {entry['answer']!r} has no words; correct it, or "
                "remove the row",
                file=path,
                row=qid,
            )
        image = str(entry["image_name"])
        return {
            "id": f"qid/{qid}", "image": image, "question": question, "answer": answer, "organ": organ,
            "group": image, "stratum": organ,
        }  # fmt: skip

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``organ``."""
        return {"organ": tuple(name for name, _ in ORGANS.values())}

    def peek(self, row: int) -> Sample:
        """Return the question, the answer and the organ of a row, without its image."""
        line = self.index.iloc[row]
        organ = str(line["organ"])
        inputs = {"question": str(line["question"]), ORGANS[organ][1]: None}
        targets = {"vqa": str(line["answer"])}
        return Sample(str(line["id"]), dict(inputs), dict(targets), {"organ": list(ORGANS).index(organ)})

    def read(self, row: int) -> Sample:
        """Read the question, the image, the answer and the organ of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        line = self.index.iloc[row]
        modality = ORGANS[str(line["organ"])][1]
        sample.inputs[modality] = self.image(modality, self.path / "images" / str(line["image"]))
        return sample
