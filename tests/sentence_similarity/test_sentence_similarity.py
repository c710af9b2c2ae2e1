"""Sentence similarity: known values of the encoders and of Word2Vec."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.spatial.distance
import torch

from models.contract import Finished, ModelSpec, Request, Stop
from models.errors import Damaged, ModelError
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find, select
from models.sentence_similarity.events import Similarities
from models.sentence_similarity.requests import SimilarityRequest
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, recipe
from models.weights import sources
from models.word_vectors.requests import Word2VecRequest
from tests import tiny

SENTENCES = ("The cat was bad.", "A dog.", "the king rules the land and the queen was not boring")
CORPUS = """\
The king rules the land.
The queen rules the land!
A dog chases a cat.
A cat sleeps all day, and the dog doesn't."""


@pytest.fixture(scope="module")
def starters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genlab") / "models" / "starter"
    tiny.sentence_encoder(folder / "encoder")
    tiny.bert_base(folder / "bert")
    return folder


@pytest.fixture(scope="module")
def shared_cache():
    with_models = ModelCache(Settings(device="cpu", idle_minutes=0))
    yield with_models
    with_models.close()


@pytest.fixture
def cache(shared_cache, starters, monkeypatch):
    monkeypatch.setattr(sources, "STARTERS", starters)
    return shared_cache


def spec_of(name: str) -> ModelSpec:
    kind = {"encoder": "SentenceTransformerSimilarity", "bert": "BertSimilarity"}[name]
    return ModelSpec(
        id=f"tests/{name}",
        task="sentence-similarity",
        engine=f"models.sentence_similarity.transformers_engine:{kind}",
        source=f"starter:{name}",
        label=name,
        cpu_threads=1,
    )


WORD2VEC = find(SENTENCE_SIMILARITY, "word2vec")
MINILM = find(SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2")
INT8 = find(SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2:int8")


def compare(cache: ModelCache, spec: ModelSpec, *sentences: str) -> Similarities:
    request = SimilarityRequest.of(sentences=sentences)
    return next(e for e in run(cache, spec, request) if isinstance(e, Similarities))


def engine_vectors(cache: ModelCache, name: str, sentences: list[str]) -> np.ndarray:
    with cache.lease(spec_of(name), Stop(), lambda event: None) as lease:
        return lease.engine.vectors(sentences)


# ---------------------------------------------------------------- encoders


@pytest.mark.parametrize("name", ["encoder", "bert"])
def test_cosines_are_scipys_of_the_vectors(cache, name):
    vectors = engine_vectors(cache, name, list(SENTENCES))
    expected = 1 - scipy.spatial.distance.cdist(vectors, vectors, "cosine")
    cosines = np.array(compare(cache, spec_of(name), *SENTENCES).cosines)
    assert cosines == pytest.approx(expected, abs=1e-5)
    assert np.abs(cosines - cosines.T).max() < 1e-12
    assert cosines[0, 1] < 0.999, "different sentences differ"


def test_bert_pools_the_mean_of_the_tokens_that_are_there(cache, starters):
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(starters / "bert").eval()
    tokenizer = AutoTokenizer.from_pretrained(starters / "bert")
    for sentence, vector in zip(
        SENTENCES, engine_vectors(cache, "bert", list(SENTENCES)), strict=True
    ):
        ids = torch.tensor([tokenizer(sentence)["input_ids"]])  # alone: nothing is padded
        with torch.inference_mode():
            states = model(ids).last_hidden_state[0]
        by_hand = sum(states) / len(states)
        assert np.allclose(vector, by_hand.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["encoder", "bert"])
def test_a_sentence_has_the_same_vector_in_a_padded_batch_and_alone(cache, name):
    batch = engine_vectors(cache, name, list(SENTENCES))
    for sentence, vector in zip(SENTENCES, batch, strict=True):
        assert np.allclose(engine_vectors(cache, name, [sentence])[0], vector, atol=1e-5)


@pytest.mark.parametrize("name", ["encoder", "bert"])
def test_sentences_past_the_limit_are_named(cache, name):
    long = "the cat was not a dog and " * 20
    result = compare(cache, spec_of(name), "a cat", long, long + "the king rules", "a dog")
    assert result.truncated == (1, 2)
    assert result.cosines[1][2] == pytest.approx(1), "what is past the limit changes nothing"


def test_many_sentences_come_in_order(cache):
    sentences = [f"the cat {n}" for n in range(20)]
    result = compare(cache, spec_of("encoder"), *sentences)
    alone = compare(cache, spec_of("encoder"), sentences[3], sentences[17])
    assert result.cosines[3][17] == pytest.approx(alone.cosines[0][1], abs=1e-5)


def test_minilm_tells_a_paraphrase_from_another_matter(cache):
    result = compare(
        cache, MINILM, "A man is playing a guitar.", "Someone plays guitar.", "It rains in Seoul."
    )
    assert result.cosines[0][1] > result.cosines[0][2] + 0.2


@pytest.mark.parametrize("text", ["🙂", "안녕하세요", "!?", "a\0b", "x" * 2000])
def test_any_sentence_has_a_number(cache, text):
    assert not math.isnan(compare(cache, MINILM, text, "Hello there.").cosines[0][1])


def test_auto_is_the_encoder_that_comes_with_the_install():
    spec = select(SENTENCE_SIMILARITY, "auto", Settings(device="cpu"), "안녕하세요")
    assert spec.starter


# ---------------------------------------------------------------- recipes


def test_int8_is_near_the_whole_encoder_in_less_memory(cache):
    request = SimilarityRequest.of(sentences=SENTENCES)
    (*_, whole, _), (*_, eight, _) = (run(cache, spec, request) for spec in (MINILM, INT8))
    away = np.abs(np.array(whole.cosines) - np.array(eight.cosines))
    assert 0 < away.max() < 0.1
    size = {model.id: model.nbytes for model in cache.status()}
    assert size[INT8.id] < 0.7 * size[MINILM.id]


def test_recipes_give_the_same_numbers_in_another_process(cache, starters):
    pairs: list[tuple[ModelSpec, Request]] = [
        (spec, SimilarityRequest.of(sentences=SENTENCES))
        for spec in (spec_of("encoder"), spec_of("bert"), MINILM, INT8)
    ]
    pairs.append((WORD2VEC, Word2VecRequest.of(**_EVERYTHING)))
    scripts, results = [], []
    for spec, request in pairs:
        *_, result, end = run(cache, spec, request)
        assert isinstance(end, Finished)
        scripts.append(recipe(spec, request, end.placement))
        results.append(result)
    output = run_scripts(scripts, starters.parents[1])
    for result, text in zip(results[:4], output, strict=False):
        matrix = np.array(eval(text, {"tensor": lambda rows: rows}))
        assert matrix == pytest.approx(np.array(result.cosines), abs=2e-4)
    assert _numbers(output[4], "words") == pytest.approx([results[4].pair], abs=1e-4)
    expected = results[4].similarities.cosines[0][1]
    assert _numbers(output[4], "sentences") == pytest.approx([expected], abs=1e-4)


_EVERYTHING = {
    "corpus": CORPUS + '\n"""quoted""" \\ {braces}\n',
    "sentences": ("The king's land", "A cat sleeps"),
    "word_a": "King",
    "word_b": "queen",
    "epochs": 30,
    "seed": 5,
}


def run_scripts(scripts: list[str], folder: os.PathLike[str]) -> list[str]:
    """What each script prints, all in one fresh process that hashes strings in its own way."""
    one = "import sys\nfor s in sys.argv[1:]:\n    exec(s, {})\n    print('\\n=====')"
    ran = subprocess.run(
        [sys.executable, "-c", one, *scripts],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.split("\n=====\n")


def _numbers(text: str, label: str) -> list[float]:
    return [float(row.split()[1]) for row in text.splitlines() if row.startswith(label)]


def test_a_missing_encoder_is_one_clear_error(cache):
    nowhere = ModelSpec(
        id="tests/nowhere",
        task="sentence-similarity",
        engine="models.sentence_similarity.transformers_engine:SentenceTransformerSimilarity",
        source="starter:nowhere",
        label="nowhere",
    )
    with pytest.raises(ModelError) as error:
        compare(cache, nowhere, "a", "b")
    assert isinstance(error.value, Damaged)
