"""Which encoder, whether it reads the sentences, and what there is to say about it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from models.contract import ModelSpec
from models.errors import InvalidInput, NotFound
from models.select import reads, select_encoder
from models.tasks import SENTENCE_SIMILARITY
from tabs.shared.context import Context
from tabs.shared.strings import both, t
from tabs.shared.widgets import model_line, model_picker

TAB = "sentence_similarity"
WORD2VEC = "word2vec"
BETTER = "paraphrase-multilingual-MiniLM-L12-v2"


class Server(NamedTuple):
    """What was typed for a hosted encoder; a field that is not shown holds None."""

    name: str | None
    key: str | None

    def fields(self) -> dict[str, str | None]:
        """As a request takes them."""
        return {"model_name": self.name or "", "api_key": self.key or None}


class Choice(NamedTuple):
    """The controls that pick an encoder, in the order of the handlers' values."""

    model: gr.Dropdown
    model_name: gr.Textbox
    api_key: gr.Textbox


def picker(context: Context, prefix: str, also: gr.Dropdown | None = None) -> Choice:
    """Lay out the choice of an encoder, with what it is and a key's fields where it wants one.

    Args:
        context: the app's models.
        prefix: of the elem_ids.
        also: a choice of more encoders, which may want the key too.
    """
    model = model_picker(context, SENTENCE_SIMILARITY, f"{prefix}-model", {WORD2VEC})
    told_of = gr.HTML(about(context, "auto"), elem_id=f"{prefix}-about")
    model_name = gr.Textbox(
        label=t(f"{TAB}.model_name"),
        info=t(f"{TAB}.model_name_info"),
        visible=False,
        elem_id=f"{prefix}-model-name",
    )
    api_key = gr.Textbox(
        label=t(f"{TAB}.api_key"),
        info=t(f"{TAB}.api_key_info"),
        type="password",
        visible=False,
        elem_id=f"{prefix}-key",
    )

    def adapted(model: str, *more: list[str]) -> tuple[Any, ...]:
        server = gr.update(visible=_any_hosted([model, *(more[0] if more else [])]))
        return about(context, model), server, server

    asked = [model, also] if also else [model]
    gr.on(
        [one.change for one in asked],
        adapted,
        asked,
        [told_of, model_name, api_key],
        api_visibility="private",
        show_progress="hidden",
    )
    return Choice(model, model_name, api_key)


def _any_hosted(models: Sequence[str]) -> bool:
    return any(s.hosted and s.id in models for s in SENTENCE_SIMILARITY.models)


def chosen(context: Context, model: str, sentences: Sequence[str]) -> ModelSpec:
    """The encoder of a choice; "auto" goes by the sentences' language.

    Raises:
        InvalidInput: Word2Vec, which has nothing to compare with until it is trained.
        NotFound: no such model.
    """
    if model == WORD2VEC:
        raise InvalidInput("invalid_word2vec")
    return select_encoder(model, context.settings, sentences)


def about(context: Context, model: str) -> str:
    """What an encoder is, and its licence, as HTML."""
    try:
        spec = select_encoder(model, context.settings, ())
    except NotFound:
        return ""
    return model_line(spec, with_size=False)


def warnings(
    spec: ModelSpec,
    sentences: Sequence[str],
    truncated: Sequence[int] = (),
    unknown: Sequence[str] = (),
) -> list[str]:
    """What makes an encoder's numbers doubtful, as HTML."""
    said: list[str] = []
    if not reads(spec, sentences):
        said.append(both(f"{TAB}.language", model=spec.label, better=BETTER))
    if truncated:
        cut = ", ".join(str(i + 1) for i in truncated)
        said.append(both(f"{TAB}.truncated", sentences=cut))
    if unknown:
        said.append(both(f"{TAB}.unknown", words=", ".join(unknown[:20])))
    return said
