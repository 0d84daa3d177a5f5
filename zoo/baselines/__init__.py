"""Classical pipelines, one or more a modality: what MultiMed's Table 1 calls domain-specific.

Each takes raw values and gives predictions in the form of the task's kind, so that the same metric code scores
them and the networks.
"""
