"""Teach it: the head against scikit-learn, fine-tuning, files without code, bad input."""

import re
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load, save
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from models.contract import Finished, Stop, Working
from models.errors import InvalidInput
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import select_teachable
from models.settings import ROOT, Settings
from models.tasks import recipe
from models.teach.catalog import ENGLISH, KOREAN
from models.teach.classifier_file import encoder_of, read_classifier
from models.teach.events import Classification, FineTuningResult, HeadResult, TrainingStep
from models.teach.requests import STRENGTH, ClassifyRequest, FineTuneRequest, TeachRequest

ENGLISH_EXAMPLES = [
    ("My parcel never arrived.", "complaint"),
    ("The box was broken when it came.", "complaint"),
    ("You charged me twice.", "complaint"),
    ("Nobody answers my calls.", "complaint"),
    ("I love the new bag.", "praise"),
    ("Great service and friendly people.", "praise"),
    ("It fits perfectly, I am very happy.", "praise"),
    ("Wonderful quality for the price.", "praise"),
]
QUESTIONS = [
    ("Do you ship to Korea?", "question"),
    ("How do I return an item?", "question"),
    ("Is there a student discount?", "question"),
    ("Can I pay by card?", "question"),
]


@pytest.fixture(scope="module")
def cache():
    return ModelCache(Settings.read({}))


def examples(pairs):
    return [{"text": text, "label": label} for text, label in pairs]


def ask(cache, request, spec=ENGLISH):
    return [e for e in run(cache, spec, request) if not isinstance(e, Working)]


def only(events, kind):
    return next(event for event in events if isinstance(event, kind))


def head_result(cache, pairs, spec=ENGLISH, **more):
    return only(ask(cache, TeachRequest.of(examples=examples(pairs), **more), spec), HeadResult)


def engine(cache, spec=ENGLISH):
    with cache.lease(spec, Stop(), lambda _: None) as lease:
        return lease.engine


@pytest.mark.parametrize("pairs", [ENGLISH_EXAMPLES, ENGLISH_EXAMPLES + QUESTIONS])
def test_the_head_is_scikit_learns_on_the_encoders_vectors(cache, pairs):
    result = head_result(cache, pairs)
    texts, labels = zip(*pairs, strict=True)
    vectors = engine(cache).vectors(texts, Stop())
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    judge = LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced")
    parts = StratifiedKFold(4, shuffle=True, random_state=0)
    assert result.folds == 4
    assert result.accuracy == pytest.approx(
        cross_val_score(judge, vectors, labels, cv=parts).mean()
    )
    assert sum(map(sum, result.confusion)) == len(pairs)
    classes = only(
        ask(cache, ClassifyRequest.of(classifier=result.classifier, texts=texts)), Classification
    )
    expected = judge.fit(vectors, labels).predict_proba(vectors)
    assert classes.labels == tuple(judge.classes_)
    assert np.allclose(classes.probabilities, expected, atol=1e-4)


def test_a_handful_of_sentences_is_enough_for_what_the_encoder_sees(cache):
    result = head_result(cache, ENGLISH_EXAMPLES)
    assert result.accuracy >= 0.75
    assert result.notes == ("teach_few",)
    new = ["The zip broke on the first day.", "Lovely colours, thank you so much!"]
    classes = only(
        ask(cache, ClassifyRequest.of(classifier=result.classifier, texts=new)), Classification
    )
    assert [classes.labels[np.argmax(row)] for row in classes.probabilities] == [
        "complaint",
        "praise",
    ]


def test_korean_sentences_go_to_a_korean_encoder(cache):
    pairs = [
        ("정말 재미있게 봤어요.", "좋음"),
        ("최고의 영화예요.", "좋음"),
        ("감동적이었어요.", "좋음"),
        ("너무 지루했어요.", "나쁨"),
        ("돈이 아까워요.", "나쁨"),
        ("최악이에요.", "나쁨"),
    ]
    spec = select_teachable("auto", [text for text, _ in pairs])
    assert spec is not ENGLISH
    result = head_result(cache, pairs, KOREAN)
    assert result.accuracy > result.chance
    assert encoder_of(result.classifier) is KOREAN


def test_one_sentence_of_a_class_cannot_be_left_out(cache):
    result = head_result(cache, [*ENGLISH_EXAMPLES, ("Do you ship to Korea?", "question")])
    assert (result.accuracy, result.folds, result.confusion) == (None, 0, ())


def test_fine_tuning_learns_and_leaves_the_encoder_as_it_was(cache):
    pairs = ENGLISH_EXAMPLES + QUESTIONS
    before = engine(cache).vectors(["A sentence."], Stop())
    request = FineTuneRequest.of(examples=examples(pairs), epochs=4)
    events = ask(cache, request)
    steps = [event for event in events if isinstance(event, TrainingStep)]
    result = only(events, FineTuningResult)
    assert steps[-1].step == steps[-1].total == len(steps) == 4 * 2
    assert steps[-1].loss < steps[0].loss
    assert np.array_equal(before, engine(cache).vectors(["A sentence."], Stop()))
    assert len(result.held_out) + result.trained_on == len(pairs)
    assert {label for _, label, _, _ in result.held_out} == {"complaint", "praise", "question"}
    right = np.mean([label == after for _, label, _, after in result.held_out])
    assert result.tuned_accuracy == right
    # The file gives back what the training ended with.
    texts = [text for text, *_ in result.held_out]
    classes = only(
        ask(cache, ClassifyRequest.of(classifier=result.classifier, texts=texts)), Classification
    )
    assert [classes.labels[np.argmax(row)] for row in classes.probabilities] == [
        after for *_, after in result.held_out
    ]
    again = only(ask(cache, request), FineTuningResult)
    assert load(again.classifier)["head.weight"].allclose(
        load(result.classifier)["head.weight"], atol=1e-3
    )


def test_stop_ends_a_training_within_a_step(cache):
    request = FineTuneRequest.of(examples=examples(ENGLISH_EXAMPLES), epochs=50)
    events = run(cache, ENGLISH, request)
    next(event for event in events if isinstance(event, TrainingStep))
    events.close()
    # The model is free again: another job runs to its end.
    assert only(ask(cache, TeachRequest.of(examples=examples(ENGLISH_EXAMPLES))), HeadResult)


def test_a_file_holds_numbers_and_names_only(cache):
    content = head_result(cache, ENGLISH_EXAMPLES).classifier
    assert set(load(content)) == {"head.weight", "head.bias"}
    assert not any(text.encode() in content for text, _ in ENGLISH_EXAMPLES)
    again = load(read_classifier(content).to_bytes())
    assert all(again[name].equal(tensor) for name, tensor in load(content).items())


def test_foreign_and_damaged_files_are_refused(cache):
    good = head_result(cache, ENGLISH_EXAMPLES).classifier
    tensors = load(good)
    foreign = save({"weight": tensors["head.weight"]})
    wrong_shape = good.replace(b'"shape":[2,384]', b'"shape":[384,2]')
    for content in (b"", b"hello", good[:200], foreign, b"\xff" * 100, wrong_shape):
        with pytest.raises(InvalidInput) as problem:
            ask(cache, ClassifyRequest.of(classifier=content, texts=["a"]))
        assert problem.value.code == "teach_file", content[:20]
    with pytest.raises(InvalidInput) as problem:
        ask(cache, ClassifyRequest.of(classifier=good, texts=["a"]), KOREAN)
    assert problem.value.code == "teach_other_encoder"


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([("a", "x"), ("b", "x"), ("c", "x"), ("d", "x")], "teach_classes"),
        ([("a", "x"), ("a", "y"), ("c", "x"), ("d", "y")], "teach_twice"),
        ([("a", "x"), ("b", "y")], "invalid_too_few"),
        ([(" ", "x"), ("b", "y"), ("c", "x"), ("d", "y")], "invalid_blank"),
        ([("a" * 2001, "x"), ("b", "y"), ("c", "x"), ("d", "y")], "invalid_too_long"),
    ],
)
def test_bad_examples_are_refused(pairs, code):
    with pytest.raises(InvalidInput) as problem:
        TeachRequest.of(examples=examples(pairs))
    assert problem.value.code == code


def test_too_few_sentences_to_hold_one_out_are_refused(cache):
    pairs = [*ENGLISH_EXAMPLES, ("Do you ship to Korea?", "question")]
    with pytest.raises(InvalidInput) as problem:
        ask(cache, FineTuneRequest.of(examples=examples(pairs)))
    assert problem.value.code == "teach_too_few"


@pytest.mark.parametrize("kind", [TeachRequest, FineTuneRequest])
def test_the_recipe_gives_the_same_figures(cache, kind):
    more = {"epochs": 2} if kind is FineTuneRequest else {}
    request = kind.of(examples=examples(ENGLISH_EXAMPLES + QUESTIONS), **more)
    events = ask(cache, request)
    script = recipe(ENGLISH, request, only(events, Finished).placement)
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=240
    )
    assert process.returncode == 0, process.stderr[-2000:]
    if kind is FineTuneRequest:
        accuracy, view = only(events, FineTuningResult).head_accuracy, r"head alone (\S+)"
        assert "fine-tuned" in process.stdout
    else:
        accuracy, view = only(events, HeadResult).accuracy, r"accuracy (\S+)"
    assert float(re.search(view, process.stdout)[1]) == pytest.approx(accuracy)
