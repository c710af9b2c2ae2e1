"""The sentiment tab beyond one text: words, a file up and down, two models; in both languages."""

import csv
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import open_tab

LONG = 180_000  # milliseconds: the first use of a model loads it


@pytest.mark.parametrize(
    ("locale", "text", "word"),
    [
        ("en-US", "The acting is fine, but the story never comes alive.", "never"),
        ("ko-KR", "배우들 연기는 좋은데 이야기가 너무 지루해요.", "지루해요."),
    ],
)
def test_the_words_that_did_it_are_marked_with_their_sign(open_page, locale, text, word):
    page = open_page(locale)
    open_tab(page, "sentiment")
    example = page.locator("#sentiment-result:visible .example-note:visible")
    expect(example).to_have_count(1)
    page.fill("#sentiment-text textarea", text)
    page.click("#sentiment-start")
    expect(example).to_have_count(0, timeout=LONG)
    marks = page.locator("#sentiment-why-result .word-for", has_text=word)
    expect(marks).to_contain_text(re.compile(r"\+\d+"), timeout=LONG)
    expect(page.locator("#sentiment-why-result")).to_contain_text(
        "completeness error" if locale == "en-US" else "오차"
    )
    page.locator("#sentiment-python > button").click()
    expect(page.locator("#sentiment-recipe")).to_contain_text("LayerIntegratedGradients")
    page.locator("#sentiment-why-method label").last.click()
    expect(page.locator("#sentiment-why-result")).to_contain_text(
        "when that word alone is left out" if locale == "en-US" else "단어 하나만 뺐을 때",
        timeout=LONG,
    )


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_before_the_first_use_there_is_a_worked_example_and_examples_are_at_hand(open_page, locale):
    page = open_page(locale)
    page.set_viewport_size({"width": 1280, "height": 800})
    open_tab(page, "sentiment")
    language = locale[:2]
    result, lens = page.locator("#sentiment-result"), page.locator("#sentiment-why-result")
    expect(result.locator(f".in-{language} .bar:visible")).to_have_count(2)
    expect(lens.locator(".marked-words:visible")).to_have_count(1)
    expect(page.locator("#models-loaded")).not_to_contain_text("GenLab Sentiment (한국어)")
    boxes = [one.bounding_box() for one in page.locator("#sentiment-examples button").all()]
    assert (
        min(box["y"] for box in boxes)
        == (
            page.locator(f"#sentiment-examples .examples-{language} button").first.bounding_box()[
                "y"
            ]
        )
    )
    assert max(box["y"] + box["height"] for box in boxes) < 800
    sections = page.locator("#tab-sentiment-one .label-wrap:visible:not(.open)")
    assert sections.count() <= 3


def test_two_texts_are_read_side_by_side(open_page):
    page = open_page()
    open_tab(page, "sentiment")
    page.click("#sentiment-one-try-negation")
    quotes = page.locator("#sentiment-result .quoted")
    expect(quotes).to_have_text(["This film is not boring.", "This film is boring."], timeout=LONG)
    expect(page.locator("#sentiment-why-result .marked-words")).to_have_count(2, timeout=LONG)


def test_an_empty_text_is_said_at_the_field_and_the_old_result_stays(open_page):
    page = open_page("ko-KR")
    open_tab(page, "sentiment")
    page.click("#sentiment-start")
    expect(page.locator("#sentiment-problem")).to_contain_text("‘글’ 칸이 비어 있어요")
    expect(page.locator("#sentiment-result .bar:visible")).to_have_count(2)
    expect(page.locator(".toast-body")).to_have_count(0)


def test_a_korean_text_for_the_english_model_is_answered_with_a_warning(open_page):
    page = open_page("ko-KR")
    open_tab(page, "sentiment")
    page.click("#sentiment-model input")
    page.get_by_role("option", name="GenLab Sentiment (English)").click()
    page.fill("#sentiment-text textarea", "정말 재미있는 영화였어요")
    page.click("#sentiment-start")
    expect(page.locator("#sentiment-status")).to_contain_text("다른 언어(영어)", timeout=LONG)


def test_a_file_shows_its_first_rows_and_is_read_as_the_reader_chooses(open_page, tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_bytes("id,text\n0,酒店位置很好，房间干净\n1,服务态度太差了\n".encode("gb18030"))
    page = open_page()
    open_tab(page, "sentiment")
    page.locator("#tab-sentiment-file-button").click()
    page.set_input_files("#sentiment-file-upload input[type=file]", path)
    preview = page.locator("#sentiment-file-preview")
    expect(preview).to_contain_text("Simplified Chinese (GBK, GB18030)")
    expect(preview).to_contain_text("服务态度太差了")
    page.click("#sentiment-file-encoding input")
    page.get_by_role("option", name="Korean (CP949, EUC-KR)").click()
    expect(preview).to_contain_text("Read as Korean (CP949, EUC-KR)")
    expect(preview).not_to_contain_text("服务态度太差了")


@pytest.mark.parametrize(("locale", "encoding"), [("en-US", "utf-8"), ("ko-KR", "cp949")])
def test_a_file_goes_up_and_comes_down_with_its_columns(open_page, tmp_path, locale, encoding):
    path = tmp_path / "reviews.csv"
    path.write_bytes(
        "no,review,answer\n1,정말 재미있고 감동적인 영화였어요.,긍정\n2,I loved every minute.,긍정\n"
        "3,=cmd|calc,부정\n4,시간이 아까운 최악의 영화.,부정\n5,a,b,c,d\n".encode(encoding)
    )
    page = open_page(locale)
    open_tab(page, "sentiment")
    page.locator("#tab-sentiment-file-button").click()
    page.set_input_files("#sentiment-file-upload input[type=file]", path)
    expect(page.locator("#sentiment-file-column input")).to_have_value("review")
    expect(page.locator("#sentiment-file-truth input")).to_have_value("answer")
    page.click("#sentiment-file-start")
    expect(page.locator("#sentiment-file-status .note").first).to_be_visible(timeout=LONG)
    expect(page.locator("#sentiment-file-status")).to_contain_text("6")  # the row with five cells
    expect(page.locator("#sentiment-file-measured")).to_contain_text(
        "ECE" if locale == "ko-KR" else "calibration"
    )
    expect(page.locator("#sentiment-file-mapping textarea")).to_have_value(
        "긍정 = positive, 부정 = negative"
    )
    with page.expect_download() as download:
        page.click("#sentiment-file-download")
    with download.value.path().open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:5] == ["no", "review", "answer", "sentiment", "sentiment_score"]
    assert [row[3] for row in rows[1:]][::3] == ["positive", "negative"]
    assert rows[3][1] == "'=cmd|calc"
    assert len(rows) == 5


@pytest.mark.parametrize(
    ("locale", "second", "agreement"),
    [("en-US", "Second model", "They agree on"), ("ko-KR", "두 번째 모델", "답이 같아요")],
)
def test_pasted_lines_go_through_two_models(open_page, locale, second, agreement):
    page = open_page(locale)
    open_tab(page, "sentiment")
    page.locator("#tab-sentiment-two-button").click()
    page.fill("#sentiment-two-lines textarea", "정말 재미있어요\n=너무 지루해요")
    page.get_by_label(second).click()
    page.get_by_role("option", name="GenLab Sentiment (English)").click()
    page.click("#sentiment-two-start")
    expect(page.locator("#sentiment-two-status")).to_contain_text("(English)", timeout=LONG)
    expect(page.locator("#sentiment-two-result")).to_contain_text(agreement, timeout=LONG)
    with page.expect_download(timeout=LONG) as download:
        page.click("#sentiment-two-download")
    with download.value.path().open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == ["정말 재미있어요", "'=너무 지루해요"]
    assert [row["sentiment_1"] for row in rows] == ["positive", "negative"]
    for row in rows:
        assert (row["sentiment_1"] == row["sentiment_2"]) == (row["agree"] == "yes")
    assert rows[0]["sentiment_model_2"] == "genlab/sentiment-en"


def test_no_text_is_refused(open_page):
    page = open_page("ko-KR")
    open_tab(page, "sentiment")
    page.locator("#tab-sentiment-file-button").click()
    page.click("#sentiment-file-start")
    expect(page.locator("#sentiment-file-problem")).to_contain_text("아직 읽을 글이 없어요")
    expect(page.locator("#sentiment-file-result .bar:visible")).to_have_count(2)


@pytest.mark.parametrize(("locale", "at"), [("en-US", "en"), ("ko-KR", "ko")])
def test_example_data_for_a_file_is_one_click_away(open_page, locale, at):
    page = open_page(locale)
    open_tab(page, "sentiment")
    page.locator("#tab-sentiment-file-button").click()
    expect(page.locator("#sentiment-file-result .example-note:visible")).to_have_count(1)
    page.locator(f"#sentiment-file-examples .examples-{at} button").click()
    expect(page.locator("#sentiment-file-column input")).to_have_value("review")
    expect(page.locator("#sentiment-file-truth input")).to_have_value("label")
    expect(page.locator("#sentiment-file-result .example-note")).to_have_count(0, timeout=LONG)
    expect(page.locator("#sentiment-file-measured table.plain")).to_have_count(2, timeout=LONG)


def test_example_data_for_two_models_is_one_click_away(open_page):
    page = open_page("ko-KR")
    open_tab(page, "sentiment")
    page.locator("#tab-sentiment-two-button").click()
    expect(page.locator("#sentiment-two-result .example-note:visible")).to_have_count(1)
    page.locator("#sentiment-two-examples .examples-ko button").click()
    expect(page.locator("#sentiment-two-status")).to_contain_text("(한국어)", timeout=LONG)
    result = page.locator("#sentiment-two-result .in-ko").first
    expect(result).to_have_text(re.compile(r"^4개 중 \d개\(\d+%\)에서 답이 같아요\.$"))
    head = page.locator("#sentiment-two-result p").first.inner_text()
    assert "답이 같아요. 답이 갈린" in head
