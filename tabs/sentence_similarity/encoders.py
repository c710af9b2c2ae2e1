"""Which encoder, whether it reads the sentences, and what there is to say about it."""

import html
from collections.abc import Sequence

from models.base import ModelSpec, Task
from models.choice import choose, language_of
from models.errors import InvalidInput, NotFound
from tabs.context import Context
from tabs.events import line
from tabs.text import both, spans

TAB = "sentence_similarity"
WORD2VEC = "word2vec"
BETTER = "paraphrase-multilingual-MiniLM-L12-v2"


def chosen(context: Context, model: str, sentences: Sequence[str]) -> ModelSpec:
    """The encoder of a choice; "auto" goes by the sentences' language.

    Raises:
        InvalidInput: Word2Vec, which has nothing to compare with until it is trained.
        NotFound: no such model.
    """
    if model == WORD2VEC:
        raise InvalidInput("invalid_word2vec")
    return choose(Task.SENTENCE_SIMILARITY, model, context.settings, " ".join(sentences))


def about(context: Context, model: str) -> str:
    """What an encoder is, and its licence, as HTML."""
    try:
        spec = choose(Task.SENTENCE_SIMILARITY, model, context.settings)
    except NotFound:
        return ""
    what = spans({language: html.escape(text) for language, text in spec.note.items()})
    return line(
        " · ".join(filter(None, (html.escape(spec.label), what, html.escape(spec.licence))))
    )


def reads(spec: ModelSpec, sentences: Sequence[str]) -> bool:
    """Whether the encoder knows the language of every sentence."""
    return spec.languages == ("*",) or all(language_of(s) in spec.languages for s in sentences)


def warnings(spec: ModelSpec, sentences: Sequence[str], truncated: Sequence[int]) -> list[str]:
    """What makes its numbers doubtful, as HTML."""
    said: list[str] = []
    if not reads(spec, sentences):
        said.append(both(f"{TAB}.language", model=spec.label, better=BETTER))
    if truncated:
        cut = ", ".join(str(i + 1) for i in truncated)
        said.append(both(f"{TAB}.truncated", sentences=cut))
    return said
