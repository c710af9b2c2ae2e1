"""What our decoding costs beyond transformers' own, what the KV cache saves, and the GGUF engine.

The GGUF figures need SmolLM2 (`python -m models.weights`): against bare xllamacpp in a child process of
the same layout, against GenLab's own transformers path on the same weights in float32, and with others.
"""

import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from models.chat.decoding import KVCache, chat_prompt
from models.chat.events import ChatDone, TextDelta
from models.chat.llama_cpp import LlamaCppChat
from models.chat.requests import ChatRequest, NextTokenRequest, generate_arguments
from models.chat.transformers_engine import TransformersChat
from models.contract import Placement, Stop
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.runtime.placement import cores, place
from models.select import find
from models.settings import ROOT, Settings
from models.tasks import CHAT, TEXT_TO_IMAGE
from models.text_to_image.requests import ImageRequest
from models.weights import index, sources
from tests import dequantised, tiny

RUNS = 7
CPU = Placement("cpu", "float32", "no_gpu", 1)
STORY = "Tell me a long story about a cat, a ship and the sea. "


def conversation(*messages: str, **options: Any) -> ChatRequest:
    """A conversation; wild, so that hardly an answer ends by itself."""
    turns = [{"role": ("user", "assistant")[k % 2], "content": m} for k, m in enumerate(messages)]
    usual = {"temperature": 2.0, "top_p": 1.0, "seed": 1, "max_new_tokens": 150}
    return ChatRequest.of(messages=turns, **(usual | options))


def starter() -> TransformersChat:
    """The starter, on one thread as the page has it."""
    spec = find(CHAT, "genlab/small-talk")
    return TransformersChat.load(spec, sources.STARTERS / spec.name, CPU, Settings())


def wide() -> TransformersChat:
    """A Llama of SmolLM2-135M's width with 10 of its 30 layers and random weights, in bytes."""
    tokenizer = tiny.byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=10,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    return TransformersChat(LlamaForCausalLM(config), tokenizer)


def seconds(work: Callable[[], Any]) -> float:
    """Of the processor: others use this machine too."""
    began = time.process_time()
    work()
    return time.process_time() - began


def decoding(engine: TransformersChat) -> dict[str, float]:
    """Median speed against a bare `generate` of the same tokens, without and with token odds."""
    request = conversation(STORY)
    prompt = chat_prompt(engine._tokenizer, request, engine._window)

    def bare() -> None:
        torch.manual_seed(request.seed)
        with torch.inference_mode():
            inputs = prompt.inputs(engine._model.device)
            engine._model.generate(**inputs, **generate_arguments(request, prompt.room))

    def ours(alternatives: int) -> None:
        engine._kv_cache = KVCache()
        with_odds = request.model_copy(update={"alternatives": alternatives})
        for _ in engine.stream(with_odds, Stop()):
            pass

    ratios: dict[str, list[float]] = {"off": [], "on": []}
    bare()
    ours(8)
    for _ in range(RUNS):
        plain = seconds(bare)
        ratios["off"].append(plain / seconds(lambda: ours(0)))
        ratios["on"].append(plain / seconds(lambda: ours(8)))
    return {name: statistics.median(values) for name, values in ratios.items()}


def second_turn(engine: TransformersChat, message: str) -> tuple[float, float, int, bool]:
    """Median milliseconds to a second turn's first word, with and without; tokens; same text."""
    first = "".join(
        e.text
        for e in engine.stream(conversation(message, max_new_tokens=40), Stop())
        if isinstance(e, TextDelta)
    )
    again = conversation(message, first, "And then?", max_new_tokens=1)
    tokens = len(chat_prompt(engine._tokenizer, again, engine._window).ids)
    times: dict[bool, list[float]] = {True: [], False: []}
    texts: set[str] = set()
    for _ in range(RUNS):
        for keep in (True, False):
            engine._kv_cache = KVCache()
            if keep:
                list(engine.stream(conversation(message, max_new_tokens=40), Stop()))
            began = time.process_time()
            events = list(engine.stream(again, Stop()))
            times[keep].append(1000 * (time.process_time() - began))
            texts.add("".join(e.text for e in events if isinstance(e, TextDelta)))
    warm, cold = statistics.median(times[True]), statistics.median(times[False])
    return warm, cold, tokens, len(texts) == 1


# ---------------------------------------------------------------- SmolLM2 by llama.cpp

GGUF = find(CHAT, "smollm2-135m-instruct-gguf")
ANSWER = 64  # tokens
THREADS = max(1, cores() - 1)
_BARE = """
import json, sys, threading, xllamacpp
wish = json.loads(sys.stdin.readline())
parameters = xllamacpp.CommonParams()
parameters.model.path = wish["model"]
parameters.n_ctx = 2048
parameters.n_parallel = 1
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = wish["threads"]
parameters.hostnames = [wish["host"]]
parameters.verbosity = -1
server = xllamacpp.Server(parameters)
sys.stderr.write("ready " + server.listening_address + chr(10))
sys.stderr.flush()
threading.Event().wait()
"""


class _Unix(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.host)


@contextmanager
def bare(file: Path) -> Generator[Callable[[dict[str, Any]], int]]:
    """xllamacpp as it comes in a child process behind a socket file: a body -> tokens that came."""
    with tempfile.TemporaryDirectory() as folder:
        host = f"{folder}/bare.sock"
        wish = json.dumps({"model": str(file), "threads": THREADS, "host": host})
        child = subprocess.Popen(
            [sys.executable, "-c", _BARE], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert child.stdin is not None
        assert child.stderr is not None
        child.stdin.write(wish + "\n")
        child.stdin.flush()
        while "ready" not in child.stderr.readline():
            pass
        threading.Thread(target=child.stderr.read, daemon=True).start()

        def ask(body: dict[str, Any]) -> int:
            connection = _Unix(host)
            connection.request(
                "POST", "/completion", json.dumps(body), {"Content-Type": "application/json"}
            )
            response, count = connection.getresponse(), 0
            while line := response.readline():
                if line.startswith(b"data: "):
                    piece = json.loads(line[6:])
                    count = piece.get("tokens_predicted", count)
            connection.close()
            return count

        try:
            yield ask
        finally:
            child.kill()
            child.wait()


def story(seed: int, **options: Any) -> ChatRequest:
    """A question with a long answer."""
    return conversation(
        f"Tell me a long story about {seed} cats.",
        seed=seed,
        max_new_tokens=ANSWER,
        temperature=0.3,
        **options,
    )


def answer(engine: Any, request: ChatRequest) -> tuple[float, float, float, int]:
    """When the first and the last text came, when the last came since the first, and the tokens."""
    began, first, count = time.perf_counter(), 0.0, 0
    for event in engine.stream(request, Stop()):
        if isinstance(event, TextDelta):
            first = first or time.perf_counter() - began
            count += 1
        if isinstance(event, ChatDone):
            count = event.completion_tokens
    whole = time.perf_counter() - began
    return first, whole, whole - first, count


def speed(engine: Any, request: ChatRequest) -> float:
    """Tokens a second, from the request to its end."""
    _, whole, _, count = answer(engine, request)
    return count / whole


def loaded() -> LlamaCppChat:
    """The engine on a processor, as the page has it."""
    settings = Settings(device="cpu")
    file = index.cached_path(GGUF)
    assert file is not None
    return LlamaCppChat.load(GGUF, file.parent, place(GGUF, settings), settings)


_MEMORY = """
import psutil, torch
from models.chat.transformers_engine import TransformersChat
from models.contract import Stop
from tests import dequantised
from tests.bench import chat_local as bench
before = psutil.Process().memory_info().rss
engine = TransformersChat(*dequantised.load(bench.index.cached_path(bench.GGUF)))
list(engine.stream(bench.story(1), Stop()))
print(psutil.Process().memory_info().rss, before)
"""


def against_others(engine: LlamaCppChat, file: Path) -> None:
    """Speed beside bare xllamacpp and beside transformers, in turns."""
    transformers = TransformersChat(*dequantised.load(file))
    torch.set_num_threads(THREADS)
    prompt = [t.id for t in next(engine.stream(panel(), Stop())).prompt]
    body = {"prompt": prompt, "n_predict": ANSWER, "temperature": 0.3, "top_p": 1.0, "stream": True}
    ratios: dict[str, list[float]] = {"bare": [], "transformers": []}
    ours, theirs, slow = [], [], []
    with bare(file) as ask:
        for turn in range(RUNS + 1):
            request = story(turn + 1)
            began = time.perf_counter()
            count = ask({**body, "seed": turn + 1, "cache_prompt": False})
            plain = count / (time.perf_counter() - began)
            fast, second = speed(engine, request), speed(transformers, request)
            if turn:  # the first warms up
                ours.append(fast)
                theirs.append(plain)
                slow.append(second)
                ratios["bare"].append(fast / plain)
                ratios["transformers"].append(fast / second)
    print(
        f"GGUF engine: {statistics.median(ours):.1f} tokens/s; bare xllamacpp in a child process "
        f"{statistics.median(theirs):.1f}; {statistics.median(ratios['bare']):.2f} times its speed"
    )
    print(
        f"... GenLab's transformers path on the same weights in float32 {statistics.median(slow):.1f}; "
        f"{statistics.median(ratios['transformers']):.2f} times its speed (medians of {RUNS}, in turns)"
    )


def memory(engine: LlamaCppChat) -> None:
    """What the child holds after much use, and a process with the transformers path after one answer."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: answer(engine, story(seed)), range(50, 58)))
    for number in range(8):  # the whole vocabulary, as the panel asks for it
        list(engine.stream(NextTokenRequest.of(text=f"The number {number} is"), Stop()))
    process = subprocess.run(
        [sys.executable, "-c", _MEMORY], cwd=ROOT, capture_output=True, text=True, check=True
    )
    whole, before = map(int, process.stdout.split())
    child = engine.server.nbytes()
    print(
        f"memory of its process, {GGUF.concurrency} people's room, after 8 answers at once and 8 looks at the next "
        f"token: {child / 2**20:.0f} MiB; of a process with the transformers path after one answer "
        f"{whole / 2**20:.0f} MiB ({(whole - before) / 2**20:.0f} of them weights and work); "
        f"{child / whole:.2f} ({child / (whole - before):.2f})"
    )


def panel() -> NextTokenRequest:
    """The first question as the model reads it."""
    return NextTokenRequest.of(text="Tell me a long story about 1 cats.", as_message=True)


def together(engine: LlamaCppChat) -> None:
    """Eight people at once, and one alone."""
    alone = statistics.median(speed(engine, story(seed)) for seed in range(20, 23))
    began = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda seed: answer(engine, story(seed)), range(30, 38)))
    whole = time.perf_counter() - began
    firsts = sorted(first for first, *_ in results)
    ends = [end for _, end, _, _ in results]
    total = sum(count for *_, count in results) / whole
    print(
        f"8 people at once: {sum(count > 0 for *_, count in results)} answered; first text after "
        f"{firsts[0]:.2f} to {firsts[-1]:.2f} s, the first end after {min(ends):.2f} s (none waits for it: "
        f"{firsts[-1] < min(ends)}); {total:.1f} tokens/s in all, one alone {alone:.1f}: {total / alone:.2f} times"
    )


def while_drawing(engine: LlamaCppChat) -> None:
    """Tokens a second while the starter draws, and how much longer the picture takes."""
    cache = ModelCache(Settings(device="cpu"))
    picture = find(TEXT_TO_IMAGE, "genlab/scenes")

    def draw() -> float:
        began = time.perf_counter()
        list(run(cache, picture, ImageRequest.of(prompt="a red circle on blue", seed=1)))
        return time.perf_counter() - began

    def keep_drawing() -> None:
        while not over.is_set():
            slow.append(draw())

    draw()
    quick, slow, over = [draw() for _ in range(3)], list[float](), threading.Event()
    alone = [speed(engine, story(40 + turn)) for turn in range(3)]
    drawing = threading.Thread(target=keep_drawing)
    drawing.start()
    beside = [speed(engine, story(40 + turn)) for turn in range(3)]
    over.set()
    drawing.join()
    cache.close()
    fast, less = statistics.median(alone), statistics.median(beside)
    print(
        f"while pictures are drawn: {less:.1f} tokens/s, alone {fast:.1f}: {less / fast:.2f}; a picture takes "
        f"{statistics.median(slow):.2f} s, alone {statistics.median(quick):.2f} s: "
        f"{statistics.median(slow) / statistics.median(quick):.2f} times (medians)"
    )


def processor() -> str:
    """The processor's name and what this program may use of it."""
    name = platform.processor() or platform.machine()
    with Path("/proc/cpuinfo").open() as file:
        name = next(
            (line.partition(":")[2].strip() for line in file if line.startswith("model name")), name
        )
    return f"{name}, {cores()} cores, load {os.getloadavg()[0]:.1f}; llama.cpp and torch with {THREADS} thread(s)"


def gguf_figures() -> None:
    """Print the GGUF engine's figures, or why there are none; "memory" alone if it is named."""
    file = index.cached_path(GGUF)
    if file is None:
        print("GGUF engine: not measured, python -m models.weights fetches SmolLM2")
        return
    if sys.argv[1:] == ["memory"]:
        engine = loaded()
        memory(engine)
        engine.server.close()
        return
    print(f"machine: {processor()}")
    loads: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        engine = loaded()
        loads.append(time.perf_counter() - began)
        engine.server.close()
    print(f"load: {statistics.median(loads):.2f} s ({', '.join(f'{s:.2f}' for s in loads)})")
    engine = loaded()
    try:
        answer(engine, story(0))
        against_others(engine, file)
        memory(engine)
        together(engine)
        while_drawing(engine)
    finally:
        engine.server.close()


def main() -> None:
    """Print every figure, or the word "memory" after the command: this one."""
    if sys.argv[1:] == ["memory"]:
        gguf_figures()
        return
    torch.set_num_threads(1)
    small = starter()
    for name, ratio in decoding(small).items():
        print(f"local decoding against a bare generate, token odds {name}: {ratio:.2f} (n={RUNS})")
    for name, engine, message in (
        ("starter", small, STORY * 6),
        ("10 layers of 576", wide(), STORY * 8),
    ):
        warm, cold, tokens, same = second_turn(engine, message)
        print(
            f"second turn, {name}, {tokens} tokens: first word {warm:.1f} ms of processor time with "
            f"the first turn in the KV cache, {cold:.1f} ms without (medians of {RUNS}); same text: {same}"
        )
    gguf_figures()


if __name__ == "__main__":
    main()
