"""The controls beside the prompt, and how they follow the chosen model."""

from pathlib import Path
from typing import Any, NamedTuple, cast

import gradio as gr
from gradio.data_classes import ImageData

from models.contract import ModelSpec
from models.errors import InvalidInput, NotFound
from models.runtime.placement import place
from models.select import find, select
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.catalog import ImageDials, dials_of, options_of
from models.text_to_image.image_files import read_picture
from models.text_to_image.speed import seconds_a_picture
from models.weights.sources import is_here, single_files_in
from tabs.shared.context import Context
from tabs.shared.events import line, problem_line
from tabs.shared.strings import LANGUAGES, both, say, t
from tabs.shared.widgets import model_line
from tabs.text_to_image import prompt_words
from tabs.text_to_image.picture_html import status_note

TAB = "text_to_image"
CLASSIC = "CompVis/stable-diffusion-v1-4"
QUICK = "stabilityai/sd-turbo"  # draws anything without a GPU too
OWN_SIZE = ""
NO_LORA = ""
# For a model that has no values of its own.
_DIALS = ImageDials(guidance_scale=7.5, num_inference_steps=50)
_LIMITS = {"guidance_scale": (0, 20), "num_inference_steps": (1, 100)}


class ImageControls(NamedTuple):
    """The controls beside prompt and model, in the order of a handler's values."""

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
    lora: gr.Dropdown
    lora_strength: gr.Slider
    decoder: gr.Dropdown


# What follows the chosen model, in the order of the outputs.
FOLLOWING = ("about", "words", "upload", *ImageControls._fields)
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class StartPlace(NamedTuple):
    """The place of the start picture, beside the prompt; it is to be seen only while there is one."""

    place: gr.Column
    image: gr.Image


def start_picture() -> StartPlace:
    """Lay out the start picture, hidden.

    Its place is what comes and goes: an update of the picture's own visibility would have Gradio make the
    component anew, without what is set on it here.
    """
    place = gr.Column(visible=False, scale=1, min_width=120, elem_id=f"{TAB}-start-place")
    with place:
        image = _start_image()
    return StartPlace(place, image)


def _start_image() -> gr.Image:
    image = gr.Image(
        type="filepath",
        image_mode=None,
        label=t(f"{TAB}.start_picture.image"),
        show_label=False,
        sources=["upload"],
        height=132,
        buttons=[],
        elem_id=f"{TAB}-image",
    )
    # The file as it was uploaded (Gradio has checked that it was): the engine opens it, with care.
    image.preprocess = _path  # pyright: ignore[reportAttributeAccessIssue]
    return image


def start_strength() -> gr.Slider:
    """How much of the start picture is drawn anew; to be seen only while there is one."""
    return gr.Slider(
        0.05,
        1,
        0.6,
        step=0.05,
        label=t(f"{TAB}.start_picture.strength"),
        info=t(f"{TAB}.start_picture.strength_info"),
        visible=False,
        elem_id=f"{TAB}-strength",
    )


def build(
    context: Context, model: gr.Dropdown, words: gr.HTML, image: gr.Image, strength: gr.Slider
) -> tuple[gr.HTML, ImageControls, gr.UploadButton, gr.Accordion]:
    """Lay the controls out and bind them to the choice of a model.

    Returns:
        The line on what the model is, the controls, the button that takes a start picture, and the
        fold that more settings may go into.
    """
    spec = context.default_model(TEXT_TO_IMAGE)
    about = gr.HTML(_about(context, spec), padding=False, elem_id=f"{TAB}-about")
    offer = _offer(context)
    larger = gr.Button(
        t(f"{TAB}.use_{'classic' if offer == CLASSIC else 'quick'}"),
        size="sm",
        visible=offer not in {"", spec.id},
        elem_id=f"{TAB}-larger",
    )
    api_key = gr.Textbox(
        label=t(f"{TAB}.api_key"),
        info=t(f"{TAB}.api_key_info"),
        type="password",
        visible=spec.hosted,
        elem_id=f"{TAB}-key",
    )
    guidance = _slider("guidance_scale", limits(spec, "guidance_scale"), 0.5, spec)
    steps = _slider("num_inference_steps", limits(spec, "num_inference_steps"), 1, spec)
    seed, random = _seed()
    with gr.Accordion(t(f"{TAB}.more"), open=False, elem_id=f"{TAB}-advanced") as fold:
        style = _dropdown("style", prompt_words.style_choices(spec))
        negative = gr.Textbox(
            label=t(f"{TAB}.negative_prompt"),
            info=t(f"{TAB}.negative_prompt_info"),
            elem_id=f"{TAB}-negative",
        )
        scheduler = _dropdown("scheduler", scheduler_choices(spec))
        size = _dropdown("size", size_choices(spec))
        number = _slider("num_images", (1, 4), 1, spec)
        decoder = _dropdown("decoder", decoder_choices())
        decoder.visible = has_parts(spec)
        lora, lora_strength = _lora(context, spec)
        upload = gr.UploadButton(
            cast(str, t(f"{TAB}.start_picture.title")),
            file_types=["image"],
            size="sm",
            visible=not spec.hosted,
            elem_id=f"{TAB}-upload",
        )
    controls = ImageControls(
        *(negative, guidance, steps, seed, random, size, number, api_key),
        *(scheduler, style, image, strength, lora, lora_strength, decoder),
    )
    lora.input(lambda name: gr.update(visible=bool(name)), lora, lora_strength, **_QUIET)
    _bind(context, larger, offer, model, [about, words, upload, *controls])
    return about, controls, upload, fold


def _bind(
    context: Context, larger: gr.Button, offer: str, model: gr.Dropdown, outputs: list[Any]
) -> None:
    """Only a person's choice is followed, not every change: restored settings set the controls too."""

    def follow(model_id: str) -> tuple[Any, ...]:
        try:
            changes = changes_for(context, select(TEXT_TO_IMAGE, model_id, context.settings))
        except NotFound:
            changes = {}
        return (model_id, *(changes.get(name, gr.skip()) for name in FOLLOWING))

    def estimate(model_id: str) -> Any:
        """Say how long a picture takes here; the first time this is measured."""
        try:
            spec = select(TEXT_TO_IMAGE, model_id, context.settings)
        except NotFound:
            return gr.skip()
        seconds = _seconds(context, spec, measure=True)
        return gr.skip() if seconds is None else _about(context, spec)

    events = [
        model.input(follow, model, [model, *outputs], **_QUIET),
        larger.click(lambda: follow(offer), None, [model, *outputs], **_QUIET),
    ]
    for event in events:
        event.then(estimate, model, outputs[0], **_QUIET)


def bind_start_picture(
    upload: gr.UploadButton, start: StartPlace, strength: gr.Slider, note: gr.HTML
) -> None:
    """Let the button bring a start picture, and the picture's own cross take it away.

    Args:
        upload: the button.
        start: the picture and its place.
        strength: to be seen with it.
        note: where it is said what happens next.
    """
    outputs = [*start, strength, note]
    upload.upload(_take_picture, upload, outputs, **_QUIET)
    start.image.upload(_take_picture, start.image, outputs, **_QUIET)
    start.image.clear(lambda: (*picture_updates(None), ""), None, outputs, **_QUIET)


def picture_updates(path: str | None) -> tuple[Any, str | None, Any]:
    """Values of the start picture's place, the picture, and its strength, seen while there is one."""
    visible = gr.update(visible=bool(path))
    return visible, path, visible


def _take_picture(path: str) -> tuple[Any, Any, Any, str]:
    """A file that cannot be read is taken away at once, with a note that says why."""
    try:
        read_picture(Path(path).read_bytes())
    except InvalidInput as problem:
        return *picture_updates(None), status_note(problem_line(problem))
    return *picture_updates(path), status_note(both(f"{TAB}.start_picture.next"))


def _seed() -> tuple[gr.Number, gr.Checkbox]:
    with gr.Row():
        # No minimum: the request refuses a wrong number in words, Gradio in English and for a moment.
        seed = gr.Number(label=t(f"{TAB}.seed"), value=1, precision=0, elem_id=f"{TAB}-seed")
        random = gr.Checkbox(
            label=t(f"{TAB}.random"),
            info=t(f"{TAB}.random_info"),
            value=True,
            elem_id=f"{TAB}-random",
        )
    return seed, random


def _slider(name: str, span: tuple[float, float], step: float, spec: ModelSpec) -> gr.Slider:
    least, most = span
    return gr.Slider(
        least,
        most + (least == most),
        1 if name == "num_images" else start_value(spec, name),
        step=step,
        label=t(f"{TAB}.{name}"),
        info=None if name == "num_images" else t(f"{TAB}.{name}_info"),
        elem_id=f"{TAB}-{name}",
    )


def _dropdown(name: str, choices: list[tuple[Any, str]]) -> gr.Dropdown:
    return gr.Dropdown(
        label=t(f"{TAB}.{name}"), choices=choices, value=choices[0][1], elem_id=f"{TAB}-{name}"
    )


def _lora(context: Context, spec: ModelSpec) -> tuple[gr.Dropdown, gr.Slider]:
    files = single_files_in(context.settings, "lora")
    lora = gr.Dropdown(
        label=t(f"{TAB}.lora"),
        info=t(f"{TAB}.lora_info"),
        choices=[(t(f"{TAB}.no_lora"), NO_LORA), *((name, name) for name in files)],
        value=NO_LORA,
        allow_custom_value=True,
        visible=has_parts(spec),
        elem_id=f"{TAB}-lora",
    )
    strength = gr.Slider(
        0,
        2,
        1,
        step=0.05,
        label=t(f"{TAB}.lora_strength"),
        info=t(f"{TAB}.lora_strength_info"),
        visible=False,
        elem_id=f"{TAB}-lora-strength",
    )
    return lora, strength


def _path(payload: ImageData | None) -> str | None:
    return payload.path if payload else None


# ---------------------------------------------------------------- what a model has


def start_value(spec: ModelSpec, name: str) -> float:
    """What the dial of guidance_scale or num_inference_steps starts with for a model."""
    return getattr(dials_of(spec).or_else(_DIALS), name)


def limits(spec: ModelSpec, name: str) -> tuple[float, float]:
    """The least and the most that a dial offers for a model."""
    return options_of(spec).limits(name) or _LIMITS[name]


def changes_for(context: Context, spec: ModelSpec) -> dict[str, Any]:
    """What a model changes on the page, by names of `FOLLOWING`."""
    local: dict[str, Any] = {"visible": not spec.hosted}
    sizes = size_choices(spec)
    return {
        "about": _about(context, spec),
        "words": gr.update(value=prompt_words.word_list(spec), visible=spec.starter),
        "upload": gr.update(**local),
        "negative_prompt": gr.update(**local),
        "guidance_scale": _dial_update(spec, "guidance_scale"),
        "num_inference_steps": _dial_update(spec, "num_inference_steps"),
        "seed": gr.update(**local),
        "random": gr.update(**local),
        "size": gr.update(choices=sizes, value=sizes[0][1]),
        "api_key": gr.update(visible=spec.hosted),
        "scheduler": gr.update(
            choices=scheduler_choices(spec), value="", visible=bool(options_of(spec).schedulers)
        ),
        "style": gr.update(choices=prompt_words.style_choices(spec), value=prompt_words.NO_STYLE),
        # A LoRA and a decoder are of one architecture.
        "lora": gr.update(value=NO_LORA, visible=has_parts(spec)),
        "lora_strength": gr.update(visible=False),
        "decoder": gr.update(value="", visible=has_parts(spec)),
    }


def has_parts(spec: ModelSpec) -> bool:
    """Whether a LoRA and a decoder can be chosen for a model."""
    return not spec.hosted and not spec.starter


def decoder_choices() -> list[tuple[Any, str]]:
    """(label, name) of the decoders, the model's own first."""
    return [(t(f"{TAB}.own_decoder"), ""), (t(f"{TAB}.tiny_decoder"), "tiny")]


def _dial_update(spec: ModelSpec, name: str) -> Any:
    least, most = limits(spec, name)
    is_fixed = least == most  # guidance was trained into the model
    return gr.update(
        minimum=least,
        maximum=most + is_fixed,
        value=start_value(spec, name),
        interactive=not is_fixed,
        info=t(f"{TAB}.distilled" if is_fixed else f"{TAB}.{name}_info"),
        visible=not spec.hosted,
    )


def size_choices(spec: ModelSpec) -> list[tuple[Any, str]]:
    """(label, "WIDTHxHEIGHT") of the sizes that a model draws well, its own first."""
    choices = [size_choice(*size) for size in options_of(spec).sizes]
    return choices or [(t(f"{TAB}.own_size"), OWN_SIZE)]


def size_choice(width: int, height: int) -> tuple[Any, str]:
    """A size in pixels as people read it, and as the dropdown's value."""
    return f"{width} × {height}", f"{width}x{height}"


def scheduler_choices(spec: ModelSpec) -> list[tuple[Any, str]]:
    """(label, name) of the schedulers that a model can draw with, its own first."""
    names = options_of(spec).schedulers
    return [(t(f"{TAB}.own_scheduler"), ""), *((name, name) for name in names)]


def _about(context: Context, spec: ModelSpec) -> str:
    """What the model is; what a picture costs without a GPU; for the starter what draws more."""
    text, offer = model_line(spec), _offer(context)
    if spec.starter and offer == QUICK:
        quick = find(TEXT_TO_IMAGE, QUICK)
        here = "" if is_here(quick) else "_to_fetch"
        return text + line(both(f"{TAB}.quick{here}", model=quick.label, size=f"{quick.size_gb:g}"))
    if spec.starter and not offer:
        classic = find(TEXT_TO_IMAGE, CLASSIC)
        return text + line(both(f"{TAB}.classic_wants", model=classic.label))
    size, limit = context.cache.room(spec)
    if size > limit:
        return text + line(both(f"{TAB}.too_large", needed=f"{size:.1f}", limit=f"{limit:.1f}"))
    if place(spec, context.settings).device == "cpu" and options_of(spec).work:
        times = _seconds(context, spec, measure=False)
        text += line(both(f"{TAB}.takes", **times) if times else both(f"{TAB}.measuring"))
    return text


def _seconds(context: Context, spec: ModelSpec, measure: bool) -> dict[str, Any] | None:
    """About how long a picture takes with either decoder, in words; None where that is not known."""
    placement = place(spec, context.settings)
    size, limit = context.cache.room(spec)
    if size > limit:
        return None
    seconds = [seconds_a_picture(spec, placement, tiny, measure) for tiny in (False, True)]
    if None in seconds:
        return None
    texts = [_duration(one or 0) for one in seconds]
    return {"time": texts[0], "tiny": texts[1]}


def _duration(seconds: float) -> dict[str, str]:
    """A time that is not known exactly, by language."""
    if seconds < 90:
        number = max(1, round(seconds) if seconds < 10 else 5 * round(seconds / 5))
        return {language: say(f"{TAB}.seconds", language, number=number) for language in LANGUAGES}
    number = round(seconds / 60)
    return {language: say(f"{TAB}.minutes", language, number=number) for language in LANGUAGES}


def _offer(context: Context) -> str:
    """The id of the model that draws anything and can be used here; "" for none."""
    may = context.settings.may_download
    classic, quick = find(TEXT_TO_IMAGE, CLASSIC), find(TEXT_TO_IMAGE, QUICK)
    if place(classic, context.settings).device != "cpu" and (is_here(classic) or may):
        return CLASSIC
    size, limit = context.cache.room(quick)
    return QUICK if size <= limit and (is_here(quick) or may) else ""
