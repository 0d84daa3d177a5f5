"""PMC-OA: figures of open-access articles and their captions."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_files, parts_to_read
from datamodules.sources.text.notes import iter_json_lines
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

CAPTION_WORDS = {
    "ct": r"\bCTA?\b|(?i:computed\s+tomogra)",
    "mri": r"\bMRI\b|(?i:magnetic\s+resonance\s+imag)",
    "radiograph": r"(?i:\bradiograph|\b(?:chest|plain)\s+x-?ray)",
    "ultrasound": r"(?i:ultraso(?:und|nogra)|\bsonogra|\bechocardiogra)",
    "microscopy": r"(?i:microscop|micrograph|histolog|h(?:a)?ematoxylin|immunohistochem|\bH\s?&\s?E\b)",
}
"""Class -> what names it in a caption."""
_FILES = {
    "pmc_oa": (("pmc_oa.jsonl", ""),),
    "pmc_oa_beta": (("pmc_oa_beta.jsonl", ""),),
    "splits": (("train.jsonl", "train"), ("valid.jsonl", "val"), ("test.jsonl", "test")),
}
_FOLDERS = ("images", "caption_T060_filtered_top4_sep_v0_subfigures")
_WORDS = {name: re.compile(words) for name, words in CAPTION_WORDS.items()}
_STEMS = {
    "ct": ("CT", "tomogra"),
    "mri": ("MRI", "resonance"),
    "radiograph": ("radiograph", "ray"),
    "ultrasound": ("ultraso", "sonogra", "echocardiogra"),
    "microscopy": ("microscop", "micrograph", "histolog", "matoxylin", "immunohistochem", "h&", "h &"),
}
"""What a caption must hold for the words of a class to fit: looking for it is many times faster."""


def caption_class(caption: str) -> str:
    """Name the one class whose words a caption uses; "" where it uses those of none or of several.

    >>> [caption_class(c) for c in ("Axial CT scan.", "CT and MRI", "X-ray diffraction", "Stained, microscopy")]
    ['ct', '', '', 'microscopy']
    """
    lowered = caption.lower()
    found = [
        name
        for name, stems in _STEMS.items()
        if any(s in (caption if s.isupper() else lowered) for s in stems) and _WORDS[name].search(caption)
    ]
    return found[0] if len(found) == 1 else ""


@SOURCES.register
class PMCOA(Source):
    """Read panels of figures with their captions.

    A row is a pair of ``figure`` and ``caption``. Panels of one article share a group. The files hold no labels. The
    task offered here is weak: the class that the caption names, and nothing else, by CAPTION_WORDS (CT, MRI,
    radiograph, ultrasound, microscopy); other captions have no label. Only the figure informs it, since the caption
    gives it away. ``task_name: ""`` offers no task, for models that learn from the pairs themselves.

    Args:
        folder: folder of the tables and the images below the root.
        task_name: name of the weak task; "" for no task.
        version: "pmc_oa" (compound captions divided by a language model), "pmc_oa_beta" (captions whole), or
            "splits": train.jsonl, valid.jsonl and test.jsonl of the first release.
        images: folder of the images; "" looks for ``images`` and for the name in the publisher's archive.
        published_split: with "splits", take the publisher's split; False leaves it open.
        missing_images: "raise" if the image of a pair is missing; "skip" leaves such pairs out.

    Attributes:
        skipped: reason -> number of pairs that were left out.
        unlabelled: number of pairs without a label.
    """

    group_unit = "article"

    def __init__(
        self,
        *,
        folder: str = "pmc_oa",
        task_name: str = "caption_modality",
        version: Literal["pmc_oa", "pmc_oa_beta", "splits"] = "pmc_oa",
        images: str = "",
        published_split: bool = True,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "version", version, _FILES)
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.version, self.images = task_name, version, images
        self.published_split, self.missing_images = published_split, missing_images
        self.unlabelled = 0
        self._folder = Path()
        task = RawTask(task_name, "classification", tuple(CAPTION_WORDS), ("figure",))
        self.card = SourceCard(
            title="PMC-OA",
            modalities=(RawModality("figure", "image"), RawModality("caption", "text")),
            tasks=(task,) if task_name else (),
            licence="that of each article, most of them CC BY",
            access="open",
            citation="Lin, Zhao, Zhang, Wu, Zhang, Wang, Xie, PMC-CLIP: contrastive language-image pre-training "
            "using biomedical documents, MICCAI 2023, arXiv:2303.07240",
            where="Hugging Face, axiong/pmc_oa: the jsonl files, and images.zip unpacked",
            layout=f"{', '.join(f for f, _ in _FILES[version])} (an object a line: image, caption) and images/*.jpg",
            caution="No published labels: the class comes from words of the caption and is wrong where a caption "
            "speaks of more than its panel shows. Panels were cut out and matched by models, and captions divided by "
            "one (not in pmc_oa_beta): some pairs do not belong together. Figures are in other sets made from PubMed "
            "Central too (ROCO, PMC-VQA).",
            size="1.6 million pairs",
        )

    def _index(self) -> pd.DataFrame:
        found = [f for f in ((self.images,) if self.images else _FOLDERS) if (self.path / f).is_dir()]
        if not found:
            raise self.absent(f"no folder of images ({self.images or ' or '.join(_FOLDERS)})")
        self._folder = self.path / found[0]
        there = set(image_files(self._folder))
        self.skipped, lost = {}, 0
        seen: dict[str, int] = {}
        rows: list[tuple[str, str, str, str, str, str]] = []
        for name, split in parts_to_read(
            _FILES[self.version], lambda f: (self.path / f[0]).is_file(), published=self.published_split
        ):
            path = self.path / name
            for number, entry in iter_json_lines(path, ("image", "caption")):
                image = str(entry["image"]).strip()
                if image not in there:
                    self._absent_image(image, path, number)
                    lost += 1
                    continue
                seen[image] = seen.get(image, 0) + 1
                key = image if seen[image] == 1 else f"{image}#{seen[image]}"
                caption = "" if entry["caption"] is None else str(entry["caption"]).strip()
                label = caption_class(caption) if self.task_name else ""
                article = re.match(r"PMC\d+", image)
                group = article.group() if article else str(entry.get("pmcid") or image)
                rows.append((key, image, caption, group, label, split if self.published_split else ""))
        if lost:
            self.skipped["image is missing"] = lost
        self.unlabelled = sum(not r[4] for r in rows)
        table = pd.DataFrame(rows, columns=["id", "image", "caption", "group", "stratum", "split"])
        return table.assign(subject="")

    def _absent_image(self, image: str, path: Path, number: int) -> None:
        if self.missing_images == "raise":
            raise DataError(
                f"the image '{image}' that '{path.name}' lists is missing; add it, or give missing_images='skip'",
                file=self._folder / image,
                row=number,
            )

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        """Columns of the index as lists: row by row they are far faster than a table."""
        return {c: self.index[c].tolist() for c in ("id", "image", "caption", "stratum")}

    def peek(self, row: int) -> Sample:
        """Return the caption and the label of a row, without its image; an empty caption is not there."""
        columns = self._columns
        sample = Sample(columns["id"][row], {"figure": None})
        if columns["caption"][row]:
            sample.inputs["caption"] = columns["caption"][row]
        if columns["stratum"][row]:
            sample.targets[self.task_name] = columns["stratum"][row]
        return sample

    def read(self, row: int) -> Sample:
        """Read the figure, the caption and the label of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["figure"] = self.image("figure", self._folder / self._columns["image"][row])
        return sample
