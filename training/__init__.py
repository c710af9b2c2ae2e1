"""Scripts that rebuild the shipped starters: `python -m training.NAME`."""
