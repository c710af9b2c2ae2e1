"""Finding a model: in the catalogue, or on the hub by an id typed in."""

import re

from models.base import ModelSpec, Task
from models.catalog import CATALOG
from models.errors import NotFound

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")

# What serves a hub id that is not in the catalogue.
HUB_ENGINES = {
    Task.CHAT: "models.chat:TransformersChat",
    Task.TEXT_TO_IMAGE: "models.text_to_image:DiffusersTextToImage",
    Task.SENTIMENT: "models.sentiment:TransformersSentiment",
    Task.SENTENCE_SIMILARITY: "models.sentence_similarity:SentenceTransformerSimilarity",
}


def models_of(task: Task) -> tuple[ModelSpec, ...]:
    """The catalogue's entries for one task, in its order."""
    return tuple(spec for spec in CATALOG if spec.task == task)


def find(task: Task, model_id: str) -> ModelSpec:
    """The spec of a catalogue id, or one made for a hub id typed in.

    Args:
        task: the tab it is for.
        model_id: a catalogue id or "organisation/name". Never a path: only the catalogue may name
            files of this machine.

    Raises:
        NotFound: neither.
    """
    model_id = str(model_id).strip()
    for spec in models_of(task):
        if spec.id == model_id:
            return spec
    if _HUB_ID.fullmatch(model_id) and ".." not in model_id and not model_id.startswith("genlab/"):
        return ModelSpec(
            id=model_id,
            task=task,
            engine=HUB_ENGINES[task],
            source=f"hub:{model_id}",
            label=model_id,
            wants_gpu=task == Task.TEXT_TO_IMAGE,
        )
    raise NotFound(model=model_id[:100])
