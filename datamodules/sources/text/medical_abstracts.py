"""Medical abstracts labelled by the condition of the patients."""

from __future__ import annotations

import hashlib
from collections import Counter

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import read_csv
from datamodules.io.unknown import RULE
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

CLASSES = (
    "neoplasms",
    "digestive system diseases",
    "nervous system diseases",
    "cardiovascular diseases",
    "general pathological conditions",
)
"""Conditions in the order of their published numbers 1 to 5."""


@SOURCES.register
class MedicalAbstracts(Source):
    """Read abstracts and one of five conditions (Schopf, Braun and Matthes 2022).

    Of the two files, those that are there are read. With both, the test file is the split "test"; with one
    alone, no split is fixed. Equal texts share a group.

    Args:
        folder: the source's folder below the root.
        train_file: name of the training csv; "" leaves it unread.
        test_file: name of the test csv; "" leaves it unread.
        labels_file: name of the csv of condition numbers and names.
    """

    group_unit = "text"

    card = SourceCard(
        title="Medical Abstracts Text Classification Dataset",
        modalities=(RawModality("text", "text"),),
        tasks=(RawTask("disease", "classification", CLASSES),),
        licence="CC BY-SA 3.0",
        access="open",
        citation="Schopf, Braun and Matthes, Evaluating Unsupervised Text Classification: Zero-shot and "
        "Similarity-based Approaches, NLPIR 2022, doi:10.1145/3582768.3582795",
        where="GitHub repository sebischair/Medical-Abstracts-TC-Corpus",
        layout="medical_tc_train.csv and medical_tc_test.csv (one is enough): condition_label, medical_abstract; "
        "medical_tc_labels.csv: condition_label, condition_name",
        caution="PubMed abstracts, not clinical notes; the last class overlaps the others, and some abstracts occur "
        "with two labels (grouped)",
        size="14,438 abstracts: 11,550 for training, 2,888 for testing",
    )

    def __init__(
        self,
        *,
        folder: str = "medical_abstracts",
        train_file: str = "medical_tc_train.csv",
        test_file: str = "medical_tc_test.csv",
        labels_file: str = "medical_tc_labels.csv",
    ) -> None:
        super().__init__(folder=folder)
        if not train_file and not test_file:
            raise SpecError("MedicalAbstracts: train_file and test_file are both ''; name at least one")
        self.train_file = train_file
        self.test_file = test_file
        self.labels_file = labels_file

    def _index(self) -> pd.DataFrame:
        names = self._labels()
        files = [f for f in (self.train_file, self.test_file) if f and (self.path / f).is_file()]
        if not files:
            raise DataError(
                f"MedicalAbstracts: neither '{self.train_file}' nor '{self.test_file}' is there. Expected: "
                f"{self.card.layout}. Get it: {self.card.where}",
                file=self.path,
            )
        lines = []
        seen: Counter[str] = Counter()
        for file in files:
            path = self.path / file
            table = read_csv(path, ("condition_label", "medical_abstract"), stripped=True)
            split = "test" if file == self.test_file and len(files) == 2 else ""
            for number, (code, text) in enumerate(
                zip(table["condition_label"], table["medical_abstract"], strict=True)
            ):
                if code not in names:
                    raise DataError(
                        f"MedicalAbstracts: condition_label {code!r} is none of {sorted(names)}",
                        file=path,
                        row=number,
                    )
                if RULE(text):
                    raise DataError("MedicalAbstracts: the abstract is empty; remove the row", file=path, row=number)
                key = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
                seen[key] += 1
                unique = key + (f"-{seen[key]}" if seen[key] > 1 else "")
                lines.append((unique, "", key, names[code], split, text))
        return pd.DataFrame(lines, columns=["id", "subject", "group", "stratum", "split", "text"])

    def _labels(self) -> dict[str, str]:
        """Read condition number -> name."""
        path = self.path / self.labels_file
        table = read_csv(path, ("condition_label", "condition_name"), stripped=True)
        names = {c: n.lower() for c, n in zip(table["condition_label"], table["condition_name"], strict=True)}
        if set(names.values()) != set(CLASSES):
            raise DataError(
                f"MedicalAbstracts: the conditions {sorted(names.values())} are not the published {sorted(CLASSES)}; "
                "fetch the file again",
                file=path,
            )
        return names

    def read(self, row: int) -> Sample:
        """Read the abstract and its condition."""
        entry = self.index.iloc[row]
        return Sample(id=entry["id"], inputs={"text": str(entry["text"])}, targets={"disease": str(entry["stratum"])})
