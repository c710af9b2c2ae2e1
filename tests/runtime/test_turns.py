"""Turns on the processor: as many at once as there are cores, fair parts for each kind, and nobody forgotten."""

import threading
import time

import pytest

from models.runtime.turns import PARTS, PATIENCE, Turns


def use(turns, kind, seconds, end, pieces):
    """Work in pieces of so many seconds until the end; notes when each was."""
    while time.monotonic() < end:
        with turns.turn(kind):
            start = time.monotonic()
            time.sleep(seconds)
            pieces.append((start, time.monotonic()))


def crowd(turns, *works, seconds=1.0):
    """Seconds that each kind had: works are (kind, seconds of a piece, people)."""
    end = time.monotonic() + seconds
    pieces = {kind: [] for kind, *_ in works}
    threads = [
        threading.Thread(target=use, args=(turns, kind, piece, end, pieces[kind]))
        for kind, piece, people in works
        for _ in range(people)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return pieces


def test_no_more_compute_at_once_than_there_are_cores():
    pieces = crowd(Turns(2), ("a", 0.01, 6), ("b", 0.01, 6), seconds=0.4)
    spans = sorted(span for one in pieces.values() for span in one)
    at_once = max(sum(a <= begin < b for a, b in spans) for begin, _ in spans)
    assert at_once == 2


def test_short_work_of_many_does_not_starve_long_work_of_one():
    """In order of arrival the one would have a twentieth of the time."""
    pieces = crowd(Turns(1), ("short", 0.002, 20), ("long", 0.02, 1))
    short, long = (sum(b - a for a, b in pieces[kind]) for kind in ("short", "long"))
    assert 0.35 < long / (short + long) < 0.65


def test_a_picture_has_the_larger_part_beside_texts():
    assert PARTS["text_to_image"] > 2
    pieces = crowd(Turns(1), ("sentiment", 0.005, 4), ("text_to_image", 0.02, 2))
    text, picture = (sum(b - a for a, b in pieces[k]) for k in ("sentiment", "text_to_image"))
    assert 0.7 < picture / (picture + text) < 0.95


def test_who_was_away_has_saved_up_little():
    turns = Turns(1)
    crowd(turns, ("a", 0.01, 2), seconds=0.8)
    pieces = crowd(turns, ("a", 0.01, 2), ("late", 0.01, 2), seconds=0.8)
    assert sum(b - a for a, b in pieces["a"]) > 0.15


def test_all_cores_are_for_one_who_is_alone():
    turns = Turns(4)
    with turns.turn("a", most=8) as first:
        assert first.cores == 4
    with turns.turn("a") as first, turns.turn("b", most=8) as second:
        assert (first.cores, second.cores) == (1, 3)


def test_rest_lets_others_go_first_and_gives_the_turn_back():
    turns, order = Turns(1), []

    def other():
        with turns.turn("other"):
            order.append("other")

    with turns.turn("mine") as turn:
        thread = threading.Thread(target=other)
        thread.start()
        while not turns.has_rival("mine"):
            time.sleep(0.001)
        time.sleep(0.02)  # so that mine has had more time
        turns.rest(turn)
        order.append("mine")
        assert turn.cores == 1
    thread.join(5)
    assert order == ["other", "mine"]


@pytest.mark.parametrize("count", [1, 2])
def test_nobody_waits_longer_than_patience_and_all_cores_come_back(count):
    turns = Turns(count, patience=0.1)
    with turns.turn("stuck", most=2):
        start = time.monotonic()
        with turns.turn("other"):
            assert 0.09 < time.monotonic() - start < 2
    with turns.turn("other", most=2) as turn:
        assert turn.cores == count


def test_a_turn_that_fails_is_given_back():
    turns = Turns(1)
    with pytest.raises(ZeroDivisionError), turns.turn("a"):
        raise ZeroDivisionError
    start = time.monotonic()
    with turns.turn("a"):
        assert time.monotonic() - start < PATIENCE / 2
