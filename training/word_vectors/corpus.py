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

from models.text.language import words
from models.word_vectors.vectors import cut
from training.corpora import require
from training.sentiment.data import nsmc, rt_polarity

KOREAN_PIECES = 16_000
# What a Korean noun takes behind it; with these as pieces of their own, 영화가 and 영화를 are 영화.
ENDINGS = [
    "은",
    "는",
    "이",
    "가",
    "을",
    "를",
    "의",
    "에",
    "도",
    "만",
    "와",
    "과",
    "로",
    "랑",
    "나",
    "들",
    "인",
    "임",
    "다",
    "요",
    "고",
    "며",
    "든",
    "란",
    "께",
    "에서",
    "에게",
    "한테",
    "으로",
    "이랑",
    "까지",
    "부터",
    "보다",
    "처럼",
    "마다",
    "조차",
    "밖에",
    "이나",
    "하고",
    "에는",
    "에도",
    "과는",
    "와는",
    "로는",
    "만은",
    "이란",
    "라도",
    "들이",
    "들은",
    "들을",
    "들의",
    "들도",
    "라는",
    "라고",
    "인데",
    "이다",
    "였다",
    "이고",
    "이며",
    "지만",
    "네요",
    "예요",
    "이네",
    "였음",
    "이였다",
    "이었다",
    "입니다",
    "이네요",
    "이에요",
    "에서는",
    "에서도",
    "으로는",
    "이라는",
    "이라고",
    "이라도",
    "이지만",
    "였는데",
    "였지만",
    "까지도",
]


def english_lines(data: Path) -> Iterator[str]:
    """Yield sentences of novels, chats and film reviews."""
    with tarfile.open(require(data, "novels")) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            file = archive.extractfile(member) if member.name.endswith(".txt") else None
            if file is not None:
                text = file.read().decode("utf-8", errors="replace").replace("_", " ")
                text = " ".join(text.split())
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
    small_talk = require(data, "chitchat_ko").read_text(encoding="utf-8-sig").splitlines()
    yield from (line.lstrip("-# ?") for line in small_talk if line.startswith(("- ", "# ?")))
    with require(data, "songys").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["Q"]
            yield row["A"]


def korean_vocabulary(lines: list[str], size: int = KOREAN_PIECES) -> set[str]:
    """Return word pieces (unigram model; Kudo 2018) without those that are a noun and its ending."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    plain = (" ".join(words(line)) for line in lines)
    trainer = trainers.UnigramTrainer(vocab_size=size, show_progress=False, max_piece_length=6)
    tokenizer.train_from_iterator(plain, trainer)
    return without_inflections(set(tokenizer.get_vocab()))


def without_inflections(pieces: set[str]) -> set[str]:
    """Return the pieces without those that are another one of two syllables or more and an ending."""
    inflections = {
        piece
        for piece in pieces
        for ending in ENDINGS
        if piece.endswith(ending) and len(stem := piece.removesuffix(ending)) > 1 and stem in pieces
    }
    return (pieces - inflections) | set(ENDINGS)


def english_sentences(data: Path) -> list[list[str]]:
    """Return the words of every English sentence."""
    return [
        [sys.intern(word) for word in line_words]
        for line in english_lines(data)
        if len(line_words := words(line)) > 1
    ]


def korean_sentences(data: Path) -> list[list[str]]:
    """Return the word pieces of every Korean sentence."""
    lines = list(korean_lines(data))
    vocabulary = korean_vocabulary(lines)
    by_word: dict[str, list[str]] = {}
    return [[p for w in words(line) for p in _pieces(w, vocabulary, by_word)] for line in lines]


def _pieces(word: str, vocabulary: Any, by_word: dict[str, list[str]]) -> list[str]:
    if word not in by_word:
        by_word[word] = [sys.intern(piece) for piece in cut(word, vocabulary)]
    return by_word[word]
