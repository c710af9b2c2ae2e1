"""The text-to-image tab: a picture forms out of noise, step by step, from a few words.

controls.py   the dials, and how they follow the chosen model
start.py      a picture to start from; styles.py, words.py: words for the prompt
drawing.py    one drawing, from the button to its code; show.py, stages.py: its HTML
explore.py    many settings side by side; grid.py: their table and sheet
restore.py    settings back into the dials, from a dropped PNG; picking.py: from a result
history.py    the pictures made in this browser
endpoint.py   the same for programs: /generate_image
"""

from collections.abc import Generator
from typing import Any

import gradio as gr

from models.tasks import TEXT_TO_IMAGE
from tabs.shared.context import Context
from tabs.shared.events import line
from tabs.shared.strings import both, t
from tabs.shared.widgets import (
    bind_stop,
    examples_box,
    how_it_works,
    model_picker,
    recipe_box,
    stop_button,
)
from tabs.text_to_image import controls, drawing, endpoint, explore, history, restore, words

TAB = "text_to_image"
EXAMPLES = [
    "a large red circle on a blue background",
    "a small yellow star on a black background",
    "a futuristic cityscape with flying cars at sunset",
    "파란 배경에 큰 빨간 원",
    "별이 빛나는 밤 바다 위의 돛단배",
    "해 질 녘 하늘을 나는 자동차가 있는 미래 도시",
]

# On a phone the result is below the dials: there a press of the button goes to it.
TO_THE_RESULT = """() => {
  if (innerWidth < 700) document.getElementById("text_to_image-right").scrollIntoView();
}"""


def build(context: Context) -> None:
    """Lay the tab out and bind it to its models."""
    with gr.Row():
        with gr.Column():
            prompt = gr.Textbox(
                label=t(f"{TAB}.prompt"),
                placeholder=t(f"{TAB}.placeholder"),
                lines=2,
                elem_id=f"{TAB}-prompt",
            )
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            note = gr.HTML(padding=False, elem_id=f"{TAB}-note")
            examples_box(TAB, [[one] for one in EXAMPLES], [prompt], f"{TAB}-start")
            known = words.build(prompt, context.preferred(TEXT_TO_IMAGE).starter)
            model = model_picker(context, TEXT_TO_IMAGE, f"{TAB}-model")
            about, dials, fold = controls.build(context, model, known)
            page = restore.Page(prompt, model, about, known, fold, note, dials)
            restore.build_drop(context, page)
        with gr.Column(elem_id=f"{TAB}-right"):
            result = drawing.build_result()
            more = gr.Column()
            code = recipe_box(TAB)
            how_it_works(TAB)
        with more:
            explore.build(context, page, code)
            made, kept = history.build(context, page)

    def draw(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from drawing.draw(context, request, *values)

    job: dict[str, Any] = {
        "fn": draw,
        "inputs": [prompt, model, *dials],
        "outputs": [*result, code, dials.seed, note, made],
        "show_progress": "hidden",
    }
    private: dict[str, Any] = {"api_visibility": "private"}
    start.click(None, js=TO_THE_RESULT)
    events: list[Any] = [box(**job, **private) for box in (start.click, prompt.submit)]
    stopped = line(both("page.stopped") + " " + both(f"{TAB}.unfinished"))
    for event in events:
        history.bind(event, made, kept)
    drawing.bind_start_from(result, dials)
    bind_stop(stop, events, result.status, stopped)
    endpoint.build(context)
