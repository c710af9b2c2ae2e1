"""Vectors of words: the starters' and a person's own, and what can be asked of them.

events.py     what is yielded: a training's epochs, its end, the answer to a question
questions.py  nearest words, analogies, odd one out, a map
files.py      a person's vectors as word2vec text or safetensors
engine.py     WordVectorSimilarity: the starters' vectors, asked about words or sentences
models/word_vectors.py reads a starter; models/word2vec.py trains on a person's text
"""
