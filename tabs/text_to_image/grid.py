"""A grid of pictures: a table with its axes on the page, and a sheet to take away."""

from collections.abc import Mapping
from urllib.parse import quote

from models.contract import ModelSpec
from models.text_to_image.events import CellDone
from models.text_to_image.requests import ImageGridRequest
from models.text_to_image.sheet import sheet
from tabs.shared.strings import both
from tabs.text_to_image import picking

TAB = "text_to_image"


def table(
    spec: ModelSpec, ask: ImageGridRequest, cells: Mapping[int, CellDone], files: Mapping[int, str]
) -> str:
    """The grid as HTML: the finished cells can be pressed, the others are empty places.

    Args:
        spec: the model.
        ask: filled.
        cells: by index.
        files: index -> path of the cell's PNG in the page's cache.
    """
    seeds = ask.num_seeds > 1
    head = "".join(
        f'<th scope="col">{both(f"{TAB}.explore.guidance", value=f"{guidance:g}")}</th>'
        for guidance in ask.guidance_scales
    )
    body = ""
    for row in range(ask.rows):
        body += "<tr>"
        if not seeds:
            steps = both(f"{TAB}.explore.steps", value=ask.step_counts[row])
            body += f'<th scope="row">{steps}</th>'
        for column in range(ask.columns):
            index = row * ask.columns + column
            body += f"<td>{_cell(spec, ask, cells.get(index), files.get(index, ''))}</td>"
        body += "</tr>"
    top = "" if seeds else f"<thead><tr><td></td>{head}</tr></thead>"
    return f'<table class="picture-grid">{top}<tbody>{body}</tbody></table>'


def _cell(spec: ModelSpec, ask: ImageGridRequest, cell: CellDone | None, file: str) -> str:
    if cell is None:
        return '<span class="pick pending"></span>'
    if cell.flagged:
        return f'<span class="pick pending">{both(f"{TAB}.explore.flagged")}</span>'
    found = picking.settings(
        spec,
        ask,
        guidance_scale=cell.guidance_scale,
        num_inference_steps=cell.num_inference_steps,
        seed=cell.seed,
    )
    name = f"CFG {cell.guidance_scale:g} · {cell.num_inference_steps} · seed {cell.seed}"
    words = f"<span>{cell.seed}</span>" if ask.num_seeds > 1 else ""
    return picking.button(found, name, f"gradio_api/file={quote(file)}", words)


def sheet_of(spec: ModelSpec, ask: ImageGridRequest, cells: Mapping[int, CellDone]) -> bytes:
    """The finished cells as one PNG with the axes on it; its chunk says what the cells share."""
    first = next(iter(cells.values()))
    values: dict[str, object] = {
        "Steps": first.num_inference_steps,
        "CFG scale": first.guidance_scale,
        "Seed": ask.seed,
        "Size": f"{ask.width}x{ask.height}",
        "Model": spec.id,
        "Script": "X/Y/Z plot",
    }
    if ask.num_seeds > 1:
        seeds = ", ".join(str(ask.seed + k) for k in range(ask.num_seeds))
        values |= {"X Type": "Seed", "X Values": seeds}
        return sheet(list(cells.values()), [""] * ask.columns, [""] * ask.rows, ask.prompt, values)
    columns = [f"guidance {guidance:g}" for guidance in ask.guidance_scales]
    rows = [f"{steps} steps" for steps in ask.step_counts]
    values |= {
        "X Type": "CFG Scale",
        "X Values": ", ".join(f"{guidance:g}" for guidance in ask.guidance_scales),
        "Y Type": "Steps",
        "Y Values": ", ".join(str(steps) for steps in ask.step_counts),
    }
    return sheet(list(cells.values()), columns, rows, ask.prompt, values)
