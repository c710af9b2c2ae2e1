"""A file's rows against other ways to classify them: `python -m tests.bench.sentiment`.

All ways in one process and one run, on the same rows and as many cores; they take turns, and the median
of the turns counts. The others read the models as their libraries load them.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil
import torch
from sentence_transformers import SentenceTransformer
from transformers import pipeline

from models.contract import ModelSpec, Stop
from models.runtime.cache import ModelCache
from models.select import find
from models.sentiment.transformers_engine import load_classifier
from models.settings import Settings
from models.tasks import SENTIMENT
from models.weights import sources
from tabs.sentiment.table import _classify
from tabs.shared.context import Context

WORDS = {
    "genlab/sentiment-ko": "정말 재미있고 감동적인 영화였어요 배우들 연기는 좋은데 이야기가 너무 지루해요 최악의 시간",
    "genlab/sentiment-en": "I loved every minute of this film the acting is fine but the story never comes alive",
}
ROWS, TURNS, BATCHES = 768, 3, (8, 32)
ALONE = 4  # one of so many rows is enough to time a call a row
MANY = 20_000
Way = Callable[[Sequence[str]], Any]


def texts_of(words: str, rows: int = ROWS) -> list[str]:
    """Rows of 2 to 40 words, most of them short, as reviews are."""
    draw = random.Random(0)
    lengths = [min(40, max(2, round(draw.lognormvariate(2.5, 0.6)))) for _ in range(rows)]
    return [" ".join(draw.choices(words.split(), k=length)) for length in lengths]


def rate(work: Way, texts: Sequence[str]) -> float:
    """Texts a second."""
    start = time.perf_counter()
    work(texts)
    return len(texts) / (time.perf_counter() - start)


def others(spec: ModelSpec, folder: str) -> dict[str, Way]:
    """A pipeline row by row, and the libraries' own batches of several sizes.

    Args:
        spec: the classifier.
        folder: an empty one, for the files that sentence-transformers reads.
    """
    starter = sources.folder(spec, Settings(), Stop(), lambda _: None)
    assert starter is not None, "a classifier has weights"
    model, tokenizer, limit = load_classifier(spec, starter, torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pipe: Any = pipeline("text-classification", model=model, tokenizer=tokenizer)
    encoder = SentenceTransformer(folder, device="cpu", local_files_only=True)
    encoder.max_seq_length = limit
    ways: dict[str, Way] = {
        "pipeline, a call a row": lambda texts: [pipe(text, truncation=True) for text in texts]
    }
    for size in BATCHES:
        ways[f"pipeline, batches of {size}"] = lambda texts, size=size: pipe(
            list(texts), truncation=True, batch_size=size
        )
        ways[f"sentence-transformers (no head), batches of {size}"] = lambda texts, size=size: (
            encoder.encode(list(texts), batch_size=size, show_progress_bar=False)
        )
    return ways


def compare(cache: ModelCache, spec: ModelSpec) -> None:
    """Print texts a second of every way, and GenLab's share of the others."""
    texts, cores = texts_of(WORDS[spec.id]), psutil.cpu_count(logical=False) or 1
    with (
        tempfile.TemporaryDirectory() as folder,
        cache.lease(spec, Stop(), lambda _: None) as lease,
    ):
        ways: dict[str, Way] = {
            "GenLab": lambda texts: list(lease.engine.score_rows(texts, Stop()))
        } | others(spec, folder)
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(TURNS + 1):
            for name, work in ways.items():
                torch.set_num_threads(cores)
                speed = rate(work, texts[::ALONE] if "a row" in name else texts)
                if turn:  # the first turn warms up
                    rates[name].append(speed)
    middle = {name: statistics.median(speed) for name, speed in rates.items()}
    best = max(speed for name, speed in middle.items() if name != "GenLab")
    print(f"{spec.id}, {ROWS} rows, {cores} cores, medians of {TURNS}")
    for name, speed in middle.items():
        print(f"  {name}: {speed:.0f} texts/s, GenLab {middle['GenLab'] / speed:.2f} times")
    print(f"  against the best of the others: {middle['GenLab'] / best:.2f} times", flush=True)


def many(cache: ModelCache, spec: ModelSpec) -> None:
    """Print the memory that many rows take while they are scored, and what the page adds in time."""
    texts, process, most = texts_of(WORDS[spec.id], MANY), psutil.Process(), 0
    with cache.lease(spec, Stop(), lambda _: None) as lease:
        list(lease.engine.score_rows(texts[:ROWS], Stop()))
        before, start = process.memory_info().rss, time.perf_counter()
        for _ in lease.engine.score_rows(texts, Stop()):
            most = max(most, process.memory_info().rss)
        seconds = time.perf_counter() - start
    print(f"{spec.id}: {MANY:,} rows more, {(most - before) / 2**20:.0f} MiB more memory")
    values = (None, "\n".join(texts), False, None, None, spec.id)  # a table, no labels, the model
    start = time.perf_counter()
    for _ in _classify(Context(cache.settings, cache), values, None):  # type: ignore[arg-type]
        pass
    print(f"  through the page: {(time.perf_counter() - start) / seconds:.2f} times the time")


def main() -> None:
    """Compare on both starters."""
    cache = ModelCache(Settings(device="cpu"))
    for model in WORDS:
        compare(cache, find(SENTIMENT, model))
    many(cache, find(SENTIMENT, "genlab/sentiment-ko"))


if __name__ == "__main__":
    main()
