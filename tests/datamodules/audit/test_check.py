"""The audit on small folders with planted leaks, on clean ones, and on the real data."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import datamodules.sources  # noqa: F401
from datamodules.audit import Entry, check, check_all, entries_of_config, entry_of
from datamodules.audit.findings import Finding, SourceReport
from datamodules.audit.report import verdicts
from datamodules.core.source import SOURCES
from datamodules.sources.table import Table

DATA = Path(__file__).parents[2] / "data"


def write(name: str, folder: Path, **settings: int) -> None:
    runpy.run_path(str(DATA / f"{name}.py"))["write"](folder, **settings)


def scans(root: Path) -> Path:
    """A brain tumour folder of larger pictures, each of its own, with no copy."""
    rng = np.random.default_rng(0)
    folder = root / "brain_tumor_mri"
    for part, count in (("Training", 6), ("Testing", 2)):
        for name in ("no_tumor", "glioma_tumor", "meningioma_tumor", "pituitary_tumor"):
            (folder / part / name).mkdir(parents=True)
            for k in range(count):
                blocks = np.kron(rng.integers(0, 255, (16, 16)), np.ones((6, 6))).astype(np.uint8)
                Image.fromarray(blocks).save(folder / part / name / f"image({k + 1}).jpg", quality=95)
    return folder


def found(report: SourceReport, kind: str) -> list[Finding]:
    return [f for f in report.findings if f.kind == kind]


def test_clean_folder(tmp_path: Path) -> None:
    scans(tmp_path)
    report = check_all([entry_of("BrainTumorMRI")], tmp_path)
    (source,) = report.sources
    assert (source.rows, source.read, source.unreadable) == (32, 32, 0)
    assert source.published == {"train": 24, "test": 8}
    assert source.own["test"] == 8
    assert source.leaks == []
    assert report.exit_code() == 0
    counts = source.labels["brain_tumor"].counts
    assert {c: n["all"] for c, n in counts.items()} == dict.fromkeys(counts, 8)
    assert counts["glioma"]["published test"] == 2
    assert len(source.examples) == 16


def test_copied_file_across_folders_is_dropped_by_the_reader(tmp_path: Path) -> None:
    folder = scans(tmp_path)
    (folder / "Training/glioma_tumor/copy.jpg").write_bytes(
        (folder / "Testing/glioma_tumor/image(1).jpg").read_bytes()
    )
    report = check_all([entry_of("BrainTumorMRI")], tmp_path)
    (finding,) = found(report.sources[0], "identical")
    assert (finding.level, finding.what, finding.handled) == ("leak", "mri", "yes, dropped")
    assert finding.numbers["across"] == 1
    assert set(finding.pairs[0]) == {"Training/glioma_tumor/copy.jpg", "Testing/glioma_tumor/image(1).jpg"}
    assert found(report.sources[0], "group")
    assert len(report.sources[0].pairs) == 1
    assert (report.exit_code(), report.exit_code(handled_ok=True)) == (1, 0)


def test_reencoded_copy_is_found_and_not_handled(tmp_path: Path) -> None:
    folder = scans(tmp_path)
    with Image.open(folder / "Testing/no_tumor/image(2).jpg") as image:
        image.save(folder / "Training/no_tumor/again.jpg", quality=70)
    report = check_all([entry_of("BrainTumorMRI")], tmp_path)
    (finding,) = found(report.sources[0], "near-identical")
    assert finding.open
    assert finding.numbers["across"] == finding.numbers["sets"] == 1
    assert (report.exit_code(), report.exit_code(handled_ok=True)) == (1, 1)


def test_sequences_in_both_files_are_seen_though_the_reader_drops_them(tmp_path: Path) -> None:
    write("ecoli_mpra", tmp_path / "ecoli_mpra", n=12)
    report = check(entry_of("EcoliMPRA"), tmp_path).report
    (finding,) = found(report, "identical")
    assert finding.numbers["across"] == 1
    assert (finding.level, finding.handled) == ("leak", "yes, grouped or dropped")
    assert report.own_skipped == {"test sequence is also in the training file": 1}
    assert report.rows == 19


def test_unreadable_row(tmp_path: Path) -> None:
    folder = scans(tmp_path)
    path = folder / "Training/no_tumor/image(3).jpg"
    path.write_bytes(path.read_bytes()[:300])
    report = check_all([entry_of("BrainTumorMRI")], tmp_path)
    (source,) = report.sources
    assert (source.rows, source.read, source.unreadable) == (32, 31, 1)
    assert source.unreadable_examples[0][0] == "Training/no_tumor/image(3).jpg"
    assert report.exit_code() == 1


def table(root: Path, rows: list[dict[str, object]]) -> Entry:
    """A table of one's own, with patients, sites, a published split and two columns of input."""
    (root / "mydata").mkdir()
    with (root / "mydata/table.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    settings = {
        "id": "id",
        "group": "patient",
        "split": "split",
        "groups": ["site"],
        "modalities": {"clinical": {"kind": "tabular", "columns": ["age", "code"]}, "text": {"kind": "text"}},
        "tasks": {"disease": {"kind": "classification"}},
    }  # fmt: skip
    return Entry(Table, settings, "datamodules.sources.Table")


def visits() -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    return [
        {
            "id": f"v{k}", "patient": f"p{k // 2}", "split": ("train", "val", "test")[k // 2 % 3],
            "site": "AB"[k % 2], "age": round(float(rng.uniform(20, 80)), 3), "code": f"c{rng.integers(0, 9)}",
            "text": f"finding number {k}", "disease": ("asthma", "copd")[k // 6 % 2],
        }
        for k in range(48)
    ]  # fmt: skip


def test_clean_table(tmp_path: Path) -> None:
    report = check_all([table(tmp_path, visits())], tmp_path, joint=True)
    (source,) = report.sources
    assert not source.leaks
    assert source.groups == {"site": {"A": 24, "B": 24}}
    assert report.exit_code() == 0


def test_patient_in_two_splits(tmp_path: Path) -> None:
    rows = visits()
    rows[5]["split"] = "train"  # its patient is in the test split
    report = check_all([table(tmp_path, rows)], tmp_path)
    (finding,) = report.sources[0].leaks
    assert (finding.kind, finding.handled) == ("group", "yes, grouped")
    assert "p2" in finding.message
    assert (report.exit_code(), report.exit_code(handled_ok=True)) == (1, 0)


def test_column_that_leaks(tmp_path: Path) -> None:
    rows = visits()
    for row in rows:
        row["code"] = {"asthma": "J45", "copd": "J44"}[str(row["disease"])]
    report = check_all([table(tmp_path, rows)], tmp_path)
    (finding,) = report.sources[0].leaks
    assert (finding.kind, finding.what) == ("label in input", "clinical.code")
    assert finding.open
    assert finding.remedy == "leave 'code' out of the columns of 'clinical'"


def test_repeated_text(tmp_path: Path) -> None:
    rows = visits()
    rows[0]["text"] = " Finding  NUMBER 2"  # of another patient, in val
    (finding,) = check(table(tmp_path, rows), tmp_path).report.leaks
    assert (finding.kind, finding.what, finding.numbers["across"]) == ("identical", "text", 1)


def people(copied: tuple[str, ...], seed: int = 0) -> list[dict[str, object]]:
    """48 people of 40 genes and some dependent columns; two of different splits share the columns named."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for k in range(48):
        stage = int(rng.integers(0, 24))
        rows.append(
            {"id": f"v{k}", "split": ("train", "val", "test")[k % 3], "disease": ("asthma", "copd")[k % 2]}
            | {f"c{j}": (stage * (j + 3)) % 25 + 1 for j in range(6)}
            | {f"g{j}": round(float(v), 4) for j, v in enumerate(rng.normal(size=40))}
        )
    rows[4] |= {c: v for c, v in rows[3].items() if c[0] in copied}
    return rows


def of_people(root: Path, rows: list[dict[str, object]]) -> list[Finding]:
    entry = table(root, rows)
    modalities = {n: {"kind": "tabular", "columns": [f"{n[0]}[0-9]*"]} for n in ("clinical", "genes")}
    settings = {"id": "id", "split": "split", "modalities": modalities, "tasks": entry.settings["tasks"]}
    return found(check(Entry(Table, settings, "datamodules.sources.Table"), root).report, "identical")


def test_dependent_columns_that_repeat_are_no_copies_where_others_differ(tmp_path: Path) -> None:
    """Of 645 tumours 82 share age, stage and race with another patient, and none its genes."""
    (finding,) = of_people(tmp_path, people(copied=()))
    assert (finding.level, finding.what) == ("note", "clinical")
    assert "tell these rows apart" in finding.message


@pytest.mark.parametrize("copied", [("c", "g"), ("g",)])
def test_rows_that_repeat_in_what_seldom_repeats_are_copies(tmp_path: Path, copied: tuple[str, ...]) -> None:
    leaks = [f.what for f in of_people(tmp_path, people(copied)) if f.level == "leak"]
    assert leaks == (["clinical", "genes"] if "c" in copied else ["genes"])


def test_rows_of_which_nothing_was_measured_are_no_copies(tmp_path: Path) -> None:
    """Of 24 patients no laboratory value was measured: all is unknown, and counts of measurements are 0."""
    rows = people(copied=())
    for row in rows[3:6]:
        row |= {f"g{j}": "0" if j % 2 else "" for j in range(40)}
    assert [f.level for f in of_people(tmp_path, rows) if f.what == "genes"] == []


def test_sources_that_share_samples(tmp_path: Path) -> None:
    write("uci_splice", tmp_path / "uci_splice")
    write("uci_splice", tmp_path / "copy")
    entries = [entry_of("UCISplice"), Entry(SOURCES.get("UCISplice"), {"folder": "copy"}), entry_of("UCISplice")]
    report = check_all(entries, tmp_path)
    assert [s.name for s in report.sources] == ["UCISplice", "UCISplice#2", "UCISplice#3"]
    assert {f.what for f in report.between} == {
        "UCISplice.genomics and UCISplice#2.genomics", "UCISplice#2.genomics and UCISplice#3.genomics",
    }  # fmt: skip
    assert all(f.level == "note" for f in report.between)


def test_source_that_cannot_be_opened(tmp_path: Path) -> None:
    write("uci_splice", tmp_path / "uci_splice")
    (tmp_path / "head_ct").mkdir()
    report = check_all([entry_of("UCISplice"), entry_of("HeadCT")], tmp_path)
    assert "head_ct" in report.sources[1].error
    assert report.exit_code(handled_ok=True) == 1


def test_limit(tmp_path: Path) -> None:
    scans(tmp_path)
    report = check_all([entry_of("BrainTumorMRI")], tmp_path, limit=10)
    assert (report.sources[0].rows, report.sources[0].read) == (32, 10)
    assert report.sources[0].findings == []
    assert verdicts(report)[0] == "BrainTumorMRI: no leak among 10 of 32 rows"


@pytest.mark.parametrize(
    ("name", "kind", "numbers", "handled"),
    [
        ("UCISplice", "identical", {"repeats": 185}, "yes, grouped"),
        ("EcoliMPRA", "identical", {"across": 28, "rows_across_test": 34}, "yes, grouped or dropped"),
    ],
)
def test_real_traps(shared_data: Path, name: str, kind: str, numbers: dict[str, int], handled: str) -> None:
    report = check(entry_of(name), shared_data).report
    (finding,) = found(report, kind)
    assert {k: finding.numbers[k] for k in numbers} == numbers
    assert finding.handled == handled


def test_real_images_on_both_sides(shared_data: Path) -> None:
    """The published questions of VQA-RAD share images; read as they are, a part suffices to see it."""
    report = check(entry_of("VQARAD"), shared_data, limit=60).report
    (finding,) = found(report, "group")
    assert finding.numbers["across"] == 167
    assert (finding.level, finding.handled) == ("leak", "yes, grouped")
    scan = check(entry_of("BrainTumorMRI"), shared_data).report
    (finding,) = found(scan, "identical")
    assert finding.numbers["across"] == 6


def test_shuffled_labels_are_a_control(tmp_path: Path) -> None:
    rows = visits()
    for row in rows:
        row["code"] = {"asthma": "J45", "copd": "J44"}[str(row["disease"])]
    report = check_all([table(tmp_path, rows)], tmp_path, shuffles=5)
    (source,) = report.sources
    assert found(source, "label in input")
    assert (source.shuffles, source.alarms) == (5, {})
    assert report.plain()["sources"][0]["alarms"] == {}


def test_a_configuration_that_chooses_a_frame_needs_no_note(tmp_path: Path) -> None:
    (tmp_path / "mydata").mkdir()
    rng = np.random.default_rng(0)
    for k in range(4):
        pages = [Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)) for _ in range(3)]
        pages[0].save(tmp_path / "mydata" / f"{k}.tif", save_all=True, append_images=pages[1:])
    (tmp_path / "mydata/table.csv").write_text("f,y\n" + "".join(f"{k}.tif,{'ab'[k % 2]}\n" for k in range(4)))
    scan = {"kind": "image", "column": "f", "path": "{}"}
    source = {"modalities": {"scan": scan}, "tasks": {"y": {"kind": "classification"}}}
    data: dict[str, object] = {"sources": [{"class_path": "datamodules.sources.Table", "init_args": source}]}
    for frame in (None, 0):
        path = "datamodules.modalities.imaging.ImageProcessor"
        processor = {"class_path": path, "init_args": {"reading": {"frame": frame}}}
        data["processing"] = {"processors": {"image": processor}}
        (tmp_path / "fit.yaml").write_text(yaml.safe_dump({"data": {"init_args": data}}))
        config = entries_of_config(tmp_path / "fit.yaml")
        report = check_all(config.entries, tmp_path, joint=True, frames=config.frames)
        notes = found(report.sources[0], "frames")
        assert bool(notes) == (frame is None)
        assert all("4 of 4 files hold several pages (3 to 3)" in n.message for n in notes)
        assert all("reading.frame" in n.remedy for n in notes)
