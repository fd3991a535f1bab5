"""Measurements: each file prints one table and writes its figures to `bench/results`."""
