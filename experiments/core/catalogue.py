"""Which commands and configurations there are, read from files without importing any of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import unknown_name

EXPERIMENTS = Path(__file__).resolve().parents[1]
COMMANDS = EXPERIMENTS / "commands"
CONFIGS = (EXPERIMENTS / "configs", EXPERIMENTS.parent / "zoo" / "models")
"""Folders at or below which configurations are shipped."""
GROUPS = ("training and prediction", "studies", "results and data", "benchmarks")
"""Headings of the list of commands, in their order; others come last."""
USAGE = """usage: zoo COMMAND [--config FILE] [options]          (python experiments/run.py is the same thing)

Multitask learning over many biomedical modalities at once.
"""
EXAMPLES = """
options of fit, validate and test (zoo fit --help shows all; studies take them too)
  --config FILE                        a path, or the name of a shipped configuration; may be repeated
  --data.root DIR                      folder that holds the sources' folders
  --data.modalities '[xray,ct,mri]'    keep only these
  --data.tasks '[disease]'             keep only these
  --model.fusion LateFusion            another fusion, with its own options below --model.fusion.init_args
  --trainer.max_epochs 3               any option of lightning.Trainer
  --print_config                       print the whole configuration and stop
  --plugins PACKAGE                    use what a package of yours registers, with any command; may be repeated

examples
  zoo fit --config mtl.yaml
  zoo fit --config mtl_real.yaml --data.root ../shared/data
  zoo fit --config mtl.yaml --data.modalities '[ct,mri,genomics]' --model.fusion GatedFusion
  zoo table1 --config mtl.yaml --budget 15m
  zoo data check --root ../shared/data --html audit.html
  zoo predict --model runs/mtl/version_0/bundle --table new.csv --out predictions
  zoo fit --config mtl.yaml --ckpt_path runs/mtl/version_0/checkpoints/last.ckpt
"""


@dataclass(frozen=True)
class Entry:
    """A command as the list of all commands shows it.

    Attributes:
        name: what is typed.
        group: its heading.
        summary: the first line of its docstring.
        module: that registers it.
    """

    name: str
    group: str
    summary: str
    module: str = ""


def shipped_commands() -> dict[str, Entry]:
    """The commands in experiments/commands by name."""
    found = {}
    for path in sorted([*COMMANDS.glob("*.py"), *COMMANDS.glob("*/__init__.py")]):
        module = path.parent.name if path.name == "__init__.py" else path.stem
        if path.parent == COMMANDS and path.name == "__init__.py":
            continue
        for entry in _commands_in(path, f"experiments.commands.{module}"):
            found[entry.name] = entry
    return found


def _commands_in(path: Path, module: str) -> Iterator[Entry]:
    """The classes of a file that are registered as commands."""
    classes: dict[str, dict[str, str]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ClassDef):
            continue
        bases = [ast.unparse(b) for b in node.bases]
        told = {"group": "studies"} if "StudyCommand" in bases else {"group": "other commands"}
        for base in bases:
            told |= classes.get(base, {})
        told |= dict(_words_of(node))
        classes[node.name] = told
        if "COMMANDS.register" in map(ast.unparse, node.decorator_list):
            summary = (ast.get_docstring(node) or "").partition("\n")[0]
            yield Entry(told["name"], told["group"], summary, module)


def _words_of(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Attribute and value of each class attribute that is a plain text."""
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            for target in statement.targets:
                if isinstance(target, ast.Name) and isinstance(statement.value.value, str):
                    yield target.id, statement.value.value


def help_text(entries: Sequence[Entry]) -> str:
    """What ``zoo --help`` prints."""
    groups = dict.fromkeys([*GROUPS, *(e.group for e in entries)])
    width = max(len(e.name) for e in entries) + 2
    lines = [USAGE]
    for group in groups:
        mine = [e for e in entries if e.group == group]
        if mine:
            lines += [group, *(f"  {e.name:{width}}{e.summary}" for e in mine), ""]
    return "\n".join(lines).rstrip() + "\n" + EXAMPLES


def shipped_configs() -> dict[str, Path]:
    """File name -> path of the configurations that are shipped, those of models among them."""
    files = [p for folder in CONFIGS for p in sorted(folder.rglob("*.yaml"))]
    return {p.name: p for p in reversed(files)}


def find_configs(arguments: Sequence[str]) -> list[str]:
    """Replace the name of a shipped configuration by its path, where no such file is in the working folder.

    Raises:
        UnknownNameError: there is no such file here, and none is shipped.
    """
    found = list(arguments)
    for k, argument in enumerate(found):
        head, equals, value = argument.partition("=")
        if head not in ("--config", "-c"):
            continue
        if equals:
            found[k] = f"{head}={_config_path(value)}"
        elif k + 1 < len(found):
            found[k + 1] = _config_path(found[k + 1])
    return found


def _config_path(name: str) -> str:
    if Path(name).exists() or not name.endswith((".yaml", ".yml")):
        return name
    shipped = shipped_configs()
    if name in shipped:
        return str(shipped[name])
    raise unknown_name("configuration (neither a file here nor one that is shipped)", name, shipped)


def take_plugins(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take ``--plugins PACKAGE`` out of a command line, wherever it stands.

    Args:
        arguments: the command line; a package may be several, "a,b" or "[a,b]".

    Returns:
        The other arguments, and the packages.

    >>> take_plugins(["--plugins", "a,b", "fit", "--plugins=[c]", "-v"])
    (['fit', '-v'], ['a', 'b', 'c'])
    """
    kept, packages, waiting = [], [], iter(arguments)
    for argument in waiting:
        head, equals, value = argument.partition("=")
        if head != "--plugins":
            kept.append(argument)
            continue
        value = value if equals else next(waiting, "")
        packages += [p.strip() for p in value.strip("[]").split(",") if p.strip()]
    return kept, packages
