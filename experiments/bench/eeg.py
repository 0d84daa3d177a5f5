"""How fast shuffled epochs of a long recording are read, and in how much memory: EEGFolder beside MNE's Epochs.

Each arm runs in processes of its own, in turn; a process reports its rate and its peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from datamodules.sources.signals.options import ReadingOptions

RATE = 160
SECONDS = 4.0
ARMS = ("warmed up", "EEGFolder", "EEGFolder, 8 to 30 Hz", "MNE, preloaded", "MNE, preloaded, 8 to 30 Hz")


def write_recording(path: Path, channels: int, seconds: int, seed: int = 0) -> int:
    """Write an EDF+ file of noise at 160 Hz with an annotation "a" or "b" every 5 s; return their number.

    Args:
        path: of the file.
        channels: number of channels.
        seconds: length of the recording.
        seed: of the noise.
    """
    room, top = 64, 32767
    labels = [f"E{k + 1}" for k in range(channels)] + ["EDF Annotations"]
    count = len(labels)

    def column(values: Sequence[object], wide: int) -> bytes:
        return b"".join(f"{v!s:<{wide}}".encode("ascii") for v in values)

    head = f"{0:<8}{'X X X X':<80}{'Startdate X X X X':<80}01.01.0100.00.00{256 * (count + 1):<8}{'EDF+C':<44}"
    head += f"{seconds:<8}{1:<8}{count:<4}"
    table = column(labels, 16) + column([""] * count, 80) + column(["uV"] * channels + [""], 8)
    table += column([-3276.7] * channels + [-1], 8) + column([3276.7] * channels + [1], 8)
    table += column([-top] * channels + [-top - 1], 8) + column([top] * count, 8)
    table += column([""] * count, 80) + column([RATE] * channels + [room // 2], 8) + column([""] * count, 32)
    generator = np.random.default_rng(seed)
    events = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        handle.write(head.encode("ascii") + table)
        for second in range(seconds):
            note = b"+%d\x14\x14\0" % second
            if second % 5 == 0 and second + SECONDS < seconds:
                note += b"+%d\x154\x14%s\x14\0" % (second, b"ab"[events % 2 : events % 2 + 1])
                events += 1
            handle.write(generator.integers(-999, 1000, channels * RATE, dtype=np.int16).tobytes())
            handle.write(note.ljust(room, b"\0"))
    return events


def run_arm(arm: str, root: Path, seed: int) -> dict[str, float]:
    """Open the recording, read all its epochs once in random order, and say what that took.

    Args:
        arm: name of the arm.
        root: folder of the recording.
        seed: of the order.
    """
    import mne

    import datamodules.sources.signals.eeg_folder as eeg_folder

    band = (8.0, 30.0) if "Hz" in arm else None
    _warm_up()
    start = time.perf_counter()
    ready, epochs, total = start, 0, 0.0
    if arm.startswith("EEGFolder"):
        source = eeg_folder.EEGFolder(folder="recordings", reading=ReadingOptions(band_hz=band))
        source.open(root)
        ready = time.perf_counter()
        for row in np.random.default_rng(seed).permutation(len(source)).tolist():
            total += float(source.read(row).inputs["eeg"][0, 0])
        epochs = len(source)
    elif arm.startswith("MNE"):
        raw = mne.io.read_raw_edf(next((root / "recordings").rglob("*.edf")), preload=True, verbose="ERROR")
        if band:
            raw.filter(*band, verbose="ERROR")
        events, kinds = mne.events_from_annotations(raw, verbose="ERROR")
        made = mne.Epochs(raw, events, kinds, 0.0, SECONDS, baseline=None, preload=True, verbose="ERROR")
        data = made.get_data(copy=False)
        ready = time.perf_counter()
        for row in np.random.default_rng(seed).permutation(len(data)).tolist():
            total += float((data[row, :, :-1] * 1e6).astype(np.float32)[0, 0])
        epochs = len(data)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)
    return {"setup": ready - start, "epochs": epochs, "seconds": end - ready, "total": total, "peak": peak}


def _warm_up() -> None:
    """Read an epoch of a tiny recording in both ways, so that no arm is charged with late imports."""
    import mne

    from datamodules.sources.signals.eeg_folder import EEGFolder

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s" / "tiny.edf"
        write_recording(path, 1, 20)
        source = EEGFolder(folder=folder, reading=ReadingOptions(band_hz=(8.0, 30.0)))
        source.open()
        source.read(0)
        raw = mne.io.read_raw_edf(path, preload=True, verbose="ERROR").filter(8.0, 30.0, verbose="ERROR")
        events, kinds = mne.events_from_annotations(raw, verbose="ERROR")
        mne.Epochs(raw, events, kinds, 0.0, SECONDS, baseline=None, preload=True, verbose="ERROR").get_data(
            copy=False
        )


def _spawn(arm: str, root: Path, seed: int) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "experiments.bench.eeg",
        "--arm",
        arm,
        "--folder",
        str(root),
        "--seed",
        str(seed),
    ]
    here = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the arm '{arm}' failed: {done.stderr[-2000:]}")
    return {k: float(v) for k, v in json.loads(done.stdout.splitlines()[-1]).items()}


def compare(root: Path, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Run the arms in turn, each in a new process; refuse to compare arms that read other values.

    Raises:
        RuntimeError: an arm failed, or arms that should read the same epochs do not.
    """
    found: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    for seed in range(rounds):
        for arm in ARMS:
            found[arm].append(_spawn(arm, root, seed))
        for lazy, whole in ((1, 3), (2, 4)):
            a, b = found[ARMS[lazy]][-1], found[ARMS[whole]][-1]
            if a["epochs"] != b["epochs"] or abs(a["total"] - b["total"]) > 1e-3 * a["epochs"]:
                raise RuntimeError(f"'{ARMS[lazy]}' and '{ARMS[whole]}' did not read the same epochs: {a}, {b}")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Make the recording, run the arms, and print a table."""
    parser = argparse.ArgumentParser(prog="zoo bench eeg", description=__doc__)
    parser.add_argument(
        "--folder", help="where the recording is made (74 MB by default); default: a temporary folder"
    )
    parser.add_argument("--rounds", type=int, default=3, help="processes of each arm (default 3)")
    parser.add_argument("--channels", type=int, default=64, help="channels of the recording (default 64)")
    parser.add_argument("--seconds", type=int, default=3600, help="length of the recording (default 3600)")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.arm:
        print(json.dumps(run_arm(options.arm, Path(options.folder), options.seed)))
        return
    if options.rounds < 1 or options.channels < 1 or options.seconds < 20:
        parser.error("--rounds and --channels must be at least 1, --seconds at least 20")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(options.folder or temporary).resolve()
        if any((root / "recordings").rglob("*.edf")):
            parser.error(f"--folder {root} already holds recordings; give an empty one")
        path = root / "recordings" / "subject" / "hour.edf"
        events = write_recording(path, options.channels, options.seconds)
        size = path.stat().st_size / 2**20
        found = compare(root, options.rounds)
    table = Table(
        title=f"{events} epochs of {SECONDS:g} s in random order: {options.channels} channels, {options.seconds} s "
        f"at {RATE} Hz ({size:.0f} MiB EDF), {options.rounds} processes an arm, medians "
        "(minima .. maxima); random data"
    )
    for column in ("arm", "opening, s", "epochs/s", "peak memory, MiB", "above warmed up, MiB"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    floor = statistics.median(r["peak"] for r in found[ARMS[0]])
    for arm, runs in found.items():
        rates = [r["epochs"] / r["seconds"] for r in runs if r["epochs"]]
        peak = statistics.median(r["peak"] for r in runs)
        speed = f"{statistics.median(rates):.0f} ({min(rates):.0f} .. {max(rates):.0f})" if rates else ""
        opening = f"{statistics.median(r['setup'] for r in runs):.2f}" if rates else ""
        table.add_row(arm, opening, speed, f"{peak:.0f}", f"{peak - floor:.0f}" if rates else "")
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)


if __name__ == "__main__":
    main()
