"""Damage of each modality kind's own sort, one file a kind, and how a model's results fall with it."""
