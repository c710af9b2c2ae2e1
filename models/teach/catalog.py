"""The encoders for classes of one's own. Their weights are those of other tasks' models."""

from dataclasses import dataclass

from models.contract import EngineOptions, ModelSpec
from models.sentence_similarity import catalog as sentence_similarity
from models.sentiment import catalog as sentiment


@dataclass(frozen=True, slots=True)
class TeachOptions(EngineOptions):
    """What a teachable encoder's engine must know.

    Attributes:
        prompt: what stands before each sentence, as the encoder was trained with it.
    """

    prompt: str = ""


def prompt_of(spec: ModelSpec) -> str:
    """What stands before each sentence; "" for most encoders."""
    return spec.options.prompt if isinstance(spec.options, TeachOptions) else ""


def _teachable(
    models: tuple[ModelSpec, ...], model_id: str, label: str, prompt: str = ""
) -> ModelSpec:
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
        sha256=other.sha256,
        options=TeachOptions(prompt),
    )


ENGLISH = _teachable(sentence_similarity.MODELS, "sentence-transformers/all-MiniLM-L6-v2", "MiniLM")
E5 = _teachable(
    sentence_similarity.MODELS,
    "intfloat/multilingual-e5-small",
    "Multilingual E5 small",
    prompt="query: ",  # models.weights.e5.PROMPT
)
MULTILINGUAL = _teachable(
    sentence_similarity.MODELS,
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
    "Multilingual MiniLM",
)
KOREAN = _teachable(sentiment.MODELS, "genlab/sentiment-ko", "GenLab Sentiment (한국어)")
MODELS = (ENGLISH, E5, MULTILINGUAL, KOREAN)
