"""Workbooks as programs write them, and what is named like one but is something else."""

import io
import zipfile

import pytest
from openpyxl import Workbook

from models.errors import InvalidInput
from models.text.tables import read_table
from models.text.workbooks import read_sheet

ROWS = [["id", "review"], ["1", "The hotel was lovely"], ["2", "Dirty room"]]
STRICT = ("http://schemas.openxmlformats.org/", "http://purl.oclc.org/ooxml/")


def book(*sheets, **states):
    """A workbook of sheets of rows, as bytes."""
    made = Workbook()
    made.remove(made.active)
    for number, rows in enumerate(sheets):
        sheet = made.create_sheet(f"Sheet{number}")
        sheet.sheet_state = states.get(sheet.title, "visible")
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def altered(data, rename=lambda name: name, **parts):
    """The same archive with other names of parts, and parts put through functions by a word of theirs."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for word, change in parts.items():
                if word in name:
                    content = change(content)
            new.writestr(rename(name), content)
    return file.getvalue()


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def shared(*texts):
    """A workbook of one column whose texts, as XML, are in a part of their own."""

    def relations(*pairs):
        tags = (
            f'<Relationship Id="r{n}" Type="{KINDS}/{kind}" Target="{target}"/>'
            for n, (kind, target) in enumerate(pairs)
        )
        return f'<Relationships xmlns="{RELATIONS}">{"".join(tags)}</Relationships>'

    rows = "".join(f'<row><c t="s"><v>{n}</v></c></row>' for n in range(len(texts)))
    strings = "".join(f"<si>{text}</si>" for text in texts)
    return archive(
        **{
            "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
            "xl/_rels/workbook.xml.rels": relations(
                ("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "sharedStrings.xml")
            ),
            "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{KINDS}"><sheets>'
            '<sheet name="A &amp; B" sheetId="1" r:id="r0"/></sheets></workbook>',
            "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{strings}</sst>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{rows}'
            "</sheetData></worksheet>",
        }
    )


def archive(**parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        {"rename": lambda name: name.replace("workbook.xml", "Workbook.xml")},
        {"rename": lambda name: name.replace("/", "\\") if name.startswith("xl/") else name},
        {"styles": lambda _: b"<styleSheet"},
        {"styles": lambda _: b""},
        {"styles": lambda part: part.replace(b'patternType="gray125"', b'patternType="wavy"')},
        {"xml": lambda part: part.replace(STRICT[0].encode(), STRICT[1].encode())},
        {"sheet1": lambda part: part.replace(b' r="A2"', b"").replace(b' r="B2"', b"")},
    ],
    ids=["case", "backslashes", "styles", "no styles", "odd fill", "strict", "no places"],
)
def test_what_excel_opens_is_read(change):
    assert read_sheet(altered(book(ROWS), **change)).rows == ROWS


def test_a_part_in_another_case_is_found():
    data = shared("<t>review</t>", "<t>Fine</t>")
    assert read_sheet(data).name == "A & B"
    moved = altered(data, rename=lambda name: name.replace("sharedS", "SharedS"))
    assert read_sheet(moved).rows == [["review"], ["Fine"]]


def test_escaped_letters_are_decoded():
    text = "<t>One._x000D_\nTwo_x0009_tab _x005F_x000D_</t>"
    assert read_sheet(shared("<t>review</t>", text)).rows[1] == ["One.\nTwo\ttab _x000D_"]


def test_rich_text_is_one_text_and_its_reading_aid_none():
    text = '<r><t>東</t></r><r><t>京</t></r><rPh sb="0" eb="2"><t>トウキョウ</t></rPh>'
    assert read_sheet(shared("<t>review</t>", text)).rows[1] == ["東京"]


def test_the_first_visible_sheet_with_cells_is_read_and_others_can_be_chosen(tmp_path):
    path = tmp_path / "file.xlsx"
    lookup = [["code", "meaning"], ["A", "first"]]
    path.write_bytes(book(lookup, [], ROWS, Sheet0="hidden"))
    table = read_table(path)
    assert (table.sheet, table.sheets) == ("Sheet2", ("Sheet1", "Sheet2", "Sheet0"))
    assert table.column("review") == ["The hotel was lovely", "Dirty room"]
    assert read_table(path, sheet="Sheet0").column("meaning") == ["first"]


def test_a_formula_gives_its_stored_value_and_one_without_is_named(tmp_path):
    path = tmp_path / "file.xlsx"
    data = book([["a", "review"], ["x", "=A2"], ["y", "=A3"], ["z", "#N/A"], ["w", "=A5"]])

    def stored(part):
        part = part.replace(b"<f>A2</f><v />", b"<f>A2</f><v>Great</v>")
        part = part.replace(b"<f>A2</f><v></v>", b"<f>A2</f><v>Great</v>")
        part = part.replace(b'<c r="B2">', b'<c r="B2" t="str">')
        part = part.replace(b'<c r="B5"><f>A5</f><v />', b'<c r="B5" t="str"><f>A5</f><v></v>')
        return part.replace(b'<c r="B5"><f>A5</f><v></v>', b'<c r="B5" t="str"><f>A5</f><v></v>')

    path.write_bytes(altered(data, sheet1=stored))
    table = read_table(path)
    assert table.column("review") == ["Great", "", "", ""]
    assert [(f.line, f.code) for f in table.mended] == [(3, "no_value"), (4, "error_value")]


def test_numbers_dates_and_truths_are_text_as_excel_shows_it(tmp_path):
    import datetime

    path = tmp_path / "file.xlsx"
    path.write_bytes(book([["a", "b", "c", "d"], [7, 2.5, datetime.date(2026, 1, 5), True]]))
    assert read_table(path).rows == (("7", "2.5", "2026-01-05", "TRUE"),)


def test_titles_above_the_table_are_skipped_by_name(tmp_path):
    path = tmp_path / "file.xlsx"
    path.write_bytes(book([["Customer reviews 2026"], [], *ROWS]))
    table = read_table(path)
    assert (table.columns, table.lines) == (("id", "review"), (4, 5))
    assert [(f.line, f.code) for f in table.faults] == [(1, "title")]


def ole(stream):
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + stream.encode("utf-16-le")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (ole("EncryptedPackage"), "invalid_table_password"),
        (ole("WordDocument"), "invalid_table_document"),
        (
            archive(mimetype="application/vnd.oasis.opendocument.spreadsheet"),
            "invalid_table_ods",
        ),
        (archive(**{"word/document.xml": "<x/>"}), "invalid_table_document"),
        (archive(readme="hello"), "invalid_table_zip"),
        (b"<html><body><table><tr><td>1</td></tr></table>", "invalid_table_html"),
        (b'<?xml version="1.0"?><Workbook/>', "invalid_table_xml"),
        (b"PK\x03\x04 not a zip", "invalid_table"),
        (book(ROWS)[:2000], "invalid_table"),
        (altered(book(ROWS), sheet1=lambda _: b"<worksheet"), "invalid_table"),
    ],
)
def test_what_is_no_workbook_is_told_apart(tmp_path, data, code):
    path = tmp_path / "file.xlsx"
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as problem:
        read_table(path)
    assert problem.value.code == code


def test_a_csv_named_xlsx_is_read(tmp_path):
    path = tmp_path / "file.xlsx"
    path.write_bytes(b"id,review\n1,Fine\n")
    assert read_table(path).column("review") == ["Fine"]


def test_cells_far_apart_are_not_laid_out():
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    with pytest.raises(InvalidInput) as problem:
        read_sheet(altered(book(ROWS), sheet1=lambda part: part.replace(b"</sheetData>", far)))
    assert problem.value.code == "invalid_table_vast"
    blank = far.replace(b"<v>1</v>", b"")
    data = altered(book(ROWS), sheet1=lambda part: part.replace(b"</sheetData>", blank))
    assert read_sheet(data).rows == ROWS
