"""One drawing, from the press of the button to the pictures with their code."""

import time
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import gradio as gr

from models.contract import Finished, ModelSpec, Waiting
from models.select import select
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.events import ImagesDone, Sketch, StepDone
from models.text_to_image.requests import ImageRequest
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, result_line, show_errors, waiting_line
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import both, t
from tabs.shared.widgets import recipe, updates
from tabs.text_to_image import example, picture_html, prompt_words
from tabs.text_to_image.controls import ImageControls, StartPlace, picture_updates
from tabs.text_to_image.lens import Moments, film
from tabs.text_to_image.picture_html import status_note
from tabs.text_to_image.prompt_words import add_style
from tabs.text_to_image.restore import TO_THE_PROMPT, history_cards

TAB = "text_to_image"


class DrawingView(NamedTuple):
    """What a drawing is shown in."""

    example: gr.HTML
    forming: gr.HTML
    gallery: gr.Gallery
    download: gr.DownloadButton
    start_from: gr.Button
    status: gr.HTML
    pictures: gr.State


OUTPUTS = (*DrawingView._fields, "film", "drawing", "code", "seed", "note", "unknown", "new_cards")
frame = partial(updates, OUTPUTS)


def build_view() -> DrawingView:
    """Lay out the worked example, the picture while it forms, the pictures, a download and a status line."""
    picture = gr.HTML(example.picture(), container=True, padding=True, elem_id=f"{TAB}-example")
    forming = gr.HTML(
        container=True, padding=True, min_height=120, visible=False, elem_id=f"{TAB}-forming"
    )
    gallery = gr.Gallery(
        label=t(f"{TAB}.result"),
        show_label=False,
        visible=False,
        height="auto",
        object_fit="contain",
        interactive=False,
        buttons=["download", "download_all", "fullscreen"],
        elem_id=f"{TAB}-result",
    )
    with gr.Row():
        download = gr.DownloadButton(
            cast(str, t(f"{TAB}.download")), visible=False, size="sm", elem_id=f"{TAB}-download"
        )
        start_from = gr.Button(
            t(f"{TAB}.start_from"), visible=False, size="sm", elem_id=f"{TAB}-start-from"
        )
    status = gr.HTML(padding=False, elem_id=f"{TAB}-status")
    return DrawingView(picture, forming, gallery, download, start_from, status, gr.State([]))


def draw(
    context: Context,
    request: gr.Request,
    pictures: list[str],
    status: str,
    prompt: str,
    model: str,
    *values: Any,
) -> Generator[tuple[Any, ...]]:
    """Yield updates of `OUTPUTS` while the pictures form, and at last the pictures.

    What was drawn before stays until the first step of the new picture is done, and is back if that
    picture comes to nothing.

    Args:
        context: the app's.
        request: the visitor's.
        pictures: paths of those that are on the page.
        status: the line under them.
        prompt: as typed.
        model: id, or "auto".
        *values: of ImageControls.
    """
    yield frame(note="", new_cards="")
    with show_errors(request):
        image_request = request_of(prompt, values)
        spec = select(TEXT_TO_IMAGE, model, context.settings, image_request.prompt)
        image_request = image_request.with_defaults(spec)
        if spec.hosted:
            update = {"model_name": context.settings.openai_image_model}
            image_request = image_request.model_copy(update=update)
    yield frame(unknown=prompt_words.unknown_words(spec, image_request.prompt))
    try:
        yield from _frames(context, request, spec, image_request)
    except gr.Error:
        none = gr.update(value="", visible=False)
        yield frame(**_results(pictures, spec), forming=none, status=status)
        raise


def _results(pictures: Sequence[str], spec: ModelSpec, visible: bool = True) -> dict[str, Any]:
    """Updates that show what was drawn before, or the example if nothing was; or hide all of it."""
    return {
        "example": gr.update(visible=visible and not pictures),
        "gallery": gr.update(visible=visible and bool(pictures)),
        "download": gr.update(visible=visible and len(pictures) == 1),
        "start_from": gr.update(visible=visible and bool(pictures) and not spec.hosted),
    }


def request_of(prompt: str, values: Sequence[Any], same_seed: bool = False) -> ImageRequest:
    """The request of the controls' values, in the order of ImageControls.

    Args:
        prompt: as typed.
        values: of the controls.
        same_seed: take the seed that stands there, which is the newest picture's, in any case.
    """
    dials = dict(zip(ImageControls._fields, values, strict=True))
    width, _, height = (dials["size"] or "").partition("x")
    random = (dials["random"] and not same_seed) or dials["seed"] is None
    return ImageRequest.of(
        prompt=add_style(prompt, dials["style"]),
        negative_prompt=dials["negative_prompt"] or "",
        guidance_scale=dials["guidance_scale"],
        num_inference_steps=dials["num_inference_steps"],
        seed=-1 if random else dials["seed"],
        width=int(width) if width else None,
        height=int(height) if height else None,
        num_images=dials["num_images"],
        scheduler=dials["scheduler"] or "",
        image=Path(dials["image"]).read_bytes() if dials["image"] else None,
        strength=dials["strength"],
        api_key=dials["api_key"] or None,
        lora=dials["lora"] or "",
        lora_strength=dials["lora_strength"],
        decoder=dials["decoder"] or "",
    )


def _frames(
    context: Context, visitor: gr.Request, spec: ModelSpec, request: ImageRequest
) -> Generator[tuple[Any, ...]]:
    images = ImagesDone((), ())
    preview: Sketch | None = None
    moments = Moments()
    pace, start, in_queue = Pace(), time.perf_counter(), True
    for event in follow(context, spec, request, visitor):
        if isinstance(event, StepDone):
            now = time.perf_counter()
            preview = event.preview or preview
            moments.add(event)
            first = pace.updates == 0
            start = now if first else start
            if pace.due():
                page = picture_html.forming(preview, event, request.num_images, now - start)
                # The line is cleared once a wait: a step that is still on its way must not clear "Stopped".
                own = {"forming": gr.update(value=page, visible=True)}
                own |= {"status": ""} if in_queue else {}
                own |= _results((), spec, visible=False) | _seed(spec, request) if first else {}
                in_queue = False
                yield frame(**own)
        elif isinstance(event, ImagesDone):
            images = event
            partly = len(images.images) < request.num_images
            yield frame(gallery=_gallery(spec, images)) if partly else frame()
        elif isinstance(event, Finished):
            yield _final_frame(spec, request, images, event, moments)
        else:
            wait = waiting_line(event)
            in_queue = in_queue or isinstance(event, Waiting)
            yield frame(status=wait) if wait else frame()


def _final_frame(
    spec: ModelSpec,
    request: ImageRequest,
    images: ImagesDone,
    end: Finished,
    moments: Moments,
) -> tuple[Any, ...]:
    files = save_images(spec, images)
    notes = picture_html.image_notes(images, request, spec.hosted and bool(request.negative_prompt))
    blank = images.is_flagged(0)  # its stages would show what the checker hides
    drawing = None if blank else moments.drawing(spec, request)
    address = f"gradio_api/file={quote(files[0])}" if files else ""
    return frame(
        example=gr.update(visible=False),
        forming=gr.update(value="", visible=False),
        film=film(drawing, address) or picture_html.no_film(),
        drawing=drawing,
        gallery=_gallery(spec, images),
        download=gr.update(value=files[0] if files else None, visible=len(files) == 1),
        start_from=gr.update(visible=bool(files) and not spec.hosted),
        pictures=files,
        new_cards=history_cards(spec, request, images),
        status=result_line(end, *picture_html.seed_range(images.seeds))
        + picture_html.model_limits(spec)
        + notes,
        code=recipe(spec, request, end.placement),
        **_seed(spec, request),
    )


def _seed(spec: ModelSpec, request: ImageRequest) -> dict[str, int]:
    """The update of the seed's field: what is drawn, for a model that has seeds."""
    return {} if spec.hosted else {"seed": request.seed}


def _gallery(spec: ModelSpec, images: ImagesDone) -> Any:
    """The pictures, each above its seed; without those that the checker blanked."""
    files = save_images(spec, images)
    indexes = [k for k in range(len(images.images)) if not images.is_flagged(k)]
    captions = [f"{images.seeds[k]}" if images.seeds else None for k in indexes]
    return gr.update(
        value=list(zip(files, captions, strict=True)) if len(files) > 1 else files,
        visible=bool(files),
        columns={1: 1, 3: 3}.get(len(files), 2),  # three side by side, four in a square
        selected_index=None,
    )


def save_images(spec: ModelSpec, images: ImagesDone) -> list[str]:
    """Paths of the PNG files in the page's cache, byte for byte as the engine made them.

    Pictures that the checker blanked are not saved.
    """
    name = spec.name.rpartition("/")[2] or spec.id
    return [
        save_to_cache(image, f"{name}-{images.seeds[k] if images.seeds else k + 1}.png")
        for k, image in enumerate(images.images)
        if not images.is_flagged(k)
    ]


def bind_start_from(
    view: DrawingView, start: StartPlace, strength: gr.Slider, note: gr.HTML
) -> None:
    """A click takes the picture, or of several the selected one, as the start of the next drawing.

    It then stands beside the prompt; the note there and the status line under the result say so.
    """
    selection = gr.State(0)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def select_picture(event: gr.SelectData) -> int:
        return event.index

    def start_from(pictures: list[str], index: int, status: str) -> tuple[Any, ...]:
        hint = status_note(both(f"{TAB}.start_picture.next"))
        updates = picture_updates(pictures[min(index, len(pictures) - 1)])
        return (*updates, hint, status if hint in status else status + hint)

    view.gallery.select(select_picture, None, selection, **quiet)
    view.pictures.change(lambda: 0, None, selection, **quiet)
    click = view.start_from.click(
        start_from,
        [view.pictures, selection, view.status],
        [*start, strength, note, view.status],
        **quiet,
    )
    click.success(None, js=TO_THE_PROMPT)
