"""What the header of a VCF says of its keys, and the value of a key for each alternate allele (VCF 4.1 to 4.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zoo.errors import DataError, SpecError, unknown_name

FIXED = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
"""The columns that every VCF has, in its header line."""
RESERVED = {"AC": "A", "AF": "A", "AD": "R", "ADF": "R", "ADR": "R", "GL": "G", "PL": "G", "GP": "G"}
"""Number of keys that the format reserves, for headers that do not declare them."""
MISSING = ("", ".")
"""Words of a value that is not known."""


@dataclass
class VCFHeader:
    """The declared keys and the samples.

    Attributes:
        numbers: (column, key) -> its Number: a count, "A" one value an alternate allele, "R" one an allele with REF
            first, "G" one a genotype, "." unknown, "0" a flag.
        samples: names of the samples, in the order of their columns.
        complete: whether the line of column names was read.
    """

    numbers: dict[tuple[str, str], str] = field(default_factory=dict)
    samples: tuple[str, ...] = ()
    complete: bool = False

    def read(self, line: str) -> None:
        """Take one line that begins with "#"."""
        columns = line.rstrip("\r\n").split("\t")
        if tuple(columns[:8]) == FIXED:
            self.complete, self.samples = True, tuple(columns[9:])
            return
        declared = re.match(r"##(INFO|FORMAT)=<(.*)>\s*$", line)
        if declared:
            plain = re.sub(r'"(?:[^"\\]|\\.)*"', "", declared[2])  # a description may hold anything
            said = dict(part.partition("=")[::2] for part in plain.split(","))
            flag = said.get("Type") == "Flag"
            self.numbers[declared[1], said.get("ID", "")] = "0" if flag else said.get("Number", ".")


@dataclass(frozen=True)
class VCFKey:
    """Which value of a line is wanted.

    Attributes:
        column: "INFO" or "FORMAT".
        name: of the key.
        sample: whose value of FORMAT; "" for the only sample.
    """

    column: str
    name: str
    sample: str = ""

    @classmethod
    def parse(cls, text: str) -> VCFKey:
        """Read "CLNSIG", "INFO/CLNSIG", "FORMAT/GT" or "FORMAT/GT/NA12878".

        Raises:
            SpecError: it is none of these.

        >>> VCFKey.parse("CLNSIG"), VCFKey.parse("FORMAT/GT").name
        (VCFKey(column='INFO', name='CLNSIG', sample=''), 'GT')
        """
        column, _, rest = text.partition("/") if text.startswith(("INFO/", "FORMAT/")) else ("INFO", "", text)
        name, _, sample = rest.partition("/") if column == "FORMAT" else (rest, "", "")
        if not name:
            raise SpecError(f"{text!r} is no key of a VCF; expected such as CLNSIG, INFO/AF or FORMAT/GT/NA12878")
        return cls(column, name, sample)

    def values(self, cells: Sequence[str], header: VCFHeader) -> list[str]:
        """Value of the key for each alternate allele of a line; "" where it is not known.

        Of a key with one value an allele each gets its own, without that of REF; every other value is that of all
        alleles as it stands. A flag is "True" or "False". A genotype (GT) is the number of copies of the allele,
        however it is phased; it is unknown where one of its alleles is.

        Args:
            cells: of the line.
            header: of the file.

        Raises:
            DataError: the values are not as many as the alleles, are those of genotypes, or a genotype is broken.
            SpecError: there is no such sample, or several and none is named.
        """
        alleles = len(cells[4].split(","))
        if self.column == "INFO":
            info = info_of(cells)
            if header.numbers.get(("INFO", self.name)) == "0":
                return [str(self.name in info)] * alleles
            return self._each(info.get(self.name, ""), alleles, header)
        found = self._of_sample(cells, header.samples)
        return _copies(found, alleles) if self.name == "GT" else self._each(found, alleles, header)

    def _each(self, value: str, alleles: int, header: VCFHeader) -> list[str]:
        number = header.numbers.get((self.column, self.name), RESERVED.get(self.name, "."))
        if value in MISSING:
            return [""] * alleles
        if number == "G":
            raise DataError(
                f"{self.column} {self.name} has one value a genotype (Number=G), and none of an allele; choose a key "
                "of alleles, such as AD, or GT"
            )
        if number not in ("A", "R"):
            return [value] * alleles
        each = value.split(",")
        expected = alleles + (number == "R")
        if len(each) != expected:
            raise DataError(
                f"{self.column} {self.name} has {len(each)} values for {alleles} alleles; its Number is {number}, so "
                f"{expected} are expected"
            )
        return ["" if v in MISSING else v for v in each[-alleles:]]

    def _of_sample(self, cells: Sequence[str], samples: Sequence[str]) -> str:
        if self.sample and self.sample not in samples:
            raise unknown_name("sample of the VCF", self.sample, samples)
        if not self.sample and len(samples) != 1:
            raise SpecError(
                f"the VCF has {len(samples)} samples; name one, as in FORMAT/{self.name}/"
                f"{samples[0] if samples else 'NAME'}"
            )
        column = 9 + (samples.index(self.sample) if self.sample else 0)
        if len(cells) <= column:
            return ""
        keys, values = cells[8].split(":"), cells[column].split(":")
        return dict(zip(keys, values, strict=False)).get(self.name, "")


def _copies(genotype: str, alleles: int) -> list[str]:
    """Copies of each alternate allele in a genotype such as "0|1", "1/2" or "1".

    >>> _copies("1|2", 2), _copies("./1", 1)
    (['1', '1'], [''])
    """
    found = re.split(r"[/|]", genotype.lstrip("/|"))
    if any(a in MISSING for a in found):
        return [""] * alleles
    if not all(a.isascii() and a.isdigit() and int(a) <= alleles for a in found):
        raise DataError(f"the genotype {genotype!r} does not fit {alleles} alternate alleles")
    return [str(sum(int(a) == k for a in found)) for k in range(1, alleles + 1)]


def info_of(cells: Sequence[str]) -> Mapping[str, str]:
    """Key -> value of the INFO of a line, as it stands; "" for a flag."""
    return dict(part.partition("=")[::2] for part in cells[7].split(";"))
