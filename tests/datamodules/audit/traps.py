"""Generated traps: for every kind of leak that the audit knows, data with that leak and the same data without it.

A trap is a function that is marked by ``@trap`` and writes its data below an empty folder. ``docs/hooks.py`` and
``test_traps.py`` find all of them here.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from datamodules.audit import Entry, check_all
from datamodules.audit.check import check
from datamodules.audit.findings import Finding
from datamodules.audit.labels import control
from datamodules.sources.table import Table

ROWS = 80
SHUFFLES = 10
ABOUT_SPLITS = ("missing", "empty class")
"""Kinds that tell what small data lack: no leak, and no false alarm in the tables of other traps."""
Write = Callable[[Path, bool, np.random.Generator], list[Entry]]


@dataclass(frozen=True)
class Trap:
    """One kind of leak.

    Attributes:
        kind: of the finding that is expected.
        words: what leaks, for the table.
        write: writes the data, with the leak or without, and returns the sources to check.
        needs: a module without which it cannot be written.
        also: another kind that these data have as well.
    """

    kind: str
    words: str
    write: Write
    needs: str = ""
    also: str = ""

    def found(self, folder: Path, *, sprung: bool) -> list[Finding]:
        """Write the data and check them; every finding, but for what other small data lack too."""
        entries = self.write(folder, sprung, np.random.default_rng(0))
        report = check_all(entries, folder)
        for source in report.sources:
            assert not source.error, source.error
            assert not source.unreadable, source.unreadable_examples
        findings = [f for s in report.sources for f in s.findings] + report.between
        return [f for f in findings if f.kind == self.kind or f.kind not in ABOUT_SPLITS]

    def alarms(self, folder: Path) -> Counter[str]:
        """False alarms in data with the leak, whose labels are shuffled SHUFFLES times."""
        (entry, *_) = self.write(folder, True, np.random.default_rng(0))
        reading = check(entry, folder).reading
        assert reading is not None
        return control(reading, SHUFFLES)


TRAPS: list[Trap] = []


def trap(kind: str, words: str, needs: str = "", also: str = "") -> Callable[[Write], Write]:
    """Mark a function as a trap."""

    def keep(write: Write) -> Write:
        TRAPS.append(Trap(kind, words, write, needs, also))
        return write

    return keep


# -- parts ---------------------------------------------------------------------------------------------------------

Row = dict[str, Any]
SCAN = {"scan": {"kind": "image", "column": "file", "path": "{}"}}


def table(
    root: Path, rows: Sequence[Row], modalities: dict[str, Any], *, folder: str = "mydata", **more: Any
) -> Entry:
    """A table of rows with the label "disease"."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    with (root / folder / "table.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    settings = {"folder": folder, "modalities": modalities, "tasks": {"disease": {"kind": "classification"}}, **more}
    return Entry(Table, settings, "datamodules.sources.Table")


def labels(rng: np.random.Generator, n: int = ROWS) -> list[str]:
    """As many of one class as of the other, in random order."""
    return [str(c) for c in rng.permutation(["asthma", "fibrosis"] * (n // 2))]


def picture(rng: np.random.Generator, side: int = 64) -> npt.NDArray[np.uint8]:
    """A picture of its own: blocks of grey, dark at the border."""
    blocks = np.kron(rng.integers(40, 160, (8, 8)), np.ones((side // 8, side // 8)))
    blocks[: side // 8] = blocks[-side // 8 :] = blocks[:, : side // 8] = blocks[:, -side // 8 :] = 10
    return blocks.astype(np.uint8)


def scans(
    root: Path,
    rng: np.random.Generator,
    save: Callable[[Path, npt.NDArray[np.uint8], bool], str],
    *,
    sprung: bool,
) -> list[Entry]:
    """Pictures of two classes; ``save`` writes one as files of the first class are or not, and returns its name.

    With the trap 36 of 40 files of the first class are so and 4 of the other, without it half of each.
    """
    (root / "mydata").mkdir()
    rows: list[Row] = []
    seen: Counter[str] = Counter()
    for k, label in enumerate(labels(rng)):
        many = 36 if label == "asthma" else 4
        like = seen[label] < (many if sprung else ROWS // 4)
        seen[label] += 1
        rows.append({"file": save(root / "mydata" / f"{k:03d}", picture(rng), like), "disease": label})
    return [table(root, rows, SCAN)]


def texts(root: Path, rng: np.random.Generator, say: Callable[[str, int], str]) -> list[Entry]:
    """Notes of which every one differs."""
    rows = [
        {"note": f"Seen on day {k} {say(c, k)} {rng.integers(10**9)}", "disease": c}
        for k, c in enumerate(labels(rng))
    ]
    return [table(root, rows, {"note": {"kind": "text"}})]


def dicom(path: Path, pixels: npt.NDArray[np.uint8], **tags: str) -> str:
    """Write a DICOM file with some attributes."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    scan = Dataset()
    scan.file_meta = FileMetaDataset()
    scan.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    scan.file_meta.MediaStorageSOPClassUID = scan.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    scan.file_meta.MediaStorageSOPInstanceUID = scan.SOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    scan.Modality, scan.PhotometricInterpretation = "OT", "MONOCHROME2"
    scan.Rows, scan.Columns = pixels.shape
    scan.SamplesPerPixel, scan.PixelRepresentation = 1, 0
    scan.BitsAllocated, scan.BitsStored, scan.HighBit = 8, 8, 7
    scan.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(scan, name, value)
    scan.save_as(path.with_suffix(".dcm"), enforce_file_format=True)
    return path.with_suffix(".dcm").name


def png(path: Path, pixels: npt.NDArray[np.uint8], **more: Any) -> str:
    """Write a PNG file."""
    Image.fromarray(pixels).save(path.with_suffix(".png"), **more)
    return path.with_suffix(".png").name


def sequence(rng: np.random.Generator, letters: str = "ACGT", length: int = 60) -> str:
    """A random sequence."""
    return "".join(rng.choice(list(letters), length))


# -- rows in two splits --------------------------------------------------------------------------------------------


def visits(rng: np.random.Generator, sprung: bool, column: str) -> list[Row]:
    """Two rows of each patient, either in one published split or one of them in another."""
    rows = [
        {"x": float(rng.normal()), "y": float(rng.normal()), column: f"p{k // 2}", "disease": c,
         "part": ("train", "train", "val", "test")[k // 2 % 4]}
        for k, c in enumerate(labels(rng))
    ]  # fmt: skip
    for row in rows[1::16] if sprung else ():
        row["part"] = "test"
    return rows


NUMBERS = {"lab": {"kind": "tabular", "columns": ["x", "y"]}}


@trap("group", "one patient (group) in two published splits")
def groups(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    return [table(root, visits(rng, sprung, "patient"), NUMBERS, split="part", group="patient")]


@trap("subject", "one subject in two published splits")
def subjects(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    return [table(root, visits(rng, sprung, "who"), NUMBERS, split="part", subject="who")]


@trap("identical", "copies of one note in two splits")
def same_notes(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    notes = [f"Seen at {rng.integers(10**9)}" for _ in range(ROWS)]
    notes = notes[: ROWS // 2] * 2 if sprung else notes
    rows = [{"note": n, "disease": c} for n, c in zip(notes, labels(rng), strict=True)]
    return [table(root, rows, {"note": {"kind": "text"}})]


@trap("near-identical", "one picture as PNG and again as JPEG")
def again(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    (root / "mydata").mkdir()
    rows = []
    for k, label in enumerate(labels(rng, ROWS // 2)):
        first = np.kron(rng.integers(0, 255, (16, 16)), np.ones((6, 6))).astype(np.uint8)
        second = first if sprung else np.kron(rng.integers(0, 255, (16, 16)), np.ones((6, 6))).astype(np.uint8)
        rows.append({"file": png(root / "mydata" / f"{k:02d}a", first), "disease": label})
        Image.fromarray(second).save(root / "mydata" / f"{k:02d}b.jpg", quality=85)
        rows.append({"file": f"{k:02d}b.jpg", "disease": label})
    return [table(root, rows, SCAN)]


@trap("copy by name", "scan.png and scan (1).png, mirrored")
def copies(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    (root / "mydata").mkdir()
    rows = []
    for k, label in enumerate(labels(rng, ROWS // 2)):
        first = picture(rng)
        name = f"scan_{k:03d}", f"scan_{k:03d} (1)" if sprung else f"scan_{k + 100:03d}"
        rows += [
            {"file": png(root / "mydata" / name[0], first), "disease": label},
            {"file": png(root / "mydata" / name[1], first[:, ::-1] if sprung else picture(rng)), "disease": label},
        ]
    return [table(root, rows, SCAN)]


@trap("study by name", "frames of one study, case07_3.png, with one label")
def frames_of_a_study(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    (root / "mydata").mkdir()
    names = [f"case{k:02d}_{j}" for k in range(20) for j in range(4)]
    if not sprung:
        names = [str(n) for n in rng.permutation(names)]
    of_study = labels(rng, 20)
    rows = []
    for place, name in enumerate(names):
        rows.append({"file": png(root / "mydata" / name, picture(rng)), "disease": of_study[place // 4]})
    return [table(root, rows, SCAN)]


@trap("study by name", "frames of one study in class folders, which look alike")
def frames_that_look_alike(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    names = [f"case{k:02d}_{j}" for k in range(20) for j in range(4)]
    if not sprung:
        names = [str(n) for n in rng.permutation(names)]
    for place, name in enumerate(names):
        if place % 4 == 0:
            base = picture(rng).astype(float)
        folder = root / "scans" / ("asthma", "fibrosis")[place // 4 % 2]
        folder.mkdir(parents=True, exist_ok=True)
        png(folder / name, (0.6 * base + 0.4 * picture(rng)).astype(np.uint8))
    from datamodules.sources.images.image_folder import ImageFolder

    return [Entry(ImageFolder, {"folder": "scans"})]


@trap("overlap", "proteins that share a stretch of letters")
def overlaps(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    rows = []
    for label in labels(rng, ROWS // 2):
        long = sequence(rng, "ACDEFGHIKLMNPQRSTVWY", 90)
        other = long[30:] if sprung else sequence(rng, "ACDEFGHIKLMNPQRSTVWY")
        rows += [{"seq": long[:60], "disease": label}, {"seq": other, "disease": label}]
    return [table(root, rows, {"seq": {"kind": "protein"}})]


@trap("reverse complement", "both strands of one DNA", also="overlap")
def strands(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    rows = []
    for label in labels(rng, ROWS // 2):
        one = sequence(rng)
        other = one[::-1].translate(str.maketrans("ACGT", "TGCA")) if sprung else sequence(rng)
        rows += [{"seq": one, "disease": label}, {"seq": other, "disease": label}]
    return [table(root, rows, {"seq": {"kind": "dna"}})]


@trap("elsewhere", "two data sets that share pictures")
def two_sources(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    kept = [picture(rng) for _ in range(ROWS // 2)]
    entries = []
    for folder in ("one", "other"):
        (root / folder).mkdir()
        held = kept if sprung or folder == "one" else [picture(rng) for _ in kept]
        rows = [
            {"file": png(root / folder / f"{folder}{k}", p), "disease": c}
            for k, (p, c) in enumerate(zip(held, labels(rng, len(held)), strict=True))
        ]
        entries.append(table(root, rows, SCAN, folder=folder))
    return entries


# -- labels in inputs ----------------------------------------------------------------------------------------------


@trap("label in input", "a column of words that codes the label")
def coded(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    codes = {"asthma": ["J45.0", "J45.1"], "fibrosis": ["J84.0", "J84.1"]}
    rows = []
    for label in labels(rng):
        of = codes[label] if sprung else codes["asthma"] + codes["fibrosis"]
        rows.append({"x": float(rng.normal()), "code": str(rng.choice(of)), "disease": label})
    return [table(root, rows, {"lab": {"kind": "tabular", "columns": ["x", "code"]}})]


@trap("label in input", "a column of numbers that a threshold divides by label")
def measured(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    rows = [
        {"x": float(rng.normal()), "y": float(rng.normal() + 20 * (sprung and c == "asthma")), "disease": c}
        for c in labels(rng)
    ]
    return [table(root, rows, NUMBERS)]


@trap("label words", "notes that hold the name of their class")
def notes(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    other = {"asthma": "fibrosis", "fibrosis": "asthma"}
    return texts(root, rng, lambda c, k: f"known {c if (sprung and k % 3) or k % 2 else other[c]}")


@trap("label words", "TIFF headers (ImageDescription) that hold the name of the class")
def described(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    def save(path: Path, pixels: npt.NDArray[np.uint8], like: bool) -> str:
        name = path.with_suffix(".tif")
        said = f"sent {path.name}, {'suspected asthma' if like else 'routine'}, no {rng.integers(10**9)}"
        Image.fromarray(pixels).save(name, tiffinfo={270: said})
        return name.name

    return scans(root, rng, save, sprung=sprung)


@trap("shortcut", "file format: JPEG of one class, PNG of the other")
def formats(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    def save(path: Path, pixels: npt.NDArray[np.uint8], like: bool) -> str:
        name = path.with_suffix(".jpg" if like else ".png")
        Image.fromarray(pixels).save(name)
        return name.name

    return scans(root, rng, save, sprung=sprung)


@trap("shortcut", "width and height")
def sizes(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    return scans(root, rng, lambda p, x, like: png(p, x[:, 4:] if like else x), sprung=sprung)


@trap("shortcut", "quality of JPEG")
def quality(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    def save(path: Path, pixels: npt.NDArray[np.uint8], like: bool) -> str:
        name = path.with_suffix(".jpg")
        Image.fromarray(pixels).save(name, quality=75 if like else 90)
        return name.name

    return scans(root, rng, save, sprung=sprung)


@trap("shortcut", "software in the header of TIFF")
def software(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    def save(path: Path, pixels: npt.NDArray[np.uint8], like: bool) -> str:
        name = path.with_suffix(".tif")
        Image.fromarray(pixels).save(name, tiffinfo={305: "Scanner 2" if like else "Archive 1"})
        return name.name

    return scans(root, rng, save, sprung=sprung)


@trap("shortcut", "letters burnt in near the border")
def letters(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    def save(path: Path, pixels: npt.NDArray[np.uint8], like: bool) -> str:
        image = Image.fromarray(np.kron(pixels, np.ones((3, 3), np.uint8)))
        if like:
            ImageDraw.Draw(image).text((4, 4), "PORTABLE", fill=255, font=ImageFont.load_default(14))
        return png(path, np.asarray(image))

    return scans(root, rng, save, sprung=sprung)


def in_dicom(words: str, tag: str, of_class: str, of_others: str) -> None:
    """A trap in one attribute of DICOM."""

    def write(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
        def save(path: Path, pixels: npt.NDArray[np.uint8], like: bool) -> str:
            return dicom(path, pixels, **{tag: of_class if like else of_others})

        return scans(root, rng, save, sprung=sprung)

    trap("shortcut", f"{words} in the header of DICOM", "pydicom")(write)


in_dicom("manufacturer", "Manufacturer", "Maker A", "Maker B")
in_dicom("station", "StationName", "ICU1", "OUT1")
in_dicom("institution", "InstitutionName", "Children's Hospital", "General Hospital")
in_dicom("protocol", "ProtocolName", "chest bedside", "chest upright")
in_dicom("the flag of burnt-in annotation", "BurnedInAnnotation", "YES", "NO")


# -- what a fit has to be told -------------------------------------------------------------------------------------


@trap("frames", "TIFF files of several pages")
def pages(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    def save(path: Path, pixels: npt.NDArray[np.uint8], like: bool) -> str:
        name = path.with_suffix(".tif")
        further = [Image.fromarray(picture(rng)) for _ in range(2 if sprung else 0)]
        Image.fromarray(pixels).save(name, save_all=True, append_images=further)
        return name.name

    return scans(root, rng, save, sprung=False)


@trap("missing", "a test split of fewer than 30 rows")
def few_rows(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    rows = [
        {"x": float(rng.normal()), "y": float(rng.normal()), "disease": c} for c in labels(rng, 80 if sprung else 240)
    ]
    return [table(root, rows, NUMBERS)]


@trap("empty class", "a class that training or testing lacks")
def rare_class(root: Path, sprung: bool, rng: np.random.Generator) -> list[Entry]:
    rows = [{"x": float(rng.normal()), "y": float(rng.normal()), "disease": c} for c in labels(rng)]
    for row in rows[: 1 if sprung else 40]:
        row["disease"] = "copd"
    return [table(root, rows, NUMBERS)]


# -- the table -----------------------------------------------------------------------------------------------------


def outcomes(folder: Path) -> list[tuple[str, str, str, str, str]]:
    """A line for each trap: kind, what leaks, whether it is found, false alarms without it and with shuffled labels.

    Args:
        folder: empty; the data are written below it.
    """
    lines = []
    for number, one in enumerate(TRAPS):
        places = [folder / f"{number}{part}" for part in ("sprung", "clean", "shuffled")]
        for place in places:
            place.mkdir()
        hits = [f for f in one.found(places[0], sprung=True) if f.kind == one.kind]
        clean = len(one.found(places[1], sprung=False))
        shuffled = one.alarms(places[2])
        lines.append((one.kind, one.words, "yes" if hits else "no", str(clean), str(sum(shuffled.values()))))
    return lines
