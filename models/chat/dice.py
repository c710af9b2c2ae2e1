"""The dice behind a draw: what else could have come, and how likely it was."""

from typing import Any

import torch

from models.chat.decoding import Step
from models.chat.events import Alternative, Token
from models.chat.pieces import pieces


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
    drawn, *others = (
        (piece.text, piece.id, float(raw[piece.id]), float(chances[piece.id]))
        for piece in pieces(tokenizer, [step.token, *top.tolist()])
    )
    bits = -torch.special.xlogy(chances, chances).sum() / torch.log(torch.tensor(2.0))
    return Token(
        *drawn,
        entropy=max(0.0, float(bits)),
        alternatives=tuple(Alternative(*other) for other in others),
    )
