"""models/chat/llama_cpp.py with real child processes and the real SmolLM2."""

import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from models.chat import llama_server, recipe
from models.chat.events import ChatDone, NextToken, Note, TextDelta, Token
from models.chat.llama_cpp import LlamaCppChat
from models.chat.requests import ChatRequest, NextTokenRequest
from models.chat.token_odds import join_texts, probabilities
from models.contract import Finished, Stop
from models.errors import (
    Damaged,
    InvalidInput,
    ModelError,
    NotFound,
    OutOfMemory,
    Stopped,
    Unavailable,
)
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.runtime.placement import place
from models.select import find, select
from models.settings import Settings
from models.tasks import CHAT
from tests import dequantised
from tests.hub_server import HubServer, Repository

ID = "smollm2-135m-instruct-gguf"
PROMPT = "You are a helpful assistant."
pytestmark = pytest.mark.real


@pytest.fixture
def file(real_weights: Callable[[str], Path]) -> Path:
    return real_weights(ID)


@pytest.fixture(scope="module")
def engines() -> Iterator[list[LlamaCppChat]]:
    engines: list[LlamaCppChat] = []
    yield engines
    for engine in engines:
        engine.server.close()


@pytest.fixture
def engine(file: Path, engines: list[LlamaCppChat]) -> LlamaCppChat:
    """One for the whole file: a load takes a second."""
    if not engines:
        engines.append(loaded(file.parent))
    return engines[0]


def loaded(folder: Path, **values: object) -> LlamaCppChat:
    spec = replace(find(CHAT, ID), **values)  # type: ignore[arg-type]
    return LlamaCppChat.load(spec, folder, place(spec, Settings()), Settings())


def ask(text: str = "What is the capital of France?", **values: object) -> ChatRequest:
    usual = {"temperature": 0.0, "max_new_tokens": 24, "seed": 1, "system_prompt": PROMPT}
    return ChatRequest.of(messages=[{"role": "user", "content": text}], **{**usual, **values})


def texts(engine: LlamaCppChat, request: ChatRequest, stop: Stop | None = None) -> list[str]:
    result = [""] * request.num_return_sequences
    for event in engine.stream(request, stop or Stop()):
        if isinstance(event, TextDelta):
            result[event.index] += event.text
    return result


def text(engine: LlamaCppChat, request: ChatRequest) -> str:
    return texts(engine, request)[0]


# ---------------------------------------------------------------- what it says


def test_it_knows_a_capital_and_says_how_it_ended(engine):
    events = list(engine.stream(ask(), Stop()))
    assert "Paris" in "".join(e.text for e in events if isinstance(e, TextDelta))
    assert len(events) > 4  # it came in pieces
    end = events[-1]
    assert isinstance(end, ChatDone)
    assert (end.finish_reason, end.seed) == ("stop", 1)
    assert end.completion_tokens == len(events)  # a piece a token, and its end in place of this one


def test_it_knows_a_capital_with_the_prompt_that_it_reads_unasked(engine):
    for city, country in (("Paris", "France"), ("Tokyo", "Japan")):
        question = ask(f"What is the capital of {country}?", system_prompt="", max_new_tokens=48)
        assert city in text(engine, question)


def test_same_seed_same_text_and_another_seed_another(engine):
    warm = {"temperature": 1.0, "max_new_tokens": 20}
    first, again = (text(engine, ask("Tell me a story.", seed=5, **warm)) for _ in range(2))
    assert first == again
    assert len({text(engine, ask("Tell me a story.", seed=s, **warm)) for s in range(4)}) == 4


def test_samples_are_drawn_with_the_seeds_after_the_first(engine):
    warm = {"temperature": 1.0, "max_new_tokens": 16}
    three = texts(engine, ask("Tell me a story.", seed=7, num_return_sequences=3, **warm))
    assert three == [text(engine, ask("Tell me a story.", seed=7 + k, **warm)) for k in range(3)]


def test_the_highest_seed_is_a_seed(engine):
    high = {"temperature": 1.0, "max_new_tokens": 12, "seed": 2**32 - 1}  # llama.cpp's "draw one"
    assert text(engine, ask("Tell me a story.", **high)) == text(
        engine, ask("Tell me a story.", **high)
    )


def test_the_parameters_reach_the_sampler(engine):
    hot = {"temperature": 2.0, "max_new_tokens": 12}
    greedy = text(engine, ask("Tell me a story.", max_new_tokens=12))
    assert text(engine, ask("Tell me a story.", top_k=1, **hot)) == greedy
    assert text(engine, ask("Tell me a story.", top_p=1e-6, **hot)) == greedy
    assert text(engine, ask("Tell me a story.", **hot)) != greedy
    pirate = text(engine, ask("Who are you?", system_prompt="You are a pirate called Anna."))
    assert pirate != text(engine, ask("Who are you?"))


def test_an_answer_is_continued_by_text_and_by_ids(engine):
    whole = [e for e in engine.stream(ask(alternatives=1), Stop()) if isinstance(e, TextDelta)]
    answer = "".join(e.text for e in whole)
    ids = [token.id for event in whole for token in event.tokens]
    assert text(engine, ask(prefix="The capital of")) == answer.removeprefix("The capital of")
    for at in (1, 3):
        assert (
            "".join(e.text for e in whole[:at]) + text(engine, ask(prefix_ids=ids[:at])) == answer
        )
    assert text(engine, ask(prefix_ids=ids)) == ""  # it ended already


def test_a_conversation_that_is_too_long_leaves_its_oldest_turns_out(engine):
    turns = [
        {"role": role, "content": f"{number} " + "word " * 300}
        for number in range(12)
        for role in ("user", "assistant")
    ]
    request = ask(max_new_tokens=4)
    long = ChatRequest.of(
        messages=[*turns, {"role": "user", "content": "Hello"}], max_new_tokens=4, seed=1
    )
    end = list(engine.stream(long, Stop()))[-1]
    assert any(note.code == "turns_left_out" for note in end.notes)
    assert list(engine.stream(request, Stop()))[-1].notes == ()
    with pytest.raises(InvalidInput) as problem:
        list(engine.stream(ask("word " * 3900), Stop()))
    assert problem.value.code == "invalid_over_window"


def test_the_next_turn_reads_only_what_is_new(engine):
    first = ask("Name three large cities. " + "Please take your time. " * 60, max_new_tokens=8)
    answer = text(engine, first)
    turns = [
        *(message.model_dump() for message in first.messages),
        {"role": "assistant", "content": answer},
        {"role": "user", "content": "And one more."},
    ]
    usual = {"system_prompt": PROMPT, "temperature": 0, "max_new_tokens": 1, "seed": 1}
    second = ChatRequest.of(messages=turns, **usual)

    def seconds(request: ChatRequest) -> float:
        start = time.perf_counter()
        text(engine, request)
        return time.perf_counter() - start

    again = seconds(second)
    fresh = [{**turns[0], "content": "X" + turns[0]["content"]}, *turns[1:]]
    assert again < 0.6 * seconds(ChatRequest.of(messages=fresh, **usual))


@pytest.fixture
def narrow(file: Path, tmp_path: Path) -> Iterator[LlamaCppChat]:
    """SmolLM2 with a window of 160 tokens."""
    path = tmp_path / "narrow" / "model.gguf"
    path.parent.mkdir()
    shutil.copyfile(file, path)
    set_number(path, b"llama.context_length", 160)
    engine = loaded(path.parent, concurrency=1)
    yield engine
    engine.server.close()


def test_the_window_ends_in_mid_answer(narrow):
    wild = {"temperature": 2.0, "top_p": 1.0}  # it hardly ends by itself
    end = list(narrow.stream(ask("word " * 90, max_new_tokens=500, **wild), Stop()))[-1]
    left = 160 - end.prompt_tokens
    assert 0 < left < 80
    assert (end.finish_reason, end.completion_tokens) == ("length", left)
    assert Note("room", left) in end.notes
    assert "Paris" in text(narrow, ask())


def test_a_prompt_of_five_megabytes(narrow):
    five = "word " * 1_000_000
    for values in ({"text": five}, {"prefix": five}, {"system_prompt": five}):
        with pytest.raises(InvalidInput) as problem:
            ask(**values)
        assert problem.value.code == "invalid_too_long"
    turns = [
        {"role": r, "content": "word " * 600} for _ in range(33) for r in ("user", "assistant")
    ]
    hello = {"role": "user", "content": "Hello"}
    with pytest.raises(InvalidInput, match="invalid_too_long"):
        ChatRequest.of(messages=[*turns * 6, hello])  # in turns that are each short enough
    longest = ChatRequest.of(messages=[*turns, hello], max_new_tokens=4, seed=1)
    end = list(narrow.stream(longest, Stop()))[-1]
    assert Note("turns_left_out", 66) in end.notes
    assert "Paris" in text(narrow, ask())


def test_a_later_turn_is_the_same_whatever_was_read_before(file):
    """Not the text alone, which a small difference seldom turns: every probability."""
    engine = loaded(file.parent, concurrency=1)
    warm = {"temperature": 1.0, "max_new_tokens": 24, "seed": 1, "alternatives": 5}

    def raws(request: ChatRequest) -> list[float]:
        events = [e for e in engine.stream(request, Stop()) if isinstance(e, TextDelta)]
        return [one.raw for e in events for token in e.tokens for one in token.alternatives]

    try:
        first = ask("Tell me a long story about a cat, a ship and the sea. " * 3, **warm)
        turns = [
            *(message.model_dump() for message in first.messages),
            {"role": "assistant", "content": text(engine, first)},
            {"role": "user", "content": "And then?"},
        ]
        second = ChatRequest.of(messages=turns, system_prompt=PROMPT, **warm)
        from_the_middle = raws(second)
        assert raws(second) == from_the_middle  # only its last token is read again
        text(engine, ask("Something else, so that nothing is remembered.", max_new_tokens=1))
        assert raws(second) == from_the_middle
    finally:
        engine.server.close()


# ---------------------------------------------------------------- what else could have come


def test_every_token_comes_with_what_else_could_have_come(engine):
    request = ask("Tell me a story.", temperature=0.7, top_p=0.9, seed=3, alternatives=5)
    events = [e for e in engine.stream(request, Stop()) if isinstance(e, TextDelta)]
    for event in events:
        for token in event.tokens:
            assert isinstance(token, Token)
            assert len(token.alternatives) == 5
            raws = [one.raw for one in token.alternatives]
            assert raws == sorted(raws, reverse=True)
            assert 0 < token.raw <= 1
            assert token.chance is None or 0 < token.chance <= 1
    assert any(token.chance is not None for event in events for token in event.tokens)


def test_chances_are_what_the_next_tokens_panel_works_out(engine):
    shape = {"temperature": 0.8, "top_p": 0.9, "top_k": 40}
    request = ask("Say hello.", alternatives=8, max_new_tokens=1, **shape)
    token = next(e for e in engine.stream(request, Stop()) if isinstance(e, TextDelta)).tokens[0]
    panel = NextTokenRequest.of(text="Say hello.", as_message=True, system_prompt=PROMPT)
    [next_token] = engine.stream(panel, Stop())
    result = probabilities(next_token.logits, **shape)
    for one in token.alternatives:
        assert one.chance == pytest.approx(result[one.id], abs=2e-3)


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_chances_above_temperature_1(engine, top_p):
    shape = {"temperature": 1.6, "top_p": top_p}
    request = ask("Say hello.", alternatives=8, max_new_tokens=6, seed=2, **shape)
    events = [e for e in engine.stream(request, Stop()) if isinstance(e, TextDelta)]
    plain = request.model_copy(update={"alternatives": 0})
    assert "".join(e.text for e in events) == text(engine, plain)  # drawn twice, the same text
    panel = NextTokenRequest.of(text="Say hello.", as_message=True, system_prompt=PROMPT)
    [next_token] = engine.stream(panel, Stop())
    exact = probabilities(next_token.logits, **shape)
    first = events[0].tokens[0]
    for one in (*first.alternatives, first):
        assert one.chance == pytest.approx(exact[one.id], abs=2e-3)
    assert all(token.chance is not None for event in events for token in event.tokens)
    assert engine._busy == 0


def test_letters_of_several_tokens_have_all_their_tokens(engine):
    request = ask(
        "Write this word again: 안녕하세요", prefix="안녕", alternatives=2, max_new_tokens=12
    )
    events = list(engine.stream(request, Stop()))
    deltas = [e for e in events if isinstance(e, TextDelta)]
    tokens = [token for event in deltas for token in event.tokens]
    assert events[-1].completion_tokens == len(tokens)
    content = "".join(e.text for e in deltas)
    assert join_texts(token.text for token in tokens if token.id not in {0, 2}).startswith(content)
    assert all(token.id is not None for token in tokens)


def test_the_next_token_is_the_whole_vocabulary(engine):
    [result] = engine.stream(
        NextTokenRequest.of(text="The capital of France is", likeliest=100), Stop()
    )
    assert isinstance(result, NextToken)
    assert result.logits.shape == (49152,)
    assert np.exp(result.logits.astype(np.float64)).sum() == pytest.approx(1, abs=1e-3)
    ids = [piece.id for piece in result.prompt]
    body = {"prompt": ids, "n_predict": 1, "temperature": 0, "n_probs": 49152}
    listing = engine.server.post("/completion", body)["completion_probabilities"][0]["top_logprobs"]
    assert sum(np.exp(one["logprob"]) for one in listing) == pytest.approx(
        1, abs=1e-3
    )  # before that
    assert result.likeliest[0].text == " Paris"
    assert len(result.likeliest) == 100
    assert "".join(piece.text for piece in result.prompt) == "The capital of France is"
    assert 2 in result.ends


def test_the_panel_is_what_transformers_computes_with_the_same_weights(engine, file):
    """llama.cpp rounds activations and keys to 8 bits, so within 0.06 of a probability.

    On these six texts it was at most 0.025, and the divergence 0.007 (bfloat16 keys: 0.039, 0.0074;
    values in 8 bits too: 0.045, 0.014).
    """
    model, tokenizer = dequantised.load(file)
    texts_ = [
        *("The capital of France is", "Once upon a time there was", "def fibonacci(n):"),
        *("Water boils at 100", "안녕하세요. 저는", "The three primary colours are red,"),
    ]
    for text_ in texts_:
        [panel] = engine.stream(NextTokenRequest.of(text=text_, likeliest=100), Stop())
        ids = [piece.id for piece in panel.prompt]
        assert tokenizer(text_)["input_ids"] == ids
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0, -1].double()
        exact = torch.log_softmax(logits, -1).numpy()
        result = panel.logits.astype(np.float64)
        assert result.argmax() == exact.argmax(), text_
        assert np.exp(result).sum() == pytest.approx(1, abs=1e-3)
        assert np.abs(np.exp(result) - np.exp(exact)).max() < 0.06, text_
        assert (np.exp(exact) * (exact - result)).sum() < 0.02, text_
        likeliest = sum(np.exp(result[piece.id]) for piece in panel.likeliest)
        others = np.exp(np.delete(result, [piece.id for piece in panel.likeliest])).sum()
        assert likeliest + others == pytest.approx(1, abs=1e-3)


# ---------------------------------------------------------------- several people, stop, memory


def test_slots_do_not_mix(engine):
    requests = [
        ask(f"Tell me about the number {n}.", temperature=0.9, seed=n, max_new_tokens=16)
        for n in range(8)
    ]
    alone = [text(engine, request) for request in requests]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda request: text(engine, request), requests)) == alone


def test_stop_frees_the_slot(engine):
    stop, events = Stop(), []
    for event in engine.stream(
        ask("Count to a thousand.", max_new_tokens=1500, temperature=1), stop
    ):
        events.append(event)
        if len(events) == 5:
            stop.set()
            stop_time = time.perf_counter()
    assert len(events) <= 6
    assert time.perf_counter() - stop_time < 1
    busy = psutil.Process(engine.server.pid)
    time.sleep(1)
    before = sum(busy.cpu_times()[:2])
    time.sleep(1)
    assert sum(busy.cpu_times()[:2]) - before < 0.5  # it computes nothing any more


def test_its_memory_stays_under_half_of_the_transformers_path(file):
    """A process with the same weights in float32 by transformers takes 978 MiB."""
    fresh = loaded(file.parent)
    try:
        assert fresh._slots == 8
        text(fresh, ask("Tell me a story.", num_return_sequences=8, temperature=1.0))
        for number in range(6):  # each look at a whole vocabulary takes 50 MiB for a moment
            list(fresh.stream(NextTokenRequest.of(text=f"The number {number} is"), Stop()))
        most = fresh.nbytes() / 2**20
        end = time.monotonic() + 20
        while fresh.nbytes() / 2**20 > 460 and time.monotonic() < end:
            time.sleep(0.5)
        least = fresh.nbytes() / 2**20
    finally:
        fresh.server.close()
    assert most < 530  # it does not grow with every look
    assert least < 460 < 0.5 * 978, least


def test_heads_that_do_not_divide_into_blocks(file, tmp_path):
    """12 heads of 48 numbers: 32 together do not fit, so keys stay in bfloat16."""
    path = tmp_path / "odd" / "odd-Q4_1.gguf"
    path.parent.mkdir()
    shutil.copyfile(file, path)
    for name, value in (("attention.head_count", 12), ("attention.head_count_kv", 4)):
        set_number(path, f"llama.{name}".encode(), value)
    set_number(path, b"llama.rope.dimension_count", 48)
    settings = Settings(device="cpu", models_dir=path.parent)
    answer, script = answer_of("file:odd-Q4_1.gguf", settings)
    assert len(answer) > 10  # no sense, for these are other heads than it learnt with
    assert run_alone(script, path.parent) == answer + "\n"


def test_english_starts_with_it_and_unload_ends_the_process(file):
    cache = ModelCache(Settings())
    spec = select(CHAT, "auto", Settings(), "Hello, how are you?")
    assert spec.id == ID  # the default for English where it is here
    assert select(CHAT, "auto", Settings(), "안녕하세요?").id != ID
    assert select(CHAT, "auto", Settings(), "😀👍 1!", "ko").id != ID  # a Korean page
    list(run(cache, spec, ask(max_new_tokens=2)))
    process = cache._slots[(spec.task, spec.id)].engine.server.pid
    assert cache.status()[0].nbytes > 98_000_000
    cache.unload(spec.task, spec.id)
    end = (
        time.monotonic() + 5
    )  # the job's thread lets go of the engine a moment after its last event
    while psutil.pid_exists(process) and time.monotonic() < end:
        time.sleep(0.1)
    assert not psutil.pid_exists(process)
    cache.close()


# ---------------------------------------------------------------- it dies, the app lives


def test_a_process_killed_in_mid_answer_is_a_sentence_and_the_next_answer_comes(file):
    engine = loaded(file.parent)
    pid = engine.server.pid
    answer = engine.stream(ask("Tell me a story.", max_new_tokens=500), Stop())
    next(answer)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Unavailable) as problem:
        list(answer)
    assert problem.value.code == "unavailable_llama_died"
    assert "Paris" in text(engine, ask())
    assert engine.server.pid != pid
    engine.server.close()


def test_a_stop_does_not_wait_until_the_process_is_there_again(file):
    engine, stop = loaded(file.parent), Stop()
    os.kill(engine.server.pid, signal.SIGKILL)
    engine._server._process.wait()
    before = set(psutil.Process().children())
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(texts, engine, ask(), stop)
        while not (new := set(psutil.Process().children()) - before):
            time.sleep(0.001)
        (child,) = new
        child.suspend()  # its load takes for ever
        time.sleep(0.3)
        begin = time.monotonic()
        stop.set()
        try:
            with pytest.raises(Stopped):
                answer.result(5)
            assert time.monotonic() - begin < 1
        finally:
            child.resume()
    assert "Paris" in text(engine, ask())
    assert engine.server.pid == child.pid
    engine.server.close()


def test_an_answer_that_is_ended_before_it_began_is_not_written(engine, monkeypatch):
    connect = llama_server._SocketFile.connect

    def connect_late(connection) -> None:
        time.sleep(0.3)
        connect(connection)

    monkeypatch.setattr(llama_server._SocketFile, "connect", connect_late)
    pieces: list[dict] = []
    body = {"prompt": "Tell me", "n_predict": 20, "stream": True}
    engine.server.stream(body, pieces.append)()
    time.sleep(2)
    assert pieces == []


def test_the_process_goes_with_the_app(file):
    code = f"""
import os
from pathlib import Path
from tests.chat.test_llama_cpp import loaded
engine = loaded(Path({str(file.parent)!r}))
print(engine.server.pid, flush=True)
os._exit(1)  # as a crash: nothing is cleaned up
"""
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    child = int(process.stdout)
    end = time.monotonic() + 10
    while psutil.pid_exists(child) and time.monotonic() < end:
        time.sleep(0.1)
    assert not psutil.pid_exists(child)


def test_nobody_else_gets_in(engine):
    server = engine.server
    assert server._address.startswith("unix://")  # no port
    assert not psutil.Process(server.pid).net_connections("inet")
    folder = Path(server._address.removeprefix("unix://")).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    key, server._key = server._key, "wrong"
    try:
        with pytest.raises(ModelError):
            server.post("/tokenize", {"content": "x"})
    finally:
        server._key = key


# ---------------------------------------------------------------- files that are broken or hostile


@pytest.fixture
def hollow(file: Path, tmp_path: Path) -> Path:
    """SmolLM2's header with weights of nothing but zeros: a file of holes, quick to make."""
    path = tmp_path / "hollow" / "model.gguf"
    path.parent.mkdir()
    with file.open("rb") as whole:
        path.write_bytes(whole.read(3_000_000))
    os.truncate(path, file.stat().st_size)
    return path


def set_number(path: Path, name: bytes, value: int) -> None:
    data = path.read_bytes()[:3_000_000]
    at = data.index(name) + len(name)
    assert data[at : at + 4] == struct.pack("<I", 4)  # a uint32
    with path.open("r+b") as file:
        file.seek(at + 4)
        file.write(struct.pack("<I", value))


def sentence_or_answer(folder: Path) -> str:
    """The code of the problem, or "" where it answered."""
    try:
        engine = loaded(folder, concurrency=1)
    except ModelError as problem:
        return problem.code
    try:
        list(engine.stream(ask("Hi", max_new_tokens=2), Stop()))
        return ""
    except ModelError as problem:
        return problem.code
    finally:
        engine.server.close()


def test_the_hollow_file_itself_is_answered(hollow):
    assert sentence_or_answer(hollow.parent) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"llama.block_count", 100_000),
        (b"llama.context_length", 0),
        (b"llama.attention.head_count", 0),
        (b"llama.embedding_length", 2**31),
        (b"llama.rope.dimension_count", 7),
    ],
)
def test_a_header_that_lies(hollow, name, value):
    set_number(hollow, name, value)
    assert sentence_or_answer(hollow.parent) in {"damaged_gguf", "unavailable_llama_died"}


def test_files_that_are_no_model(file, tmp_path):
    for number, content in enumerate(
        [b"", b"no model", b"GGUF", file.read_bytes()[:1_000_000], file.read_bytes()[:50_000_000]]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "model.gguf").write_bytes(content)
        with pytest.raises(Damaged) as problem:
            loaded(folder)
        assert problem.value.code == "damaged_gguf"
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="not_found_gguf"):
        loaded(tmp_path / "empty")


def test_a_model_that_fills_the_memory(hollow):
    spec = find(CHAT, ID)
    where = place(spec, Settings())
    with pytest.raises(OutOfMemory) as problem:  # weights alone: 0.1 GB
        LlamaCppChat.load(spec, hollow.parent, where, Settings(memory_gb=0.2))
    assert problem.value.code == "out_of_memory_limit"
    assert 0.2 < problem.value.params["needed"] < 0.5
    few = LlamaCppChat.load(spec, hollow.parent, where, Settings(memory_gb=0.45))
    few.server.close()
    assert 0 < few._slots < spec.concurrency  # fewer people at once rather than none
    os.truncate(hollow, 2**43)  # 8 TB of holes
    with pytest.raises(OutOfMemory):
        loaded(hollow.parent)
    os.truncate(hollow, 100_000_000)
    set_number(hollow, b"llama.attention.head_count_kv", 2**30)
    with pytest.raises(OutOfMemory):
        loaded(hollow.parent)


def test_an_unknown_architecture_and_an_encoder(hollow):
    content = hollow.read_bytes()[:3_000_000]
    size = hollow.stat().st_size
    hollow.write_bytes(content.replace(b"llama", b"lamma"))
    os.truncate(hollow, size)
    assert sentence_or_answer(hollow.parent) == "damaged_gguf"
    name = b"general.architecture" + struct.pack("<IQ", 8, 5)
    hollow.write_bytes(content.replace(name + b"llama", name + b"bert\0"))
    with pytest.raises(NotFound) as problem:
        loaded(hollow.parent)
    assert problem.value.code == "not_found_task"
    # An embedding model of a language model's architecture says how its vectors are pooled.
    name = b"llama.context_length"
    at = content.index(name)
    rows = content[:at] + b"llama.pooling_type\0\0" + content[at + len(name) :]
    hollow.write_bytes(
        rows.replace(
            b"\x14" + b"\0" * 7 + b"llama.pooling_type\0\0",
            b"\x12" + b"\0" * 7 + b"llama.pooling_type",
        )
    )
    with pytest.raises(NotFound, match="not_found_task"):
        loaded(hollow.parent)


def test_a_file_without_a_chat_template_continues_the_text(file, tmp_path):
    path = tmp_path / "plain" / "model.gguf"
    path.parent.mkdir()
    shutil.copyfile(file, path)
    data = path.read_bytes()[:3_000_000]
    with path.open("r+b") as other:
        other.seek(data.index(b"tokenizer.chat_template"))
        other.write(b"tokenizer.chat_templatX")
    engine = loaded(path.parent, concurrency=1)
    events = list(engine.stream(ask("The capital of France is"), Stop()))
    engine.server.close()
    assert events[-1].notes == (Note("plain_continuation"),)
    assert "Paris" in "".join(e.text for e in events if isinstance(e, TextDelta))


def test_gemma_continues_korean(real_weights):
    folder = real_weights(
        "gemma-3-270m-gguf"
    ).parent  # its terms were accepted here, or it is skipped
    spec = find(CHAT, "gemma-3-270m-gguf")
    gemma = LlamaCppChat.load(spec, folder, place(spec, Settings()), Settings())
    try:
        events = list(gemma.stream(ask("대한민국의 수도는"), Stop()))
        assert events[-1].notes == (Note("plain_continuation"),)
        content = "".join(e.text for e in events if isinstance(e, TextDelta))
        assert sum("가" <= letter <= "힣" for letter in content) >= 5, content
        [panel] = gemma.stream(NextTokenRequest.of(text="대한민국의 수도는"), Stop())
        assert np.exp(panel.logits.astype(np.float64)).sum() == pytest.approx(1, abs=1e-3)
    finally:
        gemma.server.close()


FUZZ_COUNT = int(os.environ.get("FUZZED", "24"))  # more by hand: each starts a process


def test_fuzzed_headers(hollow):
    draw = random.Random(1)
    original = hollow.read_bytes()[:3_000_000]
    names = original.index(b"tokenizer.ggml.tokens")  # before it: the numbers of the architecture
    codes: dict[str, int] = {}
    for _ in range(FUZZ_COUNT):
        data = bytearray(original[:names])
        for _ in range(draw.choice([1, 1, 2, 8])):
            data[draw.randrange(24, len(data))] = draw.choice(
                [0, 1, 0x7F, 0xFF, draw.randrange(256)]
            )
        with hollow.open("r+b") as file:
            file.write(data)
        code = sentence_or_answer(hollow.parent)
        codes[code] = codes.get(code, 0) + 1
    assert sum(codes.values()) == FUZZ_COUNT
    print(codes)


# ---------------------------------------------------------------- from its name to the recipe


def run_alone(script: str, folder: Path, **environment: str) -> str:
    """What a recipe prints."""
    process = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout


def answer_of(model_id: str, settings: Settings) -> tuple[str, str]:
    """The text by the whole way (find, fetch, place, load), and its recipe."""
    spec, request = (
        find(CHAT, model_id),
        ask("Tell me a story.", system_prompt="", temperature=0.9, seed=4),
    )
    cache = ModelCache(settings)
    try:
        events = list(run(cache, spec, request))
    finally:
        cache.close()
    end = next(event for event in events if isinstance(event, ChatDone))
    place_of_it = next(event for event in events if isinstance(event, Finished)).placement
    assert (place_of_it.device, place_of_it.dtype) == ("cpu", "Q4_1")
    script = recipe.python(spec, request, place_of_it, end.notes)
    return "".join(e.text for e in events if isinstance(e, TextDelta)), script


def test_a_model_of_the_hub(file, tmp_path, monkeypatch):
    for name in ("HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    repository = Repository({"SmolLM2-Q4_1.gguf": file.read_bytes(), "x-Q8_0.gguf": b"another"})
    with HubServer({"org/SmolLM2-GGUF": repository}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        answer, script = answer_of("hf.co/org/SmolLM2-GGUF:q4_1", Settings(device="cpu"))
        assert len(answer) > 40
        assert run_alone(script, tmp_path) == answer + "\n"
        assert not [record for record in server.calls if "x-Q8_0" in record.path]


def test_a_file_of_the_hosts_folder(file, tmp_path):
    folder = tmp_path / "own" / "more"
    folder.mkdir(parents=True)
    shutil.copyfile(file, folder / "mine-Q4_1.gguf")
    settings = Settings(device="cpu", models_dir=tmp_path / "own")
    answer, script = answer_of("file:more/mine-Q4_1.gguf", settings)
    assert run_alone(script, tmp_path / "own") == answer + "\n"


# ---------------------------------------------------------------- the recipe


def test_the_recipe_alone_gives_the_same_text(engine, file, tmp_path):
    spec = find(CHAT, ID)
    (tmp_path / file.name).symlink_to(file)
    request = ask("Tell me a story.", temperature=0.9, top_k=50, seed=11, prefix="Once")
    answer = text(engine, request)
    script = recipe.python(spec, request, place(spec, Settings()))
    assert "api" not in script.lower().replace("/api", "")
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert process.stdout == answer + "\n"
    panel = NextTokenRequest.of(text="The capital of France is", likeliest=3)
    script = recipe.next_token_python(spec, panel, place(spec, Settings()), 1.0, 1.0, 0)
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "' Paris'" in process.stdout.splitlines()[0]
