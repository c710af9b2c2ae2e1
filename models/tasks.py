"""The tasks, a row each. ADD A TASK: its folder in models/, its folder in tabs/, and a row here.

A row names code as "module:name" strings, so that nothing heavy is imported before it is needed.
"""

import pkgutil
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

from models.chat import catalog as chat
from models.contract import ModelSpec, Placement, Request
from models.sentence_similarity import catalog as sentence_similarity
from models.sentiment import catalog as sentiment
from models.serving import HttpCall, Say
from models.teach import catalog as teach
from models.text_to_image import catalog as text_to_image
from models.word_vectors import catalog as word_vectors


@dataclass(frozen=True, slots=True)
class Task:
    """A task: its models, and the code that belongs to it, by name.

    Attributes:
        id: the `task` of its models' specs.
        label: its name in English, for lists outside the page.
        models: its catalogue, in the order of the page.
        recipe: (spec, request, placement) -> the standalone Python behind a result.
        call: (spec, request, placement, say) -> the same over HTTP (models/serving.py), None where
            there is no such request; "" for a task without.
        hub_engine: the engine of a hub id that is typed in; "" where only the catalogue counts.
        gguf_engine: the engine of a GGUF file that is typed in; "" where none is read.
        single_file: the spec of a safetensors file in the host's folder, without its id; None where
            single files are not read.
        hub_files: (names, read) -> the files of a hub repository that the engine needs.
        hub_check: (spec, config) refuses a model by its config.json before it is downloaded; "" for
            no check.
        wants_gpu: a model typed in is too slow on a CPU to be offered first there.
        listed: its models are listed in the catalogue; False where they are other tasks' again.
    """

    id: str
    label: str
    models: tuple[ModelSpec, ...]
    recipe: str
    call: str = ""
    hub_engine: str = ""
    gguf_engine: str = ""
    single_file: ModelSpec | None = None
    hub_files: str = "models.weights.hub_files:transformer_files"
    hub_check: str = ""
    wants_gpu: bool = False
    listed: bool = True


CHAT = Task(
    id="chat",
    label="Chat",
    models=chat.MODELS,
    recipe="models.chat.recipe:python",
    call="models.chat.recipe:call",
    hub_engine="models.chat.transformers_engine:TransformersChat",
    gguf_engine="models.chat.llama_cpp:LlamaCppChat",
    hub_files="models.weights.hub_files:language_model_files",
)
TEXT_TO_IMAGE = Task(
    id="text-to-image",
    label="Text to image",
    models=text_to_image.MODELS,
    recipe="models.text_to_image.recipe:python",
    call="models.text_to_image.recipe:call",
    hub_engine="models.text_to_image.diffusers_engine:DiffusersTextToImage",
    single_file=text_to_image.SINGLE_FILE,
    hub_files="models.weights.hub_files:pipeline_files",
    wants_gpu=True,
)
SENTIMENT = Task(
    id="sentiment",
    label="Sentiment",
    models=sentiment.MODELS,
    recipe="models.sentiment.recipe:python",
    call="models.sentiment.recipe:call",
    hub_engine="models.sentiment.transformers_engine:TransformersSentiment",
    hub_check="models.sentiment.transformers_engine:refuse_headless",
)
SENTENCE_SIMILARITY = Task(
    id="sentence-similarity",
    label="Sentence similarity",
    models=(*sentence_similarity.MODELS, *word_vectors.MODELS),
    recipe="models.sentence_similarity.recipe:python",
    call="models.sentence_similarity.recipe:call",
    hub_engine="models.sentence_similarity.transformers_engine:SentenceTransformerSimilarity",
    hub_files="models.weights.hub_files:encoder_files",
)
WORD_VECTORS = Task(  # their recipes are their own; as encoders they are listed above
    id="word-vectors",
    label="Word vectors",
    models=word_vectors.MODELS,
    recipe="models.word_vectors.recipe:python",
    call="models.word_vectors.recipe:call",
    listed=False,
)
TEACH = Task(
    id="teach",
    label="Teach it",
    models=teach.MODELS,
    recipe="models.teach.recipe:python",
    listed=False,
)

TASKS = (CHAT, TEXT_TO_IMAGE, SENTIMENT, SENTENCE_SIMILARITY, WORD_VECTORS, TEACH)
# What a picture's model may be given beside its own weights; no choice of a model.
LORA = Task("lora", "LoRA", (), "", hub_files="models.weights.hub_files:lora_files")
TINY_DECODER = Task(
    "tiny-decoder", "Tiny decoder", (), "", hub_files="models.weights.hub_files:autoencoder_files"
)
PARTS = (LORA, TINY_DECODER)
CATALOG = tuple(spec for task in TASKS if task.listed for spec in task.models)

_CATALOG_IDS = {spec.id for spec in CATALOG}


def id_in_logs(model_id: str) -> str:
    """A model's id for logs and figures: "typed" for one that somebody named, which could be anything."""
    return model_id if model_id in _CATALOG_IDS else "typed"


def task_of(spec: ModelSpec) -> Task:
    """The row of a model's task."""
    return next(task for task in (*TASKS, *PARTS) if task.id == spec.task)


def recipe(spec: ModelSpec, request: Request, placement: Placement) -> str:
    """A script in plain openai, diffusers, transformers, gensim or sentence-transformers code.

    On a CPU it gives what the page gave; it holds the model, all parameters and the seed of the draw,
    and never a key.

    Args:
        spec: the model that answered ("auto" is already resolved).
        request: with the seed of the draw.
        placement: where it ran.
    """
    return pkgutil.resolve_name(task_of(spec).recipe)(spec, request, placement)


def call(spec: ModelSpec, request: Request, placement: Placement, say: Say) -> HttpCall | None:
    """The same result as a request over HTTP, and its model behind a server of one's own.

    Args:
        spec: as in `recipe`.
        request: with the seed of the draw.
        placement: where it ran.
        say: gives the comments in the page's language.
    """
    name = task_of(spec).call
    return pkgutil.resolve_name(name)(spec, request, placement, say) if name else None


def hub_files(spec: ModelSpec, names: Set[str], read: Callable[[str], Any]) -> set[str]:
    """The files of a model's hub repository that its engine needs.

    Args:
        spec: the model.
        names: every file there is, with forward slashes.
        read: gives the content of one of them, a JSON file.

    Raises:
        ModelError, KeyError, TypeError, ValueError, AttributeError: no whole model of this task.
    """
    return pkgutil.resolve_name(task_of(spec).hub_files)(names, read)


def check_hub_config(spec: ModelSpec, config: dict[str, Any]) -> None:
    """Refuse a model that its config.json shows to be useless for its task.

    Raises:
        ModelError: it is refused.
    """
    if check := task_of(spec).hub_check:
        pkgutil.resolve_name(check)(spec, config)
