"""Sequences as Bio.SeqIO reads them: FASTA, FASTQ and GenBank, with line ends, letters, packing and odd headers."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from Bio import SeqIO

from datamodules.io.formats.sequences import NUCLEIC, FastaFile
from datamodules.modalities.protein import NON_STANDARD
from datamodules.sources.omics.genbank import GenBankFeatures
from tests.conformance.table import Case, Format, Variant, cases
from tests.options import grouped_for
from zoo.contract import AMINO_ACIDS

Make = Callable[[Path], Path]


def text(content: str | bytes, name: str = "a.fasta", *, packed: bool = False) -> Make:
    def make(folder: Path) -> Path:
        held = content.encode() if isinstance(content, str) else content
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(held) if packed else held)
        return path

    return make


def ours(letters: str = NUCLEIC) -> Callable[[Path], dict[str, str]]:
    def read(path: Path) -> dict[str, str]:
        file = FastaFile(path)
        return {name: file.read(name, letters=letters) for name in file.names}

    return read


def windows(path: Path) -> list[str]:
    """Pieces of the first record, some of which reach beyond it."""
    file = FastaFile(path)
    name = file.names[0]
    return [file.window(name, start, start + 7) for start in range(-3, file.length(name) + 3)]


def with_biopython(kind: str = "fasta") -> Callable[[Path], dict[str, str]]:
    def read(path: Path) -> dict[str, str]:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as handle:
            return {r.id: str(r.seq).upper() for r in SeqIO.parse(handle, kind)}

    return read


def windows_of_biopython(path: Path) -> list[str]:
    letters = next(iter(with_biopython()(path).values()))
    padded = "NNN" + letters + "N" * 10
    return [padded[k : k + 7] for k in range(len(letters) + 6)]


TWO = ">one first\nACGTACGTAC\nGTACG\n>two\nTTTT\n"
PROTEIN = AMINO_ACIDS + NON_STANDARD
FASTA = Format(
    "FASTA",
    library="Bio.SeqIO.parse(..., 'fasta')",
    reference=with_biopython(),
    ours=ours(),
    variants=(
        Variant("two records", text(TWO)),
        Variant("line ends of Windows", text(TWO.replace("\n", "\r\n"))),
        Variant("line ends of old Macs", text(TWO.replace("\n", "\r"))),
        Variant("no line end after the last line", text(TWO.rstrip())),
        Variant("packed by gzip", text(TWO, packed=True)),
        Variant("two packed parts, one after the other", text(gzip.compress(b">one\nAC\n") + gzip.compress(b"GT\n"),
                "a.fasta.gz")),
        Variant("lower-case letters", text(">one\nacgtNNac\n")),
        Variant("all IUPAC letters of DNA", text(">one\nACGTRYSWKMBDHVN\n")),
        Variant("RNA", text(">one\nAUGCU\n"), ours=ours(NUCLEIC + "U")),
        Variant("proteins with U, O, B, Z, J and X", text(">one\nMKWUOBZJX\n"), ours=ours(PROTEIN)),
        Variant("empty lines between records", text(">one\nACGT\n\n\n>two\nTT\n\n")),
        Variant("an empty line within a record", text(">one\nACGT\n\nAC\n")),
        Variant("lines of many lengths", text(">one\nA\nCCGT\nAC\nT\n")),
        Variant("a header of many words", text(">gi|12|ref|NM_1.2| Homo sapiens; x=1 >not a record\nACGT\n")),
        Variant("a header with a tab", text(">one\tsecond\nACGT\n")),
        Variant("letters beyond ASCII in a header", text(">größe 長\nACGT\n")),
        Variant("a byte-order mark", text(b"\xef\xbb\xbf" + TWO.encode()),
                reference=lambda p: with_biopython()(_without_mark(p))),
        Variant("one line of a hundred thousand letters", text(">one\n" + "ACGTN" * 20_000 + "\n")),
        Variant("blanks within and behind lines", text(">one\nACGT ACGT \nAC\n")),
        Variant("windows of a record", text(TWO), ours=windows, reference=windows_of_biopython),
        Variant("windows, line ends of Windows", text(TWO.replace("\n", "\r\n")), windows, windows_of_biopython),
        Variant("windows, lower case and packed", text(TWO.lower(), packed=True), windows, windows_of_biopython),
        Variant("windows where lines differ in length", text(">one\nAC\nCCGT\n"), ours=windows,
                error="differ in length"),
        Variant("a stop at the end of a protein", text(">one\nMKW*\n"), ours=ours(PROTEIN), error="remove gaps"),
        Variant("gaps of an alignment", text(">one\nAC--GT\n"), error="not among the letters"),
        Variant("two records of one id", text(">one\nAC\n>one\nGT\n"), error="occurs twice"),
        Variant("a record without letters", text(">one\n>two\nAC\n"), error="has no letters"),
        Variant("a header without an id", text(">\nAC\n"), error="has no id"),
        Variant("no header", text("ACGT\n"), error="expected FASTA"),
        Variant("a packed file that is cut short", text(gzip.compress(TWO.encode() * 50)[:-9], "a.fasta.gz"),
                error="cannot be unpacked"),
    ),
)  # fmt: skip


def _without_mark(path: Path) -> Path:
    path.write_bytes(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    return path


QUALITY = "@one first\nACGTN\n+\nIIII!\n@two\nTT\n+two\n@>\n"
FASTQ = Format(
    "FASTQ",
    library="Bio.SeqIO.parse(..., 'fastq')",
    reference=with_biopython("fastq"),
    ours=ours(),
    variants=(
        Variant("two reads", text(QUALITY, "a.fastq")),
        Variant("packed by gzip", text(QUALITY, "a.fastq", packed=True)),
        Variant("line ends of Windows", text(QUALITY.replace("\n", "\r\n"), "a.fastq")),
        Variant("no line end after the last line", text(QUALITY.rstrip("\n"), "a.fastq")),
        Variant("a quality that begins with @", text("@one\nAC\n+\n@@\n", "a.fastq")),
        Variant("a quality that begins with +", text("@one\nAC\n+\n++\n", "a.fastq")),
        Variant("letters and qualities on several lines", text("@one\nAC\nGT\n+\nII\nII\n", "a.fastq")),
        Variant("the id again behind +", text("@one x\nAC\n+one x\nII\n", "a.fastq")),
        Variant("lower-case letters", text("@one\nacgn\n+\nIIII\n", "a.fastq")),
        Variant("a suffix of FASTA", text(QUALITY, "a.fasta")),
        Variant("ids with lane and pair", text("@M0:1:AB:1 1:N:0:ACGT\nAC\n+\nII\n", "a.fastq")),
        Variant("qualities of another length", text("@one\nAC\n+\nI\n", "a.fastq"), error="FASTQ"),
        Variant("no line of +", text("@one\nAC\nII\n", "a.fastq"), error="FASTQ"),
        Variant("two reads of one id", text("@one\nAC\n+\nII\n@one\nGT\n+\nII\n", "a.fastq"), error="occurs twice"),
        Variant("a letter that is none", text("@one\nA?\n+\nII\n", "a.fastq"), error="not among the letters"),
    ),
)  # fmt: skip

GENES = (
    ("gene", "1..30"), ("CDS", "1..30"), ("CDS", "complement(5..19)"), ("CDS", "join(1..6,11..16,21..26)"),
    ("CDS", "complement(join(1..6,11..16))"), ("tRNA", "<3..>14"), ("CDS", "7"),
    ("rRNA", "join(complement(9..12),1..4)"), ("tRNA", "order(1..3,7..9)"), ("CDS", "join(31..40,1..5)"),
)  # fmt: skip
LETTERS = "acgtacgttgcaaccggttaacgtgacctgaacgtnacgr"


def record(*features: tuple[str, str], letters: str = LETTERS, name: str = "REC1.1", topology: str = "linear") -> str:
    lines = [f"LOCUS       {name.split('.')[0]:<16} {len(letters):>11} bp    DNA     {topology:<8} BCT 01-JAN-2020"]
    lines += ["DEFINITION  Made up.", f"ACCESSION   {name.split('.')[0]}", f"VERSION     {name}"]
    lines += [
        "SOURCE      Somebody",
        "  ORGANISM  Homo sapiens",
        "            Eukaryota.",
        "FEATURES             Location/Qualifiers",
    ]
    for k, (kind, place) in enumerate(features):
        lines += [
            f"     {kind:<15} {place}",
            f'                     /product="protein {k}, of two',
            '                     lines"',
        ]
    lines.append("ORIGIN")
    for start in range(0, len(letters), 60):
        piece = letters[start : start + 60]
        lines.append(f"{start + 1:>9} " + " ".join(piece[k : k + 10] for k in range(0, len(piece), 10)))
    return "\n".join([*lines, "//", ""])


def features(qualifier: str = "", **options: Any) -> Callable[[Path], list[list[str]]]:
    def read(path: Path) -> list[list[str]]:
        source = GenBankFeatures(
            **grouped_for(GenBankFeatures, folder=".", qualifier=qualifier, **{"max_length": 0, **options})
        )
        source.open(path.parent)
        samples = map(source.read, range(len(source)))
        return sorted([s.inputs["genomics"], s.targets["feature_type"]] for s in samples)

    return read


def features_of_biopython(qualifier: str = "", types: tuple[str, ...] = ("CDS", "tRNA", "rRNA")) -> Any:
    def read(path: Path) -> list[list[str]]:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as handle:
            return sorted(
                [str(f.extract(r.seq)).upper(), f.qualifiers[qualifier][0] if qualifier else f.type]
                for r in SeqIO.parse(handle, "genbank")
                for f in r.features
                if f.type in types
            )

    return read


def genbank(name: str, *places: tuple[str, str], change: Callable[[str], str] = str, **more: Any) -> Variant:
    packed = more.pop("packed", False)
    return Variant(name, text(change(record(*places)), "a.gb", packed=packed), **more)


GENBANK = Format(
    "GenBank",
    library="Bio.SeqIO.parse(..., 'genbank')",
    reference=features_of_biopython(),
    ours=features(),
    variants=(
        genbank("features of three types", *GENES[1:6]),
        genbank("the other strand", GENES[2], GENES[5]),
        genbank("exons", GENES[3], GENES[5]),
        genbank("exons on the other strand", GENES[4], GENES[5]),
        genbank("ends that are not known", GENES[5], GENES[1]),
        genbank("one letter", GENES[6], GENES[1]),
        genbank("parts on both strands", GENES[7], GENES[1]),
        genbank("parts in any order", GENES[8], GENES[1]),
        genbank("across the origin of a circle", GENES[9], GENES[1],
                change=lambda t: t.replace("linear  ", "circular")),
        genbank("a type beside those taken", GENES[0], GENES[1], GENES[5]),
        genbank("two features at one place", GENES[1], GENES[1], GENES[5]),
        genbank("packed by gzip", *GENES[1:6], packed=True),
        genbank("line ends of Windows", *GENES[1:6], change=lambda t: t.replace("\n", "\r\n")),
        genbank("a qualifier on two lines as the class", *GENES[1:4], ours=features("product"),
                reference=features_of_biopython("product")),
        genbank("genes alone", GENES[0], GENES[1], ours=features(types=("gene", "CDS")),
                reference=features_of_biopython(types=("gene", "CDS"))),
        Variant("two records", text(record(*GENES[1:4]) + record(*GENES[5:8], name="REC2.1"), "a.gb")),
        genbank("U for T", *GENES[1:6], change=lambda t: "ORIGIN".join(
            (t.split("ORIGIN")[0], t.split("ORIGIN")[1].replace("t", "u")))),
        genbank("no sequence", GENES[1], change=lambda t: t[: t.index("ORIGIN")] + "//\n", error="cannot be read"),
        genbank("a place beyond the record", ("CDS", "30..99"), error="the record ends at 40"),
        genbank("a record without its end", GENES[1], change=lambda t: t.replace("//\n", ""), error="Premature end"),
        genbank("a class that is not declared", GENES[1], ours=features("product", classes=("x", "y")),
                error="'product'"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", cases(FASTA, FASTQ, GENBANK), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
