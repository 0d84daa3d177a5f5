"""Bundles: how long a trained model takes to load in a process of its own, for one row and for many."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TIMED = """
import sys, time
from pathlib import Path
start = time.perf_counter()
import torch, lightning
imported = time.perf_counter()
torch.set_num_threads(1)
import zoo
bundle = zoo.load(sys.argv[1])
loaded = time.perf_counter()
import pandas as pd
folder = Path(sys.argv[1], "examples")
rows = pd.read_csv(folder / "rows.csv")
bundle.predict(rows[:1], folder=folder)
times = []
for _ in range(20):
    begin = time.perf_counter()
    bundle.predict(rows[:1], folder=folder)
    times.append(time.perf_counter() - begin)
many = pd.concat([rows] * (1 + int(sys.argv[2]) // len(rows)), ignore_index=True)[: int(sys.argv[2])]
begin = time.perf_counter()
bundle.predict(many, folder=folder)
print(f"import of torch and lightning: {imported - start:.2f} s")
print(f"zoo.load beside it:            {loaded - imported:.2f} s")
print(f"one row, median of 20:         {1e3 * sorted(times)[10]:.1f} ms")
print(f"{len(many)} rows:                    {time.perf_counter() - begin:.1f} s")
"""
"""Runs in a process of its own, on one thread."""


def main(arguments: Sequence[str]) -> None:
    """Time a bundle on its example rows."""
    parser = argparse.ArgumentParser(prog="zoo bench bundle", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder that fit wrote, RUN/bundle")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of the large table; default: 10000")
    options = parser.parse_args(list(arguments))
    subprocess.run([sys.executable, "-c", TIMED, str(options.model), str(options.rows)], check=True)
