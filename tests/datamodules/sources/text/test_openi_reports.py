"""The radiology report source, on a made-up layout and on the real file."""

from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path

import pytest

from datamodules.sources.text.openi_reports import OpenIReports, label_name
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "openi_reports.py"))["write"]
HEADER = "uid,MeSH,Problems,image,indication,comparison,findings,impression\n"


def opened(root: Path, **settings: object) -> OpenIReports:
    source = OpenIReports(**settings)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_label_names() -> None:
    assert label_name("Cardiomegaly") == "cardiomegaly"
    assert label_name("Technical Quality of Image Unsatisfactory ") == "technical_quality_of_image_unsatisfactory"


def test_rows_texts_and_findings(tmp_path: Path) -> None:
    write(tmp_path / "openi_reports", n=12)
    source = opened(tmp_path)
    assert len(source) == 11
    assert sum(source.skipped.values()) == 1
    assert source.unlabelled == 1
    classes = source.card.tasks[0].classes
    assert len(classes) == 8
    for row in range(len(source)):
        sample = source.read(row)
        if not sample.targets:
            assert sample.id == "10"
            continue
        known = sample.targets["radiographic_findings"]
        assert tuple(known) == classes
        text = label_name(sample.inputs["text"])
        assert all(value == int(name in text) for name, value in known.items())


def test_labels_by_hand(tmp_path: Path) -> None:
    folder = tmp_path / "openi_reports"
    folder.mkdir()
    rows = [
        "1,a,A;B b,x,why,,seen,said",
        "2,a,B b,x,why,,seen,",
        "3,a,normal,x,,,,said",
        "4,a,,x,why,,seen,",
        "5,a,C,x,why,,,",
    ]
    (folder / "indiana_reports.csv").write_text(HEADER + "\n".join(rows) + "\n")
    source = opened(tmp_path, num_findings=2, include_normal=True)
    assert source.card.tasks[0].classes == ("normal", "b_b", "a")
    samples = [source.read(r) for r in range(len(source))]
    assert [s.inputs["text"] for s in samples] == ["seen said", "seen", "said", "seen"]
    labels = [list(s.targets.get("radiographic_findings", {}).values()) for s in samples]
    assert labels == [[0, 1, 1], [0, 1, 0], [1, 0, 0], []]
    normal = opened(tmp_path, task="normal", sections=["indication", "impression"])
    assert normal.card.tasks[0].classes == ("abnormal", "normal")
    read = [normal.read(r) for r in range(len(normal))]
    assert [s.inputs["text"] for s in read] == ["why said", "why", "said", "why", "why"]
    assert [s.targets.get("normal_report") for s in read] == ["abnormal", "abnormal", "normal", None, "abnormal"]
    with pytest.raises(DataError, match="num_findings is 8, but the file has 3"):
        opened(tmp_path)


def test_settings_leave_the_class_alone(tmp_path: Path) -> None:
    write(tmp_path / "openi_reports", n=12)
    opened(tmp_path)
    assert OpenIReports.card.tasks[0].classes == ()
    assert OpenIReports().card.tasks[0].name == "radiographic_findings"


def test_bad_input(tmp_path: Path) -> None:
    for wrong in ({"sections": ["Problems"]}, {"sections": []}, {"task": "disease"}, {"num_findings": 0}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            OpenIReports(**wrong)  # type: ignore[arg-type]
    write(tmp_path / "openi_reports", n=12)
    path = tmp_path / "openi_reports" / "indiana_reports.csv"
    good = path.read_text()
    path.write_text(good + ",a,Cough,x,,,text,\n")
    with pytest.raises(DataError, match=r"uid is empty.*row: 12"):
        opened(tmp_path)
    path.write_text(good + "1,a,Opacity,x,,,text,\n")
    with pytest.raises(DataError, match="'1' occurs twice"):
        opened(tmp_path)
    path.write_text("uid,findings\n1,text\n")
    with pytest.raises(DataError, match="unknown column 'Problems'"):
        opened(tmp_path)


def test_real_file(shared_data: Path) -> None:
    source = opened(shared_data, include_normal=True)
    assert len(source) == 3851 - 25
    assert source.skipped == {"no text in findings and impression": 25}
    counts: Counter[str] = Counter()
    for row in range(len(source)):
        counts.update(source.read(row).targets.get("radiographic_findings", {}))
    assert source.card.tasks[0].classes[:4] == ("normal", "lung", "opacity", "cardiomegaly")
    assert 320 < counts["cardiomegaly"] <= 345
    assert 1300 < counts["normal"] <= 1379
    assert set(source.index["stratum"]) == {"", "normal", "abnormal"}
    assert len(opened(shared_data, sections=["findings"])) == 3337


def test_reports_of_one_wording_share_a_group(shared_data: Path) -> None:
    def groups(**options: bool) -> int:
        source = OpenIReports(**options)  # type: ignore[arg-type]
        source.open(shared_data)
        return int(source.index["group"].nunique())

    source = OpenIReports()
    source.open(shared_data)
    texts = source.index["text"].str.casefold().str.split().str.join(" ")
    assert groups() == texts.nunique()
    assert groups(group_texts=False) == len(source)
