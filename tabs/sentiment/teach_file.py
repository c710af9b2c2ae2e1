"""Labelled sentences out of a file: its lines behind those that are already there."""

from pathlib import Path
from typing import Any, cast

import gradio as gr

from models.errors import InvalidInput
from models.tables import Table, decode, read_table
from models.teach.requests import MAX_CLASSES, MAX_EXAMPLES
from tabs.events import line, told
from tabs.source import KINDS, likely_column
from tabs.text import both, t

LABEL = 60  # characters of a label


def build(text: gr.Textbox, tab: str) -> None:
    """Lay out the button under the sentences and the line that says what came; bind them."""
    button = gr.UploadButton(
        cast(str, t(f"{tab}.fill")), file_types=KINDS, size="sm", elem_id=f"{tab}-fill"
    )
    said = gr.HTML(elem_id=f"{tab}-filled")

    def fill(request: gr.Request, path: str, written: str) -> tuple[str, str]:
        with told(request):
            lines, note = lines_of(path)
        return "\n".join(filter(None, [(written or "").rstrip(), *lines])), line(note)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    button.upload(fill, [button, text], [text, said], **private)


def lines_of(path: str | Path) -> tuple[list[str], str]:
    """A file's rows as lines "label: sentence", and what to say of them as HTML.

    Raises:
        InvalidInput: it is no table, or no column has labels (teach_no_labels).
    """
    if Path(path).suffix.lower() == ".txt":  # lines as a person writes them here, commas and all
        lines = [one for one in decode(Path(path).read_bytes()).splitlines() if one.strip()]
        return lines[:MAX_EXAMPLES], both("teach.filled_lines", count=len(lines[:MAX_EXAMPLES]))
    table = read_table(path)
    if _labels_of(table) in table.column(_labels_of(table)):  # there is no row of names
        table = read_table(path, header=False)
    text, label = likely_column(table), _labels_of(table)
    pairs = zip(table.column(label), table.column(text), strict=True)
    lines = [f"{_label(name)}: {' '.join(said.split())}" for name, said in pairs if _label(name)]
    lines = [one for one in lines if not one.endswith(": ")][:MAX_EXAMPLES]
    if not lines:
        raise InvalidInput("teach_no_labels", limit=MAX_CLASSES)
    left = len(table.rows) + len(table.faults) - len(lines)
    return lines, both("teach.filled", count=len(lines), text=text, label=label, left=left)


def _labels_of(table: Table) -> str:
    """The column that names a class for each row: with the fewest different cells, two at least."""
    text = likely_column(table)
    counts = {
        name: len({cell.strip() for cell in table.column(name)} - {""})
        for name in table.columns
        if name != text
    }
    fit = [name for name, count in counts.items() if 2 <= count <= MAX_CLASSES]
    if not fit:
        raise InvalidInput("teach_no_labels", limit=MAX_CLASSES)
    return min(fit, key=counts.__getitem__)


def _label(name: str) -> str:
    """A label as a line can begin with it: without the marks that end a label."""
    return " ".join(name.replace(":", " ").replace("：", " ").split())[:LABEL].strip()
