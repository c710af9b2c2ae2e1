"""A person's word vectors as files that hold no code: word2vec text, or safetensors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from models.errors import InvalidInput
from models.word_vectors.events import WordTable

MOST_NUMBERS = 20_000_000  # words x dimensions, 80 MB in memory
MOST_BYTES = 400_000_000  # of a file, as text
VECTORS, WORDS = "vectors", "vocabulary"  # the tensor, and the metadata's JSON list
SUFFIXES = {".txt": "word2vec text", ".vec": "word2vec text", ".safetensors": "safetensors"}


def write(table: WordTable, path: Path) -> None:
    """Save vectors: float32 safetensors with the words in its metadata, or word2vec's text format.

    Args:
        table: what is saved.
        path: its suffix says which, one of SUFFIXES.
    """
    if path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        words = json.dumps(table.words, ensure_ascii=False)
        save_file({VECTORS: np.ascontiguousarray(table.vectors)}, path, {WORDS: words})
        return
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(table.vectors.shape[1])
    keyed.add_vectors(list(table.words), table.vectors)
    keyed.save_word2vec_format(str(path), binary=False)


def read(path: Path) -> WordTable:
    """Load what `write` saved, or any word2vec text of that size.

    Raises:
        InvalidInput: not such a file (invalid_vectors_file), or too large (invalid_vectors_size).
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInput("invalid_vectors_file")
    if path.stat().st_size > MOST_BYTES:
        raise InvalidInput("invalid_vectors_size", limit=MOST_NUMBERS)
    try:
        safe = path.suffix.lower() == ".safetensors"
        table = _from_safetensors(path) if safe else _from_text(path)
    except InvalidInput:
        raise
    except Exception as error:  # whatever a library makes of a file that is something else
        raise InvalidInput("invalid_vectors_file") from error
    if not table.words or not np.isfinite(table.vectors).all():
        raise InvalidInput("invalid_vectors_file")
    return table


def _from_text(path: Path) -> WordTable:
    from gensim.models import KeyedVectors

    with path.open(encoding="utf-8") as file:  # gensim makes room for what the first line claims
        _check_size(*map(int, file.readline(100).split()))
    keyed = KeyedVectors.load_word2vec_format(str(path), binary=False)
    return WordTable(tuple(keyed.index_to_key), keyed.vectors.astype(np.float32))


def _from_safetensors(path: Path) -> WordTable:
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        words = tuple(map(str, json.loads(file.metadata()[WORDS])))
        count, size = file.get_slice(VECTORS).get_shape()
        _check_size(count, size)
        if count != len(words) or len(set(words)) != len(words):
            raise ValueError("words and vectors differ")
        return WordTable(words, file.get_tensor(VECTORS).astype(np.float32))


def _check_size(words: int, size: int) -> None:
    if words < 1 or size < 1 or words * size > MOST_NUMBERS:
        raise InvalidInput("invalid_vectors_size", limit=MOST_NUMBERS)
