"""The way from noise to picture, to step through: a strip of the moments of one drawing."""

import base64
from collections.abc import Sequence

from models.text_to_image.events import Sketch, StepDone
from tabs.shared.strings import both

TAB = "text_to_image"


def strip(seen: Sequence[StepDone]) -> str:
    """The stages as HTML: a row of small pictures, of which the chosen one opens, with its noise.

    They are radio buttons, so the arrow keys step through them.

    Args:
        seen: steps that have both a preview and one with its noise.
    """
    if not seen:
        return ""
    intro = f'<p class="quiet">{both(f"{TAB}.stages.info")}</p>'
    return f'<fieldset class="stages"><legend>{both(f"{TAB}.stages.title")}</legend>{intro}' + (
        "".join(_stage(one) for one in seen) + "</fieldset>"
    )


def _stage(one: StepDone) -> str:
    step = both(f"{TAB}.stages.step", step=one.step, steps=one.total)
    noisy, seen = both(f"{TAB}.stages.noisy"), both(f"{TAB}.stages.seen")
    return (
        f'<span style="display:contents;--seen:{_url(one.preview)};--noisy:{_url(one.noisy)}">'
        f'<label class="stage"><input type="radio" name="{TAB}-stage">'
        f'<span class="stage-picture"></span><span>{one.step}</span></label>'
        f'<div class="stage-view"><p>{step}</p>'
        f'<figure><span class="stage-picture noisy"></span><figcaption>{noisy}</figcaption></figure>'
        f'<figure><span class="stage-picture"></span><figcaption>{seen}</figcaption></figure>'
        "</div></span>"
    )


def _url(sketch: Sketch | None) -> str:
    jpeg = sketch.jpeg if sketch else b""
    return f"url(data:image/jpeg;base64,{base64.b64encode(jpeg).decode()})"
