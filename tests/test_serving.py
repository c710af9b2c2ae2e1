"""The code beside a result is run as it stands: curl, OpenAI's client, a FastAPI app of one's own."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import serving, tasks
from models.chat.events import TextDelta
from models.chat.recipe import next_token_call
from models.chat.requests import ChatRequest, NextTokenRequest
from models.contract import Finished, ModelSpec, Request
from models.runtime.jobs import run
from models.runtime.placement import place
from models.select import find
from models.sentence_similarity.events import Similarities
from models.sentence_similarity.recipe import search_call
from models.sentence_similarity.requests import SimilarityRequest
from models.sentiment.events import Attribution, Scores
from models.sentiment.requests import AttributionRequest, SentimentRequest
from models.settings import ROOT, Settings
from models.tasks import CHAT, SENTENCE_SIMILARITY, SENTIMENT, TEXT_TO_IMAGE, WORD_VECTORS
from models.text_to_image.events import ImagesDone
from models.text_to_image.requests import ImageGridRequest, ImageRequest
from models.word_vectors.events import WordAnswer
from models.word_vectors.requests import WordsRequest
from tabs.shared.strings import LANGUAGES, STRINGS
from tabs.shared.widgets import Script, _comment
from tests.conftest import free_port

# What a shell, Python or JSON could stumble over: quotes, $, backticks, lines, the end of a here-document.
NASTY = "It's \"good\": `id` $HOME $(id) ${x} \\n %s {0} !\nJSON\n'''정말 좋아요''' <b>&amp;</b> # \u2028 end\\"
CHATTING = ChatRequest.of(messages=[{"role": "user", "content": NASTY}], seed=3, top_k=20)
SCENE = ImageRequest.of(prompt=f"a red circle {NASTY}", seed=5, num_inference_steps=2)
PAIR = SimilarityRequest.of(sentences=["A man plays guitar.", NASTY])


def english(name: str) -> str:
    return _comment("en", name)


def korean(name: str) -> str:
    return _comment("ko", name)


def answer(cache, spec: ModelSpec, request: Request, kind: type):
    """What the page shows of a request: (the event, the placement)."""
    events = list(run(cache, spec, request))
    result = [event for event in events if isinstance(event, kind)]
    return result, next(e.placement for e in events if isinstance(e, Finished))


def chat_text(cache, spec: ModelSpec, request: ChatRequest):
    deltas, placement = answer(cache, spec, request, TextDelta)
    return "".join(delta.text for delta in deltas), placement


def at(server) -> serving.Place:
    return serving.Place(server.url.rstrip("/"))


def shell(command: str, folder: Path, **environment: str) -> str:
    """What a command prints in a shell of its own; $HOME and the like are there to be stumbled over."""
    process = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "x": "expanded", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return process.stdout


def curl(call: serving.HttpCall, server, folder: Path, **environment: str) -> str:
    return shell(serving.text("curl", [call], at(server), korean), folder, **environment)


def client(call: serving.HttpCall, server) -> str:
    """What the code for OpenAI's client prints."""
    code = serving.text("openai", [call], at(server), korean)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "client.py", "exec"), {})
    return out.getvalue()


def psnr(one: Image.Image, other: Image.Image) -> float:
    difference = np.asarray(one, float) - np.asarray(other, float)
    return float("inf") if not difference.any() else 10 * np.log10(255**2 / (difference**2).mean())


class OwnServer:
    """The app as printed, started and called by what is printed above it."""

    def __init__(self, app: serving.App, folder: Path, **environment: str) -> None:
        code = serving.app_text(app, korean)
        (folder / "app.py").write_text(code, encoding="utf-8")
        (folder / "models").symlink_to(ROOT / "models")  # "run this in GenLab's folder"
        port = str(free_port())
        lines = [line[3:].strip() for line in code.split("\n") if line.startswith("#   ")]
        install, start, self.get, self.post, _ = (line.replace("8000", port) for line in lines)
        assert install.startswith("pip install fastapi uvicorn ")
        assert start.startswith("python -m uvicorn app:app")
        self.folder = folder
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, *start.split()[1:]],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": "", **environment},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        end = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.get.split()[1], timeout=2).close()
                break
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.2)

    def log(self) -> str:
        return (self.folder / "log").read_text()[-2000:]

    def __enter__(self) -> "OwnServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.log.close()

    def answer(self) -> str:
        """What the printed POST gives; the printed GET names its path."""
        about = json.loads(shell(self.get, self.folder))
        assert about["post"] in self.post
        assert set(about["fields"])
        return shell(self.post, self.folder)

    def refuses(self, body: str) -> int:
        """The status of a body that is not what it wants."""
        address = self.post.split()[1]
        request = urllib.request.Request(
            address, body.encode(), {"Content-Type": "application/json"}
        )
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request, timeout=10)
        return error.value.code


# ---------------------------------------------------------------- each task, in all of its forms


def test_chat(cache, server, tmp_path):
    spec = find(CHAT, "genlab/small-talk")
    text, placement = chat_text(cache, spec, CHATTING)
    call = tasks.call(spec, CHATTING, placement, korean)
    assert serving.forms([call]) == ["curl", "openai", "fastapi"]
    assert json.loads(curl(call, server, tmp_path))["texts"] == [text]
    assert client(call, server) == f"{text}\n"
    with OwnServer(call.app, tmp_path) as own:
        assert json.loads(own.answer()) == {"text": text}
        assert own.refuses('{"messages": "Hello"}') == 422
        assert own.refuses('{"messages": [{"role": "user", "content": "Hi"}], "seed": "x"}') == 422


def test_samples_a_system_prompt_and_a_beginning(cache, server, tmp_path):
    spec = find(CHAT, "genlab/small-talk")
    request = ChatRequest.of(
        messages=[
            {"role": "user", "content": "안녕하세요!"},
            {"role": "assistant", "content": "안녕하세요. `오늘` $어때요?"},
            {"role": "user", "content": "좋아요, '아주'!"},
        ],
        system_prompt='You are a witty friend. It\'s "fine".',
        prefix="저도",
        temperature=0.9,
        seed=4,
    )
    text, placement = chat_text(cache, spec, request)
    call = tasks.call(spec, request, placement, english)
    assert json.loads(curl(call, server, tmp_path))["texts"] == [text]
    assert client(call, server) == f"{text}\n"
    two = request.model_copy(update={"num_return_sequences": 2, "prefix": "", "temperature": 0.0})
    texts = json.loads(curl(tasks.call(spec, two, placement, english), server, tmp_path))["texts"]
    assert len(texts) == 2
    ids = request.model_copy(update={"prefix_ids": (7, 8)})
    assert "openai" not in serving.forms([tasks.call(spec, ids, placement, english)])


@pytest.mark.real
def test_a_gguf_model_behind_a_server_of_ones_own(cache, real_weights, tmp_path):
    spec = find(CHAT, "smollm2-135m-instruct-gguf")
    file = real_weights(spec.id)
    request = ChatRequest.of(
        messages=[{"role": "user", "content": 'It\'s late. Say "hi"!'}], seed=3, max_new_tokens=20
    )
    deltas, placement = chat_text(cache, spec, request)
    call = tasks.call(spec, request, placement, korean)
    (tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf").symlink_to(file)
    with OwnServer(call.app, tmp_path) as own:
        assert json.loads(own.answer())["text"] == deltas


def test_the_next_token(server, tmp_path):
    spec = find(CHAT, "genlab/small-talk")
    request = NextTokenRequest.of(text=NASTY, as_message=True, likeliest=3)
    call = next_token_call(spec, request, 0.5, 0.9, 2)
    assert serving.forms([call]) == ["curl"]
    tokens = json.loads(curl(call, server, tmp_path))["tokens"]
    assert len(tokens) == 3
    assert sum(token["chance"] for token in tokens) == pytest.approx(1)


def test_pictures(cache, server, tmp_path, monkeypatch):
    spec = find(TEXT_TO_IMAGE, "genlab/scenes")
    request = SCENE.with_defaults(spec)
    (end,), placement = answer(cache, spec, request, ImagesDone)
    page = Image.open(io.BytesIO(end.images[0]))
    call = tasks.call(spec, request, placement, korean)
    assert serving.forms([call]) == ["curl", "openai", "fastapi"]
    curl(call, server, tmp_path)
    assert psnr(Image.open(tmp_path / "picture.png"), page) == np.inf
    monkeypatch.chdir(tmp_path)
    client(call, server)
    assert psnr(Image.open(tmp_path / "picture-1.png"), page) == np.inf
    (tmp_path / "picture.png").unlink()
    with OwnServer(call.app, tmp_path) as own:
        own.answer()
        assert psnr(Image.open(tmp_path / "picture.png").convert("RGB"), page.convert("RGB")) >= 50
        assert own.refuses('{"seed": 1}') == 422


def test_several_pictures_and_one_that_starts_from_another(cache, server, tmp_path):
    spec = find(TEXT_TO_IMAGE, "genlab/scenes")
    two = SCENE.model_copy(update={"num_images": 2}).with_defaults(spec)
    (end, *_), placement = answer(cache, spec, two, ImagesDone)
    curl(tasks.call(spec, two, placement, english), server, tmp_path)
    result = json.loads((tmp_path / "pictures.json").read_text())
    assert result["seeds"] == [5, 6]
    (tmp_path / "start.png").write_bytes(end.images[0])
    values = {"image": end.images[0], "strength": 0.5}
    start = ImageRequest.of(prompt=SCENE.prompt, seed=1, num_inference_steps=4, **values)
    start = start.with_defaults(spec)
    (end,), placement = answer(cache, spec, start, ImagesDone)
    call = tasks.call(spec, start, placement, english)
    assert serving.forms([call]) == ["curl", "fastapi"]
    curl(call, server, tmp_path)
    page = Image.open(io.BytesIO(end.images[0]))
    assert psnr(Image.open(tmp_path / "picture.png"), page) == np.inf
    compile(serving.app_text(call.app, english), "app.py", "exec")


@pytest.mark.parametrize("text", [NASTY, "한 문장이에요. It is long. " * 30])
def test_sentiment_and_its_words(cache, server, tmp_path, text):
    spec = find(SENTIMENT, "genlab/sentiment-ko")
    request = SentimentRequest.of(text=text)
    (scores,), placement = answer(cache, spec, request, Scores)
    call = tasks.call(spec, request, placement, korean)
    assert serving.forms([call]) == ["curl", "fastapi"]
    assert json.loads(curl(call, server, tmp_path))["scores"] == pytest.approx(dict(scores.scores))
    words = AttributionRequest.of(text=text, method="leave_out")
    (adds,), _ = answer(cache, spec, words, Attribution)
    output = json.loads(curl(tasks.call(spec, words, placement, korean), server, tmp_path))
    assert [word["value"] for word in output["words"]] == pytest.approx(
        [word.value for word in adds.words], abs=1e-5
    )
    with OwnServer(call.app, tmp_path) as own:
        own_answer = json.loads(own.answer())
        assert own_answer["scores"] == pytest.approx(dict(scores.scores), abs=1e-5)
        assert own_answer["label"] == scores.scores[0][0]


def test_similarity_and_search(cache, server, tmp_path):
    spec = find(SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2")
    (page,), placement = answer(cache, spec, PAIR, Similarities)
    cosine = page.cosines[0][1]
    call = tasks.call(spec, PAIR, placement, korean)
    assert json.loads(curl(call, server, tmp_path))["cosines"][0][1] == pytest.approx(cosine)
    assert f"{cosine:.4f}"[:6] in client(call, server)
    with OwnServer(call.app, tmp_path) as own:
        assert json.loads(own.answer())["cosines"][0][1] == pytest.approx(cosine, abs=1e-5)
    lines = ["Get your money back", NASTY, "Log in again"]
    questions = SimilarityRequest.of(sentences=["refund", *lines])
    result = search_call(spec, questions, placement, english, k=2)
    hits = json.loads(curl(result, server, tmp_path))["hits"]
    assert hits[0]["text"] == lines[0]
    assert lines[0] in client(result, server).split("\n")[0]
    (tmp_path / "search").mkdir()
    with OwnServer(result.app, tmp_path / "search") as own:
        again = json.loads(own.answer())["hits"]
    assert [hit["text"] for hit in again] == [hit["text"] for hit in hits]
    assert [hit["score"] for hit in again] == pytest.approx([h["score"] for h in hits], abs=1e-5)


@pytest.mark.parametrize("model", ["genlab/words-en", "genlab/words-ko"])
def test_words_as_an_encoder(cache, server, tmp_path, model):
    spec = find(SENTENCE_SIMILARITY, model)
    request = SimilarityRequest.of(sentences=["the music's good. 음악이 좋아요", "a song 노래"])
    (page,), placement = answer(cache, spec, request, Similarities)
    call = tasks.call(spec, request, placement, korean)
    cosine = pytest.approx(page.cosines[0][1], abs=1e-5)
    assert json.loads(curl(call, server, tmp_path))["cosines"][0][1] == cosine
    assert "[[" in client(call, server)
    with OwnServer(call.app, tmp_path) as own:
        assert json.loads(own.answer())["cosines"][0][1] == cosine


def test_questions_to_words(cache, tmp_path):
    questions = [
        ("genlab/words-ko", "analogy", {"words": ["아버지", "여자"], "minus": ["남자"]}),
        ("genlab/words-en", "odd", {"words": ["guitar", "piano", "violin", "table"]}),
    ]
    for number, (model, question, values) in enumerate(questions):
        spec = find(WORD_VECTORS, model)
        request = WordsRequest.of(question=question, **values)
        (page,), placement = answer(cache, spec, request, WordAnswer)
        call = tasks.call(spec, request, placement, korean)
        assert serving.forms([call]) == ["fastapi"]  # GenLab has no such resource
        (folder := tmp_path / str(number)).mkdir()
        with OwnServer(call.app, folder) as own:
            output = json.loads(own.answer())
        rows, words = output.get("near") or output["fit"], page.nearest or page.fits
        assert [word for word, _ in rows] == [word for word, _ in words]
        assert [n for _, n in rows] == pytest.approx([n for _, n in words], abs=1e-5)


def test_a_model_of_a_server_is_reached_there(server, tmp_path):
    """By a server that speaks OpenAI's API: another GenLab."""
    there = {"OPENAI_BASE_URL": f"{server.url}v1", "OPENAI_API_KEY": "sk-its-own"}
    request = CHATTING.model_copy(update={"model_name": "genlab/small-talk", "top_k": 0})
    placement = place(find(CHAT, "openai"), Settings())
    call = tasks.call(find(CHAT, "openai"), request, placement, korean)
    assert serving.forms([call]) == ["curl", "fastapi"]  # Python is OpenAI's client already
    text = json.loads(curl(call, server, tmp_path, **there))["choices"][0]["message"]["content"]
    with OwnServer(call.app, tmp_path, **there) as own:
        assert json.loads(own.answer()) == {"text": text}
    by_name = request.model_copy(update={"base_url": f"{server.url}v1"})
    call = tasks.call(find(CHAT, "openai"), by_name, placement, korean)
    output = curl(call, server, tmp_path, OPENAI_BASE_URL="http://127.0.0.1:9", OPENAI_API_KEY="k")
    assert json.loads(output)["choices"][0]["message"]["content"] == text
    encoder = next(spec for spec in SENTENCE_SIMILARITY.models if spec.hosted)
    words = PAIR.model_copy(update={"model_name": "genlab/words-en"})
    call = tasks.call(encoder, words, placement, korean)
    assert len(json.loads(curl(call, server, tmp_path, **there))["data"]) == 2
    painter = next(spec for spec in TEXT_TO_IMAGE.models if spec.hosted)
    scene = ImageRequest.of(prompt="a red circle", model_name="auto", width=256, height=256)
    curl(tasks.call(painter, scene, placement, korean), server, tmp_path, **there)
    assert len(json.loads((tmp_path / "pictures.json").read_text())["data"]) == 1


# ---------------------------------------------------------------- the texts


def test_what_no_server_is_asked_has_python_alone():
    spec = find(TEXT_TO_IMAGE, "genlab/scenes")
    grid = ImageGridRequest.of(prompt="a tree", num_seeds=2).with_defaults(spec)
    assert tasks.call(spec, grid, place(spec, Settings()), english) is None
    script = Script.of("x = 1", lambda _: None)
    assert script == "x = 1"
    assert script.calls == {"en": (), "ko": ()}
    assert Script.of_several("y", ["plain", script]).calls == script.calls


def test_a_key_is_never_in_the_code():
    spec = find(CHAT, "openai")
    request = CHATTING.model_copy(update={"model_name": "m"})
    with_key = ChatRequest.of(**{**request.model_dump(), "api_key": "sk-very-secret"})
    call = tasks.call(spec, with_key, place(spec, Settings()), english)
    local = tasks.call(find(CHAT, "genlab/small-talk"), with_key, place(spec, Settings()), english)
    target = serving.Place("https://genlab.example/class", key=True)
    for one in (call, local):
        for form in serving.forms([one]):
            assert "sk-very-secret" not in serving.text(form, [one], target, english)
    assert '-H "Authorization: Bearer $GENLAB_API_KEY"' in serving.text(
        "curl", [local], target, english
    )
    assert 'os.environ["GENLAB_API_KEY"]' in serving.text("openai", [local], target, english)
    assert "https://genlab.example/class/api/v1/chat" in serving.text(
        "curl", [local], target, english
    )
    assert "'https://genlab.example/class/v1'" in serving.text("openai", [local], target, english)


def test_an_address_cannot_run_anything(tmp_path):
    fake = serving.Place("http://127.0.0.1:9/$(touch forged)`touch forged`';touch forged;'")
    call = serving.HttpCall("/api/v1/sentiment", {"text": "x"})
    command = serving.text("curl", [call], fake, english)
    subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, timeout=30)
    assert not list(tmp_path.iterdir())


def test_a_long_body_stays_out_of_the_command_line():
    app = serving.App("chat", "", ["text: str"], "return 1", {"text": "가" * 100_000})
    assert "-d @request.json" in serving.app_text(app, english)
    short = replace(app, body={"text": "a"})
    assert "@request.json" not in serving.app_text(short, english)


def test_each_comment_has_its_sentence_in_both_languages():
    names = {key for key in STRINGS["en"] if key.startswith("serve.comment.")}
    sources = [*(ROOT / "models").glob("*/recipe.py"), ROOT / "models/serving.py"]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    names_in_use = {
        key
        for key in names
        if f'"{key.rpartition(".")[2]}"' in code or f"'{key.rpartition('.')[2]}'" in code
    }
    assert names_in_use == names
    for language in LANGUAGES:
        for key in names:
            assert not set("{}\n") & set(STRINGS[language][key])
