"""The command line of the zoo: ``zoo --help``, or ``python experiments/run.py --help``."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.core.catalogue import Entry, find_configs, help_text, shipped_commands, take_plugins
from experiments.core.command import COMMANDS, Command
from experiments.core.plugins import use_named_plugins
from experiments.core.refusal import refusal
from zoo.errors import unknown_name, zoo_cause
from zoo.registry import plugins


def all_commands() -> dict[str, Entry]:
    """The shipped commands, which are not imported for this, and those of plugins."""
    plugins()
    shipped = shipped_commands()
    others = {n: c for n, c in COMMANDS.loaded().items() if n not in shipped}
    return shipped | {n: Entry(n, c.group, (c.__doc__ or "").partition("\n")[0]) for n, c in others.items()}


def find_command(name: str, arguments: list[str]) -> type[Command]:
    """The class of a command, of which only its own module is imported.

    Args:
        name: what was typed.
        arguments: behind it; a configuration among them may name the plugin that has the command.

    Raises:
        UnknownNameError: there is none; the message says which is nearest.
    """
    shipped = shipped_commands()
    if name in shipped:
        import_module(shipped[name].module)
        return COMMANDS.get(name)
    use_named_plugins(find_configs(arguments))
    known = all_commands()
    if name not in known:
        raise unknown_name("command", name, known)
    return COMMANDS.get(name)


def main() -> None:
    """Run one command."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1" if os.environ.get("ZOO_ONLINE") is None else "0")
    arguments, packages = take_plugins(sys.argv[1:])
    named = [f"--plugins=[{','.join(packages)}]"] if packages else []
    code = 1
    try:
        use_named_plugins(named)
        if not arguments or arguments[0] in ("-h", "--help", "help"):
            print(help_text(list(all_commands().values())))
            sys.exit(0 if arguments else 2)
        command = find_command(arguments[0], arguments[1:])()
        code = command.error_code
        more = named if command.takes_configuration else []
        sys.argv[1:] = [command.name, *find_configs(arguments[1:]), *more]
        code = command.main(sys.argv[2:])
    except Exception as error:
        known = zoo_cause(error) or refusal(error)
        if known is None or os.environ.get("ZOO_DEBUG"):
            raise
        print(f"error: {known}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on with what is not finished", file=sys.stderr)
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
