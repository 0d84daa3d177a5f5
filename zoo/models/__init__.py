"""Models: one folder a model, with its module, its configurations and its model card."""
