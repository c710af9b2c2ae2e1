"""The tab for programs: /compare_sentences, /compare_many, /search_lines."""

import math
from typing import Any

import gradio as gr

from models.contract import Finished
from models.errors import InvalidInput
from models.select import reads
from models.sentence_similarity.encoder import in_order
from models.sentence_similarity.events import Encoded, Similarities
from models.sentence_similarity.many_sentences import landscape, nearest_rows
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from tabs.sentence_similarity.encoders import find_encoder
from tabs.sentence_similarity.many import letter
from tabs.shared.context import Context
from tabs.shared.events import follow, show_errors

MOST_HITS = 1000
SAMPLE = 200  # lines whose language counts


def build(context: Context) -> None:
    """Offer the endpoints."""

    def compare_sentences(
        sentence_a: str,
        sentence_b: str,
        model: str = "auto",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> tuple[float, dict[str, Any]]:
        """How near two sentences are in meaning, as the cosine of their vectors.

        Args:
            sentence_a: the one.
            sentence_b: the other.
            model: "auto" (what is here, free and reads the text's language), an id of the catalogue or a Hugging Face id.

        Returns:
            The cosine, -1 to 1, and {"model", "seconds", "language_known", "truncated"}: whether the
            encoder reads the sentences' language, and which of them (0, 1) it saw only in part.
        """
        similarities, facts = _compare(context, [sentence_a, sentence_b], model, request)
        return similarities.cosines[0][1], facts

    gr.api(compare_sentences, api_name="compare_sentences")
    _many(context)
    _search(context)


def _many(context: Context) -> None:
    def compare_many(
        sentences: list[str],
        model: str = "auto",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:  # type: ignore[type-arg]
        """Compare 2 to 300 sentences in meaning, each with every other, and group them.

        Args:
            sentences: of up to 2,000 characters each.
            model: "auto" (what is here, free and reads the text's language), an id of the catalogue or a Hugging Face id.

        Returns:
            {"cosines", "labels", "model", "seconds", "language_known", "truncated"}: a row of cosines a
            sentence (None where it has no vector), and the group of each ("A" is the largest).
        """
        similarities, facts = _compare(context, sentences, model, request)
        cosines = [[None if math.isnan(c) else c for c in row] for row in similarities.cosines]
        groups = landscape(similarities.cosines).groups
        labels = [letter(group) if group >= 0 else None for group in groups]
        return {"cosines": cosines, "labels": labels, **facts}

    gr.api(compare_many, api_name="compare_many")


def _search(context: Context) -> None:
    def search_lines(
        query: str,
        lines: list[str],
        model: str = "auto",
        k: int = 10,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:  # type: ignore[type-arg]
        """Find the k lines nearest in meaning to a query among up to 99,999; blank ones are skipped.

        Args:
            query: what is looked for.
            lines: where to look.
            model: "auto" (what is here, free and reads the text's language), an id of the catalogue or a Hugging Face id.
            k: how many lines to give, up to 1000.

        Returns:
            {"hits": [{"line", "score", "text"}], "model", "seconds", "language_known"}: nearest first,
            `line` is the index in `lines`, `score` the cosine.
        """
        rows = [i for i, text in enumerate(lines) if text.strip()]
        with show_errors(request):
            if not rows:
                raise InvalidInput("invalid_no_lines")
            if not 1 <= k <= MOST_HITS:
                raise InvalidInput("invalid_hits", limit=MOST_HITS)
            encode = EncodeRequest.of(sentences=[query, *(lines[i] for i in rows)])
            spec = find_encoder(context, model, encode.sentences[:SAMPLE])
        events = list(follow(context, spec, encode, request))
        vectors = in_order([e for e in events if isinstance(e, Encoded)], len(encode.sentences))
        hits = nearest_rows(vectors[1:], vectors[0], k)
        return {
            "hits": [{"line": rows[i], "score": c, "text": lines[rows[i]]} for i, c in hits],
            "model": spec.id,
            "seconds": sum(e.seconds for e in events if isinstance(e, Finished)),
            "language_known": reads(spec, encode.sentences[:SAMPLE]),
        }

    gr.api(search_lines, api_name="search_lines")


def _compare(
    context: Context, sentences: list[str], model: str, page: gr.Request
) -> tuple[Similarities, dict[str, Any]]:
    with show_errors(page):
        request = SimilarityRequest.of(sentences=sentences)
        spec = find_encoder(context, model, request.sentences)
    similarities, seconds = Similarities(()), 0.0
    for event in follow(context, spec, request, page):
        if isinstance(event, Similarities):
            similarities = event
        elif isinstance(event, Finished):
            seconds = event.seconds
    return similarities, {
        "model": spec.id,
        "seconds": seconds,
        "language_known": reads(spec, request.sentences),
        "truncated": list(similarities.truncated),
    }
