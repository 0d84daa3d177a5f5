"""PathVQA: questions about pathology images, in the parquet files of the Hugging Face hub."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import parts_to_read
from datamodules.sources.vision_language.slake import question_answer
from zoo.contract import Sample
from zoo.errors import DataError, MissingExtraError, SpecError
from zoo.raw import RawModality, RawTask

_SPLITS = {"train": "train", "validation": "val", "test": "test"}


@SOURCES.register
class PathVQA(Source):
    """Read questions about a pathology image, most of them from textbooks, with their answers.

    A row is a question. Opening reads the metadata of the parquet files and their columns of text; an image is read
    with its row group, of which the last few stay in memory. Questions on one image share a group where the files
    name their images. Where they do not, the published split keeps images apart, and without it every image is read
    once to tell which are equal.

    Args:
        folder: folder of ``data`` below the root.
        task_name: name of the task.
        closed_only: keep only questions that are answered by yes or no.
        published_split: take the publisher's train, validation and test; False leaves the split open, and questions
            on one image stay together.
        skip_empty: leave questions without a word in question or answer out, which is an error otherwise.
        cached_groups: row groups kept in memory, at least 1.

    Attributes:
        skipped: reason -> number of questions that were left out.
    """

    group_unit = "image"

    def __init__(
        self,
        *,
        folder: str = "path_vqa",
        task_name: str = "vqa",
        closed_only: bool = False,
        published_split: bool = True,
        skip_empty: bool = False,
        cached_groups: int = 4,
    ) -> None:
        super().__init__(folder=folder)
        if cached_groups < 1:
            raise SpecError(f"PathVQA: cached_groups must be at least 1, got {cached_groups}")
        self.task_name, self.closed_only, self.published_split = task_name, closed_only, published_split
        self.skip_empty, self.cached_groups = skip_empty, cached_groups
        self._files: list[Path] = []
        self._cache: OrderedDict[tuple[int, int], Any] = OrderedDict()
        modalities = (RawModality("question", "text"), RawModality("pathology", "image"))
        self.card = SourceCard(
            title="PathVQA",
            modalities=modalities,
            tasks=(RawTask(task_name, "vqa", (), tuple(m.name for m in modalities), reads="question"),),
            licence="MIT; the images belong to the publishers of two textbooks and to the PEIR library",
            access="open",
            citation="He, Zhang, Mou, Xing, Xie, PathVQA: 30000+ questions for medical visual question answering, "
            "arXiv:2003.10286, 2020",
            where="Hugging Face, flaviagiammarino/path-vqa (the authors' version of February 2023)",
            layout="data/train-*.parquet, data/validation-*.parquet, data/test-*.parquet with the columns image "
            "(bytes, path), question, answer",
            caution="Questions were generated from captions, so many read oddly and can be answered without the "
            "image; about half are yes/no. Images include diagrams and gross photographs. Near-duplicate images are "
            "not marked.",
            size="32632 questions on 4289 images; 19654, 6259 and 6719 in train, validation and test",
        )

    def _index(self) -> pd.DataFrame:
        data = self.path / "data"
        shards = {n: sorted(data.glob(f"{n}-*.parquet")) for n in _SPLITS}
        lacking = [n for n in parts_to_read(shards, lambda n: bool(shards[n]), published=self.published_split)
                   if not shards[n]]  # fmt: skip
        if lacking:
            raise self.absent(f"no file data/{lacking[0]}-*.parquet")
        self._files = [f for files in shards.values() for f in files]
        self.skipped = {}
        rows: list[tuple[Any, ...]] = []
        for number, path in enumerate(self._files):
            split = _SPLITS[path.name.split("-")[0]] if self.published_split else ""
            for row in self._shard(number, path):
                rows.append((*row, split))
        columns = ["id", "question", "answer", "group", "file", "row_group", "offset", "split"]
        return pd.DataFrame(rows, columns=columns).assign(subject="", stratum="")

    def _shard(self, number: int, path: Path) -> list[tuple[Any, ...]]:
        """List the questions of a file, without its images."""
        with _Parquet(path) as file:
            leaves = {file.schema.column(i).path for i in range(len(file.schema.names))}
            if lacking := sorted({"image.bytes", "question", "answer"} - leaves):
                raise DataError(f"the file lacks the columns {lacking}; it has {sorted(leaves)}", file=path)
            table = file.read(columns=["question", "answer", *(["image.path"] if "image.path" in leaves else [])])
            questions, answers = table["question"].to_pylist(), table["answer"].to_pylist()
            names = (
                [(i or {}).get("path") or "" for i in table["image"].to_pylist()] if "image.path" in leaves else []
            )
            sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        images = names or [""] * len(questions)
        if not self.published_split and not all(images):
            images = self._content(number, len(sizes))
        places = [(g, o) for g, size in enumerate(sizes) for o in range(size)]
        rows = []
        for n, (question, answer, image, place) in enumerate(zip(questions, answers, images, places, strict=True)):
            pair = question_answer(question, answer, skip_empty=self.skip_empty, file=path, row=n)
            if pair is None or (self.closed_only and pair[1] not in ("yes", "no")):
                reason = "no question or no answer (skip_empty)" if pair is None else "open question (closed_only)"
                self.skipped[reason] = self.skipped.get(reason, 0) + 1
                continue
            rows.append((f"{path.stem}/{n}", *pair, image, number, *place))
        return rows

    def _content(self, number: int, groups: int) -> list[str]:
        """Name the image of each row of a file by its content."""
        keys = []
        for group in range(groups):
            for data in self._row_group(number, group):
                buffer = data.as_buffer()
                keys.append(f"content:{blake2b(buffer, digest_size=12).hexdigest()}" if buffer is not None else "")
        return keys

    def _row_group(self, number: int, group: int) -> Any:
        """Read the images of one row group, undecoded: a pyarrow array of bytes."""
        key = (number, group)
        if key not in self._cache:
            with _Parquet(self._files[number]) as file:
                column = file.read_row_group(group, columns=["image.bytes"])["image"].combine_chunks()
                self._cache[key] = column.field("bytes")
            while len(self._cache) > self.cached_groups:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return self._cache[key]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": OrderedDict()}

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        """Columns of the index as lists: row by row they are far faster than a table."""
        return {c: self.index[c].tolist() for c in ("id", "question", "answer", "file", "row_group", "offset")}

    def peek(self, row: int) -> Sample:
        """Return the question and the answer of a row, without its image."""
        columns = self._columns
        inputs = {"question": columns["question"][row], "pathology": None}
        return Sample(columns["id"][row], inputs, {self.task_name: columns["answer"][row]})

    def read(self, row: int) -> Sample:
        """Read the question, the image and the answer of a row.

        Raises:
            DataError: the image cannot be read or decoded.
        """
        sample = self.peek(row)
        number, group, offset = (self._columns[c][row] for c in ("file", "row_group", "offset"))
        path = self._files[number]
        data = self._row_group(number, group)[offset].as_py()
        if data is None:
            raise DataError("the row has no image; download the file again", file=path, row=sample.id)
        try:
            sample.inputs["pathology"] = self.image("pathology", data)
        except DataError as error:
            raise DataError(str(error), file=path, row=sample.id) from error
        return sample

    def read_many(self, rows: Sequence[int]) -> list[Sample]:
        """Read several rows, those of one row group together; the order is that of ``rows``."""
        columns = self._columns
        order = sorted(range(len(rows)), key=lambda i: (columns["file"][rows[i]], columns["row_group"][rows[i]]))
        samples = {i: self.read(rows[i]) for i in order}
        return [samples[i] for i in range(len(rows))]


class _Parquet:
    """Open a parquet file; whatever pyarrow says of a broken one becomes a DataError that names it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None

    def __enter__(self) -> Any:
        try:
            import pyarrow.parquet as pq  # type: ignore[import-untyped, import-not-found, unused-ignore]
        except ImportError as error:
            raise MissingExtraError("pyarrow", "parquet") from error
        try:
            self._file = pq.ParquetFile(self.path)
            self._check_sizes()
        except Exception as error:
            self.__exit__(type(error), error, None)
            raise
        return self._file

    def _check_sizes(self) -> None:
        """Refuse a footer whose chunks lie outside of the file, before anything is allocated for them."""
        metadata, size = self._file.metadata, self.path.stat().st_size
        for g in range(metadata.num_row_groups):
            group = metadata.row_group(g)
            for c in range(group.num_columns):
                chunk = group.column(c)
                if not 0 <= chunk.total_compressed_size <= size or not 0 <= chunk.data_page_offset <= size:
                    raise DataError(f"row group {g} lies outside of the file; download it again", file=self.path)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._file is not None:
            self._file.close()
        if error is None or isinstance(error, DataError):
            return
        from pyarrow import ArrowException  # type: ignore[import-untyped, import-not-found, unused-ignore]

        if isinstance(error, (ArrowException, OSError, ValueError, MemoryError, OverflowError, KeyError, IndexError)):
            raise DataError(
                f"the parquet file cannot be read ({type(error).__name__}: {error}); download it again",
                file=self.path,
            ) from error
