"""The dice behind a draw: what else could have come, and how likely it was."""

import math
from typing import Any

import torch

from models.chat.decoding import Step
from models.chat.events import Alternative, Token
from models.chat.token_text import pieces


def token(tokenizer: Any, step: Step, alternatives: int) -> Token:
    """What there is to say about a drawn token.

    Args:
        tokenizer: the model's own.
        step: of the decoding.
        alternatives: how many of the likeliest tokens to name.
    """
    raw = torch.softmax(step.logits, -1)
    if step.sampled:
        chances = torch.softmax(step.scores, -1)
    else:  # temperature 0: all falls to the likeliest
        chances = torch.zeros_like(raw)
        chances[step.token] = 1.0
    top = torch.topk(raw, min(alternatives, len(raw))).indices
    ids = [step.token, *top.tolist()]
    likely = zip(raw[ids].tolist(), chances[ids].tolist(), strict=True)
    drawn, *others = (
        (piece.text, piece.id, *two)
        for piece, two in zip(pieces(tokenizer, ids), likely, strict=True)
    )
    bits = torch.special.entr(chances).sum() / math.log(2)
    return Token(
        *drawn,
        entropy=max(0.0, float(bits)),
        alternatives=tuple(Alternative(*other) for other in others),
    )
