"""The text-to-image tab: a picture forms out of noise, step by step, from a few words.

controls.py       the controls, and how they follow the chosen model
prompt_words.py   styles, the words that the small model knows, and what to say about those it does not
draw.py           one drawing, from the button to the pictures with their code
lens.py           how a picture came out of noise, where its words looked, what each word did
explore.py        many settings side by side
example.py        the worked example that is there before the first use
restore.py        settings back into the controls, from a PNG or a picture; the history of this browser
picture_html.py   the HTML of all of them
film.js           the lens in the browser
endpoint.py       the same for programs: /generate_image
"""

from collections.abc import Generator
from typing import Any

import gradio as gr

from models.errors import NotFound
from models.select import select
from models.tasks import TEXT_TO_IMAGE
from tabs.shared.context import Context
from tabs.shared.events import at_field, line
from tabs.shared.experiments import Experiment, Experiments
from tabs.shared.strings import both, t
from tabs.shared.widgets import (
    begin_next,
    bind_stop,
    examples_box,
    how_it_works,
    inner_tabs,
    model_picker,
    one_at_a_time,
    problem_box,
    recipe_box,
    stop_button,
)
from tabs.text_to_image import (
    controls,
    draw,
    endpoint,
    example,
    explore,
    lens,
    prompt_words,
    restore,
)
from tabs.text_to_image.picture_html import SELECT_ON_CLICK

TAB = "text_to_image"
EXAMPLES = [
    "a panda in the snow at night",
    "a crab and a palm tree on the beach",
    "a fox in the forest",
    "밤 눈밭의 판다",
    "바닷가의 게와 야자수",
    "숲속의 여우",
]
# What a link holds, by the names used there; no key, and no picture.
_IN_A_LINK = (
    *("negative_prompt", "guidance_scale", "num_inference_steps", "seed", "random", "size"),
    *("num_images", "scheduler", "style", "lora", "lora_strength", "decoder"),
)
_SAME_SEED = {"prompt": example.PROMPTS, "random": False, "seed": example.SEED}
# It leaves the background open, so that the seed decides it.
_OPEN_PROMPT = {"en": "a fox", "ko": "여우"}

# On a phone the result is below the controls: there a press of the button scrolls to it.
TO_THE_RESULT = """() => {
  if (innerWidth < 700) document.getElementById("text_to_image-right").scrollIntoView();
}"""
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build(context: Context) -> None:
    """Lay the tab out and bind it to its models."""
    with gr.Row():
        with gr.Column():
            with gr.Row(elem_id=f"{TAB}-ask"):
                prompt = gr.Textbox(
                    label=t(f"{TAB}.prompt"),
                    placeholder=t(f"{TAB}.placeholder"),
                    elem_classes="tall",
                    scale=3,
                    min_width=160,
                    elem_id=f"{TAB}-prompt",
                )
                start_picture = controls.start_picture()
            problem = problem_box(TAB)
            unknown = gr.HTML(js_on_load=SELECT_ON_CLICK, padding=False, elem_id=f"{TAB}-unknown")
            note = gr.HTML(padding=False, elem_id=f"{TAB}-note")
            strength = controls.start_strength()
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            examples_box(TAB, [[one] for one in EXAMPLES], [prompt], f"{TAB}-start")
            try_this = gr.Column()
            words = prompt_words.build(context.default_model(TEXT_TO_IMAGE))
            model = model_picker(context, TEXT_TO_IMAGE, f"{TAB}-model")
            about, dials, upload, fold = controls.build(
                context, model, words, start_picture.image, strength
            )
            targets = restore.RestoreTargets(
                prompt, model, about, words, upload, start_picture.place, note, dials
            )
            with fold:
                restore.build_drop(context, targets)
            words.render()
            prompt_words.bind(words, prompt)
        with gr.Column(elem_id=f"{TAB}-right"):
            view = draw.build_view()
            drawing = gr.State(None)
            under = gr.Column(elem_id=f"{TAB}-lens", elem_classes="lens")
            new_cards, pictures = restore.build_history(context, targets)
            code = recipe_box(TAB)
            how_it_works(TAB)
        with under:
            film, axes, compare_event = _build_lenses(context, targets, drawing, code)
        with try_this:
            experiments = _build_experiments(context, targets, axes)
        experiments.after(compare_event)

    def run(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from draw.draw(context, request, *values)

    job: dict[str, Any] = {
        "fn": at_field(run, problem),
        "inputs": [view.pictures, view.status, prompt, model, *dials],
        "outputs": [*view, film, drawing, code, dials.seed, note, unknown, new_cards, problem],
    }
    start.click(None, js=TO_THE_RESULT)
    event = one_at_a_time([start.click, prompt.submit], f"{TAB}-start", f"{TAB}-stop", **job)
    stop_line = line(
        f'{both("page.stopped")} <span class="unfinished">{both(f"{TAB}.unfinished")}</span>'
    )
    restore.bind_history(event, new_cards, pictures)
    experiments.after(event)
    prompt_words.bind_unknown_words(context, prompt, model, unknown)
    controls.bind_start_picture(upload, start_picture, strength, note)
    draw.bind_start_from(view, start_picture, strength, note)
    begin_next(bind_stop(stop, [event], view.status, stop_line), f"{TAB}-start")
    endpoint.build(context)


def _grid(guidances: str, steps: str) -> dict[str, Any]:
    return _SAME_SEED | {"guidance_scales": guidances, "step_counts": steps}


def _build_lenses(
    context: Context, targets: restore.RestoreTargets, drawing: gr.State, code: gr.State
) -> tuple[gr.HTML, explore.GridAxes, Any]:
    """Lay out what is under the picture, each part a tab.

    Returns:
        The film, what a grid compares, and the event of an experiment's grid.
    """
    lenses: dict[str, Any] = {}

    def build_film(context: Context) -> None:
        lenses["film"] = lens.build_film(context, drawing, example.film())

    def build_ablation(context: Context) -> None:
        lens.build_ablation(context, drawing, code, example.ablation())

    def build_grid(context: Context) -> None:
        lenses["axes"], lenses["compare"] = explore.build(context, targets, code, compare)

    compare = gr.Button(visible="hidden", elem_id=f"{TAB}-compare")
    parts = {"film": build_film, "ablation": build_ablation, "explore": build_grid}
    inner_tabs(context, TAB, parts)
    return lenses["film"], lenses["axes"], lenses["compare"]


def _build_experiments(
    context: Context, targets: restore.RestoreTargets, axes: explore.GridAxes
) -> Experiments:
    """Three experiments, and the tab as a link."""
    dials = targets.controls
    link_values = {"prompt": targets.prompt, "model": targets.model}
    link_values |= {name: getattr(dials, name) for name in _IN_A_LINK}
    link_values |= {name: getattr(axes, name) for name in explore.GridAxes._fields}
    following = (targets.about, targets.words, targets.upload, *dials)
    components = dict(zip(controls.FOLLOWING, following, strict=True))

    def follow(values: dict[str, Any]) -> dict[Any, Any]:
        """What the model of a link changes on the page."""
        try:
            spec = select(TEXT_TO_IMAGE, values["model"], context.settings)
        except NotFound:
            return {}
        changes = controls.changes_for(context, spec)
        return {components[name]: change for name, change in changes.items()}

    return Experiments(
        TAB,
        link_values,
        f"{TAB}-start",
        [
            Experiment("guidance", _grid("1, 8", "25"), f"{TAB}-explore-grid", f"{TAB}-compare"),
            Experiment("steps", _grid("3", "2, 25"), f"{TAB}-explore-grid", f"{TAB}-compare"),
            Experiment(
                "seeds", _SAME_SEED | {"prompt": _OPEN_PROMPT, "num_images": 3}, f"{TAB}-result"
            ),
        ],
        follow,
        [targets.about, targets.words, targets.upload, dials.api_key],
    )
