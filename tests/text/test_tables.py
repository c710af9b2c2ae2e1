"""Tables out of any file: encodings, ragged rows, formulas, bombs; and CSVs that are safe to open."""

import csv
import time
import zipfile

import pytest

from models.errors import InvalidInput
from models.text.encodings import decode
from models.text.tables import harmless, read_lines, read_table, write_csv

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


def test_an_xlsx_that_unpacks_to_too_much_is_not_opened(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 201_000_000)
    with pytest.raises(InvalidInput) as error:
        read_table(path)
    assert error.value.code == "invalid_table_bomb"
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("data", [b"PK\x03\x04 not a zip", b"", b"only,a,head\n"])
def test_what_is_no_table_is_said(tmp_path, data):
    path = tmp_path / "file.xlsx"
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as error:
        read_table(path)
    assert error.value.code in {
        "invalid_table",
        "invalid_table_empty",
        "invalid_table_only_names",
    }


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


def test_a_quote_that_nothing_closes_is_text_and_costs_no_row(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(
        'id,text\n1,"two\nlines"\n2,"never closed\n3,plain\n4,"quoted, closed"\n5,"say ""hi"""\n'
        '6,say "hi"\n7,"loose" end\n8,"open to the end\n9,last\n',
        encoding="utf-8",
    )
    table = read_table(path)
    assert table.faults == ()
    assert {f.line for f in table.mends if f.code == "loose_quote"} == {3, 9}
    assert dict(table.rows) == {
        "1": "two\nlines",
        "2": '"never closed',
        "3": "plain",
        "4": "quoted, closed",
        "5": 'say "hi"',
        "6": 'say "hi"',
        "7": '"loose" end',
        "8": '"open to the end',
        "9": "last",
    }


def test_quotes_that_nothing_closes_are_read_in_good_time(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("id,text\n" + 'x",",c\n' * 50_000, encoding="utf-8")
    began = time.process_time()
    table = read_table(path)
    assert time.process_time() - began < 10
    assert len(table.rows) + len(table.faults) == 50_000


# ---------------------------------------------------------------- as the world writes them

# name -> (file, columns, rows, what is said of rows as (line, code))
FILES = {
    "Excel's own line names the delimiter": (
        "sep=;\r\nid;review;stars\r\n1;Lovely, really;5\r\n2;Dirty;1\r\n",
        ("id", "review", "stars"),
        (("1", "Lovely, really", "5"), ("2", "Dirty", "1")),
        [],
    ),
    "that line in quotes, and a delimiter at each end": (
        '"sep=;"\r\nid;review;\r\n1;Lovely;\r\n2;Dirty, rude;\r\n',
        ("id", "review"),
        (("1", "Lovely"), ("2", "Dirty, rude")),
        [],
    ),
    "R's header is one name short": (
        'review\tlabel\n"1"\tI loved it\tpos\n"2"\tCold\tneg\n',
        ("column 1", "review", "label"),
        (("1", "I loved it", "pos"), ("2", "Cold", "neg")),
        [],
    ),
    "pandas' first column has no name": (
        ",review\n0,Good\n1,Bad\n",
        ("column 1", "review"),
        (("0", "Good"), ("1", "Bad")),
        [],
    ),
    "titles above the table": (
        "[Shop] Reviews\nExported: 2026-03-01 09:12\n\ndate,review\n"
        '1,"Works, boils fast"\n2,Leaks\n3,Fine\n4,Good\n',
        ("date", "review"),
        (("1", "Works, boils fast"), ("2", "Leaks"), ("3", "Fine"), ("4", "Good")),
        [(1, "title"), (2, "title")],
    ),
    "more titles than rows": (
        "Report\nBy: me\nVersion: 3\n\nid,review\n1,Good\n2,Bad\n",
        ("id", "review"),
        (("1", "Good"), ("2", "Bad")),
        [(1, "title"), (2, "title"), (3, "title")],
    ),
    "a title as wide as the table, a blank row below it": (
        "Report,2024,Q1\n\ntext,stars,note\nGood,5,a\nBad,1,b\n",
        ("text", "stars", "note"),
        (("Good", "5", "a"), ("Bad", "1", "b")),
        [(1, "title")],
    ),
    "keys and values above the table, without a blank row": (
        "Station: Seoul\nFrom: 2020,To: 2021\ntext,stars,note\nGood,5,a\nBad,1,b\n",
        ("text", "stars", "note"),
        (("Good", "5", "a"), ("Bad", "1", "b")),
        [(1, "title"), (2, "title")],
    ),
    "comments above the table": (
        "# made by hand\n# for all, and none\ntext,stars\nGood,5\nBad,1\n",
        ("text", "stars"),
        (("Good", "5"), ("Bad", "1")),
        [(1, "title"), (2, "title")],
    ),
    "years above the names": (
        ",2020,,2021,\ntext,a,b,c,d\nGood,1,2,3,4\nBad,1,2,3,4\n",
        ("text", "a", "b", "c", "d"),
        (("Good", "1", "2", "3", "4"), ("Bad", "1", "2", "3", "4")),
        [(1, "title")],
    ),
    "a row of units is a row": (
        "text,weight\n(words),(kg)\nGood,1\nBad,2\n",
        ("text", "weight"),
        (("(words)", "(kg)"), ("Good", "1"), ("Bad", "2")),
        [],
    ),
    "thousands without quotes": (
        "내용,가격\n좋아요,1,234\n싫어요,12,000원\n",
        ("내용", "가격"),
        (("좋아요", "1,234"), ("싫어요", "12,000원")),
        [(2, "joined"), (3, "joined")],
    ),
    "R's numbers are no thousands": (
        "mpg,hp\nMazda,21,110\nFord,18,200\n",
        ("column 1", "mpg", "hp"),
        (("Mazda", "21", "110"), ("Ford", "18", "200")),
        [],
    ),
    "a first row without its number is no header": (
        "name,score\n\nKim,n/a\nLee,5\nPark,6\n",
        ("name", "score"),
        (("Kim", "n/a"), ("Lee", "5"), ("Park", "6")),
        [],
    ),
    "texts in quotes with commas, and no more": (
        '"Comment, please"\n"Good, nice"\n"Bad, awful"\n',
        ("Comment, please",),
        (("Good, nice",), ("Bad, awful",)),
        [],
    ),
    "texts in single quotes": (
        "text,label\n'Good, cheap',1\n'Bad, dear',0\n",
        ("text", "label"),
        (("Good, cheap", "1"), ("Bad, dear", "0")),
        [],
    ),
    "a blank before the first quote": (
        'text,label\n "Good, cheap",1\n "Bad, dear",0\n',
        ("text", "label"),
        (("Good, cheap", "1"), ("Bad, dear", "0")),
        [],
    ),
    "each row in quotes": (
        '"text,label"\n"Good,1"\n"""Bad, dear"",0"\n',
        ("text", "label"),
        (("Good", "1"), ("Bad, dear", "0")),
        [],
    ),
    "a backslash before a comma": (
        "text,label\nGood\\,cheap,1\nBad\\,dear,0\nFine,1\n",
        ("text", "label"),
        (("Good,cheap", "1"), ("Bad,dear", "0"), ("Fine", "1")),
        [],
    ),
    "paths end with a backslash": (
        "path,label\nC:\\a\\,1\nD:\\b\\,0\n",
        ("path", "label"),
        (("C:\\a\\", "1"), ("D:\\b\\", "0")),
        [],
    ),
    "quotes within quotes as they are": (
        'text,label\n"He said "hi" to me",1\n"She said "no, thanks" again",0\n',
        ("text", "label"),
        (('He said "hi" to me', "1"), ('She said "no, thanks" again', "0")),
        [],
    ),
    "tabs, and quotes that are text": (
        'text\tlabel\n"Nice film\t1\nGood"\t0\n"Fine"\t1\n',
        ("text", "label"),
        (('"Nice film', "1"), ('Good"', "0"), ("Fine", "1")),
        [(2, "loose_quote")],
    ),
    "Excel's way to keep zeros": (
        'id,text\n="007",Good\n="008",Bad\n',
        ("id", "text"),
        (("007", "Good"), ("008", "Bad")),
        [],
    ),
    "a table in Markdown": (
        "| text | label |\n|------|:-----:|\n|Good|1|\n|Bad|0|\n",
        ("text", "label"),
        (("Good", "1"), ("Bad", "0")),
        [],
    ),
    "DOS's end of a file, and a block that was filled up": (
        "text,label\nGood,1\nBad,0\n\x1a" + "\0" * 60,
        ("text", "label"),
        (("Good", "1"), ("Bad", "0")),
        [],
    ),
    "a title that blank cells make wide": (
        "My report,,\n,,\nid,review,label\n1,Good,pos\n2,Bad,neg\n",
        ("id", "review", "label"),
        (("1", "Good", "pos"), ("2", "Bad", "neg")),
        [(1, "title")],
    ),
    "a backslash before a quote": (
        '"id","review"\n"1","The sign said \\"closed\\", but it was open"\n"2","a \\n b"\n',
        ("id", "review"),
        (("1", 'The sign said "closed", but it was open'), ("2", "a \\n b")),
        [],
    ),
    "a backslash at the end of a cell": (
        'id,path\n1,"C:\\temp\\"\n2,"D:\\x"\n',
        ("id", "path"),
        (("1", "C:\\temp\\"), ("2", "D:\\x")),
        [],
    ),
    "one column with bare commas": (
        "review\nGood, cheap, fast.\nI like it\nNever again, sorry.\n",
        ("review",),
        (("Good, cheap, fast.",), ("I like it",), ("Never again, sorry.",)),
        [],
    ),
    "one comma in each row of one column": (
        "review\nGood, cheap\nBad, dirty\n",
        ("review",),
        (("Good, cheap",), ("Bad, dirty",)),
        [],
    ),
    "bare commas in one of several columns": (
        "id,review,stars\n1,Good, cheap, fast,5\n2,Fine,3\n3,Bad,1\n",
        ("id", "review", "stars"),
        (("1", "Good, cheap, fast", "5"), ("2", "Fine", "3"), ("3", "Bad", "1")),
        [(2, "joined")],
    ),
    "a blank after each comma": (
        'id, review\n1, "Good, cheap"\n2, "Bad"\n',
        ("id", "review"),
        (("1", "Good, cheap"), ("2", "Bad")),
        [],
    ),
    "decimal commas": (
        "id;score\n1;2,5\n2;3,5\n",
        ("id", "score"),
        (("1", "2,5"), ("2", "3,5")),
        [],
    ),
    "fewer names than columns": (
        "a,b\n1,2,3,4\n5,6,7,8\n",
        ("a", "b", "column 3", "column 4"),
        (("1", "2", "3", "4"), ("5", "6", "7", "8")),
        [],
    ),
    "two files joined": (
        "\ufeffreview,label\nGood,pos\n\ufeffreview,label\nBad,neg\n",
        ("review", "label"),
        (("Good", "pos"), ("Bad", "neg")),
        [(3, "repeated_header")],
    ),
    "lines that end at CR": (
        'id,review\r1,Good\r2,"two\rlines"\r',
        ("id", "review"),
        (("1", "Good"), ("2", "two\rlines")),
        [],
    ),
    "characters that some take for the end of a line": (
        "id,review\n1,a\u2028b\x85c\x0bd\x0ce\u2029f\x1cg\n2,x\n",
        ("id", "review"),
        (("1", "a\u2028b\x85c\x0bd\x0ce\u2029f\x1cg"), ("2", "x")),
        [],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_tables_as_the_world_writes_them(tmp_path, name):
    content, columns, rows, notes = FILES[name]
    path = tmp_path / "file.csv"
    path.write_bytes(content.encode())
    table = read_table(path)
    assert (table.columns, table.rows) == (columns, rows)
    assert [(f.line, f.code) for f in (*table.faults, *table.mends)] == notes
    assert table.row_names == name.startswith("R's ")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("text,label\n", "invalid_table_only_names"),
        ('[{"text": "Good", "label": 1}]', "invalid_table_json"),
        ('{"text": "Good", "label": 1}\n{"text": "Bad", "label": 0}\n', "invalid_table_json"),
        ("{\\rtf1\\ansi text,label}", "invalid_table_document"),
    ],
)
def test_what_is_no_table_says_what_it_is(tmp_path, text, code):
    path = tmp_path / "file.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as problem:
        read_table(path)
    assert problem.value.code == code
    assert read_table(path, header=False).rows if code == "invalid_table_only_names" else True


def test_lines_end_at_line_ends_only(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("One\u2028still one.\r\nTwo\x0btab.\rThree\x85here.\n", newline="")
    lines = ["One\u2028still one.", "Two\x0btab.", "Three\x85here."]
    assert read_table(path).column("text") == lines
    assert read_lines(path.read_bytes().decode()).column("text") == lines


def test_columns_beyond_the_limit_are_said_and_the_rows_stay(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(",".join(f"c{n}" for n in range(250)) + "\n" + ",".join("x" * 250) + "\n")
    table = read_table(path)
    assert (len(table.columns), len(table.rows[0]), table.too_wide) == (200, 200, True)


def test_a_large_table_is_read_in_good_time(tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes(("id,글\n" + "1,배송이 빠르고 좋아요\n" * 100_000).encode("cp949"))
    began = time.process_time()
    table = read_table(path)
    assert (len(table.rows), table.encoding, table.near) == (100_000, "cp949", ())
    assert time.process_time() - began < 10
