"""Pictures as HTML: while they form, the remarks on them, and as buttons that bring settings back."""

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from models.text_to_image.events import GridDone, ImagesDone, Sketch, StepDone
from tabs.shared.events import line
from tabs.shared.strings import both

TAB = "text_to_image"

# For an HTML component: a click on an element with data-pick is its event "select", with that as data.
SELECT_ON_CLICK = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-pick]');
  if (button) trigger('select', JSON.parse(button.dataset.pick));
});"""


def empty() -> str:
    """What to do first."""
    return f"<p>{both(f'{TAB}.empty')}</p>"


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


def stage_strip(steps: Sequence[StepDone]) -> str:
    """From noise to picture: a row of small pictures, of which the chosen one opens, with its noise.

    They are radio buttons, so that the arrow keys step through them.

    Args:
        steps: those with a preview and one with its noise.
    """
    if not steps:
        return ""
    intro = f'<p class="quiet">{both(f"{TAB}.stages.info")}</p>'
    return f'<fieldset class="stages"><legend>{both(f"{TAB}.stages.title")}</legend>{intro}' + (
        "".join(_stage(step) for step in steps) + "</fieldset>"
    )


def _stage(step: StepDone) -> str:
    words = both(f"{TAB}.stages.step", step=step.step, steps=step.total)
    noisy, clean = both(f"{TAB}.stages.noisy"), both(f"{TAB}.stages.seen")
    return (
        f'<span style="display:contents;--seen:{_css_url(step.preview)};'
        f'--noisy:{_css_url(step.noisy)}">'
        f'<label class="stage"><input type="radio" name="{TAB}-stage">'
        f'<span class="stage-picture"></span><span>{step.step}</span></label>'
        f'<div class="stage-view"><p>{words}</p>'
        f'<figure><span class="stage-picture noisy"></span><figcaption>{noisy}</figcaption></figure>'
        f'<figure><span class="stage-picture"></span><figcaption>{clean}</figcaption></figure>'
        "</div></span>"
    )


def _css_url(sketch: Sketch | None) -> str:
    return f"url({data_url(sketch.jpeg if sketch else b'')})"


def data_url(data: bytes, kind: str = "image/jpeg") -> str:
    """A file as a URL that holds it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


# ---------------------------------------------------------------- remarks on a result


def image_notes(images: ImagesDone, ignores_negative: bool) -> str:
    """Remarks on the prompt, on blanked pictures, and on a negative prompt that has no effect."""
    remarks = _prompt_remarks(images)
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
        remarks.append(both(f"{TAB}.unknown", words=", ".join(result.unknown)))
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


def settings_button(settings: Mapping[str, Any], name: str, picture: str, words: str = "") -> str:
    """A picture to press; its settings are the data of the event (see SELECT_ON_CLICK).

    Args:
        settings: of the picture.
        name: what it is, as plain text.
        picture: address of the picture.
        words: HTML below it.
    """
    data = html.escape(json.dumps(settings, ensure_ascii=False), quote=True)
    name = html.escape(name, quote=True)
    return (
        f'<button type="button" class="pick" data-pick="{data}" title="{name}" aria-label="{name}">'
        f'<img alt="" src="{html.escape(picture, quote=True)}">{words}</button>'
    )
