"""PMC-VQA: questions about figures of open-access articles."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_files, one_of, parts_to_read, read_csv
from datamodules.sources.vision_language.slake import question_answer
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

_LETTERS = ("A", "B", "C", "D")
_CHOICES = tuple(f"Choice {c}" for c in _LETTERS)
_IMAGES = {"v1": ("images",), "v1_clean": ("images",), "v2": ("images_2", "images2", "figures", "images")}
"""Folders that the archives of images are found unpacked into."""


def bare_choice(text: str, letter: str) -> str:
    """Strip the letter that choices are published with.

    >>> bare_choice(" B: Focal uptake", "B"), bare_choice("Barium", "B")
    ('Focal uptake', 'Barium')
    """
    return re.sub(rf"^\s*{letter}\s*[:.)]\s*", "", text).strip()


@SOURCES.register
class PMCVQA(Source):
    """Read questions about a figure, each with four choices and the right one.

    A row is a question. Its image is ``figure``. Questions on one figure share a group, and figures of one article do
    not, so a figure never crosses a split. The target is the text of the right choice, brought to one form by
    ``normalise_answer``; most answers are rare, so a vocabulary covers few of them. With ``as_choice`` the question
    is followed by its choices and the target is the letter "a" to "d".

    Args:
        folder: folder of the tables and the images below the root.
        task_name: name of the task.
        version: "v1" (train.csv, test.csv, images); "v1_clean" with test_clean.csv, which the authors checked by
            hand, in place of test.csv; or "v2", figures of one panel (train_2.csv, test_2.csv).
        as_choice: answer by letter.
        images: folder of the images; "" looks for ``images`` (v1), or ``images_2`` and ``figures`` (v2).
        published_split: take the publisher's train and test; False leaves the split open.
        skip_empty: leave questions without a word in question or answer out, which is an error otherwise.
        missing_images: "raise" if the image of a question is missing; "skip" leaves such questions out.

    Attributes:
        skipped: reason -> number of questions that were left out.
    """

    group_unit = "article"

    def __init__(
        self,
        *,
        folder: str = "pmc_vqa",
        task_name: str = "vqa",
        version: Literal["v1", "v1_clean", "v2"] = "v1",
        as_choice: bool = False,
        images: str = "",
        published_split: bool = True,
        skip_empty: bool = False,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "version", version, _IMAGES)
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.version, self.as_choice = task_name, version, as_choice
        self.images, self.published_split = images, published_split
        self.skip_empty, self.missing_images = skip_empty, missing_images
        self._folder = Path()
        modalities = (RawModality("question", "text"), RawModality("figure", "image"))
        self.card = SourceCard(
            title=f"PMC-VQA {version}",
            modalities=modalities,
            tasks=(RawTask(task_name, "vqa", (), tuple(m.name for m in modalities), reads="question"),),
            licence="CC BY-SA; the articles are CC0 or CC BY",
            access="open",
            citation="Zhang, Wu, Zhao, Lin, Zhang, Wang, Xie, PMC-VQA: visual instruction tuning for medical visual "
            "question answering, arXiv:2305.10415, 2023",
            where="Hugging Face, RadGenome/PMC-VQA: the tables, and images.zip or images_2.zip unpacked",
            layout="train.csv, test.csv and images/*.jpg; of version 2 train_2.csv, test_2.csv and images_2/*.jpg",
            caution="Questions and answers were written by a language model from the captions, not by clinicians "
            "from the images; many can be answered without the image. Images are figures of any kind, many of "
            "several panels. Figures of one article may lie on both sides of the published split.",
            size="227000 questions on 149000 images (version 1)",
        )

    def _index(self) -> pd.DataFrame:
        tail = "_2" if self.version == "v2" else ""
        files = [
            (f"train{tail}.csv", "train"),
            (f"test{'_clean' if self.version == 'v1_clean' else tail}.csv", "test"),
        ]
        if tail:  # the publisher's notes and files spell the names of version 2 in two ways
            files = [(f if (self.path / f).is_file() else f.replace("_2", "2"), s) for f, s in files]
        self.skipped = {}
        columns: dict[str, list[str]] = {c: [] for c in ("id", "image", "question", "answer", "split")}
        for name, split in parts_to_read(
            files, lambda f: (self.path / f[0]).is_file(), published=self.published_split
        ):
            self._read_table(self.path / name, split if self.published_split else "", columns)
        table = self._there(pd.DataFrame(columns))
        return table.assign(subject="", group=table["image"], stratum="")

    def _read_table(self, path: Path, split: str, columns: dict[str, list[str]]) -> None:
        """Append the questions of one table to ``columns``."""
        label = "Answer" if self.version == "v2" else "Answer_label"
        named = ("Figure_path", "Question", "Answer", *_CHOICES, *({label} - {"Answer"}))
        table = read_csv(path, named)
        cells = [table[c].tolist() for c in ("Figure_path", "Question", "Answer", *_CHOICES, label)]
        seen: dict[str, int] = {}
        for number, (image, question, answer, *choices, letter) in enumerate(zip(*cells, strict=True)):
            image = image.strip()
            if self.as_choice or self.version == "v2":
                letter = one_of(letter.strip().upper(), _LETTERS, label, file=path, row=number)
                answer = bare_choice(choices[_LETTERS.index(letter)], letter)
            pair = question_answer(question, answer, skip_empty=self.skip_empty, file=path, row=number)
            if pair is None:
                reason = "no question or no answer (skip_empty)"
                self.skipped[reason] = self.skipped.get(reason, 0) + 1
                continue
            seen[image] = seen.get(image, 0) + 1
            if self.as_choice:
                listed = " ".join(f"{c}: {bare_choice(t, c)}" for c, t in zip(_LETTERS, choices, strict=True))
                pair = f"{pair[0]} {listed}", letter.lower()
            columns["id"].append(f"{path.stem}/{image}/{seen[image]}")
            columns["image"].append(image)
            columns["question"].append(pair[0])
            columns["answer"].append(pair[1])
            columns["split"].append(split)

    def _there(self, table: pd.DataFrame) -> pd.DataFrame:
        """Keep the rows whose image is there, with one look at the folder of images."""
        found = [f for f in ((self.images,) if self.images else _IMAGES[self.version]) if (self.path / f).is_dir()]
        if not found:
            raise self.absent(f"no folder of images ({self.images or ' or '.join(_IMAGES[self.version])})")
        self._folder = self.path / found[0]
        there = set(image_files(self._folder))
        absent = ~table["image"].isin(there)
        if absent.any() and self.missing_images == "raise":
            first = table[absent].iloc[0]
            raise DataError(
                f"the images of {int(absent.sum())} questions are missing, the first is '{first['image']}'; add "
                "them, or give missing_images='skip'",
                file=self._folder / str(first["image"]),
                row=first["id"],
            )
        if absent.any():
            self.skipped["image is missing"] = int(absent.sum())
        return table[~absent]

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        """Columns of the index as lists: row by row they are far faster than a table."""
        return {c: self.index[c].tolist() for c in ("id", "image", "question", "answer")}

    def peek(self, row: int) -> Sample:
        """Return the question and the answer of a row, without its image."""
        columns = self._columns
        inputs = {"question": columns["question"][row], "figure": None}
        return Sample(columns["id"][row], inputs, {self.task_name: columns["answer"][row]})

    def read(self, row: int) -> Sample:
        """Read the question, the figure and the answer of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["figure"] = self.image("figure", self._folder / self._columns["image"][row])
        return sample
