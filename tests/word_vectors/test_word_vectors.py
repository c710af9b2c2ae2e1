"""The word-vector training on a made-up text, SIF, pieces of unknown words."""

from pathlib import Path

import numpy as np
import pytest

from models.word_vectors.vectors import WordVectors, cut
from training.word_vectors import corpus, evaluation, training

SIZES = training.Sizes(training_dimensions=16, dimensions=12, words=30, epochs=15, pieces=False)


def small_text() -> list[list[str]]:
    """Cats drink and purr, cars drive and park; "the" is everywhere."""
    cats = [
        ["the", c, v, "the", o]
        for c in ("cat", "kitten")
        for v in ("drinks", "likes")
        for o in ("milk", "cream")
    ]
    cars = [
        ["the", c, v, "the", o]
        for c in ("car", "truck")
        for v in ("leaves", "crosses")
        for o in ("road", "bridge")
    ]
    return (cats + cars) * 60


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> WordVectors:
    folder = tmp_path_factory.mktemp("vectors")
    sentences = small_text()
    model = training.skip_gram(sentences, SIZES.training_dimensions, SIZES.epochs)
    training.save(training.cut_down(model, sentences, SIZES), folder)
    return WordVectors.load(folder)


def test_training_puts_words_of_like_company_together(small: WordVectors) -> None:
    assert small.table.similarity("cat", "kitten") > small.table.similarity("cat", "truck")
    assert small.table.index_to_key[0] == "the"


def test_the_same_command_gives_the_same_vectors(small: WordVectors) -> None:
    sentences = small_text()
    model = training.skip_gram(sentences, SIZES.training_dimensions, SIZES.epochs)
    again = training.cut_down(model, sentences, SIZES)
    np.testing.assert_array_equal(again["vectors"], small.table.vectors.astype(np.float16))
    assert again["vectors"].shape[1] == SIZES.dimensions


def test_fewer_dimensions_keep_the_angles_of_what_lies_in_them() -> None:
    flat = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    vectors = np.hstack([flat, np.zeros((50, 5), np.float32)])[:, ::-1]
    narrow = training.narrow_vectors(vectors, 3)
    np.testing.assert_allclose(narrow @ narrow.T, vectors @ vectors.T, atol=1e-5)


def test_sif_weights_of_known_counts() -> None:
    weights = training.sif_weights(np.array([999.0, 1.0]), a=1e-3)
    assert weights == pytest.approx([1e-3 / 1.0, 0.5], rel=1e-3)


def test_common_direction_is_the_one_that_all_share() -> None:
    rng = np.random.default_rng(0)
    strings = np.array([0.6, 0.8, 0.0])
    common = training.common_direction(
        rng.normal(5, 1, (200, 1)) * strings + rng.normal(0, 0.1, (200, 3))
    )
    assert abs(common @ strings) == pytest.approx(1, abs=1e-3)


def test_a_sentence_vector_has_no_common_direction_left(small: WordVectors) -> None:
    assert small.sentence("the cat likes cream") @ small.common == pytest.approx(0, abs=1e-4)


def test_unknown_words_are_named_and_a_text_of_them_has_no_vector(small: WordVectors) -> None:
    assert small.unknown("The zebra likes the zebra") == ["zebra"]
    assert np.isnan(small.sentence("zebra 🙂")).all()
    assert np.isnan(small.sentence("")).all()


def test_korean_words_are_cut_into_the_longest_known_pieces() -> None:
    assert cut("영화가", {"영화", "영", "가"}) == ["영화", "가"]
    assert cut("새영화를", {"영화", "를"}) == ["영화", "를"]
    values = corpus.korean_vocabulary(["영화가 재미있다", "영화를 보았다", "영화는 길다"] * 20, 40)
    assert {"영", "화"} <= set("".join(cut("영화를", values)))


def test_files_that_do_not_belong_together_are_refused(small: WordVectors, tmp_path: Path) -> None:
    tensors = {"vectors": small.table.vectors, "weights": small.weights, "common": small.common}
    training.save({**tensors, "vocabulary": ["the", "cat"], "pieces": np.zeros(1)}, tmp_path)
    with pytest.raises(ValueError, match="differ in length"):
        WordVectors.load(tmp_path)


def test_spearman_of_a_perfect_order(small: WordVectors) -> None:
    a, b, c = "cat kitten", "cat milk", "cat truck road"
    cosine = {
        t: float(
            np.dot(small.plain_mean("cat"), small.plain_mean(t))
            / np.linalg.norm(small.plain_mean(t))
        )
        for t in (a, b, c)
    }
    pairs = [("cat", text, score) for text, score in cosine.items()]
    assert evaluation.spearman(small.plain_mean, pairs) == pytest.approx(100)
