"""What every encoder and classifier on this machine scores on public test sets.

``python -m training.evaluate hub --data DIR``: STS-B and KorSTS dev (Spearman x 100), SST-2
and NSMC dev (accuracy), as a table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from models.contract import ModelSpec
from models.errors import ModelError
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.sentence_similarity.encoder import in_order
from models.sentence_similarity.events import Encoded
from models.sentence_similarity.requests import EncodeRequest
from models.sentiment.events import RowScores
from models.sentiment.requests import ManyTextsRequest
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, SENTIMENT, Task
from models.weights.sources import is_here
from training.corpora import require
from training.sentiment.data import Labelled, nsmc, sst2_dev
from training.word_vectors.evaluation import Pairs, sts_pairs


def spearman(cache: ModelCache, spec: ModelSpec, pairs: Pairs) -> float:
    """Spearman's correlation x 100 of an encoder's cosines with people's scores; no vector is a 0.

    NaN where no sentence has one.
    """
    from scipy.stats import spearmanr

    sentences = list(dict.fromkeys(s for left, right, _ in pairs for s in (left, right)))
    request = EncodeRequest.of(sentences=sentences)
    parts = [event for event in run(cache, spec, request) if isinstance(event, Encoded)]
    vectors = np.nan_to_num(in_order(parts, len(sentences)))
    row = {sentence: i for i, sentence in enumerate(sentences)}
    cosines = [float(vectors[row[a]] @ vectors[row[b]]) for a, b, _ in pairs]
    if len(set(cosines)) == 1:  # not a word is known
        return float("nan")
    return 100 * float(spearmanr(cosines, [score for *_, score in pairs]).statistic)


def accuracy(cache: ModelCache, spec: ModelSpec, rows: Labelled) -> float:
    """Per cent of texts whose likeliest class is the right one of negative and positive."""
    right = 0
    for event in run(cache, spec, ManyTextsRequest.of(texts=[text for text, _ in rows])):
        if not isinstance(event, RowScores):
            continue
        for (_, label), scores in zip(rows[event.first :], event.scores, strict=False):
            readable = not np.isnan(scores).any()  # a text without a token gets NaN
            answer = event.labels[int(scores.argmax())].lower() if readable else ""
            right += answer == ("negative", "positive")[int(label)]
    return 100 * right / len(rows)


def installed(task: Task) -> list[ModelSpec]:
    """The catalogue's models of a task that can be loaded here without a key or a download."""
    return [s for s in task.models if not s.hosted and s.source != "none:" and is_here(s)]


def table(
    what: str,
    task: Task,
    measure: Callable[[ModelCache, ModelSpec, Any], float],
    cache: ModelCache,
    sets: dict[str, Sequence[Any]],
) -> Iterator[str]:
    """The lines of a table: a model each, what it scores on each set, the seconds that it took.

    Args:
        what: the models are.
        task: whose installed models are measured.
        measure: gives the figure of a model on a set.
        cache: to use the models with.
        sets: their rows, by name.
    """
    heads = [f"{name} (n={len(rows)})" for name, rows in sets.items()]
    yield f"| {what} | {' | '.join(heads)} | seconds |"
    yield f"|---|{'---|' * len(heads)}---|"
    for spec in installed(task):
        yield row(spec, [partial(measure, cache, spec, rows) for rows in sets.values()])


def row(spec: ModelSpec, figures: Sequence[Callable[[], float]]) -> str:
    """A model's line; where it cannot be used, its problem's code."""
    cells: list[str] = []
    start = time.monotonic()
    for figure in figures:
        try:
            cells.append(f"{figure():.1f}".replace("nan", "–"))
        except ModelError as problem:
            cells.append(problem.code)
    return f"| {spec.id} | {' | '.join(cells)} | {time.monotonic() - start:.0f} |"


def encoders(cache: ModelCache, data: Path, few: slice) -> Iterator[str]:
    """The lines of the encoders' table."""
    names = {"STS-B dev": "stsb_dev", "KorSTS dev": "korsts_dev"}
    sets = {name: sts_pairs(require(data, file))[few] for name, file in names.items()}
    return table("encoder", SENTENCE_SIMILARITY, spearman, cache, sets)


def classifiers(cache: ModelCache, data: Path, few: slice) -> Iterator[str]:
    """The lines of the classifiers' table."""
    sets = {"SST-2 dev": sst2_dev(data)[few], "NSMC dev": nsmc(data, "dev")[few]}
    return table("classifier", SENTIMENT, accuracy, cache, sets)


TABLES = {"encoders": encoders, "classifiers": classifiers}


def main(argv: list[str] | None = None) -> None:
    """Print both tables, or one.

    Args:
        argv: Command line after "hub"; the process's own when None.
    """
    parser = argparse.ArgumentParser(prog="python -m training.evaluate hub", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public texts")
    parser.add_argument("--first", type=int, help="only so many rows of each set")
    parser.add_argument("--only", choices=TABLES, help="one table alone")
    options = parser.parse_args(argv)
    cache = ModelCache(Settings.read())
    for name in [options.only] if options.only else TABLES:
        for line in TABLES[name](cache, options.data, slice(options.first)):
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
