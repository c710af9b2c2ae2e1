"""The Python behind an answer of word vectors: plain gensim and numpy code."""

from models.contract import ModelSpec
from models.sentence_similarity.requests import SimilarityRequest
from models.text.segmentation import WORD
from models.word_vectors.questions import spelt
from models.word_vectors.requests import WordsRequest

_STARTER = """\
from pathlib import Path

import numpy as np
from gensim.models import KeyedVectors
from safetensors.numpy import load_file

folder = Path("models/starter/{name}")  # run this in GenLab's folder
tensors = load_file(folder / "vectors.safetensors")
vocabulary = (folder / "vocabulary.txt").read_text(encoding="utf-8").splitlines()
vectors = KeyedVectors(tensors["vectors"].shape[1])
vectors.add_vectors(vocabulary, tensors["vectors"].astype(np.float32))
weights = dict(zip(vocabulary, tensors["weights"].astype(np.float32)))
"""

_OWN = """\
import numpy as np
from gensim.models import KeyedVectors

vectors = KeyedVectors.load_word2vec_format("vectors.txt")  # save your vectors there
"""

_PIECES = '''

def cut(word):
    """The longest known pieces of a word, from the left."""
    pieces, start = [], 0
    while start < len(word):
        ends = [end for end in range(len(word), start, -1) if word[start:end] in vectors]
        pieces += [word[start : ends[0]]] if ends else []
        start = ends[0] if ends else start + 1
    return pieces


def vector(word):
    if word in vectors:
        return vectors[word]
    return np.mean([weights[piece] * vectors[piece] for piece in cut(word)], axis=0)

'''

_NEAREST = """
plus, minus = {plus!r}, {minus!r}
print(vectors.most_similar({positive}, {negative}, topn={count}))
"""

_ODD = """
words = {words!r}
asked = KeyedVectors(vectors.vector_size)
asked.add_vectors(words, np.stack([{vector} for word in words]))
print(asked.rank_by_centrality(words))  # the last fits least
"""

_MAP = """
words = {words!r}
points = np.stack([{vector} for word in words]).astype(np.float64)
points /= np.linalg.norm(points, axis=1, keepdims=True)
points -= points.mean(axis=0)
left, sizes, _ = np.linalg.svd(points, full_matrices=False)
for word, place in zip(words, (left * sizes)[:, :2]):  # the plane in which they differ most
    print(word, place)
"""

_SENTENCES = """
sentences = {sentences!r}


def sentence(text):
    words = re.findall({word!r}, unicodedata.normalize("NFC", text).lower())
    known = [piece for word in words for piece in {pieces}]
{mean}


made = np.stack([sentence(text) for text in sentences])
made /= np.linalg.norm(made, axis=1, keepdims=True)
print(made @ made.T)
"""

_SIF = """\
    mean = np.mean([weights[piece] * vectors[piece] for piece in known], axis=0)
    return mean - (mean @ tensors["common"]) * tensors["common"].astype(np.float32)"""
_PLAIN = "    return np.mean([vectors[piece] for piece in known], axis=0)"


def python(spec: ModelSpec, request: WordsRequest | SimilarityRequest) -> str:
    """A script that prints what the page showed."""
    pieces = "ko" in spec.languages and spec.source.startswith("starter:")
    own = isinstance(request, WordsRequest) and request.table is not None
    head = _OWN if own else _STARTER.format(name=spec.name)
    head += _PIECES if pieces else ""
    if isinstance(request, SimilarityRequest):
        known = "cut(word)" if pieces else "[word] if word in vectors else []"
        body = _SENTENCES.format(
            sentences=list(request.sentences),
            word=WORD,
            pieces=known,
            mean=_PLAIN if spec.defaults.get("pooling") == "mean" else _SIF,
        )
        return "import re\nimport unicodedata\n" + head + body
    vector = "vector(word)" if pieces else "vectors[word]"
    plus, minus = spelt(request.words), spelt(request.minus)
    if request.question == "odd":
        return head + _ODD.format(words=plus, vector=vector)
    if request.question == "map":
        return head + _MAP.format(words=plus, vector=vector)
    key = "[word if word in vectors else vector(word) for word in {}]"
    return head + _NEAREST.format(
        plus=plus,
        minus=minus,
        positive=key.format("plus") if pieces else "plus",
        negative=key.format("minus") if pieces else "minus",
        count=request.count,
    )
