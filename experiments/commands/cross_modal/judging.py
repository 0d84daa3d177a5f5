"""How good what was generated is, row by row, and how much was rejected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datamodules.synthesis.modality import GeneratedModality
from experiments.commands.cross_modal.scoring import Scored
from experiments.commands.cross_modal.settings import Plan
from experiments.core.study import Study
from zoo.generator import Generation


def offline_judges(plan: Plan) -> tuple[str, ...]:
    """The judges that need no network: of records, and of images where there are real ones to compare with."""
    if plan.record:
        return ("AttributeJudge", "ConsistencyJudge")
    return ("AttributeJudge",) if plan.image else ()


def judge(study: Study, plan: Plan, seed: int, names: Sequence[str] | None, scored: Scored) -> None:
    """Let judges score what was generated for the test rows of a seed, and count what was made.

    Args:
        study: the configuration.
        plan: what it offers.
        seed: whose test rows.
        names: of judges; None takes those of ``offline_judges``.
        scored: is filled.
    """
    names = offline_judges(plan) if names is None else names
    pipeline: Any = study.data(seed=seed).pipeline
    for name, made in pipeline.generated.items():
        scored.generation.append({"modality": name, "seed": seed, "generator": type(made.generator).__name__})
        scored.generation[-1] |= {s: made.counts.get(s, 0) for s in ("ok", "repaired", "rejected")}
        scored.generation[-1] |= {"simulated": made.generator.simulated, "leaky": made.leaks}
    name = plan.record or plan.painted
    made = pipeline.generated.get(name)
    if not isinstance(made, GeneratedModality):
        return
    dataset, rows = pipeline.dataset, pipeline.rows["test"].tolist()
    pairs = [
        (made.given(dataset, r, told=False, learning=plan.painted == name), Generation(made.made(r)))
        for r in rows
        if made.made(r) is not None
    ]
    if not names:
        return
    from zoo.generation.judges.base import JUDGES

    train = [
        r for r in pipeline.rows["train"].tolist() if plan.image and pipeline.availability.present[plan.image][r]
    ]
    learned = [made.given(dataset, r, told=False, learning=True) for r in train]
    for each in names:
        judged: Any = JUDGES.get(each)()
        if hasattr(judged, "fit"):
            judged.fit(learned)
        found = {g.id: float(judged.score(g, m).score) for g, m in pairs}
        scored.judged.setdefault(each, {})[seed] = found
