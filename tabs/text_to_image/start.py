"""A picture to start from instead of noise."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from models.errors import InvalidInput
from models.text_to_image.picture import opened
from tabs.shared.strings import both, t

TAB = "text_to_image"


def build(visible: bool) -> tuple[gr.Accordion, gr.Image, gr.Slider]:
    """Lay out the picture and how much of it is drawn anew."""
    with gr.Accordion(
        t(f"{TAB}.start_picture.title"), open=False, visible=visible, elem_id=f"{TAB}-from"
    ) as fold:
        image = gr.Image(
            type="filepath",
            label=t(f"{TAB}.start_picture.image"),
            sources=["upload", "clipboard"],
            height=220,
            elem_id=f"{TAB}-image",
        )
        # Its file as it came (Gradio has checked that it was uploaded): the engine opens it, with care.
        image.preprocess = _path  # pyright: ignore[reportAttributeAccessIssue]
        note = gr.HTML(padding=False, elem_id=f"{TAB}-image-note")
        strength = gr.Slider(
            0.05,
            1,
            0.6,
            step=0.05,
            label=t(f"{TAB}.start_picture.strength"),
            info=t(f"{TAB}.start_picture.strength_info"),
            elem_id=f"{TAB}-strength",
        )
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    image.upload(_checked, image, [image, note], **quiet)
    image.clear(lambda: "", None, note, **quiet)
    return fold, image, strength


def _path(payload: ImageData | None) -> str | None:
    return payload.path if payload else None


def _checked(path: str) -> tuple[Any, str]:
    """A file that cannot be read is taken away at once, and why is said beside it."""
    try:
        opened(Path(path).read_bytes())
    except InvalidInput as problem:
        words = both(f"errors.{problem.code}", **problem.params)
        return None, f'<p class="note" role="status">{words}</p>'
    return gr.skip(), ""
