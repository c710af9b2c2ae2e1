"""The worked example: a picture with all its lenses, there before any model is loaded.

training/image_example.py draws it and writes example/en.json and example/ko.json: pictures as small WebP files,
the sketches of the latents, and the maps of the words, as film.js and the tables take them.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from models.select import find
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.requests import (
    ImageGridRequest,
    LeaveOutRequest,
)
from tabs.shared.charts import example_note
from tabs.shared.strings import LANGUAGES, both
from tabs.text_to_image.lens import (
    ablation_html,
    film_html,
)
from tabs.text_to_image.picture_html import grid_table, model_limits, no_prompt

TAB = "text_to_image"
MODEL = "genlab/scenes"
# Two steps leave it rough; guidance 8 wears the colours out, at 15 all is broken.
PROMPTS = {
    "en": "a yellow fish and a crab",
    "ko": "노란 물고기와 게",
}
SEED = 1
_GRID = {"guidance_scales": (1.0, 3.0, 8.0, 15.0), "step_counts": (2, 5, 25)}
FOLDER = Path(__file__).with_name("example")


@cache
def recording_of(language: str) -> dict[str, Any]:
    """The example as training/image_example.py stores it."""
    return json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))


# ---------------------------------------------------------------- as HTML


def _in_both(build: Callable[[str, dict[str, Any]], str]) -> str:
    """What is built of each language's example, of which the page shows its own."""
    return "".join(
        f'<div class="in-{language}" lang="{language}">{build(language, recording_of(language))}</div>'
        for language in LANGUAGES
    )


def picture() -> str:
    """The picture under a mark that it is an example, with what it was drawn from."""
    spec = find(TEXT_TO_IMAGE, MODEL)

    def one(language: str, content: dict[str, Any]) -> str:
        words = both(f"{TAB}.example", prompt=PROMPTS[language], model=spec.label, seed=SEED)
        return (
            f'{example_note()}<img class="forming-picture" alt="" src="{content["picture"]}">'
            f'<p class="result-line">{words}</p>'
        )

    return _in_both(one) + model_limits(spec)


def film() -> str:
    """From noise to picture, with the maps of the words."""
    return _in_both(
        lambda language, content: film_html(content["film"], PROMPTS[language], content["steps"])
    )


def ablation() -> str:
    """What each word did."""

    def one(language: str, content: dict[str, Any]) -> str:
        request = LeaveOutRequest.of(prompt=PROMPTS[language], seed=SEED)
        addresses, changes = (dict(enumerate(content[name])) for name in ("ablation", "changed"))
        return example_note() + ablation_html(request, addresses, changes)

    return _in_both(one)


def grid() -> str:
    """Guidance by steps, and the picture without a prompt."""
    spec = find(TEXT_TO_IMAGE, MODEL)

    def one(language: str, content: dict[str, Any]) -> str:
        request = grid_request(language).with_defaults(spec)
        addresses, bare = dict(enumerate(content["grid"])), no_prompt(content["no_prompt"])
        return example_note() + grid_table(spec, request, addresses, bare=bare)

    return _in_both(one)


def grid_request(language: str) -> ImageGridRequest:
    """The example's grid of guidance by steps."""
    return ImageGridRequest.of(prompt=PROMPTS[language], seed=SEED, **_GRID)
