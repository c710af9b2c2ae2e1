"""The column with text is found by its content, not by its place or length."""

import pytest

from models.text.tables import read_table
from tabs.shared.table_input import _value, likely_column, preview_html, table

TABLES = {
    "short reviews beside longer labels": (
        "id,review,label\n1,Great film,positive\n2,Bad,negative\n3,So so,neutral\n4,Loved it,positive",
        "review",
    ),
    "labels first, text last": (
        "label,id,글\n긍정,1,정말 좋아요\n부정,2,별로예요\n긍정,3,최고!",
        "글",
    ),
    "one word a text": (
        "label,text\npositive,great\nnegative,awful\npositive,nice\nnegative,boring",
        "text",
    ),
    "addresses and codes are longer than the text": (
        "url,code,comment\nhttps://example.org/a/very/long/address?x=1,9f8e7d6c5b4a39281706f5e4,Fine.\n"
        "https://example.org/another/very/long/address?x=2,0a1b2c3d4e5f60718293a4b5,I like it",
        "comment",
    ),
    "a product's name repeats": (
        "product,review\nWireless headphones with noise cancelling,Too loud\n"
        "Wireless headphones with noise cancelling,Good bass\n"
        "Wireless headphones with noise cancelling,Broke soon\n"
        "Wireless headphones with noise cancelling,Fine for me",
        "review",
    ),
    "dates and blanks": (
        "date,note\n12 March 2020,\n13 March 2020,We went home early today\n14 March 2020,",
        "note",
    ),
    "nothing but numbers": ("a,b\n1,2\n3,4", "a"),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_column_with_text(tmp_path, name):
    content, column = TABLES[name]
    path = tmp_path / "table.csv"
    path.write_text(content, encoding="utf-8")
    assert likely_column(read_table(path)) == column


def test_a_preview_says_how_the_file_was_read_and_shows_five_rows(tmp_path):
    path = tmp_path / "table.csv"
    lines = ["My report", "", "id,글", *(f"{n},배송이 빠르고 좋아요 <{n}>" for n in range(1, 9))]
    path.write_bytes("\n".join(lines).encode("cp949"))
    page = preview_html(str(path), read_table(path))
    assert "Korean (CP949, EUC-KR), cells end at a comma: 8 rows, 2 columns." in page
    assert "한국어(CP949, EUC-KR)로 읽었어요(칸은 쉼표로 나뉨). 8행, 2열" in page
    assert page.count("<tr><td") == 5
    assert "&lt;5&gt;" in page
    assert "&lt;6&gt;" not in page
    assert "Skipped, because the table begins below them: rows 1." in page


def test_a_preview_asks_where_two_encodings_are_near(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("номер;отзыв\n1;Очень понравилось\n".encode("mac_cyrillic"))
    page = preview_html(str(path), read_table(path))
    assert "Which line reads right?" in page
    assert "Cyrillic (Windows-1251)" in page
    assert "<q>1;Очень понравилось</q>" in page
    path.write_bytes("번호,후기\n1,배송이 빠르고 좋아요\n".encode("cp949"))
    assert "Which line" not in preview_html(str(path), read_table(path))


def test_a_choice_holds_for_its_file_only(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("номер;отзыв\n1;Очень понравилось\n".encode("mac_cyrillic"))
    wrong = _value(str(path), "cp1251")
    assert table(str(path), "", True, None, wrong, "")[0].encoding == "cp1251"
    other = tmp_path / "other.csv"
    other.write_bytes(path.read_bytes())
    read, column = table(str(other), "", True, "отзыв", wrong, "")
    assert (read.encoding, read.column(column)) == ("mac_cyrillic", ["Очень понравилось"])
