"""Record the results that the page shows before the first use: `python -m training.worked_examples`.

Only with models that ship, so that anybody can make them again. tabs/shared/worked_examples.py shows them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from models.chat.events import TextDelta
from models.chat.requests import ChatRequest
from models.contract import Event, Request
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.sentence_similarity.events import ReferenceCosines, Similarities
from models.sentence_similarity.many_sentences import landscape
from models.sentence_similarity.requests import SimilarityRequest
from models.sentiment.events import Attribution, RowScores, Scores
from models.sentiment.requests import AttributionRequest, ManyTextsRequest, SentimentRequest
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, SENTIMENT, TEACH, WORD_VECTORS, Task
from models.teach.events import HeadResult
from models.teach.requests import TeachRequest
from models.text.language import language_of
from models.text.tables import read_table
from models.word_vectors.events import Word2VecDone, Word2VecStep, WordAnswer
from models.word_vectors.requests import WordsRequest
from models.word_vectors.vectors import formula, map_points
from tabs.chat.answers import RecordedExample
from tabs.sentence_similarity import compare, many, search, words
from tabs.sentence_similarity.encoders import ColourScale
from tabs.sentence_similarity.words import training as word2vec
from tabs.sentiment import one_text, table, teach, two_models
from tabs.shared.strings import LANGUAGES, say
from tabs.shared.table_input import likely_column
from tabs.shared.worked_examples import FILE, adapter

T = TypeVar("T", bound=Event)
ENCODERS = {"en": "sentence-transformers/all-MiniLM-L6-v2", "ko": "genlab/words-ko"}
TEACHERS = {"en": "teach/MiniLM", "ko": "teach/GenLab Sentiment (한국어)"}
DIGITS = 4  # of a recorded number
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
        text = next(text for [text] in one_text.EXAMPLES if language_of(text) == language)
        model = SENTIMENT_MODELS[language]
        scores = self.event(SENTIMENT, model, SentimentRequest.of(text=text), Scores)
        words = self.event(SENTIMENT, model, AttributionRequest.of(text=text), Attribution)
        return {"text": text, "model": model, "scores": plain(scores), "attribution": plain(words)}

    def versus(self, language: str) -> Mapping[str, Any]:
        """One message to small talk, without and with a persona, from the same dice."""
        example = RecordedExample.read(language)
        persona = say("chat.witty_prompt", language)
        texts: list[str] = []
        for prompt in ("", persona):
            values = example.request.model_dump() | {"system_prompt": prompt, "alternatives": 0}
            events = run(self.cache, example.spec, ChatRequest.of(**values))
            texts.append("".join(event.text for event in events if isinstance(event, TextDelta)))
        message = example.request.messages[-1].content
        return {
            "model": example.spec.id,
            "message": message,
            "system_prompt": persona,
            "texts": texts,
        }

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

    def teach(self, language: str) -> Mapping[str, Any]:
        """A head taught on an example, without its weights."""
        lines = next(e for e in teach.EXAMPLES if language_of(e) == language)
        request = TeachRequest.of(examples=teach.examples_of(lines))
        result = self.event(TEACH, TEACHERS[language], request, HeadResult)
        return {"model": TEACHERS[language], "result": plain(replace(result, classifier=b""))}

    def sentences(self, language: str) -> Mapping[str, Any]:
        """A pair by several encoders, each with its cosines of the reference pairs."""
        pair = next(pair for pair in compare.EXAMPLES if language_of(pair[0]) == language)
        models = [ENCODERS[language], *compare.companions(pair)]
        request = SimilarityRequest.of(sentences=pair, reference=True)
        verdicts: list[Mapping[str, Any]] = []
        for model in dict.fromkeys(models):
            events = [*run(self.cache, find(SENTENCE_SIMILARITY, model), request)]
            cosines = next(e for e in events if isinstance(e, Similarities))
            reference = next(e for e in events if isinstance(e, ReferenceCosines))
            one = {"model": model, "similarities": plain(cosines), "reference": plain(reference)}
            verdicts.append(one)
        return {"sentences": list(pair), "verdicts": verdicts}

    def many(self, language: str) -> Mapping[str, Any]:
        """The sentences of an example, each with every other."""
        sentences = next(e for e in many.EXAMPLES if language_of(e) == language).splitlines()
        request = SimilarityRequest.of(sentences=sentences, reference=True)
        cosines = self.event(SENTENCE_SIMILARITY, ENCODERS[language], request, Similarities)
        pairs = self.event(SENTENCE_SIMILARITY, ENCODERS[language], request, ReferenceCosines)
        land = landscape(cosines.cosines)
        return {
            "sentences": sentences,
            "model": ENCODERS[language],
            "similarities": plain(cosines),
            "groups": list(land.groups),
            "points": short(land.points.tolist()),
            "variance": short(land.variance),
            "scale": short([*ColourScale.of(pairs)]),
        }

    def search(self, language: str) -> Mapping[str, Any]:
        """The lines of the example, nearest to its query first."""
        query, lines = search.EXAMPLES[language]
        request = SimilarityRequest.of(sentences=[query, *lines.splitlines()])
        cosines = self.event(
            SENTENCE_SIMILARITY, ENCODERS[language], request, Similarities
        ).cosines[0][1:]
        order = sorted(range(len(cosines)), key=lambda row: -cosines[row])
        hits = [[row, short(cosines[row])] for row in order]
        return {"language": language, "model": ENCODERS[language], "hits": hits}

    def words(self, language: str) -> Mapping[str, Any]:
        """The analogy among the examples."""
        model = compare.WORDS[language]
        terms = next(
            text
            for spec, question, text in words.EXAMPLES
            if (spec, question) == (model, "analogy")
        )
        plus, minus = formula(terms)
        request = WordsRequest.of(question="analogy", words=plus, minus=minus)
        answer = self.event(WORD_VECTORS, model, request, WordAnswer)
        return {"model": model, "words": terms, "answer": plain(answer)}

    def word2vec(self, language: str) -> Mapping[str, Any]:
        """A training on the small world."""
        request = word2vec.example_request(language)
        events = [*run(self.cache, find(WORD_VECTORS, "word2vec"), request)]
        model_end = next(e for e in events if isinstance(e, Word2VecDone))
        assert model_end.table is not None
        vectors = dict(zip(model_end.table.words, model_end.table.vectors, strict=True))
        # Its own map is turned like those before it, and how many there were depends on the clock.
        points = map_points({word: vectors[word] for word, _, _ in model_end.points})
        losses = [e.losses for e in events if isinstance(e, Word2VecStep)][-1]
        model_end = replace(model_end, table=None, points=points)
        return {"language": language, "done": plain(model_end), "losses": short(losses)}

    def record(self) -> Mapping[str, Any]:
        """All of it: part of the page -> language -> name -> value."""
        parts = {
            "chat.versus": self.versus,
            "sentiment.one": self.sentiment,
            "sentiment.file": self.file,
            "sentiment.two": self.two_models,
            "sentiment.teach": self.teach,
            "sentence_similarity.two": self.sentences,
            "sentence_similarity.many": self.many,
            "sentence_similarity.search": self.search,
            "sentence_similarity.words": self.words,
            "sentence_similarity.word2vec": self.word2vec,
        }
        return {
            part: {language: method(language) for language in LANGUAGES}
            for part, method in parts.items()
        }


def plain(event: Event) -> Any:
    """An event as JSON has it, with short numbers."""
    return short(adapter(type(event)).dump_python((event,), mode="json")[0])


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
