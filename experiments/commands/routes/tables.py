"""The tables of ``routes``: prompts, reconstructions, images by route, and texts by route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from experiments.commands.routes.probes import ImageProbe
from experiments.commands.routes.rows import Matrix, Rows, Whole
from zoo.errors import DataError
from zoo.evaluation.generated.agreement import AgreementOptions, image_agreement
from zoo.evaluation.generated.distance import distance
from zoo.evaluation.generated.findings.labeler import FindingsLabeler
from zoo.evaluation.generated.findings.rules import FINDINGS
from zoo.evaluation.generated.findings.scores import positive, score_findings
from zoo.evaluation.generated.text import compare_texts
from zoo.evaluation.resampling import Interval, Resampler
from zoo.results import Column, Table

Bools = npt.NDArray[np.bool_]
NEAREST = 10
"""Rows among which the right one counts as found."""


def interval(found: Interval, key: str = "value") -> dict[str, float]:
    """A figure and the ends of its interval as cells of a row."""
    return {key: found.value, f"{key}_low": found.low, f"{key}_high": found.high}


def number(key: str, label: str, words: str) -> Column:
    """A column of figures with intervals.

    Args:
        key: of the figure in a row.
        label: heading.
        words: what the column holds.
    """
    return Column(key, label, "number", f"{key}_low", f"{key}_high", words)


def ranks(first: Tensor, second: Tensor) -> npt.NDArray[np.float64]:
    """Place (N,) of each row's partner among all rows, 0 for the first; rows that are as near share their places.

    >>> ranks(torch.eye(2), torch.eye(2)).tolist()
    [0.0, 0.0]
    """
    near = first @ second.T
    own = near.diagonal().unsqueeze(1)
    ahead, equal = (near > own + 1e-6).sum(1), ((near - own).abs() <= 1e-6).sum(1) - 1
    out: npt.NDArray[np.float64] = (ahead + equal / 2).double().numpy()
    return out


def prompt_table(vectors: Mapping[str, Tensor], units: Sequence[str], resamples: int) -> Table:
    """How often the other modality of a row is among the nearest ones by the vectors of prompts.

    Args:
        vectors: modality -> (N, D) of length 1.
        units: the patient of each row.
        resamples: of the bootstrap.
    """
    names, resampler = list(vectors), Resampler(list(units), resamples=resamples)
    lines = []
    for a in names:
        for b in names:
            if a != b:
                found = (ranks(vectors[a], vectors[b]) < NEAREST).astype(np.float64)
                score = resampler.interval(resampler.means(found.tolist(), list(units)), bounds=(0.0, 1.0))
                chance = min(NEAREST / len(units), 1.0)
                lines.append({"from": a, "to": b, **interval(score), "chance": chance, "n": len(units)})
    columns = [
        Column("from", "from"),
        Column("to", "to"),
        number("value", f"recall at {NEAREST}", "share of rows whose partner is among the nearest"),
        Column("chance", "chance", "number"),
        Column("n", "rows", "integer"),
    ]
    return Table("prompts", "Prompt vectors: the other modality of the same row among all test rows", columns, lines)


def image_row(
    name: str, made: Matrix, real: Matrix, rows: Rows, probe: ImageProbe, classes: Sequence[str], resamples: int
) -> dict[str, object]:
    """A line of the table of images.

    Args:
        name: of the route.
        made: (N, F) pixels of what was made.
        real: (N, F) pixels of the real images of these rows.
        rows: the rows.
        probe: trained on real training images.
        classes: names of the findings.
        resamples: of the bootstrap.
    """
    far = distance(probe.features(real), probe.features(made), real_units=rows.units)
    line: dict[str, object] = {
        "route": name,
        "frechet": far.matched,
        "floor": far.floor,
        "n": len(rows),
    }
    known = list(probe.models)
    labels: Whole = rows.labels[:, known]
    try:
        found = image_agreement(
            probe.scores(made),
            labels,
            [classes[k] for k in known],
            real_scores=probe.scores(real),
            units=rows.units,
            options=AgreementOptions(resamples=resamples),
        )
    except DataError:  # no row carries a label
        return line
    low, high = found.macro_shuffled
    told = {"shuffled_low": low, "shuffled_high": high, "real": found.real_macro.value}
    return line | interval(found.macro) | told | {"scored": ", ".join(found.scored), "unit": found.unit}


def image_table(modality: str, lines: list[dict[str, object]]) -> Table:
    """Images of one modality by route; see ``image_row``."""
    columns = [
        Column("route", "made from"),
        number("value", "AUROC", "macro, of findings in made images by a classifier trained on real ones"),
        Column("shuffled_high", "shuffled", "number", help="upper end of what prompts of other rows reach"),
        Column("real", "real images", "number", help="the same classifier on the real images of these rows"),
        Column("frechet", "Frechet", "number", help="distance from half of the real rows, components of pixels"),
        Column("floor", "real to real", "number", help="the same distance of the other half of the real rows"),
        Column("n", "rows", "integer"),
        Column("scored", "findings"),
    ]
    title = f"{modality}: findings in what is made, and its distance from real images"
    return Table(f"images-{modality}", title, columns, lines)


def text_table(
    modality: str, made: Mapping[str, Sequence[str]], real: Sequence[str], rows: Rows, resamples: int
) -> Table:
    """Texts of one modality by route, beside a constant, a random and a retrieved one.

    Args:
        modality: its name.
        made: route or baseline -> (N,) texts; "constant" among them.
        real: (N,) real texts.
        rows: the rows.
        resamples: of the bootstrap.
    """
    compared = compare_texts(made, real, reference="constant", units=rows.units, resamples=resamples)
    labeler = FindingsLabeler()
    truth = positive(labeler.matrix(list(real)))
    lines = []
    for name, scores in compared.methods.items():
        said = positive(labeler.matrix(list(made[name])))
        found = score_findings(said, truth, units=rows.units, resamples=resamples)
        normal = FINDINGS.index("Normal")
        balanced = _balanced(said[:, normal], truth[:, normal], rows.units, resamples)
        line: dict[str, object] = {"route": name, "distinct": scores.distinct, "n": scores.n}
        line |= interval(scores.scores["bleu_1"], "bleu1") | interval(scores.scores["bleu_4"], "bleu4")
        line |= interval(found.macro, "f1") | {"f1_chance": found.macro_chance}
        lines.append(line | interval(balanced, "normal"))
    columns = [
        Column("route", "made from"),
        number("bleu1", "BLEU-1", "of the whole set"),
        number("bleu4", "BLEU-4", "of the whole set"),
        number("f1", "findings F1", "macro, read by rules from the made and from the real text"),
        Column("f1_chance", "chance", "number", help="F1 of the same texts dealt to other rows"),
        number("normal", "normal", "balanced accuracy of whether the text says that all is normal; .5 is chance"),
        Column("distinct", "distinct", "number", help="share of texts that are distinct"),
        Column("n", "rows", "integer"),
    ]
    return Table(f"texts-{modality}", f"{modality}: texts by route, beside texts that cost nothing", columns, lines)


def _balanced(said: Bools, truth: Bools, units: Sequence[str], resamples: int) -> Interval:
    """Balanced accuracy with its interval."""
    resampler = Resampler(list(units), resamples=resamples)
    parts = np.column_stack([said & truth, truth, ~said & ~truth, ~truth]).astype(np.float64)
    counts = resampler.sums(parts, list(units)).T
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = (counts[0] / counts[1] + counts[2] / counts[3]) / 2
    return resampler.interval(draws, bounds=(0.0, 1.0))


def reconstruction_table(lines: list[dict[str, object]]) -> Table:
    """What is left of each modality behind its autoencoder."""
    columns = [
        Column("modality"),
        Column("error", "mean error", "number", help="of pixels, which span 2; of words: share that differ"),
        number("value", "AUROC", "of findings in reconstructed images"),
        Column("real", "real images", "number"),
        Column("n", "rows", "integer"),
    ]
    return Table("reconstructions", "Autoencoders: what is left of test rows", columns, lines)


def word_errors(back: Tensor, real: Tensor) -> float:
    """Share of the codes of texts (N, L) that differ; padding counts where either has none."""
    used = (real != 0) | (back != 0)
    return float(((back != real) & used).sum() / used.sum().clamp_min(1))


def retrieved(query: Tensor, train: Tensor) -> list[int]:
    """The nearest training row of each of N rows, by vectors of length 1."""
    return torch.argmax(query @ train.T, 1).tolist()
