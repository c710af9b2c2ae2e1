"""Chat engines: a model on this machine, or one behind a server that speaks OpenAI's API.

local.py     TransformersChat
prompt.py    conversation -> token ids, within the model's window
decoding.py  token ids -> more token ids, one at a time; token ids -> text that is whole
hosted.py    OpenAIChat: asking.py puts the request, reading.py reads the stream, faults.py names faults
prices.py    what an answer cost, by prices.toml
kept.py      what a model worked out about a conversation so far, for its next turn
options.py   a request's parameters in each library's own words
events.py    what is told: text, tokens with their probabilities, logits
dice.py      the probabilities behind a drawn token; chances.py the same from logits, in numpy
pieces.py    what a single token says, also where it is only some bytes of a letter
"""

from importlib import import_module
from typing import Any

_HOMES = {"TransformersChat": "local", "OpenAIChat": "hosted"}


def __getattr__(name: str) -> Any:
    # Each engine's library takes seconds to import: only the one that is used is.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
