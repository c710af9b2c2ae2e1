"""The lens under a picture: how it came out of noise, where each word looked, and what each word did.

A drawing keeps only its small latents. Pixels of its stages, maps of words and pictures without a word are
made when somebody looks: the film in the browser (film.js) asks for them, or a button does.
"""

import base64
import html
import json
import re
import secrets
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from models.contract import Finished, ModelSpec
from models.select import select
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.events import (
    CellDone,
    LatentsDecoded,
    Sketch,
    StepDone,
    WordAttention,
    sketch_files,
)
from models.text_to_image.image_files import compact_start_picture, share_changed, small_webp
from models.text_to_image.requests import (
    DecodeRequest,
    ImageRequest,
    LeaveOutRequest,
    WordAttentionRequest,
)
from models.text_to_image.vocabulary import drawable_words
from tabs.shared.context import Context
from tabs.shared.events import (
    Pace,
    at_field,
    follow,
    line,
    result_line,
    show_errors,
    waiting_line,
)
from tabs.shared.strings import both, t
from tabs.shared.widgets import bind_stop, problem_box, recipe, stop_button
from tabs.text_to_image.picture_html import data_url, file_address, seed_range, status_note
from tabs.text_to_image.prompt_words import vocabulary

TAB = "text_to_image"
REST = 99  # number of the map of everything that is no word
SMALL = 256 * 256  # pixels: a decoder shows all stages of such a picture in about a second


# ---------------------------------------------------------------- what is kept of a drawing


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """What the lens needs of the first picture of a drawing. It holds no key and no pixels.

    Attributes:
        id: of the film on the page.
        model: its id.
        request: of this one picture, with what the model read of its prompt.
        total: passes through the model.
        steps: which of them are kept; 0 is before the first.
        noisy, guess: latents (moments, channels, height, width) as float16: with the noise that is left,
            and what the model takes the finished picture to be. There is no guess at step 0.
        colours: as in Sketch.
    """

    id: str
    model: str
    request: ImageRequest
    total: int
    steps: tuple[int, ...]
    noisy: np.ndarray
    guess: np.ndarray
    colours: np.ndarray

    @property
    def at_once(self) -> bool:
        """Whether all stages are decoded at the first look, not each when it is looked at."""
        return (self.request.width or 512) * (self.request.height or 512) <= SMALL


class Moments:
    """Collects the stages of a drawing's first picture from its events."""

    def __init__(self) -> None:
        self._passes = 0
        self._moments: list[tuple[int, Sketch, Sketch | None]] = []

    def add(self, event: StepDone) -> None:
        """A step is done."""
        if event.first != 0:
            return
        if event.start is not None:
            self._passes = 0
            self._moments.clear()
            self._moments.append((0, event.start, None))
        self._passes += 1
        if event.noisy is not None:
            self._moments.append((self._passes, event.noisy, event.preview))

    def drawing(self, spec: ModelSpec, request: ImageRequest) -> Drawing | None:
        """What is kept; None where the model's latents cannot be shown.

        Args:
            spec: the model.
            request: of all pictures, with all values.
        """
        if not self._moments:
            return None
        noisy = np.concatenate([one.latents[:1] for _, one, _ in self._moments])
        guess = np.concatenate([(two or one).latents[:1] for _, one, two in self._moments])
        return Drawing(
            id=secrets.token_hex(6),
            model=spec.id,
            request=_single(spec, request),
            total=self._passes,
            steps=tuple(step for step, _, _ in self._moments),
            noisy=noisy.astype(np.float16),
            guess=guess.astype(np.float16),
            colours=self._moments[0][1].colours,
        )


def _single(spec: ModelSpec, request: ImageRequest) -> ImageRequest:
    """The request for the first picture alone, in the words that the model read.

    It has no key, and a start picture has its own size.
    """
    words = vocabulary(spec)
    own = words.own_words(request) if words else {}
    image = request.image
    if image is not None and request.width and request.height:
        image = compact_start_picture(image, request.width, request.height)[1]
    return request.model_copy(update={**own, "num_images": 1, "api_key": None, "image": image})


# ---------------------------------------------------------------- the film


def build_film(context: Context, drawing: gr.State, content: str) -> gr.HTML:
    """Lay out how a picture came out of noise, and bind it to what the person looks at.

    Args:
        context: the app's.
        drawing: what is kept of the newest one.
        content: what stands there first, as HTML.
    """
    view = gr.HTML(
        content,
        js_on_load="window.genlab.film.bind(element, trigger);",
        padding=False,
        elem_id=f"{TAB}-film",
    )
    problem = problem_box(f"{TAB}-film")
    news = gr.HTML(
        "",
        visible="hidden",
        js_on_load="watch('value', () => window.genlab.film.receive(props.value));",
        elem_id=f"{TAB}-film-news",
    )

    def run(request: gr.Request, newest: Drawing | None, event: gr.EventData) -> Generator[str]:
        yield from look(context, request, newest, event._data)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    look_event = view.select(
        at_field(run, problem), drawing, [news, problem], trigger_mode="always_last", **quiet
    )
    look_event.then(None, js="() => { window.genlab.film.idle(); }", **quiet)
    return view


def film(drawing: Drawing | None, picture: str, **more: Any) -> str:
    """From noise to picture as HTML; "" where there is nothing to show.

    Args:
        drawing: what is kept.
        picture: address of the finished picture.
        **more: what is there already: frames, maps, shares, shape, recorded.
    """
    if drawing is None:
        return ""
    content = film_content(drawing, picture, **more)
    return film_html(content, drawing.request.prompt, drawing.total)


def film_content(drawing: Drawing, picture: str, **more: Any) -> dict[str, Any]:
    """What film.js needs; see `film`."""
    return {
        "id": drawing.id,
        "all": drawing.at_once,
        "picture": picture,
        "moments": _moments(drawing),
        **more,
    }


def film_html(content: dict[str, Any], prompt: str, total: int) -> str:
    """The film of a content as film.js reads it."""
    words = [_bare(prompt[start:end]) for start, end in drawable_words(prompt)]
    last = len(content["moments"]) - 1
    data = html.escape(json.dumps(content, ensure_ascii=False), quote=True)
    key = content["id"]
    side = "".join(
        f'<figure class="film-{name}"><div class="film-picture"><img alt="" hidden>'
        f"{'<canvas hidden></canvas>' if name == 'guess' else ''}"
        f'<span class="film-none">{both(f"{TAB}.film.none")}</span></div>'
        f"<figcaption>{both(f'{TAB}.film.{name}')}</figcaption></figure>"
        for name in ("noisy", "guess")
    )
    captions = "".join(
        f'<p data-when="{when}">{_slots(both(f"{TAB}.film.{when}", step="§step§", steps=total))}</p>'
        for when in ("start", "middle", "end")
    )
    chips = "".join(_chip(number, html.escape(word)) for number, word in enumerate(words))
    share = _slots(both(f"{TAB}.film.share", share="§share§", word="§word§"))
    places = _slots(both(f"{TAB}.film.places", places="§places§"))
    return (
        f'<div class="film" data-film="{data}">'
        f'<p class="lens-title" id="film-{key}">{both(f"{TAB}.film.title")}</p>'
        '<div class="film-bar"><button type="button" class="film-play">'
        f'<span class="film-go">▶ {both(f"{TAB}.film.play")}</span>'
        f'<span class="film-pause">❚❚ {both(f"{TAB}.film.pause")}</span></button>'
        f'<input type="range" class="film-range" min="0" max="{last}" value="{last}" step="1" '
        f'aria-labelledby="film-{key}">'
        f'<label class="film-switch"><input type="checkbox" class="film-latent"> '
        f"{both(f'{TAB}.film.latent')}</label></div>"
        f'<div class="film-caption">{captions}</div><div class="film-pictures">{side}</div>'
        f'<p class="quiet film-about-latents">{both(f"{TAB}.film.latent_info")}</p>'
        f'<p class="film-wait film-wait-stages" role="status">{both(f"{TAB}.film.wait_stages")}</p>'
        f'<p class="film-question">{both(f"{TAB}.film.words")}</p>'
        f'<div class="film-words">{chips}{_chip(REST, both(f"{TAB}.film.rest"))}</div>'
        f'<p class="film-wait film-wait-words" role="status">{both(f"{TAB}.film.wait_words")}</p>'
        f'<p class="film-share">{share}</p><p class="quiet film-places">{places}</p></div>'
    )


def _slots(text: str) -> str:
    """HTML in which film.js fills in what stands between two § signs."""
    return re.sub("§([a-z]+)§", r"<b data-\1></b>", text)


def _bare(word: str) -> str:
    return re.sub(r"^\W+|\W+$", "", word)


def _chip(number: int, name: str) -> str:
    return (
        f'<button type="button" class="film-word word" data-number="{number}" aria-pressed="false">'
        f"{name}</button>"
    )


def _moments(drawing: Drawing) -> list[dict[str, Any]]:
    count = len(drawing.steps)
    latents = np.concatenate([drawing.noisy, drawing.guess]).astype(np.float32)
    urls = [data_url(file) for file in sketch_files(latents, drawing.colours)]
    sides = zip(drawing.steps, urls[:count], urls[count:], strict=True)
    return [
        {"step": step, "noisy": noisy} | ({"guess": guess} if step else {})
        for step, noisy, guess in sides
    ]


def look(
    context: Context, visitor: gr.Request | None, drawing: Drawing | None, wish: dict[str, Any]
) -> Generator[str]:
    """Yield what film.js's receive() takes, as JSON, while it is made.

    Args:
        context: the app's.
        visitor: in whose language errors are shown.
        drawing: the one on the page.
        wish: {"id", "look": "words"} or {"id", "look": "stages", "moment": a place, or -1 for all}.
    """
    if drawing is None or wish.get("id") != drawing.id:
        return
    if wish.get("look") == "words":
        yield from _words(context, visitor, drawing)
    else:
        places = range(len(drawing.steps))
        place = wish.get("moment", -1)
        yield from _stages(context, visitor, drawing, [place] if place in places else places)


def _stages(
    context: Context, visitor: gr.Request | None, drawing: Drawing, places: Sequence[int]
) -> Generator[str]:
    frames: dict[int, list[str | None]] = {place: [None, None] for place in places}
    pace = Pace(0.4)
    with show_errors(visitor):
        order, request = decode_request(drawing, places)
        spec = select(TEXT_TO_IMAGE, drawing.model, context.settings)
    for event in follow(context, spec, request, visitor):
        if isinstance(event, LatentsDecoded):
            place, side = order[event.first]
            frames[place][side] = data_url(small_webp(event.images[0]), "image/webp")
        elif pace.due():
            yield ""
    yield _json({"id": drawing.id, "frames": frames})


def decode_request(
    drawing: Drawing, places: Sequence[int]
) -> tuple[list[tuple[int, int]], DecodeRequest]:
    """A request for the stages at these places.

    Returns:
        For each picture that will come its place, and 0 with noise or 1 for the guess; and the request.
    """
    order = [(p, side) for p in places for side in (0, 1) if side == 0 or drawing.steps[p]]
    sides = (drawing.noisy, drawing.guess)
    latents = np.stack([sides[side][place] for place, side in order])
    request = DecodeRequest.of(
        data=latents.tobytes(), shape=latents.shape, decoder=drawing.request.decoder
    )
    return order, request


def _words(context: Context, visitor: gr.Request | None, drawing: Drawing) -> Generator[str]:
    values = {name: getattr(drawing.request, name) for name in ImageRequest.model_fields}
    with show_errors(visitor):
        request = WordAttentionRequest.of(**values)
        spec = select(TEXT_TO_IMAGE, drawing.model, context.settings)
    pace = Pace(0.4)
    for event in follow(context, spec, request, visitor):
        if isinstance(event, WordAttention):
            yield _json({"id": drawing.id, **word_maps(event, drawing.steps)})
        elif pace.due():
            yield ""


def word_maps(event: WordAttention, steps: Sequence[int]) -> dict[str, Any]:
    """The maps for film.js: at each moment those of the pass that led to it, at the last one their mean.

    Args:
        event: what was recorded.
        steps: of the moments; 0 is before the first pass.
    """
    table = event.maps()
    numbers = [*range(len(event.words)), REST]
    maps: dict[int, list[str | None]] = {}
    shares: dict[int, list[float]] = {}
    for number, passes in zip(numbers, np.moveaxis(table, 1, 0), strict=True):
        moments = [passes[min(step, len(passes)) - 1] if step else None for step in steps]
        moments[-1] = passes.mean(0)
        maps[number] = [None if one is None else _bytes(one) for one in moments]
        shares[number] = [0 if one is None else round(float(one.mean()), 4) for one in moments]
    return {"maps": maps, "shares": shares, "shape": table.shape[2:]}


def _bytes(one: np.ndarray) -> str:
    """A map from its least to its greatest value, as bytes in base64."""
    span = one - one.min()
    levels = span / max(float(span.max()), 1e-9) * 255
    return base64.b64encode(levels.round().astype(np.uint8).tobytes()).decode()


def _json(content: dict[str, Any]) -> str:
    """JSON that is safe as the content of an element."""
    return json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")


# ---------------------------------------------------------------- what each word did


def build_ablation(context: Context, drawing: gr.State, code: gr.State, content: str) -> None:
    """Lay out the pictures without a word, and the button that draws them.

    Args:
        context: the app's.
        drawing: what is kept of the newest one.
        code: where the Python behind them goes.
        content: what stands there first, as HTML.
    """
    gr.HTML(f'<p class="quiet">{both(f"{TAB}.ablation.info")}</p>', padding=False)
    with gr.Row():
        start = gr.Button(
            t(f"{TAB}.ablation.start"), variant="primary", elem_id=f"{TAB}-ablation-start"
        )
        stop = stop_button(f"{TAB}-ablation")
    problem = problem_box(f"{TAB}-ablation")
    view = gr.HTML(content, padding=False, elem_id=f"{TAB}-ablation")
    status = gr.HTML(padding=False, elem_id=f"{TAB}-ablation-status")

    def run(request: gr.Request, newest: Drawing | None) -> Generator[Any]:
        yield from leave_out(context, request, newest)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    click = start.click(
        at_field(run, problem), drawing, [view, status, code, problem], trigger_mode="once", **quiet
    )
    bind_stop(stop, [click], status, line(both("page.stopped")))


def leave_out(
    context: Context, visitor: gr.Request | None, drawing: Drawing | None
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (HTML of the pictures, status line, code) while the words are left out in turn."""
    if drawing is None:
        yield gr.skip(), status_note(both(f"{TAB}.ablation.first")), gr.skip()
        return
    values = {name: getattr(drawing.request, name) for name in ImageRequest.model_fields}
    with show_errors(visitor):
        request = LeaveOutRequest.of(**values)
        spec = select(TEXT_TO_IMAGE, drawing.model, context.settings)
    addresses: dict[int, str] = {}
    changes: dict[int, float] = {}
    whole = b""
    for event in follow(context, spec, request, visitor):
        words, python = waiting_line(event) or "", gr.skip()
        if isinstance(event, CellDone) and not event.flagged:
            addresses[event.index] = file_address(event.image, f"cell-{event.index + 1}.png")
            whole = whole or event.image  # the first is the picture with all words
            changes[event.index] = share_changed(whole, event.image)
        elif isinstance(event, Finished):
            words = result_line(event, *seed_range([request.seed]))
            python = recipe(spec, request, event.placement)
        elif not words:
            continue
        yield ablation_html(request, addresses, changes), words, python


def ablation_html(
    request: LeaveOutRequest, addresses: Mapping[int, str], changes: Mapping[int, float]
) -> str:
    """The pictures with all words, without any, and without each, with how much each one changed.

    Args:
        request: what is drawn.
        addresses: of the finished pictures, by index.
        changes: the share of the picture that is not as with all words, by index.
    """
    figures = ""
    for index in range(request.columns):
        picture, share = '<span class="pick pending"></span>', ""
        if index in addresses:
            picture = f'<img alt="" src="{html.escape(addresses[index], quote=True)}">'
            number = both(f"{TAB}.ablation.changed", share=f"{changes[index]:.0%}")
            share = f'<span class="quiet">{number}</span>' if index else ""
        name = _ablation_name(request, index)
        figures += f"<figure>{picture}<figcaption>{name} {share}</figcaption></figure>"
    title = both(f"{TAB}.ablation.of", prompt=request.prompt, seed=request.seed)
    return f'<p class="quiet">{title}</p><div class="ablation">{figures}</div>'


def _ablation_name(request: LeaveOutRequest, index: int) -> str:
    if index == 0:
        return both(f"{TAB}.ablation.whole")
    if index == 1:
        return both(f"{TAB}.ablation.none")
    return both(f"{TAB}.ablation.without", word=_bare(request.words[index - 2]))
