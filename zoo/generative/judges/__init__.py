"""Judges: how well what was generated agrees with what is known of its row, from 1 to 5.

AttributeJudge and ConsistencyJudge follow rules and need nothing but the data; LanguageModelJudge asks a model.
"""

from zoo.generative.judges.attributes import AttributeJudge
from zoo.generative.judges.base import JUDGES, Judge, Verdict
from zoo.generative.judges.consistency import ConsistencyJudge
from zoo.generative.judges.language import LanguageModelJudge

__all__ = ["JUDGES", "AttributeJudge", "ConsistencyJudge", "Judge", "LanguageModelJudge", "Verdict"]
