"""Labelled sentences out of a file: the columns one chooses, behind the lines that are already there."""

from pathlib import Path
from typing import Any, cast

import gradio as gr

from models.errors import InvalidInput
from models.teach.requests import MAX_CLASSES, MAX_EXAMPLES
from models.text.tables import Table, decode, read_table
from tabs.shared.events import line, show_errors
from tabs.shared.strings import both, t
from tabs.shared.table_input import KINDS, likely_column

LABEL = 60  # characters of a label


def build(text: gr.Textbox, tab: str) -> None:
    """Lay out the button under the sentences, the choice of columns, and what came; bind them."""
    file = gr.UploadButton(
        cast(str, t(f"{tab}.fill")), file_types=KINDS, size="sm", elem_id=f"{tab}-fill"
    )
    with gr.Column(visible=False) as choice:
        with gr.Row():
            sentences, labels = (
                gr.Dropdown([], label=t(key), elem_id=f"{tab}-fill-{name}")
                for key, name in (("source.column", "column"), (f"{tab}.label_column", "label"))
            )
        header = gr.Checkbox(True, label=t("source.header"), elem_id=f"{tab}-fill-header")
        add = gr.Button(t(f"{tab}.add"), size="sm", elem_id=f"{tab}-fill-add")
    said = gr.HTML(elem_id=f"{tab}-filled")

    def offer(request: gr.Request, path: str, written: str) -> tuple[Any, ...]:
        """Take lines in at once; of a table offer the columns, the likely ones chosen."""
        with show_errors(request):
            if _is_lines(path):
                lines, note = lines_of(path)
                shown = _behind(written, lines), line(note), gr.update(visible=False)
                return *shown, gr.skip(), gr.skip(), gr.skip()
            named = has_header(read_table(path))
            return gr.skip(), "", gr.update(visible=True), *_columns(path, named), named

    def renamed(request: gr.Request, path: str, named: bool) -> tuple[Any, Any]:
        with show_errors(request):
            return _columns(path, named)

    def fill(request: gr.Request, path: str, written: str, *chosen: Any) -> tuple[Any, ...]:
        with show_errors(request):
            lines, note = lines_of(path, *chosen)
        return _behind(written, lines), line(note), gr.update(visible=False)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    file.upload(offer, [file, text], [text, said, choice, sentences, labels, header], **private)
    header.input(renamed, [file, header], [sentences, labels], **private)
    add.click(fill, [file, text, header, sentences, labels], [text, said, choice], **private)


def lines_of(
    path: str | Path,
    header: bool | None = None,
    text: str | None = None,
    label: str | None = None,
) -> tuple[list[str], str]:
    """A file's rows as lines "label: sentence", and what to say of them as HTML.

    Args:
        path: a table, or a .txt with lines as a person writes them on the page.
        header: whether the first row names the columns; None finds out.
        text: the column with the sentences; None takes the likeliest.
        label: the column with the labels; None takes the likeliest.

    Raises:
        InvalidInput: it is no table, or no column has labels (teach_no_labels), or the sentences are
            to be their own labels (teach_one_column).
    """
    if _is_lines(path):
        lines = [one for one in decode(Path(path).read_bytes()).splitlines() if one.strip()]
        return lines[:MAX_EXAMPLES], both("teach.filled_lines", count=len(lines[:MAX_EXAMPLES]))
    table = read_table(path)
    if not (has_header(table) if header is None else header):
        table = read_table(path, header=False)
    text, label = text or likely_column(table), label or _labels_of(table)
    if not label:
        raise InvalidInput("teach_no_labels", limit=MAX_CLASSES)
    if text == label:
        raise InvalidInput("teach_one_column")
    pairs = zip(table.column(label), table.column(text), strict=True)
    lines = [f"{_label(name)}: {' '.join(said.split())}" for name, said in pairs if _label(name)]
    lines = [one for one in lines if not one.endswith(": ")][:MAX_EXAMPLES]
    if not lines:
        raise InvalidInput("teach_no_labels", limit=MAX_CLASSES)
    left = len(table.rows) + len(table.faults) - len(lines)
    return lines, both("teach.filled", count=len(lines), text=text, label=label, left=left)


def has_header(table: Table) -> bool:
    """Whether the first row, read as names, is none of the labels."""
    label = _labels_of(table)
    return not label or label not in table.column(label)


def _is_lines(path: str | Path) -> bool:
    return Path(path).suffix.lower() == ".txt"  # commas are part of a sentence there


def _behind(written: str, lines: list[str]) -> str:
    return "\n".join(filter(None, [(written or "").rstrip(), *lines]))


def _columns(path: str, header: bool) -> tuple[Any, Any]:
    """The choices of the column with the sentences and of the one with the labels."""
    table = read_table(path, header)
    names = list(table.columns)
    return (
        gr.update(choices=names, value=likely_column(table)),
        gr.update(choices=names, value=_labels_of(table) or None),
    )


def _labels_of(table: Table) -> str:
    """The column that names a class for each row: with the fewest different cells, two at least; "" for none."""
    text = likely_column(table)
    counts = {
        name: len({cell.strip() for cell in table.column(name)} - {""})
        for name in table.columns
        if name != text
    }
    fit = [name for name, count in counts.items() if 2 <= count <= MAX_CLASSES]
    return min(fit, key=counts.__getitem__, default="")


def _label(name: str) -> str:
    """A label as a line can begin with it: without the marks that end a label."""
    return " ".join(name.replace(":", " ").replace("：", " ").split())[:LABEL].strip()
