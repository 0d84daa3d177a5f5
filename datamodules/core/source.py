"""What a source is: a reader of one published data set, with its card.

A source knows the published layout and nothing else. It lists its rows without decoding files, and reads
one row at a time. Splitting, fitting on the training split, caching and collating happen elsewhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.io.frames import ImageArray, ImageReading
from datamodules.io.unknown import RULE
from zoo.contract import MODALITIES, RawModality, RawTask, Sample
from zoo.errors import DataError, SpecError
from zoo.registry import Registry


@dataclass(frozen=True)
class SourceCard:
    """What is known of a data set.

    Attributes:
        title: its published title.
        modalities, tasks: what its rows can hold.
        licence: as published; "not stated" where it is not.
        access: "open", "registration", "credentialed", "simulated" or "packaged" (ships with a dependency).
        citation: authors, title, venue, year.
        where: where to get it, in words a user can act on.
        layout: the expected files below the source's folder.
        caution: known pitfalls; "" for none.
        size: published numbers of subjects, samples and bytes, in words.
    """

    title: str
    modalities: tuple[RawModality, ...]
    tasks: tuple[RawTask, ...]
    licence: str
    access: str
    citation: str
    where: str
    layout: str
    caution: str = ""
    size: str = ""

    @property
    def simulated(self) -> bool:
        """Whether the rows come from a simulator."""
        return self.access == "simulated"


@dataclass(frozen=True)
class Overview:
    """What the rows of a source hold, in columns.

    Attributes:
        present: modality -> (n,) bool, whether the row has it.
        labelled: task -> (n,) bool, whether the row has a label for it.
    """

    present: dict[str, npt.NDArray[np.bool_]]
    labelled: dict[str, npt.NDArray[np.bool_]]


INDEX_COLUMNS = ("id", "subject", "group", "stratum", "split")


class Source(ABC):
    """Read one published data set.

    A subclass is decorated with ``@SOURCES.register``, sets ``card`` in ``__init__`` (or on the class),
    takes only keyword arguments, and implements ``_index`` and ``read``. Nothing is read before ``open``.

    Args:
        folder: the source's folder below the root that ``open`` gets; absolute paths are taken as they are.

    Attributes:
        skipped: reason -> rows that ``_index`` left out; printed with the data summary.
        remarks: what a person should know of how the files were read, such as cells that are unknown; printed too.
        image_size: side in pixels that images will be brought to, so that ``image`` can decode them at a smaller
            scale; 0 where it is not known.
        readings: modality -> how its image files are read, as its processor asks for; see ``image``.
        watcher: called with the modality and the file of each image before it is read; None for none. The audit
            looks at the headers of files with it.
        index_folder: where the source may keep a memory-mapped form of its tables; None for nowhere.
    """

    card: SourceCard
    default_card: SourceCard | None = None
    """The card of an object with default arguments, for a source whose ``__init__`` asks a kind of task and so
    imports torch: data sets are listed by this card then, and no object is made."""
    example: Mapping[str, Any] = {}
    """Arguments that the example of ``zoo data describe`` gives, where their defaults say nothing."""
    group_unit: str = "group"
    """Word for what rows of one ``group`` share, such as "patient" or "lesion". It is the unit of independence, which
    intervals draw; a row without a group is a unit of its own."""
    sorts: bool = True
    """Whether ``index`` is brought into the order of ids; off where the files have an order of their own."""
    image_size: int = 0
    index_folder: Path | None = None
    watcher: Callable[[str, Path | bytes], None] | None = None

    def __init__(self, *, folder: str = "") -> None:
        self.folder = folder
        self.path = Path(folder)
        self.skipped: dict[str, int] = {}
        self.readings: dict[str, ImageReading] = {}
        self.remarks: list[str] = []
        self._root: Path | str | None = None
        self._table: pd.DataFrame | None = None

    @classmethod
    def known_card(cls) -> SourceCard:
        """The card of an object with default arguments; none is made where this very class has a ``default_card``."""
        card: SourceCard | None = vars(cls).get("default_card")
        return cls().card if card is None else card

    @property
    def name(self) -> str:
        """Name of the source in tables: the class name."""
        return type(self).__name__

    def open(self, root: Path | str | None = None, *, download: bool = False) -> None:
        """Find the files below ``root`` and build ``index``.

        Args:
            root: folder below which the source's folder lies.
            download: first get what is missing, where the publisher's addresses and checksums are known.

        Raises:
            DataError: the folder or a file is missing (with where to get it and what is expected), or no row.
        """
        if self._table is not None:
            return
        if self.folder:
            self.path = Path(root or ".") / self.folder
            if download:
                self.fetch()
            if not self.path.exists():
                raise self.absent("the folder does not exist")
        table = self._index()
        missing = [c for c in INDEX_COLUMNS if c not in table.columns]
        if missing:
            raise SpecError(f"{self.name}: its index lacks the columns {missing}")
        if table.empty:
            raise DataError(f"{self.name}: no rows found. Expected: {self.card.layout}", file=self.path)
        repeated = table["id"][table["id"].duplicated()]
        if len(repeated):
            raise DataError(
                f"{self.name}: the id '{repeated.iloc[0]}' occurs twice; expected are {self.card.layout}",
                file=self.path,
            )
        self._table = table.sort_values("id", kind="stable").reset_index(drop=True) if self.sorts else table

    def open_later(self, root: Path | str | None) -> None:
        """Note where the files lie; ``ready`` opens them."""
        self._root = root
        if self.folder:
            self.path = Path(root or ".") / self.folder

    def ready(self) -> None:
        """Open where ``open_later`` put it off."""
        if self._table is None:
            self.open(self._root)

    def fetch(self) -> None:
        """Download what is missing into ``self.path``; a source that knows addresses and checksums overrides this.

        Raises:
            DataError: the data are not there and nothing is known that would get them, or a transfer failed.
        """
        if not self.path.exists():
            raise self.absent("it cannot be downloaded by the zoo")

    def absent(self, problem: str) -> DataError:
        """Build the error for data that are not there: the problem, the expected files and where to get them."""
        return DataError(
            f"{self.name}: {problem}. Expected below the folder: {self.card.layout}. "
            f"Get it: {self.card.where}. Point --data.root at the folder that holds '{self.folder}'",
            file=self.path,
        )

    @property
    def index(self) -> pd.DataFrame:
        """One line a row, sorted by id (see ``sorts``).

        Its columns are

        id: unique and stable (a relative file name, an accession), never a position in a listing;
        subject: join key: rows of different sources with the same non-empty subject become one sample;
        group: rows with the same non-empty group never cross a split (patient, lesion, image, sequence);
        stratum: what splits are stratified by (usually the class), "" for nothing;
        split: "train", "val", "test" where the publisher fixed it, else "";
        and any columns of the source's own, such as file names, which ``read`` may use.
        """
        if self._table is None:
            raise SpecError(f"{self.name} is not open; call open(root) first")
        return self._table

    def __len__(self) -> int:
        return len(self.index)

    def id(self, row: int) -> str:
        """The id of line ``row`` of ``index``."""
        return str(self.index["id"].iat[row])

    def image(self, modality: str, file: Path | bytes, *, whole: bool = False) -> ImageArray:
        """Read an image of a modality, in any format, as its processor asks for.

        Args:
            modality: name of the modality.
            file: the file, or its bytes.
            whole: never decode at a smaller scale, for images of which a part is taken.

        Raises:
            DataError: it cannot be read; an error of bytes does not name the file.
            MissingExtraError: the library that reads such a file is not installed.
        """
        from datamodules.io.images import decode_image, read_image

        unit = next((m.unit for m in self.card.modalities if m.name == modality), "")
        reading = self.readings.get(modality) or ImageReading(unit=unit)
        if self.watcher is not None:
            self.watcher(modality, file)
        at_least = 0 if whole else self.image_size
        if isinstance(file, bytes):
            return decode_image(file, at_least=at_least, reading=reading)
        return read_image(file, at_least=at_least, reading=reading)

    def files_of(self, row: int) -> dict[str, Path]:
        """Modality -> file of line ``row`` of ``index``, as far as it is known without reading the row.

        Here: where the id of the row is the path of a file and there is one modality of images. A source that knows
        more overrides it. The look at the data before training reads headers and names of these files.
        """
        pictures = [m.name for m in self.card.modalities if MODALITIES.get(m.kind).pixels]
        if len(pictures) != 1 or not self.folder:
            return {}
        file = self.path / self.id(row)
        return {pictures[0]: file} if file.is_file() else {}

    def file_name(self, row: int) -> str:
        """The path of a row's first file below the source's folder; its id where no file is known."""
        for file in self.files_of(row).values():
            return file.relative_to(self.path).as_posix() if file.is_relative_to(self.path) else str(file)
        return self.id(row)

    def known_cells(self, values: Iterable[Any], column: str, classes: Iterable[str] = ()) -> list[str]:
        """The cells of a column as text, "" where they are unknown; how many are is said among the remarks.

        Args:
            values: the cells.
            column: its name, for the remark.
            classes: words that are classes, whatever else they mean.
        """
        cells, said = RULE.blank(list(values), column, classes)
        self.remarks += said
        return cells

    @abstractmethod
    def _index(self) -> pd.DataFrame:
        """Build the index from the files, without decoding samples."""

    @abstractmethod
    def read(self, row: int) -> Sample:
        """Read line ``row`` of ``index``: raw inputs, raw targets, and group codes (see ``group_names``).

        Raises:
            DataError: the file is unreadable, a value is not finite, or a label is outside the classes;
                names the file and the row.
        """

    def read_many(self, rows: Sequence[int]) -> list[Sample]:
        """Read several lines, in the order given; overridden where neighbours on disk are cheaper together."""
        return [self.read(row) for row in rows]

    def peek(self, row: int) -> Sample:
        """Like ``read``, but an input that is dear to decode may be None: it is there, and not decoded.

        Labels, groups and the cheap inputs (text, tables) are as in ``read``. Every row is peeked at once
        when data are set up, so a source of images overrides this.
        """
        return self.read(row)

    def peek_at(self, row: int, names: Collection[str]) -> Sample:
        """Like ``peek``, but of some modalities and tasks; a source that reads columns overrides this.

        Args:
            row: of the index.
            names: of modalities and tasks; others may be left out. Groups are there always.
        """
        return self.peek(row)

    def overview(self) -> Overview | None:
        """What all rows hold, where the source knows it in columns; None where rows must be peeked at."""
        return None

    def cell_options(self) -> dict[str, Any] | None:
        """How a row is described in a table: options of datamodules.preprocessing.fields.CellReader.

        None describes new rows by the card: a column for each modality, named after it.
        """
        return None

    def stamp(self, root: Path | str | None) -> str:
        """What changes when the files below ``root`` change; an index of another stamp is made again."""
        path = Path(root or ".") / self.folder
        return str(path.stat().st_mtime_ns) if self.folder and path.exists() else ""

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Group column -> names behind the integer codes of ``Sample.groups``; {} for none."""
        return {}


SOURCES: Registry[Source] = Registry("source", "sources", "phantom")
