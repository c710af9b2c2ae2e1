"""The catalogue, a file a task. ADD A MODEL: one ModelSpec in its task's file is all it needs."""

from models.base import ModelSpec
from models.catalog import chat, sentence_similarity, sentiment, text_to_image

CATALOG: tuple[ModelSpec, ...] = (
    *chat.MODELS,
    *text_to_image.MODELS,
    *sentiment.MODELS,
    *sentence_similarity.MODELS,
)
