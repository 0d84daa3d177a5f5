"""Does a record contradict itself."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from zoo.errors import SpecError
from zoo.generation.judges.base import (
    FEW,
    JUDGES,
    MANY,
    MIDDLE,
    NEGATION,
    Check,
    Judge,
    Verdict,
    as_number,
    part_of,
    rejected,
    statements,
    texts_of,
    verdict_of,
)
from zoo.generator import Condition, Generation

CONCERNING = {"asymmetry", "border_irregularity", "colour_count", "colour_spread", "blue_grey", "black", "network"}
"""Measures of which many speak for melanoma (ABCD rule)."""
LOW_RISK, HIGH_RISK = 0.2, 0.5
"""Risks below the first call for no intervention, from the second on for one. Thresholds are ours, not clinical."""
ACTIONS = {"biopsy", "urgent_referral", "excision"}


@JUDGES.register
class ConsistencyJudge(Judge):
    """Ask whether a record contradicts itself: risk, orders, findings, rationale and diagnosis against each other.

    It reads nothing but the record. Thresholds are LOW_RISK and HIGH_RISK.
    """

    def score(self, given: Condition, made: Generation) -> Verdict:
        """Judge a record.

        Raises:
            SpecError: the value is no record.
        """
        if (gone := rejected(made)) is not None:
            return gone
        if not isinstance(made.value, Mapping):
            raise SpecError(f"row '{given.id}': ConsistencyJudge reads records, got {type(made.value).__name__}")
        record = made.value
        risk = as_number(part_of(record, "assessment", "malignancy_risk"))
        listed = record.get("orders")
        entries = listed if isinstance(listed, list | tuple) else []
        orders = {str(o.get("type")) for o in entries if isinstance(o, Mapping)}
        findings = texts_of(part_of(record, "lesion_observation", "visual_findings"))
        rationale = " ".join(texts_of(part_of(record, "assessment", "rationale"))).lower()
        diagnosis = str(part_of(record, "assessment", "provisional_diagnosis_label") or "").lower()
        checks = [*_risk_and_orders(risk, orders), *_among_findings(findings, rationale)]
        checks += _risk_and_findings(risk, findings)
        return verdict_of([*checks, *_risk_and_words(risk, rationale, "rationale"),
                         *_risk_and_words(risk, diagnosis, "diagnosis")])  # fmt: skip


def _risk_and_orders(risk: float, orders: set[str]) -> list[Check]:
    checks = []
    if len(orders) > 1:
        both = "reassurance" in orders and bool(orders & ACTIONS)
        checks.append(Check(float(not both), 1.0, f"reassurance is ordered beside {sorted(orders & ACTIONS)}"))
    if math.isfinite(risk) and orders:
        acts = bool(orders & ACTIONS)
        passed = 1.0
        if risk >= HIGH_RISK and not acts:
            passed = 0.0 if orders == {"reassurance"} else 0.5
        elif risk < LOW_RISK and acts:
            passed = 0.5 if orders & ACTIONS == {"biopsy"} else 0.0
        checks.append(Check(passed, 1.0, f"risk is {risk:.2f}, but {', '.join(sorted(orders))} is ordered"))
    return checks


def _among_findings(findings: Sequence[str], rationale: str) -> list[Check]:
    """Findings of one measure must not be few and many; the same for findings and rationale."""
    said: dict[str, set[int]] = {}
    for text in findings:
        for name, level in statements(text).items():
            said.setdefault(name, set()).add(level)
    checks = [
        Check(float(not {FEW, MANY} <= levels), 1.0, f"findings contradict each other in {name}")
        for name, levels in said.items()
        if len(levels) > 1
    ]
    for name, level in statements(rationale).items():
        if name in said:
            opposite = level != MIDDLE and said[name] == {MANY - level}
            checks.append(Check(float(not opposite), 1.0, f"rationale and findings contradict each other in {name}"))
    return checks


def _risk_and_findings(risk: float, findings: Sequence[str]) -> list[Check]:
    """Three concerning findings do not go with a low risk, nor none at all with a high one."""
    said = [pair for text in findings for pair in statements(text).items()]
    if not math.isfinite(risk) or not said:
        return []
    count = len({name for name, level in said if name in CONCERNING and level == MANY})
    wrong = (risk < LOW_RISK and count >= 3) or (risk >= HIGH_RISK and count == 0)
    return [Check(float(not wrong), 1.0, f"risk is {risk:.2f} with {count} concerning findings")]


def _risk_and_words(risk: float, text: str, what: str) -> list[Check]:
    """Words for malignant and benign in a text against the risk; a negation before a word turns it round."""
    if not math.isfinite(risk):
        return []
    checks = []
    for pattern, bad in (
        (r"\b(malignan(t|cy) is|malignant|melanoma|carcinoma|high risk)\b", True),
        (r"\b(benign|nevus|low risk)\b", False),
    ):
        found = re.search(pattern, text)
        if found:
            says_bad = bad != bool(NEGATION.search(text[: found.start()]))
            wrong = risk < LOW_RISK if says_bad else risk >= HIGH_RISK
            checks.append(Check(float(not wrong), 1.0, f"{what} says {found.group(0)!r}, but risk is {risk:.2f}"))
    return checks
