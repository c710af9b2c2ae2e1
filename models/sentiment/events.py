"""What a classifier answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scores:
    """Probability of each class, highest first, for the whole text.

    Attributes:
        scores: (label, probability) pairs that sum to 1.
        parts: for a text over the model's limit, how many pieces were scored and averaged.
        multi_label: each label was asked for itself, so that they need not sum to 1.
    """

    scores: tuple[tuple[str, float], ...]
    parts: int = 1
    multi_label: bool = False
