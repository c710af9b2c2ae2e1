"""One prompt and seed drawn with many settings, side by side, to see what the dials do."""

import re
import time
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import gradio as gr

from models.contract import Finished, ModelSpec
from models.errors import InvalidInput, NotFound
from models.select import select
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.catalog import options_of
from models.text_to_image.events import CellDone, GridDone, ImagesDone, StepDone
from models.text_to_image.image_files import contact_sheet, format_parameters
from models.text_to_image.requests import ImageGridRequest, NoPromptRequest
from tabs.shared.context import Context
from tabs.shared.events import (
    Pace,
    PageError,
    at_field,
    follow,
    line,
    result_line,
    show_errors,
    waiting_line,
)
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import both, language_of_page, t
from tabs.shared.widgets import (
    begin_next,
    bind_stop,
    one_at_a_time,
    problem_box,
    recipe,
    stop_button,
    updates,
)
from tabs.text_to_image import example, picture_html
from tabs.text_to_image.controls import start_value
from tabs.text_to_image.draw import request_of
from tabs.text_to_image.picture_html import file_address, grid_table, no_prompt
from tabs.text_to_image.restore import RestoreTargets, bind_buttons

TAB = "text_to_image"
SHARED_FIELDS = (
    *("negative_prompt", "seed", "width", "height", "scheduler", "image", "strength"),
    *("lora", "lora_strength", "decoder"),
)
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


# A tab's content is there only once the tab has been chosen; the press of a hidden button chooses it.
TO_THE_GRID = f"() => {{ document.getElementById('tab-{TAB}-explore-button').click(); }}"


def build(
    context: Context, targets: RestoreTargets, code: gr.State, compare_button: gr.Button
) -> tuple[GridAxes, Any]:
    """Lay it out and bind it.

    Args:
        context: the app's.
        targets: what a click on a picture sets.
        code: where the Python behind a grid goes.
        compare_button: outside the tab, for experiments: it draws the grid too.

    Returns:
        What is compared, and the event of a grid.
    """
    with gr.Column(elem_id=f"{TAB}-explore"):
        gr.HTML(f'<p class="quiet">{both(f"{TAB}.explore.info")}</p>', padding=False)
        axes = _build_axes(context.default_model(TEXT_TO_IMAGE))
        with gr.Row():
            start = gr.Button(
                t(f"{TAB}.explore.start"), variant="primary", elem_id=f"{TAB}-explore-start"
            )
            stop = stop_button(f"{TAB}-explore")
        problem = problem_box(f"{TAB}-explore")
        view = GridView(
            gr.HTML(padding=False, elem_id=f"{TAB}-explore-bar"),
            gr.HTML(
                example.grid(),
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
    outputs = [*view, code, problem]
    job: dict[str, Any] = {"fn": at_field(run, problem), "inputs": inputs, "outputs": outputs}
    compare_button.click(None, js=TO_THE_GRID)
    begin = [start.click, compare_button.click]
    event = one_at_a_time(begin, f"{TAB}-compare", f"{TAB}-explore-stop", **job)
    stopping = bind_stop(stop, [event], view.status, line(both("page.stopped")))
    begin_next(stopping, f"{TAB}-compare")
    bind_buttons(context, view.table, targets)
    targets.model.input(
        lambda model: _axes_for(context, model),
        targets.model,
        [axes.guidance_scales, axes.step_counts],
        **quiet,
    )
    return axes, event


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
        grid, model = _grid_request(values, language_of_page(request))
        spec = select(TEXT_TO_IMAGE, model, context.settings, grid.prompt)
        grid = grid.with_defaults(spec)
    cells: dict[int, str] = {}  # addresses of the pictures, by index
    blank: set[int] = set()  # indexes of those that the checker blanked
    result, pace = GridDone((), grid.rows, grid.columns), Pace(0.2)
    hide = gr.update(visible=False)
    yield _frame(table=grid_table(spec, grid, cells), sheet=hide, status="")
    start = time.perf_counter()
    for event in follow(context, spec, grid, request):
        if isinstance(event, StepDone):
            if pace.due():
                yield _frame(bar=picture_html.grid_progress(event, time.perf_counter() - start))
        elif isinstance(event, CellDone):
            if event.flagged:
                blank.add(event.index)
            else:
                cells[event.index] = file_address(event.image, f"cell-{event.index + 1}.png")
            yield _frame(table=grid_table(spec, grid, cells, blank))
        elif isinstance(event, GridDone):
            result = event
            yield _frame()
        elif isinstance(event, Finished):
            without = yield from _without_prompt(context, request, spec, grid)
            whole = grid_table(spec, grid, cells, blank, without)
            yield _final_frame(spec, grid, result, event, whole)
        else:
            wait = waiting_line(event)
            yield _frame(status=wait) if wait else _frame()


def _without_prompt(
    context: Context, visitor: gr.Request | None, spec: ModelSpec, grid: ImageGridRequest
) -> Generator[tuple[Any, ...], None, str]:
    """Draw what the first seed gives without a prompt.

    Returns:
        The picture as HTML, for beside the grid; or the problem in its place, since the grid is whole.
    """
    common = {name: getattr(grid, name) for name in SHARED_FIELDS}
    bare = NoPromptRequest.of(**common).with_defaults(spec)
    try:
        for event in follow(context, spec, bare, visitor):
            if isinstance(event, ImagesDone) and not event.is_flagged(0):
                return no_prompt(file_address(event.images[0], "no-prompt.png"))
            yield _frame()
    except PageError as problem:
        return problem.line
    return ""


def _grid_request(values: Sequence[Any], language: str) -> tuple[ImageGridRequest, str]:
    """The request, and the id of the model; with no prompt it is the worked example's."""
    axes = dict(zip(GridAxes._fields, values[: len(GridAxes._fields)], strict=True))
    prompt, model, *controls = values[len(GridAxes._fields) :]
    prompt = prompt if prompt.strip() else example.PROMPTS[language]
    single = request_of(prompt, controls, same_seed=True)
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
    spec: ModelSpec, grid: ImageGridRequest, result: GridDone, end: Finished, whole: str
) -> tuple[Any, ...]:
    sheet = save_to_cache(sheet_of(spec, grid, result.cells), "grid.png")
    seeds = [cell.seed for cell in result.cells] if grid.num_seeds > 1 else [grid.seed]
    return _frame(
        bar="",
        table=whole,
        sheet=gr.update(value=sheet, visible=True),
        status=result_line(end, *picture_html.seed_range(seeds)) + picture_html.grid_notes(result),
        code=recipe(spec, grid, end.placement),
    )


# ---------------------------------------------------------------- the sheet


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
        rows = [f"steps {steps}" for steps in grid.step_counts]
        values |= {
            "X Type": "CFG Scale",
            "X Values": ", ".join(f"{guidance:g}" for guidance in grid.guidance_scales),
            "Y Type": "Steps",
            "Y Values": ", ".join(str(steps) for steps in grid.step_counts),
        }
    return contact_sheet(cells, columns, rows, format_parameters(grid.prompt, "", values))
