"""Prompt encoders whose vectors of one row agree, whatever modality they are made of."""
