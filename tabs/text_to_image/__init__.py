"""The text-to-image tab: a picture forms out of noise, step by step, from a few words.

controls.py       the controls, and how they follow the chosen model
prompt_words.py   styles, and the words that the small model knows
draw.py           one drawing, from the button to the pictures with their code
explore.py        many settings side by side
restore.py        settings back into the controls, from a PNG or a click on a picture
picture_html.py   the HTML of all of them
endpoint.py       the same for programs: /generate_image
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
from tabs.text_to_image import controls, draw, endpoint, explore, prompt_words, restore

TAB = "text_to_image"
EXAMPLES = [
    "a large red circle on a blue background",
    "a small yellow star on a black background",
    "a futuristic cityscape with flying cars at sunset",
    "파란 배경에 큰 빨간 원",
    "별이 빛나는 밤 바다 위의 돛단배",
    "해 질 녘 하늘을 나는 자동차가 있는 미래 도시",
]

# On a phone the result is below the controls: there a press of the button scrolls to it.
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
            words = prompt_words.build(prompt, context.preferred(TEXT_TO_IMAGE).starter)
            model = model_picker(context, TEXT_TO_IMAGE, f"{TAB}-model")
            about, image_controls, fold = controls.build(context, model, words)
            targets = restore.RestoreTargets(
                prompt, model, about, words, fold, note, image_controls
            )
            restore.build_drop(context, targets)
        with gr.Column(elem_id=f"{TAB}-right"):
            view = draw.build_view()
            more = gr.Column()
            code = recipe_box(TAB)
            how_it_works(TAB)
        with more:
            explore.build(context, targets, code)
            new_cards, pictures = restore.build_history(context, targets)

    def run(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from draw.draw(context, request, *values)

    job: dict[str, Any] = {
        "fn": run,
        "inputs": [prompt, model, *image_controls],
        "outputs": [*view, code, image_controls.seed, note, new_cards],
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    start.click(None, js=TO_THE_RESULT)
    events: list[Any] = [box(**job) for box in (start.click, prompt.submit)]
    stopped = line(both("page.stopped") + " " + both(f"{TAB}.unfinished"))
    for event in events:
        restore.bind_history(event, new_cards, pictures)
    draw.bind_start_from(view, image_controls)
    bind_stop(stop, events, view.status, stopped)
    endpoint.build(context)
