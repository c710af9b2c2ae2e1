"""The Models sidebar: what is loaded and where, what could be, at what size and licence."""

import html
from typing import Any

import gradio as gr

from models.contract import ModelSpec
from models.runtime.cache import LoadedModel
from models.tasks import CATALOG
from models.weights.sources import is_here
from tabs.shared.context import Context
from tabs.shared.events import device, show_errors
from tabs.shared.strings import both, spans, t

_EVERY = 2.0  # seconds between looks while the panel is open


def build(context: Context, opener: gr.Button) -> None:
    """Lay the panel out, opened by a button elsewhere, and keep it fresh while it is open."""
    with gr.Sidebar(open=False, position="right", width=420, elem_id="models") as panel:
        gr.Markdown(t("models.title"))
        loaded = gr.HTML(elem_id="models-loaded")
        with gr.Row(visible=not context.settings.public):
            which = gr.Dropdown(label=t("models.unload_which"), choices=[], elem_id="unload-which")
            unload = gr.Button(t("models.unload"), size="sm", elem_id="unload")
        gr.Markdown(t("models.catalogue"))
        catalogue = gr.HTML(elem_id="models-catalogue")
    timer = gr.Timer(_EVERY, active=False)

    def look() -> tuple[str, gr.Dropdown]:
        rows = context.cache.status()
        choices = [(m.label, f"{m.task}|{m.id}") for m in rows if m.nbytes and not m.active]
        return _loaded(rows), gr.Dropdown(choices=choices)

    def opened() -> tuple[str, gr.Dropdown, str, gr.Timer]:
        return *look(), _catalogue(), gr.Timer(active=True)

    def drop(key: str | None, request: gr.Request) -> tuple[str, gr.Dropdown]:
        task, _, model_id = (key or "").partition("|")
        if model_id and not context.settings.public:
            with show_errors(request):
                context.cache.unload(task, model_id)
        return look()

    shown = [loaded, which]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    opener.click(
        lambda: (gr.Sidebar(open=True), *opened()), None, [panel, *shown, catalogue, timer], **quiet
    )
    panel.expand(opened, None, [*shown, catalogue, timer], **quiet)
    panel.collapse(lambda: gr.Timer(active=False), None, timer, **quiet)
    timer.tick(look, None, shown, **quiet)
    unload.click(drop, which, shown, **quiet)


def _loaded(models: list[LoadedModel]) -> str:
    if not models:
        return f"<p>{both('models.none_loaded')}</p>"
    return f'<ul class="catalogue">{"".join(_loaded_entry(m) for m in models)}</ul>'


def _loaded_entry(model: LoadedModel) -> str:
    if not model.nbytes and model.placement.device != "server":
        facts = [device(model.placement), both("models.loading")]
    else:
        memory = both("models.memory", size=f"{model.nbytes / 1e6:,.0f} MB")
        loaded = both("result.loaded", seconds=f"{model.load_seconds:.1f}")
        facts = [device(model.placement), memory, loaded]
    if model.active or model.waiting:
        use = both("models.in_use", active=model.active, waiting=model.waiting)
    else:
        use = both("models.idle", minutes=f"{model.idle_seconds / 60:.0f}")
    return _entry(model.label, "", [*facts, use])


def _entry(label: str, note: str, facts: list[str]) -> str:
    """One model: its name, then a line of text and a line of facts, both HTML already."""
    name = f"<b>{html.escape(label)}</b>"
    small = f'<span class="result-line">{" · ".join(filter(None, facts))}</span>'
    return f"<li>{'<br>'.join(filter(None, [name, note, small]))}</li>"


def _catalogue() -> str:
    return f'<ul class="catalogue">{"".join(_catalogue_entry(spec) for spec in CATALOG)}</ul>'


def _catalogue_entry(spec: ModelSpec) -> str:
    note = spans({lang: html.escape(text) for lang, text in spec.note.items()})
    size = f"{spec.size_gb:g} GB" if spec.size_gb else ""
    return _entry(
        spec.label,
        note,
        [both(f"tasks.{spec.task}"), size, html.escape(spec.licence), _where(spec)],
    )


def _where(spec: ModelSpec) -> str:
    if spec.hosted:
        return both("models.behind_key")
    if is_here(spec):
        return both("models.is_here")
    return both("models.missing" if spec.starter else "models.not_here")
