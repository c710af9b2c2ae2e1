"""Reading a table out of any file a person has, and writing one that is safe to open.

CSV, TSV, XLSX or plain lines; UTF-8, UTF-16, CP949 and others are recognised. Every cell is text: a
formula is read as it is written and never computed.
"""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import InvalidInput

MAX_ROWS = 100_000
MAX_COLUMNS = 200
MAX_CELL = 20_000  # characters; a longer cell makes its row a faulty one
MAX_UNPACKED = 200_000_000  # bytes that an XLSX may unpack to
MAX_SHARED = 50_000_000  # bytes of its table of strings, which is held in memory whole
MAX_QUOTED = 2 * MAX_CELL  # characters until a quote counts as one that nothing closes
MAX_UNCLOSED = (
    100  # such rows until every line is read as a row: looking ahead for each takes too long
)
SNIFFED = 200_000  # bytes looked at to recognise an encoding
DELIMITERS = "\t,;|"
_ENCODINGS = ["utf_8", "cp949", "shift_jis", "gb18030", "cp1252"]
_PLAIN_NUMBER = re.compile(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?%?")


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that could not be used.

    Attributes:
        line: its number in the file as a spreadsheet shows it, from 1.
        code: "too_many_cells", "too_long" or "unclosed_quote".
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
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    faults: tuple[Fault, ...] = ()
    cut: bool = False

    def column(self, name: str) -> list[str]:
        """The cells of one column.

        Raises:
            InvalidInput: there is no such column (invalid_column).
        """
        if name not in self.columns:
            raise InvalidInput("invalid_column", column=name[:100])
        at = self.columns.index(name)
        return [row[at] for row in self.rows]


def read_table(path: str | Path, header: bool = True) -> Table:
    """Read a file; its kind is told by its content. Only a .txt without tabs is taken as plain lines.

    Args:
        path: CSV, TSV, XLSX (its first sheet) or lines of text.
        header: whether the first row holds the names of the columns; plain lines have none.

    Raises:
        InvalidInput: it is no table (invalid_table), no text (invalid_not_text_file), an XLSX that
            unpacks to too much (invalid_table_bomb), or it has no row (invalid_table_empty).
    """
    path = Path(path)
    data = path.read_bytes()
    if data.startswith(b"PK\x03\x04"):
        return _table(_sheet(data), header)
    text = decode(data)
    if path.suffix.lower() == ".txt" and "\t" not in text:  # a comma is part of a sentence there
        return read_lines(text)
    return _table(_separated(text), header)


def read_lines(text: str, name: str = "text") -> Table:
    """One row a line of pasted text, in a single column.

    Raises:
        InvalidInput: there is no line with a letter in it (invalid_table_empty).
    """
    return _table(([line] for line in [name, *text.splitlines()]), header=True, shift=-1)


def decode(data: bytes) -> str:
    """Bytes as text, by their mark, by UTF-8, else by what is likeliest.

    Raises:
        InvalidInput: it is no text (invalid_not_text_file).
    """
    text = _decoded(data)
    if "\0" in text or text.count("\ufffd") > len(text) // 20:
        raise InvalidInput("invalid_not_text_file")
    return text


def _decoded(data: bytes) -> str:
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    zeros = [data[i:SNIFFED:2].count(0) for i in (0, 1)]
    if max(zeros) > len(data[:SNIFFED]) // 8:  # Latin letters, digits and commas of UTF-16
        return data.decode("utf-16-be" if zeros[0] > zeros[1] else "utf-16-le", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _guessed(data)


def _guessed(data: bytes) -> str:
    from charset_normalizer import from_bytes

    try:  # most Korean files that are not UTF-8 are CP949, which few other texts happen to be
        korean = data.decode("cp949")
        if len(re.findall("[가-힣]", korean)) > len(korean) // 50:
            return korean
    except UnicodeDecodeError:
        pass
    best = from_bytes(data[:SNIFFED], cp_isolation=_ENCODINGS).best()
    if best is None:
        raise InvalidInput("invalid_not_text_file")
    return data.decode(best.encoding, errors="replace")


def _separated(text: str) -> Iterator[list[str] | None]:
    """The rows of a CSV or TSV; the delimiter is the one that its first lines agree on.

    None stands for a row with a quote that nothing closes: it costs its own line, not the file.
    """
    csv.field_size_limit(2**31 - 1)  # a long cell is a faulty row, not the end of the file
    delimiter = _delimiter(text)
    lines = io.StringIO(text, newline="").readlines()
    at = unclosed = 0
    while at < len(lines):
        reach = MAX_QUOTED if unclosed < MAX_UNCLOSED else 0
        row, taken = _record(lines, at, delimiter, reach)
        yield row
        at += taken
        unclosed += row is None


def _record(
    lines: Sequence[str], at: int, delimiter: str, reach: int
) -> tuple[list[str] | None, int]:
    """The row that begins at a line, and how many lines it takes."""
    reader = csv.reader(_quotable(lines, at, reach), delimiter=delimiter, strict=True)
    try:
        return next(reader), reader.line_num
    except csv.Error:
        if reader.line_num > 1:
            return None, 1
    return next(csv.reader([lines[at]], delimiter=delimiter)), 1  # a loose quote in one line


def _quotable(lines: Sequence[str], at: int, reach: int) -> Iterator[str]:
    """The lines from one on, as far as a quoted cell may reach in characters."""
    length = 0
    for number in range(at, len(lines)):
        if length > reach:
            return
        length += len(lines[number])
        yield lines[number]


def _delimiter(text: str) -> str:
    first = [line for line in text[:20_000].splitlines() if line.strip()][:10]
    counts = {mark: [line.count(mark) for line in first] for mark in DELIMITERS}
    return max(DELIMITERS, key=lambda mark: (min(counts[mark], default=0), sum(counts[mark])))


def _sheet(data: bytes) -> Iterator[list[str]]:
    """The rows of an XLSX's first sheet, read one by one; formulas as they are written."""
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
    except zipfile.BadZipFile:
        raise InvalidInput("invalid_table") from None
    shared = sizes.get("xl/sharedStrings.xml", 0)
    if sum(sizes.values()) > MAX_UNPACKED or shared > MAX_SHARED:
        raise InvalidInput("invalid_table_bomb", limit=MAX_UNPACKED // 1_000_000)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # pyright: ignore[reportAttributeAccessIssue]
        for row in sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True):
            filled = max((i for i, cell in enumerate(row, 1) if cell is not None), default=0)
            yield ["" if cell is None else str(cell) for cell in row[:filled]]
    except InvalidInput:
        raise
    except Exception as error:  # openpyxl's own kinds are many: broken XML, missing parts
        raise InvalidInput("invalid_table") from error


def _table(cells: Iterable[Sequence[str] | None], header: bool, shift: int = 0) -> Table:
    columns: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    faults: list[Fault] = []
    cut = False
    for line, row in enumerate(cells, 1 + shift):
        if row is None:
            faults.append(Fault(line, "unclosed_quote"))
            continue
        if not any(cell.strip() for cell in row):
            continue
        if not columns:
            columns = _names(row if header else [""] * len(row))
            if header:
                continue
        if len(rows) == MAX_ROWS:
            cut = True
            break
        fault = _fault(row, len(columns))
        if fault:
            faults.append(Fault(line, fault))
            continue
        rows.append((*row[: len(columns)], *[""] * (len(columns) - len(row))))
        lines.append(line)
    if not rows:
        raise InvalidInput("invalid_table_empty")
    return Table(columns, tuple(rows), tuple(lines), tuple(faults), cut)


def _fault(row: Sequence[str], columns: int) -> str:
    if any(cell.strip() for cell in row[columns:]):
        return "too_many_cells"
    return "too_long" if any(len(cell) > MAX_CELL for cell in row) else ""


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
