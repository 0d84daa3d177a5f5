"""Variants as pysam reads them: alleles, and the value of a key of INFO or FORMAT for each alternate allele."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from Bio.bgzf import BgzfWriter

from datamodules.io.formats.sequences import text_lines
from datamodules.io.formats.vcf import VCFHeader, VCFKey
from datamodules.sources.omics.variants import AlleleOptions, InfoLabels, VariantWindows
from tests.conformance.table import Case, Format, Variant, cases
from zoo.errors import DataError

Make = Callable[[Path], Path]
HEAD = (
    "##fileformat=VCFv4.2",
    "##contig=<ID=1,length=48>",
    '##INFO=<ID=A,Number=A,Type=Float,Description="one an alternate allele, Number=R is not meant">',
    '##INFO=<ID=R,Number=R,Type=Integer,Description="one an allele, REF first">',
    '##INFO=<ID=G,Number=G,Type=Integer,Description="one a genotype">',
    '##INFO=<ID=N,Number=.,Type=String,Description="any number">',
    '##INFO=<ID=S,Number=1,Type=String,Description="one">',
    '##INFO=<ID=T,Number=2,Type=Integer,Description="two">',
    '##INFO=<ID=F,Number=0,Type=Flag,Description="a flag">',
    '##INFO=<Description="a key, Number=1, in another order",Type=String,Number=A,ID=O>',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads">',
    '##FORMAT=<ID=AF,Number=A,Type=Float,Description="Share">',
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">',
)
KEYS = ("A", "R", "G", "N", "S", "T", "F", "O")


def vcf(
    *lines: str, samples: Sequence[str] = (), head: Sequence[str] = HEAD, end: str = "\n", packed: bool = False
) -> Make:
    """A file of these lines, whose cells are parted by blanks here and by tabs in the file."""

    def make(folder: Path) -> Path:
        names = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
        names += ["FORMAT", *samples] if samples else []
        content = end.join([*head, "\t".join(names), *("\t".join(w.split()) for w in lines), ""]).encode()
        path = folder / ("a.vcf.gz" if packed else "a.vcf")
        with BgzfWriter(path) if packed else path.open("wb") as handle:  # bgzip's blocks, as tabix wants them
            handle.write(content)
        return path

    return make


def ours(*keys: str) -> Callable[[Path], list[Any]]:
    """For every line its place, alleles, and the value of each key for each alternate allele."""

    def read(path: Path) -> list[Any]:
        header, found = VCFHeader(), []
        for number, line in enumerate(text_lines(path)):
            if line.startswith("#"):
                header.read(line)
                continue
            cells = line.rstrip("\r\n").split("\t")
            try:
                values = [VCFKey.parse(k).values(cells, header) for k in keys]
            except DataError as error:
                raise DataError(str(error), file=path, row=number) from error
            found.append([cells[0], int(cells[1]), cells[3], cells[4].split(","), [_numbers(v) for v in values]])
        return found

    return read


def _numbers(values: Sequence[str]) -> list[Any]:
    """Numbers as floats, so that 0.5 and .5 are equal; words as they are, None where unknown."""

    def one(value: str) -> Any:
        try:
            return float(value)
        except ValueError:
            return value or None

    return [one(v) for v in values]


def with_pysam(*keys: str) -> Callable[[Path], list[Any]]:
    def read(path: Path) -> list[Any]:
        from pysam import VariantFile, set_verbosity

        set_verbosity(0)
        with VariantFile(str(path)) as file:
            return [
                [r.chrom, r.pos, r.ref, list(r.alts or (".",)), [_numbers(_each(r, k, file.header)) for k in keys]]
                for r in file
            ]

    return read


def _each(record: Any, key: str, header: Any) -> list[str]:
    """What pysam holds for a key, handed to the alternate alleles by the Number that pysam reads in the header."""
    alleles = len(record.alts or (".",))
    if key.startswith("FORMAT/"):
        name, sample = [*key.split("/"), header.samples[0]][1:3]
        held, meta = record.samples[sample].get(name), header.formats[name]
        if name == "GT":
            known = held is not None and None not in held
            return [str(sum(a == k for a in held)) if known else "" for k in range(1, alleles + 1)]
    else:
        name, meta = key, header.info[key]
        if meta.type == "Flag":
            return [str(key in record.info)] * alleles
        held = record.info.get(name)
    values = list(held) if isinstance(held, tuple) else [held]
    if set(values) <= {None, "."}:
        return [""] * alleles
    if meta.number in ("A", "R"):
        return ["" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for v in values[-alleles:]]
    return [",".join("." if v is None else str(v) for v in values)] * alleles


def compared(name: str, keys: str, make: Make, **more: Any) -> Variant:
    wanted = keys.split()
    return Variant(name, make, ours=ours(*wanted), reference=with_pysam(*wanted), needs="pysam", **more)


NA = ("NA1", "NA2")
ONE, TWO = "1 10 rs1 C T 9 PASS", "1 20 . A C,G 9 PASS"

VCF = Format(
    "VCF",
    library="pysam.VariantFile",
    reference=with_pysam("S"),
    ours=ours("S"),
    variants=(
        compared("one value", "S", vcf(f"{ONE} S=x", f"{TWO} S=y")),
        compared("Number=A", "A", vcf(f"{ONE} A=0.25", f"{TWO} A=0.5,0.125")),
        compared("Number=R: without that of REF", "R", vcf(f"{ONE} R=0,1", f"{TWO} R=7,8,9")),
        compared("Number=.", "N", vcf(f"{ONE} N=a,b,c", f"{TWO} N=d")),
        compared("two values", "T", vcf(f"{ONE} T=1,2", f"{TWO} T=3,4")),
        compared("a flag", "F", vcf(f"{ONE} S=x;F", f"{TWO} S=x", "1 30 . C A 9 PASS F")),
        compared("keys in another order, words of the header in a description", "A O", vcf(f"{TWO} A=1,2;O=a,b")),
        compared("a value lacks", "S A", vcf(f"{ONE} S=.;A=.", f"{TWO} A=0.5,.", "1 30 . C A 9 PASS .")),
        compared("all values of the alleles are unknown", "A R", vcf(f"{TWO} A=.;R=.")),
        compared("no alternate allele", "S", vcf("1 10 . C . 9 PASS S=x")),
        compared("a spanning deletion, a symbolic allele", "A", vcf("1 10 . C T,*,<DEL> 9 PASS A=1,2,3")),
        compared("insertion, deletion", "A", vcf("1 10 . C CTT 9 PASS A=1", "1 20 . ACG A 9 PASS A=2")),
        compared("line ends of Windows", "S A", vcf(f"{ONE} S=x;A=1", end="\r\n")),
        compared("packed by bgzip", "S", vcf(f"{ONE} S=x", packed=True)),
        compared("genotypes, phased or not", "FORMAT/GT", vcf(
            f"{ONE} . GT 0|1", f"{TWO} . GT 1/2", "1 30 . C A 9 PASS . GT 1", "1 31 . C A 9 PASS . GT 0/0",
            samples=NA[:1])),
        compared("unknown genotypes", "FORMAT/GT", vcf(f"{ONE} . GT ./.", f"{TWO} . GT ./1", samples=NA[:1])),
        compared("reads of alleles in FORMAT", "FORMAT/AD FORMAT/AF FORMAT/DP", vcf(
            f"{ONE} . GT:AD:AF:DP 0/1:5,7:0.5:12", f"{TWO} . GT:AD:AF:DP 1/2:1,2,3:0.25,0.5:6", samples=NA[:1])),
        compared("one of two samples", "FORMAT/GT/NA2 FORMAT/DP/NA2", vcf(
            f"{ONE} . GT:DP 0/1:3 1/1:4", samples=NA)),
        compared("fields left out at the end of a sample", "FORMAT/DP", vcf(f"{ONE} . GT:AD:DP 0/1", samples=NA[:1])),
        Variant("a key that the header does not declare", vcf(f"{TWO} AF=0.5,0.25;X=1,2"), ours=ours("AF", "X"),
                differs="reserved keys have the Number of the format, others stand as they are; pysam refuses them",
                expected=[["1", 20, "A", ["C", "G"], [[0.5, 0.25], ["1,2", "1,2"]]]]),
        Variant("Number=G", vcf(f"{ONE} G=1,2,3"), ours=ours("G"), error="one value a genotype"),
        Variant("fewer values than alleles", vcf(f"{TWO} A=1"), ours=ours("A"), error="has 1 values for 2 alleles"),
        Variant("a genotype of no allele", vcf(f"{ONE} . GT 0/4", samples=NA[:1]), ours=ours("FORMAT/GT"),
                error="does not fit 1 alternate alleles"),
        Variant("several samples, none named", vcf(f"{ONE} . GT 0/1 1/1", samples=NA), ours=ours("FORMAT/GT"),
                error="the VCF has 2 samples"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", cases(VCF), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)


@pytest.mark.parametrize(
    ("key", "labels"),
    [
        ("R", {"1:10:C>T": "1", "1:20:A>C": "8", "1:20:A>G": "9"}),
        ("A", {"1:10:C>T": "0", "1:20:A>C": "1"}),
        ("F", {"1:10:C>T": "True", "1:20:A>C": "False", "1:20:A>G": "False"}),
        ("FORMAT/GT", {"1:10:C>T": "1", "1:20:A>C": "2", "1:20:A>G": "0"}),
    ],
)
def test_labels_of_windows(tmp_path: Path, key: str, labels: dict[str, str]) -> None:
    lines = ("1 10 . C T 9 PASS R=0,1;A=0;F GT 0|1", "1 20 . A C,G 9 PASS R=7,8,9;A=1,. GT 1/1")
    vcf(*lines, samples=NA[:1])(tmp_path)
    (tmp_path / "r.fa").write_text(">1\n" + "ACGT" * 4 + "ACGA" + "ACGT" * 7 + "\n")
    source = VariantWindows(
        folder=".",
        vcf="a.vcf",
        reference="r.fa",
        length=8,
        labels=InfoLabels(label_key=key),
        alleles=AlleleOptions(max_allele=4),
    )
    source.open(tmp_path)
    samples = [source.read(k) for k in range(len(source))]
    assert {s.id: s.targets["pathogenicity"] for s in samples} == labels
