"""A class on one page: `python -m tests.bench.load`, over raw HTTP, on an app of its own.

load      so many people, each with a tab of the page and one call after another: is every answer the one
          got alone, how many are there, how long does each kind take, and is any refused?
overhead  what HTTP adds to the same call made directly, one caller
closings  callers who leave in the middle of a picture, on the page and over REST: what is left of them?
memory    the app's memory over many requests, in whatever time they take up to a quarter of an hour

Each part says how far it is, and ends at its own limit of time whatever happens. Ends with a line a figure,
its aim beside it, and 1 if one is missed.
"""

import argparse
import itertools
import json
import math
import re
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from http.client import HTTPConnection, HTTPException
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

# Aims.
ANSWERS = 600  # in MINUTE seconds by CLASS people; in proportion where --seconds is another
CLASS, MINUTE = 32, 60
MEDIAN = 8.0  # seconds, of each kind
OVERHEAD = 5.0  # milliseconds
SLOPE = 1000  # bytes a request
ALIKE = 1e-5  # of scores and cosines got alone and in a crowd
PSNR = 35.0  # dB

PATIENCE = 30  # seconds for one answer
LIMITS = {"load": 120, "overhead": 40, "closings": 60, "memory": 900}  # seconds, beside --seconds
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
LONG = {"prompt": "a red circle", "num_inference_steps": 100, "num_images": 8, "seed": 1}
SHORT = {"prompt": "a red circle", "num_inference_steps": 1, "seed": 1}
VARIANTS = 8  # different requests of a kind
HELPERS = 4  # callers of the memory's part
# Seconds without work after which a thread that does jobs, and one that reads their events, may end.
IDLE_WORKER, IDLE_READER = 2, 10
JSON = {"content-type": "application/json"}
BEGIN = time.monotonic()
Call = Callable[[], Any]


class Figures:
    """What was found: a line a figure, with its aim and whether it is met."""

    def __init__(self) -> None:
        self.misses = False

    def add(self, words: str, aim: str, met: bool) -> None:
        """Print one."""
        self.misses |= not met
        print(f"{'ok    ' if met else 'MISSED'} {words} (aim: {aim})", flush=True)


def progress(words: str) -> None:
    """Say how far it is, on the error stream."""
    print(f"    {time.monotonic() - BEGIN:4.0f} s  {words}", file=sys.stderr, flush=True)


# ---------------------------------------------------------------- the page's own calls


class Refusal(Exception):
    """What the page said instead of an answer."""


class Page:
    """One visitor's connection to the page's queue, by http.client: a program of many costs little."""

    def __init__(self, url: str, functions: dict[str, tuple[int, list[Any]]]) -> None:
        self._functions = functions
        self._web = HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)

    def call(self, name: str, *values: Any) -> Any:
        """The last word of an endpoint.

        Raises:
            Refusal: with the page's sentence, or what happened to the connection.
        """
        try:
            for event in self.listen(self.join(name, *values)):
                if event["msg"] == "process_completed":
                    if not event["success"]:
                        raise Refusal(event["output"].get("error") or "no sentence")
                    return event["output"]["data"]
            raise Refusal("the stream ended without an answer")
        except (OSError, HTTPException) as error:
            self._web.close()
            raise Refusal(type(error).__name__) from None

    def join(self, name: str, *values: Any) -> str:
        """Ask; returns the session whose stream has the answer."""
        session = uuid.uuid4().hex
        number, usual = self._functions[name]
        data = [*values, *usual[len(values) :]]
        ask = {"data": data, "fn_index": number, "session_hash": session}
        status, body = self._send("POST", "/gradio_api/queue/join", ask)
        if status != 200:
            raise Refusal(json.loads(body).get("detail", str(status)))
        return session

    def listen(self, session: str) -> Iterator[dict[str, Any]]:
        """The events of a session; closing it leaves the page."""
        self._web.request("GET", f"/gradio_api/queue/data?session_hash={session}")
        try:
            with self._web.getresponse() as stream:
                for line in stream:
                    if line.startswith(b"data:"):
                        yield json.loads(line[5:])
        finally:
            self._web.close()  # an event stream is not read to its end

    def file(self, path: str) -> bytes:
        """A file that the page made."""
        return self._send("GET", f"/gradio_api/file={quote(path)}")[1]

    def _send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        return send(self._web, method, path, body)


def send(web: HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Status and body of a call; a connection that the app gave up for its idleness is opened anew."""
    data = None if body is None else json.dumps(body)
    try:
        web.request(method, path, data, JSON)
        answer = web.getresponse()
    except ConnectionError:  # http.client's RemoteDisconnected too
        web.close()
        web.request(method, path, data, JSON)
        answer = web.getresponse()
    return answer.status, answer.read()


def functions_of(url: str) -> dict[str, tuple[int, list[Any]]]:
    """The endpoints: number, and each parameter's value where a call names none."""
    web = HTTPConnection(urlsplit(url).netloc, timeout=60)
    config, info = (json.loads(send(web, "GET", p)[1]) for p in ("/config", "/gradio_api/info"))
    description = info["named_endpoints"]
    return {
        name: (
            one["id"],
            [each.get("parameter_default") for each in description[f"/{name}"]["parameters"]],
        )
        for one in config["dependencies"]
        if f"/{(name := one['api_name'])}" in description
    }


def chat(page: Page, n: int) -> str:
    """One tab's call: its n-th variant's answer. The others are like it."""
    return page.call(
        "chat", QUESTIONS[n % len(QUESTIONS)], [], "", "genlab/small-talk", None, None, 24, n
    )[0]


def picture(page: Page, n: int) -> bytes:
    prompt = f"a {COLOURS[n % 4]} {SHAPES[n % 3]} on a {COLOURS[(n + 1) % 4]} background"
    output = page.call("generate_image", *drawing(prompt, n))[0]
    files = output if isinstance(output[0], dict) else output[0]  # alone, or beside its facts
    return page.file(files[0]["path"])


def drawing(prompt: str, seed: int, steps: int | None = None, count: int = 1) -> list[Any]:
    """The values of the page's endpoint for pictures; the rest is the model's own."""
    return [prompt, "", "genlab/scenes", None, steps, seed, None, None, count, "", "", 0.6]


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
    if isinstance(one, bytes):
        return one == other or psnr(one, other) >= PSNR
    return one == other if isinstance(one, str) else bool(np.allclose(one, other, atol=ALIKE))


# ---------------------------------------------------------------- a class


def load(server: Server, figures: Figures, people: int, seconds: float) -> None:
    """What `people` got within so many seconds, and whether each answer is the one got alone."""
    functions = functions_of(server.url)
    give_up = time.monotonic() + LIMITS["load"]
    expected = dict[tuple[str, int], Any]()
    alone = Page(server.url, functions)
    for kind, n in itertools.product(KINDS, range(VARIANTS)):
        if time.monotonic() > give_up:
            return figures.add("load: the answers got alone took too long", "two minutes", False)
        expected[kind, n] = KINDS[kind](alone, n)
        if n == VARIANTS - 1:
            progress(f"load: {kind}, {VARIANTS} answers got alone")
    waits: dict[str, list[float]] = defaultdict(list)
    answers = list[tuple[str, int, Any]]()  # compared at the end, so as not to take the app's cores
    refusals = Counter[str]()
    start = time.monotonic()

    def person(number: int) -> None:
        kind, page, n = [*KINDS][number % len(KINDS)], Page(server.url, functions), number
        while time.monotonic() < start + seconds:
            n = (n + 1) % VARIANTS
            before = time.monotonic()
            try:
                answer = KINDS[kind](page, n)
            except Refusal as refusal:
                refusals[str(refusal)] += 1
                time.sleep(1)
                continue
            waits[kind].append(time.monotonic() - before)
            answers.append((kind, n, answer))

    def say() -> None:
        progress(
            f"load: {time.monotonic() - start:.0f} s, {len(answers)} answers, {refusals or ''}"
        )

    works = [partial(person, number) for number in range(people)]
    in_time = together(works, seconds + PATIENCE + 10, say)
    seconds_so_far = time.monotonic() - start
    # No more of the aim than what the others had time for: they ended their last call after the end.
    target = ANSWERS * seconds / MINUTE * min(1, people / CLASS)
    title = f"{people} people over {len(KINDS)} tabs"
    figures.add(
        f"{title} for {seconds_so_far:.0f} s: {len(answers)} answers",
        f"at least {target:.0f}",
        in_time and len(answers) >= target,
    )
    wrong = [(kind, n) for kind, n, answer in answers if not equal(answer, expected[kind, n])]
    figures.add(f"{title}: {len(wrong)} not the one got alone {wrong[:5] or ''}", "none", not wrong)
    others = {words: n for words, n in refusals.items() if not re.search(r"come back in \d", words)}
    figures.add(
        f"{title}: refused {dict(refusals) or 'nobody'}",
        "only 'full, come back in n s'",
        not others,
    )
    for kind in KINDS:
        times = sorted(waits[kind]) or [math.inf]
        median, tenth = statistics.median(times), times[math.ceil(0.9 * len(times)) - 1]
        words = f"  {kind}: {len(waits[kind])}, median {median:.2f} s, nine of ten {tenth:.2f} s"
        figures.add(words, f"median at most {MEDIAN:.0f} s", median <= MEDIAN)


def together(works: Sequence[Call], seconds: float, say: Call = lambda: None) -> bool:
    """Run each in a thread and wait for all, for so long; whether all ended. Says how far they are."""
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    last = time.monotonic()
    while any(thread.is_alive() for thread in threads) and time.monotonic() < end:
        time.sleep(0.02)
        if time.monotonic() - last > 5:
            last = time.monotonic()
            say()
    return not any(thread.is_alive() for thread in threads)


# ---------------------------------------------------------------- REST, one caller


class Rest:
    """A program's connection to /api/v1."""

    def __init__(self, url: str, timeout: float = PATIENCE) -> None:
        self._web = HTTPConnection(urlsplit(url).netloc, timeout=timeout)

    def post(self, path: str, body: Any) -> Any:
        status, answer = send(self._web, "POST", f"/api/v1/{path}", body)
        assert status == 200, answer[:200]
        return json.loads(answer)

    def health(self) -> Any:
        return json.loads(send(self._web, "GET", "/health")[1])


def warm(server: Server) -> None:
    """Bring the models into memory, so that no part measures that."""
    rest = Rest(server.url, LIMITS["load"])
    for path, body in (
        ("chat", {"messages": [{"role": "user", "content": "Hi"}], "model": "genlab/small-talk"}),
        ("images", SHORT),
        *(("sentiment", {"text": text}) for text in REVIEWS[1:3]),
        ("similarity", {"sentences": PAIRS[0]}),
    ):
        rest.post(path, body)
    for _ in range(3):  # a UNet has a program for each of some numbers of rows
        body = SHORT | {"num_inference_steps": 8}
        callers = [Rest(server.url, LIMITS["load"]) for _ in range(2 * HELPERS)]
        together([partial(one.post, "images", body) for one in callers], LIMITS["load"])
    progress("the models are in memory")


def overhead(server: Server, figures: Figures, rounds: int) -> None:
    """The median milliseconds of a call over HTTP and of the same made directly, in turns."""
    rest, settings = Rest(server.url), Settings()
    cache = ModelCache(settings)
    one, other = PAIRS[0]
    text, pair = SentimentRequest.of(text=REVIEWS[2]), SimilarityRequest.of(sentences=(one, other))
    end = time.monotonic() + LIMITS["overhead"]
    for name, over_http, direct in (
        (
            "sentiment",
            lambda: rest.post("sentiment", {"text": text.text}),
            partial(run, cache, select(SENTIMENT, "auto", settings, text.text), text),
        ),
        (
            "similarity",
            lambda: rest.post("similarity", {"sentences": [one, other]}),
            partial(run, cache, select_encoder("auto", settings, pair.sentences), pair),
        ),
    ):
        http, alone, count = by_turns(over_http, direct, rounds, end)
        figures.add(
            f"{name} over REST: {http:.2f} ms, direct {alone:.2f} ms, {http - alone:.2f} ms more (n={count})",
            f"at most {OVERHEAD:.0f} ms more",
            count > 0 and http - alone <= OVERHEAD,
        )
    cache.close()


def by_turns(
    over_http: Call, direct: Callable[[], Iterable[Any]], rounds: int, end: float
) -> tuple[float, float, int]:
    """Medians of both ways in milliseconds, and how many turns there were until `end`."""
    ways: dict[str, Call] = {"http": over_http, "direct": lambda: list(direct())}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 20):
        if time.monotonic() > end:
            break
        for way, call in ways.items():
            start = time.perf_counter()
            call()
            if turn >= 20:  # the models are in memory and warm
                times[way].append(1000 * (time.perf_counter() - start))
        if turn % 100 == 99:
            progress(f"overhead: {turn + 1} turns")
    http, alone = (statistics.median(times[way] or [math.nan]) for way in ways)
    return http, alone, len(times["http"])


def memory(server: Server, figures: Figures, requests: int) -> None:
    """How the app's memory grows over many requests of mixed kinds, after a tenth of them.

    Its own memory: a file of weights is mapped, and a page of it is looked at when its word first comes.
    """
    process, numbers = psutil.Process(server.process.pid), iter(range(requests))
    samples, every = list[tuple[int, int]](), max(1, requests // 200)
    start, turn, done = time.monotonic(), threading.Lock(), 0
    end = start + LIMITS["memory"]
    faults = Counter[str]()

    def own() -> int:
        info = process.memory_info()
        return info.rss - info.shared

    def work() -> None:
        nonlocal done
        rest = Rest(server.url)
        while time.monotonic() < end:
            with turn:
                n = next(numbers, None)
            if n is None:
                return
            try:
                rest.post(*mixture(n))
            except (AssertionError, OSError, HTTPException) as fault:
                faults[f"{type(fault).__name__} {fault}"] += 1
                rest = Rest(server.url)
                continue
            with turn:
                done += 1
                if n % every == 0 and n >= requests // 10:
                    samples.append((n, own()))

    together(
        [work] * HELPERS,
        LIMITS["memory"] + PATIENCE,
        lambda: progress(f"memory: {done:,} requests, {own() / 2**20:.1f} MiB"),
    )
    figures.add(
        f"memory: {done:,} of {requests:,} requests answered in {time.monotonic() - start:.0f} s"
        f"{f', failed: {dict(faults)}' if faults else ''}",
        f"all, within {LIMITS['memory']} s",
        done == requests,
    )
    if len(samples) < 2:
        return figures.add("memory: too few answers for a slope", f"under {SLOPE}", False)
    slope = np.polyfit(*np.array(samples, float).T, 1)[0]
    first, last = samples[0][1] / 2**20, samples[-1][1] / 2**20
    figures.add(
        f"memory over those after the first {requests // 10:,}: {first:.1f} to {last:.1f} MiB, slope {slope:.0f} "
        "bytes a request",
        f"under {SLOPE}",
        slope < SLOPE,
    )


def mixture(n: int) -> tuple[str, dict[str, Any]]:
    """Path and body of the n-th of many: 88 of 100 sentences, 10 pairs, 2 pictures."""
    if n % 10 == 9:
        return "similarity", {"sentences": [f"{PAIRS[n % 2][0]} {n}", PAIRS[n % 2][1]]}
    if n % 50 == 5:
        return "images", {**SHORT, "seed": n}
    return "sentiment", {"text": f"{REVIEWS[n % 4]} {n}"}


def closings(server: Server, figures: Figures, count: int) -> None:
    """What is left of callers who leave in the middle of a picture, on the page and over REST in turns.

    Two pools keep threads for the next caller: those that do jobs (models/runtime/jobs.py), and AnyIO's, which read the
    jobs' events. The former end by themselves, the latter at the first call after their time. So threads are counted
    when both have had it.
    """
    functions, rest = functions_of(server.url), Rest(server.url)
    process, temp = psutil.Process(server.process.pid), server.log.parent
    end = time.monotonic() + LIMITS["closings"]
    leavers, at_work, most_threads = 0, 0, 0

    def over_rest(leave: threading.Event) -> None:
        web = HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE)
        web.request("POST", "/api/v1/images", json.dumps(LONG), JSON)
        leave.wait(PATIENCE)
        web.close()

    def on_page(leave: threading.Event) -> None:
        page = Page(server.url, functions)
        session = page.join("generate_image", *drawing("a red circle", 1, 100, 8))
        for _ in page.listen(session):
            if leave.is_set():
                break  # closes the generator, and with it the connection

    def crowd(size: int) -> None:
        """So many begin, and all leave when they are seen at work."""
        nonlocal leavers, at_work, most_threads
        leave = threading.Event()
        ways = itertools.cycle((over_rest, on_page))
        works = [partial(way, leave) for way in itertools.islice(ways, size)]
        threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in threads:
            thread.start()
        at_work_now = wait_until(lambda: rest.health()["active"] >= size)
        most_threads = max(most_threads, process.num_threads())
        leave.set()
        for thread in threads:
            thread.join(PATIENCE)
        leavers, at_work = leavers + size, at_work + size * at_work_now

    def state() -> tuple[int, int, int]:
        files = sum(1 for path in temp.rglob("*") if path.is_file())
        return process.num_threads(), process.num_fds(), files

    def is_as_before(now: tuple[int, int, int]) -> bool:
        return all(a <= b for a, b in zip(now, before, strict=True))

    def let_idle_threads_end() -> None:
        time.sleep(IDLE_READER + 1)
        rest.post("sentiment", {"text": REVIEWS[0]})
        time.sleep(IDLE_WORKER + 1)

    def wait_until(true: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        until = min(time.monotonic() + seconds, end + PATIENCE)
        while not true():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def is_quiet() -> bool:
        health = rest.health()
        return not health["active"] and not health["waiting"]

    for _ in range(5):  # what first crowds bring stays
        crowd(8)
    wait_until(is_quiet)
    let_idle_threads_end()
    before, leavers, at_work = state(), 0, 0
    while leavers < count and time.monotonic() < end:
        crowd(min(8, count - leavers))
        progress(f"closings: {leavers} left, {at_work} of them seen at work")
    start = time.monotonic()
    is_free = wait_until(is_quiet)
    wait, start = time.monotonic() - start, time.monotonic()
    rest.post("images", SHORT)
    next_picture = time.monotonic() - start
    let_idle_threads_end()
    wait_until(lambda: is_as_before(state()), 10)
    after = state()
    figures.add(
        f"{leavers} left, {at_work} of them seen at work in a picture: threads, open files, files {before} before and "
        f"{after} after; the last was given up within {wait:.1f} s, the next picture came after {next_picture:.2f} s",
        f"{count}, of whom nothing is left",
        is_free and leavers == count and is_as_before(after),
    )
    print(
        f"       {most_threads} threads at most meanwhile; a picture has two for itself, which end within {IDLE_WORKER} s of "
        f"it; AnyIO's, up to 200 for the page, 200 for REST and 40 for the rest, end at a call after {IDLE_READER} idle seconds"
    )


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", choices=[*LIMITS])
    parser.add_argument("--people", type=int, default=CLASS)
    parser.add_argument("--seconds", type=float, default=MINUTE)
    parser.add_argument("--rounds", type=int, default=300, help="of the overhead")
    parser.add_argument("--requests", type=int, default=10_000, help="of the memory")
    parser.add_argument("--closings", type=int, default=200)
    values = parser.parse_args()
    parts: dict[str, Callable[[Server, Figures], None]] = {
        "load": lambda *a: load(*a, values.people, values.seconds),
        "overhead": lambda *a: overhead(*a, values.rounds),
        "closings": lambda *a: closings(*a, values.closings),
        "memory": lambda *a: memory(*a, values.requests),
    }
    figures = Figures()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = start_server(Path(folder), HF_HUB_OFFLINE="1")
        try:
            warm(server)
            for name, part in parts.items():
                if values.only in (None, name):
                    start = time.monotonic()
                    try:
                        part(server, figures)
                    except (Refusal, AssertionError, OSError, HTTPException) as error:
                        figures.add(f"{name} broke off: {type(error).__name__} {error}", "", False)
                    progress(f"{name} took {time.monotonic() - start:.0f} s")
        finally:
            server.process.kill()
            server.process.wait(20)
    sys.exit(1 if figures.misses else 0)


if __name__ == "__main__":
    main()
