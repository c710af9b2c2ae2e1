"""The tab for programs: /compare_sentences."""

from typing import Any

import gradio as gr

from models.base import Finished, Similarities
from models.choice import reads
from models.requests import SimilarityRequest
from tabs.context import Context
from tabs.events import follow, told
from tabs.sentence_similarity.encoders import chosen


def build(context: Context) -> None:
    """Offer the endpoints."""

    def compare_sentences(
        sentence_a: str,
        sentence_b: str,
        model: str = "auto",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> tuple[float, dict[str, Any]]:
        """Compare two sentences; `model="auto"` picks by their language.

        Returns:
            The cosine, -1 to 1, and {"model", "seconds", "language_known", "truncated"}: whether the
            encoder reads the sentences' language, and which of them (0, 1) it saw only in part.
        """
        found, facts = _compared(context, [sentence_a, sentence_b], model, request)
        return found.cosines[0][1], facts

    gr.api(compare_sentences, api_name="compare_sentences")


def _compared(
    context: Context, sentences: list[str], model: str, request: gr.Request
) -> tuple[Similarities, dict[str, Any]]:
    with told(request):
        ask = SimilarityRequest.of(sentences=sentences)
        spec = chosen(context, model, ask.sentences)
    found, seconds = Similarities(()), 0.0
    for event in follow(context, spec, ask, request):
        if isinstance(event, Similarities):
            found = event
        elif isinstance(event, Finished):
            seconds = event.seconds
    return found, {
        "model": spec.id,
        "seconds": seconds,
        "language_known": reads(spec, ask.sentences),
        "truncated": list(found.truncated),
    }
