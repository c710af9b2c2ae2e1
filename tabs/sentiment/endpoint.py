"""The tab for programs: /analyze_sentiment, /explain_sentiment and /analyze_sentiments."""

from dataclasses import asdict
from typing import Any

import gradio as gr

from models.contract import Finished
from models.select import select, select_by_language
from models.sentiment.events import Attribution, RowScores, Scores
from models.sentiment.requests import AttributionRequest, ManyTextsRequest, SentimentRequest
from models.tasks import SENTIMENT
from models.text.language import unread
from tabs.shared.context import Context
from tabs.shared.events import follow, show_errors


def build(context: Context) -> None:
    """Offer the endpoints."""
    _one(context)
    _why(context)
    _many(context)


def _one(context: Context) -> None:

    def analyze_sentiment(text: str, model: str = "auto", request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """Classify a text's sentiment as positive, negative or what else the model knows, with probabilities.

        Args:
            text: English or Korean, up to 20,000 characters.
            model: "auto" (what is here, free and reads the text's language), an id of the catalogue or a Hugging Face id.

        Returns:
            {"label", "confidences": [{"label", "confidence"}], "model", "seconds", "parts", "unread"}:
            `unread` is the language ("ko", "en") in the text that the model does not read, or "".
        """
        with show_errors(request):
            analysis = SentimentRequest.of(text=text)
            spec = select(SENTIMENT, model, context.settings, analysis.text)
        result: dict[str, Any] = {}
        for event in follow(context, spec, analysis, request):
            if isinstance(event, Scores):
                pairs = [{"label": name, "confidence": p} for name, p in event.scores]
                result = {"label": event.scores[0][0], "confidences": pairs, "parts": event.parts}
            elif isinstance(event, Finished):
                result |= {"model": spec.id, "seconds": event.seconds}
        return result | {"unread": unread(spec, analysis.text)}

    gr.api(analyze_sentiment, api_name="analyze_sentiment")


def _why(context: Context) -> None:
    def explain_sentiment(
        text: str,
        model: str = "auto",
        label: str = "",
        method: str = "gradients",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:  # type: ignore[type-arg]
        """Compute what each word adds to the probability of a text's sentiment.

        Args:
            text: English or Korean, up to 20,000 characters.
            model: "auto" (what is here, free and reads the text's language), an id of the catalogue or a Hugging Face id.
            label: the class that is explained; blank is the predicted one.
            method: "gradients" (layer integrated gradients) or "leave_out" (each word left out).

        Returns:
            {"label", "score", "baseline", "error", "rest", "steps", "method", "model", "seconds", "words":
            [{"word", "begin", "end", "value", "tokens": [[token, id]]}]}
        """
        with show_errors(request):
            explanation = AttributionRequest.of(text=text, label=label, method=method)
            spec = select(SENTIMENT, model, context.settings, explanation.text)
        result: dict[str, Any] = {}
        for event in follow(context, spec, explanation, request):
            if isinstance(event, Attribution):
                result = asdict(event)
                for word in result["words"]:
                    word["word"] = explanation.text[word["begin"] : word["end"]]
            elif isinstance(event, Finished):
                result |= {"model": spec.id, "seconds": event.seconds}
        return result

    gr.api(explain_sentiment, api_name="explain_sentiment")


def _many(context: Context) -> None:
    def analyze_sentiments(
        texts: list[str],
        model: str = "auto",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:  # type: ignore[type-arg]
        """Classify the sentiment of up to 100,000 texts.

        Args:
            texts: English or Korean.
            model: "auto" (what is here, free and reads the text's language), an id of the catalogue or a Hugging Face id. "auto" picks for each text.

        Returns:
            {"rows": [{"label", "confidence", "scores": {label: probability}, "model"}, ...]}, a row a
            text in their order; an empty one for a text without a letter.
        """
        with show_errors(request):
            models = select_by_language(
                SENTIMENT, model, context.settings, ManyTextsRequest.of(texts=texts).texts
            )
        rows: list[dict[str, Any]] = [{} for _ in texts]
        for spec, indexes in models:
            many = ManyTextsRequest.of(texts=[texts[i] for i in indexes])
            for event in follow(context, spec, many, request):
                if isinstance(event, RowScores):
                    for index, scores in event.by_label():
                        rows[indexes[index]] = _row(spec.id, scores)
        return {"rows": rows}

    gr.api(analyze_sentiments, api_name="analyze_sentiments")


def _row(model: str, scores: dict[str, float]) -> dict[str, Any]:
    label = max(scores, key=scores.__getitem__)
    return {"label": label, "confidence": scores[label], "scores": scores, "model": model}
