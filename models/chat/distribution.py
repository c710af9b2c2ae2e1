"""From logits to the probabilities a token is drawn with: the same steps as transformers' warpers."""

import numpy as np


def chances(
    logits: np.ndarray, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0
) -> np.ndarray:
    """The distribution the next token is drawn from.

    Args:
        logits: (vocabulary,), raw.
        temperature: 0 gives all to the likeliest.
        top_p: keeps the likeliest tokens that together have this probability.
        top_k: keeps so many of the likeliest; 0 keeps all.

    Returns:
        (vocabulary,) float64, sums to 1.
    """
    scores = logits.astype(np.float64)
    if temperature == 0:
        return (np.arange(len(scores)) == scores.argmax()).astype(np.float64)
    scores = scores / temperature
    if top_k:
        least = np.sort(scores)[-min(top_k, len(scores))]
        scores = np.where(scores < least, -np.inf, scores)
    shares = _softmax(scores)
    if top_p < 1:
        order = np.argsort(
            shares, kind="stable"
        )  # from the unlikeliest: the tail up to 1 - top_p goes
        tail = np.cumsum(shares[order]) <= 1 - top_p
        tail[-1] = False
        shares[order[tail]] = 0
        shares /= shares.sum()
    return shares


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def entropy(shares: np.ndarray) -> float:
    """Entropy of a distribution in bits: 0 is certain, 1 a coin, 2.58 a die."""
    some = shares[shares > 0]
    return max(0.0, float(-(some * np.log2(some)).sum()))


def thrown(shares: np.ndarray, dice: float) -> int:
    """The token at a place of the strip on which all lie side by side, the likeliest first.

    Args:
        shares: (vocabulary,), sums to 1.
        dice: a number from 0 up to 1.
    """
    order = np.argsort(-shares, kind="stable")
    place = int(np.searchsorted(np.cumsum(shares[order]), dice, side="right"))
    return int(order[min(place, int((shares > 0).sum()) - 1)])
