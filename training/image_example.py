"""Record the example that the text-to-image tab opens with: `python -m training.image_example`.

It draws one picture with all its lenses by the shipped starter, a file a language in
tabs/text_to_image/example/. To be run again after the starter was trained anew;
tests/tabs/test_image_lens.py compares.
"""

import json
from dataclasses import replace
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
    ImageRequest,
    LeaveOutRequest,
    NoPromptRequest,
    WordAttentionRequest,
)
from tabs.shared.strings import LANGUAGES
from tabs.text_to_image.example import FOLDER, MODEL, PROMPTS, SEED, grid_request
from tabs.text_to_image.lens import Drawing, Moments, decode_request, film_content, word_maps
from tabs.text_to_image.picture_html import data_url

MOMENTS = 7  # of the 26 stages: small, and enough for a slider
SMALL = 128  # pixels of all pictures but the finished one, which the page opens with


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
    attention = next(
        e for e in events(WordAttentionRequest.of(**values)) if isinstance(e, WordAttention)
    )
    places, decode = decode_request(drawing, range(len(drawing.steps)))
    frames: dict[int, list[str | None]] = {place: [None, None] for place, _ in places}
    for event in events(decode):
        if isinstance(event, LatentsDecoded):
            place, side = places[event.first]
            frames[place][side] = _url(event.images[0], 65, SMALL)
    without_words = [
        e.image for e in events(LeaveOutRequest.of(**values)) if isinstance(e, CellDone)
    ]
    cells = [e for e in events(grid_request(language)) if isinstance(e, CellDone)]
    bare = next(e for e in events(NoPromptRequest.of(seed=SEED)) if isinstance(e, ImagesDone))
    address = _url(png, 85)
    more = {"recorded": True, "frames": frames, **word_maps(attention, drawing.steps)}
    return {
        "picture": address,
        "steps": drawing.total,
        "film": film_content(drawing, address, **more),
        "ablation": [_url(one, 75, SMALL) for one in without_words],
        "changed": [round(share_changed(without_words[0], one), 3) for one in without_words],
        "grid": [_url(c.image, 75, SMALL) for c in sorted(cells, key=lambda cell: cell.index)],
        "no_prompt": _url(bare.images[0], 75, SMALL),
    }


def _fewer(drawing: Drawing, key: str) -> Drawing:
    count = len(drawing.steps)
    places = [round(k * (count - 1) / (MOMENTS - 1)) for k in range(MOMENTS)]
    steps = tuple(drawing.steps[place] for place in places)
    parts = {"noisy": drawing.noisy[places], "guess": drawing.guess[places]}
    return replace(drawing, id=key, steps=steps, **parts)


def _url(png: bytes, quality: int, side: int = 256) -> str:
    return data_url(small_webp(png, side, quality), "image/webp")


def main() -> None:
    """Record it in each language."""
    models = ModelCache(Settings.read())
    FOLDER.mkdir(exist_ok=True)
    for language in LANGUAGES:
        text = json.dumps(record(models, language), ensure_ascii=False, separators=(",", ":"))
        (FOLDER / f"{language}.json").write_text(text + "\n", encoding="utf-8")
    models.close()


if __name__ == "__main__":
    main()
