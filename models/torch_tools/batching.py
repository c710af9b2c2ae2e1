"""Batches of texts of similar length, so that little of a batch is padding. Imports no torch."""

from collections.abc import Iterator, Sequence


def batches_by_length(
    lengths: Sequence[int], rows: int, *, tokens: int | None = None, window: int | None = None
) -> Iterator[list[int]]:
    """Split texts into batches by their length, the longest first.

    Args:
        lengths: of each text, in any unit.
        rows: the most texts of a batch.
        tokens: the most that a batch holds with its padding, in the unit of `lengths`; a text that
            is longer gets a batch of its own. None for no limit.
        window: sort only so many texts together, in their order, so that the first batches of many
            texts are of the first texts. None sorts them all.

    Yields:
        Indexes into `lengths`; every index once.
    """
    window = window or max(1, len(lengths))
    for first in range(0, len(lengths), window):
        here = range(first, min(first + window, len(lengths)))
        order = sorted(here, key=lambda index: -lengths[index])
        start = 0
        while start < len(order):
            longest = max(1, lengths[order[start]])
            size = rows if tokens is None else max(1, min(rows, tokens // longest))
            yield order[start : start + size]
            start += size
