"""Which words did it: completeness, signs, places in the text, and the recipe's same numbers."""

import subprocess
import sys

import pytest
import torch

from models.contract import ModelSpec
from models.errors import InvalidInput, UntrainedHead
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find, select, select_by_language
from models.sentiment.events import Attribution, AttributionProgress, Scores
from models.sentiment.requests import AttributionRequest, SentimentRequest
from models.settings import ROOT, Settings
from models.tasks import SENTIMENT, recipe
from models.text.language import unread
from models.weights import sources
from tests import tiny

TEXT = "The film was good, not bad and not very boring!"
LONG = " ".join([TEXT] * 5)
KOREAN = "배우들 연기는 좋은데 이야기가 너무 지루해요."


@pytest.fixture(scope="module")
def starters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genlab") / "models" / "starter"
    tiny.classifier(folder / "bert")
    tiny.other_classifier(folder / "roberta", "roberta")
    tiny.other_classifier(folder / "distilbert", "distilbert")
    tiny.classifier(
        folder / "several", ("joy", "anger", "fear"), problem_type="multi_label_classification"
    )
    tiny.classifier(folder / "nameless", ("LABEL_0", "LABEL_1"))
    return folder


@pytest.fixture(scope="module")
def tiny_models():
    with_models = ModelCache(Settings(device="cpu", idle_minutes=0))
    yield with_models
    with_models.close()


@pytest.fixture
def cache(tiny_models, starters, monkeypatch):
    monkeypatch.setattr(sources, "STARTERS", starters)
    return tiny_models


@pytest.fixture(scope="module")
def starters_of_project():
    with_models = ModelCache(Settings(device="cpu", idle_minutes=0))
    yield with_models
    with_models.close()


def spec_of(name: str, **fields) -> ModelSpec:
    engine = "models.sentiment.transformers_engine:TransformersSentiment"
    return ModelSpec(name, "sentiment", engine, f"starter:{name}", name, cpu_threads=1, **fields)


def explain(cache: ModelCache, spec: ModelSpec, text: str, **values) -> Attribution:
    events = run(cache, spec, AttributionRequest.of(text=text, **values))
    return next(e for e in [*events] if isinstance(e, Attribution))


def scores(cache: ModelCache, spec: ModelSpec, text: str) -> dict[str, float]:
    events = [*run(cache, spec, SentimentRequest.of(text=text))]
    return dict(next(e for e in events if isinstance(e, Scores)).scores)


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "several"])
@pytest.mark.parametrize("text", [TEXT, LONG])
def test_gradients_sum_to_the_score_minus_the_baseline(cache, name, text):
    result = explain(cache, spec_of(name), text)
    total = sum(word.value for word in result.words) + result.rest
    assert total - (result.score - result.baseline) == pytest.approx(result.error, abs=1e-6)
    assert abs(result.error) < 0.02
    assert result.score == pytest.approx(scores(cache, spec_of(name), text)[result.label], abs=1e-5)
    assert [text[w.begin : w.end] for w in result.words] == text.split()
    assert any(word.value > 0.01 for word in result.words) or any(
        word.value < -0.01 for word in result.words
    )


def test_the_baseline_is_the_text_with_every_word_masked(cache, starters):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(starters / "bert")
    model = AutoModelForSequenceClassification.from_pretrained(starters / "bert").eval()
    count = len(tokenizer(TEXT)["input_ids"]) - 2
    blanks = " ".join([tokenizer.mask_token] * count)
    result = explain(cache, spec_of("bert"), TEXT, label="positive")
    with torch.inference_mode():
        logits = model(**tokenizer(blanks, return_tensors="pt")).logits
    assert result.baseline == pytest.approx(logits.softmax(-1)[0, 1].item(), abs=1e-5)


def test_subwords_are_summed_into_their_word_with_their_ids(cache, starters):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(starters / "bert")
    result = explain(cache, spec_of("bert"), "good xyz, film")
    tokens = [token for word in result.words for token in word.tokens]
    assert [token for token, _ in result.words[1].tokens] == ["x", "##y", "##z", ","]
    assert [number for _, number in tokens] == tokenizer("good xyz, film")["input_ids"][1:-1]


def test_left_out_is_the_change_of_the_score_without_the_word(cache):
    spec = spec_of("bert")
    result = explain(cache, spec, TEXT, method="leave_out", label="positive")
    words = TEXT.split()
    whole = scores(cache, spec, TEXT)["positive"]
    for number in (0, 4, len(words) - 1):
        rest = " ".join(words[:number] + words[number + 1 :])
        expected = whole - scores(cache, spec, rest)["positive"]
        assert result.words[number].value == pytest.approx(expected, abs=1e-5)


def test_one_word_and_an_unknown_class(cache):
    assert len(explain(cache, spec_of("bert"), "good", method="leave_out").words) == 1
    with pytest.raises(InvalidInput) as problem:
        explain(cache, spec_of("bert"), "good", label="angry")
    assert problem.value.code == "invalid_label"
    assert problem.value.params["known"] == "negative, positive"


@pytest.mark.parametrize(
    ("model", "text", "word"),
    [
        ("genlab/sentiment-ko", KOREAN, "지루해요."),
        ("genlab/sentiment-en", "The acting is fine, but the story never comes alive.", "never"),
    ],
)
@pytest.mark.parametrize("method", ["gradients", "leave_out"])
def test_the_starters_name_the_word_that_turned_them(
    starters_of_project, model, text, word, method
):
    result = explain(starters_of_project, find(SENTIMENT, model), text, method=method)
    assert result.label == "negative"
    strongest = max(result.words, key=lambda w: w.value)
    assert text[strongest.begin : strongest.end] == word
    assert abs(result.error) <= 0.005


def test_a_stop_ends_an_attribution_of_a_long_text(cache):
    import time

    events = run(cache, spec_of("bert"), AttributionRequest.of(text=LONG * 40))
    next(e for e in events if isinstance(e, AttributionProgress))
    events.close()
    end = time.monotonic() + 20
    while any(one.active for one in cache.status()):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_parts_of_a_long_text_are_shown_with_their_scores(cache):
    [result] = [
        e
        for e in run(cache, spec_of("bert"), SentimentRequest.of(text=LONG))
        if isinstance(e, Scores)
    ]
    assert "".join(LONG[p.begin : p.end] for p in result.pieces) == LONG
    weights = [p.tokens for p in result.pieces]
    mean = sum(dict(p.scores)["positive"] * p.tokens for p in result.pieces) / sum(weights)
    assert dict(result.scores)["positive"] == pytest.approx(mean, abs=1e-6)


def test_what_a_model_does_not_read():
    english, korean = (find(SENTIMENT, f"genlab/sentiment-{name}") for name in ("en", "ko"))
    assert unread(english, KOREAN) == "ko"
    assert unread(english, "A fine film with 송강호 in it, and a long story.") == "ko"
    assert unread(korean, "CG와 OST가 좋아요") == ""
    assert unread(korean, "All of it in English") == "en"
    assert unread(find(SENTIMENT, "somebody/classifier"), KOREAN) == ""
    assert unread(korean, "😀👍") == unread(english, "5, 4 (!)") == ""


@pytest.mark.parametrize("text", ["😀👍", "10/10", "?!", ""])
def test_a_text_without_a_letter_goes_where_the_pages_language_goes(text):
    for page in ("en", "ko"):
        spec = find(SENTIMENT, f"genlab/sentiment-{page}")
        assert select(SENTIMENT, "auto", Settings(), text, page) == spec
        assert select_by_language(SENTIMENT, "auto", Settings(), [text], page) == [(spec, [0])]


def test_a_headless_model_is_refused_by_its_configuration_alone():
    from transformers import RobertaConfig

    from models.sentiment.transformers_engine import refuse_headless

    config = RobertaConfig(architectures=["RobertaForMaskedLM"]).to_dict()
    with pytest.raises(UntrainedHead) as problem:
        refuse_headless(spec_of("roberta-base"), config)
    assert "classifier.out_proj.weight" in problem.value.params["missing"]
    refuse_headless(spec_of("x"), config | {"architectures": ["RobertaForSequenceClassification"]})


def test_the_recipes_give_the_same_numbers(starters_of_project):
    requests = [
        (*one, method)
        for one in (
            ("genlab/sentiment-ko", KOREAN),
            ("genlab/sentiment-en", "A fine film, but far too long."),
        )
        for method in ("gradients", "leave_out")
    ]
    scripts, expected = [], []
    for model, text, method in requests:
        spec, ask = find(SENTIMENT, model), AttributionRequest.of(text=text, method=method)
        events = [*run(starters_of_project, spec, ask)]
        result = next(e for e in events if isinstance(e, Attribution))
        expected.append([result.score, *(word.value for word in result.words)])
        scripts.append(recipe(spec, ask, events[-1].placement))
    one = "import sys\nfor s in sys.argv[1:]:\n    exec(s, {})\n    print('=====')"
    command = [sys.executable, "-c", one, *scripts]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for numbers, output in zip(expected, ran.stdout.split("=====\n")[:-1], strict=True):
        view = [float(line.split("  ")[0]) for line in output.splitlines()]
        assert view == pytest.approx(numbers, abs=1e-4)
