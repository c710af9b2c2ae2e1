"""Find a model: in the catalogue, on the hub by an id typed in, or by "auto".

"auto" is the best model that is on this machine, free, and reads the text's language.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from models.contract import ModelSpec, Placement
from models.errors import NotFound
from models.runtime.placement import place
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, TEACH, Task
from models.text.language import language_of, unread
from models.weights.gguf import quantisation
from models.weights.safetensors_files import PICKLES
from models.weights.sources import is_here

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_GGUF_TAG = re.compile(r"[\w./-]{1,120}")
_HUB_ADDRESS = re.compile(r"(https?://)?(hf\.co|huggingface\.co)/")
_FILES = (".gguf", ".safetensors", *PICKLES)
_GGUF_SLOTS = 4  # people at once on a GGUF model that is typed in


def _is_free_gpu(placement: Placement) -> bool:
    return placement.device == "cuda" and placement.reason != "zero_gpu"


def find(task: Task, model_id: str) -> ModelSpec:
    """The spec of a catalogue id, or one made for an id typed in.

    Args:
        task: what it is for.
        model_id: a catalogue id, a hub id "organisation/name", a GGUF model of the hub as llama.cpp and
            Ollama write it ("organisation/name-GGUF:Q4_K_M", the quantisation may be left out) or
            "file:NAME.gguf" or "file:NAME.safetensors" in the host's folder (models/weights/sources.py keeps to
            that folder).

    Raises:
        NotFound: none of these.
    """
    model_id = str(model_id).strip()
    for spec in task.models:  # first as it is: ":mean" and ":int8" are no quantisations
        if spec.id == model_id:
            return spec
    model_id = _HUB_ADDRESS.sub("", model_id, count=1)
    repository, _, tag = model_id.partition(":")
    if tag and not tag.lower().endswith(_FILES):
        tag = "" if tag.lower() == "latest" else tag.upper()  # Ollama's word for its own choice
        model_id = f"{repository}:{tag}" if tag else repository
    for spec in task.models:
        if spec.id == model_id:
            return spec
    own = ".." in repository or repository.startswith("genlab/")
    is_file = repository == "file" and tag.lower().endswith(".gguf")
    is_hub = _HUB_ID.fullmatch(repository) and not own
    if task.gguf_engine and is_file:
        return _gguf(task, model_id, tag)
    is_file = repository == "file" and tag.lower().endswith(_FILES)
    if task.single_file and is_file:  # a pickled one is refused by name, when it is opened
        return replace(task.single_file, id=model_id, source=model_id, label=tag)
    if task.gguf_engine and is_hub and (_GGUF_TAG.fullmatch(tag) or "gguf" in repository.lower()):
        return _gguf(task, model_id, f"{tag}.gguf" if tag else "", f"hub:{model_id}")
    if task.hub_engine and is_hub and ":" not in model_id:
        return ModelSpec(
            id=model_id,
            task=task.id,
            engine=task.hub_engine,
            wants_gpu=task.wants_gpu,
        )
    raise NotFound(model=model_id[:100])


def _gguf(task: Task, model_id: str, file: str, source: str = "") -> ModelSpec:
    return ModelSpec(
        id=model_id,
        task=task.id,
        engine=task.gguf_engine,
        source=source or model_id,
        cuda_dtype="",
        quantisation=quantisation(file),
        concurrency=_GGUF_SLOTS,
    )


def select(
    task: Task, model_id: str, settings: Settings, text: str = "", page: str = "en"
) -> ModelSpec:
    """The spec for a model id; "auto" picks one that is on this machine.

    Args:
        task: what for.
        model_id: "auto", a catalogue id or a hub id.
        settings: decides what may be used.
        text: for "auto": its language decides, where the task's models differ by language.
        page: the language of a text without a letter: the page's.

    Raises:
        NotFound: no such model.
    """
    if model_id != "auto":
        return find(task, model_id)
    return default_model(task, settings, language_of(text, page))


def select_by_language(
    task: Task, model_id: str, settings: Settings, texts: Sequence[str], page: str = "en"
) -> list[tuple[ModelSpec, list[int]]]:
    """The models for many texts, each with the indexes of its texts.

    "auto" picks for each text by its language (the page's for one without a letter); any other id is the
    one model of all.

    Raises:
        NotFound: no such model.
    """
    if model_id != "auto":
        return [(find(task, model_id), [*range(len(texts))])]
    languages: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        languages.setdefault(language_of(text, page), []).append(index)
    models: dict[str, tuple[ModelSpec, list[int]]] = {}
    for language, indexes in languages.items():
        spec = default_model(task, settings, language)
        models.setdefault(spec.id, (spec, []))[1].extend(indexes)
    return [*models.values()]


def select_teachable(model_id: str, sentences: Sequence[str]) -> ModelSpec:
    """The encoder for a classifier of one's own classes.

    "auto" takes the first one here that reads all the sentences, else the language of most of them.

    Raises:
        NotFound: no such model.
    """
    if model_id != "auto":
        return find(TEACH, model_id)
    here = [spec for spec in TEACH.models if is_here(spec)]
    language = language_of(" ".join(sentences))
    whole = [spec for spec in here if reads(spec, sentences)]
    return (whole or [spec for spec in here if {"*", language} & {*spec.languages}])[0]


def select_encoder(model_id: str, settings: Settings, sentences: Sequence[str]) -> ModelSpec:
    """The encoder to compare sentences with; "auto" takes the first that is here and reads them all.

    Where none does (Korean beside English without a multilingual encoder), the language of most of
    the text decides, and `reads` says that it is not enough.

    Raises:
        NotFound: no such model.
    """
    if model_id != "auto":
        return find(SENTENCE_SIMILARITY, model_id)
    for spec in SENTENCE_SIMILARITY.models:
        free = not spec.hosted and spec.source != "none:"
        if free and reads(spec, sentences) and is_here(spec):
            return spec
    return default_model(SENTENCE_SIMILARITY, settings, language_of(" ".join(sentences)))


def reads(spec: ModelSpec, sentences: Sequence[str]) -> bool:
    """Whether a model reads every sentence, Hangul in an English one too."""
    return not any(unread(spec, sentence) for sentence in sentences)


def default_model(task: Task, settings: Settings, language: str = "en") -> ModelSpec:
    """The model that is offered first: on this machine, free of charge, quick here, and of the language.

    A big model that is here and has its GPU comes first; then what ships, comes from the package index
    or is a GGUF file, in the catalogue's order; a hosted or absent one never.
    """
    free = [s for s in task.models if not s.hosted and s.source != "none:"]
    of_language = [s for s in free if s.languages == ("*",) or language in s.languages]
    # To look for a model on the disk takes 0.1 ms: first for those that fit.
    fits = [s for s in of_language if is_here(s)] or [s for s in free if is_here(s)]
    fits = [s for s in fits if not s.last] or fits
    # A GPU that is lent costs the visitor's quota: never without being asked for.
    placements = {s.id: place(s, settings) for s in fits if s.wants_gpu}
    on_gpu = [s for s in fits if s.id in placements and _is_free_gpu(placements[s.id])]
    light = [s for s in fits if s.starter or s.source.startswith("index:") or s.quantisation]
    return (on_gpu or light or fits or list(task.models))[0]
