"""The encoders that can be taught. Their weights are those of other tabs' models."""

from collections.abc import Sequence

from models.base import ModelSpec, Task
from models.choice import language_of
from models.errors import InvalidInput
from models.registry import find
from models.settings import Settings
from models.sources import is_here
from models.teach.header import header

ENGINE = "models.teach.encoder:TeachableEncoder"


def _taught(task: Task, model_id: str, label: str) -> ModelSpec:
    """The spec of an encoder whose weights a model of another tab has."""
    of = find(task, model_id)
    return ModelSpec(
        id=f"teach/{label}",
        task=Task.SENTIMENT,
        engine=ENGINE,
        source=of.source,
        label=label,
        languages=of.languages,
        licence=of.licence,
        size_gb=of.size_gb,
        cuda_dtype="float32",
        cpu_threads=1,
    )


ENCODERS = (
    _taught(Task.SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2", "MiniLM"),
    _taught(
        Task.SENTENCE_SIMILARITY,
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        "Multilingual MiniLM",
    ),
    _taught(Task.SENTIMENT, "genlab/sentiment-ko", "GenLab Sentiment (한국어)"),
)
ENGLISH, MULTILINGUAL, KOREAN = ENCODERS


def encoder_for(texts: Sequence[str], settings: Settings, wanted: str = "auto") -> ModelSpec:
    """The encoder to teach: the one wanted, or by the language of most of the sentences.

    Args:
        texts: the sentences.
        settings: whether the multilingual encoder may be downloaded decides nothing: it is taken if
            it is here.
        wanted: "auto" or an id of `ENCODERS`.
    """
    chosen = next((spec for spec in ENCODERS if spec.id == wanted), None)
    if chosen:
        return chosen
    if language_of(" ".join(texts)) == "en":
        return ENGLISH
    return MULTILINGUAL if is_here(MULTILINGUAL) else KOREAN


def encoder_of(content: bytes) -> ModelSpec:
    """The encoder that a saved classifier needs.

    Raises:
        InvalidInput: it is no taught classifier, or of an encoder that is not known (teach_file).
    """
    wanted = header(content).encoder
    for spec in ENCODERS:
        if spec.id == wanted:
            return spec
    raise InvalidInput("teach_file")
