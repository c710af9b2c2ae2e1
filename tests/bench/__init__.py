"""Figures of the README, each a ratio measured in one run: `python -m tests.bench.NAME`."""
