"""MIMICCXR on a made-up folder."""

from __future__ import annotations

import gzip
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.sources.images.chexpert import OBSERVATIONS
from datamodules.sources.vision_language.mimic_cxr import MIMICCXR, ReportOptions, report_sections
from tests.options import grouped_for
from zoo.errors import DataError, SpecError

GENERATOR = runpy.run_path(str(Path(__file__).parents[3] / "data" / "mimic_cxr.py"))
write, LABELS = GENERATOR["write"], GENERATOR["LABELS"]


def opened(root: Path, **arguments: object) -> MIMICCXR:
    source = MIMICCXR(**grouped_for(MIMICCXR, **arguments))  # type: ignore[arg-type]
    source.open(root)
    return source


def rewrite(root: Path, name: str, old: str, new: str) -> None:
    path = root / "mimic_cxr" / f"mimic-cxr-2.0.0-{name}.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new, 1).encode()))


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "mimic_cxr")
    source = opened(tmp_path)
    assert len(source) == 16
    assert source.index["split"].value_counts().to_dict() == {"train": 8, "val": 4, "test": 4}
    assert source.index["group"].nunique() == 8
    assert source.index.groupby("group")["split"].nunique().max() == 1
    ids = source.index["id"].tolist()
    sample = source.read(ids.index("s50000002"))
    folder = tmp_path / "mimic_cxr" / "files" / "p10" / "p10500000" / "s50000002"
    for modality, k in (("xray", 1), ("xray_lateral", 2)):
        picture = np.asarray(Image.open(folder / f"00000002-{k:08x}.jpg"))
        assert np.array_equal(sample.inputs[modality], picture)
    assert sample.inputs["text"] == "Study 50000002 shows nothing. Lungs are ___. Number 50000002: nothing."
    known = {OBSERVATIONS[n]: (1, 0, None, 0)[(2 + k) % 4] for k, n in enumerate(LABELS)}
    assert sample.targets["radiographic_findings"] == {n: v for n, v in known.items() if v is not None}
    assert source.peek(ids.index("s50000005")).targets == {}
    assert source.unlabelled == 1
    assert set(source.peek(ids.index("s50000006")).inputs) == {"xray", "xray_lateral"}
    assert set(source.peek(ids.index("s50000007")).inputs) == {"text"}
    assert set(source.peek(ids.index("s50000001")).inputs) == {"xray", "text"}


@pytest.mark.parametrize(
    ("uncertain", "unmentioned", "values"),
    [
        ("zeros", "zeros", (1, 0, 0, 0)),
        ("ones", "unknown", (1, 0, 1, None)),
        ("ignore", "unknown", (1, 0, None, None)),
    ],
)
def test_policies(tmp_path: Path, uncertain: str, unmentioned: str, values: tuple[int | None, ...]) -> None:
    write(tmp_path / "mimic_cxr")
    source = opened(tmp_path, uncertain=uncertain, unmentioned=unmentioned, task_name="t")
    wanted = {OBSERVATIONS[n]: values[k % 4] for k, n in enumerate(LABELS)}
    assert source.peek(0).targets["t"] == {n: v for n, v in wanted.items() if v is not None}


def test_options(tmp_path: Path) -> None:
    write(tmp_path / "mimic_cxr")
    source = opened(tmp_path, labeler="negbio", sections=[], published_split=False)
    assert source.unlabelled == 2
    assert len(source) == 15
    assert source.skipped["no frontal or lateral image, and no text"] == 1
    assert [m.name for m in source.card.modalities] == ["xray", "xray_lateral"]
    assert set(source.index["split"]) == {""}
    assert opened(tmp_path, sections=["indication"]).peek(0).inputs["text"] == "___F with cough // eval"
    assert MIMICCXR(reports=ReportOptions(inform=True)).card.tasks[0].modalities == ("xray", "xray_lateral", "text")


def test_missing_files(tmp_path: Path) -> None:
    write(tmp_path / "mimic_cxr")
    place = "p10/p10000000/s50000000"
    (tmp_path / "mimic_cxr" / "files" / place / "00000000-00000001.jpg").unlink()
    with pytest.raises(DataError, match=r"file is missing.*00000000-00000001\.jpg"):
        opened(tmp_path).read(0)
    source = opened(tmp_path, missing_images="skip")
    assert source.skipped["image is missing"] == 1
    assert set(source.read(0).inputs) == {"xray_lateral", "text"}
    (tmp_path / "mimic_cxr" / "mimic-cxr-reports" / "files" / f"{place}.txt").unlink()
    with pytest.raises(DataError, match=r"reports.missing='skip'.*s50000000\.txt"):
        opened(tmp_path)
    assert set(opened(tmp_path, missing="skip").peek(0).inputs) == {"xray", "xray_lateral"}
    (tmp_path / "mimic_cxr" / "mimic-cxr-reports").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"folder of reports.*sections=\[\]"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("chexpert", "-1.0", "-2.0", "'-2.0'.*chexpert"),
        ("chexpert", "Lung Lesion", "Lesion", "lacks a column.*'Lung Lesion'.*chexpert"),
        ("split", "validate", "holdout", "'holdout'.*split"),
        ("split", ",50000003,", ",60000003,", "x"),
        ("metadata", "ViewPosition", "View", "lacks a column.*metadata"),
    ],
)
def test_bad_tables(tmp_path: Path, name: str, old: str, new: str, says: str) -> None:
    write(tmp_path / "mimic_cxr")
    rewrite(tmp_path, name, old, new)
    if says == "x":
        rewrite(tmp_path, name, old, new)
        says = "have no split, the first is 50000003"
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_broken_files(tmp_path: Path) -> None:
    for wrong in ({"labeler": "x"}, {"uncertain": "x"}, {"sections": ["mesh"]}, {"missing": "x"}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            MIMICCXR(**grouped_for(MIMICCXR, **wrong))  # type: ignore[arg-type]
    write(tmp_path / "mimic_cxr")
    report = tmp_path / "mimic_cxr" / "mimic-cxr-reports" / "files" / "p10" / "p10000000" / "s50000000.txt"
    for content in (b"\xff\xfe\x00", b" " * (2 << 20)):
        report.write_bytes(content)
        with pytest.raises(DataError, match=r"s50000000\.txt"):
            opened(tmp_path)
    table = tmp_path / "mimic_cxr" / "mimic-cxr-2.0.0-chexpert.csv.gz"
    kept = table.read_bytes()
    bomb = gzip.compress(b"0" * (80 << 20))
    for content in (
        b"",
        kept[:40],
        b"no gz",
        kept[:60] + b"\x00\x01" + kept[62:],
        gzip.compress(b"\xff\xfe\xfa"),
        bomb,
    ):
        table.write_bytes(content)
        with pytest.raises(DataError, match="chexpert"):
            opened(tmp_path, sections=[])
    table.unlink()
    table.with_suffix("").write_bytes(gzip.decompress(kept))
    assert len(opened(tmp_path, sections=[])) == 15
    table.with_suffix("").unlink()
    with pytest.raises(DataError, match=r"file is missing.*chexpert\.csv\.gz"):
        opened(tmp_path, sections=[])


def test_report_sections() -> None:
    text = "  WET READ: x\n FINDINGS AND IMPRESSION: A:b\n\n HISTORY:\n FINDINGS: one\n Note: no head\n FINDINGS: two"
    assert report_sections(text) == {
        "wet read": "x",
        "findings and impression": "A:b",
        "findings": "one Note: no head two",
    }
    assert report_sections("") == {}
