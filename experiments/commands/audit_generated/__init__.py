"""The command ``audit-generated``: whether what a model made gives its training rows away."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands.audit_generated.shown import draw_closest, show, write
from experiments.commands.audit_generated.values import (
    Values,
    made_lines,
    made_values,
    modalities_made,
    table_values,
)
from experiments.commands.generate import LINES
from experiments.core.command import COMMANDS, Command, required

if TYPE_CHECKING:
    from zoo.bundle.load import Bundle
    from zoo.evaluation.generated.audit import Audit, AuditLimits

FIGURES, CLOSEST = "privacy.json", "closest.png"
"""Files that are written."""


@COMMANDS.register
class AuditGenerated(Command):
    """Look for training rows in what generate made (--made DIR --model BUNDLE --train t.csv --held-out h.csv).

    Every made value is compared with all training rows and with rows that the model was not trained on: pictures and
    other numbers as the bundle's preprocessing makes them (pixels), texts by their words. Prints each figure beside
    what held-out rows reach, and writes privacy.json and closest.png, which shows the closest training rows and is
    to be kept like them. The exit status is 1 where a limit is exceeded, and 2 where an option is wrong.
    """

    name = "audit-generated"
    group = "training and prediction"
    error_code = 2

    def options(self, parser: argparse.ArgumentParser) -> None:
        """What was made, by which model, of which rows, and the limits."""
        parser.add_argument("--made", type=Path, help="folder that generate wrote")
        parser.add_argument("--model", type=Path, help="bundle of the model, whose preprocessing reads all rows")
        parser.add_argument("--train", type=Path, help="table of the rows that the model was trained on")
        parser.add_argument("--held-out", type=Path, help="table of rows of other patients, not trained on")
        parser.add_argument("--folder", type=Path, help="what paths in both tables are relative to; default: theirs")
        parser.add_argument("--out", type=Path, help="folder for privacy.json and closest.png; default: --made")
        parser.add_argument(
            "--most-copies",
            type=float,
            default=0.01,
            help="share of near copies allowed beyond that of held-out rows",
        )
        parser.add_argument(
            "--most-auc", type=float, default=0.6, help="of the membership attack, for the lower end of its interval"
        )

    def main(self, arguments: Sequence[str]) -> int:
        """Compare, print, and judge."""
        options = self.parser().parse_args(list(arguments))
        required(options, self.name, "made", "model", "train", "held_out")
        from zoo.bundle.load import load
        from zoo.evaluation.generated.audit import AuditLimits

        limits = AuditLimits(options.most_copies, options.most_auc)
        lines = made_lines(options.made)
        bundle = load(options.model)
        names = modalities_made(bundle, options.made, lines)
        tables = {"train": options.train, "heldout": options.held_out}
        sets = {name: table_values(bundle, table, options.folder, name, names) for name, table in tables.items()}
        texts = {m for m in names if not sets["train"][m].tensors}
        sets["made"] = made_values(bundle, options.made, lines, texts)
        audits = [audited(bundle, m, {s: v[m] for s, v in sets.items()}, limits) for m in names]
        empty = sum(not line["made"] for line in lines)
        out = options.out or options.made
        out.mkdir(parents=True, exist_ok=True)
        write(out / FIGURES, bundle, audits, sets, limits)
        draw_closest(out / CLOSEST, bundle, audits, sets)
        show(audits)
        if empty:
            print(f"{empty} of {len(lines)} lines of {LINES} hold nothing that was made")
        complaints = [c for audit in audits for c in audit.complaints]
        for complaint in complaints:
            print(f"exceeded: {complaint}")
        print(f"audit: {out / FIGURES}, {out / CLOSEST} (which shows training rows)", flush=True)
        return int(bool(complaints))


def audited(bundle: Bundle, modality: str, sets: Mapping[str, Values], limits: AuditLimits) -> Audit:
    """Compare the sets of a modality, texts by words and anything else as plain numbers.

    Args:
        bundle: of the model.
        modality: its name.
        sets: "made", "train" and "heldout".
        limits: from where on it is refused.
    """
    import torch

    from zoo.evaluation.generated.audit import audit_numbers, audit_texts
    from zoo.modality import MODALITIES

    units = {name: values.units for name, values in sets.items()}
    if not sets["train"].tensors:
        return audit_texts(modality, {name: values.decoded for name, values in sets.items()}, units, limits)
    spec = bundle.model.modalities[modality]
    kind = MODALITIES.get(spec.kind)
    numbers = {name: kind.features(spec, torch.stack(values.tensors)).numpy() for name, values in sets.items()}
    return audit_numbers(modality, numbers, units, limits)
