"""What to ask of predictions and embeddings: groups, shots, subsets, corruption, calibration."""
