"""The running text that the word vectors are learned from, as lists of words."""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.segment import words
from models.training.corpora import require
from models.training.sentiment.data import nsmc, rt_polarity
from models.word_vectors import cut

KOREAN_PIECES = 16_000
HANGUL = re.compile(r"[가-힣]")


def english_lines(data: Path) -> Iterator[str]:
    """Yield sentences of novels, chats and film reviews."""
    with tarfile.open(require(data, "novels")) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            file = archive.extractfile(member) if member.name.endswith(".txt") else None
            if file is not None:
                text = " ".join(file.read().decode("utf-8", errors="replace").split())
                yield from re.split(r"(?<=[.!?])[\"'”’]*\s+", text)
    with gzip.open(require(data, "self_dialogue"), "rt", encoding="utf-8") as file:
        for line in file:
            yield from json.loads(line)["turns"]
    with zipfile.ZipFile(require(data, "movie_reviews")) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".txt"):
                yield from archive.read(name).decode("utf-8").split("\n")
    yield from (text for text, _ in rt_polarity(data))


def korean_lines(data: Path) -> Iterator[str]:
    """Yield film reviews and everyday questions with their answers."""
    yield from (text for text, _ in nsmc(data, "train"))
    with require(data, "songys").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["Q"]
            yield row["A"]


def korean_vocabulary(lines: list[str], size: int = KOREAN_PIECES) -> set[str]:
    """Return word pieces, so that 영화가 and 영화를 share 영화 (unigram model; Kudo 2018)."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    plain = (" ".join(words(line)) for line in lines)
    trainer = trainers.UnigramTrainer(vocab_size=size, show_progress=False, max_piece_length=6)
    tokenizer.train_from_iterator(plain, trainer)
    return set(tokenizer.get_vocab())


def english_sentences(data: Path) -> list[list[str]]:
    """Return the words of every English sentence."""
    return [
        [sys.intern(word) for word in found]
        for line in english_lines(data)
        if len(found := words(line)) > 1
    ]


def korean_sentences(data: Path) -> list[list[str]]:
    """Return the word pieces of every Korean sentence."""
    lines = list(korean_lines(data))
    known = korean_vocabulary(lines)
    kept: dict[str, list[str]] = {}
    return [[p for w in words(line) for p in _kept_cut(w, known, kept)] for line in lines]


def _kept_cut(word: str, known: Any, kept: dict[str, list[str]]) -> list[str]:
    if word not in kept:
        kept[word] = [sys.intern(piece) for piece in cut(word, known)]
    return kept[word]
