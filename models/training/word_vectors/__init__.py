"""Train word vectors: `python -m models.training.word_vectors en|ko --data DIR`."""
