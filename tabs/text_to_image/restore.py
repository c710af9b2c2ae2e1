"""Settings back into the controls: those in a PNG, of a picture in the history, or of a grid's cell.

The history is stored in the browser alone (settings, a thumbnail, the start picture), so it outlives a
reload of the page, and neither the server nor another visitor has it.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from models.contract import ModelSpec
from models.errors import InvalidInput, ModelError, NotFound
from models.select import select
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.catalog import options_of
from models.text_to_image.events import ImagesDone
from models.text_to_image.image_files import compact_start_picture, read_picture, thumbnail
from models.text_to_image.picture_notes import PictureNote, read_note
from models.text_to_image.requests import ImageRequest
from tabs.shared.context import Context
from tabs.shared.events import line, problem_line
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import LANGUAGES, both, say, t
from tabs.shared.widgets import updates
from tabs.text_to_image import controls, prompt_words
from tabs.text_to_image.picture_html import (
    SELECT_ON_CLICK,
    SHARED_FIELDS,
    data_url,
    settings_button,
    settings_of,
    status_note,
)

TAB = "text_to_image"
_FIELDS = (
    *SHARED_FIELDS,
    "guidance_scale",
    "num_inference_steps",
    "seed",
    "num_images",
    "strength",
)
# Without one of these a picture cannot be drawn again.
_ESSENTIAL = (
    "prompt",
    "seed",
    "num_inference_steps",
    "guidance_scale",
    "scheduler",
    "width",
    "model",
)
_SHORTER = {"width": "size"}
_MOST_UNREAD = 12  # that are named
# After a PNG is dropped or a picture is clicked, far down on a phone: back up to what changed.
TO_THE_PROMPT = f"""() => {{
  document.getElementById("{TAB}-prompt").scrollIntoView({{ block: "center" }});
}}"""


class RestoreTargets(NamedTuple):
    """What settings are restored into."""

    prompt: gr.Textbox
    model: gr.Dropdown
    about: gr.HTML
    words: gr.HTML
    upload: gr.UploadButton
    place: gr.Column
    note: gr.HTML
    controls: controls.ImageControls

    @property
    def outputs(self) -> list[Any]:
        """The components, in the order of `restore`."""
        return [*self[:-1], *self.controls]


NAMES = (*RestoreTargets._fields[:-1], *controls.ImageControls._fields)


def build_drop(context: Context, targets: RestoreTargets) -> None:
    """A place to drop a PNG on; its settings go into the controls."""
    with gr.Column(elem_id=f"{TAB}-restore"):
        gr.HTML(
            f'<p class="lens-title">{both(f"{TAB}.restore.title")}</p>'
            f'<p class="quiet">{both(f"{TAB}.restore.info")}</p>'
        )
        file = gr.File(
            label=t(f"{TAB}.restore.drop"), show_label=False, height=120, elem_id=f"{TAB}-drop"
        )

    def read(path: str, model: str) -> tuple[Any, ...]:
        try:
            picture = read_note(Path(path))
        except InvalidInput as problem:  # in the note: an error would mark every field as wrong
            return updates(NAMES, note=status_note(problem_line(problem)))
        return restore(context, model, {"image": "", **picture.settings}, picture)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    upload = file.upload(read, [file, targets.model], targets.outputs, **quiet)
    upload.success(None, js=TO_THE_PROMPT)
    upload.then(lambda: None, None, file, **quiet)


def bind_buttons(context: Context, view: gr.HTML, targets: RestoreTargets) -> None:
    """Let a click on one of the view's `settings_button`s restore its settings."""

    def restore_clicked(model: str, event: gr.EventData) -> tuple[Any, ...]:
        return restore(context, model, event._data)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    click = view.select(restore_clicked, targets.model, targets.outputs, **quiet)
    click.success(None, js=TO_THE_PROMPT)


def restore(
    context: Context, model: str, settings: Mapping[str, Any], source: PictureNote | None = None
) -> tuple[Any, ...]:
    """Updates of `RestoreTargets.outputs`. What cannot be used here is not changed, and is named in a note.

    Args:
        context: the app's.
        model: the one that is selected now.
        settings: by ImageRequest's names, and "model" (an id); one without a negative prompt had none.
        source: the note of a file that they are from; what it does not say is named too.
    """
    return updates(NAMES, **_Restoration(context, model, settings, source).changes)


class _Restoration:
    """Collects what changes on the page, and which settings cannot be used here."""

    def __init__(
        self,
        context: Context,
        model: str,
        settings: Mapping[str, Any],
        source: PictureNote | None = None,
    ) -> None:
        self.changes: dict[str, Any] = {}
        self._unusable: list[tuple[str, str]] = []
        self._source = source
        missing = [name for name in _ESSENTIAL if settings.get(name) in (None, "")]
        self._missing = missing if source else []
        nothing = {"negative_prompt": "", "num_images": 1, "lora": controls.NO_LORA, "decoder": ""}
        values = {**nothing, **self._valid_values(settings)}
        spec = self._select_model(context, model, settings.get("model"))
        self._check_scheduler(spec, values)
        self._check_limits(spec, values)
        self._set_start_picture(settings)
        if "seed" in values:
            self._set("random", value=False)
        for name, value in {"style": prompt_words.NO_STYLE, **values}.items():
            if name in NAMES:
                self._set(name, value=value)
        if not controls.has_parts(spec):  # its LoRA was of another model
            self._set("lora", value=controls.NO_LORA)
            self._set("decoder", value="")
        else:
            self._set("lora_strength", visible=bool(values["lora"]))
        if "width" in values and "height" in values:
            self._set_size(values["width"], values["height"], spec)
        self.changes["note"] = self._note()

    def _set(self, name: str, **update: Any) -> None:
        self.changes[name] = {**self.changes.get(name, gr.update()), **update}

    def _valid_values(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that a request may have."""
        values: dict[str, Any] = {}
        for name in _FIELDS:
            value = settings.get(name)
            if value is None or value == "":
                continue
            try:
                values[name] = getattr(ImageRequest.of(**{"prompt": "x", name: value}), name)
            except ModelError:
                self._unusable.append((name, str(value)[:40]))
        return values

    def _select_model(self, context: Context, model: str, model_id: Any) -> ModelSpec:
        """The model that the settings are for, with what it changes; else the one selected now."""
        current = _select(context, model) or context.default_model(TEXT_TO_IMAGE)
        spec = _select(context, model_id) if model_id else current
        if spec is None:
            self._unusable.append(("model", str(model_id)[:80]))
        if spec is None or spec.id == current.id:
            return current
        self.changes |= {"model": spec.id, **controls.changes_for(context, spec)}
        return spec

    def _check_scheduler(self, spec: ModelSpec, values: dict[str, Any]) -> None:
        """The model's own scheduler if there is none in the settings, or one that it cannot use."""
        names = options_of(spec).schedulers
        name = values.setdefault("scheduler", "")
        if name and name not in names:
            values["scheduler"] = ""
            if names:
                self._unusable.append(("scheduler", name))

    def _check_limits(self, spec: ModelSpec, values: dict[str, Any]) -> None:
        for name in ("guidance_scale", "num_inference_steps"):
            least, most = controls.limits(spec, name)
            if name in values and not least <= values[name] <= most:
                self._unusable.append((name, f"{values.pop(name):g}"))

    def _set_start_picture(self, settings: Mapping[str, Any]) -> None:
        """Set the start picture; "" takes it away, and without the setting the page's own stays."""
        url = settings.get("image")
        if url is None:
            return
        if (
            "strength" in settings and not url
        ):  # a PNG says that there was one, but does not hold it
            self._unusable.append(("image", ""))
            return
        place, image, strength = controls.picture_updates(_save_picture(str(url)))
        self.changes |= {"place": place, "image": image}
        self._set("strength", **strength)

    def _set_size(self, width: int, height: int, spec: ModelSpec) -> None:
        """Select a size; a new one becomes a choice, but not for a starter, which has only its own."""
        choices, size = controls.size_choices(spec), controls.size_choice(width, height)
        if size[1] not in [value for _, value in choices]:
            if spec.starter:
                self._unusable.append(("size", size[0]))
                return
            choices.append(size)
        self.changes["size"] = gr.update(choices=choices, value=size[1])

    def _note(self) -> str:
        unread = self._source.unread if self._source else []
        if not (self._unusable or self._missing or unread):
            return line(both(f"{TAB}.restore.done"))
        lines: list[str] = []
        if self._source and self._source.program not in {"", "JSON"}:
            lines.append(both(f"{TAB}.restore.program", program=self._source.program))
        if self._unusable:
            what = _by_language([*self._unusable])
            lines.append(both(f"{TAB}.restore.left_out", what=what))
        if self._missing:
            what = _by_language([(_SHORTER.get(name, name), "") for name in self._missing])
            lines.append(both(f"{TAB}.restore.missing", what=what))
        if unread:
            what = ", ".join(f"{key} {value}".strip() for key, value in unread[:_MOST_UNREAD])
            lines.append(both(f"{TAB}.restore.unread", what=what))
        return status_note(" ".join(lines))


def _by_language(values: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings by their names in each language, with their values."""
    return {
        language: ", ".join(
            f"{say(f'fields.{name}', language)} {value}".strip() for name, value in values
        )
        for language in LANGUAGES
    }


def _select(context: Context, model: Any) -> ModelSpec | None:
    try:
        return select(TEXT_TO_IMAGE, str(model), context.settings)
    except NotFound:
        return None


def _save_picture(url: str) -> str | None:
    """The picture of a data URL as a file; None if there is none in it."""
    if not url:
        return None
    try:
        data = base64.b64decode(url.partition(",")[2], validate=True)
        read_picture(data)
    except (InvalidInput, ValueError):
        return None
    return save_to_cache(data, "start.png")


# ---------------------------------------------------------------- the history

CARDS_LIMIT = 24  # some 100 KB of the browser's storage; start pictures take more
STORAGE_LIMIT = 2_000_000  # characters in all: a browser stores some 5,000,000 of a page
SIDE = 96  # pixels of a thumbnail

_ADD = f"""(added, history) => {{
  const cards = added ? JSON.parse(added) : [];
  const all = [...cards, ...history.cards.filter((one) => !cards.includes(one))].slice(0, {CARDS_LIMIT});
  let room = {STORAGE_LIMIT};
  return {{ cards: all.filter((one) => (room -= one.length) >= 0) }};
}}"""
_CLEAR = "() => ({ cards: [] })"


def build_history(context: Context, targets: RestoreTargets) -> tuple[gr.Textbox, gr.BrowserState]:
    """Lay the history out.

    Returns:
        The new cards of a drawing, hidden, and the history; both for `bind`.
    """
    empty = f'<p class="quiet">{both(f"{TAB}.history.empty")}</p>'
    history = gr.BrowserState({"cards": []}, storage_key="genlab.pictures", secret="genlab")
    new_cards = gr.Textbox(visible=False)
    with gr.Column(elem_id=f"{TAB}-history"):
        gr.HTML(f'<p class="lens-title">{both(f"{TAB}.history.title")}</p>', padding=False)
        view = gr.HTML(empty, js_on_load=SELECT_ON_CLICK, elem_id=f"{TAB}-history-view")
        clear = gr.Button(t(f"{TAB}.history.clear"), size="sm", elem_id=f"{TAB}-history-clear")
    show = f"""(history) => history.cards.length
      ? '<div class="picks">' + history.cards.join("") + "</div>" : {json.dumps(empty)}"""
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    history.change(None, history, view, js=show, **quiet)
    clear.click(None, None, history, js=_CLEAR, **quiet)
    bind_buttons(context, view, targets)
    return new_cards, history


def bind_history(event: Any, new_cards: gr.Textbox, history: gr.BrowserState) -> None:
    """Add the new cards to the history after a drawing that succeeded."""
    event.success(None, [new_cards, history], history, js=_ADD, api_visibility="private")


def history_cards(spec: ModelSpec, request: ImageRequest, images: ImagesDone) -> str:
    """The pictures of a result for the history, as JSON; without those that the checker blanked."""
    start = _start_settings(request)
    buttons: list[str] = []
    for k, image in enumerate(images.images):
        if images.is_flagged(k):
            continue
        own: dict[str, Any] = {}
        if images.seeds:
            own = {
                "guidance_scale": request.guidance_scale,
                "num_inference_steps": request.num_inference_steps,
                "seed": images.seeds[k],
            }
        settings = settings_of(spec, request, **own) | start
        buttons.append(settings_button(settings, request.prompt, data_url(thumbnail(image, SIDE))))
    return json.dumps(buttons, ensure_ascii=False)


def _start_settings(request: ImageRequest) -> dict[str, Any]:
    """The start picture and its strength; image "" if there was none."""
    if request.image is None or not (request.width and request.height):
        return {"image": ""}
    kind, data = compact_start_picture(request.image, request.width, request.height)
    return {"image": data_url(data, kind), "strength": request.strength}
