"""ROCO: radiology figures of open-access articles with captions and UMLS concepts, versions 1 and 2."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_files, parts_to_read, read_csv, require_file
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

FIGURE_TYPES = ("radiology", "non-radiology")
"""Folders of version 1, which are the classes of the task figure_type."""
_SPLITS = {"v1": {"train": "train", "validation": "val", "test": "test"},
           "v2": {"train": "train", "valid": "val", "test": "test"}}  # fmt: skip
_ID = re.compile(r"ROCO_\d+")
_CUI = re.compile(r"C\d{7}")


def read_id_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Read a text file of version 1: an id, a tab and a value a line. Yields (id, value).

    A line that does not begin with an id continues the value of the line before it, as captions with line breaks do.

    Raises:
        DataError: the file is missing, is not UTF-8, or does not begin with an id.
    """
    require_file(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"the file is no text in UTF-8 ({error}); fetch it again", file=path) from error
    current, value = "", ""
    for number, line in enumerate(lines, start=1):
        head, tab, rest = line.partition("\t")
        if tab and _ID.fullmatch(head.strip()):
            if current:
                yield current, value.strip()
            current, value = head.strip(), rest
        elif line.strip() and not current:
            raise DataError(f"expected an id such as ROCO_00002 and a tab, got {line[:40]!r}", file=path, row=number)
        else:
            value += f" {line.strip()}"
    if current:
        yield current, value.strip()


@SOURCES.register
class ROCO(Source):
    """Read figures with their captions, whether they are radiology, and the concepts of their captions.

    A row is a ``figure`` with its ``caption``. Version 1 has the classification figure_type, which figure and caption
    inform; both versions have the multilabel task of the ``num_concepts`` UMLS concepts that are the most frequent in
    the publisher's training part. Concepts were taken from the captions, so only the figure informs them. In version
    1 figures of an article share a group where licences.txt names the article; an article that the publisher put
    into several splits goes as a whole to the most held-out one.

    Args:
        folder: folder that holds ``data`` (version 1), or the tables and the folders of images (version 2).
        version: "v1" (radiology and others) or "v2" (radiology alone).
        figure_task: name of the classification of version 1; "" leaves it out.
        concept_task: name of the multilabel task; "" leaves it, and the files of concepts, out.
        num_concepts: number of concepts.
        radiology_only: leave the figures of version 1 that are no radiology out, and figure_type with them.
        published_split: take the publisher's split; False leaves it open.
        missing_images: "raise" if the image of a caption is missing; "skip" leaves such rows out.

    Attributes:
        skipped: reason -> number of rows that were left out.
    """

    group_unit = "article"

    def __init__(
        self,
        *,
        folder: str = "roco",
        version: Literal["v1", "v2"] = "v1",
        figure_task: str = "figure_type",
        concept_task: str = "concepts",
        num_concepts: int = 20,
        radiology_only: bool = False,
        published_split: bool = True,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "version", version, _SPLITS)
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        if num_concepts < 1:
            raise SpecError(f"ROCO: num_concepts must be at least 1, got {num_concepts}")
        self.version, self.concept_task, self.num_concepts = version, concept_task, num_concepts
        self.figure_task = figure_task if version == "v1" and not radiology_only else ""
        self.radiology_only, self.published_split, self.missing_images = (
            radiology_only,
            published_split,
            missing_images,
        )
        self._classes: tuple[str, ...] = ()
        tasks = []
        if self.figure_task:
            tasks.append(RawTask(self.figure_task, "classification", FIGURE_TYPES, ("figure", "caption")))
        if concept_task:
            tasks.append(RawTask(concept_task, "multilabel", (), ("figure",)))
        self.card = _card(version, tuple(tasks))

    def _index(self) -> pd.DataFrame:
        self.skipped = {}
        listed = self._list_v1() if self.version == "v1" else self._list_v2()
        table = pd.DataFrame(listed, columns=["id", "part", "type", "file", "caption", "group", "cuis"])
        if self.concept_task:
            self._classes = self._frequent(table[table["part"] == "train"]["cuis"].tolist())
            tasks = (replace(t, classes=self._classes) if t.name == self.concept_task else t for t in self.card.tasks)
            self.card = replace(self.card, tasks=tuple(tasks))
        split = table["part"].map(_SPLITS[self.version]) if self.published_split else ""
        return table.assign(split=split, subject="", stratum=table["type"])

    def _list_v1(self) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        there_is = lambda p: (self.path / "data" / p).is_dir()  # noqa: E731
        for part in parts_to_read(_SPLITS["v1"], there_is, published=self.published_split):
            for kind in FIGURE_TYPES[: 1 if self.radiology_only else 2]:
                inside = f"data/{part}/{kind}"
                folder = self.path / inside
                captions = list(read_id_lines(folder / "captions.txt"))
                cuis = {}
                if self.concept_task:
                    cuis = {i: tuple(_CUI.findall(v)) for i, v in read_id_lines(folder / "cuis.txt")}
                names = _published_names(folder / "licences.txt")
                there = set(image_files(folder / "images"))
                for key, caption in captions:
                    published = names.get(key, "")
                    image = published if published in there else f"{key}.jpg"
                    if image not in there:
                        self._absent_image(published or image, folder / "captions.txt", key)
                        continue
                    article = re.match(r"PMC\d+", published)
                    group = article.group() if article else ""
                    rows.append((key, part, kind, f"{inside}/images/{image}", caption, group, cuis.get(key)))
        return rows

    def _list_v2(self) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        there_is = lambda p: (self.path / f"{p}_captions.csv").is_file()  # noqa: E731
        for part in parts_to_read(_SPLITS["v2"], there_is, published=self.published_split):
            table = read_csv(self.path / f"{part}_captions.csv", ("ID", "Caption"))
            cuis = {}
            if self.concept_task:
                concepts = read_csv(self.path / f"{part}_concepts.csv", ("ID", "CUIs"))
                cuis = {i: tuple(_CUI.findall(c)) for i, c in zip(concepts["ID"], concepts["CUIs"], strict=True)}
            inside = next((f for f in (f"{part}_images/{part}", f"{part}_images") if (self.path / f).is_dir()), part)
            there = set(image_files(self.path / inside))
            for key, caption in zip(table["ID"], table["Caption"], strict=True):
                if f"{key}.jpg" not in there:
                    self._absent_image(f"{key}.jpg", self.path / f"{part}_captions.csv", key)
                    continue
                rows.append((key, part, "radiology", f"{inside}/{key}.jpg", caption.strip(), "", cuis.get(key)))
        return rows

    def _absent_image(self, image: str, table: Path, key: str) -> None:
        if self.missing_images == "raise":
            raise DataError(
                f"the image '{image}' of '{key}' is missing; fetch it, or give missing_images='skip'",
                file=table,
                row=key,
            )
        self.skipped["image is missing"] = self.skipped.get("image is missing", 0) + 1

    def _frequent(self, found: Sequence[tuple[str, ...] | None]) -> tuple[str, ...]:
        """The most frequent concepts, equally frequent ones in alphabetical order."""
        counts = Counter(c for cuis in found for c in set(cuis or ()))
        if len(counts) < self.num_concepts:
            raise DataError(
                f"num_concepts is {self.num_concepts}, but the training part has {len(counts)} concepts; lower it",
                file=self.path,
            )
        return tuple(sorted(counts, key=lambda c: (-counts[c], c))[: self.num_concepts])

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        """Columns of the index as lists: row by row they are far faster than a table."""
        return {c: self.index[c].tolist() for c in ("id", "type", "file", "caption", "cuis")}

    def peek(self, row: int) -> Sample:
        """Return the caption and the labels of a row, without its image; an empty caption is not there."""
        columns = self._columns
        sample = Sample(columns["id"][row], {"figure": None})
        if columns["caption"][row]:
            sample.inputs["caption"] = columns["caption"][row]
        if self.figure_task:
            sample.targets[self.figure_task] = columns["type"][row]
        found = columns["cuis"][row]
        if self.concept_task and found is not None:
            sample.targets[self.concept_task] = {c: int(c in found) for c in self._classes}
        return sample

    def read(self, row: int) -> Sample:
        """Read the figure, the caption and the labels of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["figure"] = self.image("figure", self.path / self._columns["file"][row])
        return sample


def _published_names(path: Path) -> dict[str, str]:
    """Read id -> name of the file in its article, with the article's number; {} where there is no licences.txt."""
    if not path.is_file():
        return {}
    table = read_csv(path, ("ROCO_ID", "PMC_ID"))
    return dict(zip(table["ROCO_ID"].str.strip(), table["PMC_ID"].str.strip(), strict=True))


def _card(version: str, tasks: tuple[RawTask, ...]) -> SourceCard:
    """Describe a version."""
    modalities = (RawModality("figure", "image"), RawModality("caption", "text"))
    common = (
        "Concepts were extracted from the captions by a program: many are wrong or general, and one that is not "
        "listed may still be shown. Figures are in other sets made from PubMed Central too (PMC-OA, PMC-VQA)."
    )
    if version == "v1":
        return SourceCard(
            title="Radiology Objects in COntext (ROCO)",
            modalities=modalities,
            tasks=tasks,
            licence="that of each article, named in licences.txt; some have none",
            access="open",
            citation="Pelka, Koitka, Rueckert, Nensa, Friedrich, Radiology Objects in COntext (ROCO): a multimodal "
            "image dataset, MICCAI LABELS workshop 2018",
            where="GitHub, razorx89/roco-dataset, whose script fetches the images",
            layout="data/{train,validation,test}/{radiology,non-radiology}/ with captions.txt, cuis.txt, "
            "licences.txt and images/, whose files are named as in licences.txt or by id",
            caution=f"{common} Radiology or not was decided by a classifier. Several articles are no longer "
            "fetched (missing_images: skip). Articles may lie in several of the published splits.",
            size="81825 radiology and 6127 other figures",
        )
    return SourceCard(
        title="Radiology Objects in COntext version 2 (ROCOv2)",
        modalities=modalities,
        tasks=tasks,
        licence="CC BY-NC-SA 4.0 as copies state it; the articles are CC BY or CC BY-NC",
        access="open",
        citation="Rueckert et al., ROCOv2: Radiology Objects in COntext version 2, an updated multimodal image "
        "dataset, Scientific Data 11:688, 2024",
        where="Zenodo, record 10821435",
        layout="{train,valid,test}_captions.csv (ID, Caption), {train,valid,test}_concepts.csv (ID, CUIs) and "
        "train/, valid/, test/ (also as train_images/train/) with <ID>.jpg",
        caution=f"{common} The tables read here do not name the articles, so figures of one article are not grouped.",
        size="79789 figures: 59958, 9904 and 9927 in train, valid and test",
    )
