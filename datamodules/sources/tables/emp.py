"""Earth Microbiome Project, release 1: where a sample was taken, told from its place, chemistry and diversity."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.formats.cells import encode, natural_order
from datamodules.io.unknown import RULE
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

COLUMNS = (
    "latitude_deg",
    "longitude_deg",
    "depth_m",
    "altitude_m",
    "elevation_m",
    "temperature_deg_c",
    "ph",
    "salinity_psu",
    "oxygen_mg_per_l",
    "phosphate_umol_per_l",
    "ammonium_umol_per_l",
    "nitrate_umol_per_l",
    "sulfate_umol_per_l",
    "adiv_observed_otus",
    "adiv_chao1",
    "adiv_shannon",
    "adiv_faith_pd",
)
"""Place, physical chemistry and alpha diversity: the columns that may be read."""
LEAKS = ("empo_", "env_", "envo_", "host_", "sample_", "description", "title")
"""Beginnings of columns that state the label in other words (a host makes a sample animal or plant)."""
CATEGORIES: dict[str, tuple[str, ...]] = {
    "empo_1": ("country",),
    "empo_2": ("country",),
    "empo_3": ("country",),
    "env_feature": ("env_biome", "env_material", "country"),
}
"""Columns of words that may be read beside COLUMNS, by target. Biome and material nearly state the EMP ontology
(material alone gives empo_2 for most samples by majority) and are inputs for env_feature only, as in the paper."""
TARGETS = ("empo_1", "empo_2", "empo_3", "env_feature")
CLASSES = {
    "empo_1": ("Free-living", "Host-associated"),
    "empo_2": ("Animal", "Non-saline", "Plant", "Saline"),
}
"""Classes of the two upper levels of the EMP ontology; those of the other targets are read from the file."""
UNKNOWN = ("", "nan", "na", "none", "unknown", "not provided", "not applicable", "not collected")
"""How the table writes an unknown value, in lower case; also anything that begins with "missing"."""


@SOURCES.register
class EarthMicrobiome(Source):
    """Read environmental samples: 17 numbers (None where unknown), and the environment they come from.

    Samples of one study never cross a split.

    Args:
        folder: folder of the file, below the root.
        file: tab-separated table, one line a sample.
        target: column of the label: "empo_1" (2 classes), "empo_2" (4), "empo_3" (17) or "env_feature" (84 in
            the subset of 2000).
        columns: columns to read, of COLUMNS (numbers) and the target's CATEGORIES (words as published).
        min_class: rows that a class needs; rows of smaller classes are left out and counted in ``skipped``.

    Raises:
        SpecError: the target is unknown, min_class is below 1, or a column is none that may be read; columns that
            leak the label (those of the ontologies, the host, the organism, the description) are never read.
    """

    group_unit = "study"

    def __init__(
        self,
        *,
        folder: str = "emp_metadata",
        file: str = "emp_qiime_mapping_subset_2k.tsv",
        target: Literal["empo_1", "empo_2", "empo_3", "env_feature"] = "empo_2",
        columns: tuple[str, ...] = COLUMNS,
        min_class: int = 1,
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "target", target, TARGETS)
        if min_class < 1:
            raise SpecError(f"EarthMicrobiome: min_class must be at least 1, got {min_class}")
        allowed = (*COLUMNS, *CATEGORIES[target])
        for column in columns:
            if column not in allowed:
                leak = " (it leaks the label)" if column.lower().startswith(LEAKS) else ""
                raise SpecError(f"EarthMicrobiome: the column '{column}'{leak} cannot be read; allowed: {allowed}")
        if not columns:
            raise SpecError(f"EarthMicrobiome: columns is empty; allowed: {allowed}")
        self.file, self.target, self.columns, self.min_class = file, target, tuple(columns), min_class
        self.card = SourceCard(
            title="Earth Microbiome Project, release 1, mapping file",
            modalities=(RawModality("environment", "tabular", features=self.columns),),
            tasks=(RawTask("environment", "classification", CLASSES.get(target, ()), ("environment",)),),
            licence="BSD-3-Clause-style (licence of the repository)",
            access="open",
            citation="Thompson et al., A communal catalogue reveals Earth's multiscale microbial diversity, Nature "
            "551:457, 2017",
            where="the repository biocore/emp, data/mapping-files",
            layout=f"{file}: tab-separated, with #SampleID, study_id, {target} and {', '.join(self.columns)}",
            caution="what is measured is decided by study and by environment, so that missing values alone tell much "
            "of the label (empo_2, logistic regression over held-out studies: accuracy .60, .56 without them, .66 "
            "with both); group by study; release 1, not EMP500",
            size="2,000 samples of 95 studies, 76 columns (the subset of 2,000 of release 1); 1.6 MB",
        )
        self._studies: tuple[str, ...] = ()

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        if not path.is_file():
            raise DataError("the file does not exist; check the source's 'file' argument", file=path)
        try:
            table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        except (ValueError, OSError) as error:
            raise DataError(f"not a readable tab-separated table ({error}); get it again", file=path) from error
        missing = [c for c in ("#SampleID", "study_id", self.target, *self.columns) if c not in table.columns]
        if missing:
            raise DataError(f"the table lacks the columns {missing}; it has {list(table.columns)[:8]} ...", file=path)
        labels = [_word(label) or "" for label in table[self.target]]
        classes = CLASSES.get(self.target) or tuple(natural_order(labels))
        for name, label in zip(table["#SampleID"], labels, strict=True):
            if label not in classes or not label:
                raise DataError(f"{self.target} is {label!r}; allowed: {classes}", file=path, row=name)
        counts = table[self.target].value_counts()
        rare = counts[counts < self.min_class]
        if len(rare):
            self.skipped[f"{self.target} of fewer than {self.min_class} rows"] = int(rare.sum())
            table = table[~table[self.target].isin(rare.index)]
            labels, classes = table[self.target].tolist(), tuple(c for c in classes if c not in rare.index)
        studies = self.known_cells(table["study_id"], "study_id")
        self._studies, codes = encode(studies)
        self.card = replace(self.card, tasks=(replace(self.card.tasks[0], classes=classes),))
        index = table[list(self.columns)].copy()
        index["id"], index["subject"], index["split"] = table["#SampleID"], "", ""
        index["group"], index["stratum"], index["study_code"] = studies, labels, codes
        return index

    def read(self, row: int) -> Sample:
        """Read one sample: columns by name, None where unknown, the environment, and the code of the study."""
        line = self.index.iloc[row]
        values = {c: self._number(line[c], c, line["id"]) if c in COLUMNS else _word(line[c]) for c in self.columns}
        return Sample(
            line["id"], {"environment": values}, {"environment": line["stratum"]}, {"study": int(line["study_code"])}
        )

    def _number(self, text: str, column: str, row: str) -> float | None:
        word = text.strip().lower()
        if _word(text) is None:
            return None
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(
                f"column '{column}' holds {text!r}; expected a number, or nothing where unknown",
                file=self.path / self.file,
                row=row,
            )
        return value

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Names of the studies."""
        return {"study": self._studies}


def _word(text: str) -> str | None:
    """A published word as it is, None where it stands for unknown."""
    word = text.strip()
    return None if RULE(word) or word.lower() in UNKNOWN or word.lower().startswith("missing") else word
