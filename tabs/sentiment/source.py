"""Where many texts come from: a file, or pasted lines; and which column holds them."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.errors import InvalidInput
from models.tables import Table, read_lines, read_table
from tabs.events import told
from tabs.text import t

KINDS = [".csv", ".tsv", ".txt", ".xlsx"]
GUESSED_FROM = 200  # rows


@dataclass(frozen=True, slots=True)
class Source:
    """The components, in the order in which handlers take them."""

    file: gr.File
    lines: gr.Textbox
    header: gr.Checkbox
    column: gr.Dropdown

    def inputs(self) -> list[Any]:
        """What `table` takes."""
        return [self.file, self.lines, self.header, self.column]


def build(tab: str) -> Source:
    """Lay the inputs out; a file's columns are offered as soon as it is there."""
    file = gr.File(
        label=t("sentiment.file.upload"), file_types=KINDS, type="filepath", elem_id=f"{tab}-upload"
    )
    lines = gr.Textbox(
        label=t("sentiment.file.lines"),
        placeholder=t("sentiment.file.placeholder"),
        lines=4,
        max_lines=10,
        elem_id=f"{tab}-lines",
    )
    with gr.Row():
        column = gr.Dropdown(
            [], label=t("sentiment.file.column"), visible=False, elem_id=f"{tab}-column"
        )
    header = gr.Checkbox(
        True, label=t("sentiment.file.header"), visible=False, elem_id=f"{tab}-header"
    )
    return Source(file, lines, header, column)


def bind(source: Source, truth: gr.Dropdown | None = None) -> None:
    """Offer a file's columns once it is there; `truth` is a second choice, of the labels' column."""
    chosen = [source.column, source.header, *([truth] if truth else [])]

    def offer(path: str | None, header: bool, request: gr.Request) -> Any:
        if not path:
            hidden = gr.update(visible=False)
            return (
                gr.update(choices=[], value=None, visible=False),
                *[hidden] * (len(chosen) - 1),
            )
        with told(request):
            table = read_table(path, header)
        columns = [(name, name) for name in table.columns]
        text = gr.update(choices=columns, value=likely_column(table), visible=True)
        labels = gr.update(
            choices=[(t("sentiment.file.none"), ""), *columns], value="", visible=True
        )
        return (text, gr.update(visible=True), *([labels] if truth else []))

    for trigger in (source.file.change, source.header.input):
        trigger(
            offer,
            [source.file, source.header],
            chosen,
            api_visibility="private",
            show_progress="hidden",
        )


def likely_column(table: Table) -> str:
    """The column with the longest cells: most likely the texts."""
    rows = table.rows[:GUESSED_FROM]
    lengths = [sum(len(row[i]) for row in rows) for i in range(len(table.columns))]
    return table.columns[lengths.index(max(lengths))]


def table(path: str | None, lines: str, header: bool, column: str | None) -> tuple[Table, str]:
    """What was given, a file before lines, and the name of the column with the texts.

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
