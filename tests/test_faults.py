"""What may go wrong around the app: it is told to end, its files go, the disk is full. Nothing is lost."""

import asyncio
import os
import resource
import shutil
import signal
import struct
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import httpx2
import psutil
import pytest

from models.contract import Stop
from models.errors import Damaged, ModelError, OutOfMemory, Unavailable
from models.runtime import jobs
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.sentiment.events import Scores
from models.sentiment.requests import SentimentRequest
from models.settings import Settings
from models.tasks import SENTIMENT
from models.weights import sources
from tabs.shared.events import at_field
from tabs.shared.gradio_patches import PageBlocks, save_to_cache
from tests.chat.test_llama_cpp import set_number
from tests.conftest import start_server
from tests.engines import Steps, spec

PICTURES = {"prompt": "a red circle", "num_images": 8, "num_inference_steps": 100, "seed": 1}


def ask(text):
    return SentimentRequest.of(text=str(text))


# ---------------------------------------------------------------- told to end


@pytest.fixture
def start_app(tmp_path):
    """Starts the app in a folder of its own, as often as wanted; none of them stays."""
    processes = []

    def start():
        server = start_server(tmp_path, HF_HUB_OFFLINE="1")
        processes.append(server.process)
        return server

    yield start
    for process in processes:
        process.kill()
        process.wait(10)


def test_told_to_end_it_finishes_or_says_so_within_ten_seconds(start_app):
    server, answers = start_app(), []

    def draw(web):
        answers.append(web.post("api/v1/images", json=PICTURES))

    with httpx2.Client(base_url=server.url, timeout=120) as web:
        short = {**PICTURES, "num_images": 1, "num_inference_steps": 2}
        assert web.post("api/v1/images", json=short).status_code == 200
        threads = [threading.Thread(target=draw, args=(web,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        until(lambda: web.get("health").json()["active"] >= 6)
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        until(lambda: not web.get("health").json()["ready"])
        late = web.post("api/v1/sentiment", json={"text": "ok"}, headers={"accept-language": "ko"})
        assert late.status_code == 503
        assert "다시 시작" in late.json()["error"]["message"]
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        assert time.monotonic() - began < 10 + 2  # two for a machine that is busy
    assert len(answers) == 6, "a connection was cut"
    for answer in answers:
        if answer.status_code != 200:
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "unavailable_closing"
    assert server.process.wait(5) == -signal.SIGTERM
    assert "Traceback" not in server.log_text()


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_answer_that_is_nearly_whole_is_waited_for_and_new_ones_are_refused():
    Steps.reset()
    cache, results = ModelCache(Settings()), []
    thread = threading.Thread(target=lambda: results.extend(run(cache, spec("short"), ask(40))))
    thread.start()
    until(lambda: any(model.loaded for model in cache.status()))
    assert cache.drain(10)
    thread.join(5)
    assert sum(isinstance(event, Scores) for event in results) == 40
    with pytest.raises(Unavailable) as error:
        list(run(cache, spec("short"), ask(1)))
    assert error.value.code == "unavailable_closing"
    assert not cache.drain(10), "there was nothing left to wait for"


def test_an_answer_that_takes_too_long_says_that_it_ends(monkeypatch):
    monkeypatch.setattr(jobs, "HEARTBEAT", 0.05)
    Steps.reset()
    cache, errors = ModelCache(Settings()), []

    def work():
        try:
            list(run(cache, spec("long"), ask(5000)))
        except ModelError as error:
            errors.append(error.code)

    threads = [threading.Thread(target=work) for _ in range(3)]  # two of them wait for their turn
    for thread in threads:
        thread.start()
    until(lambda: cache.status() and cache.status()[0].waiting == 2)
    began = time.monotonic()
    cache.drain(0.2)
    for thread in threads:
        thread.join(5)
    assert time.monotonic() - began < 3
    assert errors == ["unavailable_closing"] * 3
    until(lambda: not any(model.active for model in cache.status()))


# ---------------------------------------------------------------- killed


def test_killed_and_started_again_nothing_half_is_there(start_app, tmp_path):
    """kill -9 in the middle of a picture: the same folder serves the next start."""
    server = start_app()
    body = {"prompt": "a red circle", "num_inference_steps": 4, "seed": 5}
    with httpx2.Client(base_url=server.url, timeout=120) as web:
        expected = web.post("api/v1/images", json=body).json()["images"]
        cut = []

        def draw():
            try:
                web.post("api/v1/images", json=PICTURES)
            except httpx2.HTTPError as error:
                cut.append(error)

        thread = threading.Thread(target=draw)
        thread.start()
        until(lambda: web.get("health").json()["active"])
        server.process.kill()
        server.process.wait(10)
        thread.join(10)
        assert cut
    with httpx2.Client(base_url=start_app().url, timeout=120) as web:
        health = web.get("health").json()
        assert (health["active"], health["waiting"]) == (0, 0)
        assert web.post("api/v1/images", json=body).json()["images"] == expected
    rest = [path for path in tmp_path.rglob("*") if path.suffix in {".part", ".tmp", ".incomplete"}]
    assert not rest


# ---------------------------------------------------------------- files that go


def test_a_models_file_removed_while_it_runs(tmp_path, monkeypatch):
    """It is in memory and goes on; loaded anew it is named with what mends it, and the others work."""
    starter = sources.STARTERS / "sentiment_ko"
    folder = shutil.copytree(starter, tmp_path / "sentiment_ko")
    monkeypatch.setattr(sources, "STARTERS", tmp_path)
    cache = ModelCache(Settings(device="cpu", idle_minutes=0))
    model = find(SENTIMENT, "genlab/sentiment-ko")
    before = [e for e in run(cache, model, ask("좋아요")) if isinstance(e, Scores)]
    (folder / "model.safetensors").unlink()
    assert [e for e in run(cache, model, ask("좋아요")) if isinstance(e, Scores)] == before
    cache.unload("sentiment", model.id)
    with pytest.raises(Damaged) as error:
        list(run(cache, model, ask("좋아요")))
    assert "python -m training.sentiment ko" in error.value.params["command"]
    assert cache.status() == []
    shutil.copy(starter / "model.safetensors", folder)
    assert [e for e in run(cache, model, ask("좋아요")) if isinstance(e, Scores)] == before
    cache.close()


# ---------------------------------------------------------------- memory


def test_out_of_memory_in_a_load_costs_nobody_their_work():
    """Somebody is at work in one model while another does not fit: the first goes on, the second may be tried again."""
    Steps.reset()
    cache, results = ModelCache(Settings()), []
    worker = threading.Thread(target=lambda: results.extend(run(cache, spec("works"), ask(60))))
    worker.start()
    until(lambda: any(model.loaded for model in cache.status()))
    with cache.lease(spec("idle"), Stop(), lambda _: None):
        pass
    Steps.failure = MemoryError()
    with pytest.raises(OutOfMemory):
        list(run(cache, spec("large"), ask(1)))
    Steps.failure = None
    assert {model.id for model in cache.status() if model.loaded} == {"works"}, (
        "idle ones made room"
    )
    assert list(run(cache, spec("large"), ask(1)))
    worker.join(10)
    assert sum(isinstance(event, Scores) for event in results) == 60
    cache.close()


# ---------------------------------------------------------------- GGUF files, through the whole app


@pytest.fixture
def host(real_weights, tmp_path):
    """A running app with a folder of GGUF files of its host, all but one of them bad."""
    own = tmp_path / "own"
    own.mkdir()
    whole = real_weights("smollm2-135m-instruct-gguf")
    shutil.copyfile(whole, own / "whole.gguf")
    with whole.open("rb") as file:
        head = file.read(3_000_000)
    (own / "cut.gguf").write_bytes(head)
    (own / "text.gguf").write_text("no model")
    architecture = b"general.architecture" + struct.pack("<IQ", 8, 5)
    contents = {
        "kind": head.replace(b"llama", b"lamma"),
        "encoder": head.replace(architecture + b"llama", architecture + b"bert\0"),
        **dict.fromkeys(("layers", "window", "turn"), head),
    }
    for name, content in contents.items():  # weights of nothing but zeros
        (own / f"{name}.gguf").write_bytes(content)
        os.truncate(own / f"{name}.gguf", whole.stat().st_size)
    set_number(own / "layers.gguf", b"llama.block_count", 100_000)
    set_number(own / "window.gguf", b"llama.context_length", 0)
    set_number(own / "turn.gguf", b"llama.rope.dimension_count", 7)  # found by llama.cpp alone
    (tmp_path / "outside.gguf").write_bytes(head)
    server = start_server(tmp_path, HF_HUB_OFFLINE="1", GENLAB_MODELS_DIR=str(own))
    yield server
    server.process.kill()
    server.process.wait(10)


@pytest.mark.real
def test_bad_gguf_files_are_sentences_and_a_killed_child_costs_one_answer(host):
    question = {
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "seed": 1,
    }
    good = {**question, "model": "file:whole.gguf", "temperature": 0, "max_new_tokens": 24}
    good["system_prompt"] = "You are a helpful assistant."
    other = {**question, "model": "genlab/small-talk"}
    with httpx2.Client(base_url=host.url, timeout=120) as web:

        def chat(body, language="en"):
            return web.post("api/v1/chat", json=body, headers={"accept-language": language})

        for name, code in (
            *((bad, "damaged_gguf") for bad in ("cut", "text", "kind", "layers", "window", "turn")),
            ("encoder", "not_found_task"),
            ("../outside", "refused_models_folder"),
            ("none", "not_found_gguf_tag"),
        ):
            answer = chat({**question, "model": f"file:{name}.gguf"}, "ko")
            assert 400 <= answer.status_code < 600, name
            problem = answer.json()["error"]
            assert problem["code"] == code, name
            assert any("가" <= letter <= "힣" for letter in problem["message"]), name
            assert chat(other).status_code == 200, name  # the app and its other models live
        assert "Paris" in chat(good).json()["texts"][0]
        [child] = (
            process
            for process in psutil.Process(host.process.pid).children()
            if "llama_child.py" in " ".join(process.cmdline())
        )
        long = {**good, "max_new_tokens": 1000, "temperature": 1, "stream": True}
        with web.stream("POST", "api/v1/chat", json=long) as response:
            lines = response.iter_lines()
            while not next(lines).startswith("event: delta"):
                pass
            child.kill()
            rest = list(lines)
        assert [line for line in rest if line.startswith("event: ")][-1] == "event: error"
        assert "unavailable_llama_died" in rest[-2]
        assert "Paris" in chat(good).json()["texts"][0]
        assert chat(other).status_code == 200
    assert "Traceback" not in host.log_text()


# ---------------------------------------------------------------- a full disk


@contextmanager
def no_room(size):
    """Within it no file of this process grows over so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_at_the_place_and_leaves_no_half_file(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    content = bytes(range(256)) * 100
    with gr.Blocks():
        place = gr.HTML()

    def handler():
        yield (1,)
        yield (save_to_cache(content, "picture.png"),)

    with no_room(1000):
        updates = list(at_field(handler, place)())
    assert updates[1][0] == 1
    assert "disk" in updates[-1][place]
    assert "디스크" in updates[-1][place]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    path = list(at_field(handler, place)())[-1][0]
    assert Path(path).read_bytes() == content


# ---------------------------------------------------------------- pressed too early


@pytest.mark.parametrize(
    ("language", "words"), [("en", "The choices here have just changed"), ("ko", "방금 바뀌었어요")]
)
def test_a_choice_of_the_model_before_is_a_sentence_in_the_pages_language(language, words):
    """A button may be pressed while a new model's sizes are still on their way to the page."""
    with PageBlocks() as page:
        size = gr.Dropdown(["256x256"], elem_id="size")
        gr.Button().click(lambda value: value, size, gr.Textbox())
    request = gr.Request(query_params={"lang": language}, headers={}, client=None)
    (call,) = page.fns.values()
    with pytest.raises(gr.Error, match=words):
        asyncio.run(page.process_api(call, ["512x512"], request=request))
    done = asyncio.run(page.process_api(call, ["256x256"], request=request))
    assert done["data"] == ["256x256"]
