"""Labelled sentences out of a file: which columns, what is left out, what is no such file."""

import pytest
from openpyxl import Workbook

from models.errors import InvalidInput
from models.text.tables import read_table
from tabs.sentiment.teach import examples_of
from tabs.sentiment.teach.examples_file import columns_choice, has_header, lines_of

SENTENCES = [
    ("불만", "택배가 아직도, 그러니까 오늘도 안 왔어요."),
    ("칭찬", "가방이 너무 예뻐서 자꾸 보게 돼요."),
    ("칭찬", "다음에도 여기서 살게요. 최고예요."),
]


def test_a_csv_fills_the_lines_from_its_two_columns(tmp_path):
    path = tmp_path / "file.csv"
    rows = [f'{n},"{text}",{label}' for n, (label, text) in enumerate(SENTENCES)]
    path.write_bytes("\n".join(["no,글,라벨", *rows, "9,,칭찬", "1,2,3,4"]).encode("cp949"))
    lines, note = lines_of(path)
    result = examples_of("\n".join(lines))
    assert [(one["label"], one["text"]) for one in result] == SENTENCES
    assert "뺀 행은 2개" in note


def test_an_xlsx_without_names_loses_no_row(tmp_path):
    book = Workbook()
    for label, text in SENTENCES:
        book.active.append([text, f"{label}: 가게"])
    book.active.append(["또 하나의 긴 문장이 여기에 있어요.", "불만: 가게"])
    book.save(tmp_path / "file.xlsx")
    result = examples_of("\n".join(lines_of(tmp_path / "file.xlsx")[0]))
    assert len(result) == 4
    assert {one["label"] for one in result} == {"불만 가게", "칭찬 가게"}


def test_lines_as_they_are_written_on_the_page_stay(tmp_path):
    path = tmp_path / "file.txt"
    content = [f"{label}: {text}" for label, text in SENTENCES]
    path.write_text("\n\n".join(content), encoding="utf-16")
    assert lines_of(path)[0] == content


@pytest.mark.parametrize("content", ["text\none\ntwo\n", "text,label\none,x\ntwo,x\n"])
def test_a_file_without_labels_is_refused(tmp_path, content):
    path = tmp_path / "file.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput) as problem:
        lines_of(path)
    assert problem.value.code == "teach_no_labels"


def test_a_person_says_which_columns_and_whether_there_are_names(tmp_path):
    path = tmp_path / "file.csv"
    rows = ["id,title,long text,kind,mood", "1,one,a long text of many words,x,good"]
    rows += ["2,two,another long text of words,y,bad", "3,three,and the last long text,x,good"]
    path.write_text("\n".join(rows), encoding="utf-8")
    assert lines_of(path, True, "title", "mood")[0] == ["good: one", "bad: two", "good: three"]
    assert len(lines_of(path, False, "column 2", "column 5")[0]) == 4
    with pytest.raises(InvalidInput) as problem:
        lines_of(path, True, "title", "title")
    assert problem.value.code == "teach_one_column"


def test_a_table_of_many_labels_is_offered_without_a_guess(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("\n".join(["text,label", *(f"text {n},{n}" for n in range(200))]), "utf-8")
    sentences, labels = columns_choice(str(path), True)
    assert (sentences["value"], labels["value"]) == ("text", None)
    assert labels["choices"] == ["text", "label"]
    assert has_header(read_table(path))
