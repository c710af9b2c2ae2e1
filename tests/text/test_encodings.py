"""The encoding of a text is found by how it reads, and what is damaged is marked, never refused."""

import pytest

from models.errors import InvalidInput
from models.text.encodings import ENCODINGS, decode, decode_text, possible_encodings, readings
from models.text.tables import read_table

# Short tables as people have them; each reads as something else in another encoding too.
TEXTS = {
    "cp949": "번호,후기\n1,배송이 빠르고 좋아요\n2,별로예요\n",
    "johab": "번호,후기\n1,배송이 빠르고 좋아요\n2,별로예요\n",
    "iso2022_kr": "번호,후기\n1,배송이 빠르고 좋아요\n2,별로예요\n",
    "utf_7": "번호,후기\n1,배송이 빠르고 좋아요\n2,1+2=3, a+b-c\n",
    "hz": "id,text\n0,酒店位置很好，房间干净\n1,太差了\n",
    "mac_latin2": "id,opinia\n1,Świetny hotel, polecam każdemu, naprawdę\n2,Brudny pokój i zła obsługa\n",
    "cp850": "Nr;Text\n1;Sehr schön und größer als gedacht\n2;Übel, schäbig\n",
    "cp932": "番号,感想\n1,とても良い映画でした\n2,眠ってしまいました\n",
    "euc_jis_2004": "番号,感想\n1,とても良い映画でした\n2,眠ってしまいました\n",
    "iso2022_jp_2": "番号,感想\n1,とても良い映画でした\n2,眠ってしまいました\n",
    "gb18030": "id,text\n0,酒店位置很好，房间干净\n1,太差了\n",
    "big5hkscs": "編號,評論\n1,旅館的服務非常好\n2,等了一個小時還是沒人理\n",
    "cp1250": "id,opinia\n1,Świetny hotel, polecam\n2,Brudny pokój i zła obsługa\n",
    "cp1251": "номер;отзыв\n1;Очень понравилось\n2;Ужасно\n",
    "koi8_r": "номер;отзыв\n1;Очень понравилось\n2;Ужасно\n",
    "cp866": "номер;отзыв\n1;Очень понравилось\n2;Ужасно\n",
    "cp1252": "id;avis\n1;Très bon hôtel\n2;Déçu, ça ne marche pas\n",
    "mac_roman": "id;avis\n1;Très bon hôtel\n2;Déçu, ça ne marche pas\n",
    "cp1253": "id,κριτική\n1,Πολύ καλό ξενοδοχείο\n2,Άσχημο φαγητό\n",
    "cp1254": "id,yorum\n1,Çok güzel bir otel\n2,Kötü hizmet, bir daha gelmeyeceğim\n",
    "cp1255": "id,ביקורת\n1,מלון מצוין\n2,השירות היה גרוע\n",
    "cp1256": "id,رأي\n1,فندق رائع جدا\n2,الخدمة سيئة\n",
    "cp874": "id,รีวิว\n1,โรงแรมดีมาก\n2,บริการแย่\n",
    "utf_8": "글\n좋아요\n",
    "utf_16_le": "感想\nとても良い映画でした\n",
    "utf_16_be": "글,라벨\n좋아요,1\n",
    "utf_32_le": "글,라벨\n좋아요,1\n",
    "utf_32_be": "글,라벨\n좋아요,1\n",
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_the_encoding_is_found_without_a_mark(encoding):
    result = decode_text(TEXTS[encoding].encode(encoding))
    assert (result.text, result.encoding) == (TEXTS[encoding], encoding)
    assert encoding in possible_encodings(TEXTS[encoding].encode(encoding))


def test_plain_ascii_is_no_escaped_text():
    for text in ("call +821012345678\n+12345678 too", "a ~{b} c~", "x+y-z, 1+1-2\n"):
        assert decode_text(text.encode()).encoding == "utf_8"
        assert decode(text.encode()) == text


def test_korean_of_single_letters_is_read_and_asked():
    result = decode_text("ㅋㅋㅋ\nㅠㅠ\n".encode("cp949"))
    assert (result.text, result.near) == ("ㅋㅋㅋ\nㅠㅠ\n", ("euc_jis_2004",))


def test_files_that_were_joined_are_read_line_by_line(tmp_path):
    path = tmp_path / "file.csv"
    ours, theirs = "글,n\n좋아요 정말,1\n", "나쁨이에요,2\n별로예요 정말,3\n"
    for data in (
        ours.encode() + theirs.encode("cp949"),
        ours.encode() * 5 + theirs.encode("cp949"),
        ours.encode("cp949") * 5 + theirs.encode(),
    ):
        path.write_bytes(data)
        table = read_table(path)
        assert table.column("글")[-2:] == ["나쁨이에요", "별로예요 정말"]
        assert {f.code for f in table.mends} == {"mixed"}
        assert decode(data).endswith(theirs)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbf" + "글\n좋아요 정말\n".encode("cp949"), "글\n좋아요 정말\n"),
        ("글\n좋\ud83d아\n".encode("utf-8", "surrogatepass"), "글\n좋\ufffd아\n"),
        ("가\nb".encode() + b"\xc0\x80c\n", "가\nbc\n"),  # Java's NUL
        (b"good\n" * 9 + "요".encode()[:2], "good\n" * 9 + "\ufffd"),
        ("글,n\n가,1\n".encode("cp949") + bytes(500), "글,n\n가,1\n"),
    ],
)
def test_marks_and_halves_of_letters_cost_no_text(data, text):
    assert decode(data) == text


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_decides_and_is_no_part_of_the_text(codec):
    assert decode(TEXTS["utf_8"].encode(codec)) == TEXTS["utf_8"]


@pytest.mark.parametrize(
    ("text", "codec", "reading"),
    [
        ("id;text\n1;Schön, über 80 €\n", "cp1252", "id;text\n1;Schön, über 80 €\n"),
        (
            "id,review\n1,It’s “fine” – not more\n",
            "cp1252",
            "id,review\n1,It’s “fine” – not more\n",
        ),
        ("id,reseña\n1,¡Qué asco!\n2,mañana\n", "cp1252", "id,reseña\n1,¡Qué asco!\n2,mañana\n"),
        ("review\nサービスが最高\n", "cp932", "review\nサービスが最高\n"),
    ],
)
def test_few_letters_are_enough(text, codec, reading):
    assert decode(text.encode(codec)) == reading


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("感想,n\nよかったです,1\nとてもよかった,2\n", "euc_jis_2004"),
        ("n,感想\n1,とてもよかったです\n2,よかった\n", "cp932"),
        ("text\n좋아요\n좋아요\n좋아요\n좋아요\n", "cp949"),
        ("text\n很好\n很好\n很好\n很好\n很好\n", "gb18030"),
        ("text\n很好\n很好\n很好\n很好\n很好\n", "big5hkscs"),
    ],
)
def test_few_different_letters_are_enough(text, encoding):
    result = decode_text(text.encode(encoding))
    assert (result.text, result.near) == (text, ())


def test_two_that_read_alike_are_named_with_a_line_as_each_reads_it():
    data = "номер;отзыв\n1;Очень понравилось\n".encode("mac_cyrillic")
    result = decode_text(data)
    names = {result.encoding, *result.near}
    assert {"mac_cyrillic", "cp1251"} <= names
    assert "1;Очень понравилось" in readings(data, ["cp1251", "mac_cyrillic"])
    assert decode_text(data, "mac_cyrillic").text == "номер;отзыв\n1;Очень понравилось\n"
    assert decode_text(TEXTS["gb18030"].encode("gb18030")).near == ()


@pytest.mark.parametrize("encoding", ["utf_8", "cp949", "gb18030", "big5hkscs", "euc_jis_2004"])
def test_a_damaged_byte_is_marked_and_the_rest_is_read(encoding):
    line = {
        "gb18030": "服务态度太差",
        "big5hkscs": "旅館的服務非常好，下次還會再來",
        "euc_jis_2004": "とても良い映画",
    }
    text = line.get(encoding, "품질이 정말 좋아요")
    good = f"{text}\n".encode(encoding)
    data = good * 20 + text.encode(encoding)[:-1] + b"\n" + good * 20
    result = decode_text(data)
    assert result.encoding == encoding
    lines = result.text.split("\n")
    assert lines[:20] == [text] * 20
    assert lines[20].startswith(text[:-1])
    assert "\N{REPLACEMENT CHARACTER}" in result.text
    assert lines[-2] == text


def test_a_file_cut_within_its_last_letter_is_read():
    assert decode("글\n정말 좋아요".encode()[:-1]) == "글\n정말 좋아\N{REPLACEMENT CHARACTER}"
    assert decode("글\n좋아요".encode("utf-16")[:-1])[:4] == "글\n좋아"


def test_letters_in_surrogates_are_joined():
    halves = "재밌어요 😀".encode("utf-16-le")
    cesu = "".join(
        chr(int.from_bytes(halves[i : i + 2], "little")) for i in range(0, len(halves), 2)
    ).encode("utf-8", "surrogatepass")
    assert cesu != "재밌어요 😀".encode()
    assert decode(cesu) == "재밌어요 😀"


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"%PDF-1.7\n",
        bytes(range(256)) * 4,
    ],
)
def test_what_is_no_text_is_said(data):
    with pytest.raises(InvalidInput) as problem:
        decode(data)
    assert problem.value.code == "invalid_not_text_file"


def test_rows_that_were_damaged_are_named(tmp_path):
    path = tmp_path / "file.csv"
    rows = [f"{n},It’s a “lovely” place".encode() for n in range(1, 6)]
    rows[2] = b"3,price 5\xa0 only \xe2\x80\x94 fine"
    rows[4] = b"5,broke\0\0 now"
    path.write_bytes(b"id,review\n" + b"\n".join(rows) + b"\n")
    table = read_table(path)
    assert table.column("review")[4] == "broke now"
    assert table.column("review")[2] == "price 5\N{REPLACEMENT CHARACTER} only — fine"
    assert [(f.line, f.code) for f in table.mends] == [(4, "damaged"), (6, "nul")]


def test_an_encoding_is_chosen_by_the_reader(tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes(TEXTS["gb18030"].encode("gb18030"))
    assert read_table(path).encoding == "gb18030"
    assert read_table(path, encoding="cp949").column("text")[0] != "酒店位置很好，房间干净"
    assert read_table(path, encoding="cp949").encoding == "cp949"
    assert len(set(ENCODINGS)) == len(ENCODINGS) >= 30
