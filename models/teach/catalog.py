"""The encoders for classes of one's own. Their weights are those of other tasks' models."""

from models.contract import ModelSpec
from models.sentence_similarity import catalog as sentence_similarity
from models.sentiment import catalog as sentiment


def _teachable(models: tuple[ModelSpec, ...], model_id: str, label: str) -> ModelSpec:
    """The spec of an encoder whose weights a model of another task has."""
    other = next(spec for spec in models if spec.id == model_id)
    return ModelSpec(
        id=f"teach/{label}",
        task="teach",
        engine="models.teach.transformers_engine:TeachableEncoder",
        source=other.source,
        label=label,
        languages=other.languages,
        licence=other.licence,
        size_gb=other.size_gb,
        cuda_dtype="float32",
        cpu_threads=1,
    )


ENGLISH = _teachable(sentence_similarity.MODELS, "sentence-transformers/all-MiniLM-L6-v2", "MiniLM")
MULTILINGUAL = _teachable(
    sentence_similarity.MODELS,
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
    "Multilingual MiniLM",
)
KOREAN = _teachable(sentiment.MODELS, "genlab/sentiment-ko", "GenLab Sentiment (한국어)")
MODELS = (ENGLISH, MULTILINGUAL, KOREAN)
