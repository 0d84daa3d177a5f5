"""ZooParser: the parser of the command line, with short errors, the nearest known names, and null everywhere."""

from __future__ import annotations

import difflib
import inspect
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from lightning.pytorch.cli import LightningArgumentParser

from datamodules.core.base import DATAMODULES, BaseDataModule
from experiments.core.parse_error import one_sentence
from zoo.errors import unknown_name, zoo_cause
from zoo.models.base import MODELS
from zoo.registry import registries

NULL_WORDS = ("null", "none")
"""What stands on the command line, in letters of either case, for no value of an option that may have none."""


class ZooParser(LightningArgumentParser):
    """A parser whose errors are short and name the nearest known class or option, and that takes null everywhere."""

    def parse_args(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:  # type: ignore[override]
        """Parse words of the command line, or of an option within a group, which jsonargparse parses by itself.

        Args:
            args: the words; None for those of this process.
            more: as jsonargparse has them.
            options: as jsonargparse has them.
        """
        words = list(sys.argv[1:] if args is None else args)
        for n, word in enumerate(words):
            option, equals, value = word.partition("=")
            if equals and value.lower() in NULL_WORDS and self._may_be_null(option, value):
                words[n] = f"{option}=null"
            elif not equals and word.lower() in NULL_WORDS and n and self._may_be_null(words[n - 1], word):
                words[n] = "null"
        return super().parse_args(words, *more, **options)

    def _may_be_null(self, option: str, word: str) -> bool:
        """Whether an option may have no value, and takes ``word`` for nothing else."""
        actions = self._option_string_actions
        if option in actions:
            hints = [getattr(actions[option], "_typehint", None)]
        else:  # an option of a class: what it is called in all classes that may stand there
            group, _, name = option.replace(".init_args.", ".").rpartition(".")
            base = getattr(actions.get(group), "_typehint", None)
            hints = [_hints_of(c)[name] for c in _classes_below(base) if name in _hints_of(c)]
        return bool(hints) and all(type(None) in get_args(h) and word not in _literals(h) for h in hints)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the zoo's own error behind ``ex``, or print hints and the message, and end."""
        known = zoo_cause(ex)
        if known is not None:
            raise known
        if not self.exit_on_error:  # an inner parser, which jsonargparse asks whether a value fits
            super().error(message, ex)
        nested = message.count('Parser key "') > 1  # the options of a class within the model or the data
        hints = _class_hints(message) + ([] if nested else _option_hints(message, self._option_names()))
        told = [] if hints else [one_sentence(message)]
        text = "\n".join(dict.fromkeys([*hints, *([message] if os.environ.get("ZOO_DEBUG") else told)]))
        command = " ".join(sys.argv[1:2])
        print(f"error: {text}\ntip: run.py {command} --help shows all options", file=sys.stderr)
        sys.exit(2)

    def _option_names(self) -> list[str]:
        """Long options of this parser and of its subcommands, and those of the model and the data."""
        parsers: list[Any] = [self]
        for action in self._actions:
            if isinstance(action.choices, dict):
                parsers += [p for p in action.choices.values() if hasattr(p, "_actions")]
        names = {o for p in parsers for a in p._actions for o in a.option_strings if o.startswith("--")}
        classes: list[tuple[str, type]] = [("data", DATAMODULES.get(n)) for n in DATAMODULES]
        for prefix, cls in (("data", BaseDataModule), *classes, *(("model", MODELS.get(n)) for n in MODELS)):
            names |= {f"--{prefix}.{n}" for n in _options_of(cls)}
        return sorted(names)


def _classes_below(base: Any) -> list[type[Any]]:
    """The registered classes that an option of the type ``base`` may name."""
    bases = tuple(b for b in get_args(base) or (base,) if isinstance(b, type) and b is not type(None))
    return [r.get(n) for r in registries() for n in r.names() if issubclass(r.get(n), bases)]


def _hints_of(cls: type) -> dict[str, Any]:
    """Argument of a class -> its type; none where a module imports types for type checkers alone."""
    try:
        return get_type_hints(cls.__init__)
    except NameError:
        return {}


def _literals(hint: Any) -> list[Any]:
    """The words that a type lists."""
    return [w for part in (hint, *get_args(hint)) if get_origin(part) is Literal for w in get_args(part)]


def _options_of(cls: type) -> list[str]:
    """Names of the options of a class, with those of its options dataclasses, such as "split.seed"."""
    names, hints = list(inspect.signature(cls).parameters), _hints_of(cls)
    inner = [f"{n}.{f.name}" for n in names if is_dataclass(hints.get(n)) for f in fields(hints[n])]
    return names + inner


def _class_hints(message: str) -> list[str]:
    """For each capitalised word that is nearly the name of a registered class: which one."""
    words = dict.fromkeys(re.findall(r"\b[A-Z][A-Za-z0-9_]{3,}", message))
    unknown = [w for w in words if not any(w in r or w.lower() == r.family for r in registries())]
    return [
        str(unknown_name(r.family, w, r))
        for w in unknown
        for r in registries()
        if difflib.get_close_matches(w, r.names(), n=1, cutoff=0.8)
    ]


def _option_hints(message: str, known: list[str]) -> list[str]:
    """For each option that the message refuses: the nearest known one."""
    refused = re.findall(r"(--[A-Za-z0-9_.]+)", message) if "nrecognized arguments" in message else []
    part = re.search(r'Parser key "(model|data)"', message)
    refused += [
        f"--{part[1] if part else 'model'}.{n}" for n in re.findall(r"Option '(\w+)' is not accepted", message)
    ]
    hints = []
    for option in refused:
        near = _nearest_option(option, known)
        if near and option not in known:
            hints.append(f"unknown option {option}; did you mean {near}?")
    return hints


def _nearest_option(option: str, known: list[str]) -> str:
    """The option that is meant: of the same last name in another group, else of nearly the same; "" for none."""
    prefix, leaf = option.split(".")[0], option.split(".")[-1]
    grouped = {k.split(".")[-1]: k for k in known if "." in k and k.split(".")[0] == prefix}
    if leaf in grouped:
        return grouped[leaf]
    whole = difflib.get_close_matches(option, known, n=1, cutoff=0.7)
    near = difflib.get_close_matches(leaf, grouped, n=1, cutoff=0.7)
    return whole[0] if whole else grouped[near[0]] if near else ""
