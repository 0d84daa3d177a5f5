"""VariantWindows on a made-up release."""

from __future__ import annotations

import gzip
import pickle
import runpy
from pathlib import Path

import pytest

from datamodules.sources.omics.variants import CLINVAR, AlleleOptions, InfoLabels, VariantGroups, VariantWindows
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "variants.py"))["write"]
FASTA = "Homo_sapiens.GRCh38.dna.primary_assembly.fa"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "clinvar")
    return tmp_path


def opened(root: Path, source: VariantWindows) -> VariantWindows:
    source.open(root)
    return source


def lines(root: Path) -> list[list[str]]:
    text = gzip.decompress((root / "clinvar" / "clinvar.vcf.gz").read_bytes()).decode()
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def rewrite(root: Path, old: str, new: str) -> None:
    path = root / "clinvar" / "clinvar.vcf.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new).encode()))


def genome(root: Path) -> dict[str, str]:
    records = (root / "clinvar" / FASTA).read_text().split(">")[1:]
    return {r.split()[0]: "".join(r.split("\n")[1:]) for r in records}


@pytest.mark.parametrize("allele", ["alternate", "reference"])
def test_windows(root: Path, allele: str) -> None:
    source = opened(root, VariantWindows(length=120, alleles=AlleleOptions(allele=allele)))  # type: ignore[arg-type]
    assert len(source) == 20
    assert source.card.tasks[0].classes == ("benign", "pathogenic")
    letters = {c: "N" * 200 + s + "N" * 200 for c, s in genome(root).items()}
    by_id = {source.read(i).id: i for i in range(20)}
    used = 0
    for chromosome, position, name, reference, alternate, _, _, info in lines(root):
        key = f"{chromosome}:{position}:{reference}>{alternate}/{name}"
        if key not in by_id:
            continue
        used += 1
        sample = source.read(by_id[key])
        at = 200 + int(position) - 1
        put = alternate if allele == "alternate" else reference
        whole = letters[chromosome]
        expected = whole[at - 60 : at] + put + whole[at + len(reference) :]
        assert sample.inputs["genomics"] == expected[:120]
        assert sample.targets == {"pathogenicity": CLINVAR[info.split("CLNSIG=")[1].split(";")[0]]}
        assert source.group_names()["chromosome"][sample.groups["chromosome"]] == chromosome
        assert source.peek(by_id[key]).targets == sample.targets
    assert used == 20
    assert source.skipped == {
        "allele is too long (max_allele)": 1,
        "CLNSIG 'Uncertain_significance' is in no class (labels)": 1,
        "CLNSIG 'Conflicting_classifications_of_pathogenicity' is in no class (labels)": 1,
        "CLNSIG '' is in no class (labels)": 1,
    }
    assert pickle.loads(pickle.dumps(source)).read(0) == source.read(0)


def test_groups_and_splits(root: Path) -> None:
    source = opened(root, VariantWindows(length=120))
    genes = {
        key: info.split("GENEINFO=")[1].split(":")[0]
        for key, info in ((f"{c}:{p}", i) for c, p, *_, i in lines(root))
        if "GENEINFO" in info
    }
    group = {":".join(i.split(":")[:2]): g for i, g in zip(source.index["id"], source.index["group"], strict=True)}
    for a in group:
        for b in group:
            assert (group[a] == group[b]) == (genes[a] == genes[b])
    wide = opened(root, VariantWindows(length=2000))  # windows of neighbours overlap: one group a chromosome
    assert wide.index["group"].nunique() == 3
    held = opened(
        root,
        VariantWindows(
            grouping=VariantGroups(group_by="chromosome", test_chromosomes=("2",), val_chromosomes=("MT",))
        ),
    )
    assert held.index["split"].value_counts().to_dict() == {"": 10, "test": 9, "val": 1}
    assert held.index["group"].nunique() == 3
    with pytest.raises(SpecError, match=r"\['chr2'\]"):
        opened(root, VariantWindows(grouping=VariantGroups(test_chromosomes=("chr2",))))


def test_names_of_contigs_and_index(root: Path) -> None:
    source = opened(root, VariantWindows(length=120))
    plain = [source.read(i).inputs for i in range(20)]
    path = root / "clinvar" / FASTA
    path.write_text(path.read_text().replace(">MT", ">chrM").replace(">", ">chr").replace("chrchr", "chr"))
    other = opened(root, VariantWindows(length=120))
    assert [other.read(i).inputs for i in range(20)] == plain
    path.write_text(path.read_text().replace(">chrM", ">scaffold"))
    with pytest.raises(DataError, match=r"contig 'MT' is not in.*missing_contigs='skip'.*row: \d+"):
        opened(root, VariantWindows())
    skipping = opened(root, VariantWindows(alleles=AlleleOptions(missing_contigs="skip")))
    assert skipping.skipped["contig is not in the reference (missing_contigs)"] == 1
    (root / "clinvar" / f"{FASTA}.fai").write_text("chr1\t9\t1\t60\t61\n")
    with pytest.raises(DataError, match="samtools faidx"):
        opened(root, VariantWindows())


def test_multiallelic_and_number_a(root: Path) -> None:
    first = genome(root)["1"][39]
    a, b, c = (x for x in "ACGT" if x != first)
    vcf = root / "clinvar" / "own.vcf"
    head = '##INFO=<ID=EFFECT,Number=A,Type=String,Description="x">\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'
    vcf.write_text(head + f"1\t40\t.\t{first}\t{a},{b},{c}\t.\t.\tEFFECT=up,down,.\n")
    source = opened(
        root, VariantWindows(vcf="own.vcf", labels=InfoLabels(label_key="EFFECT"), length=100, task_name="effect")
    )
    assert source.card.tasks[0].classes == ("down", "up")
    assert [source.read(i).targets["effect"] for i in range(2)] == ["up", "down"]
    assert {source.read(i).inputs["genomics"][50] for i in range(2)} == {a, b}
    assert source.index["id"].tolist() == [f"1:40:{first}>{a}", f"1:40:{first}>{b}"]
    assert source.index["group"].nunique() == 1
    vcf.write_text(head + f"1\t40\t.\t{first}\t{a},{b}\t.\t.\tEFFECT=up\n")
    with pytest.raises(DataError, match=r"1 values for 2 alleles.*row: 3"):
        opened(root, VariantWindows(vcf="own.vcf", labels=InfoLabels(label_key="EFFECT")))
    vcf.write_text(head + f"1\t40\t.\t{first}\t<DEL>,*,.\t.\t.\tEFFECT=up,up,up\n1\t41\t.\tX\t{a}\t.\t.\tEFFECT=a\n")
    with pytest.raises(DataError, match=r"'<DEL>'.*symbolic='skip'.*row: 3"):
        opened(root, VariantWindows(vcf="own.vcf", labels=InfoLabels(label_key="EFFECT")))
    with pytest.raises(DataError, match=r"REF 'X'.*row: 4"):
        opened(
            root,
            VariantWindows(
                vcf="own.vcf", labels=InfoLabels(label_key="EFFECT"), alleles=AlleleOptions(symbolic="skip")
            ),
        )


def test_wrong_reference_names_the_line(root: Path) -> None:
    path = root / "clinvar" / FASTA
    head, _, rest = path.read_text().partition("\n")
    other = rest[:39] + {"A": "C", "C": "G", "G": "T", "T": "A"}[rest[39]] + rest[40:]
    path.write_text(f"{head}\n{other}")
    with pytest.raises(DataError, match=r"REF is '[ACGT]+' at 1:40, where.*has '[ACGT]+'.*clinvar.vcf.gz.*row: 8"):
        opened(root, VariantWindows())
    path.write_text(f"{head}\n{rest[:39]}r{rest[40:]}")
    assert len(opened(root, VariantWindows())) == 20
    rewrite(root, "\t6340\t", "\t99999\t")
    with pytest.raises(DataError, match=r"at [12]:99999.*'nothing'"):
        opened(root, VariantWindows())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("#CHROM\t", "#CHR\t", "is no line of a VCF.*row: 8"),
        ("1\t40\t", "1\tforty\t", "is no line of a VCF.*row: 8"),
        ("1\t40\t", "1\t0\t", "at 1:0.*row: 8"),
        ("\t.\t.\tALLELEID=100", " . . ALLELEID=100", "is no line of a VCF"),
    ],
)
def test_bad_lines(root: Path, old: str, new: str, says: str) -> None:
    rewrite(root, old, new)
    with pytest.raises(DataError, match=says):
        opened(root, VariantWindows())


def test_unmapped_and_broken(root: Path) -> None:
    with pytest.raises(DataError, match=r"CLNSIG is .* in no class.*unmapped='skip'"):
        opened(root, VariantWindows(labels=InfoLabels(unmapped="raise")))
    with pytest.raises(SpecError, match="must fit into half"):
        VariantWindows(length=64)
    path = root / "clinvar" / "clinvar.vcf.gz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"cannot be read.*clinvar.vcf.gz"):
        opened(root, VariantWindows())
    path.unlink()
    with pytest.raises(DataError, match=r"missing.*clinvar.vcf.gz"):
        opened(root, VariantWindows())
