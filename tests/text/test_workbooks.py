"""Workbooks as programs write them, and what is named like one but is something else."""

import base64
import io
import struct
import zipfile
import zlib

import pytest
from openpyxl import Workbook

from models.errors import InvalidInput
from models.text.tables import read_table
from models.text.workbooks import read_sheet

ROWS = [["id", "review"], ["1", "The hotel was lovely"], ["2", "Dirty room"]]
STRICT = ("http://schemas.openxmlformats.org/", "http://purl.oclc.org/ooxml/")


def book(*sheets, **states):
    """A workbook of sheets of rows, as bytes."""
    result = Workbook()
    result.remove(result.active)
    for number, rows in enumerate(sheets):
        sheet = result.create_sheet(f"Sheet{number}")
        sheet.sheet_state = states.get(sheet.title, "visible")
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    result.save(file)
    return file.getvalue()


def alter(data, rename=lambda name: name, **parts):
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


def common_strings(*texts):
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
    assert read_sheet(alter(book(ROWS), **change)).rows == ROWS


def test_a_part_in_another_case_is_found():
    data = common_strings("<t>review</t>", "<t>Fine</t>")
    assert read_sheet(data).name == "A & B"
    other_file = alter(data, rename=lambda name: name.replace("sharedS", "SharedS"))
    assert read_sheet(other_file).rows == [["review"], ["Fine"]]


def test_escaped_letters_are_decoded():
    text = "<t>One._x000D_\nTwo_x0009_tab _x005F_x000D_</t>"
    assert read_sheet(common_strings("<t>review</t>", text)).rows[1] == ["One.\nTwo\ttab _x000D_"]


def test_rich_text_is_one_text_and_its_reading_aid_none():
    text = '<r><t>東</t></r><r><t>京</t></r><rPh sb="0" eb="2"><t>トウキョウ</t></rPh>'
    assert read_sheet(common_strings("<t>review</t>", text)).rows[1] == ["東京"]


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

    def without_compression(part):
        part = part.replace(b"<f>A2</f><v />", b"<f>A2</f><v>Great</v>")
        part = part.replace(b"<f>A2</f><v></v>", b"<f>A2</f><v>Great</v>")
        part = part.replace(b'<c r="B2">', b'<c r="B2" t="str">')
        part = part.replace(b'<c r="B5"><f>A5</f><v />', b'<c r="B5" t="str"><f>A5</f><v></v>')
        return part.replace(b'<c r="B5"><f>A5</f><v></v>', b'<c r="B5" t="str"><f>A5</f><v></v>')

    path.write_bytes(alter(data, sheet1=without_compression))
    table = read_table(path)
    assert table.column("review") == ["Great", "", "", ""]
    assert [(f.line, f.code) for f in table.mends] == [(3, "no_value"), (4, "error_value")]


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
        (alter(book(ROWS), sheet1=lambda _: b"<worksheet"), "invalid_table"),
    ],
)
def test_what_is_no_workbook_is_told_apart(tmp_path, data, code):
    path = tmp_path / "file.xlsx"
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as problem:
        read_table(path)
    assert problem.value.code == code


# An XLS of two sheets, the first blank, as xlwt 1.3 writes it.
XLS = zlib.decompress(
    base64.b85decode(
        "c-rk)O=uHQ5dLQKAJR0biO>oq6s%f{C|-JLqoUS}rFv0B(A4H2EvW=AdeCYO2qFl2QM?p-"
        "=_OVuYO#olmK=l@g$ja@=&>h3!9$yM-egzP7@>h$th{e|^JeGG?3<mL_x5LQHk==Q*i=9Ty5K<3^ub*wBW^zXBm^EeO~u;1"
        "mz$}vuHf@>BHb=Lt$X89IaK*Bz`%s_1ykS?x05)Bo}pASwuaazJ|sx_&`D0NJp=c-"
        "1<@#eH3&T;bc4_bqB|{gk4SC`?PT3Noxp6or>(=P<Ksq)j0Kqz9*fNfk?cYgIaSA(Z&69tg}v#siNSw!pxGI~7&vp?$y73("
        "7|bKWDICK$GX{LM*Xr|_manax!1C|Q<(?|?+lCVuhIyJ)A!gu5!66BzL(eh@AnH<Q2ECf!nO(#Vu(mYTzCPVC&)ww2_>2Q|"
        "Be(zcof$W1;pHSVenfL~Q+~B!%K{HATi|t4_5r5-"
        "s24sg#UJ7=d~y8C+rxdm@lzrhmQB5c&B|ApxS}lBI9Tz>XcLR=La)kIHwoV)G{PmzeQR&jVh)ao&NUfr<#~1s-"
        "o>|+@mrbCEF5{#ocSEz#(cKBa50j7A0I^vKZ^R<UL7N7r*^t`S79n{_hfAnAB8slwqbM`4S1v&-"
        "Y$M&^<qYUjG3fZbk|$Vyhh0K-L&2b>aip-"
        "1II(5bf%(1mOfSJUo!k63rk#;KK+cQ(l@H;8=~*G^h?oq*f~VC9BOE2XlQ6?XlPUgSudgv>%+ojz3zIf|2j+DiuyOne~Y6S"
        ";^RDjmL5Qg`!p`pR6iTxBKumjLL2*kp~5kqJ&ghMi5~+s*DrsrQ2G6=*f6wuOQ_cQi?#Uqm*@Who5cBT"
    )
)


def test_an_xls_is_read():
    rows = [["번호", "내용"], ["1", "좋아요"], ["2", "싫어요\n정말"]]
    assert (read_sheet(XLS).rows, read_sheet(XLS).name) == (rows, "후기")
    assert b"W\0o\0r\0k\0b\0o\0o\0k\0" in XLS
    loud = XLS.replace("Workbook".encode("utf-16-le"), "WORKBOOK".encode("utf-16-le"))
    assert read_sheet(loud).rows == rows


def xlsb(*cells):
    """A workbook of one sheet in Excel's binary form; cells are (row, column, text, or None for #N/A)."""

    def record(kind, *pieces):
        content = b"".join(p if isinstance(p, bytes) else struct.pack("<I", p) for p in pieces)
        head = bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])
        size, length = b"", len(content)
        while length > 127:
            size, length = size + bytes([length & 127 | 128]), length >> 7
        return head + size + bytes([length]) + content

    def text(value):
        return struct.pack("<I", len(value)) + value.encode("utf-16-le")

    rows, last = b"", -1
    for row, column, value in cells:
        if row != last:
            rows, last = rows + record(0, row, bytes(21)), row
        rows += (
            record(3, column, 0, b"\x2a") if value is None else record(6, column, 0, text(value))
        )
    sheet = record(129) + record(148, 0, 9, 0, 9) + record(145) + rows + record(146) + record(130)
    sheets = record(143) + record(156, 0, 1, text("rId1"), text("후기")) + record(144)
    relation = f'<Relationship Id="rId1" Type="{KINDS}/worksheet" Target="worksheets/sheet1.bin"/>'
    return archive(
        **{
            "xl/workbook.bin": record(131) + sheets + record(132),
            "xl/_rels/workbook.bin.rels": f'<Relationships xmlns="{RELATIONS}">{relation}</Relationships>',
            "xl/worksheets/sheet1.bin": sheet,
        }
    )


def test_an_xlsb_is_read_and_its_errors_are_named():
    sheet = read_sheet(xlsb((0, 0, "글"), (1, 0, "좋아요"), (2, 0, None), (3, 0, "별로")))
    assert (sheet.name, sheet.errors) == ("후기", (3,))
    assert [row[0] for row in sheet.rows] == ["글", "좋아요", "", "별로"]


def test_an_xlsb_with_cells_far_apart_is_not_laid_out():
    with pytest.raises(InvalidInput) as problem:
        read_sheet(xlsb((0, 0, "글"), (1_048_575, 16_383, "x")))
    assert problem.value.code == "invalid_table_vast"


def test_parts_outside_of_a_folder_are_found():
    data = alter(book(ROWS), rename=lambda name: name.replace("xl/", ""), rels=_in_no_folder)
    assert read_sheet(alter(data, Content_Types=_in_no_folder)).rows == ROWS


def _in_no_folder(part):
    return part.replace(b"/xl/", b"/").replace(b'"xl/', b'"')


def test_numbers_have_excels_fifteen_digits():
    assert read_sheet(book([["n"], [0.1 + 0.2], [1e-7], [22.219999999999999]])).rows[1:] == [
        ["0.3"],
        ["1e-07"],
        ["22.22"],
    ]


def test_a_csv_named_xlsx_is_read(tmp_path):
    path = tmp_path / "file.xlsx"
    path.write_bytes(b"id,review\n1,Fine\n")
    assert read_table(path).column("review") == ["Fine"]


def test_cells_far_apart_are_not_laid_out():
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    with pytest.raises(InvalidInput) as problem:
        read_sheet(alter(book(ROWS), sheet1=lambda part: part.replace(b"</sheetData>", far)))
    assert problem.value.code == "invalid_table_vast"
    blank = far.replace(b"<v>1</v>", b"")
    data = alter(book(ROWS), sheet1=lambda part: part.replace(b"</sheetData>", blank))
    assert read_sheet(data).rows == ROWS
