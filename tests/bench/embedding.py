"""Vectors a second against sentence-transformers, and search: `python -m tests.bench.embedding`."""

import statistics
import time

import numpy as np
from sentence_transformers import SentenceTransformer

from models.contract import Stop
from models.runtime.cache import ModelCache
from models.select import find
from models.sentence_similarity.encoder import Encoder, reference_pairs
from models.sentence_similarity.events import Encoded
from models.sentence_similarity.many_sentences import Index
from models.sentence_similarity.requests import EncodeRequest
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY
from models.weights.packages import MINILM, package_folder

RUNS = 3
LINES = 100_000


def encode() -> None:
    """Alternate the two on the same sentences and batch, so that a busy moment hits both."""
    spec = find(SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2")
    words = list(
        dict.fromkeys(s for left, right, _ in reference_pairs("en") for s in (left, right))
    )
    sentences = [" ".join(words[i : i + 1 + i % 3]) for i in range(len(words))]
    request = EncodeRequest.of(sentences=sentences)
    plain = SentenceTransformer(str(package_folder(MINILM)), device="cpu", local_files_only=True)
    ratios, speeds = [], []
    with ModelCache(Settings()).lease(spec, Stop(), lambda _: None) as lease:
        for _ in range(RUNS + 1):
            start = time.perf_counter()
            list(lease.engine.stream(request, Stop()))
            ours = time.perf_counter() - start
            start = time.perf_counter()
            plain.encode(sentences, batch_size=Encoder.batch, show_progress_bar=False)
            theirs = time.perf_counter() - start
            ratios.append(theirs / ours)
            speeds.append(len(sentences) / ours)
    print(
        f"sentences/s: {statistics.median(speeds[1:]):.0f}; against sentence-transformers' own encode "
        f"{statistics.median(ratios[1:]):.2f} times (medians of {RUNS}, batch {Encoder.batch})"
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
    encode()
    search()
