"""The errors that a user can cause. Each message states what is wrong, what was given, and the fix."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from functools import partial


class ZooError(Exception):
    """Base of every error that the zoo raises on purpose."""


class SpecError(ZooError, ValueError):
    """A modality, task, batch or configuration contradicts itself."""


class UnknownNameError(ZooError, ValueError):
    """A name that nothing is registered or known under."""


class DataError(ZooError, ValueError):
    """A file or a row that cannot be used. Carries the file and the row where they are known."""

    def __init__(self, message: str, *, file: object | None = None, row: object | None = None) -> None:
        where = "".join([f" [file: {file}]" if file is not None else "", f" [row: {row}]" if row is not None else ""])
        super().__init__(message + where)
        self.file = file
        self.row = row


class MissingExtraError(ZooError, ImportError):
    """An optional library is not installed. Carries the file that needs it, where one does."""

    def __init__(self, library: str, extra: str, *, file: object | None = None) -> None:
        where = f" [file: {file}]" if file is not None else ""
        super().__init__(f"this needs the library '{library}': pip install -e '.[{extra}]'{where}")
        self.library, self.extra, self.file = library, extra, file

    def __reduce__(self) -> tuple[partial[MissingExtraError], tuple[str, str]]:
        """The way to another process, which the one line of an exception's arguments would not be."""
        return partial(type(self), file=self.file), (self.library, self.extra)


def unknown_name(what: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Build the error for an unknown name, with the nearest known one.

    Args:
        what: the family of names, for the message.
        name: that is unknown.
        known: names that would have been right.

    >>> str(unknown_name("fusion", "LateFusoin", ["LateFusion", "GatedFusion"]))
    "unknown fusion 'LateFusoin'; did you mean 'LateFusion'? known: GatedFusion, LateFusion"
    """
    names = sorted(set(known))
    lowered = {n.lower(): n for n in reversed(names)}
    near = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.5)
    hint = f"; did you mean '{lowered[near[0]]}'?" if near else ";"
    return UnknownNameError(f"unknown {what} '{name}'{hint} known: {', '.join(names) or 'none'}")


def check_choice(owner: object, option: str, value: object, allowed: Collection[object]) -> None:
    """Refuse a value of an option that is none of those allowed.

    Args:
        owner: what has the option, or its name.
        option: name of the option.
        value: that was given.
        allowed: values that would have been right.

    Raises:
        SpecError: it is none of them.

    >>> check_choice("EyePACS", "grades", "four", ("five", "three"))
    Traceback (most recent call last):
    zoo.errors.SpecError: EyePACS: grades must be 'five' or 'three', got 'four'
    """
    if value not in allowed:
        *most, last = map(repr, allowed)
        name = owner if isinstance(owner, str) else type(owner).__name__
        raise SpecError(f"{name}: {option} must be {', '.join(most)}{' or ' * bool(most)}{last}, got {value!r}")


def zoo_cause(error: BaseException | None) -> ZooError | None:
    """Return the error of the zoo behind ``error`` (jsonargparse wraps what constructors raise), or None."""
    while error is not None:
        if isinstance(error, ZooError):
            return error
        error = error.__cause__ or error.__context__
    return None
