"""The dials, and how they follow the chosen model: its defaults, its sizes, what it has at all."""

import html
from typing import Any, NamedTuple

import gradio as gr

from models.base import ModelSpec, Task
from models.choice import choose
from models.errors import NotFound
from models.placement import place
from models.registry import find
from models.sources import is_here
from tabs.context import Context
from tabs.events import line
from tabs.text import both, spans, t

TAB = "text_to_image"
CLASSIC = "CompVis/stable-diffusion-v1-4"
OWN_SIZE = ""


class Dials(NamedTuple):
    """The controls beside prompt and model, in the order of the handler's values."""

    negative_prompt: gr.Textbox
    guidance_scale: gr.Slider
    num_inference_steps: gr.Slider
    seed: gr.Number
    random: gr.Checkbox
    size: gr.Dropdown
    num_images: gr.Slider
    api_key: gr.Textbox


def build(context: Context, model: gr.Dropdown) -> tuple[gr.HTML, Dials]:
    """Lay the dials out and bind them to the choice of a model; also the line on what it is."""
    spec = context.preferred(Task.TEXT_TO_IMAGE)
    about = gr.HTML(_about(context, spec), padding=False, elem_id=f"{TAB}-about")
    classic = gr.Button(
        t(f"{TAB}.use_classic"),
        size="sm",
        visible=_runs(context, find(Task.TEXT_TO_IMAGE, CLASSIC)) and spec.id != CLASSIC,
        elem_id=f"{TAB}-classic",
    )
    api_key = gr.Textbox(
        label=t(f"{TAB}.api_key"),
        info=t(f"{TAB}.api_key_info"),
        type="password",
        visible=spec.hosted,
        elem_id=f"{TAB}-key",
    )
    guidance = _slider("guidance_scale", (0, 20, 0.5), spec.defaults.get("guidance_scale", 7.5))
    steps = _slider(
        "num_inference_steps", (1, 100, 1), spec.defaults.get("num_inference_steps", 50)
    )
    seed, random = _seed()
    with gr.Accordion(t("page.advanced"), open=False, elem_id=f"{TAB}-advanced"):
        negative = gr.Textbox(
            label=t(f"{TAB}.negative_prompt"),
            info=t(f"{TAB}.negative_prompt_info"),
            elem_id=f"{TAB}-negative",
        )
        size = gr.Dropdown(
            label=t(f"{TAB}.size"),
            choices=sizes(spec),
            value=sizes(spec)[0][1],
            elem_id=f"{TAB}-size",
        )
        number = _slider("num_images", (1, 4, 1), 1)
    dials = Dials(negative, guidance, steps, seed, random, size, number, api_key)
    follows: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def follow(chosen: str) -> tuple[Any, ...]:
        return (chosen, *_following(context, chosen))

    # What a person does, not every change: restored settings bring their own dials.
    model.input(follow, model, [model, about, *dials], **follows)
    classic.click(lambda: follow(CLASSIC), None, [model, about, *dials], **follows)
    return about, dials


def _seed() -> tuple[gr.Number, gr.Checkbox]:
    with gr.Row():
        seed = gr.Number(
            label=t(f"{TAB}.seed"), value=1, precision=0, minimum=0, elem_id=f"{TAB}-seed"
        )
        random = gr.Checkbox(
            label=t(f"{TAB}.random"),
            info=t(f"{TAB}.random_info"),
            value=True,
            elem_id=f"{TAB}-random",
        )
    return seed, random


def _slider(name: str, span: tuple[float, float, float], value: float) -> gr.Slider:
    least, most, step = span
    info = None if name == "num_images" else t(f"{TAB}.{name}_info")
    return gr.Slider(
        least,
        most,
        value,
        step=step,
        label=t(f"{TAB}.{name}"),
        info=info,
        elem_id=f"{TAB}-{name}",
    )


def _following(context: Context, model: str) -> list[Any]:
    """The about line and the dials of a chosen model, as they are where there is no such model."""
    names = ("about", *Dials._fields)
    try:
        changes = adapted(context, choose(Task.TEXT_TO_IMAGE, model, context.settings))
    except NotFound:
        changes = {}
    return [changes.get(name, gr.skip()) for name in names]


def adapted(context: Context, spec: ModelSpec) -> dict[str, Any]:
    """What a model changes of the page, by name: "about" and dials."""
    has: dict[str, Any] = {"visible": not spec.hosted}
    return {
        "about": _about(context, spec),
        "negative_prompt": gr.update(**has),
        "guidance_scale": gr.update(value=spec.defaults.get("guidance_scale", 7.5), **has),
        "num_inference_steps": gr.update(value=spec.defaults.get("num_inference_steps", 50), **has),
        "seed": gr.update(**has),
        "random": gr.update(**has),
        "size": gr.update(choices=sizes(spec), value=sizes(spec)[0][1]),
        "api_key": gr.update(visible=spec.hosted),
    }


def sizes(spec: ModelSpec) -> list[tuple[Any, str]]:
    """(label, "WIDTHxHEIGHT") of the sizes a model is good at, its own first."""
    known = [(size_name(size), size) for size in spec.defaults.get("sizes", ())]
    return known or [(t(f"{TAB}.own_size"), OWN_SIZE)]


def size_name(size: str) -> str:
    """How people read a size such as "512x768"."""
    return size.replace("x", " × ")


def _about(context: Context, spec: ModelSpec) -> str:
    """What the model is, under which licence, and how big it is."""
    note = spans({language: html.escape(text) for language, text in spec.note.items()})
    size = f"{spec.size_gb:g} GB" if spec.size_gb else ""
    parts = [html.escape(spec.label), note, html.escape(spec.licence), size]
    text = line(" · ".join(filter(None, parts)))
    classic = find(Task.TEXT_TO_IMAGE, CLASSIC)
    if spec.starter and not _runs(context, classic):
        text += line(both(f"{TAB}.classic_wants", model=classic.label))
    return text


def _runs(context: Context, spec: ModelSpec) -> bool:
    """Whether a model that wants a GPU has one here, and is here or may be fetched."""
    on_gpu = place(spec, context.settings).device != "cpu"
    return on_gpu and (is_here(spec) or context.settings.may_download)
