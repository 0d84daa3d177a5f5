"""The command ``data``: which data sets there are, what is known of one, and whether data on disk would leak."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from experiments.core.command import COMMANDS, Command

CHECK = """
Read every row of the data sets below a folder and say what they hold and what would leak.

Each source is read as it was published (drop_leaks=False, published_split=True, missing_images=skip, where it has
these arguments), and the findings are compared with the zoo's own reading of it: its default arguments, or those of
--config. Found are
  rows of the publisher's split and of the zoo's own, labels of each class, rows that cannot be read,
  identical samples (images: equal pixels; sequences and texts: equal after bringing them to one form; signals,
    expression and tables: equal values) and nearly identical images, within the data and across splits,
  groups and subjects of the index that lie in two splits,
  files that are copies or frames of one study by their names, in two splits,
  columns of tables that tell the label, texts and headers that hold the name of the class,
  format, size, compression, device, header and burnt-in letters of image files that tell the label (a note),
  files of several pages or frames, of which a fit has to be told which one to take (a note),
  group columns for tests on unseen groups, and what two data sets share (a note).
Where nothing was published, or only a test part, the zoo's own split is looked at too. Questions of a vqa task, and
texts and tables beside an image, a signal or a sequence, may repeat: that is a note.
"""
EXIT = """
exit status
  0  no leak
  1  a leak in the data as published; or a row that cannot be read, or a source that could not be checked
     (with --handled-ok, leaks that the zoo's own reading closes do not count)
  2  bad usage
"""


@COMMANDS.register
class DataSets(Command):
    """List the data sets, describe one (its card), or check data on disk for copies and leaks."""

    name = "data"
    group = "results and data"
    error_code = 2  # 1 says that data leak

    def options(self, parser: argparse.ArgumentParser) -> None:
        """The three commands below this one."""
        told = "zoo data check --help shows its options"
        words = "list | describe | check"
        commands = parser.add_subparsers(dest="command", required=True, metavar=words, help=told)
        listing = commands.add_parser("list", help="a table of all sources", allow_abbrev=False)
        add = listing.add_argument
        add("--access", action="append", default=[], help="keep sources of this access, such as open")
        add("--modality", action="append", default=[], help="keep sources with this modality or kind")
        card = commands.add_parser("describe", help="all that is known of one source", allow_abbrev=False)
        card.add_argument("name", help="its name in data list")
        words = "find copies, leaks and broken files in data on disk"
        shape = argparse.RawDescriptionHelpFormatter
        check = commands.add_parser(
            "check", help=words, description=CHECK, epilog=EXIT, formatter_class=shape, allow_abbrev=False
        )
        _check_options(check)

    def main(self, arguments: Sequence[str]) -> int:
        """Run one of the commands; the exit status is that of ``data check --help``."""
        asked = self.parser().parse_args(arguments)
        if asked.command == "check":
            from experiments.commands.data.check import check

            return check(asked, Console())
        from datamodules.audit.catalogue import describe, print_list

        if asked.command == "list":
            print_list(Console(), access=asked.access, modalities=asked.modality)
        else:
            Console().print(describe(asked.name), markup=False, highlight=False, soft_wrap=True)
        return 0


def _check_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--root", default="", help="folder that holds the sources' folders (default: the config's, or .)")
    add("--source", nargs="+", action="extend", default=[], help="only these; default: all that are there")
    add("--config", default="", help="check the sources of this configuration, with its arguments")
    add("--limit", type=int, default=0, help="read at most so many rows of a source (0: all)")
    words = "shuffle the labels so often, as a control: what is found of labels then is a false alarm"
    add("--shuffles", type=int, default=0, help=words)
    add("--handled-ok", action="store_true", help="exit 0 where the zoo's own reading handles all leaks")
    add("--html", default="", help="write the report as one page")
    add("--png", default="", help="write a contact sheet")
    add("--json", default="", help="write the report as JSON")
