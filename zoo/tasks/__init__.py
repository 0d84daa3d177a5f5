"""Kinds of task: one file a kind, with its target, head, loss, prediction, metrics and baselines kept together."""
