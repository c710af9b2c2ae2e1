"""The tab for programs: /analyze_sentiment."""

from typing import Any

import gradio as gr

from models.base import Finished, Scores, Task
from models.choice import choose
from models.requests import SentimentRequest
from tabs.context import Context
from tabs.events import follow, told


def build(context: Context) -> None:
    """Offer the endpoint."""

    def analyze_sentiment(text: str, model: str = "auto", request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """Classify a text. `model="auto"` picks by the text's language.

        Returns:
            {"label", "confidences": [{"label", "confidence"}], "model", "seconds", "parts"}
        """
        with told(request):
            ask = SentimentRequest.of(text=text)
            spec = choose(Task.SENTIMENT, model, context.settings, ask.text)
        result: dict[str, Any] = {}
        for event in follow(context, spec, ask, request):
            if isinstance(event, Scores):
                pairs = [{"label": name, "confidence": p} for name, p in event.scores]
                result = {"label": event.scores[0][0], "confidences": pairs, "parts": event.parts}
            elif isinstance(event, Finished):
                result |= {"model": spec.id, "seconds": event.seconds}
        return result

    gr.api(analyze_sentiment, api_name="analyze_sentiment")
