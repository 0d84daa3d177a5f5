"""What jsonargparse refuses, in one sentence: the key, what it expects, what it got, and the nearest name."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Sequence

from zoo.registry import registries
from zoo.values import shorten

LONGEST = 400
"""Characters of a message that is of no known form."""
VALUE = 80
"""Characters of a value."""
_NOISE = ("Does not validate", "Subtypes:", "Errors:", "Given value", "Problem with given class_path", "Parser key")


def one_sentence(message: str) -> str:
    """Say what an error of jsonargparse comes down to.

    Such an error lists, level by level, every type that was tried. What is kept is the innermost key, what is
    expected there, and the value. A message of another form is only cut.

    >>> one_sentence('''Parser key "trainer.max_epochs":
    ...   Does not validate against any of the Union subtypes
    ...   Subtypes: [<class 'int'>, <class 'NoneType'>]
    ...   Errors:
    ...     - Expected a <class 'int'>
    ...     - Expected a <class 'NoneType'>
    ...   Given value type: <class 'str'>
    ...   Given value: abc''')
    "trainer.max_epochs: expected int or null, got 'abc'"
    """
    lines = _innermost(message.splitlines())
    key = ".".join(_keys(lines))
    if not key:
        flat = " ".join(message.split())
        return flat if len(flat) <= LONGEST else f"{flat[:LONGEST]} ..."
    refused = re.search(r"Option '(\w+)' is not accepted", message)
    if refused:
        return f"{key}: {_unknown_option(refused[1], message)}"
    expected = _expected(lines)
    if expected:
        got = _got(message)
        return f"{key}: expected {' or '.join(expected)}{got}{_quotes(expected, got)}"
    told = [line for line in map(_told, lines) if line]
    return f"{key}: {shorten(told[-1], LONGEST)}" if told else f"{key}: the value does not fit{_got(message)}"


def _innermost(lines: Sequence[str]) -> list[str]:
    """The lines down to the deepest level of the first key, its alternatives among them."""
    kept: list[str] = []
    depth = -1
    for line in lines:
        indent = len(line) - len(line.lstrip(" -"))
        if 'Parser key "' in line:
            if indent <= depth:
                break
            depth = indent
        elif indent < depth and kept:
            break
        kept.append(line)
    return kept


def _keys(lines: Sequence[str]) -> list[str]:
    return [found for line in lines for found in re.findall(r'Parser key "([^"]+)"', line)]


def _expected(lines: Sequence[str]) -> list[str]:
    """What is expected at the innermost key, in words, each once."""
    last = max(k for k, line in enumerate(lines) if 'Parser key "' in line)
    found = [m[1] for line in lines[last:] for m in re.finditer(r"Expected an? (.+?)(?:\. Got value.*)?$", line)]
    return list(dict.fromkeys(_type_words(f) for f in found))


def _type_words(told: str) -> str:
    """A type as a user writes it.

    >>> _type_words("<class 'NoneType'>"), _type_words("typing.Literal['a', 'b']")
    ('null', "one of 'a', 'b'")
    """
    literal = re.fullmatch(r"typing\.Literal\[(.*)\]", told)
    if literal:
        return f"one of {literal[1]}"
    named = re.sub(r"<class '(?:[\w]+\.)*(\w+)'>", r"\1", told)
    return "null" if named == "NoneType" else shorten(named, VALUE)


def _got(message: str) -> str:
    """The innermost value, where it is short enough to be shown."""
    found = re.search(r"Got value: (.+)", message) or re.search(r"Given value: (.+)", message)
    if not found:
        return ""
    value = re.split(r"\. Got value:", found[1])[0]
    nested = re.fullmatch(r"NestedArg\(key='[^']*', val=(.+)\)", value)
    value = nested[1].strip("'") if nested else value
    return f", got '{shorten(value, VALUE)}'"


def _quotes(expected: Sequence[str], got: str) -> str:
    """That a word has to be quoted, where YAML made something else of it.

    >>> _quotes(["str"], ", got 'False'")
    "; YAML takes yes, no, on, off, true and false for truth values: write such words in quotes, as in ['yes', 'no']"
    """
    value = got.removeprefix(", got ").strip("'")
    if "str" not in expected:
        return ""
    if value in ("True", "False"):
        return (
            "; YAML takes yes, no, on, off, true and false for truth values: write such words in quotes, as in "
            "['yes', 'no']"
        )
    if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?|None", value):
        return f"; YAML takes this for a number or nothing: write words in quotes, as in '{value}'"
    return ""


def _unknown_option(option: str, message: str) -> str:
    """That a class has no such option, and which one is meant."""
    path = re.search(rf"Option '{option}' is not accepted.*?class_path='([\w.]+)'", message, re.DOTALL)
    name = path[1].rsplit(".", 1)[-1] if path else ""
    cls = next((r.get(name) for r in registries() if name in r), None)
    if cls is None:
        return f"the option '{option}' is not known here"
    known = [p for p in inspect.signature(cls).parameters if p != "self"]
    near = difflib.get_close_matches(option, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{name} has no option '{option}'; {hint}options: {', '.join(known)}"


def _told(line: str) -> str:
    """A line without its list mark and what follows the point; "" for one that says only how types were tried."""
    words = line.strip(" -")
    if not words or words.startswith(_NOISE):
        return ""
    return re.sub(r"\.? Got value: .*", "", words)
