"""Files that a command on rows of a table writes batch by batch, and what it says of rows that it could not use."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import DataError

SHOWN = 5
"""Problems that are listed at the end, the most frequent first."""


class Written:
    """Files that grow batch by batch, with a note of how far they are, so that a killed command goes on.

    Args:
        folder: of the files.
        identity: what they are of; a folder of others is refused.
        names: key of each file -> its name.
        note: name of the file that says how far they are.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], names: Mapping[str, str], note: str) -> None:
        self.folder, self.identity, self.note = folder, identity, note
        self.paths = {key: folder / name for key, name in names.items()}
        self.rows, self.problems = 0, Counter[str]()

    def begin(self, headings: Mapping[str, str]) -> int:
        """Cut the files after the last whole batch, or begin them; return the number of rows that they hold.

        Args:
            headings: key of each file -> what it begins with.

        Raises:
            DataError: the folder holds files of another model, table or option.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        note = self.folder / self.note
        if note.is_file():
            told = json.loads(note.read_text(encoding="utf-8"))
            other = [k for k, v in self.identity.items() if told["of"].get(k) != v]
            if other:
                raise DataError(
                    f"the folder holds what was made with another {' and '.join(other)}; give another --out",
                    file=self.folder,
                )
            if all(p.is_file() and p.stat().st_size >= told["bytes"][k] for k, p in self.paths.items()):
                for key, path in self.paths.items():
                    with path.open("r+b") as file:
                        file.truncate(told["bytes"][key])
                self.rows, self.problems = told["rows"], Counter(told["problems"])
                return self.rows
        for key, path in self.paths.items():
            path.write_text(headings[key], encoding="utf-8", newline="")
        self._note()
        return 0

    def add(self, parts: Mapping[str, str], rows: int, problems: Sequence[str]) -> None:
        """Append a batch.

        Args:
            parts: key of a file -> lines that it takes.
            rows: that the files hold then.
            problems: of each row of the batch, "" for none.
        """
        for key, text in parts.items():
            with self.paths[key].open("a", encoding="utf-8", newline="") as file:
                file.write(text)
        self.rows = rows
        self.problems.update(k for p in problems for k in kinds_of_problems(p))
        self._note()

    def finish(self, rows: int) -> None:
        """Check that all is there."""
        assert self.rows == rows, (self.rows, rows)

    def _note(self) -> None:
        told = {
            "of": dict(self.identity),
            "rows": self.rows,
            "bytes": {k: p.stat().st_size for k, p in self.paths.items()},
            "problems": dict(self.problems),
        }
        part = self.folder / f"{self.note}.part"
        part.write_text(json.dumps(told, indent=1), encoding="utf-8")
        part.replace(self.folder / self.note)


def kinds_of_problems(text: str) -> list[str]:
    """The problems of a row without what is of that row alone, so that equal ones can be counted.

    >>> kinds_of_problems("xray: the file is missing [file: a.png]; age: 'x' is no number, and counts as unknown")
    ['xray: the file is missing', 'age: ... is no number, and counts as unknown']
    """
    shorn = re.sub(r" \[(file|row): [^\]]*\]", "", text)
    return [re.sub(r"'[^']*'", "...", p) for p in shorn.split("; ") if p and not p.startswith("no prediction")]


def say_problems(problems: Counter[str], rows: int) -> None:
    """Print what was wrong in how many rows."""
    for reason, count in problems.most_common(SHOWN):
        print(f"{count} of {rows} rows: {reason}", flush=True)
    if len(problems) > SHOWN:
        print(f"and {len(problems) - SHOWN} other problems; the column 'problem' has them all", flush=True)


def stopped(command: str, arguments: Sequence[str], done: int, rows: int) -> int:
    """Say how a command that was interrupted goes on, and return its exit status.

    Args:
        command: its name.
        arguments: that it was given.
        done: rows that are written.
        rows: of the table.
    """
    how = f"zoo {command} {shlex.join(arguments)}"
    print(f"\nstopped after {done} of {rows} rows; go on with: {how}", file=sys.stderr, flush=True)
    return 130
