"""Many texts at once: alike lengths together, on all cores, a window at a time."""

import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.contract import Stop
from models.errors import Stopped
from models.sentiment.events import RowsScored
from models.torch_tools.batching import batches_by_length

if TYPE_CHECKING:
    from models.sentiment.transformers_engine import TransformersSentiment

WINDOW = 512  # texts that are sorted by length together; what a stop can lose
ROWS = 32  # texts of a batch at most
TOKENS = {
    "cpu": 1024,
    "cuda": 32_768,
    "mps": 8192,
}  # of a batch with its padding: bounds the memory
MOST_WORKERS = 8


def score_rows(
    engine: "TransformersSentiment", texts: Sequence[str], stop: Stop
) -> Generator[RowsScored]:
    """Score texts in their order; each is averaged over its parts as a single text is.

    Args:
        engine: a loaded classifier.
        texts: any number; the memory needed is that of one window.
        stop: ends it within a batch.
    """
    labels = tuple(engine.labels)
    for first in range(0, len(texts), WINDOW):
        pieces, counts = _pieces(engine, texts[first : first + WINDOW])
        scored = np.zeros((len(pieces), len(labels)), np.float32)
        try:
            for indexes, scores in scored_batches(engine, pieces, stop):
                scored[indexes] = scores
        except Stopped:
            return
        rows = np.full((len(counts), len(labels)), np.nan, np.float32)
        at = 0
        for row, count in enumerate(counts):
            if count:
                weights = [len(ids) for ids in pieces[at : at + count]]
                rows[row] = np.average(scored[at : at + count], axis=0, weights=weights)
                at += count
        yield RowsScored(first, labels, rows, tuple(counts), engine.multi_label)


def scored_batches(
    engine: "TransformersSentiment", pieces: Sequence[list[int]], stop: Stop
) -> Iterator[tuple[list[int], np.ndarray]]:
    """Score token ids of any lengths; on a CPU a thread a core, each with a batch of its own.

    Threads of our own on one core each are faster than torch's on all: small products gain little from
    being split, and a split waits for its slowest part.

    Yields:
        Indexes into `pieces` and their scores, of shape (indexes, classes).

    Raises:
        Stopped: stop was set.
    """

    def work(indexes: list[int]) -> tuple[list[int], np.ndarray]:
        if stop.is_set():
            raise Stopped
        return indexes, _scores(engine, [pieces[i] for i in indexes])

    device = engine.model.device.type
    single = engine.tokenizer.pad_token_id is None  # nothing to fill a batch up with
    lengths = [len(ids) for ids in pieces]
    rows = 1 if single else ROWS
    todo = [*batches_by_length(lengths, rows, tokens=TOKENS.get(device, 1024))]
    workers = min(os.cpu_count() or 1, MOST_WORKERS, len(todo)) if device == "cpu" else 1
    if workers < 2:
        yield from map(work, todo)
        return
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.map(work, todo)


@torch.inference_mode()
def _scores(engine: "TransformersSentiment", pieces: list[list[int]]) -> np.ndarray:
    inputs: Any = {"input_ids": torch.tensor(pieces[:1])}
    if len(pieces) > 1:
        inputs = engine.tokenizer.pad({"input_ids": pieces}, return_tensors="pt")
    inputs = {name: tensor.to(engine.model.device) for name, tensor in inputs.items()}
    return engine.probabilities(engine.model(**inputs).logits).cpu().numpy()


def _pieces(
    engine: "TransformersSentiment", texts: Sequence[str]
) -> tuple[list[list[int]], list[int]]:
    """Token ids of every piece, and how many pieces each text has (0: it has no token)."""
    whole = engine.tokenizer([*texts], verbose=False)["input_ids"]
    special = engine.tokenizer.num_special_tokens_to_add()
    pieces: list[list[int]] = []
    counts: list[int] = []
    for text, ids in zip(texts, whole, strict=True):
        if len(ids) <= special:
            counts.append(0)
            continue
        parts = [ids] if len(ids) <= engine.limit else engine.encoded_pieces(text)
        pieces += parts
        counts.append(len(parts))
    return pieces, counts
