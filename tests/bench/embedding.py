"""Vectors a second against sentence-transformers, int8, and search: `python -m tests.bench.embedding`.

The ids of encoders behind it measure these alone.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer

from models.contract import ModelSpec, Stop
from models.runtime.cache import ModelCache
from models.select import find
from models.sentence_similarity.catalog import EncoderOptions
from models.sentence_similarity.encoder import Encoder, reference_pairs
from models.sentence_similarity.events import Encoded
from models.sentence_similarity.many_sentences import Index
from models.sentence_similarity.requests import EncodeRequest
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY
from models.weights.sources import folder, is_here

RUNS = 3
LINES = 100_000
ENCODERS = {
    "sentence-transformers/all-MiniLM-L6-v2": "en",
    "intfloat/multilingual-e5-small": "ko",
}


def sentences_of(language: str) -> list[str]:
    """Some 200 texts of one to three of the reference sentences."""
    pairs = reference_pairs(language)
    words = list(dict.fromkeys(s for left, right, _ in pairs for s in (left, right)))
    return [" ".join(words[i : i + 1 + i % 3]) for i in range(len(words))]


def seconds(work: Callable[[], Any]) -> float:
    """The processor's, of all threads: other work on the machine does not blur them."""
    start = time.process_time()
    work()
    return time.process_time() - start


def encode(spec: ModelSpec, sentences: Sequence[str]) -> None:
    """Take turns on the same sentences and batch, so that a busy moment hits all alike."""
    request = EncodeRequest.of(sentences=sentences)
    settings = Settings()
    eight = replace(spec, id=f"{spec.id}:eight", options=EncoderOptions(int8=True))
    plain = SentenceTransformer(
        str(folder(spec, settings, Stop(), lambda _: None)),
        device="cpu",
        local_files_only=True,
        model_kwargs={"dtype": "float32"},
    )
    cache = ModelCache(settings)
    times: list[tuple[float, float, float]] = []
    with (
        cache.lease(spec, Stop(), lambda _: None) as whole,
        cache.lease(eight, Stop(), lambda _: None) as small,
    ):
        for _ in range(RUNS + 1):
            times.append(
                (
                    seconds(lambda: list(whole.engine.stream(request, Stop()))),
                    seconds(
                        lambda: plain.encode(
                            list(sentences), batch_size=Encoder.batch, show_progress_bar=False
                        )
                    ),
                    seconds(lambda: list(small.engine.stream(request, Stop()))),
                )
            )
    cache.close()
    times = times[1:]
    speed = statistics.median(len(sentences) / ours for ours, _, _ in times)
    gain = statistics.median(theirs / ours for ours, theirs, _ in times)
    gain_8 = statistics.median(ours / small for ours, _, small in times)
    print(
        f"{spec.label}: {speed:.0f} texts a second of processor time; against sentence-transformers' own "
        f"encode {gain:.2f} times; in int8 {gain_8:.2f} times as fast again "
        f"(medians of {RUNS}, batch {Encoder.batch})",
        flush=True,
    )


def search() -> None:
    """The ten nearest of 100,000 lines of 384 dimensions."""
    vectors = np.random.default_rng(0).standard_normal((LINES, 384), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = Index(["line"] * LINES, "any")
    index.add(Encoded(np.arange(LINES), vectors, 1.0))
    times = []
    for query in vectors[:21]:
        start = time.perf_counter()
        index.nearest(query, 10)
        times.append(1000 * (time.perf_counter() - start))
    print(f"search over {LINES:,} lines: median {statistics.median(times[1:]):.0f} ms (n=20)")


if __name__ == "__main__":
    for model_id in sys.argv[1:] or ENCODERS:
        encoder = find(SENTENCE_SIMILARITY, model_id)
        if is_here(encoder):
            encode(encoder, sentences_of(ENCODERS[model_id]))
        else:
            print(f"{encoder.label} is not here: python -m models.weights fetches it")
    search()
