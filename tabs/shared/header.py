"""The top of the page: what it is, where models run, and the language switch."""

import gradio as gr

from models.contract import ModelSpec
from models.runtime.placement import hardware, place
from tabs.shared.context import Context
from tabs.shared.gradio_patches import relabel
from tabs.shared.strings import LANGUAGES, STRINGS, both, t


def build(context: Context) -> tuple[gr.Button, gr.Button]:
    """Lay the header out; return the button that opens the Models panel and the language switch."""
    with gr.Row(elem_id="header"):
        gr.Markdown(t("page.title"), elem_id="title")
        gr.HTML(_machine(context), elem_id="machine")
        models = gr.Button(t("page.models"), size="sm", elem_id="open-models")
        switch = gr.Button(t("page.other_language"), size="sm", elem_id="language")
    return models, switch


def bind_language(page: gr.Blocks, switch: gr.Button, tabs: dict[str, gr.Tab]) -> None:
    """Let the switch change the page's language in place."""
    labels = {lang: [STRINGS[lang][f"{name}.tab"] for name in tabs] for lang in LANGUAGES}
    switch.click(None, None, [*tabs.values()], js=relabel(labels, "switchLanguage"))
    page.load(None, None, [*tabs.values()], js=relabel(labels, "language"))


def _machine(context: Context) -> str:
    """Where a model on this machine runs, in which dtype, and why."""
    placement = place(ModelSpec("", "chat", "", "starter:", ""), context.settings)
    what = f"{placement.device.upper()} · {placement.dtype}"
    if placement.device == "cpu":
        cores = both("page.cores", cores=hardware().cores)
        return (
            f'<p class="result-line">{what} · {cores}<br>{both("reasons." + placement.reason)}</p>'
        )
    return f'<p class="result-line">{what}<br>{both("reasons." + placement.reason)}</p>'
