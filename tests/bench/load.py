"""A class on one page: `python -m tests.bench.load`, over raw HTTP, on an app of its own.

load      so many people, each with a tab of the page and one call after another: is every answer the one
          got alone, how many are there, how long does each kind take, and is any refused?
overhead  what HTTP adds to the same call made directly, one caller
memory    the app's memory over many requests
closings  callers who leave in the middle of a picture: what is left of them?
"""

import argparse
import json
import math
import statistics
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import psutil

from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import select, select_encoder
from models.sentence_similarity.requests import SimilarityRequest
from models.sentiment.requests import SentimentRequest
from models.settings import Settings
from models.tasks import SENTIMENT
from tests.conftest import Server, start_server
from tests.pictures import psnr

ALIKE = 1e-5  # of scores and cosines got alone and in a crowd
PSNR = 35.0
QUESTIONS = ("Hello!", "How are you today?", "Do you like music?", "안녕하세요!", "오늘 뭐 했어요?")
REVIEWS = (
    "I loved every minute.",
    "A dull mess that never ends.",
    "정말 재미있었어요.",
    "시간이 아까워요.",
)
PAIRS = (
    ("A man plays the guitar.", "Someone is making music."),
    ("The king rules the land.", "Shares fell sharply today."),
)
COLOURS, SHAPES = ("red", "blue", "green", "yellow"), ("circle", "square", "triangle")
VARIANTS = 8  # different requests of a kind
Call = Callable[[], Any]


class Page:
    """One visitor's connection to the page's queue, by http.client: a program of many costs little."""

    def __init__(self, url: str, functions: dict[str, tuple[int, list[Any]]]) -> None:
        self._address = urlsplit(url).netloc
        self._functions = functions
        self._web = HTTPConnection(self._address, timeout=120)

    def call(self, name: str, *values: Any) -> Any:
        """The last word of an endpoint; raises Refusal with its sentence."""
        session = uuid.uuid4().hex
        number, usual = self._functions[name]
        data = [*values, *usual[len(values) :]]
        ask = {"data": data, "fn_index": number, "session_hash": session}
        status, body = self._send("POST", "/gradio_api/queue/join", ask)
        if status != 200:
            raise Refusal(json.loads(body).get("detail", str(status)))
        for event in self._listen(session):
            if event["msg"] == "process_completed":
                if not event["success"]:
                    raise Refusal(event["output"].get("error") or "no sentence")
                return event["output"]["data"]
        raise Refusal("the stream ended without an answer")

    def file(self, path: str) -> bytes:
        """A file that the page made."""
        return self._send("GET", f"/gradio_api/file={quote(path)}")[1]

    def _send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body)
        self._web.request(method, path, data, {"content-type": "application/json"})
        answer = self._web.getresponse()
        return answer.status, answer.read()

    def _listen(self, session: str) -> Iterator[dict[str, Any]]:
        self._web.request("GET", f"/gradio_api/queue/data?session_hash={session}")
        stream = self._web.getresponse()
        try:
            for line in stream:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        finally:
            self._web.close()  # an event stream is not read to its end


class Refusal(Exception):
    """What the page said instead of an answer."""


def chat(page: Page, n: int) -> str:
    """One tab's call: its n-th variant's answer. The others are like it."""
    return page.call(
        "chat", QUESTIONS[n % len(QUESTIONS)], [], "", "genlab/small-talk", None, None, 24, n
    )[0]


def picture(page: Page, n: int) -> bytes:
    prompt = f"a {COLOURS[n % 4]} {SHAPES[n % 3]} on a {COLOURS[(n + 1) % 4]} background"
    values = [prompt, "", "genlab/scenes", None, None, n, None, None, 1, "", "", 0.6]
    output = page.call("generate_image", *values)[0]
    files = output if isinstance(output[0], dict) else output[0]  # alone, or beside its facts
    return page.file(files[0]["path"])


def sentiment(page: Page, n: int) -> list[float]:
    answer = page.call("analyze_sentiment", f"{REVIEWS[n % 4]} {n}", "auto")[0]
    pairs = {one["label"]: one["confidence"] for one in answer["confidences"]}
    return [pairs[label] for label in sorted(pairs)]


def similarity(page: Page, n: int) -> list[float]:
    one, other = PAIRS[n % 2]
    return [page.call("compare_sentences", f"{one} {n}", other, "auto")[0]]


KINDS: dict[str, Callable[[Page, int], Any]] = {
    "chat": chat,
    "picture": picture,
    "sentiment": sentiment,
    "similarity": similarity,
}


def equal(one: Any, other: Any) -> bool:
    """Whether two answers of a kind are the same."""
    if isinstance(one, str):
        return one == other
    if isinstance(one, bytes):
        return psnr(one, other) >= PSNR
    return bool(np.allclose(one, other, atol=ALIKE))


def functions_of(url: str) -> dict[str, tuple[int, list[Any]]]:
    """The endpoints: number, and each parameter's value where a call names none."""
    web, answers = HTTPConnection(urlsplit(url).netloc, timeout=60), list[Any]()
    for path in ("/config", "/gradio_api/info"):
        web.request("GET", path)
        answers.append(json.load(web.getresponse()))
    described = answers[1]["named_endpoints"]
    return {
        name: (
            one["id"],
            [each.get("parameter_default") for each in described[f"/{name}"]["parameters"]],
        )
        for one in answers[0]["dependencies"]
        if f"/{(name := one['api_name'])}" in described
    }


def load(server: Server, people: int, seconds: float) -> None:
    """Print what `people` got within so many seconds, and whether each answer is the one got alone."""
    functions = functions_of(server.url)
    alone = Page(server.url, functions)
    expected = {(kind, n): ask(alone, n) for n in range(VARIANTS) for kind, ask in KINDS.items()}
    waits: dict[str, list[float]] = defaultdict(list)
    wrong, refusals = list[tuple[str, int]](), Counter[str]()
    end = time.monotonic() + seconds

    def person(number: int) -> None:
        kind, page, n = [*KINDS][number % len(KINDS)], Page(server.url, functions), number
        while time.monotonic() < end:
            n = (n + 1) % VARIANTS
            start = time.monotonic()
            try:
                answer = KINDS[kind](page, n)
            except Refusal as refusal:
                refusals[str(refusal)] += 1
                time.sleep(1)
                continue
            waits[kind].append(time.monotonic() - start)
            if not equal(answer, expected[kind, n]):
                wrong.append((kind, n))

    start = time.monotonic()
    together([lambda number=number: person(number) for number in range(people)])
    total = sum(map(len, waits.values()))
    print(
        f"{people} people over {len(KINDS)} tabs for {time.monotonic() - start:.0f} s: {total} answers, "
        f"{len(wrong)} not the one got alone, refused: {dict(refusals) or 'none'}"
    )
    for kind, times in waits.items():
        tenth = sorted(times)[math.ceil(0.9 * len(times)) - 1]
        print(
            f"  {kind}: {len(times)}, median {statistics.median(times):.2f} s, nine of ten {tenth:.2f} s"
        )
    for kind, n in wrong[:5]:
        print(f"  wrong: {kind} {n}")


def together(works: Sequence[Callable[[], None]]) -> None:
    """Run each in a thread and wait for all."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---------------------------------------------------------------- REST, one caller


class Rest:
    """A program's connection to /api/v1."""

    def __init__(self, url: str) -> None:
        self._web = HTTPConnection(urlsplit(url).netloc, timeout=120)

    def post(self, path: str, body: Any) -> Any:
        self._web.request(
            "POST", f"/api/v1/{path}", json.dumps(body), {"content-type": "application/json"}
        )
        answer = self._web.getresponse()
        assert answer.status == 200, answer.read()[:200]
        return json.loads(answer.read())

    def health(self) -> Any:
        self._web.request("GET", "/health")
        return json.loads(self._web.getresponse().read())


def overhead(server: Server, rounds: int = 300) -> None:
    """Print the median milliseconds of a call over HTTP and of the same made directly, in turns."""
    rest, settings = Rest(server.url), Settings()
    cache = ModelCache(settings)
    one, other = PAIRS[0]
    text, pair = SentimentRequest.of(text=REVIEWS[2]), SimilarityRequest.of(sentences=(one, other))
    report(
        "sentiment",
        lambda: rest.post("sentiment", {"text": text.text}),
        partial(run, cache, select(SENTIMENT, "auto", settings, text.text), text),
        rounds,
    )
    report(
        "similarity",
        lambda: rest.post("similarity", {"sentences": [one, other]}),
        partial(run, cache, select_encoder("auto", settings, pair.sentences), pair),
        rounds,
    )
    cache.close()


def report(name: str, over_http: Call, direct: Callable[[], Iterable[Any]], rounds: int) -> None:
    """Time both ways in turns."""
    ways: dict[str, Call] = {"http": over_http, "direct": lambda: list(direct())}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 20):
        for way, call in ways.items():
            start = time.perf_counter()
            call()
            if turn >= 20:
                times[way].append(1000 * (time.perf_counter() - start))
    http, alone = (statistics.median(times[way]) for way in ways)
    print(
        f"{name} over REST: {http:.2f} ms, direct {alone:.2f} ms, {http - alone:.2f} ms more (n={rounds})"
    )


def memory(server: Server, requests: int) -> None:
    """Print how the app's memory grows over many requests of mixed kinds, after a tenth of them."""
    process, rest = psutil.Process(server.process.pid), Rest(server.url)
    samples, every = list[tuple[int, int]](), max(1, requests // 100)
    for n in range(requests):
        if n % 10 == 9:
            rest.post("similarity", {"sentences": [f"{PAIRS[n % 2][0]} {n}", PAIRS[n % 2][1]]})
        elif n % 50 == 5:
            rest.post("images", {"prompt": "a red circle", "num_inference_steps": 1, "seed": n})
        else:
            rest.post("sentiment", {"text": f"{REVIEWS[n % 4]} {n}"})
        if n % every == 0 and n >= requests // 10:
            samples.append((n, process.memory_info().rss))
    slope = np.polyfit(*np.array(samples, float).T, 1)[0]
    first, last = samples[0][1] / 2**20, samples[-1][1] / 2**20
    print(
        f"memory over {requests:,} requests: {first:.1f} to {last:.1f} MiB, slope {slope:.0f} bytes a request"
    )


def closings(server: Server, count: int) -> None:
    """Print what is left of callers who leave in the middle of a picture."""
    rest, process = Rest(server.url), psutil.Process(server.process.pid)
    temp = server.log.parent
    body = json.dumps(
        {"prompt": "a red circle", "num_inference_steps": 100, "num_images": 8, "seed": 1}
    )

    def leave(number: int) -> None:
        web = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
        web.request("POST", "/api/v1/images", body, {"content-type": "application/json"})
        time.sleep(0.05 + 0.01 * (number % 20))
        web.close()

    def state() -> tuple[int, int, int]:
        return (
            process.num_threads(),
            process.num_fds(),
            sum(1 for p in temp.rglob("*") if p.is_file()),
        )

    def quiet() -> float:
        start = time.monotonic()
        while (health := rest.health())["active"] or health["waiting"]:
            assert time.monotonic() - start < 60, health
            time.sleep(0.05)
        return time.monotonic() - start

    together([lambda n=n: leave(n) for n in range(8)])  # what a first crowd brings stays
    quiet()
    time.sleep(2)
    before = state()
    for first in range(0, count, 8):
        together([lambda n=n: leave(n) for n in range(first, min(first + 8, count))])
    wait = quiet()
    time.sleep(2)
    start = time.monotonic()
    rest.post("images", {"prompt": "a red circle", "num_inference_steps": 1})
    print(
        f"{count} left in the middle of a picture: threads, open files, files {before} before and {state()} after; "
        f"the last was given up within {wait:.1f} s, the next picture came after {time.monotonic() - start:.2f} s"
    )


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", choices=["load", "overhead", "memory", "closings"])
    parser.add_argument("--people", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--closings", type=int, default=200)
    values = parser.parse_args()
    parts: dict[str, Callable[[Server], None]] = {
        "load": lambda server: load(server, values.people, values.seconds),
        "overhead": overhead,
        "closings": lambda server: closings(server, values.closings),
        "memory": lambda server: memory(server, values.requests),
    }
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder), HF_HUB_OFFLINE="1")
        try:
            for name, part in parts.items():
                if values.only in (None, name):
                    part(server)
        finally:
            server.process.terminate()
            server.process.wait(20)


if __name__ == "__main__":
    main()
