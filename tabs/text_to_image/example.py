"""The worked example: a picture with all its lenses, there before any model is loaded.

    python -m tabs.text_to_image.example

draws it again with the shipped starter and writes example/en.json and example/ko.json: pictures as small
WebP files, the sketches of the latents, and the maps of the words, as film.js and the tables take them.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from models.contract import Event, Request
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import Settings
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.events import (
    CellDone,
    ImagesDone,
    LatentsDecoded,
    StepDone,
    WordAttention,
)
from models.text_to_image.image_files import share_changed, small_webp
from models.text_to_image.requests import (
    ImageGridRequest,
    ImageRequest,
    LeaveOutRequest,
    NoPromptRequest,
    WordAttentionRequest,
)
from tabs.shared.charts import example_note
from tabs.shared.strings import LANGUAGES, both
from tabs.text_to_image.lens import (
    Drawing,
    Moments,
    ablation_html,
    decode_request,
    film_content,
    film_html,
    word_maps,
)
from tabs.text_to_image.picture_html import data_url, grid_table, model_limits, no_prompt

TAB = "text_to_image"
MODEL = "genlab/scenes"
# Much guidance breaks this one and little leaves it pale; after two steps there is no boat yet.
PROMPTS = {
    "en": "a sailboat on the sea at night with the moon and stars",
    "ko": "달과 별이 빛나는 밤 바다 위의 돛단배",
}
SEED = 1
_GRID = {"guidance_scales": (1.0, 3.0, 8.0, 15.0), "step_counts": (2, 5, 25)}
_FOLDER = Path(__file__).with_name("example")
_MOMENTS = 13  # of the 26 stages: small, and enough for a slider


@cache
def _recorded(language: str) -> dict[str, Any]:
    return json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))


# ---------------------------------------------------------------- as HTML


def _in_both(build: Callable[[str, dict[str, Any]], str]) -> str:
    """What is built of each language's example, of which the page shows its own."""
    return "".join(
        f'<div class="in-{language}" lang="{language}">{build(language, _recorded(language))}</div>'
        for language in LANGUAGES
    )


def picture() -> str:
    """The picture under a mark that it is an example, with what it was drawn from."""
    spec = find(TEXT_TO_IMAGE, MODEL)

    def one(language: str, content: dict[str, Any]) -> str:
        words = both(f"{TAB}.example", prompt=PROMPTS[language], model=spec.label, seed=SEED)
        return (
            f'{example_note()}<img class="forming-picture pixelated" alt="" src="{content["picture"]}">'
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
        addresses, changed = (dict(enumerate(content[name])) for name in ("ablation", "changed"))
        return example_note() + ablation_html(request, addresses, changed)

    return _in_both(one)


def grid() -> str:
    """Guidance by steps, and the picture without a prompt."""
    spec = find(TEXT_TO_IMAGE, MODEL)

    def one(language: str, content: dict[str, Any]) -> str:
        request = _grid(language).with_defaults(spec)
        addresses, bare = dict(enumerate(content["grid"])), no_prompt(content["no_prompt"])
        return example_note() + grid_table(spec, request, addresses, bare=bare)

    return _in_both(one)


def _grid(language: str) -> ImageGridRequest:
    return ImageGridRequest.of(prompt=PROMPTS[language], seed=SEED, **_GRID)


# ---------------------------------------------------------------- made again


def record(model_cache: ModelCache, language: str) -> dict[str, Any]:
    """Draw the example and all its lenses with the starter.

    Args:
        model_cache: loads the starter.
        language: of the prompt.
    """
    spec = find(TEXT_TO_IMAGE, MODEL)

    def events(request: Request) -> list[Event]:
        return list(run(model_cache, spec, request))

    values = {"prompt": PROMPTS[language], "seed": SEED}
    request = ImageRequest.of(**values).with_defaults(spec)
    moments, png = Moments(), b""
    for event in events(request):
        if isinstance(event, StepDone):
            moments.add(event)
        elif isinstance(event, ImagesDone):
            png = event.images[0]
    whole = moments.drawing(spec, request)
    assert whole is not None
    drawing = _fewer(whole, f"example-{language}")
    seen = next(
        e for e in events(WordAttentionRequest.of(**values)) if isinstance(e, WordAttention)
    )
    wanted, decode = decode_request(drawing, range(len(drawing.steps)))
    frames: dict[int, list[str | None]] = {place: [None, None] for place, _ in wanted}
    for event in events(decode):
        if isinstance(event, LatentsDecoded):
            place, side = wanted[event.first]
            frames[place][side] = _url(event.images[0], 75)
    left = [e.image for e in events(LeaveOutRequest.of(**values)) if isinstance(e, CellDone)]
    cells = [e for e in events(_grid(language)) if isinstance(e, CellDone)]
    bare = next(e for e in events(NoPromptRequest.of(seed=SEED)) if isinstance(e, ImagesDone))
    address = _url(png, 95)
    more = {"recorded": True, "frames": frames, **word_maps(seen, drawing.steps)}
    return {
        "picture": address,
        "steps": drawing.total,
        "film": film_content(drawing, address, **more),
        "ablation": [_url(one) for one in left],
        "changed": [round(share_changed(left[0], one), 3) for one in left],
        "grid": [_url(cell.image) for cell in sorted(cells, key=lambda cell: cell.index)],
        "no_prompt": _url(bare.images[0]),
    }


def _fewer(drawing: Drawing, key: str) -> Drawing:
    count = len(drawing.steps)
    places = [round(k * (count - 1) / (_MOMENTS - 1)) for k in range(_MOMENTS)]
    steps = tuple(drawing.steps[place] for place in places)
    parts = {"noisy": drawing.noisy[places], "guess": drawing.guess[places]}
    return replace(drawing, id=key, steps=steps, **parts)


def _url(png: bytes, quality: int = 85) -> str:
    return data_url(small_webp(png, quality=quality), "image/webp")


if __name__ == "__main__":
    models = ModelCache(Settings.read())
    _FOLDER.mkdir(exist_ok=True)
    for each in LANGUAGES:
        text = json.dumps(record(models, each), ensure_ascii=False, separators=(",", ":"))
        (_FOLDER / f"{each}.json").write_text(text + "\n", encoding="utf-8")
    models.close()
