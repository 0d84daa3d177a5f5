"""Opening a table of millions of rows over ten modalities, and the memory it takes.

The rows are simulated: file names from a small pool of images and arrays, texts and sequences from small pools,
each modality present in 30 % of the rows. Every arm runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = ("xray", "ct", "mri", "oct", "pathology")
POOL = 200
PRESENT = 0.3


def write_cohort(folder: Path, rows: int, seed: int = 0) -> None:
    """Write table.parquet of ``rows`` rows and the pools of files that its cells name.

    Args:
        folder: for the table and the pools of files.
        rows: number of rows.
        seed: of the draws.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    g = np.random.default_rng(seed)
    for name in ("images", "eeg", "scrna"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for k in range(POOL):
        Image.fromarray(g.integers(0, 255, (32, 32), dtype=np.uint8)).save(folder / "images" / f"i{k:03d}.png")
        np.save(folder / "eeg" / f"e{k:03d}.npy", g.normal(size=(3, 64)).astype(np.float32))
        np.save(folder / "scrna" / f"c{k:03d}.npy", g.poisson(1.0, 64).astype(np.float32))
    words = np.array(["clear", "lungs", "shadow", "left", "right", "nodule", "stable", "acute"])
    pools = {name: [f"i{k:03d}" for k in range(POOL)] for name in IMAGES}
    pools["eeg"] = [f"e{k:03d}" for k in range(POOL)]
    pools["scrna"] = [f"c{k:03d}" for k in range(POOL)]
    pools["genomics"] = ["".join(g.choice(list("ACGT"), 60)) for _ in range(POOL)]
    pools["protein"] = ["".join(g.choice(list("ACDEFGHIKLMNPQRSTVWY"), 40)) for _ in range(POOL)]
    pools["report"] = [" ".join(g.choice(words, 6)) for _ in range(POOL)]
    labels = {"dx": ["a", "b", "c", "d"], "outcome": ["no", "yes"]}
    writer = None
    for start in range(0, rows, 200_000):
        count = min(200_000, rows - start)
        columns = {"patient": pa.array(np.char.add("p", (np.arange(start, start + count) // 4).astype(str)))}
        for name, pool in {**pools, **labels}.items():
            picks = g.integers(0, len(pool), count)
            absent = g.random(count) > (0.5 if name in labels else PRESENT)
            columns[name] = pa.array(pool).take(pa.array(picks, mask=absent))
        columns["report"] = columns["report"].fill_null("stable")  # every row holds something
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(folder / "table.parquet", table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def data_module(folder: Path, workers: int) -> Any:
    """The data module over the cohort, as YAML would describe it."""
    from datamodules.core.multimodal import MultimodalDataModule
    from datamodules.core.options import LoadingOptions, ProcessingOptions, SamplingOptions
    from datamodules.modalities.imaging import ImageProcessor
    from datamodules.sources.table import Table, TableModality
    from zoo.table_task import TableTask

    modalities = {name: TableModality("image", path="images/{}.png") for name in IMAGES}
    modalities |= {
        "eeg": TableModality("signal", path="eeg/{}.npy", unit="uV", sampling_rate=64.0),
        "genomics": TableModality("dna"),
        "scrna": TableModality("expression", path="scrna/{}.npy", unit="counts"),
        "protein": TableModality("protein"),
        "report": TableModality("text"),
    }
    source = Table(
        folder="",
        file=str(folder / "table.parquet"),
        modalities=modalities,
        tasks={"dx": TableTask("classification"), "outcome": TableTask("classification")},
        group="patient",
        title="bench cohort",
        simulated=True,
    )
    source.path = folder
    return MultimodalDataModule(
        [source],
        sampling=SamplingOptions(batch_size=64),
        loading=LoadingOptions(num_workers=workers, cache_mib=0, index=str(folder / "index")),
        processing=ProcessingOptions(processors={"image": ImageProcessor(size=32, channels=1)}),
    )


def _memory() -> tuple[float, float]:
    """Resident MiB of this process and its children: of their own, and of mapped files (which can be dropped)."""
    own = _status("self", "RssAnon") + sum(_private(pid) for pid in _children())
    return own, _status("self", "RssFile")


def _status(pid: int | str, key: str) -> float:
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return next((float(words[1]) / 1024 for words in lines if words[0] == f"{key}:"), 0.0)


def _private(pid: int) -> float:
    """What a forked worker holds beside its parent, in MiB."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(float(words[1]) / 1024 for words in lines if words[0] == "Private_Dirty:")


def _children() -> list[int]:
    text = Path(f"/proc/self/task/{Path('/proc/self').resolve().name}/children").read_text()
    return [int(p) for p in text.split()]


def arm(folder: Path, workers: int, batches: int) -> dict[str, float]:
    """Open the index and take batches; times in seconds, memory in MiB over that after the imports.

    Args:
        folder: of the table.
        workers: processes of the loader.
        batches: how many to take.
    """
    import torch

    import datamodules.sources  # noqa: F401

    torch.set_num_threads(1)
    data_module(folder, workers)  # imports of every processor and source
    import pyarrow.parquet  # noqa: F401

    before = _memory()
    begin = time.perf_counter()
    data = data_module(folder, workers)
    rows = sum(len(r) for r in data.pipeline.rows.values())
    opened = time.perf_counter() - begin
    iterator = iter(data.train_dataloader())
    next(iterator)
    first = time.perf_counter() - begin
    own_first, mapped_first = (a - b for a, b in zip(_memory(), before, strict=True))
    for _ in range(batches):
        next(iterator)
    own_later, mapped_later = (a - b for a, b in zip(_memory(), before, strict=True))
    del iterator
    return {
        "rows": rows, "open": opened, "first": first, "own": own_first, "mapped": mapped_first,
        "own later": own_later, "mapped later": mapped_later,
    }  # fmt: skip


def _run(folder: Path, workers: int, batches: int) -> dict[str, float]:
    call = [sys.executable, "-m", "experiments.bench.index", "--arm", str(folder), str(workers), str(batches)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    if done.returncode:
        sys.exit(f"error: an arm failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(argv: Sequence[str]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(prog="zoo bench index", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_560_000, help="rows of the table (default 2560000)")
    parser.add_argument("--rounds", type=int, default=3, help="processes an arm (default 3)")
    parser.add_argument("--batches", type=int, default=50, help="batches taken after the first (default 50)")
    parser.add_argument(
        "--folder", default="", help="where the cohort is written, and kept (default: a temporary one)"
    )
    parser.add_argument("--arm", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.arm:
        print(json.dumps(arm(Path(options.arm[0]), int(options.arm[1]), int(options.arm[2]))))
        return
    table = Table(title="index of simulated rows over ten modalities; a process an arm, medians (aim: 3 s, 300 MiB)")
    for name in (
        "rows",
        "arm",
        "workers",
        "open s",
        "first batch s",
        "own MiB",
        "mapped MiB",
        "own later",
        "mapped later",
    ):
        table.add_column(name, justify="right")
    with tempfile.TemporaryDirectory() as temporary:
        for rows in (options.rows // 10, options.rows):
            folder = Path(options.folder or temporary) / f"rows_{rows}"
            if not (folder / "table.parquet").exists():
                write_cohort(folder, rows)
            arms = [("made" if not (folder / "index").exists() else "found", 0, 1)]
            arms += [("reopened", 0, options.rounds), ("reopened", 2, options.rounds)]
            for name, workers, rounds in arms:
                runs = [_run(folder, workers, options.batches) for _ in range(rounds)]
                middle = {k: statistics.median(r[k] for r in runs) for k in runs[0]}
                table.add_row(
                    f"{rows}", name, str(workers), f"{middle['open']:.2f}", f"{middle['first']:.2f}",
                    *(f"{middle[k]:.0f}" for k in ("own", "mapped", "own later", "mapped later")),
                )  # fmt: skip
    console = Console()
    (console if console.is_terminal else Console(width=120)).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
