"""Cells a second, and memory, of shuffled mini-batches from a file on disk.

A file of simulated counts is written in blocks, in the layout of anndata. Then the arms run in turn, each in a
process of its own that reads shuffled mini-batches as dense float32 tensors, in one thread and without workers.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.sources.omics.single_cell import H5ADMatrix

BLOCK = 5000
FILLED = 0.05


def write_cells(path: Path, cells: int, genes: int, compression: str | None = None, seed: int = 0) -> None:
    """Write simulated counts (cells, genes), a twentieth of them positive, with a cell type and a donor each.

    Memory is that of a block of cells. The sparse arrays are chunked as anndata chunks them when it writes.

    Args:
        path: of the h5ad file.
        cells: number of cells.
        genes: number of genes.
        compression: of the arrays, such as "gzip"; None for none.
        seed: of the counts.
    """
    import anndata
    import h5py
    import pandas as pd

    generator = np.random.default_rng(seed)
    lengths = generator.binomial(genes, FILLED, cells).clip(1)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    indptr = indptr.astype(np.int32 if indptr[-1] < 2**31 else np.int64)  # as scipy, and so anndata, has them
    kind = pd.Categorical.from_codes(generator.integers(0, 8, cells), pd.Index([f"type {k}" for k in range(8)]))
    donor = pd.Categorical.from_codes(generator.integers(0, 20, cells), pd.Index([f"donor {k}" for k in range(20)]))
    obs = pd.DataFrame({"cell_type": kind, "donor": donor}, index=[f"cell{i}" for i in range(cells)])
    anndata.AnnData(obs=obs, var=pd.DataFrame(index=[f"gene{i}" for i in range(genes)])).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        if "X" in file:
            del file["X"]
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (cells, genes)})
        group.create_dataset("indptr", data=indptr, maxshape=(None,), compression=compression)
        data, indices = (
            group.create_dataset(name, shape=(indptr[-1],), dtype=dtype, maxshape=(None,), compression=compression)
            for name, dtype in (("data", np.float32), ("indices", np.int32))
        )
        for start in range(0, cells, BLOCK):
            own = lengths[start : start + BLOCK]
            chosen = [np.sort(generator.choice(genes, n, replace=False)) for n in own.tolist()]
            where = slice(indptr[start], indptr[start + len(own)])
            indices[where] = np.concatenate(chosen).astype(np.int32)
            data[where] = generator.geometric(0.6, int(own.sum())).astype(np.float32)


def batches(cells: int, size: int, count: int, seed: int) -> Iterator[list[int]]:
    """Shuffled positions of cells, ``size`` at a time: ``count`` batches, 0 for all.

    Args:
        cells: number of cells.
        size: of a batch.
        count: number of batches; 0 for all.
        seed: of the order.
    """
    order = np.random.default_rng(seed).permutation(cells)
    stop = min(count or cells, cells // size) * size
    for i in range(0, stop, size):
        yield order[i : i + size].tolist()


def zoo_arm(path: Path, size: int, count: int, seed: int) -> Iterator[Any]:
    """SingleCellH5AD(backed=True).read_many: whole samples with labels and groups, stacked to a tensor.

    Args:
        path: of the file.
        size: of a batch.
        count: number of batches; 0 for all.
        seed: of the order.
    """
    import torch

    from datamodules.sources.omics.single_cell import SingleCellH5AD

    source = SingleCellH5AD(folder=str(path.parent), file=path.name, matrix=H5ADMatrix(backed=True))
    source.open()
    for rows in batches(len(source), size, count, seed):
        samples = source.read_many(rows)
        yield torch.from_numpy(np.stack([s.inputs["scrna"] for s in samples]))


def annloader_arm(path: Path, size: int, count: int, seed: int) -> Iterator[Any]:
    """The experimental AnnLoader of anndata on the file opened with ``backed="r"``; it fetches labels as well.

    Args:
        path: of the file.
        size: of a batch.
        count: number of batches; 0 for all.
        seed: of the order.
    """
    import anndata
    from anndata.experimental import AnnLoader

    data = anndata.read_h5ad(path, backed="r")
    np.random.seed(seed)  # its sampler shuffles with the global generator
    for k, batch in enumerate(AnnLoader(data, batch_size=size, shuffle=True)):
        if k == (count or data.n_obs // size):
            break
        batch.obs["cell_type"]
        yield batch.X


def memory_arm(path: Path, size: int, count: int, seed: int) -> Iterator[Any]:
    """A plain loop over the CSR matrix in memory, without labels.

    Args:
        path: of the file.
        size: of a batch.
        count: number of batches; 0 for all.
        seed: of the order.
    """
    import anndata
    import torch

    matrix = anndata.read_h5ad(path).X
    for rows in batches(matrix.shape[0], size, count, seed):
        yield torch.from_numpy(matrix[rows].toarray())


ARMS: dict[str, Callable[[Path, int, int, int], Iterator[Any]]] = {
    "zoo, backed, read_many": zoo_arm,
    "anndata AnnLoader, backed": annloader_arm,
    "CSR in memory": memory_arm,
}


def peak_mib() -> float:
    """Largest resident memory of this process so far, in MiB; that of its parent does not count."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(text for text in status.read_text().splitlines() if text.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1024 * 1024 if sys.platform == "darwin" else 1024)


def run_arm(name: str, path: str, size: int, count: int, pipe: Any) -> None:
    """Serve one arm in this process: for every seed that comes, one round; None ends.

    Sends cells a second, MiB after the imports and at most, and shape and type of a batch.

    Args:
        name: of the arm.
        path: of the file.
        size: of a batch.
        count: number of batches; 0 for all.
        pipe: that seeds come through, and results go back.
    """
    import anndata.experimental  # noqa: F401 - imported here so that its memory is not counted
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if ARMS[name] is zoo_arm:
        import datamodules.sources.omics.single_cell  # noqa: F401
    before = peak_mib()
    while (seed := pipe.recv()) is not None:
        stream = ARMS[name](Path(path), size, count, seed)
        first = next(stream)  # opening the file is not timed
        seen, start = 0, time.perf_counter()
        for values in stream:
            seen += len(values)
        speed = seen / (time.perf_counter() - start)
        pipe.send((speed, before, peak_mib(), (tuple(first.shape), str(first.dtype))))


def compare(path: Path, arms: Sequence[str], rounds: int, size: int, count: int) -> dict[str, list[tuple[Any, ...]]]:
    """Measure the arms in turn, each in a spawned process; refuse arms that do not give the same kind of batch.

    Args:
        path: of the file.
        arms: names of the arms.
        rounds: measured rounds of each.
        size: of a batch.
        count: number of batches; 0 for all.
    """
    context = get_context("spawn")
    pipes, processes = {}, []
    for name in arms:
        pipes[name], other = context.Pipe()
        processes.append(context.Process(target=run_arm, args=(name, str(path), size, count, other), daemon=True))
        processes[-1].start()
        other.close()
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in arms}
    for r in range(rounds):
        for name, pipe in pipes.items():
            try:
                pipe.send(r)
                found[name].append(pipe.recv())
            except (EOFError, OSError) as error:
                raise RuntimeError(f"the arm '{name}' failed; see its traceback above") from error
    for pipe, process in zip(pipes.values(), processes, strict=True):
        pipe.send(None)
        process.join()
    kinds = {name: runs[0][3] for name, runs in found.items()}
    if len(set(kinds.values())) > 1:
        raise RuntimeError(f"the arms do not give the same kind of batch: {kinds}")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Print speed and memory of every arm, at the full number of cells and at a tenth of it."""
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(prog="zoo bench cells", description=__doc__)
    parser.add_argument("--cells", type=int, default=270_000, help="cells of the larger file (default 270000)")
    parser.add_argument("--genes", type=int, default=2000, help="genes (default 2000)")
    parser.add_argument("--batch_size", type=int, default=128, help="cells a mini-batch (default 128)")
    parser.add_argument("--batches", type=int, default=0, help="mini-batches a round; 0 for one epoch (default 0)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each arm (default 3)")
    parser.add_argument("--compression", choices=["none", "gzip"], default="none", help="of the file (default none)")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), help="arms to run")
    options = parser.parse_args(argv)
    if min(options.cells // 10, options.genes, options.rounds) < 1 or options.cells < 30 * options.batch_size:
        parser.error("--cells must be at least 30 times --batch_size, --genes and --rounds at least 1")
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    table = Table(
        title=f"shuffled mini-batches of {options.batch_size} of {options.genes} genes, dense float32, one thread, "
        f"warm page cache, {options.rounds} rounds in turn, compression {options.compression} (simulated counts)"
    )
    for column in ("cells", "file, MB", "arm", "cells/s: median", "minimum", "maximum", "/ AnnLoader", "peak MiB"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    table.add_column("above imports, MiB", justify="right")
    with tempfile.TemporaryDirectory() as folder:
        for cells in (options.cells, options.cells // 10):
            path = Path(folder) / f"cells_{cells}.h5ad"
            write_cells(path, cells, options.genes, None if options.compression == "none" else options.compression)
            found = compare(path, options.arms, options.rounds, options.batch_size, options.batches)
            other = found.get("anndata AnnLoader, backed")
            base = statistics.median(run[0] for run in other) if other else float("nan")
            for name, runs in found.items():
                speeds, peak = [run[0] for run in runs], max(run[2] for run in runs)
                middle = statistics.median(speeds)
                table.add_row(
                    f"{cells}",
                    f"{path.stat().st_size / 1e6:.0f}",
                    name,
                    f"{middle:.0f}",
                    f"{min(speeds):.0f}",
                    f"{max(speeds):.0f}",
                    f"{middle / base:.1f}",
                    f"{peak:.0f}",
                    f"{max(run[2] - run[1] for run in runs):.0f}",
                )
            path.unlink()
    console.print(table)
    console.print("aims: zoo at least 3 times AnnLoader, with the same peak memory at a tenth of the cells")


if __name__ == "__main__":
    main()
