"""The top of the page: what it is, where models run, and the language switch."""

import gradio as gr

from models.base import ModelSpec, Task
from models.placement import place
from tabs.context import Context
from tabs.text import both, t
from tabs.theme import SWITCH_LANGUAGE


def build(context: Context) -> gr.Button:
    """Lay the header out and return the button that opens the Models panel."""
    with gr.Row(elem_id="header"):
        gr.Markdown(t("page.title"), elem_id="title")
        gr.HTML(_machine(context), elem_id="machine")
        models = gr.Button(t("page.models"), size="sm", elem_id="open-models")
        switch = gr.Button(t("page.other_language"), size="sm", elem_id="language")
    switch.click(None, js=SWITCH_LANGUAGE)
    return models


def _machine(context: Context) -> str:
    """Where a model on this machine runs, in which dtype, and why."""
    placement = place(ModelSpec("", Task.CHAT, "", "starter:", ""), context.settings)
    what = f"{placement.device.upper()} · {placement.dtype}"
    if placement.device == "cpu":
        cores = both("page.cores", cores=context.machine.cores)
        return (
            f'<p class="result-line">{what} · {cores}<br>{both("reasons." + placement.reason)}</p>'
        )
    return f'<p class="result-line">{what}<br>{both("reasons." + placement.reason)}</p>'
