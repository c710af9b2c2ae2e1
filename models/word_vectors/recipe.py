"""The Python behind an answer of word vectors, or a training (plain gensim, numpy), and the same over HTTP."""

from models.contract import ModelSpec, Placement, Request
from models.sentence_similarity.recipe import FIELDS, list_assignment
from models.sentence_similarity.requests import SimilarityRequest
from models.serving import App, HttpCall, Say
from models.text.language import LONGEST_LINE, WORD, as_word, text_lines, training_sentences
from models.word_vectors.catalog import plain_mean
from models.word_vectors.requests import Word2VecRequest, WordsRequest
from models.word_vectors.vectors import unique_words

LONGEST_LITERAL = 5_000  # characters of training text that are written into the script

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
near = vectors.most_similar({positive}, {negative}, topn={more})
{skip}print(near[:{count}])
"""
_SKIP_UNFIT = """\
# Words that would embarrass a class are passed over.
unfit = Path("models/word_vectors/unfit_words.txt").read_text(encoding="utf-8").splitlines()
near = [(word, cosine) for word, cosine in near if word not in unfit]
"""
_SKIP_ENDINGS = """\
# So are words that only add an ending to one of these.
near = [pair for pair in near if not pair[0].startswith(tuple([*plus, *minus]))]
"""

_ODD = """
words = {words!r}
group = KeyedVectors(vectors.vector_size)
group.add_vectors(words, np.stack([{vector} for word in words]))
print(group.rank_by_centrality(words))  # the last fits least
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
    parts = [piece for word in words for piece in {pieces}]
{mean}


rows = np.stack([sentence(text) for text in sentences])
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
print(rows @ rows.T)
"""

_SIF = """\
    mean = np.mean([weights[piece] * vectors[piece] for piece in parts], axis=0)
    return mean - (mean @ tensors["common"]) * tensors["common"].astype(np.float32)"""
_PLAIN = "    return np.mean([vectors[piece] for piece in parts], axis=0)"


_WORD2VEC = """\
import re
import unicodedata

from gensim.models import Word2Vec
from scipy.spatial.distance import cosine


def words(text):
    return re.findall({word!r}, unicodedata.normalize("NFC", text).lower())


{corpus}
training = [words(line) for line in corpus if words(line)]
{cut}model = Word2Vec(
    training,
    vector_size={vector_size},
    window={window},
    min_count={min_count},
    sg={sg},
    negative={negative},
    epochs={epochs},
    seed={seed},
    workers=1,  # with several the order of the updates, and so the result, is chance
)

word_a, word_b = {word_a!r}, {word_b!r}
for word in (word_a, word_b):
    if word in model.wv:
        print(word, model.wv.most_similar(word))
if word_a in model.wv and word_b in model.wv:
    print("words", 1 - cosine(model.wv[word_a], model.wv[word_b]))
"""

_MEANS = """
{sentences}
for i, a in enumerate(sentences):
    for b in sentences[i + 1 :]:
        both = [[word for word in words(s) if word in model.wv] for s in (a, b)]
        if all(both):
            print("sentences", model.wv.n_similarity(*both))
"""

_CUT = "training = [s[i : i + {n}] for s in training for i in range(0, len(s), {n})]\n"


def python(spec: ModelSpec, request: Request, placement: Placement) -> str:
    """A script that prints what the page shows."""
    if isinstance(request, Word2VecRequest):
        return _training(request)
    pieces, _, _ = _ways(spec, request)
    own = isinstance(request, WordsRequest) and request.table is not None
    head = _OWN if own else _STARTER.format(name=spec.name)
    head += _PIECES if pieces else ""
    if isinstance(request, SimilarityRequest):
        body = _SENTENCES.format(
            sentences=list(request.sentences),
            word=WORD,
            pieces="cut(word)" if pieces else "([word] if word in vectors else [])",
            mean=_PLAIN if plain_mean(spec) else _SIF,
        )
        return "import re\nimport unicodedata\n" + head + body
    assert isinstance(request, WordsRequest), "word vectors answer questions or compare sentences"
    return head + _question(spec, request)


def _ways(spec: ModelSpec, request: Request) -> tuple[bool, int, str]:
    """(whether unknown words are read in pieces, how many more are looked at, lines that pass some over)."""
    pieces = "ko" in spec.languages and spec.source.startswith("starter:")
    if isinstance(request, WordsRequest) and request.table is not None:
        return pieces, 1, ""
    return pieces, 5 if pieces else 2, _SKIP_UNFIT + (_SKIP_ENDINGS if pieces else "")


def _question(spec: ModelSpec, request: WordsRequest) -> str:
    pieces, more, skip = _ways(spec, request)
    vector = "vector(word)" if pieces else "vectors[word]"
    plus, minus = unique_words(request.words), unique_words(request.minus)
    if request.question == "odd":
        return _ODD.format(words=plus, vector=vector)
    if request.question == "map":
        return _MAP.format(words=plus, vector=vector)
    key = "[word if word in vectors else vector(word) for word in {}]"
    return _NEAREST.format(
        plus=plus,
        minus=minus,
        positive=key.format("plus") if pieces else "plus",
        negative=key.format("minus") if pieces else "minus",
        more=request.count * more,
        skip=skip,
        count=request.count,
    )


def _training(request: Word2VecRequest) -> str:
    lines = text_lines(request.corpus)
    corpus = list_assignment("corpus", [line for line in lines if line.strip()])
    if len(request.corpus) > LONGEST_LITERAL:
        corpus = 'corpus = open("corpus.txt", encoding="utf-8").read().split("\\n")'
        corpus += "  # save your training text there"
    longest = max(map(len, training_sentences(request.corpus)), default=0)
    script = _WORD2VEC.format(
        word=WORD,
        corpus=corpus,
        cut=_CUT.format(n=LONGEST_LINE) if longest >= LONGEST_LINE else "",
        word_a=as_word(request.word_a),
        word_b=as_word(request.word_b),
        **request.model_dump(exclude={"corpus", "sentences", "word_a", "word_b", "words"}),
    )
    if len(request.sentences) > 1:
        script += _MEANS.format(sentences=list_assignment("sentences", request.sentences))
    return script


# ---------------------------------------------------------------- over HTTP

_PACKAGES = "gensim numpy safetensors"

_CLIENT = """\
import numpy as np

{sentences}
answer = client.embeddings.create(model={model!r}, input=sentences)
vectors = np.array([one.embedding for one in answer.data])
print(vectors @ vectors.T)  # vectors of length 1: their products are the cosines"""

_APP_NEAREST = """\
plus, minus = request.plus, request.minus
{check}near = vectors.most_similar(
    {positive},
    {negative},
    topn=request.count * {more},
)
{skip}return {{"near": near[: request.count]}}"""

_APP_ODD = """\
words = request.words
{check}group = KeyedVectors(vectors.vector_size)
group.add_vectors(words, np.stack([{vector} for word in words]))
fit = [(word, float(score)) for score, word in group.rank_by_centrality(words)]
return {{"fit": fit, "odd": fit[-1][0]}}"""

_APP_CHECK = """\
unknown = [word for word in {words} if not ({test})]
if unknown:
    raise HTTPException(404, f"no vector of: {{', '.join(unknown)}}")
"""

_APP_COSINES = """\
rows = np.stack([sentence(text) for text in request.sentences])
if np.isnan(rows).any():
    raise HTTPException(422, "a sentence without a word that has a vector")
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
return {"cosines": (rows @ rows.T).tolist()}"""


def call(spec: ModelSpec, request: Request, placement: Placement, say: Say) -> HttpCall | None:
    """The answer as a request over HTTP, and the vectors behind a server of one's own.

    None for a training and for a map: those are no questions to a server.
    """
    if isinstance(request, SimilarityRequest):
        body = {"sentences": list(request.sentences)}
        sentences = list_assignment("sentences", request.sentences)
        client = _CLIENT.format(sentences=sentences, model=spec.id)
        app = _similarity_app(spec, request, placement)
        return HttpCall("/api/v1/similarity", {"model": spec.id, **body}, client=client, app=app)
    if not isinstance(request, WordsRequest) or request.question == "map":
        return None
    return HttpCall(app=_words_app(spec, request, placement))


def _words_app(spec: ModelSpec, request: WordsRequest, placement: Placement) -> App:
    pieces, more, skip = _ways(spec, request)
    odd = request.question == "odd"
    plus, minus = unique_words(request.words), unique_words(request.minus)
    load = python(spec, request, placement)
    load = load[: load.rindex("\nwords = " if odd else "\nplus, minus = ")]
    check = _APP_CHECK.format(
        words="words" if odd else "[*plus, *minus]",
        test="word in vectors or cut(word)" if pieces else "word in vectors",
    )
    key = "[word if word in vectors else vector(word) for word in {}]" if pieces else "{}"
    template = _APP_ODD if odd else _APP_NEAREST
    return App(
        name="odd" if odd else "nearest",
        load=f"from fastapi import HTTPException\n{load}",
        fields=["words: list[str]"]
        if odd
        else ["plus: list[str]", "minus: list[str] = []", f"count: int = {request.count}"],
        work=template.format(
            check=check,
            positive=key.format("plus"),
            negative=key.format("minus"),
            vector="vector(word)" if pieces else "vectors[word]",
            more=more,
            skip=skip,
        ),
        body={"words": plus} if odd else {"plus": plus, "minus": minus},
        packages=_PACKAGES,
    )


def _similarity_app(spec: ModelSpec, request: SimilarityRequest, placement: Placement) -> App:
    load = python(spec, request, placement)
    load = load.replace(f"\nsentences = {list(request.sentences)!r}\n", "")
    return App(
        name="similarity",
        load=f"from fastapi import HTTPException\n{load[: load.rindex('rows = np.stack')]}",
        fields=FIELDS["similarity"],
        work=_APP_COSINES,
        body={"sentences": list(request.sentences)},
        packages=_PACKAGES,
    )
