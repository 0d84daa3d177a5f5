"""Run many cases of a format in worker processes, and count what came of them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.cases import GOOD, OUTCOMES

ROOT = Path(__file__).parents[2]
TIMEOUT_S, START_S = 20.0, 120.0


@dataclass
class Result:
    """What came of the cases of a format: counts by outcome, and (number, outcome, text) of each that is not good."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    log: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing went wrong."""
        return not self.failures


class Workers:
    """A process that serves the cases of all formats, and the one that replaces it when it crashed or hangs.

    Args:
        seed: of the campaign.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._process: subprocess.Popen[str] | None = None
        self._ready: set[str] = set()

    def ask(self, name: str, number: int) -> tuple[str, str]:
        """Run a case: one of OUTCOMES and what happened.

        Raises:
            RuntimeError: the undamaged files of the format cannot be read.
        """
        if self._process is None:
            self._start()
        if name not in self._ready:
            outcome, text = self._said(f"{name} prepare", START_S)
            if outcome != "ready":
                log = (Path(self._folder.name) / "log.txt").read_text(errors="replace")
                self.close()
                raise RuntimeError(f"{name}: the undamaged files cannot be read: {outcome}: {text}: {log[-1500:]}")
            self._ready.add(name)
        outcome, text = self._said(f"{name} {number}", TIMEOUT_S)
        if outcome in ("crash", "hang"):
            self.close()
        return outcome, text

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", self._folder.name, str(self.seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=env, text=True,
        )  # fmt: skip

    def _said(self, line: str, seconds: float) -> tuple[str, str]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return "crash", f"the process ended with {process.wait()}"
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        if not ready:
            return "hang", f"no answer in {seconds:.0f} s"
        said = process.stdout.readline()
        if not said:
            return "crash", f"the process ended with {process.wait()}"
        outcome, text = json.loads(said)
        return outcome, text

    def close(self) -> None:
        """End the process and remove its files."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._folder.cleanup()
        self._process, self._ready = None, set()


def run_format(name: str, count: int, workers: Workers, first: int = 0) -> Result:
    """Run ``count`` cases of a format."""
    result = Result(name)
    for number in range(first, first + count):
        outcome, text = workers.ask(name, number)
        assert outcome in OUTCOMES, (outcome, text)
        result.counts[outcome] += 1
        result.log.append((number, outcome, text))
        if outcome not in GOOD:
            result.failures.append((number, outcome, text))
    return result
