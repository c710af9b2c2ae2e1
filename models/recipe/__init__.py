"""The recipe: the standalone Python behind a result, one module a task."""

from models.base import ModelSpec, Placement, Task
from models.recipe import chat, sentence_similarity, sentiment, text_to_image
from models.requests import Request

_WRITERS = {
    Task.CHAT: chat.python,
    Task.TEXT_TO_IMAGE: text_to_image.python,
    Task.SENTIMENT: sentiment.python,
    Task.SENTENCE_SIMILARITY: sentence_similarity.python,
}


def recipe(spec: ModelSpec, request: Request, placement: Placement) -> str:
    """A script in plain openai, diffusers, transformers, gensim or sentence-transformers code.

    On a CPU it gives what the page gave; it holds the model, all parameters and the drawn seed, and
    never a key.

    Args:
        spec: the model that answered ("auto" is already resolved).
        request: with the drawn seed.
        placement: where it ran.
    """
    return _WRITERS[spec.task](spec, request, placement)
