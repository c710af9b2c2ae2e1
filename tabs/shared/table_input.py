"""Where many texts come from (a file or pasted lines, and a column), and the CSV one takes away."""

import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import gradio as gr

from models.errors import InvalidInput
from models.text.tables import Table, read_lines, read_table, write_csv
from tabs.shared.events import show_errors
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import both, t

KINDS = [".csv", ".tsv", ".txt", ".xlsx"]
GUESSED_FROM = 200  # rows
NAMED = 20  # faulty rows that are named
# Letters between blanks, but for punctuation around them and marks within: "don't", "(좋아요!)"
_WORD = re.compile(r"(?<=\s)[^\w\s]*[^\W\d_]+(?:['’-][^\W\d_]+)*[^\w\s]*(?=\s)")


@dataclass(frozen=True, slots=True)
class TableInput:
    """The components, in the order in which handlers take them."""

    file: gr.File
    lines: gr.Textbox
    header: gr.Checkbox
    column: gr.Dropdown

    def inputs(self) -> list[Any]:
        """What `table` takes."""
        return [self.file, self.lines, self.header, self.column]


def build(tab: str, lines_first: bool = False) -> TableInput:
    """Lay the inputs out; a file's columns are offered as soon as it is there.

    Args:
        tab: prefix of the elem_ids.
        lines_first: put the box for lines above the file.
    """
    lines = _lines(tab, lines_first) if lines_first else None
    file = gr.File(
        label=t("source.or_upload" if lines else "source.upload"),
        file_types=KINDS,
        type="filepath",
        height=180,
        elem_id=f"{tab}-upload",
        elem_classes="drop",
    )
    lines = lines or _lines(tab)
    with gr.Row():
        column = gr.Dropdown([], label=t("source.column"), visible=False, elem_id=f"{tab}-column")
    header = gr.Checkbox(True, label=t("source.header"), visible=False, elem_id=f"{tab}-header")
    return TableInput(file, lines, header, column)


def _lines(tab: str, first: bool = False) -> gr.Textbox:
    return gr.Textbox(
        label=t("source.first_lines" if first else "source.lines"),
        placeholder=t("source.placeholder"),
        lines=6 if first else 4,
        max_lines=12,
        elem_id=f"{tab}-lines",
    )


def bind(
    source: TableInput,
    truth: gr.Dropdown | None = None,
    label_column: Callable[[Table], str] = lambda _: "",
) -> None:
    """Offer a file's columns once it is there.

    Args:
        source: the inputs.
        truth: a second choice, of the labels' column.
        label_column: the column that is selected there; "" for none.
    """
    outputs = [source.column, source.header, *([truth] if truth else [])]

    def offer(path: str | None, header: bool, request: gr.Request) -> Any:
        if not path:
            hidden = gr.update(visible=False)
            return (
                gr.update(choices=[], value=None, visible=False),
                *[hidden] * (len(outputs) - 1),
            )
        with show_errors(request):
            table = read_table(path, header)
        text, labels = column_choices(table, label_column(table) if truth else "")
        plain = len(table.columns) == 1 and path.lower().endswith(".txt")  # lines have no names
        return (text, gr.update(visible=not plain), *([labels] if truth else []))

    for trigger in (source.file.change, source.header.input):
        trigger(
            offer,
            [source.file, source.header],
            outputs,
            api_visibility="private",
            show_progress="hidden",
        )


def column_choices(table: Table, label: str = "") -> tuple[Any, Any]:
    """Updates of the choice of the text's column, and of that of the labels', with `label` selected."""
    columns = [(name, name) for name in table.columns]
    return (
        gr.update(choices=columns, value=likely_column(table), visible=True),
        gr.update(choices=[(t("source.none"), ""), *columns], value=label, visible=True),
    )


def likely_column(table: Table) -> str:
    """The column that holds text, by what is in it: many words a cell, and each cell another.

    Numbers, dates, addresses and codes are no words; labels and names of products repeat.
    """

    def text_of(column: str) -> tuple[float, int]:
        cells = [cell for cell in table.column(column)[:GUESSED_FROM] if cell.strip()]
        words = sum(len(_WORD.findall(f" {cell} ")) for cell in cells)
        different = len({cell.strip().lower() for cell in cells}) / max(len(cells), 1)
        return words * different, sum(map(len, cells))

    return max(table.columns, key=text_of)


def table(path: str | None, lines: str, header: bool, column: str | None) -> tuple[Table, str]:
    """The table of the inputs, a file before lines, and the name of the column with the texts.

    Raises:
        InvalidInput: neither, or no table.
    """
    if path:
        read = read_table(path, header)
        return read, column if column in read.columns else likely_column(read)
    if not (lines or "").strip():
        raise InvalidInput("invalid_no_texts")
    read = read_lines(lines)
    return read, read.columns[0]


def faults(table: Table) -> list[str]:
    """Which rows a table is without, by their numbers, and why, as HTML."""
    lines: list[str] = []
    for code in ("too_many_cells", "too_long", "unclosed_quote"):
        numbers = [fault.line for fault in table.faults if fault.code == code]
        if numbers:
            lines.append(both(f"source.{code}", rows=row_numbers(numbers)))
    if table.cut:
        lines.append(both("source.cut"))
    return lines


def row_numbers(numbers: Sequence[int]) -> str:
    """The first few of them, and how many there are."""
    first = ", ".join(str(number) for number in numbers[:NAMED])
    return f"{first} … ({len(numbers):,})" if len(numbers) > NAMED else first


def download_button(tab: str) -> gr.DownloadButton:
    """The button that gives the results as a CSV; hidden until there are some."""
    label = cast(str, t("source.download"))
    return gr.DownloadButton(label, visible=False, size="sm", elem_id=f"{tab}-download")


def csv_file(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a CSV that is safe to open in a spreadsheet; returns its path.

    Its folder is named by a secret hash of its content and deleted with the page's cache.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_csv(path, columns, rows)
        return save_to_cache(path.read_bytes(), name)
