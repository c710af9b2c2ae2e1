import pytest

from models.chat.requests import ChatRequest
from models.errors import InvalidInput
from models.fields import MAX_SEED, draw_seed
from models.sentence_similarity.requests import SimilarityRequest
from models.sentiment.requests import SentimentRequest
from models.text_to_image.requests import ImageGridRequest, ImageRequest
from models.word_vectors.requests import Word2VecRequest

HELLO = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    ("kind", "values", "code", "field"),
    [
        (SentimentRequest, {"text": " \n"}, "invalid_blank", "text"),
        (SentimentRequest, {"text": "a" * 5_000_000}, "invalid_too_long", "text"),
        (SentimentRequest, {"text": ["a", "list"]}, "invalid_not_text", "text"),
        (SentimentRequest, {"text": None}, "invalid_not_text", "text"),
        (SentimentRequest, {}, "invalid_blank", "text"),
        (
            ImageRequest,
            {"prompt": "a", "guidance_scale": float("nan")},
            "invalid_not_a_number",
            "guidance_scale",
        ),
        (
            ImageRequest,
            {"prompt": "a", "guidance_scale": float("inf")},
            "invalid_not_a_number",
            "guidance_scale",
        ),
        (
            ImageRequest,
            {"prompt": "a", "num_inference_steps": 0},
            "invalid_ge",
            "num_inference_steps",
        ),
        (
            ImageRequest,
            {"prompt": "a", "num_inference_steps": 2.7},
            "invalid_not_a_number",
            "num_inference_steps",
        ),
        (ImageRequest, {"prompt": "a", "num_images": 9}, "invalid_le", "num_images"),
        (ImageRequest, {"prompt": "a", "width": 100}, "invalid_multiple_of", "width"),
        (ImageRequest, {"prompt": "a", "seed": -2}, "invalid_ge", "seed"),
        (ImageRequest, {"prompt": "a", "seed": "seven"}, "invalid_not_a_number", "seed"),
        (ChatRequest, {"messages": []}, "invalid_too_few", "messages"),
        (ChatRequest, {"messages": HELLO, "temperature": 3}, "invalid_le", "temperature"),
        (ChatRequest, {"messages": HELLO, "top_p": 0}, "invalid_gt", "top_p"),
        (ChatRequest, {"messages": HELLO * 500}, "invalid_too_many", "messages"),
        (
            ChatRequest,
            {"messages": [{"role": "user", "content": "a" * 1_000_000}]},
            "invalid_too_long",
            "messages",
        ),
        (SimilarityRequest, {"sentences": ["one"]}, "invalid_too_few", "sentences"),
        (SimilarityRequest, {"sentences": ["one"] * 301}, "invalid_too_many", "sentences"),
        (SimilarityRequest, {"sentences": ["one", " "]}, "invalid_blank", "sentences"),
        (Word2VecRequest, {"corpus": "a b", "epochs": 10**9}, "invalid_le", "epochs"),
        (Word2VecRequest, {"corpus": "a b", "sg": 2}, "invalid_input", "sg"),
    ],
)
def test_bad_input_is_named(kind, values, code, field):
    with pytest.raises(InvalidInput) as error:
        kind.of(**values)
    assert (error.value.code, error.value.params["field"]) == (code, field)


def test_unknown_fields_are_refused():
    with pytest.raises(InvalidInput):
        SentimentRequest.of(text="a", trust_remote_code=True)


def test_a_typed_key_is_never_shown():
    ask = ChatRequest.of(messages=HELLO, api_key="sk-secret")
    assert "sk-secret" not in repr(ask) + str(ask) + ask.model_dump_json()


def test_a_seed_is_drawn_only_when_asked():
    assert draw_seed(7) == 7
    assert len({draw_seed(-1) for _ in range(20)}) > 15


def test_every_picture_of_a_request_has_a_seed_of_its_own_and_limits_are_plain_numbers():
    assert (
        ImageRequest.of(prompt="a", seed=MAX_SEED - 1, num_images=2).singles()[1].seed == MAX_SEED
    )
    for values in ({"num_images": 3}, {"num_images": 8}):
        with pytest.raises(InvalidInput) as error:
            ImageRequest.of(prompt="a", seed=MAX_SEED - 1, **values)
        assert error.value.params["field"] == "seed"
    with pytest.raises(InvalidInput) as error:
        ImageGridRequest.of(prompt="a", seed=MAX_SEED - 1, num_seeds=3)
    assert error.value.params == {"field": "seed", "limit": MAX_SEED - 2}
    with pytest.raises(InvalidInput) as error:
        ImageRequest.of(prompt="a", guidance_scale=-1.5)
    assert str(error.value.params["limit"]) == "0"
