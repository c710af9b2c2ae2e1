"""More English sentences for training: those of whole reviews, labelled by a first model.

A sentence's label is the first model's word and its review's stars together; only the surest are
kept (self-training; Yarowsky 1995, Xie et al. 2020).
"""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import numpy as np

from models.training.corpora import require
from models.training.sentiment.data import Labelled

FEWEST_WORDS, MOST_WORDS = 5, 35
REVIEW_LOG_ODDS = 1.0  # how much a review's stars say about one of its sentences
LOWEST_TARGET = 0.04


def review_sentences(data: Path, count: int, seed: int) -> Labelled:
    """Return `count` sentences of the 2,000 reviews, each with its review's label."""
    rows = {}
    with zipfile.ZipFile(require(data, "movie_reviews")) as archive:
        for name in sorted(archive.namelist()):
            folder, _, file = name.removeprefix("movie_reviews/").partition("/")
            if folder not in ("pos", "neg") or not file.endswith(".txt"):
                continue
            for line in archive.read(name).decode("utf-8").split("\n"):
                if FEWEST_WORDS <= len(line.split()) <= MOST_WORDS:
                    rows[line.strip()] = float(folder == "pos")
    drawn = list(rows.items())
    random.Random(seed).shuffle(drawn)
    return drawn[:count]


def surest(rows: Labelled, margins: np.ndarray, each: int) -> Labelled:
    """Return the `each` surest positive and negative rows with soft targets.

    Args:
        rows: Sentences with their review's label.
        margins: A calibrated model's log-odds of positive for each sentence, shape (n,).
        each: How many to keep on either side.
    """
    stars = np.array([label for _, label in rows])
    log_odds = margins + REVIEW_LOG_ODDS * (2 * stars - 1)
    targets = np.clip(1 / (1 + np.exp(-log_odds)), LOWEST_TARGET, 1 - LOWEST_TARGET)
    order = np.argsort(log_odds)
    lowest = [int(i) for i in order[:each] if log_odds[i] < 0]
    highest = [int(i) for i in order[-each:] if log_odds[i] > 0]
    return [(rows[i][0], float(targets[i])) for i in lowest + highest]
