"""Explore: one prompt drawn with many settings, side by side, to see what the dials do."""

import re
import time
from collections.abc import Generator
from functools import partial
from typing import Any, NamedTuple, cast

import gradio as gr

from models.contract import Finished, ModelSpec
from models.errors import InvalidInput, NotFound
from models.select import select
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.events import CellDone, GridDone, StepDone
from models.text_to_image.requests import ImageGridRequest
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, line, python, result_line, show_errors, waiting_line
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import both, t
from tabs.shared.widgets import bind_stop, stop_button, updates
from tabs.text_to_image import drawing, grid, picking, show
from tabs.text_to_image.restore import Page

TAB = "text_to_image"
SETTINGS, SEEDS = "settings", "seeds"


class View(NamedTuple):
    """What a grid is shown in."""

    bar: gr.HTML
    table: gr.HTML
    sheet: gr.DownloadButton
    status: gr.HTML


_frame = partial(updates, (*View._fields, "code"))  # of the outputs that are named


class Axes(NamedTuple):
    """What is compared."""

    kind: gr.Radio
    guidance_scales: gr.Textbox
    step_counts: gr.Textbox
    num_seeds: gr.Slider


def build(context: Context, page: Page, code: gr.Code) -> None:
    """Lay it out and bind it."""
    with gr.Accordion(t(f"{TAB}.explore.title"), open=False, elem_id=f"{TAB}-explore"):
        gr.HTML(f'<p class="quiet">{both(f"{TAB}.explore.info")}</p>')
        axes = _build_axes(context.preferred(TEXT_TO_IMAGE))
        with gr.Row():
            start = gr.Button(
                t(f"{TAB}.explore.start"), variant="primary", elem_id=f"{TAB}-explore-start"
            )
            stop = stop_button(f"{TAB}-explore")
        view = View(
            gr.HTML(padding=False, elem_id=f"{TAB}-explore-bar"),
            gr.HTML(js_on_load=picking.ON_LOAD, padding=False, elem_id=f"{TAB}-explore-grid"),
            gr.DownloadButton(
                cast(str, t(f"{TAB}.explore.download")),
                visible=False,
                size="sm",
                elem_id=f"{TAB}-explore-sheet",
            ),
            gr.HTML(padding=False, elem_id=f"{TAB}-explore-status"),
        )

    def run(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from compare(context, request, *values)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    inputs = [*axes, page.prompt, page.model, *page.dials]
    drawn = start.click(run, inputs, [*view, code], trigger_mode="once", **quiet)
    bind_stop(stop, [drawn], view.status, line(both("page.stopped")))
    picking.bind(context, view.table, page)
    page.model.change(
        lambda model: _adapted(context, model),
        page.model,
        [axes.guidance_scales, axes.step_counts],
        **quiet,
    )


def _build_axes(spec: ModelSpec) -> Axes:
    kind = gr.Radio(
        [(t(f"{TAB}.explore.{kind}"), kind) for kind in (SETTINGS, SEEDS)],
        value=SETTINGS,
        show_label=False,
        label=t(f"{TAB}.explore.kind"),
        elem_id=f"{TAB}-explore-kind",
    )
    guidances, steps = defaults(spec)
    with gr.Row():
        columns = gr.Textbox(
            guidances, label=t(f"{TAB}.explore.guidance_scales"), elem_id=f"{TAB}-explore-guidance"
        )
        rows = gr.Textbox(
            steps, label=t(f"{TAB}.explore.step_counts"), elem_id=f"{TAB}-explore-steps"
        )
        seeds = gr.Slider(
            4,
            16,
            9,
            step=1,
            label=t(f"{TAB}.explore.num_seeds"),
            visible=False,
            elem_id=f"{TAB}-explore-seeds",
        )
    kind.change(
        lambda chosen: [
            gr.update(visible=(chosen == SEEDS) == own) for own in (False, False, True)
        ],
        kind,
        [columns, rows, seeds],
        api_visibility="private",
        show_progress="hidden",
    )
    return Axes(kind, columns, rows, seeds)


def defaults(spec: ModelSpec) -> tuple[str, str]:
    """Values of guidance and steps worth comparing: around the model's own, within its limits."""
    own = spec.defaults
    guidance, steps = own.get("guidance_scale", 7.5), own.get("num_inference_steps", 50)
    low, high = own.get("guidance_range", (1, 20))
    guidances = {1, guidance / 2, guidance, guidance * 2} if guidance > 1 else {low, 1, 2}
    least, most = own.get("steps_range", (2, 100))
    few = range(1, max(steps, 4) + 1)
    counts = (
        {round(steps * share) for share in (0.1, 0.4, 1)} | {max(least, 2)}
        if steps > 8
        else set(few)
    )
    return (
        ", ".join(f"{g:g}" for g in sorted(guidances) if low <= g <= high),
        ", ".join(str(s) for s in sorted(counts) if least <= s <= most),
    )


def _adapted(context: Context, model: str) -> tuple[Any, Any]:
    try:
        return defaults(select(TEXT_TO_IMAGE, model, context.settings))
    except NotFound:
        return gr.skip(), gr.skip()


def _numbers(text: str, field: str, kind: type) -> tuple[Any, ...]:
    try:
        return tuple(dict.fromkeys(kind(one) for one in re.split(r"[,;\s]+", text.strip()) if one))
    except ValueError:
        raise InvalidInput("invalid_not_a_number", field=field) from None


def _asked(values: tuple[Any, ...]) -> tuple[ImageGridRequest, str]:
    axes = dict(zip(Axes._fields, values[: len(Axes._fields)], strict=True))
    prompt, model, *dials = values[len(Axes._fields) :]
    one = drawing.asked(prompt, dials)
    shared = {
        name: getattr(one, name) for name in ImageGridRequest.model_fields if hasattr(one, name)
    }
    if axes["kind"] == SEEDS:
        shared |= {
            "num_seeds": int(axes["num_seeds"]),
            "guidance_scales": (one.guidance_scale,),
            "step_counts": (one.num_inference_steps,),
        }
    else:
        shared |= {
            "guidance_scales": _numbers(axes["guidance_scales"], "guidance_scales", float),
            "step_counts": _numbers(axes["step_counts"], "step_counts", int),
        }
    return ImageGridRequest.of(**shared), model


def compare(context: Context, request: gr.Request, *values: Any) -> Generator[tuple[Any, ...]]:
    """Yield updates of the view and the code while the cells form.

    Args:
        context: the app's.
        request: whose.
        values: of Axes, then prompt, model and dials.
    """
    with show_errors(request):
        ask, model = _asked(values)
        spec = select(TEXT_TO_IMAGE, model, context.settings, ask.prompt)
        ask = ask.filled(spec)
    cells: dict[int, CellDone] = {}
    files: dict[int, str] = {}
    end, pace = GridDone((), ask.rows, ask.columns), Pace(0.2)
    hidden = gr.update(visible=False)
    yield _frame(table=grid.table(spec, ask, cells, files), sheet=hidden, status="")
    began = time.perf_counter()
    for event in follow(context, spec, ask, request):
        if isinstance(event, StepDone):
            if pace.due():
                yield _frame(bar=show.bar(event, time.perf_counter() - began))
        elif isinstance(event, CellDone):
            cells[event.index] = event
            files[event.index] = save_to_cache(event.image, f"cell-{event.index + 1}.png")
            yield _frame(table=grid.table(spec, ask, cells, files))
        elif isinstance(event, GridDone):
            end = event
            yield _frame()
        elif isinstance(event, Finished):
            yield _final(spec, ask, end, event)
        else:
            wait = waiting_line(event)
            yield _frame(status=wait) if wait else _frame()


def _final(
    spec: ModelSpec, ask: ImageGridRequest, end: GridDone, event: Finished
) -> tuple[Any, ...]:
    paper = grid.sheet_of(spec, ask, {cell.index: cell for cell in end.cells})
    seeds = [cell.seed for cell in end.cells] if ask.num_seeds > 1 else [ask.seed]
    return _frame(
        bar="",
        sheet=gr.update(value=save_to_cache(paper, "grid.png"), visible=True),
        status=result_line(event, *show.seeds(seeds)) + show.grid_notes(end),
        code=python(spec, ask, event),
    )
