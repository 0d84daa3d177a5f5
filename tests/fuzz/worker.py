"""A process that serves cases: formats and numbers on its input, verdicts as JSON on its output.

A reader that crashes, hangs or takes all memory ends this process, not the campaign.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
import warnings
from pathlib import Path

MEMORY = 4 * 2**30
"""Bytes of address space that a reader may take beyond what is taken when a format is ready."""


def limit_memory() -> None:
    """Refuse allocations beyond MEMORY above what is mapped now."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, resource.RLIM_INFINITY))


def main() -> None:
    """Serve until the input ends: ``worker.py FOLDER SEED``; a line is a format, and a number or "prepare"."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    folder = Path(sys.argv[1])
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    warnings.simplefilter("ignore")
    from tests.fuzz.cases import Bench
    from tests.fuzz.formats import FORMATS

    benches: dict[str, Bench] = {}
    for line in sys.stdin:
        name, what = line.split()
        try:
            if what == "prepare":
                benches[name] = bench = Bench(name, FORMATS[name], folder / name, int(sys.argv[2]))
                limit_memory()
                verdict = ("ready", f"{len(bench.rows)} rows, {len(bench.files)} files")
            else:
                verdict = benches[name].run(int(what))
        except BaseException as error:
            traceback.print_exc()
            verdict = ("other exception", f"{type(error).__name__}: {str(error)[:300]}")
        answers.write(json.dumps(verdict) + "\n")


if __name__ == "__main__":
    main()
