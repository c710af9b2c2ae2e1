"""The choice of an encoder, what makes its numbers doubtful, and cosines as HTML."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import gradio as gr
import numpy as np

from models.contract import ModelSpec
from models.errors import InvalidInput, NotFound
from models.select import reads, select_encoder
from models.sentence_similarity.events import ReferenceCosines
from models.tasks import SENTENCE_SIMILARITY
from tabs.shared.context import Context
from tabs.shared.events import line
from tabs.shared.strings import both, t
from tabs.shared.widgets import model_line, model_picker

TAB = "sentence_similarity"
WORD2VEC = "word2vec"
BETTER = "Multilingual E5 small"


class EncoderPicker(NamedTuple):
    """The controls that pick an encoder, in the order of the handlers' values."""

    model: gr.Dropdown
    model_name: gr.Textbox
    api_key: gr.Textbox


def picker(context: Context, prefix: str, also: gr.Dropdown | None = None) -> EncoderPicker:
    """Lay out the choice of an encoder, with what it is and a key's fields where it wants one.

    Args:
        context: the app's models.
        prefix: of the elem_ids.
        also: a choice of more encoders, which may want the key too.
    """
    model = model_picker(context, SENTENCE_SIMILARITY, f"{prefix}-model", {WORD2VEC})
    description = gr.HTML(about(context, "auto"), elem_id=f"{prefix}-about")
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

    def show_choice(model: str, *more: list[str]) -> tuple[Any, ...]:
        models = [model, *(more[0] if more else [])]
        hosted = any(spec.hosted and spec.id in models for spec in SENTENCE_SIMILARITY.models)
        server = gr.update(visible=hosted)
        return about(context, model), server, server

    dropdowns = [model, also] if also else [model]
    gr.on(
        [dropdown.change for dropdown in dropdowns],
        show_choice,
        dropdowns,
        [description, model_name, api_key],
        api_visibility="private",
        show_progress="hidden",
    )
    return EncoderPicker(model, model_name, api_key)


def server_fields(model_name: str | None, api_key: str | None) -> dict[str, str | None]:
    """A request's fields for a hosted encoder; a box that is hidden holds None."""
    return {"model_name": model_name or "", "api_key": api_key or None}


def find_encoder(context: Context, model: str, sentences: Sequence[str]) -> ModelSpec:
    """The encoder of an id; "auto" goes by the sentences' language.

    Raises:
        InvalidInput: Word2Vec, which has nothing to compare with until it is trained.
        NotFound: no such model.
    """
    if model == WORD2VEC:
        raise InvalidInput("invalid_word2vec")
    return select_encoder(model, context.settings, sentences)


def about(context: Context, model: str) -> str:
    """What an encoder is, with its licence, as HTML; for "auto" how it picks one."""
    if model == "auto":
        return f'<p class="result-line">{both(f"{TAB}.auto")}</p>'
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
    texts: list[str] = []
    if not reads(spec, sentences):
        texts.append(both(f"{TAB}.language", model=spec.label, better=BETTER))
    if truncated:
        numbers = ", ".join(str(i + 1) for i in truncated)
        texts.append(both(f"{TAB}.truncated", sentences=numbers))
    if unknown:
        texts.append(both(f"{TAB}.unknown", words=", ".join(unknown[:20])))
    return texts


# ---------------------------------------------------------------- cosines as HTML

STRONGEST = 45  # per cent of the colour behind a cosine of 1: text on it keeps its contrast


def number(cosine: float) -> str:
    """Two digits; a dash where there is no vector."""
    if math.isnan(cosine):
        return "–"
    return f"{cosine:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")


def large_number(cosine: float, reading: str) -> str:
    """One cosine, large, over its reading (HTML)."""
    return (
        f'<p class="number-large" style="margin:0">{number(cosine)}</p>'
        f'<p style="margin:0">{reading}</p>'
    )


class ColourScale(NamedTuple):
    """The cosines between which a colour goes from clear to full."""

    low: float = 0
    high: float = 1

    @classmethod
    def of(cls, reference: ReferenceCosines) -> Self:
        """From what an encoder gives unrelated sentences to what it gives two of one meaning.

        These are medians of its reference pairs. 0 to 1 where it does not tell the two apart.
        """
        low, high = reference.median("none"), reference.median("same")
        return cls(low, high) if high - low > 0.01 else cls()

    def shares(self, cosines: Any) -> np.ndarray:
        """Of the full colour, 0 to 1, an array of the shape of `cosines`; 0 where there is no vector."""
        shares = (np.asarray(cosines, dtype=float) - self.low) / (self.high - self.low)
        return np.nan_to_num(shares).clip(0, 1)


WHOLE_SCALE = ColourScale()


def cell(cosine: float, scale: ColourScale = WHOLE_SCALE) -> str:
    """A table's cell: the more alike, the darker."""
    style = (
        f"background:{_alike(float(scale.shares(cosine)))};white-space:nowrap;padding:.3rem .2rem"
    )
    return f'<td style="{style}">{number(cosine)}</td>'


def scale_legend(scale: ColourScale) -> str:
    """A strip of the colours between its two cosines, and what they stand for."""
    strip = f"background:linear-gradient(to right, {_alike(0)}, {_alike(1)})"
    ends = (f"<span>{number(cosine)}</span>" for cosine in scale)
    return (
        f'<p class="legend colour-scale">{f"""<i aria-hidden="true" style="{strip}"></i>""".join(ends)}</p>'
        + line(both("many.scale", low=number(scale.low), high=number(scale.high)))
    )


def _alike(share: float) -> str:
    """The colour of a share of what alike means, as CSS."""
    return f"color-mix(in srgb, var(--alike) {round(STRONGEST * share)}%, transparent)"


def note(content: str) -> str:
    """A remark with a line before it; the content is HTML."""
    return f'<p class="note">{content}</p>'
