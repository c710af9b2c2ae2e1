"""The sheets of a workbook as rows of text; a formula gives the value that was stored with it.

python-calamine reads XLSX as other programs write it: Strict OOXML, parts in another case or with
backslashes, damaged styles. What is no workbook is told apart, so that the message can say what to do.
"""

import datetime
import html
import io
import posixpath
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import InvalidInput

MAX_CONTENT = 200_000_000  # bytes that a workbook may unpack to
MAX_STRINGS = 50_000_000  # bytes of its table of strings, which is held in memory whole
MAX_CELLS = 8_000_000  # of the rectangle around a sheet's values, which calamine lays out whole
MAX_SHEET_ROWS = 200_000
ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_CELL = re.compile(rb"<(?:\w+:)?c(?=[\s/>])([^>]*?)(?:/>|>(.*?)</(?:\w+:)?c>)", re.DOTALL)
_ROW_OR_CELL = re.compile(
    rb"<(?:\w+:)?row(?=[\s/>])([^>]*)>"
    rb"|<(?:\w+:)?c(?=[\s/>])([^>]*?)(?:/>|>(.*?)</(?:\w+:)?c>)",
    re.DOTALL,
)
_COLUMN = re.compile(rb'\br="([A-Za-z]{1,3})\d{1,7}"')
_ROW = re.compile(rb'\br="[A-Za-z]{0,3}(\d{1,7})"')
_VALUE = re.compile(rb"<(?:\w+:)?(?:v>[^<]|is\b)")
_FORMULA = re.compile(rb"<(?:\w+:)?f\b")
_BUNDLE_SHEET, _ROW_HEADER, _CELLS, _ERROR_CELLS = 156, 0, range(2, 12), {3, 11}  # XLSB's records
_STYLES = b'<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>'


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet's rows from its first row and column on.

    Attributes:
        rows: of text cells, as many in each.
        name: of the sheet; names: of all sheets that hold cells, hidden ones last.
        no_value: numbers of the rows with a formula that no value is stored with; its cell is blank.
        errors: numbers of the rows with a cell such as #N/A; it is blank.
        cut: there are more than MAX_SHEET_ROWS rows.
    """

    rows: list[list[str]]
    name: str
    names: tuple[str, ...]
    no_value: tuple[int, ...] = ()
    errors: tuple[int, ...] = ()
    cut: bool = False


def is_workbook(data: bytes) -> bool:
    """Whether bytes are a zip archive or one of the files of Microsoft's older programs."""
    return data.startswith((ZIP, OLE))


def refuse_markup(text: str) -> None:
    """Refuse a web page, XML, JSON or a document that is named as a table.

    Raises:
        InvalidInput: it is one (invalid_table_html, invalid_table_xml, invalid_table_json,
            invalid_table_document).
    """
    head = text[:2000].lstrip("\ufeff \t\r\n").lower()
    if head.startswith(("<!doctype html", "<html", "<table", "<meta", "<head", "<body")):
        raise InvalidInput("invalid_table_html")
    if head.startswith("<?xml") or "urn:schemas-microsoft-com:office:spreadsheet" in head:
        raise InvalidInput("invalid_table_html" if "<html" in head else "invalid_table_xml")
    if head.startswith("{\\rtf"):
        raise InvalidInput("invalid_table_document")
    if re.match(r'(?:\[\s*)?\{\s*"[^"\n]*"\s*:', head):
        raise InvalidInput("invalid_table_json")


def read_sheet(data: bytes, sheet: str = "") -> Sheet:
    """Read a sheet of a workbook (XLSX, XLSM, XLSB or XLS).

    Args:
        data: the file.
        sheet: its name; of any other the first visible one with cells is read.

    Raises:
        InvalidInput: no such workbook; the code says what it is instead, or what is wrong with it.
    """
    parts = _parts(data)
    book = _open(data, parts)
    sheets = {meta.name: meta for meta in book.sheets_metadata if "WorkSheet" in str(meta.typ)}
    order = sorted(sheets.values(), key=lambda meta: "Hidden" in str(meta.visible))
    names = [meta.name for meta in order]
    targets = _targets(parts)
    for name in [sheet] if sheet in names else names:
        target = targets.get(name, "")
        part = parts.get(target, b"")
        extent, bad_rows = _walk(part) if target.endswith(".bin") else (0, ())
        _refuse_vast(part, extent)
        content = _call(book.get_sheet_by_name, name)
        rows = _call(content.to_python, skip_empty_area=False, nrows=MAX_SHEET_ROWS)
        if rows or sheet in names:
            no_value, errors = ((), bad_rows) if bad_rows else _without_value(part)
            cut = content.end is not None and content.end[0] >= MAX_SHEET_ROWS
            text = [[_text(cell) for cell in row] for row in rows]
            return Sheet(text, name, tuple(names), no_value, errors, cut)
    raise InvalidInput("invalid_table_empty")


def _parts(data: bytes) -> dict[str, bytes]:
    """The parts of an XLSX or XLSB that are looked into, by lower-case names; none of an XLS.

    Raises:
        InvalidInput: it is something else, or unpacks to too much.
    """
    if data.startswith(OLE):
        _refuse_ole(data)
        return {}
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, OSError, ValueError):
        raise InvalidInput("invalid_table") from None
    entries = {_plain(info.filename): info for info in archive.infolist()}
    _refuse_zip(archive, entries)
    sizes = {name: info.file_size for name, info in entries.items()}
    if sum(sizes.values()) > MAX_CONTENT or sizes.get("xl/sharedstrings.xml", 0) > MAX_STRINGS:
        raise InvalidInput("invalid_table_bomb", limit=MAX_CONTENT // 1_000_000)
    try:
        pattern = re.compile(
            r"(xl/)?(workbook\.(xml|bin)|_rels/workbook\.(xml|bin)\.rels|(worksheets/)?sheet[^/]*\.(xml|bin))"
        )
        return {
            name: archive.read(info) for name, info in entries.items() if pattern.fullmatch(name)
        }
    except Exception as error:  # a damaged archive
        raise InvalidInput("invalid_table") from error


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _refuse_ole(data: bytes) -> None:
    lower = data.lower()  # some write WORKBOOK

    def holds(name: str) -> bool:
        return name.lower().encode("utf-16-le") in lower

    if holds("EncryptedPackage"):
        raise InvalidInput("invalid_table_password")
    if holds("WordDocument") or holds("PowerPoint Document"):
        raise InvalidInput("invalid_table_document")
    if not (holds("Workbook") or holds("Book")):
        raise InvalidInput("invalid_table")


def _refuse_zip(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> None:
    names = set(entries)
    if any(info.flag_bits & 1 for info in entries.values()):
        raise InvalidInput("invalid_table_password")
    if "mimetype" in names and entries["mimetype"].file_size < 200:
        kind = archive.read(entries["mimetype"])
        code = "invalid_table_ods" if b"spreadsheet" in kind else "invalid_table_document"
        raise InvalidInput(code)
    if any(name.startswith("index/") and name.endswith(".iwa") for name in names):
        raise InvalidInput("invalid_table_numbers")
    if any(name.startswith(("word/", "ppt/")) for name in names):
        raise InvalidInput("invalid_table_document")
    if not any(name.startswith("xl/") or name == "workbook.xml" for name in names):
        raise InvalidInput("invalid_table_zip")


def _open(data: bytes, parts: Mapping[str, bytes]) -> Any:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        return CalamineWorkbook.from_filelike(io.BytesIO(data))
    except PasswordError:
        raise InvalidInput("invalid_table_password") from None
    except CalamineError as error:
        if not parts:
            raise InvalidInput("invalid_table") from error
    return _call(CalamineWorkbook.from_filelike, io.BytesIO(_without_styles(data)))


def _call(function: Any, *args: Any, **options: Any) -> Any:
    """What a function of calamine gives.

    Raises:
        InvalidInput: it raised, or a part of it in Rust broke off (invalid_table).
    """
    try:
        return function(*args, **options)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # Rust's PanicException is no Exception
        raise InvalidInput("invalid_table") from error


def _without_styles(data: bytes) -> bytes:
    """The same workbook with a blank table of styles in place of one that cannot be read."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as new,
    ):
        for info in old.infolist():
            styles = _plain(info.filename) == "xl/styles.xml"
            try:
                new.writestr(info.filename, _STYLES if styles else old.read(info))
            except Exception as error:
                raise InvalidInput("invalid_table") from error
    return file.getvalue()


def _targets(parts: Mapping[str, bytes]) -> dict[str, str]:
    """The part of each sheet by the sheet's name."""
    relations: dict[str, str] = {}
    book = next((name for name in parts if re.search(r"(^|/)workbook\.(xml|bin)$", name)), "")
    folder, _, file = book.rpartition("/")
    for tag in re.findall(
        rb"<(?:\w+:)?Relationship\s[^>]*>",
        parts.get(posixpath.join(folder, "_rels", f"{file}.rels"), b""),
    ):
        values = _attributes(tag)
        target = posixpath.normpath(
            posixpath.join(folder, values.get("Target", "").replace("\\", "/"))
        )
        relations[values.get("Id", "")] = _plain(target)
    if file.endswith(".bin"):
        return {name: relations.get(id_, "") for id_, name in _binary_sheets(parts[book])}
    sheets = re.findall(rb"<(?:\w+:)?sheet\s[^>]*>", parts.get(book, b""))
    return {
        values.get("name", ""): relations.get(values.get("id", ""), "")
        for values in map(_attributes, sheets)
    }


def _attributes(tag: bytes) -> dict[str, str]:
    """A tag's attributes by their names without a prefix."""
    text = tag.decode("utf-8", errors="replace")
    pairs = re.findall(r"(?:\w+:)?(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", text)
    return {name: html.unescape(double or single) for name, double, single in pairs}


def _records(part: bytes) -> Iterator[tuple[int, bytes]]:
    """The records of a part of an XLSB: (kind, content). Source: [MS-XLSB], section 2.1.4."""
    at = 0
    while at + 1 < len(part):
        kind, at = part[at], at + 1
        if kind & 0x80:
            kind, at = kind & 0x7F | (part[at] & 0x7F) << 7, at + 1
        size = 0
        for shift in (0, 7, 14, 21):
            byte = part[at] if at < len(part) else 0
            size, at = size | (byte & 0x7F) << shift, at + 1
            if not byte & 0x80:
                break
        yield kind, part[at : at + size]
        at += size


def _binary_sheets(part: bytes) -> Iterator[tuple[str, str]]:
    """(relation, name) of an XLSB's sheets."""
    for kind, content in _records(part):
        if kind == _BUNDLE_SHEET:
            middle = 12 + 2 * int.from_bytes(content[8:12], "little")
            texts = content[12:middle], content[middle + 4 :]
            relation, name = (text.decode("utf-16-le", errors="replace") for text in texts)
            yield relation, name


def _walk(part: bytes) -> tuple[int, tuple[int, ...]]:
    """Of an XLSB's sheet: cells of the rectangle to its last value, and the rows with an error."""
    row = last_row = last_column = 0
    errors: dict[int, None] = {}
    for kind, content in _records(part):
        number = int.from_bytes(content[:4], "little")
        if kind == _ROW_HEADER:
            row = number + 1
        elif kind in _CELLS:
            last_row, last_column = max(last_row, row), max(last_column, number + 1)
            if kind in _ERROR_CELLS:
                errors[row] = None
    return last_row * last_column, tuple(errors)


def _refuse_vast(part: bytes, extent: int) -> None:
    """Refuse a sheet whose values lie so far apart that the rectangle around them has no room.

    Args:
        part: XML, where `extent` is 0.
        extent: cells of the rectangle, where they are counted.
    """
    if max(extent, _extent(part) if not extent else 0) <= MAX_CELLS:
        return
    full_cells = b"".join(cell[0] for cell in _CELL.finditer(part) if _VALUE.search(cell[2] or b""))
    if max(extent, _extent(full_cells)) > MAX_CELLS:
        raise InvalidInput("invalid_table_vast", limit=MAX_CELLS // 1_000_000)


def _extent(part: bytes) -> int:
    columns = max(map(_column_number, set(_COLUMN.findall(part))), default=1)
    return columns * max(map(int, set(_ROW.findall(part))), default=1)


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _without_value(part: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The numbers of the rows with a formula that has no value, and of those with an error."""
    no_value: dict[int, None] = {}
    errors: dict[int, None] = {}
    if not _FORMULA.search(part) and b't="e"' not in part:
        return (), ()
    row = 0
    for match in _ROW_OR_CELL.finditer(part):
        row_attributes, attributes, body = match.groups()
        if row_attributes is not None:
            number = re.search(rb'\br="(\d+)"', row_attributes)
            row = int(number[1]) if number else row + 1
        elif b't="e"' in attributes:
            errors[row] = None
        elif body and _FORMULA.search(body) and not _VALUE.search(body) and not _is_blank(match):
            no_value[row] = None
    return tuple(no_value), tuple(errors)


def _is_blank(cell: re.Match[bytes]) -> bool:
    """Whether the stored value is a text of no letters."""
    return b't="str"' in cell[2] and b"<v" in cell[3]


def _text(cell: object) -> str:
    """A cell as Excel shows it, but for its number format."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        number = float(f"{cell:.15g}")  # Excel has no more digits
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(" ", timespec="seconds")
    return str(cell).replace("\r\n", "\n").replace("\r", "\n")
