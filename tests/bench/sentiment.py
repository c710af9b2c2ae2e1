"""A file's rows against one pipeline call a row: `python -m tests.bench.sentiment`.

Everything in one process and one run; each way reads the same texts, the ways take turns, and the median
of the turns counts.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil
import torch
from transformers import pipeline

from models.base import ModelSpec, Stop, Task
from models.cache import ModelCache
from models.registry import find
from models.sentiment.batch import score_rows
from models.settings import Settings

WORDS = {
    "genlab/sentiment-ko": "정말 재미있고 감동적인 영화였어요 배우들 연기는 좋은데 이야기가 너무 지루해요 최악의 시간",
    "genlab/sentiment-en": "I loved every minute of this film the acting is fine but the story never comes alive",
}
ROWS, TURNS, BATCHES = 384, 3, (8, 16, 32, 64)


def texts_of(words: str) -> list[str]:
    """Rows of 3 to 25 words, as reviews have."""
    draw = random.Random(0)
    return [" ".join(draw.choices(words.split(), k=draw.randint(3, 25))) for _ in range(ROWS)]


def rate(work: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> float:
    """Texts a second."""
    began = time.perf_counter()
    work(texts)
    return len(texts) / (time.perf_counter() - began)


def ways(engine: Any) -> dict[str, Callable[[Sequence[str]], Any]]:
    """What is compared: ours, the pipeline row by row, and its own batches of several sizes."""
    pipe: Any = pipeline("text-classification", model=engine.model, tokenizer=engine.tokenizer)
    made: dict[str, Callable[[Sequence[str]], Any]] = {
        "GenLab": lambda texts: list(score_rows(engine, texts, Stop())),
        "pipeline, a row": lambda texts: [
            pipe(text, truncation=True) for text in texts[: ROWS // 4]
        ],
    }
    for size in BATCHES:
        made[f"pipeline, batches of {size}"] = lambda texts, size=size: pipe(
            list(texts), truncation=True, batch_size=size
        )
    return made


def compare(cache: ModelCache, spec: ModelSpec) -> None:
    """Print texts a second of every way, and GenLab's share of the others."""
    texts = texts_of(WORDS[spec.id])
    with cache.lease(spec, Stop(), lambda _: None) as lease:
        torch.set_num_threads(psutil.cpu_count(logical=False) or 1)  # as a pipeline has them
        rates: dict[str, list[float]] = {}
        for turn in range(TURNS + 1):
            for name, work in ways(lease.engine).items():
                found = rate(work, texts) / (4 if name == "pipeline, a row" else 1)
                if turn:  # the first turn warms up
                    rates.setdefault(name, []).append(found)
    middle = {name: statistics.median(found) for name, found in rates.items()}
    print(spec.id)
    for name, found in middle.items():
        print(f"  {name}: {found:.0f} texts/s, GenLab {middle['GenLab'] / found:.2f} times")


def memory(cache: ModelCache, spec: ModelSpec) -> None:
    """Print what 5,000 more rows add to the memory of the process."""
    texts = texts_of(WORDS[spec.id])
    with cache.lease(spec, Stop(), lambda _: None) as lease:
        list(score_rows(lease.engine, texts, Stop()))
        before = psutil.Process().memory_info().rss
        for _ in score_rows(lease.engine, (texts * 14)[:5000], Stop()):
            pass
        after = psutil.Process().memory_info().rss
    print(f"  5,000 rows more: {(after - before) / 2**20:.0f} MiB")


def main() -> None:
    """Compare on both starters."""
    cache = ModelCache(Settings(device="cpu"))
    for model in WORDS:
        compare(cache, find(Task.SENTIMENT, model))
    memory(cache, find(Task.SENTIMENT, "genlab/sentiment-ko"))


if __name__ == "__main__":
    main()
