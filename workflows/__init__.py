"""Workflows own time, order, retries and waiting. They decide nothing and touch nothing."""
