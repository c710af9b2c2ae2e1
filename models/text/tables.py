"""Reading a table out of any file a person has, and writing one that is safe to open.

CSV, TSV, a workbook or plain lines, in any usual encoding. Every cell is text. What was left out,
skipped or mended is noted in the table, by its row: nothing is lost without a word.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from models.errors import InvalidInput
from models.text.encodings import BAD, OTHER, decode_text
from models.text.language import text_lines
from models.text.workbooks import is_workbook, read_sheet, refuse_markup

MAX_ROWS = 100_000
MAX_COLUMNS = 200
MAX_CELL = 20_000  # characters; a longer cell makes its row a faulty one
MAX_QUOTE = 2 * MAX_CELL  # characters until a quote counts as one that nothing closes
MAX_OPEN_QUOTES = (
    100  # such rows until every line is read as a row: looking ahead for each takes too long
)
DELIMITERS = "\t;,|"  # of two that fit as well the first
SAMPLE = 200  # rows by which delimiter and header are found
MOST_TITLES = 30  # rows above the header
LEAST_SHARE = 0.6  # of the rows that a delimiter must cut alike
_SEPARATOR = re.compile(r'"?sep=(.)"?[ \t;,]*(?:\r\n|\r|\n)', re.IGNORECASE)
_ESCAPE_MARK = "\ufdd0"  # no letter: stands for a delimiter with a backslash before it
_THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}(?:,\d{3})*")
_MISSING = {"n/a", "na", "nan", "null", "none", "-", "?", ".", "missing", "없음"}  # no names
_RULE = re.compile(r"\s*:?-{2,}:?\s*")  # below the header of a table in Markdown
_BACKSLASH = re.compile(r'\\"(?![,;\t|\r\n]|$)')  # it closes nothing
_LOOK_AHEAD = 400_000  # characters by which the delimiter is found
_NO_DELIMITER = "\x1f"  # no table has it
_PLAIN_NUMBER = re.compile(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?%?")


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that is not in the table, or not as it is in the file.

    Attributes:
        line: its number in the file as a spreadsheet shows it, from 1.
        code: of a row left out "too_many_cells", "too_long", "unclosed_quote", "title" (above the
            header) or "repeated_header"; of a mended one "damaged" (a part could not be read; U+FFFD
            stands for it), "nul", "joined" (cut at a comma of its text, put together again),
            "loose_quote" (a quotation mark that nothing closes is a part of its text), "mixed" (in
            another encoding than the rest), "no_value" (a formula without a stored value) or "error_value".
    """

    line: int
    code: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text cells under named columns.

    Attributes:
        columns: their names, each once.
        rows: as many cells each as there are columns; faulty rows are left out.
        lines: the number in the file of each row, from 1.
        faults: the rows left out.
        cut: the file has more than MAX_ROWS rows; the rest was not read.
        mends: rows in the table that are not quite as in the file.
        too_wide: the file has more than MAX_COLUMNS columns; the rest was not read.
        row_names: the header was one name short: the first column is the names of the rows.
        delimiter: between cells; "" for none.
        encoding: of a text file, one of `encodings.ENCODINGS`; "" for a workbook.
        near: other encodings in which it reads nearly as well.
        sheet: of a workbook, the one that was read; sheets: all, hidden ones last.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    faults: tuple[Fault, ...] = ()
    cut: bool = False
    mends: tuple[Fault, ...] = ()
    too_wide: bool = False
    row_names: bool = False
    delimiter: str = ""
    encoding: str = ""
    near: tuple[str, ...] = ()
    sheet: str = ""
    sheets: tuple[str, ...] = ()

    def column(self, name: str) -> list[str]:
        """The cells of one column.

        Raises:
            InvalidInput: there is no such column (invalid_column).
        """
        if name not in self.columns:
            raise InvalidInput("invalid_column", column=name[:100])
        at = self.columns.index(name)
        return [row[at] for row in self.rows]


def read_table(path: str | Path, header: bool = True, encoding: str = "", sheet: str = "") -> Table:
    """Read a file; its kind is told by its content. Only a .txt without columns of tabs is lines.

    Args:
        path: CSV, TSV, a workbook or lines of text.
        header: whether the first row holds the names of the columns; plain lines have none.
        encoding: one of `encodings.ENCODINGS`; "" finds it.
        sheet: a workbook's; "" takes the first visible one with cells.

    Raises:
        InvalidInput: it is no table (invalid_table, or a code that says what it is instead), no
            text (invalid_not_text_file), too much (invalid_table_bomb, invalid_table_vast), or it
            has no row (invalid_table_empty).
    """
    path = Path(path)
    data = path.read_bytes()
    if is_workbook(data):
        return _workbook(data, header, sheet)
    content = decode_text(data, encoding)
    refuse_markup(content.text)
    origin: dict[str, Any] = {"encoding": content.encoding, "near": content.near}
    text = content.text
    lines = path.suffix.lower() == ".txt"  # a comma is part of a sentence there
    if separator := _SEPARATOR.match(text):  # Excel's own line, which it does not show
        text = text[separator.end() :]
        form = _Form(separator[1])
        layout = _layout(_sample(text, form), header)
        form = replace(form, layout=replace(layout, delimiter=separator[1]))
    else:
        form = _form(text, header, "\t" if lines else DELIMITERS)
        if not form.delimiter and not lines and (whole := _unwrap(text)):
            form = _form(whole, header, DELIMITERS)
            text = whole if form.delimiter else text
    if lines and not form.delimiter:
        return read_lines(text, **origin)
    return _table(_split_rows(text, form), header, form.layout, delimiter=form.delimiter, **origin)


def read_lines(text: str, name: str = "text", **origin: Any) -> Table:
    """One row a line of pasted text, in a single column.

    Args:
        text: with CR LF, CR or LF after each line.
        name: of the column.
        origin: attributes of the table.

    Raises:
        InvalidInput: there is no line with a letter in it (invalid_table_empty).
    """
    lines = ([line] for line in [name, *text_lines(text)])
    return _table(lines, header=True, shift=-1, **origin)


def _workbook(data: bytes, header: bool, sheet: str) -> Table:
    part = read_sheet(data, sheet)
    layout = _layout(part.rows[:SAMPLE], header)
    mends = [Fault(row, "no_value") for row in part.no_value]
    mends += [Fault(row, "error_value") for row in part.errors]
    return _table(
        part.rows, header, layout, mends, cut=part.cut, sheet=part.name, sheets=part.names
    )


# ---------------------------------------------------------------- where the table begins


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a table begins among rows of cells.

    Attributes:
        begin: the index of its first row; those above are titles.
        width: cells of most rows from there on.
        share: how many of those rows are that wide.
        row_names: the first row is one name short; nameless: the last columns have no name.
        delimiter: as in _Form.
    """

    begin: int = 0
    width: int = 1
    share: float = 0.0
    row_names: bool = False
    nameless: bool = False
    delimiter: str = ""


def _layout(rows: Sequence[Sequence[str] | None], header: bool, delimiter: str = "") -> _Layout:
    """Find the first row that is as wide as most after it, of the first rows of a file."""
    full_rows = [(at, row) for at, row in enumerate(rows) if row and _width(row)]
    if not full_rows:
        return _Layout()
    best = _at(full_rows, 0, header, delimiter)
    if header and (number := _names_numbers(full_rows)):
        return _at(full_rows, number, header, delimiter)
    for number in range(1, min(len(full_rows) - 1, MOST_TITLES)):
        if best.share >= 0.8 and not _is_title(full_rows, number - 1, best):
            break
        titles = full_rows[:number]
        here = _at(full_rows, number, header, delimiter)
        blank = full_rows[number][0] > full_rows[number - 1][0] + 1
        narrow = all(_count(row) == 1 or (_width(row) < here.width and blank) for _, row in titles)
        if narrow and here.width > 1 and here.share >= 0.8:
            best = here
            if not _is_title(full_rows, number, best):
                break
    return best


def _names_numbers(full_rows: Sequence[tuple[int, Sequence[str]]]) -> int:
    """Which row is the first of words alone above a column of numbers; 0 where none above is a title.

    A title is narrower than that, has blank cells or a blank row below it, or is a comment.
    """
    for number in range(1, min(len(full_rows) - 2, MOST_TITLES)):
        row, below = full_rows[number][1], [one for _, one in full_rows[number + 1 : number + 50]]
        width = len(row)
        if not _count(row) == width > 1 or any(_PLAIN_NUMBER.fullmatch(c.strip()) for c in row):
            continue
        alike = [one for one in below if len(one) == width]
        if len(alike) >= 0.8 * len(below) and any(
            row[at].strip().lower() not in _MISSING
            and all(_PLAIN_NUMBER.fullmatch(one[at].strip()) for one in alike)
            for at in range(width)
        ):
            titles = all(
                len(one) < width
                or _count(one) < width
                or one[0].startswith("#")
                or full_rows[at + 1][0] > line + 1
                for at, (line, one) in enumerate(full_rows[:number])
            )
            return number if titles else 0
    return 0


def _at(
    full_rows: Sequence[tuple[int, Sequence[str]]], number: int, header: bool, delimiter: str
) -> _Layout:
    """The layout if the table began at that one of the rows that are not blank."""
    body = [row for _, row in full_rows[number + header :]] or [full_rows[number][1]]
    if header and delimiter == ",":
        names = len(full_rows[number][1])
        whole_rows = [row if len(row) <= names else _thousands(row, names) or row for row in body]
        # Groups of three that begin with 0 are of no other numbers, such as those of R's columns.
        if any(len(row) > names and any(c[:1] == "0" for c in row[1:]) for row in body):
            body = whole_rows
    widths = Counter(map(len, body))
    width = max(widths, key=lambda width: (widths[width], width))
    share = widths[width] / len(body)
    first = full_rows[number][1]
    short = header and len(first) == width - 1 and share >= 0.8 and _names_rows(first, body)
    surplus = [cell for row in body for cell in row[len(first) :]]
    nameless = share >= 0.8 and len(first) < width and not short and not _are_prose(surplus)
    if header and len(first) != width and not short:
        share *= 0.5  # its names do not fit
    return _Layout(full_rows[number][0], width, share, short, nameless)


def _names_rows(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether the rows below a header that is one short begin with names of their own, as R writes."""
    names = [row[0].strip() for row in body]
    if len(set(names)) < len(names) or not all(row[-1].strip() for row in body[:20]):
        return False
    return len(first) > 1 or all(name.isdigit() for name in names)


def _is_title(full_rows: Sequence[tuple[int, Sequence[str]]], number: int, layout: _Layout) -> bool:
    """Whether a row is a title that only blank cells make as wide as the table below it."""
    row = full_rows[number][1]
    most = max(_width(one) for _, one in full_rows)
    if _count(row) > most / 2 or layout.width < 2:
        return False
    below = [one for _, one in full_rows[number + 1 : number + 10]]
    return any(
        _width(one) == most
        and all(c.strip() and not _PLAIN_NUMBER.fullmatch(c) for c in one[:most])
        for one in below
    )


def _width(row: Sequence[str]) -> int:
    """How many cells there are up to the last that is not blank."""
    return max((number for number, cell in enumerate(row, 1) if cell.strip()), default=0)


def _count(row: Sequence[str]) -> int:
    """How many cells are not blank."""
    return sum(bool(cell.strip()) for cell in row)


# ---------------------------------------------------------------- text with delimiters


@dataclass(frozen=True, slots=True)
class _Form:
    """How a text is cut into cells.

    Attributes:
        delimiter: "" for one column.
        layout: of the rows that come of it.
        backslash: a quote or a delimiter within a text has a backslash before it.
        blank_after: a blank after a delimiter belongs to it.
        single: texts stand in single quotes.
        literal: no cell has several lines; a quote that its line does not close is text.
        share: how well it fits, from 0 to 1.
    """

    delimiter: str
    layout: _Layout = _Layout()
    backslash: bool = False
    blank_after: bool = False
    single: bool = False
    literal: bool = False
    share: float = 0.0


def _form(text: str, header: bool, delimiters: str) -> _Form:
    """The form under which most rows are equally wide; one column if none is."""
    best = _Form("")
    for delimiter in delimiters:
        if delimiter not in text:
            continue
        for form in _variants(text, delimiter):
            sample = _sample(text, form)
            layout = replace(_layout(sample, header, delimiter), delimiter=delimiter)
            share = layout.share - 0.05 * (layout.begin > 0) if layout.width > 1 else 0.0
            form = replace(form, layout=layout, share=share)
            better = share > best.share + 1e-9 or (
                share >= best.share > 0 and _replaces(form, best)
            )
            if better and not _is_prose(sample, form):
                best = form
    first = _sample(text, best)[0] if best.delimiter else None
    is_cut = first is not None and len(first) > 1 and delimiters != "\t"
    return best if best.share >= LEAST_SHARE or (is_cut and best.share > 0) else _Form("")


def _variants(text: str, delimiter: str) -> Iterator[_Form]:
    """A delimiter's forms: as in RFC 4180, and what the text gives reason to try."""
    yield _Form(delimiter)
    head, cell = text[:_LOOK_AHEAD], re.escape(delimiter)
    if _BACKSLASH.search(head) or f"\\{delimiter}" in head:
        yield _Form(delimiter, backslash=True)
    if re.search(f'(?:^|[\\r\\n]|{cell}) "', head):
        yield _Form(delimiter, blank_after=True)
    if delimiter == "\t" and re.search('(?:^|[\\r\\n\\t])"', head):
        yield _Form(delimiter, literal=True)
    cells = re.findall(f"(?m)^(?:.*{cell})?'[^'\\n]*'(?:{cell}.*)?\\r?$", head)
    if len(cells) >= LEAST_SHARE * min(head.count("\n"), len(head)):
        yield _Form(delimiter, single=True)


def _replaces(form: _Form, best: _Form) -> bool:
    """Whether a form that cuts as well as another is a variant of it."""
    variant = form.backslash or form.blank_after or form.single or form.literal
    return form.delimiter == best.delimiter and variant


def _unwrap(text: str) -> str:
    """The rows of a file each of whose lines was put into quotes whole; "" for another file."""
    lines = [line for line in text_lines(text[:_LOOK_AHEAD]) if line.strip()][:SAMPLE]
    if not lines or not all(re.fullmatch(r'"(?:[^"]|"")*"', line.strip()) for line in lines):
        return ""
    rows = [row[0] if row else "" for row in _split_rows(text, _Form("")) if row is not None]
    prose = 2 * sum(", " in row for row in rows) > len(rows)  # one text a line
    return "" if prose or any("\n" in row for row in rows) else "\n".join(rows)


def _is_prose(sample: Sequence[Sequence[str] | None], form: _Form) -> bool:
    """Whether a delimiter is punctuation: a blank follows nearly each, and the rows differ in width."""
    first = next((row for row in sample if row), [])
    if form.delimiter not in ",;" or (len(first) > 1 and form.layout.share > 0.9):
        return False
    if len(first) > 1 and not _are_prose(first[1:]):
        return False
    return _are_prose([cell for row in sample if row for cell in row[1:]])


def _are_prose(cells: Sequence[str]) -> bool:
    """Whether a blank begins nearly each cell after the first of a row."""
    return bool(cells) and sum(cell[:1] in {" ", ""} for cell in cells) >= 0.8 * len(cells)


def _sample(text: str, form: _Form) -> list[list[str] | None]:
    return list(islice(_split_rows(text[:_LOOK_AHEAD], form), SAMPLE))


def _split_rows(text: str, form: _Form) -> Iterator[list[str] | None]:
    """The rows of a CSV or TSV.

    None stands for a row with a quote that nothing closes: it costs its own line, not the file.
    """
    csv.field_size_limit(2**31 - 1)  # a long cell is a faulty row, not the end of the file
    if form.backslash:
        plain = {'"': '""', "\\": "\\", form.delimiter: _ESCAPE_MARK}
        pattern = f'\\\\(["\\\\{re.escape(form.delimiter)}])'
        text = re.sub(pattern, lambda match: plain[match[1]], text)
    lines = io.StringIO(text, newline="").readlines()
    at = open_quotes = 0
    while at < len(lines):
        reach = MAX_QUOTE if open_quotes < MAX_OPEN_QUOTES else 0
        row, count, is_whole = _record(lines, at, form, 0 if form.literal else reach)
        if row and form.backslash:
            row = [cell.replace(_ESCAPE_MARK, form.delimiter) for cell in row]
        yield row
        at += count
        open_quotes += not is_whole


def _record(
    lines: Sequence[str], at: int, form: _Form, reach: int
) -> tuple[list[str] | None, int, bool]:
    """The row that begins at a line, how many lines it takes, and whether its quotes are closed."""
    options: Any = {
        "delimiter": form.delimiter or _NO_DELIMITER,
        "skipinitialspace": form.blank_after,
    }
    options["quotechar"] = "'" if form.single else '"'
    reader = csv.reader(_quotable(lines, at, reach), strict=True, **options)
    try:
        return next(reader), reader.line_num, True
    except csv.Error as error:
        row = _loose(lines[at].rstrip("\r\n"), form)
        in_line = reader.line_num == 1 and (not form.delimiter or "end of data" not in str(error))
        fits = form.literal or in_line or 1 < len(row) == form.layout.width
        if not fits and not reach:  # too many of them
            row = next(csv.reader([lines[at]], **options))
        return row if fits or not reach else None, 1, in_line


def _loose(line: str, form: _Form) -> list[str]:
    """The cells of a line with quotes inside of them: one closes a cell only at its end."""
    delimiter = form.delimiter or _NO_DELIMITER
    closing = re.compile(f'"(?:{re.escape(delimiter)}|\\s*$)')
    row: list[str] = []
    at = 0
    while at <= len(line):
        end = closing.search(line, at + 1) if line[at : at + 1] == '"' else None
        if end is not None:
            row.append(line[at + 1 : end.start()].replace('""', '"'))
            at = end.end() if end[0].endswith(delimiter) else len(line) + 1
        else:
            stop = line.find(delimiter, at)
            row.append(line[at:stop] if stop >= 0 else line[at:])
            at = stop + 1 if stop >= 0 else len(line) + 1
    return row


def _quotable(lines: Sequence[str], at: int, reach: int) -> Iterator[str]:
    """The lines from one on, as far as a quoted cell may reach in characters."""
    length = 0
    for number in range(at, len(lines)):
        if length > reach:
            return
        length += len(lines[number])
        yield lines[number]


# ---------------------------------------------------------------- rows under names


def _table(
    cells: Iterable[Sequence[str] | None],
    header: bool,
    layout: _Layout = _Layout(),
    before: Sequence[Fault] = (),
    shift: int = 0,
    cut: bool = False,
    **origin: Any,
) -> Table:
    names: Sequence[str] = ()
    rows: list[Sequence[str]] = []
    lines: list[int] = []
    faults: list[Fault] = []
    mends: list[Fault] = []
    for line, raw in enumerate(cells, 1 + shift):
        if raw is None:
            faults.append(Fault(line, "unclosed_quote"))
            continue
        row, codes = _mend(raw)
        if not any(cell.strip() for cell in row):
            continue
        if layout.delimiter == "|" and all(_RULE.fullmatch(cell) or not cell for cell in row):
            continue
        if line - shift <= layout.begin:
            faults.append(Fault(line, "title"))
            continue
        if not names:
            names = _first(row, header, layout)
            if header:
                continue
        if len(rows) == MAX_ROWS:
            cut = True
            break
        if _width(row) > len(names) and (whole := _rejoin(row, names, layout.delimiter)):
            row, codes = whole, [*codes, "joined"]
        fault = _fault(row, names, "mark" in codes)
        if fault:
            faults.append(Fault(line, fault))
            continue
        rows.append(row)
        lines.append(line)
        mends += [Fault(line, code) for code in codes if code != "mark"]
    if not rows and names and header and not shift and not faults:
        raise InvalidInput("invalid_table_only_names")
    if not rows:
        raise InvalidInput("invalid_table_empty")
    read = set(lines)
    mends += [fault for fault in before if fault.line in read]
    columns, body = _fit(names, rows)
    return Table(
        columns=columns,
        rows=body,
        lines=tuple(lines),
        faults=tuple(faults),
        cut=cut,
        mends=tuple(mends),
        too_wide=len(names) > MAX_COLUMNS,
        row_names=layout.row_names,
        **origin,
    )


def _first(row: Sequence[str], header: bool, layout: _Layout) -> Sequence[str]:
    """The names of the columns by the first row; blank ones where it has none."""
    missing = [""] * (layout.width - len(row))
    if not header:
        return [""] * max(len(row), layout.width)
    return ["", *row] if layout.row_names else [*row, *missing] if layout.nameless else row


def _rejoin(row: Sequence[str], names: Sequence[str], delimiter: str) -> list[str]:
    """A row cut at a comma of its text, put together again; empty where it is not plain where.

    A blank after the comma tells it from one between cells; so do the digits of a number in thousands.
    """
    if delimiter == "," and (cells := _thousands(row[: _width(row)], len(names))):
        return cells
    cells: list[str] = []
    for cell in row[: _width(row)]:
        if cells and cell.startswith(" ") and delimiter:
            cells[-1] += delimiter + cell
        else:
            cells.append(cell)
    return cells if len(cells) == len(names) else []


def _thousands(row: Sequence[str], width: int) -> list[str]:
    """A row whose numbers were cut at the commas of their thousands; empty where it is not that wide."""
    cells: list[str] = []
    for cell in row:
        if cells and re.fullmatch(r"\d{3}\D{0,3}", cell) and _THOUSANDS.fullmatch(cells[-1]):
            cells[-1] += f",{cell}"
        else:
            cells.append(cell)
    return cells if len(cells) == width else []


def _mend(row: Sequence[str]) -> tuple[Sequence[str], list[str]]:
    """A row without NUL and without a mark of UTF-8, and the codes of what was mended."""
    codes: list[str] = []
    if row and row[0].startswith("\ufeff"):  # files were joined
        row = [row[0].lstrip("\ufeff"), *row[1:]]
        codes.append("mark")
    if any("\0" in cell for cell in row):
        row = [cell.replace("\0", "") for cell in row]
        codes.append("nul")
    if any(BAD in cell for cell in row):
        codes.append("damaged")
    if any(OTHER in cell for cell in row):
        row = [cell.replace(OTHER, "") for cell in row]
        codes.append("mixed")
    if any(cell[:2] == '="' and cell[-1] == '"' for cell in row):  # Excel's way to keep 007 a text
        row = [re.sub(r'^="([^"]*)"$', r"\1", cell) for cell in row]
    if any(cell[:1] == '"' and cell.count('"') % 2 for cell in row):
        codes.append("loose_quote")
    return row, codes


def _fault(row: Sequence[str], names: Sequence[str], has_mark: bool) -> str:
    """The code of what a row is left out for, "" for none; has_mark: a file that was joined on begins there."""
    if any(cell.strip() for cell in row[len(names) :]):
        return "too_many_cells"
    if (has_mark or len(names) > 1) and list(row) == list(names):
        return "repeated_header"
    return "too_long" if any(len(cell) > MAX_CELL for cell in row[:MAX_COLUMNS]) else ""


def _fit(
    names: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Named columns and rows of as many cells, without columns that have neither name nor cell."""
    places = [
        place
        for place, name in enumerate(names[:MAX_COLUMNS])
        if name.strip() or any(len(row) > place and row[place].strip() for row in rows)
    ]
    whole = places == list(range(len(names)))
    body = [
        tuple(row)
        if whole and len(row) == len(names)
        else tuple(row[place] if place < len(row) else "" for place in places)
        for row in rows
    ]
    columns = _names(names)
    return tuple(columns[place] for place in places), tuple(body)


def _names(row: Sequence[str]) -> tuple[str, ...]:
    """Names of columns, each once; a nameless one is called by its number."""
    names: list[str] = []
    for number, cell in enumerate(row[:MAX_COLUMNS], 1):
        name = " ".join(cell.split())[:100] or f"column {number}"
        while name in names:
            name += " "
            name = f"{name.strip()} ({number})"
        names.append(name)
    return tuple(names)


def harmless(cell: str) -> str:
    """A cell that a spreadsheet shows instead of computing.

    One that begins with = + - @, a tab or a carriage return gets an apostrophe before it, as OWASP
    advises against CSV injection; a plain number stays.
    """
    danger = cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    return f"'{cell}" if danger and not _PLAIN_NUMBER.fullmatch(cell) else cell


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV whose cells are `harmless`, in UTF-8 with the mark by which Excel knows it."""
    with Path(path).open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([harmless(name) for name in columns])
        writer.writerows([harmless(str(cell)) for cell in row] for row in rows)
