"""Train word vectors: `python -m training.word_vectors en|ko --data DIR`."""
