"""Train the sentiment starters: `python -m training.sentiment en|ko --data DIR`."""
