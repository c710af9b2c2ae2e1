"""Sentiment: any text classifier of transformers, or a small adapter on the MiniLM encoder.

engine.py       TransformersSentiment: which request is answered by what
loading.py      weights -> a classifier with a trained head, or a clear refusal
attribution.py  which words did it: integrated gradients, and each word left out in turn
batch.py        many texts at once, alike lengths together
requests.py     what it can be asked
events.py       what it answers
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    # torch and transformers take seconds to import: events and requests need neither.
    if name != "TransformersSentiment":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.engine").TransformersSentiment
