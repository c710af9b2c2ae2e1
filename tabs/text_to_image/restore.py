"""Settings back into the dials: those a PNG carries, a result of before, or a cell of a grid."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from models.contract import ModelSpec
from models.errors import InvalidInput, NotFound
from models.select import select
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image import png
from models.text_to_image.picture import opened
from models.text_to_image.requests import ImageRequest
from models.text_to_image.schedulers import offered
from tabs.shared.context import Context
from tabs.shared.events import line
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import LANGUAGES, both, say, t
from tabs.text_to_image import controls, styles

TAB = "text_to_image"
_FIELDS = (
    "prompt",
    "negative_prompt",
    "guidance_scale",
    "num_inference_steps",
    "seed",
    "width",
    "height",
    "num_images",
    "scheduler",
    "strength",
)
# After a picture is dropped or a result is picked, far down on a phone, to what it changed.
TO_THE_PROMPT = f"""() => {{
  document.getElementById("{TAB}-prompt").scrollIntoView({{ block: "center" }});
}}"""


class Page(NamedTuple):
    """What settings are restored into."""

    prompt: gr.Textbox
    model: gr.Dropdown
    about: gr.HTML
    words: gr.Accordion
    fold: gr.Accordion
    note: gr.HTML
    dials: controls.Dials

    @property
    def outputs(self) -> list[Any]:
        """The components, in the order of `restored`."""
        return [*self[:-1], *self.dials]


_NAMES = (*Page._fields[:-1], *controls.Dials._fields)


def build_drop(context: Context, page: Page) -> None:
    """A place to drop a PNG on; its settings go into the dials."""
    with gr.Accordion(t(f"{TAB}.restore.title"), open=False, elem_id=f"{TAB}-restore"):
        file = gr.File(
            label=t(f"{TAB}.restore.drop"), show_label=False, height=120, elem_id=f"{TAB}-drop"
        )
        gr.HTML(f"<p>{both(f'{TAB}.restore.info')}</p>", elem_classes="quiet")

    def read(path: str, model: str) -> tuple[Any, ...]:
        try:
            found = png.settings(png.chunk(Path(path)))
        except (
            InvalidInput
        ) as problem:  # said in the note: an error would mark every field as wrong
            return _updates({"note": _note(both(f"errors.{problem.code}", **problem.params))})
        return restored(context, model, {"image": "", **found})

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    dropped = file.upload(read, [file, page.model], page.outputs, **private)
    dropped.success(None, js=TO_THE_PROMPT)
    dropped.then(lambda: None, None, file, **private)


def restored(context: Context, model: str, found: Mapping[str, Any]) -> tuple[Any, ...]:
    """Updates of `Page.outputs`.

    What cannot be had here is left as it is, and named.

    Args:
        context: the app's.
        model: the one chosen now.
        found: settings by ImageRequest's names, and "model" (an id).
    """
    left_out: list[tuple[str, str]] = []
    kept = _possible(found, left_out)
    spec, changes = _model(context, model, found.get("model"), left_out)
    _scheduler(spec, kept, left_out)
    _ranges(spec, kept, left_out)
    _start(found, changes, left_out)
    if "seed" in kept:
        changes["random"] = {**changes.get("random", gr.update()), "value": False}
    for name, value in {"style": styles.NONE, **kept}.items():
        if name in _NAMES:
            changes[name] = {**changes.get(name, gr.update()), "value": value}
    if "width" in kept and "height" in kept:
        _size(f"{kept['width']}x{kept['height']}", spec, changes, left_out)
    changes["note"] = _said(left_out)
    return _updates(changes)


def _updates(changes: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(changes.get(name, gr.skip()) for name in _NAMES)


def _note(words: str) -> str:
    return f'<p class="note" role="status">{words}</p>'


def _possible(found: Mapping[str, Any], left_out: list[tuple[str, str]]) -> dict[str, Any]:
    """The settings that a request may have."""
    kept: dict[str, Any] = {}
    for name in _FIELDS:
        value = found.get(name)
        if value is None or value == "":
            continue
        try:
            kept[name] = getattr(ImageRequest.of(**{"prompt": "x", name: value}), name)
        except InvalidInput:
            left_out.append((name, str(value)[:40]))
    return kept


def _model(
    context: Context, now: str, wanted: Any, left_out: list[tuple[str, str]]
) -> tuple[ModelSpec, dict[str, Any]]:
    """The model the settings are for, and what a change of the model changes."""
    current = _chosen(context, now) or context.preferred(TEXT_TO_IMAGE)
    spec = _chosen(context, wanted) if wanted else current
    if spec is None:
        left_out.append(("model", str(wanted)[:80]))
    if spec is None or spec.id == current.id:
        return current, {}
    return spec, {"model": spec.id, **controls.adapted(context, spec)}


def _chosen(context: Context, model: Any) -> ModelSpec | None:
    try:
        return select(TEXT_TO_IMAGE, str(model), context.settings)
    except NotFound:
        return None


def _scheduler(spec: ModelSpec, kept: dict[str, Any], left_out: list[tuple[str, str]]) -> None:
    """Leave a scheduler out that the model does not have; without one, the model's own."""
    names = offered(spec)
    name = kept.setdefault("scheduler", "")
    if name and name not in names:
        kept["scheduler"] = ""
        if names:
            left_out.append(("scheduler", name))


def _ranges(spec: ModelSpec, kept: dict[str, Any], left_out: list[tuple[str, str]]) -> None:
    """Leave values out that the model's dials do not reach."""
    for name in ("guidance_scale", "num_inference_steps"):
        least, most = controls.limits(spec, name)
        if name in kept and not least <= kept[name] <= most:
            left_out.append((name, f"{kept.pop(name):g}"))


def _start(
    found: Mapping[str, Any], changes: dict[str, Any], left_out: list[tuple[str, str]]
) -> None:
    """The picture that was started from; "" is none, and where nothing is said the page's own stays."""
    url = found.get("image")
    if url is None:
        return
    if "strength" in found and not url:  # a PNG says that there was one, but does not hold it
        left_out.append(("image", ""))
        return
    changes["image"] = gr.update(value=_file(str(url)) if url else None)
    if url:
        changes["fold"] = {**changes.get("fold", gr.update()), "open": True}


def _file(url: str) -> str | None:
    """The picture of a data URL as a file; None if there is none in it."""
    try:
        data = base64.b64decode(url.partition(",")[2], validate=True)
        opened(data)
    except (InvalidInput, ValueError):
        return None
    return save_to_cache(data, "start.png")


def _size(
    size: str, spec: ModelSpec, changes: dict[str, Any], left_out: list[tuple[str, str]]
) -> None:
    """Choose a size; a new one is added to the list, but not for a model that draws only its own."""
    choices = controls.sizes(spec)
    if size not in [value for _, value in choices]:
        if spec.starter:
            left_out.append(("size", controls.size_name(size)))
            return
        choices.append((controls.size_name(size), size))
    changes["size"] = gr.update(choices=choices, value=size)


def _said(left_out: list[tuple[str, str]]) -> str:
    if not left_out:
        return line(both(f"{TAB}.restore.done"))
    what = {
        language: ", ".join(
            f"{say(f'fields.{name}', language)} {value}".strip() for name, value in left_out
        )
        for language in LANGUAGES
    }
    return _note(both(f"{TAB}.restore.left_out", what=what))
