"""The column with text is found by its content, not by its place or length."""

import pytest

from models.text.tables import read_table
from tabs.shared.table_input import likely_column

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
