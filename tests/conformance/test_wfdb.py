"""WFDB records as the wfdb package reads them: physical values, units, rates, names, missing samples, segments."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.io.formats.wfdb_records import header_of, read_header, read_record
from tests.conformance.table import Case, Format, Variant, cases

Make = Callable[[Path], Path]
write_record = runpy.run_path(str(Path(__file__).parents[1] / "data" / "wfdb_records.py"))["write_record"]
NAMES = ("I", "II", "V1")
CODES = np.random.default_rng(0).integers(-120, 120, (3, 501))


def ours(path: Path) -> dict[str, Any]:
    header = header_of(path)
    assert header is not None
    found = read_header(header)
    return {
        "rate": found.rate,
        "channels": list(found.names),
        "units": list(found.units),
        "signals": read_record(header),
    }


def with_wfdb(path: Path) -> dict[str, Any]:
    import wfdb

    record = wfdb.rdrecord(str(path.with_suffix("") if path.suffix in (".hea", ".dat", ".mat") else path))
    return {
        "rate": float(record.fs),
        "channels": list(record.sig_name),
        "units": list(record.units),
        "signals": record.p_signal.T,
    }


def record(codes: np.ndarray = CODES, name: str = "a", **options: Any) -> Make:
    return lambda folder: write_record(folder / name, codes, options.pop("names", NAMES), **options)


def named(suffix: str) -> Make:
    return lambda folder: record()(folder).with_suffix(suffix)


def edited(old: str, new: str, make: Make | None = None) -> Make:
    def write(folder: Path) -> Path:
        path = (make or record())(folder)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return path

    return write


def flac(folder: Path) -> Path:
    import wfdb

    wfdb.wrsamp("a", 100, ["mV"] * 3, list(NAMES), d_signal=CODES.T, fmt=["516"] * 3, adc_gain=[1000.0] * 3,
                baseline=[0] * 3, write_dir=str(folder))  # fmt: skip
    return folder / "a.hea"


def two_files(folder: Path) -> Path:
    write_record(folder / "b", CODES[2:], ["V1"], gain="500(7)", fmt="24")
    path = write_record(folder / "a", CODES[:2], NAMES[:2])
    other = (folder / "b.hea").read_text().splitlines()[1]
    path.write_text(path.read_text().replace("a 2 100", "a 3 100") + other + "\n")
    return path


def matlab(folder: Path) -> Path:
    path = edited("a.dat", "a.mat", record(fmt="16+24"))(folder)
    (folder / "a.dat").rename(folder / "a.mat")
    return path


def two_rates(folder: Path) -> Path:
    """Two samples of the second signal in a frame, next to one of the first."""
    frames = np.random.default_rng(1).integers(-99, 99, (1, 300))
    path = write_record(folder / "a", frames, ["I"])
    path.write_text("a 2 100 100\na.dat 16 1000(0)/mV 16 0 0 0 0 I\na.dat 16x2 1000(0)/mV 16 0 0 0 0 resp\n")
    return path


def segments(*parts: str, layout: str = "", lengths: tuple[int, ...] = (), **second: Any) -> Make:
    """A record of several segments, the second of which may be of another kind."""

    def write(folder: Path) -> Path:
        write_record(folder / "s1", CODES, NAMES)
        write_record(folder / "s2", second.pop("codes", CODES * 2), second.pop("names", NAMES), **second)
        if layout:
            lines = "".join(f"~ 0 1000(0)/mV 16 0 0 0 0 {n}\n" for n in NAMES)
            (folder / "l.hea").write_text(f"l 3 100 0\n{lines}")
        sizes = lengths or tuple(0 if p == "l" else 501 for p in parts)
        listed = "\n".join(f"{p} {n}" for p, n in zip(parts, sizes, strict=True))
        (folder / "a.hea").write_text(f"a/{len(parts)} 3 100 {sum(sizes)}\n{listed}\n")
        return folder / "a.hea"

    return write


def without(make: Make, suffix: str) -> Make:
    def write(folder: Path) -> Path:
        path = make(folder)
        path.with_suffix(suffix).unlink()
        return path

    return write


def cut(make: Make, count: int) -> Make:
    def write(folder: Path) -> Path:
        path = make(folder)
        data = path.with_suffix(".dat")
        data.write_bytes(data.read_bytes()[:-count])
        return path

    return write


def missing(value: int) -> np.ndarray:
    codes = CODES.copy()
    codes[1, 40:60] = value
    return codes


WFDB = Format(
    "WFDB",
    library="wfdb.rdrecord",
    reference=with_wfdb,
    ours=ours,
    atol=1e-4,
    variants=(
        Variant("16 bits", record()),
        Variant("named without a suffix", named("")),
        Variant("named by its samples", named(".dat")),
        Variant("12 bits in pairs (212)", record(fmt="212")),
        Variant("24 bits", record(CODES * 9000, fmt="24")),
        Variant("32 bits", record(CODES * 900_000, fmt="32")),
        Variant("big-endian (61)", record(fmt="61")),
        Variant("offset binary of 8 bits (80)", record(fmt="80")),
        Variant("offset binary of 16 bits (160)", record(fmt="160")),
        Variant("compressed by FLAC (516)", flac, needs="soundfile"),
        Variant("samples in a .mat file behind its header", matlab),
        Variant("two files of two formats and gains", two_files),
        Variant("a baseline", record(gain="200(1024)")),
        Variant("no baseline, a zero of the converter", edited("1000(0)/mV 16 0", "1000/mV 16 -77")),
        Variant("gain and unit left out", edited("1000(0)/mV 16 0 0 0 0 II", "0 16 0 0 0 0 II")),
        Variant("a gain in scientific notation", record(gain="1.5e3(0)")),
        Variant("missing samples of 16 bits", record(missing(-(2**15)))),
        Variant("missing samples of 12 bits", record(missing(-(2**11)), fmt="212")),
        Variant("length left out", record(samples=-1)),
        Variant("a rate that is no whole number", record(rate=360.25)),
        Variant("microvolt", record(units="uV")),
        Variant("several units", record(units=("mV", "mmHg", "uV"))),
        Variant("names with blanks", record(names=("lead I", "aVR (right)", "ECG 1"))),
        Variant("signals that are skewed", edited("16 1000(0)/mV 16 0 0 0 0 II", "16:3 1000(0)/mV 16 0 0 0 0 II")),
        Variant("two rates in one record", two_rates),
        Variant("comments", edited("a 3 100", "# a comment\na 3 100")),
        Variant("date and time", edited("a 3 100 501", "a 3 100 501 12:30:00 01/02/2020")),
        Variant("several segments", segments("s1", "s2")),
        Variant("a gap between segments of a layout", segments("l", "s1", "~", "s2", layout="l")),
        Variant("segments of several layouts", segments("l", "s1", "s2", layout="l", codes=CODES[:2] * 2,
                                                        names=("II", "I"))),
        Variant("segments of two gains", segments("s1", "s2", gain="500(3)")),
        Variant(
            "brought to a unit that is told",
            record(units=("uV", "mV", "V")),
            ours=lambda p: read_record(p, unit="uV"),
            differs="the modality's unit, from the unit of each channel",
            expected=CODES * np.array([[1e-3], [1.0], [1e3]]),
        ),
        Variant(
            "channels by name",
            record(),
            ours=lambda p: read_record(p, channels=("V1", "I")),
            differs="the channels that are named, in that order",
            expected=CODES[[2, 0]] / 1000,
        ),
        Variant("a unit beyond ASCII, of which wfdb drops a letter", record(units="µV", encoding="utf-8"),
                error="letters beyond ASCII"),
        Variant("segments of two units, which wfdb joins", segments("s1", "s2", units="uV"), error="first segment"),
        Variant("segments of two orders, which wfdb joins", segments("s1", "s2", names=("II", "I", "V1")),
                error="first segment"),
        Variant("a gap without a layout, at which wfdb fails", segments("s1", "~", "s2"), error="a gap"),
        Variant("a segment that is longer than is claimed, of which wfdb reads all",
                segments("s1", "s2", lengths=(501, 400)), error="claims 501 samples, and 'a.hea' 400"),
        Variant("one sample short", cut(record(), 2), error="cut short or changed"),
        Variant("samples are missing", without(record(), ".dat"),
                error="the file of samples 'a.dat' is missing"),
        Variant("no header", without(named(".dat"), ".hea"), error="header"),
        Variant("a quantity that is no voltage", record(units=("mV", "mmHg", "mV")),
                ours=lambda p: read_record(p, unit="mV"), error="channel 'II' is in 'mmHg'"),
        Variant("another rate than is told", record(), ours=lambda p: read_record(p, rate=500),
                error="the header says 100 Hz"),
        Variant("two channels of one name", record(names=("I", "I", "II")), error="two channels are called 'I'"),
        Variant("more signals than lines", edited("a 3 100", "a 4 100"), error="announces 4 lines"),
        Variant("an unknown format", edited("a.dat 16", "a.dat 17"), error="known, one a file"),
        Variant("a claim of many values", record(samples=10**12), error="cut short or changed"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", cases(WFDB), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    case.check(tmp_path)
