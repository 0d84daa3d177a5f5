"""Every reader beside the reference library of its field, on awkward files: see ``tests.conformance.table``."""
