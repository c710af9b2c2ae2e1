"""Where many texts come from (a file or pasted lines, and a column), and the CSV one takes away."""

import hashlib
import html
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import gradio as gr

from models.errors import InvalidInput
from models.text.encodings import ENCODINGS, possible_encodings, readings
from models.text.tables import Table, read_lines, read_table, write_csv
from tabs.shared.events import problem_line
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import LANGUAGES, both, say, t

KINDS = [".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xlsb", ".xls"]
GUESS_ROWS = 200  # rows
MOST_NAMES = 20  # faulty rows that are named
PREVIEW_ROWS, PREVIEW_COLUMNS, PREVIEW_CELL = 5, 8, 80  # the last in characters
SHORT_CELL = 12  # characters that stay on one line, however narrow the page
WITHOUT = ("too_many_cells", "too_long", "unclosed_quote", "title", "repeated_header")
MENDS = ("damaged", "mixed", "nul", "joined", "loose_quote", "no_value", "error_value")
# Letters between blanks, but for punctuation around them and marks within: "don't", "(좋아요!)"
_NUMBER = re.compile(r"\s*[-+]?[\d.,:/%\s]+")
_WORD = re.compile(r"(?<=\s)[^\w\s]*[^\W\d_]+(?:['’-][^\W\d_]+)*[^\w\s]*(?=\s)")


@dataclass(frozen=True, slots=True)
class TableInput:
    """The components, in the order in which handlers take them."""

    file: gr.File
    lines: gr.Textbox
    header: gr.Checkbox
    column: gr.Dropdown
    encoding: gr.Dropdown
    sheet: gr.Dropdown
    preview: gr.HTML

    def inputs(self) -> list[Any]:
        """What `table` takes."""
        return [self.file, self.lines, self.header, self.column, self.encoding, self.sheet]


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
    preview = gr.HTML(visible=False, elem_id=f"{tab}-preview")
    with gr.Row():
        # A run that starts as a file comes still has the values of before: Gradio would refuse those that
        # are no choice any more; `table` passes over them.
        old_too: dict[str, Any] = {"allow_custom_value": True, "visible": False}
        column = gr.Dropdown([], label=t("source.column"), elem_id=f"{tab}-column", **old_too)
        encoding = gr.Dropdown(
            [("", "")],
            value="",
            label=t("source.encoding"),
            elem_id=f"{tab}-encoding",
            **old_too,
        )
        sheet = gr.Dropdown(
            [("", "")], value="", label=t("source.sheet"), elem_id=f"{tab}-sheet", **old_too
        )
    header = gr.Checkbox(True, label=t("source.header"), visible=False, elem_id=f"{tab}-header")
    return TableInput(file, lines, header, column, encoding, sheet, preview)


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
    """Show a file's first rows and offer its columns.

    Another encoding, sheet or header shows them again; another file begins anew.

    Args:
        source: the inputs.
        truth: a second choice, of the labels' column.
        label_column: the column that is selected there; "" for none.
    """
    components = [source.preview, source.header, source.encoding, source.sheet, source.column]
    outputs = [*components, *([truth] if truth else [])]

    def hide(preview: str = "") -> tuple[Any, ...]:
        invisible = gr.update(visible=False)
        none = gr.update(choices=[("", "")], value="", visible=False)
        preview_box = gr.update(value=preview, visible=bool(preview))
        return (
            preview_box,
            invisible,
            none,
            none,
            *[gr.update(choices=[], value=None, visible=False)] * (len(outputs) - 4),
        )

    def offer(path: str | None, header: bool, encoding: str = "", sheet: str = "") -> Any:
        if not path:
            return hide()
        try:
            table = read_table(path, header, _choice(path, encoding), _choice(path, sheet))
        except InvalidInput as problem:  # at the file, where it stays
            why = f'<p class="problem-line" role="alert">{problem_line(problem)}</p>'
            if not encoding and not sheet:
                return hide(why)
            return gr.update(value=why), *[gr.skip()] * (len(outputs) - 1)
        text, labels = column_choices(table, label_column(table) if truth else "")
        plain = len(table.columns) == 1 and path.lower().endswith(".txt")  # lines have no names
        updates = [
            gr.update(value=preview_html(path, table), visible=True),
            gr.update(visible=not plain),
            _encoding_choices(path, table),
            gr.update(
                choices=[(name, _value(path, name)) for name in table.sheets] or [("", "")],
                value=_value(path, table.sheet) if table.sheets else "",
                visible=len(table.sheets) > 1,
            ),
            text,
            *([labels] if truth else []),
        ]
        return tuple(updates)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    source.file.change(offer, [source.file, source.header], outputs, **quiet)
    again = [source.file, source.header, source.encoding, source.sheet]
    for control in (source.header, source.encoding, source.sheet):
        control.input(offer, again, outputs, **quiet)


def _value(path: str, name: str) -> str:
    """A choice as a value that holds for this file only: another may be there before its own choices."""
    return f"{hashlib.sha256(path.encode()).hexdigest()[:8]}:{name}"


def _choice(path: str, value: str | None) -> str:
    """The name in a value; "" for one of another file."""
    mark, colon, name = (value or "").partition(":")
    return name if colon and _value(path, name) == f"{mark}:{name}" else ""


def _encoding_choices(path: str, table: Table) -> Any:
    """The encodings that a file may be in: the one it was read in, those near, then the others."""
    if not table.encoding:
        return gr.update(choices=[("", "")], value="", visible=False)
    possible = possible_encodings(Path(path).read_bytes())
    order = [*table.near, *[name for name in ENCODINGS if name in possible]]
    names = list(dict.fromkeys([table.encoding, *order]))
    return gr.update(
        choices=[(t(f"encodings.{name}"), _value(path, name)) for name in names],
        value=_value(path, table.encoding),
        visible=True,
    )


def preview_html(path: str, table: Table) -> str:
    """How a file was read, its first rows, what was left out or mended, and a question if in doubt."""
    delimiters = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar"}
    cells = delimiters.get(table.delimiter, "other" if table.delimiter else "none")
    what: dict[str, Any] = {"rows": f"{len(table.rows):,}", "columns": len(table.columns)}
    if table.sheet:
        first = both("source.read_sheet", sheet=table.sheet, **what)
    else:
        encoding = {lang: say(f"encodings.{table.encoding}", lang) for lang in LANGUAGES}
        between = {lang: say(f"source.between_{cells}", lang) for lang in LANGUAGES}
        first = both("source.read_text", encoding=encoding, between=between, **what)
    notes = "".join(f'<p class="note">{note}</p>' for note in faults(table))
    return (
        f'<p class="quiet">{first}</p>{_question(path, table)}'
        f'<div style="overflow-x:auto">{_first_rows(table)}</div>{notes}'
    )


def _first_rows(table: Table) -> str:
    def cell(tag: str, content: str) -> str:
        short = content if len(content) <= PREVIEW_CELL else content[: PREVIEW_CELL - 1] + "…"
        name = tag.split()[0]
        whole = ' class="tight"' if name == "td" and len(short) <= SHORT_CELL else ""
        return f"<{tag}{whole}>{html.escape(short)}</{name}>"

    def row(tag: str, cells: Sequence[str]) -> str:
        more = ["…"] * (len(cells) > PREVIEW_COLUMNS)
        return "".join(cell(tag, one) for one in [*cells[:PREVIEW_COLUMNS], *more])

    body = "".join(f"<tr>{row('td', cells)}</tr>" for cells in table.rows[:PREVIEW_ROWS])
    head = row('th scope="col"', table.columns)
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _question(path: str, table: Table) -> str:
    """Ask which encoding is right, with a line as each of those near reads it."""
    if not table.near:
        return ""
    names = (table.encoding, *table.near)
    lines = readings(Path(path).read_bytes(), names)
    items = "".join(
        f"<li>{both(f'encodings.{name}')}: <q>{html.escape(text[:PREVIEW_CELL])}</q></li>"
        for name, text in zip(names, lines, strict=True)
    )
    return f'<div class="note"><p>{both("source.which_encoding")}</p><ul>{items}</ul></div>'


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
        cells = [cell for cell in table.column(column)[:GUESS_ROWS] if cell.strip()]
        words = sum(len(_WORD.findall(f" {cell} ")) for cell in cells)
        different = len({cell.strip().lower() for cell in cells}) / max(len(cells), 1)
        signs = sum(len(cell) for cell in cells if not _NUMBER.fullmatch(cell))
        return words * different, signs

    return max(table.columns, key=text_of)


def table(
    path: str | None,
    lines: str,
    header: bool,
    column: str | None,
    encoding: str | None = "",
    sheet: str | None = "",
) -> tuple[Table, str]:
    """The table of the inputs, a file before lines, and the name of the column with the texts.

    Raises:
        InvalidInput: neither, or no table.
    """
    if path:
        read = read_table(path, header, _choice(path, encoding), _choice(path, sheet))
        return read, column if column in read.columns else likely_column(read)
    if not (lines or "").strip():
        raise InvalidInput("invalid_no_texts")
    read = read_lines(lines)
    return read, read.columns[0]


def faults(table: Table) -> list[str]:
    """Which rows a table is without or has mended, by their numbers, and why, as HTML."""
    lines: list[str] = []
    for code in (*WITHOUT, *MENDS):
        numbers = [fault.line for fault in (*table.faults, *table.mends) if fault.code == code]
        if numbers:
            lines.append(both(f"source.{code}", rows=row_numbers(numbers)))
    for code, holds in (
        ("row_names", table.row_names),
        ("narrowed", table.too_wide),
        ("cut", table.cut),
    ):
        if holds:
            lines.append(both(f"source.{code}"))
    return lines


def row_numbers(numbers: Sequence[int]) -> str:
    """The first few of them, and how many there are."""
    first = ", ".join(str(number) for number in numbers[:MOST_NAMES])
    return f"{first} … ({len(numbers):,})" if len(numbers) > MOST_NAMES else first


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
