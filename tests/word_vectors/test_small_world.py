"""The texts that ship for the Word2Vec examples: they are what the script writes, and they teach."""

import pytest

from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import Settings
from models.tasks import WORD_VECTORS
from models.text.language import language_of
from models.word_vectors.events import Word2VecDone, Word2VecStep
from models.word_vectors.requests import Word2VecRequest
from training.word_vectors import small_world

LIKE = {  # a word -> those of its kind
    "en": {
        "king": {"queen", "prince", "princess"},
        "cat": {"dog", "horse", "cow", "rabbit", "sheep"},
    },
    "ko": {"왕": {"여왕", "왕자", "공주"}, "고양이": {"강아지", "토끼", "송아지", "오리"}},
}


@pytest.fixture(scope="module")
def cache():
    with_models = ModelCache(Settings(device="cpu", idle_minutes=0))
    yield with_models
    with_models.close()


@pytest.mark.parametrize(
    ("language", "patterns", "words"),
    [
        ("en", small_world.ENGLISH, small_world.ENGLISH_WORDS),
        ("ko", small_world.KOREAN, small_world.KOREAN_WORDS),
    ],
)
def test_the_text_is_what_the_script_writes(language, patterns, words):
    path = small_world.FOLDER / f"small_world_{language}.txt"
    text = path.read_text(encoding="utf-8")
    assert text == small_world.corpus(patterns, words)
    assert language_of(text) == language
    assert 20_000 < path.stat().st_size < 50_000


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("seed", [1, 2])
def test_it_teaches_which_words_are_alike_whatever_the_seed(cache, language, seed):
    first, second = LIKE[language]
    request = Word2VecRequest.of(
        corpus=(small_world.FOLDER / f"small_world_{language}.txt").read_text(encoding="utf-8"),
        word_a=first,
        word_b=second,
        vector_size=24,
        sg=1,
        epochs=30,
        seed=seed,
    )
    events = [*run(cache, find(WORD_VECTORS, "word2vec"), request)]
    end = next(e for e in events if isinstance(e, Word2VecDone))
    losses = [e.losses for e in events if isinstance(e, Word2VecStep)][-1]
    assert len(losses) == 30
    assert losses[-1] < losses[0] / 2, "a mean that falls"
    for word, kind in LIKE[language].items():
        assert len(kind & {w for w, _ in end.neighbours[word][:5]}) >= 3
        assert len(kind & {w for w, _ in end.before[word][:5]}) <= 1
