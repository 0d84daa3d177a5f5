"""Benchmarks: one file each, found by ``zoo bench``; a file has a main that takes what stands behind its name."""
