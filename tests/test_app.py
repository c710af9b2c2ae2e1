"""The app as a program uses it: its endpoints over gradio_client, and plain HTTP beside them."""

import base64
import json
import urllib.error
import urllib.request

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from tests.conftest import start_server


@pytest.fixture(scope="module")
def client(server):
    return Client(server.url, verbose=False)


@pytest.fixture(scope="module")
def korean(server):
    return Client(server.url, verbose=False, headers={"accept-language": "ko-KR,ko;q=0.9"})


def test_the_endpoints_have_their_parameters(client):
    api = client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    names = {name: [p["parameter_name"] for p in api[name]["parameters"]] for name in api}
    needs = {
        name: [
            p["parameter_name"] for p in api[name]["parameters"] if not p["parameter_has_default"]
        ]
        for name in api
    }
    assert names == {
        "/chat": [
            "message",
            "history",
            "system_prompt",
            "model",
            "temperature",
            "top_p",
            "max_new_tokens",
            "seed",
        ],
        "/generate_image": [
            "prompt",
            "negative_prompt",
            "model",
            "guidance_scale",
            "num_inference_steps",
            "seed",
            "width",
            "height",
            "num_images",
            "scheduler",
            "image",
            "strength",
            "lora",
            "lora_strength",
            "decoder",
        ],
        "/analyze_sentiment": ["text", "model"],
        "/explain_sentiment": ["text", "model", "label", "method"],
        "/analyze_sentiments": ["texts", "model"],
        "/compare_sentences": ["sentence_a", "sentence_b", "model"],
        "/compare_many": ["sentences", "model"],
        "/search_lines": ["query", "lines", "model", "k"],
        "/next_token": ["text", "model", "temperature", "top_p", "top_k", "k"],
    }
    assert needs == {
        "/chat": ["message"],
        "/generate_image": ["prompt"],
        "/analyze_sentiment": ["text"],
        "/explain_sentiment": ["text"],
        "/analyze_sentiments": ["texts"],
        "/compare_sentences": ["sentence_a", "sentence_b"],
        "/compare_many": ["sentences"],
        "/search_lines": ["query", "lines"],
        "/next_token": ["text"],
    }


def test_the_next_token_is_a_table_of_probabilities(client):
    flat = client.predict("Hello", k=5, api_name="/next_token")
    assert [set(row) for row in flat] == [{"token", "id", "raw", "chance"}] * 5
    assert [row["raw"] for row in flat] == sorted((row["raw"] for row in flat), reverse=True)
    assert all(row["raw"] == row["chance"] for row in flat)
    sharp = client.predict("Hello", temperature=0.5, top_k=2, k=5, api_name="/next_token")
    assert [row["raw"] for row in sharp] == [row["raw"] for row in flat]
    assert sum(row["chance"] for row in sharp[:2]) == pytest.approx(1)
    assert [row["chance"] for row in sharp[2:]] == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I loved every minute of this film.", "positive"),
        ("A dull, lifeless waste of two hours.", "negative"),
        ("정말 재미있고 감동적인 영화였어요.", "positive"),
        ("시간이 아까운 최악의 영화.", "negative"),
    ],
)
def test_sentiment(client, text, label):
    result = client.predict(text, api_name="/analyze_sentiment")
    assert result["label"] == label
    assert sum(c["confidence"] for c in result["confidences"]) == pytest.approx(1, abs=1e-4)


def test_similarity_puts_a_paraphrase_above_an_unrelated_pair(client):
    def cosine(other):
        return client.predict("A man is playing a guitar.", other, api_name="/compare_sentences")[0]

    assert (
        cosine("Someone plays the guitar.") > cosine("The stock market fell sharply today.") + 0.2
    )


def test_many_sentences_have_their_cosines_and_groups(client):
    sentences = ["A man is playing a guitar.", "Someone plays the guitar.", "Stocks fell sharply."]
    result = client.predict(sentences, api_name="/compare_many")
    assert [len(row) for row in result["cosines"]] == [3, 3, 3]
    assert result["cosines"][0][1] > result["cosines"][0][2] + 0.2
    assert result["labels"][0] == result["labels"][1] != result["labels"][2]
    with pytest.raises(AppError, match="at least 2"):
        client.predict(sentences[:1], api_name="/compare_many")


def test_lines_are_searched_by_meaning(client, korean):
    lines = ["Stocks fell sharply.", " ", "Someone plays the guitar.", "It rains."]
    ask = ("A man is playing a guitar.", lines)
    result = client.predict(*ask, k=2, api_name="/search_lines")
    assert result["hits"][0]["line"] == 2
    assert [set(hit) for hit in result["hits"]] == [{"line", "score", "text"}] * 2
    assert result["hits"][0]["score"] > result["hits"][1]["score"]
    with pytest.raises(AppError, match="from 1 to"):
        client.predict(*ask, k=0, api_name="/search_lines")
    with pytest.raises(AppError, match="찾아볼 글이 없어요"):
        korean.predict("a", [" "], api_name="/search_lines")


def test_image_is_its_seed(client):
    def draw(seed):
        pictures, facts = client.predict(
            "a red circle on a blue background", seed=seed, api_name="/generate_image"
        )
        assert facts["seeds"] == [seed]
        path = pictures[0] if isinstance(pictures[0], str) else pictures[0]["path"]
        with open(path, "rb") as file:
            return file.read(), Image.open(path).convert("RGB")

    one, picture = draw(1)
    assert one == draw(1)[0]
    assert one != draw(2)[0]
    assert max(high - low for low, high in picture.getextrema()) > 60


def test_image_takes_a_picture_to_start_from_and_says_which_samplers_do_not_suit(client):
    def draw(**values):
        pictures, _ = client.predict(
            "a yellow star", seed=1, num_inference_steps=4, **values, api_name="/generate_image"
        )
        with open(pictures[0] if isinstance(pictures[0], str) else pictures[0]["path"], "rb") as f:
            return f.read()

    plain = draw()
    start = base64.b64encode(plain).decode()
    assert plain != draw(image=start, strength=0.5)
    with pytest.raises(AppError, match="GenLab Scenes"):
        draw(scheduler="DDIM")


def test_chat_streams_and_its_seed_says_the_same_again(client):
    job = client.submit("Hello, how are you?", seed=3, api_name="/chat")
    answer = job.result(timeout=120)
    pieces = job.outputs()
    assert len(answer) > 3
    assert len(pieces) >= 2
    assert all(answer.startswith(piece) for piece in pieces)
    assert client.predict("Hello, how are you?", seed=3, api_name="/chat") == answer


ENDPOINTS = {
    "/chat": ("message", {}),
    "/generate_image": ("prompt", {}),
    "/analyze_sentiment": ("text", {}),
    "/compare_sentences": ("sentence_a", {"sentence_b": "two"}),
}
BAD = {"blank": "  \n", "5 MB": "a" * 5_000_000, "a list": ["not", "text"], "a number": 7}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_bad_text_gets_one_clear_sentence(client, korean, endpoint, kind):
    name, rest = ENDPOINTS[endpoint]
    for who, language in ((client, "en"), (korean, "ko")):
        with pytest.raises(AppError) as error:
            who.predict(**{name: BAD[kind]}, **rest, api_name=endpoint)
        clear(str(error.value), language)


@pytest.mark.parametrize(
    ("endpoint", "values"),
    [
        ("/chat", {"message": "hi", "temperature": 99}),
        ("/chat", {"message": "hi", "max_new_tokens": 10**9}),
        ("/next_token", {"text": "hi", "top_p": 0}),
        ("/next_token", {"text": "hi", "k": 10**9}),
        ("/chat", {"message": "hi", "model": "no such model"}),
        ("/chat", {"message": "hi", "history": "not a list"}),
        ("/chat", {"message": "hi", "history": [{"role": "system", "content": "x"}]}),
        ("/generate_image", {"prompt": "a", "guidance_scale": -5}),
        ("/generate_image", {"prompt": "a", "num_inference_steps": 100000}),
        ("/generate_image", {"prompt": "a", "width": 100000}),
        ("/generate_image", {"prompt": "a", "seed": 10**30}),
        ("/generate_image", {"prompt": "a", "scheduler": "Bogus"}),
        ("/generate_image", {"prompt": "a", "image": "no base64 !"}),
        ("/generate_image", {"prompt": "a", "image": "bm8gcGljdHVyZQ=="}),
        ("/generate_image", {"prompt": "a", "strength": 7}),
        ("/analyze_sentiment", {"text": "a", "model": "../../etc/passwd"}),
        ("/analyze_sentiment", {"text": "a", "model": "nobody/no-such-model"}),
        ("/compare_sentences", {"sentence_a": "a", "sentence_b": "b", "model": "openai/none"}),
    ],
)
def test_bad_values_get_one_clear_sentence(client, endpoint, values):
    with pytest.raises(AppError) as error:
        client.predict(**values, api_name=endpoint)
    clear(str(error.value), "en")


def clear(message, language):
    """One sentence for people, in their language, with nothing of the inside in it."""
    assert 10 < len(message) < 300, message
    assert any("가" <= c <= "힣" for c in message) == (language == "ko"), message
    for inside in ("Traceback", "pydantic", "ValidationError", "/work", "site-packages", "None"):
        assert inside not in message


def test_a_hosted_model_without_a_key_says_so(client):
    with pytest.raises(AppError, match="key"):
        client.predict("hello", model="openai", api_name="/chat")


def test_health_and_closed_side_doors(server):
    with urllib.request.urlopen(server.url + "health") as answer:
        assert json.load(answer)["status"] == "ok"
    for path in (
        "gradio_api/run/analyze_sentiment",
        "gradio_api/api/analyze_sentiment",
        "monitoring/summary",
    ):
        ask = urllib.request.Request(
            server.url + path,
            data=None if path.startswith("monitoring") else b'{"data": ["x", "auto"]}',
            headers={"content-type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(ask)
        assert error.value.code in (401, 403, 404), path


def test_a_bad_setting_ends_the_start_with_its_name(tmp_path):
    with pytest.raises(RuntimeError, match="GENLAB_DEVICE") as error:
        start_server(tmp_path, GENLAB_DEVICE="toaster")
    assert "Traceback" not in str(error.value)
    assert "toaster" not in str(error.value)


def test_a_key_never_reaches_the_page(tmp_path):
    key = "sk-test-never-shown-0123"
    server = start_server(tmp_path, OPENAI_API_KEY=key, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    try:
        for path in ("", "config", "gradio_api/info"):
            with urllib.request.urlopen(server.url + path) as answer:
                assert key not in answer.read().decode()
        with pytest.raises(AppError) as error:
            Client(server.url, verbose=False).predict("hi", model="openai", api_name="/chat")
        clear(str(error.value), "en")
        assert key not in str(error.value) + server.log_text()
    finally:
        server.process.terminate()
        server.process.wait(20)


def test_a_space_spends_no_key_and_downloads_nothing(tmp_path):
    """And without a network, its weights not there yet, it starts and says so."""
    key = "sk-test-not-for-visitors"
    nowhere = "http://127.0.0.1:9/"
    server = start_server(
        tmp_path,
        SPACE_ID="somebody/genlab",
        OPENAI_API_KEY=key,
        OPENAI_BASE_URL=f"{nowhere}v1",
        GENLAB_FETCH="true",
        GENLAB_CACHE=str(tmp_path / "cache"),
        PIP_INDEX_URL=f"{nowhere}simple",
        HF_ENDPOINT=nowhere,
        HF_HOME=str(tmp_path / "hf"),
    )
    try:
        client = Client(server.url, verbose=False)
        with pytest.raises(AppError, match="needs an API key"):
            client.predict("hi", model="openai", api_name="/chat")
        with pytest.raises(AppError, match="downloads are off"):
            client.predict("hi", model="openai-community/gpt2", api_name="/chat")
        log = server.log_text()
        for words in ("check the network", "may not spend", "hub cannot be reached from here"):
            assert words in log, log
        assert key not in log
        assert "Traceback" not in log
    finally:
        server.process.terminate()
        server.process.wait(20)


def test_a_login_is_asked_for_where_the_host_wants_one(tmp_path):
    server = start_server(tmp_path, "--auth", "teacher:lesson")
    try:
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(server.url + "config")
        assert error.value.code == 401
        client = Client(server.url, auth=("teacher", "lesson"), verbose=False)
        assert "/chat" in client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    finally:
        server.process.terminate()
        server.process.wait(20)
