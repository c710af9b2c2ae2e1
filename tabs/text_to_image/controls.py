"""The dials, and how they follow the chosen model: its defaults, its sizes, what it has at all."""

from typing import Any, NamedTuple

import gradio as gr

from models.contract import ModelSpec
from models.errors import NotFound
from models.runtime.placement import place
from models.select import find, select
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.schedulers import offered
from models.weights.sources import is_here
from tabs.shared.context import Context
from tabs.shared.events import line
from tabs.shared.strings import both, t
from tabs.shared.widgets import model_line
from tabs.text_to_image import start, styles

TAB = "text_to_image"
CLASSIC = "CompVis/stable-diffusion-v1-4"
OWN_SIZE = ""
# For a model that says nothing of its own.
_OWN = {"guidance_scale": 7.5, "num_inference_steps": 50}
_RANGES = {"guidance_scale": (0, 20), "num_inference_steps": (1, 100)}
_RANGE_NAMES = {"guidance_scale": "guidance_range", "num_inference_steps": "steps_range"}


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
    scheduler: gr.Dropdown
    style: gr.Dropdown
    image: gr.Image
    strength: gr.Slider


def build(
    context: Context, model: gr.Dropdown, words: gr.Accordion
) -> tuple[gr.HTML, Dials, gr.Accordion]:
    """Lay the dials out and bind them to the choice of a model.

    Returns:
        The line on what the model is, the dials, and the fold with the picture to start from.
    """
    spec = context.preferred(TEXT_TO_IMAGE)
    about = gr.HTML(_about(context, spec), padding=False, elem_id=f"{TAB}-about")
    classic = gr.Button(
        t(f"{TAB}.use_classic"),
        size="sm",
        visible=_runs(context, find(TEXT_TO_IMAGE, CLASSIC)) and spec.id != CLASSIC,
        elem_id=f"{TAB}-classic",
    )
    api_key = gr.Textbox(
        label=t(f"{TAB}.api_key"),
        info=t(f"{TAB}.api_key_info"),
        type="password",
        visible=spec.hosted,
        elem_id=f"{TAB}-key",
    )
    guidance = _slider("guidance_scale", (*limits(spec, "guidance_scale"), 0.5), spec)
    steps = _slider("num_inference_steps", (*limits(spec, "num_inference_steps"), 1), spec)
    seed, random = _seed()
    with gr.Accordion(t("page.advanced"), open=False, elem_id=f"{TAB}-advanced"):
        style = _dropdown("style", styles.offered(spec))
        negative = gr.Textbox(
            label=t(f"{TAB}.negative_prompt"),
            info=t(f"{TAB}.negative_prompt_info"),
            elem_id=f"{TAB}-negative",
        )
        scheduler = _dropdown("scheduler", samplers(spec))
        size = _dropdown("size", sizes(spec))
        number = _slider("num_images", (1, 4, 1), spec)
    fold, image, strength = start.build(not spec.hosted)
    dials = Dials(
        *(negative, guidance, steps, seed, random, size, number, api_key),
        *(scheduler, style, image, strength),
    )
    _bind(context, classic, model, [about, words, fold, *dials])
    return about, dials, fold


FOLLOWING = ("about", "words", "fold", *Dials._fields)


def _bind(context: Context, classic: gr.Button, model: gr.Dropdown, outputs: list[Any]) -> None:
    """What a person does, not every change: restored settings bring their own dials."""
    follows: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def follow(chosen: str) -> tuple[Any, ...]:
        try:
            changes = adapted(context, select(TEXT_TO_IMAGE, chosen, context.settings))
        except NotFound:
            changes = {}
        return (chosen, *(changes.get(name, gr.skip()) for name in FOLLOWING))

    model.input(follow, model, [model, *outputs], **follows)
    classic.click(lambda: follow(CLASSIC), None, [model, *outputs], **follows)


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


def _slider(name: str, span: tuple[float, float, float], spec: ModelSpec) -> gr.Slider:
    least, most, step = span
    return gr.Slider(
        least,
        most + (least == most),
        1 if name == "num_images" else _own(spec, name),
        step=step,
        label=t(f"{TAB}.{name}"),
        info=None if name == "num_images" else t(f"{TAB}.{name}_info"),
        elem_id=f"{TAB}-{name}",
    )


def _dropdown(name: str, choices: list[tuple[Any, str]]) -> gr.Dropdown:
    return gr.Dropdown(
        label=t(f"{TAB}.{name}"), choices=choices, value=choices[0][1], elem_id=f"{TAB}-{name}"
    )


def _own(spec: ModelSpec, name: str) -> float:
    return spec.defaults.get(name, _OWN[name])


def limits(spec: ModelSpec, name: str) -> tuple[float, float]:
    """The least and the most that a dial offers for a model."""
    return spec.defaults.get(_RANGE_NAMES[name], _RANGES[name])


def adapted(context: Context, spec: ModelSpec) -> dict[str, Any]:
    """What a model changes of the page, by names of `FOLLOWING`."""
    has: dict[str, Any] = {"visible": not spec.hosted}
    return {
        "about": _about(context, spec),
        "words": gr.update(visible=spec.starter),
        "fold": gr.update(**has),
        "negative_prompt": gr.update(**has),
        "guidance_scale": _dial(spec, "guidance_scale"),
        "num_inference_steps": _dial(spec, "num_inference_steps"),
        "seed": gr.update(**has),
        "random": gr.update(**has),
        "size": gr.update(choices=sizes(spec), value=sizes(spec)[0][1]),
        "api_key": gr.update(visible=spec.hosted),
        "scheduler": gr.update(choices=samplers(spec), value="", visible=bool(offered(spec))),
        "style": gr.update(choices=styles.offered(spec), value=styles.NONE),
    }


def _dial(spec: ModelSpec, name: str) -> Any:
    least, most = limits(spec, name)
    fixed = least == most  # guidance was trained in
    return gr.update(
        minimum=least,
        maximum=most + fixed,
        value=_own(spec, name),
        interactive=not fixed,
        info=t(f"{TAB}.distilled" if fixed else f"{TAB}.{name}_info"),
        visible=not spec.hosted,
    )


def sizes(spec: ModelSpec) -> list[tuple[Any, str]]:
    """(label, "WIDTHxHEIGHT") of the sizes a model is good at, its own first."""
    known = [(size_name(size), size) for size in spec.defaults.get("sizes", ())]
    return known or [(t(f"{TAB}.own_size"), OWN_SIZE)]


def size_name(size: str) -> str:
    """How people read a size such as "512x768"."""
    return size.replace("x", " × ")


def samplers(spec: ModelSpec) -> list[tuple[Any, str]]:
    """(label, name) of the schedulers that a model can draw with, its own first."""
    return [(t(f"{TAB}.own_scheduler"), ""), *((name, name) for name in offered(spec))]


def _about(context: Context, spec: ModelSpec) -> str:
    """What the model is, under which licence, and how big it is."""
    text = model_line(spec)
    classic = find(TEXT_TO_IMAGE, CLASSIC)
    if spec.starter and not _runs(context, classic):
        text += line(both(f"{TAB}.classic_wants", model=classic.label))
    return text


def _runs(context: Context, spec: ModelSpec) -> bool:
    """Whether a model that wants a GPU has one here, and is here or may be fetched."""
    on_gpu = place(spec, context.settings).device != "cpu"
    return on_gpu and (is_here(spec) or context.settings.may_download)
