"""The Models sidebar: what is loaded and where, what could be, at what size and licence."""

import html
import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from models.contract import ModelSpec
from models.runtime.cache import LoadedModel
from models.runtime.placement import hardware, place
from models.tasks import TASKS, Task
from models.weights.sources import is_here
from tabs.shared import weights_offer
from tabs.shared.context import ByLanguage, Context
from tabs.shared.events import at_field, device, show_errors
from tabs.shared.gradio_patches import relabel
from tabs.shared.strings import LANGUAGES, STRINGS, both, phrases_html, spans, t
from tabs.shared.widgets import problem_box


def build_header(context: Context) -> tuple[gr.Button, gr.Button]:
    """Lay the header out; return the button that opens the Models panel and the language switch."""
    with gr.Row(elem_id="header"):
        skip = f'<button type="button" id="skip">{both("page.skip")}</button>'
        gr.HTML(skip, padding=False, elem_id="skip-box")
        gr.Markdown(t("page.title"), elem_id="title")
        gr.HTML(_machine(context), elem_id="machine")
        models = gr.Button(t("page.models"), size="sm", elem_id="open-models")
        switch = gr.Button(t("page.other_language"), size="sm", elem_id="language")
    return models, switch


_SET_BY_LANGUAGE = """(model, ...values) => {{
    const all = {values};
    const same = (row) => row.every((value, at) => value === values[at]);
    return model === "auto" && Object.values(all).some(same) ? all[window.genlab.language()] : values;
}}"""


def bind_language(
    page: gr.Blocks, switch: gr.Button, tabs: dict[str, gr.Tab], rows: Sequence[ByLanguage] = ()
) -> None:
    """Let the switch change the page's language in place, and with it the controls in `rows`."""
    labels = {lang: [STRINGS[lang][f"{name}.tab"] for name in tabs] for lang in LANGUAGES}
    change = switch.click(None, None, [*tabs.values()], js=relabel(labels, "switchLanguage"))
    page.load(None, None, [*tabs.values()], js=relabel(labels, "language"))
    for row in rows:
        script = _SET_BY_LANGUAGE.format(values=json.dumps(row.values))
        for event in (change.then, page.load):
            event(None, [row.picker, *row.controls], [*row.controls], js=script)


def _machine(context: Context) -> str:
    """Where a model on this machine runs, in which dtype, and why."""
    placement = place(ModelSpec("", "chat", "", "starter:", ""), context.settings)
    what = f"{placement.device.upper()} · {placement.dtype}"
    if hardware().zero_gpu:
        return f'<p class="result-line">{both("page.lent_gpu")}</p>'
    if placement.device == "cpu":
        cores = both("page.cores", cores=hardware().cores)
        return (
            f'<p class="result-line">{what} · {cores}<br>{both("reasons." + placement.reason)}</p>'
        )
    return f'<p class="result-line">{what}<br>{both("reasons." + placement.reason)}</p>'


_EVERY = 2.0  # seconds between looks while the panel is open


def build(context: Context, opener: gr.Button) -> None:
    """Lay the panel out, opened by a button elsewhere, and keep it fresh while it is open."""
    with gr.Sidebar(open=False, position="right", width=420, elem_id="models") as panel:
        gr.Markdown(t("models.title"))
        in_memory = gr.HTML(elem_id="models-loaded")
        with gr.Row(visible=not context.settings.public):
            which = gr.Dropdown(label=t("models.unload_which"), choices=[], elem_id="unload-which")
            unload = gr.Button(t("models.unload"), size="sm", elem_id="unload")
        problem = problem_box("models")
        catalogue_box = gr.HTML(elem_id="models-catalogue", render=False)
        weights_offer.build(context, "models", "", [catalogue_box], lambda: (_catalogue(),))
        gr.Markdown(t("models.catalogue"))
        catalogue = catalogue_box.render()
    timer = gr.Timer(_EVERY, active=False)

    def look() -> tuple[str, gr.Dropdown]:
        groups = by_label(context.cache.status())
        idle = [label for label, models in groups.items() if _can_be_unloaded(models)]
        return loaded_html(groups), gr.Dropdown(choices=idle)

    def open_panel() -> tuple[str, gr.Dropdown, str, gr.Timer]:
        return *look(), _catalogue(), gr.Timer(active=True)

    def unload_model(label: str | None, request: gr.Request) -> tuple[str, gr.Dropdown]:
        if label and not context.settings.public:
            with show_errors(request):
                for model in by_label(context.cache.status()).get(label, []):
                    context.cache.unload(model.task, model.id)
        return look()

    outputs = [in_memory, which]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    opener.click(
        lambda: (gr.Sidebar(open=True), *open_panel()),
        None,
        [panel, *outputs, catalogue, timer],
        **quiet,
    )
    panel.expand(open_panel, None, [*outputs, catalogue, timer], **quiet)
    panel.collapse(lambda: gr.Timer(active=False), None, timer, **quiet)
    timer.tick(look, None, outputs, **quiet)
    unload.click(at_field(unload_model, problem), which, [*outputs, problem], **quiet)


def by_label(models: list[LoadedModel]) -> dict[str, list[LoadedModel]]:
    """The models under their names: one that is loaded for two tasks is one entry of the panel."""
    groups: dict[str, list[LoadedModel]] = {}
    for model in models:
        groups.setdefault(model.label, []).append(model)
    return groups


def _can_be_unloaded(models: list[LoadedModel]) -> bool:
    """Whether it has memory to give back, and nobody uses it or waits for it."""
    busy = any(model.active or model.waiting for model in models)
    return any(model.nbytes for model in models) and not busy


def loaded_html(groups: dict[str, list[LoadedModel]]) -> str:
    """The models in memory, or on their way there, as HTML."""
    if not groups:
        return f"<p>{both('models.none_loaded')}</p>"
    entries = (_loaded_entry(label, models) for label, models in groups.items())
    return f'<ul class="catalogue">{"".join(entries)}</ul>'


def _loaded_entry(label: str, models: list[LoadedModel]) -> str:
    """A model: device, memory and load time if it is loaded, then its use.

    Without anybody at work or waiting it is loaded, whatever its size: Word2Vec has 0 bytes at first.
    """
    facts = [device(models[0].placement)]
    if any(model.loaded for model in models):
        nbytes = sum(model.nbytes for model in models)
        seconds = max(model.load_seconds for model in models)
        facts.append(both("models.memory", size=f"{nbytes / 1e6:,.0f} MB"))
        facts.append(both("result.loaded", seconds=f"{seconds:.1f}"))
    else:
        facts.append(both("models.loading"))
    active, waiting = sum(m.active for m in models), sum(m.waiting for m in models)
    if active or waiting:
        facts.append(both("models.in_use", active=active, waiting=waiting))
    else:
        minutes = min(model.idle_seconds for model in models) / 60
        idle = (
            both("models.idle", minutes=f"{minutes:.0f}") if minutes >= 1 else both("models.fresh")
        )
        facts.append(idle)
    return _entry(label, "", facts)


def _entry(label: str, note: str, facts: list[str]) -> str:
    """One model: its name, then a line of text and a line of facts, both HTML already."""
    name = f"<b>{phrases_html(label)}</b>"
    small = f'<span class="result-line">{" · ".join(filter(None, facts))}</span>'
    return f"<li>{'<br>'.join(filter(None, [name, note, small]))}</li>"


def _catalogue() -> str:
    entries = (_catalogue_entry(task, s) for task in TASKS if task.listed for s in task.models)
    return f'<ul class="catalogue">{"".join(entries)}</ul>'


def _catalogue_entry(task: Task, spec: ModelSpec) -> str:
    note = spans({lang: html.escape(text) for lang, text in spec.note.items()})
    size = f"{spec.size_gb:g} GB" if spec.size_gb else ""
    return _entry(
        spec.label,
        note,
        [both(f"tasks.{task.id}"), size, phrases_html(spec.licence), _where(spec)],
    )


def _where(spec: ModelSpec) -> str:
    if spec.hosted:
        return both("models.behind_key")
    if is_here(spec):
        return both("models.is_here")
    return both("models.missing" if spec.starter else "models.not_here")
