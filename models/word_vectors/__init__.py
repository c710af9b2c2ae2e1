"""Word vectors: the starters, and Word2Vec trained on a person's own text."""
