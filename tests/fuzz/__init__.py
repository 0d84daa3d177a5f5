"""Damaged files: every reader must say which file is broken, or read on without a wrong row."""
