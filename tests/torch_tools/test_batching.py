"""Batches by length: every text once, the longest first, within the limits."""

import random

import pytest

from models.torch_tools.batching import batches_by_length


def test_batches_hold_similar_lengths_within_the_limits():
    lengths = [5, 500, 7, 6, 300, 5]
    batches = [*batches_by_length(lengths, 3, tokens=600)]
    assert batches == [[1], [4, 2], [3, 0, 5]]
    assert [*batches_by_length([900], 3, tokens=600)] == [[0]]


def test_texts_of_one_length_stay_in_their_order():
    assert [*batches_by_length([2, 2, 2], 2)] == [[0, 1], [2]]


def test_no_text_is_no_batch():
    assert [*batches_by_length([], 32, tokens=100, window=4)] == []


def test_a_window_ends_before_the_next_begins():
    assert [*batches_by_length([1, 2, 3, 9, 8, 7], 2, window=3)] == [[2, 1], [0], [3, 4], [5]]


@pytest.mark.parametrize("window", [None, 1, 7, 1000])
def test_every_text_is_in_one_batch(window):
    draw = random.Random(0)
    lengths = [draw.randrange(0, 200) for _ in range(100)]
    batches = [*batches_by_length(lengths, 8, tokens=512, window=window)]
    assert sorted(index for batch in batches for index in batch) == [*range(100)]
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or longest * len(batch) <= 512
        assert len(batch) <= 8
