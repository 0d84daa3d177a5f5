"""Blood cells cut out of smear images by their Pascal VOC boxes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_files, one_of, require_file
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

CELLS = {"RBC": "red blood cell", "WBC": "white blood cell", "Platelets": "platelet"}
"""Name in the annotation -> class."""


class Box(NamedTuple):
    """An annotated box, in pixels from the left and the top; the right and bottom ends are exclusive."""

    name: str
    left: int
    top: int
    right: int
    bottom: int


@SOURCES.register
class BCCD(Source):
    """Read one blood cell a row: a crop around an annotated box.

    Boxes are clipped to the image. Boxes without area and, per image, red cells beyond the first
    ``max_rbc_per_image`` in the order of the annotation are left out and counted in ``skipped``. Crops of an image
    share a group. With ``published_split`` the splits of images are those of ``ImageSets/Main``.

    Args:
        folder: folder of ``Annotations``, ``JPEGImages`` and ``ImageSets`` below the root.
        max_rbc_per_image: at most so many red blood cells of an image, which else are nine in ten boxes; 0 keeps all.
        margin: border around a box, as a fraction of its sides, as far as the image goes.
        published_split: take the published train, val and test lists; False leaves the split open.

    Attributes:
        skipped: reason -> number of boxes that were left out.
    """

    group_unit = "image"

    def __init__(
        self,
        *,
        folder: str = "bccd",
        max_rbc_per_image: int = 2,
        margin: float = 0.1,
        published_split: bool = False,
    ) -> None:
        super().__init__(folder=folder)
        if max_rbc_per_image < 0 or not 0 <= margin <= 10:
            raise SpecError(
                f"BCCD: max_rbc_per_image must be 0 or more, margin 0 to 10; got {max_rbc_per_image} and {margin}"
            )
        self.max_rbc_per_image, self.margin, self.published_split = max_rbc_per_image, margin, published_split
        self.card = SourceCard(
            title="BCCD (blood cell count and detection)",
            modalities=(RawModality("pathology", "image"),),
            tasks=(RawTask("cell_type", "classification", tuple(CELLS.values()), ("pathology",)),),
            licence="MIT",
            access="open",
            citation="BCCD Dataset, Shenggan/BCCD_Dataset; images and annotations by cosmicad and akshaylamba",
            where="the repository Shenggan/BCCD_Dataset, folder BCCD",
            layout="Annotations/*.xml (Pascal VOC), JPEGImages/*.jpg, and for the published split "
            "ImageSets/Main/{train,val,test}.txt",
            caution="Blood-smear microscopy, not histopathology. No slide or patient identifiers. Neighbouring cells "
            "overlap, so a crop may show more than one.",
            size="364 images of 640 x 480 with boxes of RBC, WBC and platelets",
        )

    def _index(self) -> pd.DataFrame:
        folder = self.path / "Annotations"
        images = {Path(n).stem: n for n in image_files(self.path / "JPEGImages")}
        if not folder.is_dir():
            raise DataError("the folder of Pascal VOC annotations is missing", file=folder)
        splits = self._splits() if self.published_split else {}
        rows = []
        crowded = empty = 0
        for path in sorted(folder.glob("*.xml")):
            name = path.stem
            if name not in images:
                raise DataError(f"the annotated image '{name}' is not in JPEGImages; add it", file=path)
            if self.published_split and name not in splits:
                raise DataError(
                    f"the image '{name}' is in no list of ImageSets; give published_split=False", file=path
                )
            red = 0
            for number, box in enumerate(read_boxes(path)):
                if box.right <= box.left or box.bottom <= box.top:
                    empty += 1
                    continue
                red += box.name == "RBC"
                if box.name == "RBC" and self.max_rbc_per_image and red > self.max_rbc_per_image:
                    crowded += 1
                    continue
                label = CELLS[box.name]
                rows.append(
                    (f"{name}/{number:03d}", images[name], *box[1:], label, name, label, splits.get(name, ""))
                )
        self.skipped = {"RBC box beyond max_rbc_per_image": crowded, "box without area": empty}
        columns = ["id", "file", "left", "top", "right", "bottom", "label", "group", "stratum", "split"]
        return pd.DataFrame(rows, columns=columns).assign(subject="")

    def _splits(self) -> dict[str, str]:
        """Read image -> split from the published lists."""
        splits: dict[str, str] = {}
        for split in ("train", "val", "test"):
            path = require_file(self.path / "ImageSets" / "Main" / f"{split}.txt", "or give published_split=False")
            for name in path.read_text(encoding="utf-8").split():
                if splits.setdefault(name, split) != split:
                    raise DataError(f"image '{name}' is also listed in '{splits[name]}'; keep it in one", file=path)
        return splits

    def peek(self, row: int) -> Sample:
        """Return the cell type of a row, without its crop."""
        table = self.index
        return Sample(str(table["id"].iloc[row]), {"pathology": None}, {"cell_type": str(table["label"].iloc[row])})

    def read(self, row: int) -> Sample:
        """Read the crop and the cell type of a row.

        Raises:
            DataError: the image cannot be decoded, or the box lies outside it.
        """
        sample = self.peek(row)
        line = self.index.iloc[row]
        path = self.path / "JPEGImages" / str(line["file"])
        image = self.image("pathology", path, whole=True)
        box = Box("", *(int(line[side]) for side in ("left", "top", "right", "bottom")))
        across = round(self.margin * (box.right - box.left))
        down = round(self.margin * (box.bottom - box.top))
        crop = image[
            max(0, box.top - down) : box.bottom + down,
            max(0, box.left - across) : box.right + across,
        ]
        if box.left >= image.shape[1] or box.top >= image.shape[0]:
            raise DataError(
                f"the box {tuple(box[1:])} lies outside the image of {image.shape[1]} x {image.shape[0]} pixels; "
                "correct the annotation",
                file=path,
                row=sample.id,
            )
        sample.inputs["pathology"] = crop
        return sample


def read_boxes(path: Path) -> list[Box]:
    """Read the boxes of a Pascal VOC file, clipped to the size that the file states.

    Pascal VOC counts pixels from 1 and ends are inclusive, so xmin becomes xmin - 1; a box with xmin = xmax or
    ymin = ymax has no area and is returned with equal ends.

    Raises:
        DataError: it is not XML, lacks a field, or names an unknown cell.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise DataError(f"not valid XML ({error}); copy the file again from the data set", file=path) from error
    width, height = _number(root, "size/width", path, 0), _number(root, "size/height", path, 0)
    if width < 1 or height < 1:
        raise DataError(
            f"the image size {width} x {height} is not positive; correct size/width and size/height", file=path
        )
    boxes = []
    for number, item in enumerate(root.iter("object")):
        name = one_of((item.findtext("name") or "").strip(), tuple(CELLS), "cell", file=path, row=number)
        left, top, right, bottom = (
            _number(item, f"bndbox/{k}", path, number) for k in ("xmin", "ymin", "xmax", "ymax")
        )
        flat = right <= left or bottom <= top
        left, top = max(left - 1, 0), max(top - 1, 0)
        right, bottom = min(right, width), min(bottom, height)
        boxes.append(Box(name, left, top, left, top) if flat else Box(name, left, top, right, bottom))
    return boxes


def _number(element: ElementTree.Element, field: str, path: Path, row: int) -> int:
    """Read a whole number from a field below ``element``."""
    text = (element.findtext(field) or "").strip()
    try:
        return round(float(text))
    except (ValueError, OverflowError) as error:
        raise DataError(f"{field} must be a number of pixels, got {text!r}", file=path, row=row) from error
