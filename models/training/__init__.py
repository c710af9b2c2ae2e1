"""Scripts that rebuild the shipped starters: `python -m models.training.NAME`."""
