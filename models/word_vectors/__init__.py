"""Vectors of words: the starters' and a person's own, and what can be asked of them."""
