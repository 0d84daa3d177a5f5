"""What was measured: as a file, a table and a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.commands.audit_generated.values import Values

if TYPE_CHECKING:
    from zoo.bundle.load import Bundle
    from zoo.evaluation.generated.audit import Audit, AuditLimits

SHOWN = 8
"""Pairs of each modality in the picture."""
SIDE = 128
"""Longest side of a picture there, in pixels."""


def write(
    path: Path, bundle: Bundle, audits: Sequence[Audit], sets: Mapping[str, Mapping[str, Values]], limits: AuditLimits
) -> None:
    """Write all figures.

    Args:
        path: json file to write.
        bundle: of the model.
        audits: of the modalities.
        sets: "made", "train" and "heldout" -> modality -> values.
        limits: that were set.
    """
    told = {"model": bundle.manifest["sha256"], "limits": asdict(limits), "modalities": {}}
    for audit in audits:
        made, train = sets["made"][audit.modality], sets["train"][audit.modality]
        told["modalities"][audit.modality] = {
            **{k: getattr(audit, k) for k in ("n_made", "n_train", "n_heldout", "complaints")},
            "compared": "processed values" if made.tensors else "words",
            "figures": [asdict(f) for f in audit.figures],
            "closest": [{"made": made.names[p.made], "train": train.names[p.train], "value": p.value}
                        for p in audit.pairs],
            "measured": asdict(audit.result),
        }  # fmt: skip
    path.write_text(json.dumps(_plain(told), indent=2) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Plain data without numbers that are not finite, which JSON lacks."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def draw_closest(
    path: Path, bundle: Bundle, audits: Sequence[Audit], sets: Mapping[str, Mapping[str, Values]]
) -> None:
    """Draw the closest pairs of each modality side by side.

    Args:
        path: png file to write.
        bundle: whose preprocessing shows values.
        audits: of the modalities.
        sets: "made", "train" and "heldout" -> modality -> values.
    """
    from zoo.rendering.grid import save_grid
    from zoo.values import Shown

    count = min(SHOWN, max(len(a.pairs) for a in audits))
    heads: list[str] = []
    table: list[list[Shown | None]] = [[] for _ in range(count)]
    for audit in audits:
        m = audit.modality
        made, train = sets["made"][m], sets["train"][m]
        heads += [f"generated {m}", f"closest training {m}", "distance" if made.tensors else "shared words"]
        for line, pair in zip(table, [*audit.pairs, *[None] * count], strict=False):
            if pair is None:
                line += [None] * 3
                continue
            said = f"{pair.value:.3g}: {made.names[pair.made]}; training: {train.names[pair.train]}"
            values = (made.decoded[pair.made], train.decoded[pair.train])
            line += [*(bundle.preprocessing.show(m, v, SIDE) for v in values), Shown(said)]
    save_grid(path, heads, [str(k + 1) for k in range(count)], table)


def show(audits: Sequence[Audit]) -> None:
    """Print a line for each figure.

    Args:
        audits: of the modalities.
    """
    from rich.table import Table

    from experiments.core.finish import wide_console

    table = Table(title="What was made beside training and held-out rows")
    for head in ("modality", "made", "figure", "value (95 % interval)", "beside it", "exchanged", "limit"):
        table.add_column(head, justify="left" if head in ("modality", "figure") else "right")
    for audit in audits:
        for figure in audit.figures:
            value = f"{figure.value.value:.3f}"
            if math.isfinite(figure.value.low):
                value += f" ({figure.value.low:.3f} to {figure.value.high:.3f})"
            rest = [f"{v:.3f}" if math.isfinite(v) else "" for v in (figure.beside, figure.exchanged, figure.limit)]
            table.add_row(audit.modality, str(audit.n_made), figure.name, value, *rest)
    console = wide_console()
    console.print(table, markup=False)
    console.print(
        "beside it: the share of held-out rows, or what is reached where nothing is given away; exchanged: the share "
        "of made values that are copies of held-out rows by the same measure, which nobody can have copied",
        highlight=False,
    )
