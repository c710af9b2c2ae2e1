"""Labelled sentences from a file: two of its columns, appended to the lines in the box."""

from pathlib import Path
from typing import Any, cast

import gradio as gr

from models.errors import InvalidInput
from models.teach.requests import MAX_CLASSES, MAX_EXAMPLES
from models.text.encodings import decode
from models.text.language import text_lines
from models.text.tables import Table, read_table
from tabs.shared.events import line, show_errors
from tabs.shared.strings import both, t
from tabs.shared.table_input import KINDS, likely_column

MAX_LABEL = 60  # characters


def build(text: gr.Textbox, tab: str) -> None:
    """Lay out and bind the button under the sentences, the choice of columns, and the note."""
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
    result = gr.HTML(elem_id=f"{tab}-filled")

    def offer(request: gr.Request, path: str, content: str) -> tuple[Any, ...]:
        """Append lines at once; for a table show the choice of columns, the likely ones selected."""
        with show_errors(request):
            if _is_lines(path):
                lines, note = lines_of(path)
                updates = _append(content, lines), line(note), gr.update(visible=False)
                return *updates, gr.skip(), gr.skip(), gr.skip()
            with_names = has_header(read_table(path))
            choices = columns_choice(path, with_names)
            return gr.skip(), "", gr.update(visible=True), *choices, with_names

    def choose_columns(request: gr.Request, path: str, with_names: bool) -> tuple[Any, Any]:
        with show_errors(request):
            return columns_choice(path, with_names)

    def fill(request: gr.Request, path: str, content: str, *choices: Any) -> tuple[Any, ...]:
        with show_errors(request):
            lines, note = lines_of(path, *choices)
        return _append(content, lines), line(note), gr.update(visible=False)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    file.upload(offer, [file, text], [text, result, choice, sentences, labels, header], **private)
    header.input(choose_columns, [file, header], [sentences, labels], **private)
    add.click(fill, [file, text, header, sentences, labels], [text, result, choice], **private)


def lines_of(
    path: str | Path,
    header: bool | None = None,
    text: str | None = None,
    label: str | None = None,
) -> tuple[list[str], str]:
    """A file's rows as lines "label: sentence", and a note on them as HTML.

    Args:
        path: a table, or a .txt with lines as in the box on the page.
        header: whether the first row names the columns; None guesses.
        text: the column with the sentences; None takes the likeliest.
        label: the column with the labels; None takes the likeliest.

    Raises:
        InvalidInput: it is no table, no column has labels (teach_no_labels), or both columns are the
            same (teach_one_column).
    """
    if _is_lines(path):
        lines = [row for row in text_lines(decode(Path(path).read_bytes())) if row.strip()]
        lines = lines[:MAX_EXAMPLES]
        return lines, both("teach.filled_lines", count=len(lines))
    table = read_table(path)
    if not (has_header(table) if header is None else header):
        table = read_table(path, header=False)
    text, label = text or likely_column(table), label or _labels_of(table)
    if not label:
        raise InvalidInput("teach_no_labels", limit=MAX_CLASSES)
    if text == label:
        raise InvalidInput("teach_one_column")
    pairs = zip(table.column(label), table.column(text), strict=True)
    cells = [(_label(name), " ".join(sentence.split())) for name, sentence in pairs]
    lines = [f"{name}: {sentence}" for name, sentence in cells if name and sentence][:MAX_EXAMPLES]
    if not lines:
        raise InvalidInput("teach_no_labels", limit=MAX_CLASSES)
    rest = len(table.rows) + len(table.faults) - len(lines)
    return lines, both("teach.filled", count=len(lines), text=text, label=label, left=rest)


def has_header(table: Table) -> bool:
    """Whether the first row names the columns: its label column's name is not one of the labels."""
    label = _labels_of(table)
    return not label or label not in table.column(label)


def _is_lines(path: str | Path) -> bool:
    return Path(path).suffix.lower() == ".txt"  # commas are part of a sentence there


def _append(content: str, lines: list[str]) -> str:
    return "\n".join(filter(None, [(content or "").rstrip(), *lines]))


def columns_choice(path: str, header: bool) -> tuple[Any, Any]:
    """The choices of the column with the sentences and of the one with the labels."""
    table = read_table(path, header)
    names = list(table.columns)
    return (
        gr.update(choices=names, value=likely_column(table)),
        gr.update(choices=names, value=_labels_of(table) or None),
    )


def _labels_of(table: Table) -> str:
    """The column with the fewest different cells, at least 2 and at most MAX_CLASSES; "" for none."""
    text = likely_column(table)
    counts = {
        name: len({cell.strip() for cell in table.column(name)} - {""})
        for name in table.columns
        if name != text
    }
    possible = [name for name, count in counts.items() if 2 <= count <= MAX_CLASSES]
    return min(possible, key=counts.__getitem__, default="")


def _label(name: str) -> str:
    """A label for the start of a line: without colons, which end a label."""
    return " ".join(name.replace(":", " ").replace("：", " ").split())[:MAX_LABEL].strip()
