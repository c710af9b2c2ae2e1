"""Which model reads which of many texts."""

from collections.abc import Sequence

from models.contract import ModelSpec
from models.select import select
from models.settings import Settings
from models.tasks import SENTIMENT
from models.text.language import language_of


def by_model(
    model_id: str, settings: Settings, texts: Sequence[str]
) -> list[tuple[ModelSpec, list[int]]]:
    """Models with the indexes of the texts that each is to read; "auto" picks by a text's language.

    Raises:
        NotFound: no such model.
    """
    if model_id != "auto":
        return [(select(SENTIMENT, model_id, settings), [*range(len(texts))])]
    rows: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        rows.setdefault(language_of(text), []).append(index)
    groups: dict[str, tuple[ModelSpec, list[int]]] = {}
    for indexes in rows.values():
        spec = select(SENTIMENT, "auto", settings, texts[indexes[0]])
        groups.setdefault(spec.id, (spec, []))[1].extend(indexes)
    return [*groups.values()]
