"""MultitaskModule: encoders, fusion and task heads under one table of loss weights (MultiMed)."""
