"""Judges: how well what was generated agrees with what is known of its row, from 1 to 5.

AttributeJudge and ConsistencyJudge follow rules and need nothing but the data; LanguageModelJudge asks a model.
"""
