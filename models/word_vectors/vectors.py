"""Word vectors: the starters' and a person's own, as files, and the questions they answer.

A sentence is the weighted mean of its words, rare words counting more than frequent ones, less
what all sentences share (SIF; Arora, Liang and Ma, A Simple but Tough-to-Beat Baseline for
Sentence Embeddings, ICLR 2017).
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from models.errors import InvalidInput
from models.text.encodings import BAD, EAST_ASIAN, decode_text
from models.text.language import as_word, words
from models.word_vectors.events import MapPoints, WordAnswer, WordTable
from models.word_vectors.requests import WordsRequest

TENSORS = "vectors.safetensors"  # of a starter
VOCABULARY = "vocabulary.txt"
HANGUL = re.compile("[가-힣]")
MOST_NUMBERS = 20_000_000  # words x dimensions of a person's own, 80 MB in memory
MOST_BYTES = 400_000_000  # of a file, as text
TENSOR, METADATA_WORDS = "vectors", "vocabulary"  # in a saved file; the words are a JSON list
SUFFIXES = (".txt", ".vec", ".bin", ".safetensors")
MOST_WORD = 2000  # bytes of a word in a binary file
SAMPLE_LINES = 200  # lines by which the dimensions of a text are found
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE)
MOST_SAMPLE = 200_000  # bytes by which a text's encoding is found
_CONTROL = re.compile("[\x80-\x9f]")  # no letters of Latin-1
UNFIT = Path(__file__).with_name("unfit_words.txt")  # says itself what it is
FEWEST = {"nearest": 1, "analogy": 1, "odd": 3, "map": 2}  # known words a question needs


# ---------------------------------------------------------------- vectors of words and sentences


@dataclass(frozen=True, slots=True)
class WordVectors:
    """A vocabulary's vectors with what SIF needs.

    Attributes:
        table: gensim's KeyedVectors, float32, most frequent word first.
        weights: SIF weight of each word, shape (words,).
        common: the direction that all sentences share, of length 1, shape (dimensions,).
        pieces: whether an unknown word is read as the longest known pieces of it (Korean).
        unfit: words that lists of nearest words pass over.
    """

    table: Any
    weights: np.ndarray
    common: np.ndarray
    pieces: bool
    unfit: Set[str] = frozenset()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a folder that `python -m training.word_vectors` wrote.

        Raises:
            OSError, ValueError: a file is missing, or the two do not belong together.
        """
        from safetensors.numpy import load_file

        tensors = load_file(folder / TENSORS)
        vocabulary = (folder / VOCABULARY).read_text(encoding="utf-8").splitlines()
        vectors = tensors["vectors"].astype(np.float32)
        if len(vocabulary) != len(vectors) or len(tensors["weights"]) != len(vectors):
            raise ValueError(f"{VOCABULARY} and {TENSORS} differ in length")
        lookup = keyed_vectors(vocabulary, vectors)
        weights, common = (tensors[name].astype(np.float32) for name in ("weights", "common"))
        return cls(lookup, weights, common, bool(tensors["pieces"][0]), unfit_words())

    @classmethod
    def from_table(cls, table: WordTable) -> Self:
        """A person's own vectors: every word has the same weight."""
        lookup = keyed_vectors(table.words, table.vectors)
        ones = np.ones(len(table.words), dtype=np.float32)
        return cls(lookup, ones, np.zeros(lookup.vector_size, np.float32), pieces=False)

    def tokens(self, text: str) -> list[str]:
        """The known words of a text, or known pieces where this language has them."""
        places = self.table.key_to_index
        if not self.pieces:
            return [word for word in words(text) if word in places]
        return [piece for word in words(text) for piece in cut(word, places)]

    def unknown(self, text: str) -> list[str]:
        """The words of a text that have no vector, not even in pieces, each once."""
        return [word for word in dict.fromkeys(words(text)) if not self.tokens(word)]

    def word(self, word: str) -> np.ndarray | None:
        """A word's vector, shape (dimensions,); its pieces' mean where it has none; else None."""
        if word in self.table:
            return self.table[word]
        return self.weighted_mean(word) if self.pieces_of(word) else None

    def pieces_of(self, word: str) -> tuple[str, ...]:
        """The known pieces that an unknown Korean word is read as in a question.

        Empty where all are single letters: they help to tell sentences apart, but mean nothing.
        """
        pieces = tuple(cut(word, self.table.key_to_index)) if self.pieces else ()
        return pieces if HANGUL.match(word) and any(len(piece) > 1 for piece in pieces) else ()

    def plain_mean(self, text: str) -> np.ndarray:
        """The unweighted mean of the words' vectors, shape (dimensions,); NaN for none."""
        return self._mean(text, np.ones_like(self.weights))

    def weighted_mean(self, text: str) -> np.ndarray:
        """The SIF-weighted mean, the common direction still in it, shape (dimensions,)."""
        return self._mean(text, self.weights)

    def sentence(self, text: str) -> np.ndarray:
        """The SIF vector of a text, shape (dimensions,); NaN where no word is known."""
        mean = self.weighted_mean(text)
        return mean - (mean @ self.common) * self.common

    def _mean(self, text: str, weights: np.ndarray) -> np.ndarray:
        rows = [self.table.key_to_index[token] for token in self.tokens(text)]
        if not rows:
            return np.full(self.table.vector_size, np.nan, dtype=np.float32)
        return (weights[rows, None] * self.table.vectors[rows]).mean(axis=0)


@lru_cache
def unfit_words() -> Set[str]:
    """Words of the starters that would embarrass a class."""
    lines = UNFIT.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def keyed_vectors(vocabulary: Iterable[str], vectors: np.ndarray) -> Any:
    """Gensim KeyedVectors of words and their vectors, shape (words, dimensions)."""
    from gensim.models import KeyedVectors

    lookup = KeyedVectors(vectors.shape[1])
    lookup.add_vectors(list(vocabulary), vectors)
    return lookup


def cut(word: str, vocabulary: Any) -> list[str]:
    """Cut a word into the longest pieces that are in `vocabulary`, from the left; other letters are dropped."""
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            if word[start:end] in vocabulary:
                pieces.append(word[start:end])
                break
        else:
            end = start + 1
        start = end
    return pieces


# ---------------------------------------------------------------- questions


def answer(vectors: WordVectors, request: WordsRequest) -> WordAnswer:
    """Answer a question; words without a vector are named and not used.

    Raises:
        InvalidInput: too few of the words are known (invalid_no_vector).
    """
    plus, minus = unique_words(request.words), unique_words(request.minus)
    by_word = {w: vector for w in [*plus, *minus] if (vector := vectors.word(w)) is not None}
    unknown = tuple(word for word in [*plus, *minus] if word not in by_word)
    in_table = [word for word in plus if word in by_word]
    lacks_word = request.question == "analogy" and unknown  # an analogy needs all of its words
    if lacks_word or len(in_table) < FEWEST[request.question]:
        raise InvalidInput("invalid_no_vector", words=", ".join(unknown) or ", ".join(plus))
    pieces = {word: vectors.pieces_of(word) for word in by_word if word not in vectors.table}
    if request.question == "odd":
        fits = centrality(by_word)
        return WordAnswer(odd=fits[-1][0], fits=fits, unknown=unknown, pieces=pieces)
    if request.question == "map":
        return WordAnswer(points=map_points(by_word), unknown=unknown, pieces=pieces)
    # A known word goes to gensim by its name, so that it is not its own nearest word.
    keys = {word: word if word in vectors.table else vector for word, vector in by_word.items()}
    terms = {
        "positive": [(keys[word], 1.0) for word in in_table],
        "negative": [(keys[word], -1.0) for word in minus],
    }
    near = nearest_words(vectors, terms, tuple(by_word), request.count)
    return WordAnswer(nearest=near, unknown=unknown, pieces=pieces)


def unique_words(texts: Iterable[str]) -> list[str]:
    """Typed words as the vocabularies spell them, each once."""
    return list(dict.fromkeys(map(as_word, texts)))


def nearest_words(
    vectors: WordVectors, terms: Mapping[str, Any], stems: tuple[str, ...], count: int
) -> tuple[tuple[str, float], ...]:
    """The words at the smallest angle to a sum of vectors (gensim's most_similar).

    Where words are read in pieces, those that only add an ending to one of the stems are skipped; where
    a starter answers, unfit words too.

    Args:
        vectors: to search.
        terms: "positive" and "negative" -> (word or vector, weight) of the sum.
        stems: the words of the question.
        count: at most so many.
    """
    more = 5 if vectors.pieces else 2 if vectors.unfit else 1
    candidates = vectors.table.most_similar(**terms, topn=count * more)
    candidates = [(w, c) for w, c in candidates if w not in vectors.unfit]
    if vectors.pieces:
        candidates = [(w, c) for w, c in candidates if not w.startswith(stems)]
    return tuple((word, float(cosine)) for word, cosine in candidates[:count])


def centrality(by_word: Mapping[str, np.ndarray]) -> tuple[tuple[str, float], ...]:
    """Each word with its cosine to the mean of all, best first (gensim's rank_by_centrality)."""
    lookup = keyed_vectors(by_word, np.stack(list(by_word.values())))
    return tuple((word, float(c)) for c, word in lookup.rank_by_centrality(list(by_word)))


def map_points(by_word: Mapping[str, np.ndarray], like: MapPoints = ()) -> MapPoints:
    """Where words lie in the plane in which their unit vectors differ most (PCA).

    Args:
        by_word: word -> vector.
        like: an earlier map of the same words, to which this one is turned (orthogonal Procrustes),
            so that a training's maps follow each other without jumps.
    """
    from scipy.linalg import orthogonal_procrustes

    unit = np.stack([v / (np.linalg.norm(v) or 1) for v in by_word.values()]).astype(np.float64)
    left, sizes, _ = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    flat = np.zeros((len(unit), 2))
    flat[:, : min(2, len(sizes))] = (left * sizes)[:, :2]
    if len(like) == len(flat):
        turn, _ = orthogonal_procrustes(flat, np.array([[x, y] for _, x, y in like]))
        flat = flat @ turn
    return tuple((word, float(x), float(y)) for word, (x, y) in zip(by_word, flat, strict=True))


def formula(text: str) -> tuple[list[str], list[str]]:
    """The words that are added and those that are subtracted in "king - man + woman"."""
    text = re.sub("[\N{MINUS SIGN}\N{EN DASH}]", "-", text)
    terms = re.findall(r"([+-]?)\s*([^\s+-]+)", text)
    plus = [word for sign, word in terms if sign != "-"]
    return plus, [word for sign, word in terms if sign == "-"]


# ---------------------------------------------------------------- a person's own, as files that hold no code


def write_table(table: WordTable, path: Path) -> None:
    """Save vectors: float32 safetensors with the words in its metadata, or word2vec's text format.

    The path's suffix, one of SUFFIXES, decides which.
    """
    if path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        metadata = {METADATA_WORDS: json.dumps(table.words, ensure_ascii=False)}
        save_file({TENSOR: np.ascontiguousarray(table.vectors)}, path, metadata)
    else:
        keyed_vectors(table.words, table.vectors).save_word2vec_format(str(path), binary=False)


def read_table(path: Path) -> WordTable:
    """Load what `write_table` saved, or word2vec's text or binary format as others write it.

    Text may lack the header (GloVe), have a mark, tabs, or words with blanks in them; lines that are no
    vector are left out and counted.

    Raises:
        InvalidInput: not such a file (invalid_vectors_file), a pickle, which could run code
            (invalid_vectors_pickle), or too large (invalid_vectors_size).
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInput("invalid_vectors_file")
    if path.stat().st_size > MOST_BYTES:
        raise InvalidInput("invalid_vectors_size", limit=MOST_NUMBERS)
    data = path.read_bytes()
    if re.match(rb"\x80[\x02-\x05]", data):
        raise InvalidInput("invalid_vectors_pickle")
    try:
        if path.suffix.lower() == ".safetensors":
            table = _from_safetensors(path)
        else:
            table = _from_binary(data) if _is_binary(data) else _from_text(data)
    except InvalidInput:
        raise
    except Exception as error:  # whatever a library raises on a file of another kind
        raise InvalidInput("invalid_vectors_file") from error
    if not table.words or not np.isfinite(table.vectors).all():
        raise InvalidInput("invalid_vectors_file")
    return table


def _header(line: bytes) -> tuple[int, int] | None:
    """The count and the size that a first line claims."""
    match = re.fullmatch(rb"\s*(\d{1,12})\s+(\d{1,12})\s*", line)
    return (int(match[1]), int(match[2])) if match else None


def _is_binary(data: bytes) -> bool:
    """Whether a header is followed by a word and floats in bytes."""
    first, _, rest = data[:100_000].partition(b"\n")
    if _header(first) is None or not rest:
        return False
    return b"\0" in rest or bool(re.search(rb"[\x01-\x08\x0e-\x1a]", rest))


def _from_binary(data: bytes) -> WordTable:
    begin = data.index(b"\n") + 1
    header = _header(data[: begin - 1])
    assert header is not None, "see _is_binary"
    count, size = header
    _check_size(count, size)
    words = _Words()
    at = begin
    while at < len(data) and words.lines * size < MOST_NUMBERS:  # also more than the header says
        end = data.find(b" ", at, at + MOST_WORD)
        vector = data[end + 1 : end + 1 + 4 * size]
        if end < 0 or len(vector) < 4 * size:
            break
        word = data[at:end].lstrip(b"\r\n")
        if re.search(rb"[\0-\x1f]", word):  # its numbers have another size
            raise InvalidInput("invalid_vectors_file")
        words.add(word, np.frombuffer(vector, "<f4"))
        at = end + 1 + 4 * size
    return words.table(count)


def _from_text(data: bytes) -> WordTable:
    data = _as_utf8(data).removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = data.split(b"\n")  # at no other character: U+2028 and NEL are words of their own
    header = _header(lines[0])
    if header is not None:
        _check_size(*header)
        lines = lines[1:]
    lines = [line for line in lines if line.strip()]
    size = _dimensions(lines, header)
    _check_size(len(lines) or 1, size)
    words = _Words()
    for line in lines:
        parts = line.rsplit(None, size)
        try:
            if b"_" in b"".join(parts[-size:]):  # a number to Python alone
                raise ValueError
            with np.errstate(over="ignore"):
                numbers = np.array([*map(float, parts[-size:])], np.float32)
        except ValueError:
            numbers = np.empty(0, np.float32)
        word = parts[0].strip(b" ") if len(parts) > size else b""
        words.add(word, numbers if len(numbers) == size else None)
    fits = header is not None and header[1] == size
    if not fits and words.faults["no_vector"] * 2 >= len(lines):
        raise InvalidInput("invalid_vectors_file")  # text with some numbers in it
    if header is not None and not fits:
        words.faults["header_size"] = header[1]
    return words.table(header[0] if header else len(lines))


def _as_utf8(data: bytes) -> bytes:
    """Text in UTF-16, or in an East Asian encoding as a whole, as UTF-8; other text as it is."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace").encode()
    letters = [line for line in data[:MOST_SAMPLE].split(b"\n")[:-1] if not line.isascii()]
    if not letters or any(_is_whole_utf8(line) for line in letters):
        return data
    content = decode_text(b"\n".join(letters))
    if content.encoding in EAST_ASIAN and BAD not in content.text:
        return data.decode(content.encoding, errors="replace").encode()
    return data


def _is_whole_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _dimensions(lines: list[bytes], header: tuple[int, int] | None) -> int:
    """How many numbers end most lines; a header's size if that fits some of them."""
    counts = Counter(filter(None, map(_numbers_at_end, lines[:SAMPLE_LINES])))
    if header is not None and counts[header[1]]:
        return header[1]
    if not counts:
        raise InvalidInput("invalid_vectors_file")
    return max(counts, key=lambda size: (counts[size], size))


def _numbers_at_end(line: bytes) -> int:
    """How many numbers a line ends with, its first part, which is the word, not counted."""
    parts = line.split()
    if line[:1].isspace():
        parts = [b"", *parts]
    count = 0
    for part in reversed(parts[1:]):
        if not _NUMBER.fullmatch(part):
            break
        count += 1
    return count


class _Words:
    """Words and their vectors as they are read from a file, and what was wrong with it."""

    def __init__(self) -> None:
        self.by_word: dict[str, np.ndarray] = {}
        self.faults: Counter[str] = Counter()
        self.lines = 0

    def add(self, word: bytes, vector: np.ndarray | None) -> None:
        """Add a word; of two equal words the first stays."""
        self.lines += 1
        if vector is None or not word:
            self.faults["no_vector"] += 1
        elif not np.isfinite(vector).all():
            self.faults["not_finite"] += 1
        elif (text := self._text(word)) in self.by_word:
            self.faults["duplicate"] += 1
        else:
            self.by_word[text] = vector

    def _text(self, word: bytes) -> str:
        try:
            return word.decode("utf-8")
        except UnicodeDecodeError as error:
            self.faults["not_utf8"] += 1
            if error.end == len(word) and not word[: error.start].isascii():  # a letter was cut
                return word.decode("utf-8", errors="replace")
            text = word.decode("latin-1")
            return word.decode("utf-8", errors="replace") if _CONTROL.search(text) else text

    def table(self, count: int) -> WordTable:
        """The words, most frequent first, as files have them.

        Args:
            count: how many the file claims to have.
        """
        if not self.by_word:
            raise InvalidInput("invalid_vectors_file")
        faults = {code: number for code, number in self.faults.items() if number}
        if count != self.lines:
            faults["header"] = count
        vectors = np.stack([*self.by_word.values()]).astype(np.float32)
        return WordTable(tuple(self.by_word), vectors, tuple(sorted(faults.items())))


def _from_safetensors(path: Path) -> WordTable:
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        vocabulary = tuple(map(str, json.loads(file.metadata()[METADATA_WORDS])))
        _check_size(*file.get_slice(TENSOR).get_shape())
        vectors = file.get_tensor(TENSOR).astype(np.float32)
    if not len(vectors) == len(vocabulary) == len(set(vocabulary)):
        raise ValueError("words and vectors differ in number")
    return WordTable(vocabulary, vectors)


def _check_size(count: int, size: int) -> None:
    if count < 1 or size < 1 or count * size > MOST_NUMBERS:
        raise InvalidInput("invalid_vectors_size", limit=MOST_NUMBERS)
