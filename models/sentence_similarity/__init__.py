"""Sentence similarity: encoders on this machine, or behind a server that speaks OpenAI's API.

events.py    what they yield
encoder.py   Encoder: sentences -> vectors -> cosines; a subclass brings its library
reference.py pairs of known likeness, which put its cosines into proportion
local.py     SentenceTransformerSimilarity, BertSimilarity
hosted.py    OpenAIEmbeddings
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "SentenceTransformerSimilarity": "local",
    "BertSimilarity": "local",
    "OpenAIEmbeddings": "hosted",
}


def __getattr__(name: str) -> Any:
    # Each engine's library takes seconds to import: only the one that is used is.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
