"""Tables out of any file: encodings, ragged rows, formulas, bombs; and CSVs that are safe to open."""

import csv
import time
import zipfile

import pytest
from openpyxl import Workbook

from models.errors import InvalidInput
from models.text.tables import decode, harmless, read_lines, read_table, write_csv

TEXT = "text,label\n정말 재미있어요,긍정\n지루해요,부정\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp949"])
def test_encodings_are_recognised(tmp_path, encoding):
    path = tmp_path / "file.csv"
    path.write_bytes(TEXT.encode(encoding))
    table = read_table(path)
    assert table.columns == ("text", "label")
    assert table.column("text") == ["정말 재미있어요", "지루해요"]
    assert table.lines == (2, 3)


def test_western_text_is_recognised_too():
    assert "café" in decode(("un café très agréable, où l'on mange bien\n" * 20).encode("cp1252"))


@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_delimiters_are_recognised(tmp_path, mark):
    path = tmp_path / "file.csv"
    path.write_text(f'a{mark}b\n"one{mark} and more"{mark}2\n', encoding="utf-8")
    assert read_table(path).rows == ((f"one{mark} and more", "2"),)


def test_a_text_file_is_lines_unless_it_holds_tabs(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("Well, yes.\nNo, never.\n", encoding="utf-8")
    assert read_table(path).rows == (("Well, yes.",), ("No, never.",))
    path.write_text("id\ttext\n1\tWell, yes.\n", encoding="utf-8")
    assert read_table(path).column("text") == ["Well, yes."]


def test_ragged_rows_are_filled_or_named_and_the_rest_is_done(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("a,b\n1\n1,2,3\n\n=cmd,4\n" + "x" * 30_000 + ",5\n", encoding="utf-8")
    table = read_table(path)
    assert table.rows == (("1", ""), ("=cmd", "4"))
    assert [(f.line, f.code) for f in table.faults] == [(3, "too_many_cells"), (6, "too_long")]


def test_lines_and_files_without_names():
    table = read_lines("good\n\nbad, very")
    assert (table.columns, table.rows, table.lines) == (
        ("text",),
        (("good",), ("bad, very",)),
        (1, 3),
    )


def test_a_file_without_a_head_row_has_numbered_columns(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("good,1\nbad,0\n", encoding="utf-8")
    table = read_table(path, header=False)
    assert (table.columns, len(table.rows)) == (("column 1", "column 2"), 2)


def test_the_sheet_of_an_xlsx_is_read_and_formulas_stay_text(tmp_path):
    book = Workbook()
    book.active.append(["text", "label"])
    book.active.append(["=HYPERLINK(1)", 1])
    book.active.append(["지루해요", None])
    book.save(tmp_path / "file.xlsx")
    table = read_table(tmp_path / "file.xlsx")
    assert table.columns == ("text", "label")
    assert table.rows == (("=HYPERLINK(1)", "1"), ("지루해요", ""))


def test_an_xlsx_that_unpacks_to_too_much_is_not_opened(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 201_000_000)
    with pytest.raises(InvalidInput) as told:
        read_table(path)
    assert told.value.code == "invalid_table_bomb"
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("data", [b"PK\x03\x04 not a zip", b"", b"only,a,head\n"])
def test_what_is_no_table_is_said(tmp_path, data):
    path = tmp_path / "file.xlsx"
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as told:
        read_table(path)
    assert told.value.code in {"invalid_table", "invalid_table_empty"}


def test_columns_are_named_once(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("a,a,\n1,2,3\n", encoding="utf-8")
    names = read_table(path).columns
    assert len(set(names)) == len(names)


def test_more_rows_than_allowed_are_cut_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr("models.text.tables.MAX_ROWS", 5)
    table = read_lines("\n".join("abcdefgh"))
    assert (len(table.rows), table.cut) == (5, True)


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\tx", "\rx"])
def test_cells_that_would_compute_are_made_harmless(cell):
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-5", "+3.5", "-1,000", "good = bad", "", "3 - 2"])
def test_other_cells_stay(cell):
    assert harmless(cell) == cell


def test_a_written_csv_has_its_mark_and_reads_back(tmp_path):
    path = tmp_path / "out.csv"
    write_csv(path, ["글", "=x"], [['좋아요, "정말"', 0.5], ["=cmd", -1]])
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["글", "'=x"], ['좋아요, "정말"', "0.5"], ["'=cmd", "-1"]]


def test_a_quote_that_nothing_closes_costs_its_own_row(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(
        'id,text\n1,"two\nlines"\n2,"never closed\n3,plain\n4,"quoted, closed"\n5,"say ""hi"""\n'
        '6,say "hi"\n7,"loose" end\n8,"open to the end\n9,last\n',
        encoding="utf-8",
    )
    table = read_table(path)
    assert [(f.line, f.code) for f in table.faults] == [
        (3, "unclosed_quote"),
        (9, "unclosed_quote"),
    ]
    assert dict(table.rows) == {
        "1": "two\nlines",
        "3": "plain",
        "4": "quoted, closed",
        "5": 'say "hi"',
        "6": 'say "hi"',
        "7": "loose end",
        "9": "last",
    }


def test_quotes_that_nothing_closes_are_read_in_good_time(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("id,text\n" + 'x",",c\n' * 50_000, encoding="utf-8")
    began = time.process_time()
    table = read_table(path)
    assert time.process_time() - began < 10
    assert len(table.rows) + len(table.faults) == 50_000
