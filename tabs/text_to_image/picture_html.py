"""Pictures as HTML: while they form, the remarks on them, and as buttons that bring settings back."""

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any
from urllib.parse import quote

from models.contract import ModelSpec
from models.text_to_image.events import GridDone, ImagesDone, Sketch, StepDone
from models.text_to_image.requests import ImageGridRequest, ImageRequest
from tabs.shared.events import line
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import LANGUAGES, both, say, spans

TAB = "text_to_image"
SHARED_FIELDS = (
    *("prompt", "negative_prompt", "width", "height", "scheduler"),
    *("lora", "lora_strength", "decoder"),
)

# For an HTML component: a click on an element with data-pick is its event "select", with that as data.
SELECT_ON_CLICK = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-pick]');
  if (button) trigger('select', JSON.parse(button.dataset.pick));
});"""


# ---------------------------------------------------------------- while a picture forms


def forming(preview: Sketch | None, step: StepDone | None, count: int, seconds: float) -> str:
    """The newest preview over a bar with step, picture and the time that is left.

    Args:
        preview: the newest.
        step: the newest step; None before the first.
        count: how many pictures the request is for.
        seconds: since the first step was done.
    """
    picture = '<div class="forming-picture"></div>'
    if preview:
        picture = f'<img class="forming-picture" alt="" src="{data_url(preview.jpeg)}">'
    if step is None:
        return picture
    each = max(1, step.total // count)
    words = both(
        f"{TAB}.step",
        step=(step.step - 1) % each + 1,
        steps=each,
        left=_seconds_left(step, seconds),
    )
    if count > 1:
        number = both(f"{TAB}.picture", number=(step.step - 1) // each + 1, count=count)
        words = f"{number} · {words}"
    return f"{picture}{_bar(step)}{line(words)}"


def grid_progress(step: StepDone, seconds: float) -> str:
    """A bar over the whole of a grid, with the time that is left.

    Args:
        step: the newest.
        seconds: since the drawing began.
    """
    left = _seconds_left(step, seconds)
    return f"{_bar(step)}{line(both(f'{TAB}.step', step=step.step, steps=step.total, left=left))}"


def _seconds_left(step: StepDone, seconds: float) -> int:
    return math.ceil(seconds / step.step * (step.total - step.step))


def _bar(step: StepDone) -> str:
    percent = round(100 * step.step / step.total)
    return (
        f'<div class="progress" role="progressbar" aria-label="{percent} %" aria-valuenow="{percent}">'
        f'<div style="width:{percent}%"></div></div>'
    )


def no_film() -> str:
    """In the place of the film, for pictures whose stages cannot be shown."""
    return f'<p class="quiet">{both(f"{TAB}.film.absent")}</p>'


def data_url(data: bytes, kind: str = "image/jpeg") -> str:
    """A file as a URL that holds it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


# ---------------------------------------------------------------- remarks on a result


def model_limits(spec: ModelSpec) -> str:
    """What the model is, was trained on and cannot do, in one line at the result."""
    return f'<p class="quiet">{spans({lang: html.escape(text) for lang, text in spec.note.items()})}</p>'


def image_notes(images: ImagesDone, request: ImageRequest, ignores_negative: bool) -> str:
    """Remarks on prompt and start picture, blanked pictures, and a negative prompt without effect."""
    remarks = _prompt_remarks(images)
    if request.image is not None:
        remarks.insert(0, both(f"{TAB}.start_picture.used", share=f"{request.strength:.0%}"))
    if request.lora and request.lora_strength:
        lora = {"lora": request.lora, "strength": f"{request.lora_strength:g}"}
        remarks.append(both(f"{TAB}.lora_used", **lora))
    if request.decoder:
        remarks.append(both(f"{TAB}.tiny_used"))
    if any(images.flagged):
        numbers = ", ".join(str(i + 1) for i, flag in enumerate(images.flagged) if flag)
        remarks.append(both(f"{TAB}.flagged", numbers=numbers))
    if ignores_negative:
        remarks.append(both(f"{TAB}.ignored"))
    return _notes(remarks)


def grid_notes(grid: GridDone) -> str:
    """Remarks on the prompt of a grid."""
    return _notes(_prompt_remarks(grid))


def _prompt_remarks(result: ImagesDone | GridDone) -> list[str]:
    remarks: list[str] = []
    if result.unknown:
        remark = both(f"{TAB}.unknown", words=", ".join(result.unknown))
        if result.reading:
            remark += f" {both(f'{TAB}.reading', reading=result.reading)}"
        remarks.append(remark)
    if result.cut:
        remarks.append(both(f"{TAB}.cut", words=result.cut))
    if result.batch > 1:
        remarks.append(both(f"{TAB}.batched", batch=result.batch))
    return remarks


def _notes(remarks: Sequence[str]) -> str:
    return "".join(f'<p class="note">{remark}</p>' for remark in remarks)


def status_note(words: str) -> str:
    """A remark that a screen reader reads out; `words` are HTML."""
    return f'<p class="note" role="status">{words}</p>'


def seed_range(seeds: Sequence[int]) -> list[str]:
    """The seeds for the line under the result."""
    if not seeds:
        return []
    span = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} – {seeds[-1]}"
    return [both("result.seed", seed=html.escape(span))]


# ---------------------------------------------------------------- buttons


def settings_button(
    settings: Mapping[str, Any], name: str | Mapping[str, str], picture: str, words: str = ""
) -> str:
    """A picture to press; its settings are the data of the event (see SELECT_ON_CLICK).

    Args:
        settings: of the picture.
        name: what it is, as plain text; by language, it follows the page's (gradio_patches.js).
        picture: address of the picture.
        words: HTML below it.
    """
    data = html.escape(json.dumps(settings, ensure_ascii=False), quote=True)
    by_language = dict.fromkeys(LANGUAGES, name) if isinstance(name, str) else name
    names = {language: html.escape(text, quote=True) for language, text in by_language.items()}
    data_names = (
        "" if isinstance(name, str) else "".join(f' data-name-{k}="{v}"' for k, v in names.items())
    )
    return (
        f'<button type="button" class="pick" data-pick="{data}" title="{names["en"]}" aria-label="{names["en"]}"{data_names}>'
        f'<img alt="" src="{html.escape(picture, quote=True)}">{words}</button>'
    )


def settings_of(
    spec: ModelSpec, request: ImageRequest | ImageGridRequest, **own: Any
) -> dict[str, Any]:
    """A picture's settings by ImageRequest's names, and "model"; `own` are those it does not share."""
    values = {name: getattr(request, name) for name in SHARED_FIELDS} | own
    if not request.lora:
        del values["lora_strength"]
    return {"model": spec.id, **{k: v for k, v in values.items() if v not in (None, "")}}


# ---------------------------------------------------------------- grids


def grid_table(
    spec: ModelSpec,
    grid: ImageGridRequest,
    addresses: Mapping[int, str],
    blank: Set[int] = frozenset(),
    bare: str = "",
) -> str:
    """The grid as HTML: the finished cells can be pressed, the others are empty places.

    Args:
        spec: the model.
        grid: with all values.
        addresses: of the finished cells' pictures, by index.
        blank: indexes of the cells that the safety checker blanked.
        bare: the picture beside it, from `no_prompt`.
    """
    seeds = grid.num_seeds > 1
    cells = [
        _cell(spec, grid, single, addresses.get(k), k in blank)
        for k, single in enumerate(grid.singles())
    ]
    head = "".join(
        f'<th scope="col">{both(f"{TAB}.explore.guidance", value=f"{guidance:g}")}</th>'
        for guidance in grid.guidance_scales
    )
    body = ""
    for row in range(grid.rows):
        body += "<tr>"
        if not seeds:
            steps = both(f"{TAB}.explore.steps", value=grid.step_counts[row])
            body += f'<th scope="row">{steps}</th>'
        own = cells[row * grid.columns : (row + 1) * grid.columns]
        body += "".join(f"<td>{cell}</td>" for cell in own) + "</tr>"
    top = "" if seeds else f"<thead><tr><td></td>{head}</tr></thead>"
    of = both(f"{TAB}.explore.of", prompt=grid.prompt, seed=grid.seed)
    return (
        f'<p class="quiet">{of}</p><div class="grid-beside">'
        f'<table class="picture-grid">{top}<tbody>{body}</tbody></table>{bare}</div>'
    )


def _cell(
    spec: ModelSpec, grid: ImageGridRequest, one: ImageRequest, address: str | None, blank: bool
) -> str:
    if address is None:
        words = both(f"{TAB}.explore.flagged") if blank else ""
        return f'<span class="pick pending">{words}</span>'
    guidance, steps = one.guidance_scale or 0, one.num_inference_steps
    own = {"guidance_scale": guidance, "num_inference_steps": steps, "seed": one.seed}
    names = {
        language: " · ".join(
            (
                say(f"{TAB}.explore.guidance", language, value=f"{guidance:g}"),
                say(f"{TAB}.explore.steps", language, value=steps),
                say("result.seed", language, seed=one.seed),
            )
        )
        for language in LANGUAGES
    }
    words = f"<span>{one.seed}</span>" if grid.num_seeds > 1 else ""
    return settings_button(settings_of(spec, grid, **own), names, address, words)


def no_prompt(address: str) -> str:
    """The picture that the same seed gives without a prompt, beside the grid."""
    words = both(f"{TAB}.explore.no_prompt")
    return (
        f'<figure class="no-prompt"><img alt="" src="{html.escape(address, quote=True)}">'
        f"<figcaption>{words}</figcaption></figure>"
    )


def file_address(content: bytes, name: str) -> str:
    """Where the page finds a file that is now in its cache."""
    return f"gradio_api/file={quote(save_to_cache(content, name))}"
