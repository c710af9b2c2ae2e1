"""The similarity tab beyond two sentences: many, and search with a file up and a CSV down."""

import csv
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import open_tab

LONG = 90_000  # milliseconds: the first use of a model loads it


def rows_of(page: Page, button: str) -> list[list[str]]:
    """The CSV behind a download button."""
    with page.expect_download() as download:
        page.click(button)
    with download.value.path().open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(("locale", "example"), [("en-US", 0), ("ko-KR", 1)])
def test_many_sentences_are_grouped_and_downloaded(open_page, locale, example):
    page = open_page(locale)
    open_tab(page, "sentence_similarity")
    page.click("#tab-sentence_similarity-many-button")
    page.locator("#many-examples button").nth(example).click()
    expect(page.locator("#many-result svg circle").first).to_be_visible(timeout=LONG)
    rows = rows_of(page, "#many-download")
    assert rows[0] == ["number", "sentence", "group", "1", "2", "3", "4", "5"]
    assert [len(row) for row in rows] == [8] * 6
    assert float(rows[1][3]) == pytest.approx(1, abs=1e-3)
    assert float(rows[1][4]) > float(rows[1][7]), "the paraphrase is nearer than the stock market"


@pytest.mark.parametrize(
    ("locale", "encoding", "query", "hit"),
    [
        ("en-US", "utf-8", "get my money back", "I want a refund."),
        ("ko-KR", "cp949", "강아지가 뛰어놀아요.", "개가 마당에서 뛰어요."),
    ],
)
def test_a_file_is_searched_and_the_hits_are_downloaded(
    open_page, tmp_path, locale, encoding, query, hit
):
    path = tmp_path / "lines.csv"
    path.write_bytes(
        f"no,text\n1,{hit}\n2,=cmd|calc\n3,The stock market fell.\n4,a,b\n".encode(encoding)
    )
    page = open_page(locale)
    open_tab(page, "sentence_similarity")
    page.click("#tab-sentence_similarity-search-button")
    page.set_input_files("#search-upload input[type=file]", path)
    expect(page.locator("#search-column input")).to_have_value("text")
    expect(page.locator("#search-result .example-note:visible")).to_have_count(1)
    page.fill("#search-query textarea", query)
    page.click("#search-start")  # the vectors are computed by themselves
    expect(page.locator("#search-status")).to_contain_text(
        re.compile("lines in|밀리초"), timeout=LONG
    )
    expect(page.locator("#search-result tbody tr").first).to_contain_text(hit)
    rows = rows_of(page, "#search-download")
    assert rows[0] == ["line", "cosine", "text"]
    assert rows[1][0] == "2"
    assert rows[1][2] == hit
    assert "'=cmd|calc" in {row[2] for row in rows}


def test_a_file_that_cannot_be_read_is_an_error_and_nothing_is_lost(open_page, tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04 not a zip")
    page = open_page("ko-KR")
    open_tab(page, "sentence_similarity")
    page.click("#tab-sentence_similarity-search-button")
    page.fill("#search-lines textarea", "고양이")
    page.set_input_files("#search-upload input[type=file]", tmp_path / "a.xlsx")
    expect(page.locator("#search-preview")).to_contain_text("표로 읽을 수 없")
    expect(page.locator("#search-lines textarea")).to_have_value("고양이")


def test_example_data_for_the_search_is_one_click_away(open_page):
    page = open_page("ko-KR")
    open_tab(page, "sentence_similarity")
    page.click("#tab-sentence_similarity-search-button")
    page.locator("#search-examples .examples-ko button").click()
    expect(page.locator("#search-status")).to_contain_text("밀리초", timeout=LONG)
    expect(page.locator("#search-result tbody tr")).to_have_count(10)
    expect(page.locator("#search-result .quiet")).to_contain_text("한국어")


@pytest.mark.parametrize(
    ("locale", "example", "words"), [("en-US", 0, "English"), ("ko-KR", 3, "한국어")]
)
def test_several_encoders_stand_side_by_side(open_page, locale, example, words):
    page = open_page(locale)
    open_tab(page, "sentence_similarity")
    page.locator("#sentence_similarity-also input").click()
    average = "plain average" if locale == "en-US" else "단순 평균"
    for name in (f"GenLab Words ({words}), {average}", "all-MiniLM-L6-v2, CLS"):
        page.locator("#sentence_similarity-also input").fill(name)
        page.get_by_role("option", name=name).click()
    page.keyboard.press("Escape")
    page.locator("#sentence_similarity-examples button").nth(example).click()
    expect(page.locator("#sentence_similarity-result .example-note")).to_have_count(0, timeout=LONG)
    rows = page.locator("#sentence_similarity-others tbody tr")
    expect(rows).to_have_count(3, timeout=LONG)
    for row in range(3):  # cosine, percentile, what unrelated pairs have, how often it is right
        expect(rows.nth(row).locator("td")).to_have_count(4)
        expect(rows.nth(row)).to_contain_text("%", timeout=LONG)
        expect(rows.nth(row)).not_to_contain_text("…", timeout=LONG)


@pytest.mark.parametrize(
    ("locale", "encoder"), [("en-US", "all-MiniLM-L6-v2"), ("ko-KR", "한국어")]
)
def test_a_cosine_comes_with_its_encoder_reference_pairs_and_other_encoders(
    open_page, locale, encoder
):
    page = open_page(locale)
    page.set_viewport_size({"width": 1280, "height": 800})
    open_tab(page, "sentence_similarity")
    language = locale[:2]
    result, others = (page.locator(f"#sentence_similarity-{n}") for n in ("result", "others"))
    for example in (True, False):  # before the first use, and after a click on an example
        expect(result.locator(".example-note:visible")).to_have_count(int(example), timeout=LONG)
        expect(result.locator(".quiet:visible").first).to_contain_text(encoder)
        expect(result.locator("table.plain:visible tbody tr")).to_have_count(4, timeout=LONG)
        rows = others.locator("table.plain:visible tbody tr")
        expect(rows).to_have_count(3 if language == "en" else 2, timeout=LONG)
        expect(rows.last).to_contain_text("%", timeout=LONG)
        boxes = page.locator(f"#sentence_similarity-examples .examples-{language} button").all()
        assert max(b.bounding_box()["y"] + b.bounding_box()["height"] for b in boxes) < 800
        boxes[0].click()
    lines = """cell => { const range = document.createRange(); range.selectNodeContents(cell);
        return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size; }"""
    cells = others.locator("td.tight:visible").all()
    assert cells
    assert all(cell.evaluate(lines) <= 1 for cell in cells), "no number is broken in two"
    assert page.locator("#tab-sentence_similarity-two .label-wrap:visible:not(.open)").count() <= 3


def test_an_experiment_and_an_empty_sentence(open_page):
    page = open_page("ko-KR")
    open_tab(page, "sentence_similarity")
    page.click("#sentence_similarity-two-try-swap")
    expect(page.locator("#sentence_similarity-result")).to_contain_text("동생이 형을", timeout=LONG)
    page.fill("#sentence_similarity-b textarea", " ")
    page.click("#sentence_similarity-start")
    expect(page.locator("#sentence_similarity-problem")).to_contain_text("칸")
    expect(page.locator("#sentence_similarity-result")).to_contain_text("동생이 형을")


def test_an_example_that_is_pressed_while_another_is_compared_is_not_lost(open_page):
    page = open_page()
    open_tab(page, "sentence_similarity")
    examples = page.locator("#sentence_similarity-examples .examples-en button")
    result = page.locator("#sentence_similarity-result .quoted").first
    for _ in range(3):
        examples.nth(0).click()
        expect(page.locator("#sentence_similarity-a textarea")).to_have_value(re.compile("guitar"))
        examples.nth(2).click()
        expect(result).to_have_text("The bank raised its interest rates.", timeout=LONG)


def test_a_double_click_is_one_run(open_page):
    page = open_page()
    open_tab(page, "sentence_similarity")
    page.locator("#sentence_similarity-examples .examples-en button").first.click()
    status = page.locator("#sentence_similarity-status")
    expect(status).to_contain_text("float32", timeout=LONG)
    runs = []
    page.on("request", lambda request: runs.append(1) if "queue/join" in request.url else None)
    page.click("#sentence_similarity-start")
    page.wait_for_timeout(1500)
    once = len(runs)
    page.dblclick("#sentence_similarity-start")
    page.wait_for_timeout(2500)
    assert len(runs) == 2 * once > 0


def test_a_large_heatmap_can_be_read_as_a_table(open_page):
    page = open_page("ko-KR", width=390)
    open_tab(page, "sentence_similarity")
    page.click("#tab-sentence_similarity-many-button")
    pets = [f"고양이 {n}마리가 소파에서 자요." for n in range(2, 9)]
    page.fill(
        "#many-lines textarea", "\n".join([*pets, *(f"주가가 {n}% 올랐어요." for n in range(2, 9))])
    )
    page.click("#many-start")
    table = page.locator("#many-result details")
    expect(table).to_be_visible(timeout=LONG)
    table.locator("summary").click()
    expect(table.locator("tbody tr")).to_have_count(14)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
