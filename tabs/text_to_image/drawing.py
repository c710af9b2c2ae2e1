"""One drawing, from the press of the button to the picture with its code."""

import time
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import gradio as gr

from models.contract import Finished, ModelSpec
from models.select import select
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.events import ImagesDone, Sketch, StepDone
from models.text_to_image.requests import ImageRequest
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, python, result_line, show_errors, waiting_line
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import t
from tabs.shared.widgets import updates
from tabs.text_to_image import history, show, stages, styles
from tabs.text_to_image.controls import Dials

TAB = "text_to_image"
SMALL = 256  # pixels: narrower pictures are enlarged in hard squares, not smeared


class Result(NamedTuple):
    """What a drawing is shown in."""

    forming: gr.HTML
    gallery: gr.Gallery
    download: gr.DownloadButton
    start_from: gr.Button
    status: gr.HTML
    stages: gr.HTML
    pictures: gr.State


FIELDS = (*Result._fields, "code", "seed", "note", "made")


def build_result() -> Result:
    """Lay the result out: the picture while it forms, then the pictures, a download, a line."""
    forming = gr.HTML(
        show.empty(), container=True, padding=True, min_height=120, elem_id=f"{TAB}-forming"
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
    strip = gr.HTML(padding=False, elem_id=f"{TAB}-stages")
    return Result(forming, gallery, download, start_from, status, strip, gr.State([]))


frame = partial(updates, FIELDS)  # of the outputs that are named, the others as they are


def draw(
    context: Context, request: gr.Request, prompt: str, model: str, *values: Any
) -> Generator[tuple[Any, ...]]:
    """Yield updates of `FIELDS` while the pictures form, and at last the pictures."""
    with show_errors(request):
        ask = asked(prompt, values)
        spec = select(TEXT_TO_IMAGE, model, context.settings, ask.prompt)
        ask = ask.filled(spec)
        if spec.hosted:
            ask = ask.model_copy(update={"model_name": context.settings.openai_image_model})
    hidden = gr.update(visible=False)
    yield frame(
        forming=gr.update(value=show.forming(None, None, 1, 0), visible=True),
        gallery=hidden,
        download=hidden,
        start_from=hidden,
        stages="",
        status="",
        note="",
        seed=gr.skip() if spec.hosted else ask.seed,
    )
    try:
        yield from _events(context, request, spec, ask)
    except gr.Error:
        yield frame(forming=gr.update(value=show.empty(), visible=True), status="")
        raise


def asked(prompt: str, values: Sequence[Any]) -> ImageRequest:
    """The request of the dials' values, in the order of Dials."""
    dials = dict(zip(Dials._fields, values, strict=True))
    width, _, height = (dials["size"] or "").partition("x")
    drawn = dials["random"] or dials["seed"] is None
    return ImageRequest.of(
        prompt=styles.styled(prompt, dials["style"]),
        negative_prompt=dials["negative_prompt"] or "",
        guidance_scale=dials["guidance_scale"],
        num_inference_steps=dials["num_inference_steps"],
        seed=-1 if drawn else dials["seed"],
        width=int(width) if width else None,
        height=int(height) if height else None,
        num_images=dials["num_images"],
        scheduler=dials["scheduler"] or "",
        image=Path(dials["image"]).read_bytes() if dials["image"] else None,
        strength=dials["strength"],
        api_key=dials["api_key"] or None,
    )


def _events(
    context: Context, request: gr.Request, spec: ModelSpec, ask: ImageRequest
) -> Generator[tuple[Any, ...]]:
    done = ImagesDone((), ())
    preview: Sketch | None = None
    seen: list[StepDone] = []  # the stages of the first picture
    pace, began = Pace(), time.perf_counter()
    for event in follow(context, spec, ask, request):
        if isinstance(event, StepDone):
            now = time.perf_counter()
            preview = event.preview or preview
            if event.noisy and event.first == 0 and event.at_once == 1:
                seen.append(event)
            began = now if event.step == 1 else began
            if pace.due() or event.step == 1:
                page = show.forming(preview, event, ask.num_images, now - began)
                # The line is cleared once: a step that is still on its way must not clear "Stopped".
                yield frame(forming=page, status="") if event.step == 1 else frame(forming=page)
        elif isinstance(event, ImagesDone):
            done = event
            partly = len(done.images) < ask.num_images
            yield frame(gallery=_gallery(spec, done)) if partly else frame()
        elif isinstance(event, Finished):
            yield _final(spec, ask, done, event, seen)
        else:
            wait = waiting_line(event)
            yield frame(status=wait) if wait else frame()


def _final(
    spec: ModelSpec,
    ask: ImageRequest,
    done: ImagesDone,
    event: Finished,
    seen: Sequence[StepDone],
) -> tuple[Any, ...]:
    files = saved(spec, done)
    ignored = spec.hosted and bool(ask.negative_prompt)
    return frame(
        forming=gr.update(value="", visible=False),
        gallery=_gallery(spec, done),
        download=gr.update(value=files[0] if files else None, visible=len(files) == 1),
        start_from=gr.update(visible=bool(files) and not spec.hosted),
        stages=stages.strip(seen),
        pictures=files,
        made=history.cards(spec, ask, done),
        status=result_line(event, *show.seeds(done.seeds)) + show.notes(done, ignored),
        code=python(spec, ask, event),
    )


def _gallery(spec: ModelSpec, done: ImagesDone) -> Any:
    """The pictures, each under its seed; blanked ones are left out and told in words."""
    files = saved(spec, done)
    kept = [k for k in range(len(done.images)) if not (done.flagged and done.flagged[k])]
    names = [f"{done.seeds[k]}" if done.seeds else None for k in kept]
    small = spec.defaults.get("width", SMALL) < SMALL
    return gr.update(
        value=list(zip(files, names, strict=True)) if len(files) > 1 else files,
        visible=bool(files),
        columns=1 if len(files) == 1 else 2,
        selected_index=None,
        elem_classes=["pixelated"] if small else [],
    )


def saved(spec: ModelSpec, done: ImagesDone) -> list[str]:
    """Paths of the PNG files in the page's cache, byte for byte as the engine made them.

    The folder of each is named by a secret hash of its content, so that nobody else finds it, and is
    deleted with the cache; blanked pictures are left out.
    """
    name = spec.name.rpartition("/")[2] or spec.id
    return [
        save_to_cache(image, f"{name}-{done.seeds[k] if done.seeds else k + 1}.png")
        for k, image in enumerate(done.images)
        if not (done.flagged and done.flagged[k])
    ]


def bind_start_from(result: Result, dials: Dials) -> None:
    """One click takes the shown picture, or of several the chosen one, as the next one's start."""
    chosen = gr.State(0)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def choose_picture(at: gr.SelectData) -> int:
        return at.index

    def start_from(pictures: list[str], index: int) -> str:
        return pictures[min(index, len(pictures) - 1)]

    result.gallery.select(choose_picture, None, chosen, **quiet)
    result.pictures.change(lambda: 0, None, chosen, **quiet)
    result.start_from.click(start_from, [result.pictures, chosen], dials.image, **quiet)
