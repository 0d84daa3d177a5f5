"""Words of generated reports against those of real ones: BLEU, ROUGE, F1 of words, and how many reports differ.

Likeness of words says little of what a report states: one constant report has a high BLEU where most reports are
alike. Baselines are in ``text_baselines`` beside this module, and findings in ``findings``.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.errors import DataError, SpecError, unknown_name
from zoo.evaluation.resampling import Floats, Interval, Resampler, describe_units

WORD = re.compile(r"[a-z0-9]+(?:[.'/-][a-z0-9]+)*")
"""A word or a number; all else parts words and is left out."""
ORDERS = (1, 2, 3, 4)
"""Lengths of the runs of words that BLEU counts."""
MEASURES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_1", "rouge_2", "rouge_l", "token_f1")


@dataclass(frozen=True)
class TextScores:
    """How much generated texts are in the words of real ones.

    Attributes:
        scores: measure of MEASURES -> value and interval, in [0, 1].
        length_ratio: words of the made texts over words of the real ones.
        distinct: share of made texts that are distinct, in words.
        distinct_real: the same of the real texts.
        empty: made texts without a word; they score 0 and are counted in every measure.
        n: pairs.
        unit: what intervals draw, and how many.
    """

    scores: dict[str, Interval]
    length_ratio: float
    distinct: float
    distinct_real: float
    empty: int
    n: int
    unit: str


@dataclass(frozen=True)
class TextComparison:
    """Several methods on the same rows.

    Attributes:
        methods: method -> its scores.
        reference: the method that others are compared with.
        differences: other method -> measure -> its value - that of the reference, with the paired interval.
    """

    methods: dict[str, TextScores]
    reference: str
    differences: dict[str, dict[str, Interval]]


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation.

    >>> words("No pleural effusion; heart is 2.5 cm.")
    ['no', 'pleural', 'effusion', 'heart', 'is', '2.5', 'cm']
    """
    return WORD.findall(text.lower())


def bleu_counts(made: Sequence[str], real: Sequence[str]) -> Floats:
    """What BLEU sums over one pair of texts.

    Args:
        made: words of the made text.
        real: words of the real one.

    Returns:
        (10,): of runs of 1 to 4 words those of ``made`` that ``real`` has (each as often as there at most), then how
        many ``made`` has, then the numbers of words of both.
    """
    right, total = [], []
    for n in ORDERS:
        a, b = (Counter(zip(*(text[k:] for k in range(n)), strict=False)) for text in (made, real))
        right.append((a & b).total())
        total.append(a.total())
    return np.array([*right, *total, len(made), len(real)], dtype=np.float64)


def bleu(counts: Floats, order: int) -> Floats:
    """BLEU of sums of counts over a corpus (Papineni et al., ACL 2002, section 2.3), one reference, no smoothing.

    Args:
        counts: (..., 10) sums of ``bleu_counts``.
        order: longest run of words, 1 to 4; all runs up to it have equal weight.

    Returns:
        (...) values in [0, 1]; 0 where no run of some length is right.
    """
    right, total = counts[..., :order], counts[..., 4 : 4 + order]
    share = np.divide(right, total, out=np.zeros_like(right), where=total > 0)
    made, real = counts[..., 8], counts[..., 9]
    with np.errstate(divide="ignore", invalid="ignore"):
        brevity = np.exp(np.minimum(0.0, 1 - real / made))
        values = brevity * np.exp(np.log(share).mean(-1))
    found: Floats = np.where((right > 0).all(-1), values, 0.0)
    return found


def token_f1(made: Sequence[str], real: Sequence[str]) -> float:
    """F1 of two bags of words (Rajpurkar et al., EMNLP 2016, section 6.1); 0 where one is empty and the other not.

    >>> token_f1(["no", "effusion"], ["no", "pleural", "effusion"])
    0.8
    """
    if not made and not real:
        return 1.0
    return 2 * (Counter(made) & Counter(real)).total() / (len(made) + len(real))


def text_draws(
    made: Sequence[str], real: Sequence[str], units: Sequence[str], resampler: Resampler
) -> dict[str, Floats]:
    """The draws (1 + R,) of each of MEASURES; ROUGE is the mean F1 over pairs (Lin 2004), by torchmetrics.

    Args:
        made: (N,) generated texts.
        real: (N,) real texts of the same rows.
        units: (N,) of the rows.
        resampler: of these units.
    """
    pairs = [(words(a), words(b)) for a, b in zip(made, real, strict=True)]
    sums = resampler.sums(np.stack([bleu_counts(a, b) for a, b in pairs]), units)
    found = {f"bleu_{n}": bleu(sums, n) for n in ORDERS}
    rouge = np.array([_rouge(a, b) for a, b in pairs])
    for k, name in enumerate(("rouge_1", "rouge_2", "rouge_l")):
        found[name] = resampler.means(rouge[:, k], units)
    found["token_f1"] = resampler.means([token_f1(a, b) for a, b in pairs], units)
    return found


def compare_texts(
    made: Mapping[str, Sequence[str]],
    real: Sequence[str],
    *,
    reference: str,
    units: Sequence[str] | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> TextComparison:
    """Score the texts of several methods, such as a model and its baselines, with paired differences.

    Args:
        made: method -> (N,) texts.
        real: (N,) real texts of the same rows.
        reference: the method that others are compared with, such as "constant".
        units: (N,) patient of each row, which intervals draw; None: each row is its own.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        UnknownNameError: the reference is no method.
        SpecError: there are no rows.
        DataError: a method has not one text for each row, or there is not one unit for each.
    """
    if reference not in made:
        raise unknown_name("method", reference, made)
    if not len(real):
        raise SpecError("there are no texts to compare")
    rows = [f"row:{k}" for k in range(len(real))] if units is None else list(units)
    for name, given in {**made, "units": rows}.items():
        if len(given) != len(real):
            raise DataError(f"'{name}' has {len(given)} entries for {len(real)} real texts; give one for each")
    resampler = Resampler(rows, resamples=resamples, seed=seed)
    draws = {name: text_draws(texts, real, rows, resampler) for name, texts in made.items()}
    differences = {
        name: {m: resampler.interval(d - draws[reference][m], bounds=(-1.0, 1.0)) for m, d in mine.items()}
        for name, mine in draws.items()
        if name != reference
    }
    scores = {
        name: _scores(
            texts, real, rows, {m: resampler.interval(d, bounds=(0.0, 1.0)) for m, d in draws[name].items()}
        )
        for name, texts in made.items()
    }
    return TextComparison(scores, reference, differences)


def distinct_share(texts: Sequence[str]) -> float:
    """Share of texts that are distinct, in words; NaN for none.

    >>> distinct_share(["No effusion.", "no effusion", "Normal."])
    0.6666666666666666
    """
    return len({tuple(words(t)) for t in texts}) / len(texts) if texts else math.nan


def _scores(
    made: Sequence[str], real: Sequence[str], units: Sequence[str], intervals: dict[str, Interval]
) -> TextScores:
    lengths = [[len(words(t)) for t in texts] for texts in (made, real)]
    return TextScores(
        scores=intervals,
        length_ratio=sum(lengths[0]) / sum(lengths[1]) if sum(lengths[1]) else math.nan,
        distinct=distinct_share(made),
        distinct_real=distinct_share(real),
        empty=lengths[0].count(0),
        n=len(made),
        unit=describe_units(units),
    )


def _rouge(made: list[str], real: list[str]) -> tuple[float, float, float]:
    """F1 of single words, of pairs, and of the longest common subsequence; 0 where a text is empty."""
    if not made or not real:
        return (0.0, 0.0, 0.0)
    from torchmetrics.functional.text import rouge_score

    keys = ("rouge1", "rouge2", "rougeL")
    found = rouge_score(" ".join(made), " ".join(real), rouge_keys=keys, normalizer=str, tokenizer=str.split)
    one, two, longest = (float(found[f"{key}_fmeasure"]) for key in keys)
    return one, two, longest
