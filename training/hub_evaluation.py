"""What every encoder and classifier on this machine scores on public test sets.

``python -m training.evaluate hub --data DIR``: STS-B and KorSTS dev (Spearman x 100), SST-2
and NSMC dev (accuracy), where an encoder's cosines of alike and of unlike pairs overlap, and below
which probability a classifier is often wrong, as tables. ``--write`` puts the last two into
models/sentence_similarity/overlap.json and models/sentiment/unsure.json, on which the page's verdicts
rest.
"""

from __future__ import annotations

import argparse
import json
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
from models.sentence_similarity.catalog import OVERLAPS
from models.sentence_similarity.encoder import MIXED, in_order
from models.sentence_similarity.events import Encoded
from models.sentence_similarity.requests import EncodeRequest
from models.sentiment.catalog import UNSURE
from models.sentiment.events import RowScores
from models.sentiment.requests import ManyTextsRequest
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, SENTIMENT, Task
from models.weights.sources import is_here
from training.corpora import require
from training.sentiment.data import Rows, nsmc, sst2_dev
from training.word_vectors.evaluation import Pairs, sts_pairs

STS = {"STS-B dev": "stsb_dev", "KorSTS dev": "korsts_dev"}
ALIKE = 2.5  # the middle of people's scores, 0 to 5: pairs from it on are alike
ODDS = float(np.log(2))  # one of three against two of three
STEP, FEWEST, ENOUGH = 0.05, 20, 2 / 3  # of a classifier's probabilities, texts in one, right ones
_vectors: dict[str, dict[str, np.ndarray]] = {}  # model -> sentence -> vector, for all the tables


def cosines_of(cache: ModelCache, spec: ModelSpec, pairs: Pairs) -> list[float]:
    """An encoder's cosine of each pair; 0 where a sentence has no vector."""
    by_sentence = _vectors.setdefault(spec.id, {})
    sentences = list(dict.fromkeys(s for a, b, _ in pairs for s in (a, b) if s not in by_sentence))
    if sentences:
        request = EncodeRequest.of(sentences=sentences)
        parts = [event for event in run(cache, spec, request) if isinstance(event, Encoded)]
        rows = np.nan_to_num(in_order(parts, len(sentences)))
        by_sentence |= dict(zip(sentences, rows, strict=True))
    return [float(by_sentence[a] @ by_sentence[b]) for a, b, _ in pairs]


def spearman(cache: ModelCache, spec: ModelSpec, pairs: Pairs) -> float:
    """Spearman's correlation x 100 of an encoder's cosines with people's scores.

    NaN where no sentence has a vector.
    """
    from scipy.stats import spearmanr

    cosines = cosines_of(cache, spec, pairs)
    if len(set(cosines)) == 1:  # not a word is known
        return float("nan")
    return 100 * float(spearmanr(cosines, [score for *_, score in pairs]).statistic)


def answers(cache: ModelCache, spec: ModelSpec, rows: Rows) -> tuple[list[float], list[bool]]:
    """A classifier's highest probability for each text, and whether that class is the right one.

    A text without a token has no answer: 0, and not right.
    """
    sure: list[float] = []
    right: list[bool] = []
    for event in run(cache, spec, ManyTextsRequest.of(texts=[text for text, _ in rows])):
        if not isinstance(event, RowScores):
            continue
        for (_, label), scores in zip(rows[event.first :], event.scores, strict=False):
            readable = not np.isnan(scores).any()
            answer = event.labels[int(scores.argmax())].lower() if readable else ""
            sure.append(float(scores.max()) if readable else 0.0)
            right.append(answer == ("negative", "positive")[int(label)])
    return sure, right


def accuracy(cache: ModelCache, spec: ModelSpec, rows: Rows) -> float:
    """Per cent of texts whose likeliest class is the right one of negative and positive."""
    return 100 * sum(answers(cache, spec, rows)[1]) / len(rows)


def models_here(task: Task, model: str = "") -> list[ModelSpec]:
    """The catalogue's models of a task that can be loaded here without a key or a download.

    Args:
        task: whose models.
        model: the id of one of them; "" for all.
    """
    here = [s for s in task.models if not s.hosted and s.source != "none:" and is_here(s)]
    return [s for s in here if model in ("", s.id)]


def table(
    what: str,
    models: Sequence[ModelSpec],
    measure: Callable[[ModelCache, ModelSpec, Any], float],
    cache: ModelCache,
    sets: dict[str, Sequence[Any]],
) -> Iterator[str]:
    """The lines of a table: a model each, what it scores on each set, the seconds that it took.

    Args:
        what: the models are.
        models: those that are measured.
        measure: gives the figure of a model on a set.
        cache: to use the models with.
        sets: their rows, by name.
    """
    heads = [f"{name} (n={len(rows)})" for name, rows in sets.items()]
    yield f"| {what} | {' | '.join(heads)} | seconds |"
    yield f"|---|{'---|' * len(heads)}---|"
    for spec in models:
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


def encoders(cache: ModelCache, data: Path, few: slice, model: str) -> Iterator[str]:
    """The lines of the encoders' table."""
    sets = {name: sts_pairs(require(data, file))[few] for name, file in STS.items()}
    return table("encoder", models_here(SENTENCE_SIMILARITY, model), spearman, cache, sets)


def classifiers(cache: ModelCache, data: Path, few: slice, model: str) -> Iterator[str]:
    """The lines of the classifiers' table."""
    sets = {"SST-2 dev": sst2_dev(data)[few], "NSMC dev": nsmc(data, "dev")[few]}
    return table("classifier", models_here(SENTIMENT, model), accuracy, cache, sets)


# ---------------------------------------------------------------- where a verdict is unsure

_measurements: dict[Path, dict[str, Any]] = {
    OVERLAPS: {},
    UNSURE: {},
}  # what was measured, by model


def overlap(cosines: Sequence[float], scores: Sequence[float]) -> dict[str, float]:
    """Between which cosines a pair may as well be alike as not, by a logistic curve through people's scores.

    Returns:
        "low", up to which fewer than a third of the pairs are alike; "high", from which more than two
        thirds are; of how many "pairs" that was measured, and the share of them "inside" the two.
    """
    from sklearn.linear_model import LogisticRegression

    values, alike = np.array(cosines), np.array(scores) >= ALIKE
    centre, width = values.mean(), values.std()
    curve = LogisticRegression(C=1e6).fit(((values - centre) / width)[:, None], alike)
    slope, start = float(curve.coef_[0, 0]), float(curve.intercept_[0])
    if slope <= 0:  # nothing can be told by its cosines
        low, high = -1.0, 1.0
    else:
        low, high = (float(centre + width * (x - start) / slope) for x in (-ODDS, ODDS))
    inside = float(((values >= low) & (values < high)).mean())
    return {
        "low": round(low, 3),
        "high": round(high, 3),
        "pairs": len(values),
        "inside": round(inside, 3),
    }


def overlaps(cache: ModelCache, data: Path, few: slice, model: str) -> Iterator[str]:
    """The lines of the overlaps' table, a language that an encoder reads each; remembers them.

    KorSTS is STS-B in Korean, row by row: "mixed" is an English sentence with the Korean other one.
    """
    english, korean = (sts_pairs(require(data, file))[few] for file in STS.values())
    whole = len(english) == len(korean)  # else the rows are not each other's translations
    both = zip(english, korean, strict=True) if whole else ()
    crosswise = [(a, b, score) for (a, _, score), (_, b, _) in both]
    yield "| encoder | language | low | high | pairs | inside |"
    yield "|---|---|---|---|---|---|"
    for spec in models_here(SENTENCE_SIMILARITY, model):
        for language, pairs in {"en": english, "ko": korean, MIXED: crosswise}.items():
            if not pairs or not {"*", language} & {*spec.languages}:
                continue
            figures = overlap(cosines_of(cache, spec, pairs), [score for *_, score in pairs])
            _measurements[OVERLAPS].setdefault(spec.id, {})[language] = figures
            yield f"| {spec.id} | {language} | {' | '.join(map(str, figures.values()))} |"


def doubtful(sure: Sequence[float], right: Sequence[bool]) -> dict[str, float]:
    """Up to which probability a classifier is right in fewer than ENOUGH of the texts.

    Returns:
        "below": the upper edge of the last bin of STEP in which it is; "right": its share of right
        answers below that, of so many "texts".
    """
    values, hits = np.array(sure), np.array(right)
    below = 0.5
    for low in np.arange(0.5, 1.0, STEP):
        inside = (values >= low) & (values < low + STEP)
        if inside.sum() >= FEWEST and hits[inside].mean() < ENOUGH:
            below = low + STEP
    part = (values >= 0.5) & (values < below)
    share = float(hits[part].mean()) if part.any() else 0.0
    return {"below": round(below, 3), "right": round(share, 3), "texts": int(part.sum())}


def doubts(cache: ModelCache, data: Path, few: slice, model: str) -> Iterator[str]:
    """The lines of the classifiers' doubts, each on the dev set of its own language; remembers them."""
    sets = {"en": sst2_dev(data)[few], "ko": nsmc(data, "dev")[few]}
    yield "| classifier | unsure below | right there | texts there |"
    yield "|---|---|---|---|"
    for spec in models_here(SENTIMENT, model):
        rows = [row for language in spec.languages for row in sets.get(language, [])]
        if rows:
            _measurements[UNSURE][spec.id] = figures = doubtful(*answers(cache, spec, rows))
            yield f"| {spec.id} | {' | '.join(map(str, figures.values()))} |"


def write_measurements() -> None:
    """Put what was measured into the files that the verdicts rest on; other models' rows stay."""
    for path, figures in _measurements.items():
        if not figures:
            continue
        content = json.loads(path.read_text("utf-8"))
        content["models"] |= figures
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


TABLES = {
    "encoders": encoders,
    "classifiers": classifiers,
    "overlaps": overlaps,
    "doubts": doubts,
}


def main(argv: list[str] | None = None) -> None:
    """Print all tables, or some.

    Args:
        argv: Command line after "hub"; the process's own when None.
    """
    parser = argparse.ArgumentParser(prog="python -m training.evaluate hub", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public texts")
    parser.add_argument("--first", type=int, help="only so many rows of each set")
    parser.add_argument("--only", choices=TABLES, nargs="+", help="some tables alone")
    parser.add_argument("--model", default="", help="the id of one model alone")
    parser.add_argument(
        "--write", action="store_true", help="store overlaps and doubts for the page"
    )
    options = parser.parse_args(argv)
    cache = ModelCache(Settings.read())
    for name in options.only or TABLES:
        for line in TABLES[name](cache, options.data, slice(options.first), options.model):
            print(line, flush=True)
        print()
    if options.write:
        write_measurements()


if __name__ == "__main__":
    main()
