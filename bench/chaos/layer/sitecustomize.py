"""Puts the fault layer into every process of a campaign before any of our modules is imported."""

from bench.chaos.faults import install

install()
