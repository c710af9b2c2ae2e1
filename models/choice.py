"""What `model="auto"` means: the best model that is here, free, and reads the text's language."""

import re
from collections.abc import Sequence

from models.base import ModelSpec, Task
from models.placement import place
from models.registry import find, models_of
from models.settings import Settings
from models.sources import is_here

_HANGUL = re.compile(r"[\uac00-\ud7a3\u3131-\u318e]")
_LATIN = re.compile(r"[A-Za-z]")


def language_of(text: str) -> str:
    """Say "ko" where Hangul carries the text, else "en".

    A syllable of Hangul says about as much as two or three letters, so Korean with English names in
    it is still Korean.
    """
    hangul, latin = len(_HANGUL.findall(text)), len(_LATIN.findall(text))
    return "ko" if hangul and 2 * hangul >= latin else "en"


def unread(spec: ModelSpec, text: str) -> str:
    """The language of a text, or of a part of it, that a model does not read; "" for none.

    Hangul counts even as a part; Latin letters only where they carry the text, since Korean is full of
    English names.
    """
    if "*" in spec.languages:
        return ""
    if "ko" not in spec.languages and _HANGUL.search(text):
        return "ko"
    return "en" if "en" not in spec.languages and language_of(text) == "en" else ""


def choose(task: Task, model_id: str, settings: Settings, text: str = "") -> ModelSpec:
    """The spec for a model id; "auto" picks one that is on this machine.

    Args:
        task: what for.
        model_id: "auto", a catalogue id or a hub id.
        settings: decides what may be used.
        text: for "auto": its language decides, where the task's models differ by language.

    Raises:
        NotFound: no such model.
    """
    if model_id != "auto":
        return find(task, model_id)
    return preferred(task, settings, language_of(text))


def choose_encoder(model_id: str, settings: Settings, sentences: Sequence[str]) -> ModelSpec:
    """The encoder to compare sentences with; "auto" takes the first that is here and reads them all.

    Where none does (Korean beside English without a multilingual encoder), the language of most of
    the text decides, and `reads` says that it is not enough.

    Raises:
        NotFound: no such model.
    """
    if model_id != "auto":
        return find(Task.SENTENCE_SIMILARITY, model_id)
    for spec in models_of(Task.SENTENCE_SIMILARITY):
        free = not spec.hosted and spec.source != "none:"
        if free and reads(spec, sentences) and is_here(spec):
            return spec
    return preferred(Task.SENTENCE_SIMILARITY, settings, language_of(" ".join(sentences)))


def reads(spec: ModelSpec, sentences: Sequence[str]) -> bool:
    """Whether a model knows the language of every sentence."""
    return spec.languages == ("*",) or all(language_of(s) in spec.languages for s in sentences)


def preferred(task: Task, settings: Settings, language: str = "en") -> ModelSpec:
    """The model offered first: here, free of charge, quick on this machine, of the language.

    A big model that is here and has its GPU comes before the starter; a hosted or absent one never.
    """
    here = [s for s in models_of(task) if not s.hosted and s.source != "none:" and is_here(s)]
    fits = [s for s in here if s.languages == ("*",) or language in s.languages] or here
    fits = [s for s in fits if not s.last] or fits
    on_gpu = [s for s in fits if s.wants_gpu and place(s, settings).device == "cuda"]
    starters = [s for s in fits if s.starter]
    return (on_gpu or starters or fits or list(models_of(task)))[0]
