"""Train the sentiment starters: `python -m models.training.sentiment en|ko --data DIR`."""
