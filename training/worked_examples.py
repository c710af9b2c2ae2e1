"""Record the results that the page shows before the first use: `python -m training.worked_examples`.

Only with models that ship, so that anybody can make them again. tabs/shared/worked_examples.py shows them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter

from models.contract import Event, Request
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.sentiment.events import Attribution, RowScores, Scores
from models.sentiment.requests import AttributionRequest, ManyTextsRequest, SentimentRequest
from models.settings import Settings
from models.tasks import SENTIMENT, Task
from models.text.tables import read_table
from tabs.sentiment import one_text, table, two_models
from tabs.shared.strings import LANGUAGES
from tabs.shared.table_input import likely_column
from tabs.shared.worked_examples import FILE

T = TypeVar("T", bound=Event)
DIGITS = 5  # of a recorded number
SENTIMENT_MODELS = {"en": "genlab/sentiment-en", "ko": "genlab/sentiment-ko"}


class Recorder:
    """Runs requests and keeps what came as plain data."""

    def __init__(self, cache: ModelCache) -> None:
        self.cache = cache

    def event(self, task: Task, model: str, request: Request, kind: type[T]) -> T:
        """The event of a kind that a model yields for a request; the last of several."""
        events = run(self.cache, find(task, model), request)
        return [event for event in events if isinstance(event, kind)][-1]

    def sentiment(self, language: str) -> Mapping[str, Any]:
        """The scores of a text and what each word adds."""
        text = next(
            text for [text] in one_text.EXAMPLES if ("가" <= text[0] <= "힣") == (language == "ko")
        )
        model = SENTIMENT_MODELS[language]
        scores = self.event(SENTIMENT, model, SentimentRequest.of(text=text), Scores)
        words = self.event(SENTIMENT, model, AttributionRequest.of(text=text), Attribution)
        return {"text": text, "model": model, "scores": plain(scores), "attribution": plain(words)}

    def rows(self, model: str, texts: Sequence[str]) -> RowScores:
        """The scores of many texts."""
        request = ManyTextsRequest.of(texts=texts)
        return self.event(SENTIMENT, model, request, RowScores)

    def file(self, language: str) -> Mapping[str, Any]:
        """The scores of the example's file."""
        reviews = read_table(table.REVIEWS[language])
        model = SENTIMENT_MODELS[language]
        rows = self.rows(model, reviews.column(likely_column(reviews)))
        return {
            "language": language,
            "model": model,
            "labels": list(rows.labels),
            "scores": short(rows.scores.tolist()),
        }

    def two_models(self, language: str) -> Mapping[str, Any]:
        """The scores of the example's lines by both models."""
        lines = two_models.EXAMPLES[language].splitlines()
        sides = [self.rows(model, lines) for model in two_models.MODELS]
        return {
            "language": language,
            "models": list(two_models.MODELS),
            "labels": list(sides[0].labels),
            "scores": [short(side.scores.tolist()) for side in sides],
        }

    def record(self) -> Mapping[str, Any]:
        """All of it: part of the page -> language -> name -> value."""
        parts = {
            "sentiment.one": self.sentiment,
            "sentiment.file": self.file,
            "sentiment.two": self.two_models,
        }
        return {
            part: {language: method(language) for language in LANGUAGES}
            for part, method in parts.items()
        }


def plain(event: Event) -> Any:
    """An event as JSON has it, with short numbers."""
    return short(TypeAdapter(type(event)).dump_python(event, mode="json"))


def short(value: Any) -> Any:
    """A value with its floats cut to DIGITS."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {key: short(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [short(one) for one in value]
    return value


def main() -> None:
    """Record everything into the page's file."""
    cache = ModelCache(Settings(device="cpu", idle_minutes=0))
    try:
        content = Recorder(cache).record()
    finally:
        cache.close()
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    FILE.write_text(
        text.replace('"ko":{', '\n"ko":{').replace('},"', '},\n"') + "\n", encoding="utf-8"
    )
    print(FILE, len(text), "characters")


if __name__ == "__main__":
    main()
