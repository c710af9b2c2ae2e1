"""Explore: one prompt drawn with many settings, side by side, to see what the dials do."""

import re
import time
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import gradio as gr

from models.contract import Finished, ModelSpec
from models.errors import InvalidInput, NotFound
from models.select import select
from models.tasks import TEXT_TO_IMAGE, recipe
from models.text_to_image.catalog import options_of
from models.text_to_image.events import CellDone, GridDone, StepDone
from models.text_to_image.image_files import contact_sheet, format_parameters
from models.text_to_image.requests import ImageGridRequest
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, line, result_line, show_errors, waiting_line
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import both, t
from tabs.shared.widgets import bind_stop, stop_button, updates
from tabs.text_to_image import picture_html
from tabs.text_to_image.controls import start_value
from tabs.text_to_image.draw import request_of
from tabs.text_to_image.restore import RestoreTargets, bind_buttons, settings_of

TAB = "text_to_image"
SETTINGS, SEEDS = "settings", "seeds"


class GridView(NamedTuple):
    """What a grid is shown in."""

    bar: gr.HTML
    table: gr.HTML
    sheet: gr.DownloadButton
    status: gr.HTML


class GridAxes(NamedTuple):
    """What is compared."""

    kind: gr.Radio
    guidance_scales: gr.Textbox
    step_counts: gr.Textbox
    num_seeds: gr.Slider


OUTPUTS = (*GridView._fields, "code")
_frame = partial(updates, OUTPUTS)


def build(context: Context, targets: RestoreTargets, code: gr.Code) -> None:
    """Lay it out and bind it."""
    with gr.Accordion(t(f"{TAB}.explore.title"), open=False, elem_id=f"{TAB}-explore"):
        gr.HTML(f'<p class="quiet">{both(f"{TAB}.explore.info")}</p>')
        axes = _build_axes(context.preferred(TEXT_TO_IMAGE))
        with gr.Row():
            start = gr.Button(
                t(f"{TAB}.explore.start"), variant="primary", elem_id=f"{TAB}-explore-start"
            )
            stop = stop_button(f"{TAB}-explore")
        view = GridView(
            gr.HTML(padding=False, elem_id=f"{TAB}-explore-bar"),
            gr.HTML(
                js_on_load=picture_html.SELECT_ON_CLICK,
                padding=False,
                elem_id=f"{TAB}-explore-grid",
            ),
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
    inputs = [*axes, targets.prompt, targets.model, *targets.controls]
    click = start.click(run, inputs, [*view, code], trigger_mode="once", **quiet)
    bind_stop(stop, [click], view.status, line(both("page.stopped")))
    bind_buttons(context, view.table, targets)
    targets.model.change(
        lambda model: _axes_for(context, model),
        targets.model,
        [axes.guidance_scales, axes.step_counts],
        **quiet,
    )


def _build_axes(spec: ModelSpec) -> GridAxes:
    kind = gr.Radio(
        [(t(f"{TAB}.explore.{kind}"), kind) for kind in (SETTINGS, SEEDS)],
        value=SETTINGS,
        show_label=False,
        label=t(f"{TAB}.explore.kind"),
        elem_id=f"{TAB}-explore-kind",
    )
    guidances, steps = default_axes(spec)
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
        lambda choice: [
            gr.update(visible=(choice == SEEDS) == own) for own in (False, False, True)
        ],
        kind,
        [columns, rows, seeds],
        api_visibility="private",
        show_progress="hidden",
    )
    return GridAxes(kind, columns, rows, seeds)


def default_axes(spec: ModelSpec) -> tuple[str, str]:
    """Values of guidance and steps worth comparing: around the model's own, within its limits."""
    options = options_of(spec)
    guidance = start_value(spec, "guidance_scale")
    steps = int(start_value(spec, "num_inference_steps"))
    low, high = options.guidance_range or (1, 20)
    guidances = {1, guidance / 2, guidance, guidance * 2} if guidance > 1 else {low, 1, 2}
    least, most = options.steps_range or (2, 100)
    counts = set(range(1, max(steps, 4) + 1))
    if steps > 8:
        counts = {round(steps * share) for share in (0.1, 0.4, 1)} | {max(least, 2)}
    return (
        ", ".join(f"{g:g}" for g in sorted(guidances) if low <= g <= high),
        ", ".join(str(s) for s in sorted(counts) if least <= s <= most),
    )


def _axes_for(context: Context, model: str) -> tuple[Any, Any]:
    try:
        return default_axes(select(TEXT_TO_IMAGE, model, context.settings))
    except NotFound:
        return gr.skip(), gr.skip()


# ---------------------------------------------------------------- one comparison


def compare(context: Context, request: gr.Request, *values: Any) -> Generator[tuple[Any, ...]]:
    """Yield updates of `OUTPUTS` while the cells form.

    Args:
        context: the app's.
        request: the visitor's.
        *values: of GridAxes, then prompt, model and ImageControls.
    """
    with show_errors(request):
        grid, model = _grid_request(values)
        spec = select(TEXT_TO_IMAGE, model, context.settings, grid.prompt)
        grid = grid.with_defaults(spec)
    cells: dict[int, CellDone] = {}
    files: dict[int, str] = {}
    result, pace = GridDone((), grid.rows, grid.columns), Pace(0.2)
    hidden = gr.update(visible=False)
    yield _frame(table=table(spec, grid, cells, files), sheet=hidden, status="")
    started = time.perf_counter()
    for event in follow(context, spec, grid, request):
        if isinstance(event, StepDone):
            if pace.due():
                yield _frame(bar=picture_html.grid_progress(event, time.perf_counter() - started))
        elif isinstance(event, CellDone):
            cells[event.index] = event
            files[event.index] = save_to_cache(event.image, f"cell-{event.index + 1}.png")
            yield _frame(table=table(spec, grid, cells, files))
        elif isinstance(event, GridDone):
            result = event
            yield _frame()
        elif isinstance(event, Finished):
            yield _final_frame(spec, grid, result, event)
        else:
            wait = waiting_line(event)
            yield _frame(status=wait) if wait else _frame()


def _grid_request(values: Sequence[Any]) -> tuple[ImageGridRequest, str]:
    """The request, and the id of the model."""
    axes = dict(zip(GridAxes._fields, values[: len(GridAxes._fields)], strict=True))
    prompt, model, *controls = values[len(GridAxes._fields) :]
    single = request_of(prompt, controls)
    fields = {
        name: getattr(single, name)
        for name in ImageGridRequest.model_fields
        if hasattr(single, name)
    }
    if axes["kind"] == SEEDS:
        fields |= {
            "num_seeds": int(axes["num_seeds"]),
            "guidance_scales": (single.guidance_scale,),
            "step_counts": (single.num_inference_steps,),
        }
    else:
        fields |= {
            "guidance_scales": _numbers(axes["guidance_scales"], "guidance_scales", float),
            "step_counts": _numbers(axes["step_counts"], "step_counts", int),
        }
    return ImageGridRequest.of(**fields), model


def _numbers(text: str, field: str, kind: type) -> tuple[Any, ...]:
    try:
        return tuple(dict.fromkeys(kind(one) for one in re.split(r"[,;\s]+", text.strip()) if one))
    except ValueError:
        raise InvalidInput("invalid_not_a_number", field=field) from None


def _final_frame(
    spec: ModelSpec, grid: ImageGridRequest, result: GridDone, end: Finished
) -> tuple[Any, ...]:
    sheet = save_to_cache(sheet_of(spec, grid, result.cells), "grid.png")
    seeds = [cell.seed for cell in result.cells] if grid.num_seeds > 1 else [grid.seed]
    return _frame(
        bar="",
        sheet=gr.update(value=sheet, visible=True),
        status=result_line(end, *picture_html.seed_range(seeds)) + picture_html.grid_notes(result),
        code=recipe(spec, grid, end.placement),
    )


# ---------------------------------------------------------------- the table and the sheet


def table(
    spec: ModelSpec,
    grid: ImageGridRequest,
    cells: Mapping[int, CellDone],
    files: Mapping[int, str],
) -> str:
    """The grid as HTML: the finished cells can be pressed, the others are empty places.

    Args:
        spec: the model.
        grid: with all values.
        cells: by index.
        files: index -> path of the cell's PNG in the page's cache.
    """
    seeds = grid.num_seeds > 1
    head = "".join(
        f'<th scope="col">{both(f"{TAB}.explore.guidance", value=f"{guidance:g}")}</th>'
        for guidance in grid.guidance_scales
    )
    body = ""
    for row in range(grid.rows):
        body += "<tr>"
        if not seeds:
            steps = both(f"{TAB}.explore.steps", value=grid.step_counts[row])
            body += f'<th scope="row">{steps}</th>'
        for column in range(grid.columns):
            index = row * grid.columns + column
            body += f"<td>{_cell(spec, grid, cells.get(index), files.get(index, ''))}</td>"
        body += "</tr>"
    top = "" if seeds else f"<thead><tr><td></td>{head}</tr></thead>"
    return f'<table class="picture-grid">{top}<tbody>{body}</tbody></table>'


def _cell(spec: ModelSpec, grid: ImageGridRequest, cell: CellDone | None, file: str) -> str:
    if cell is None:
        return '<span class="pick pending"></span>'
    if cell.flagged:
        return f'<span class="pick pending">{both(f"{TAB}.explore.flagged")}</span>'
    settings = settings_of(
        spec,
        grid,
        guidance_scale=cell.guidance_scale,
        num_inference_steps=cell.num_inference_steps,
        seed=cell.seed,
    )
    name = f"CFG {cell.guidance_scale:g} · {cell.num_inference_steps} · seed {cell.seed}"
    words = f"<span>{cell.seed}</span>" if grid.num_seeds > 1 else ""
    return picture_html.settings_button(settings, name, f"gradio_api/file={quote(file)}", words)


def sheet_of(spec: ModelSpec, grid: ImageGridRequest, cells: Sequence[CellDone]) -> bytes:
    """The finished cells as one PNG with the axes on it; its chunk says what the cells share."""
    values: dict[str, object] = {
        "Steps": cells[0].num_inference_steps,
        "CFG scale": cells[0].guidance_scale,
        "Seed": grid.seed,
        "Size": f"{grid.width}x{grid.height}",
        "Model": spec.id,
        "Script": "X/Y/Z plot",
    }
    if grid.num_seeds > 1:
        seeds = ", ".join(str(grid.seed + k) for k in range(grid.num_seeds))
        values |= {"X Type": "Seed", "X Values": seeds}
        columns, rows = [""] * grid.columns, [""] * grid.rows
    else:
        columns = [f"guidance {guidance:g}" for guidance in grid.guidance_scales]
        rows = [f"{steps} steps" for steps in grid.step_counts]
        values |= {
            "X Type": "CFG Scale",
            "X Values": ", ".join(f"{guidance:g}" for guidance in grid.guidance_scales),
            "Y Type": "Steps",
            "Y Values": ", ".join(str(steps) for steps in grid.step_counts),
        }
    return contact_sheet(cells, columns, rows, format_parameters(grid.prompt, "", values))
