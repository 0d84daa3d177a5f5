"""Commands are found by themselves: the shipped ones without importing them, those of plugins by --plugins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.core.catalogue import GROUPS, shipped_commands, shipped_configs, take_plugins
from experiments.core.command import COMMANDS, Command

ROOT = Path(__file__).parents[3]
PLUGIN = '''
import argparse
from collections.abc import Sequence

from experiments.core.command import COMMANDS, Command


@COMMANDS.register
class Hello(Command):
    """Greet somebody."""

    name = "hello"
    group = "of a plugin"

    def options(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("who")

    def main(self, arguments: Sequence[str]) -> int:
        print("hello", self.parser().parse_args(arguments).who)
        return 3
'''


def test_the_text_of_a_command_says_what_its_class_says() -> None:
    shipped = shipped_commands()
    assert set(shipped) == set(COMMANDS)
    for name, entry in shipped.items():
        cls = COMMANDS.get(name)
        assert (entry.name, entry.group, entry.module) == (cls.name, cls.group, cls.__module__)
        assert entry.summary == (cls.__doc__ or "").partition("\n")[0]
        assert 20 < len(entry.summary) <= 104
        assert entry.group in GROUPS


@pytest.mark.parametrize("name", sorted(set(shipped_commands()) - {"fit", "validate", "test"}))
def test_help_explains_every_option(name: str) -> None:
    made: Command = COMMANDS.get(name)()
    for action in made.parser()._actions:
        assert action.help, f"{name}: {action.dest} has no help"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)


@pytest.mark.parametrize(
    "words", [("--plugins", "greetings", "hello", "you"), ("hello", "you", "--plugins=[greetings]")]
)
def test_a_command_of_a_plugin(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "greetings.py").write_text(PLUGIN)
    done = run(tmp_path, *words)
    assert (done.returncode, done.stdout) == (3, "hello you\n"), done.stderr


def test_plugins_stand_in_the_list_and_unknown_names_are_told(tmp_path: Path) -> None:
    (tmp_path / "greetings.py").write_text(PLUGIN)
    helped = run(tmp_path, "--plugins", "greetings", "--help")
    assert "of a plugin\n  hello " in helped.stdout
    assert "Greet somebody." in helped.stdout
    wrong = run(tmp_path, "--plugins", "greetings", "helo")
    assert wrong.returncode == 1
    assert "unknown command 'helo'; did you mean 'hello'?" in wrong.stderr
    missing = run(tmp_path, "hello", "--plugins", "nowhere")
    assert "plugin 'nowhere' cannot be imported" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_the_console_command_is_run_py() -> None:
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"zoo": "experiments.run:main"}


def test_configurations() -> None:
    assert shipped_configs()["mtl.yaml"] == ROOT / "experiments" / "configs" / "mtl.yaml"


def test_packages_are_taken_from_anywhere() -> None:
    assert take_plugins(["fit", "--plugins", "a", "--x=1", "--plugins=b,c"]) == (["fit", "--x=1"], ["a", "b", "c"])
