"""Kinds of modality: one file a kind, found by discovery."""
