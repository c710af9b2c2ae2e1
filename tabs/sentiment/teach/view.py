"""What the part "Teach it" is made of: its dials, its result, and one update of it."""

from functools import partial
from typing import Any, NamedTuple, cast

import gradio as gr

from models.teach.catalog import MODELS as ENCODERS
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import both, t
from tabs.shared.widgets import recipe_box, result_box, updates

TAB = "teach"
HEAD, TUNED = "head", "tuned"


class View(NamedTuple):
    """What a teaching is shown in."""

    result: gr.HTML
    status: gr.HTML
    curve: gr.LinePlot
    code: gr.Code
    which: gr.Radio
    save: gr.DownloadButton
    made: gr.State  # {HEAD or TUNED: the classifier as a file's content}


frame = partial(updates, View._fields)  # of the parts that are named, the others as they are


def build_dials() -> list[gr.components.Component]:
    """Encoder, epochs, rank and seed, folded."""
    with gr.Accordion(t("page.advanced"), open=False, elem_id=f"{TAB}-advanced"):
        return [
            gr.Dropdown(
                label=t(f"{TAB}.encoder"),
                info=t(f"{TAB}.encoder_info"),
                choices=[(t("page.auto"), "auto"), *((spec.label, spec.id) for spec in ENCODERS)],
                value="auto",
                elem_id=f"{TAB}-encoder",
            ),
            gr.Slider(
                1, 50, 10, step=1, label=t(f"{TAB}.epochs"), info=t(f"{TAB}.epochs_info"),
                elem_id=f"{TAB}-epochs",
            ),
            gr.Slider(
                1, 64, 8, step=1, label=t(f"{TAB}.rank"), info=t(f"{TAB}.rank_info"),
                elem_id=f"{TAB}-rank",
            ),
            gr.Number(
                label=t(f"{TAB}.seed"), info=t(f"{TAB}.seed_info"), value=0, precision=0,
                minimum=0, elem_id=f"{TAB}-seed",
            ),
        ]  # fmt: skip


def build_result() -> tuple[View, tuple[Any, ...]]:
    """The right side: what was found, a sentence to try, saving and loading."""
    result, status = result_box(TAB, both(f"{TAB}.empty"))
    curve = gr.LinePlot(
        x="step", y="loss", label=t(f"{TAB}.loss"), height=180, visible=False, elem_id=f"{TAB}-loss"
    )
    sentence = gr.Textbox(
        label=t(f"{TAB}.try"), placeholder=t(f"{TAB}.try_placeholder"), elem_id=f"{TAB}-try"
    )
    which = gr.Radio(
        [(t(f"{TAB}.head"), HEAD), (t(f"{TAB}.tuned"), TUNED)],
        value=HEAD,
        label=t(f"{TAB}.which"),
        visible=False,
        elem_id=f"{TAB}-which",
    )
    use = gr.Button(t(f"{TAB}.use"), size="sm", elem_id=f"{TAB}-use")
    said = gr.HTML(elem_id=f"{TAB}-said")
    with gr.Row():
        save = gr.DownloadButton(
            cast(str, t(f"{TAB}.save")), visible=False, size="sm", elem_id=f"{TAB}-save"
        )
        load = gr.UploadButton(
            cast(str, t(f"{TAB}.load")),
            file_types=[".safetensors"],
            size="sm",
            elem_id=f"{TAB}-load",
        )
    code = recipe_box(TAB)
    view = View(result, status, curve, code, which, save, gr.State({}))
    return view, (sentence, use, said, load)


def saved(content: bytes, name: str) -> str:
    """Path of the file in the page's cache, in a folder that only its content's hash names."""
    return save_to_cache(content, f"classifier-{name}.safetensors")
