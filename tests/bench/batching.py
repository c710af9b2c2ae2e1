"""What sharing passes gives: one caller beside sixteen, at the jobs: `python -m tests.bench.batching`.

Prints for each model the answers a second of one caller and of `--callers`, whether each answer equals the
one got alone, what one caller pays for the sharing (the same calls with and without it, in turns), and how
long a sentence waits beside a file of 20,000 rows. `--only` takes some kinds. Each kind has `--limit` seconds,
whatever the machine: it does fewer calls then. Ends with 1 if an aim is missed.
"""

import argparse
import itertools
import statistics
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.contract import Event, ModelSpec, Request
from models.runtime.batching import Batcher
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.sentence_similarity.events import Encoded, Similarities
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.sentiment.events import Scores
from models.sentiment.requests import ManyTextsRequest, SentimentRequest
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, SENTIMENT, TEXT_TO_IMAGE
from models.text_to_image.events import ImagesDone
from models.text_to_image.requests import ImageRequest
from tests.pictures import psnr

ENGLISH = (
    "A quiet film that stays with you.",
    "I wanted to like it, but the second hour drags and nobody in it ever says what they mean.",
    "Brilliant!",
    "The jokes are old, the songs are new, and neither of them is good.",
    "Not bad at all for a first film, though the ending comes from nowhere.",
)
KOREAN = (
    "잔잔하지만 오래 남는 영화예요.",
    "기대했는데 뒤로 갈수록 늘어지고 인물들이 무슨 생각을 하는지 끝까지 알 수가 없어요.",
    "최고예요!",
    "농담은 낡았고 노래는 새롭지만 둘 다 별로였어요.",
    "첫 작품치고는 나쁘지 않은데 결말이 갑작스러워요.",
)
ALIKE, PSNR = 1e-5, 35  # of scores, vectors and cosines; of pictures, in dB
ONE_CALLER = 1.1  # times as long with sharing as without
COLOURS, SHAPES = ("red", "blue", "green", "yellow"), ("circle", "square", "triangle")


@dataclass(frozen=True)
class Kind:
    """A kind of request: the model, the n-th request, its result, and how far two results are apart."""

    name: str
    spec: ModelSpec
    request: Callable[[int], Request]
    result: Callable[[list[Event]], Any]
    apart: Callable[[Any, Any], float]
    count: int  # of requests a round
    goal: float  # times the answers of one caller; 0 for none


def _scores(events: list[Event]) -> dict[str, float]:
    return dict(next(e for e in events if isinstance(e, Scores)).scores)


def _vectors(events: list[Event]) -> np.ndarray:
    return np.concatenate([e.vectors for e in events if isinstance(e, Encoded)])


def _cosines(events: list[Event]) -> np.ndarray:
    return np.array(next(e for e in events if isinstance(e, Similarities)).cosines)


def _picture(events: list[Event]) -> bytes:
    return [e for e in events if isinstance(e, ImagesDone)][-1].images[0]


def kinds() -> list[Kind]:
    """All that is measured."""

    def text(texts: Sequence[str], n: int) -> str:
        return f"{texts[n % len(texts)]} {n}"

    def classify(texts: Sequence[str]) -> Callable[[int], Request]:
        return lambda n: SentimentRequest.of(text=text(texts, n))

    def embed(texts: Sequence[str]) -> Callable[[int], Request]:
        return lambda n: EncodeRequest.of(sentences=(text(texts, n),))

    def compare(texts: Sequence[str]) -> Callable[[int], Request]:
        return lambda n: SimilarityRequest.of(sentences=(text(texts, n), text(texts, n + 1)))

    def draw(n: int) -> Request:
        prompt = f"a {COLOURS[n % 4]} {SHAPES[n % 3]} on a {COLOURS[(n + 1) % 4]} background"
        return ImageRequest.of(prompt=prompt, seed=n, guidance_scale=2 + n % 3)

    def far(one: Any, other: Any) -> float:
        if isinstance(one, dict):
            return max(abs(one[label] - other[label]) for label in one)
        return float(np.abs(one - other).max())

    results = [
        ("sentiment, English", SENTIMENT, "genlab/sentiment-en", classify(ENGLISH), _scores, 3.0),
        ("sentiment, Korean", SENTIMENT, "genlab/sentiment-ko", classify(KOREAN), _scores, 3.0),
    ]
    encoders = {"all-MiniLM-L6-v2": ENGLISH, "multilingual-e5-small": KOREAN}
    for spec in SENTENCE_SIMILARITY.models:
        texts = encoders.get(spec.id.rpartition("/")[2])
        if texts:
            results.append(
                (
                    f"embedding, {spec.label}",
                    SENTENCE_SIMILARITY,
                    spec.id,
                    embed(texts),
                    _vectors,
                    3.0,
                )
            )
            results.append(
                (
                    f"two sentences, {spec.label}",
                    SENTENCE_SIMILARITY,
                    spec.id,
                    compare(texts),
                    _cosines,
                    0.0,
                )
            )
    listing = [
        Kind(name, find(task, model), request, result, far, 160, goal)
        for name, task, model, request, result, goal in results
    ]
    scenes = find(TEXT_TO_IMAGE, "genlab/scenes")
    return [*listing, Kind("pictures", scenes, draw, _picture, psnr, 32, 1.5)]


def one_by_one(
    cache: ModelCache, kind: Kind, numbers: Sequence[int]
) -> tuple[list[Any], list[float]]:
    """The results of one caller, and the seconds of each."""
    results, seconds = list[Any](), list[float]()
    for number in numbers:
        start = time.perf_counter()
        results.append(kind.result(list(run(cache, kind.spec, kind.request(number)))))
        seconds.append(time.perf_counter() - start)
    return results, seconds


def together(
    cache: ModelCache, kind: Kind, numbers: Sequence[int], callers: int
) -> tuple[list[Any], list[float], float]:
    """The results of several callers, each of whom calls again when it has its answer; seconds of each, and of all."""
    results: dict[int, Any] = {}
    seconds: dict[int, float] = {}
    rest = iter(numbers)
    turn = threading.Lock()

    def work() -> None:
        while True:
            with turn:
                number = next(rest, None)
            if number is None:
                return
            start = time.perf_counter()
            results[number] = kind.result(list(run(cache, kind.spec, kind.request(number))))
            seconds[number] = time.perf_counter() - start

    threads = [threading.Thread(target=work) for _ in range(callers)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = time.perf_counter() - start
    return [results[n] for n in numbers], [seconds[n] for n in numbers], whole


@contextmanager
def without_sharing() -> Generator[None]:
    """Within it every call has its pass at once, as if there were no batcher."""
    call = Batcher.__call__

    def alone(self: Any, item: Any, _: Any) -> Any:
        return self._work([item], self._spread)[0]

    setattr(Batcher, "__call__", alone)  # noqa: B010
    try:
        yield
    finally:
        setattr(Batcher, "__call__", call)  # noqa: B010


def cost_of_sharing(cache: ModelCache, kind: Kind, numbers: Sequence[int]) -> float:
    """How many times as long one caller's calls take with sharing; each call in turn both ways."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in numbers:
        times[True] += one_by_one(cache, kind, [number])[1]
        with without_sharing():
            times[False] += one_by_one(cache, kind, [number])[1]
    return statistics.median(times[True]) / statistics.median(times[False])


def measure(cache: ModelCache, kind: Kind, callers: int, rounds: int, limit: float) -> bool:
    """Print one kind's figures; whether its aims are met."""
    start = time.monotonic()
    one_by_one(cache, kind, range(2))
    mean = statistics.mean(one_by_one(cache, kind, range(5))[1])
    # A round is both ways, a first one warms up, and the last look at one caller takes a round too.
    count = min(kind.count, max(callers, int(limit / (2 * (rounds + 2)) / mean)))
    numbers = range(count)
    print(
        f"    {kind.name}: {1000 * mean:.1f} ms, {count} calls a round", file=sys.stderr, flush=True
    )
    together(cache, kind, numbers, callers)  # what is traced once for a crowd is traced by now
    alone: list[float] = []
    gains, waits = list[float](), list[float]()
    is_picture = kind.name == "pictures"
    worst = np.inf if is_picture else 0.0
    for turn in range(rounds):
        if turn and time.monotonic() - start > limit:
            break
        expected, seconds = one_by_one(cache, kind, numbers)
        results, wait, whole = together(cache, kind, numbers, callers)
        alone += seconds
        waits += wait
        gains.append(sum(seconds) / whole)
        distances = [kind.apart(a, b) for a, b in zip(expected, results, strict=True)]
        worst = min([worst, *distances]) if is_picture else max([worst, *distances])
        print(f"    round {turn + 1}: {gains[-1]:.2f} times", file=sys.stderr, flush=True)
    cost = cost_of_sharing(cache, kind, numbers[: max(8, count // 2)])
    gain = statistics.median(gains)
    met = (
        gain >= kind.goal
        and cost <= ONE_CALLER
        and (worst >= PSNR if is_picture else worst <= ALIKE)
    )
    goal = f"aim {kind.goal}" if kind.goal else "no aim"
    equal = f"PSNR at least {worst:.0f} dB" if is_picture else f"apart {worst:.1e}"
    print(
        f"{'ok    ' if met else 'MISSED'} {kind.name}: one caller {1000 * statistics.median(alone):.2f} ms, "
        f"{1 / statistics.mean(alone):.1f}/s, {cost:.3f} times as long as without sharing (aim {ONE_CALLER}); "
        f"{callers} callers {gain:.2f} times as many ({', '.join(f'{g:.2f}' for g in gains)}; {goal}), "
        f"each {1000 * statistics.median(waits):.1f} ms; {equal} (n={count})",
        flush=True,
    )
    return met


def beside_a_file(cache: ModelCache, rows: int = 20_000, sentences: int = 40) -> None:
    """Print how long one sentence takes while a file is scored."""
    kind = next(k for k in kinds() if k.name == "sentiment, Korean")
    texts = tuple(itertools.islice((f"{KOREAN[n % 5]} {n}" for n in itertools.count()), rows))
    _, alone = one_by_one(cache, kind, range(sentences))
    start, over = threading.Event(), threading.Event()

    def file() -> None:
        with closing(run(cache, kind.spec, ManyTextsRequest.of(texts=texts))) as events:
            for _ in events:
                start.set()
                if over.is_set():
                    return

    thread = threading.Thread(target=file)
    thread.start()
    start.wait()
    _, beside = one_by_one(cache, kind, range(sentences))
    still = thread.is_alive()
    over.set()
    thread.join()
    print(
        f"a sentence beside a file of {rows:,} rows: median {1000 * statistics.median(beside):.0f} ms, most "
        f"{1000 * max(beside):.0f} ms (alone {1000 * statistics.median(alone):.1f} ms); file still at work: {still}"
    )


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="part of a kind's name, or 'file'")
    parser.add_argument("--limit", type=float, default=60, help="seconds of a kind")
    values = parser.parse_args()
    cache = ModelCache(Settings(device="cpu", idle_minutes=0))
    met = [
        measure(cache, kind, values.callers, values.rounds, values.limit)
        for kind in kinds()
        if values.only in kind.name
    ]
    if values.only in {"", "file"}:
        beside_a_file(cache)
    cache.close()
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
