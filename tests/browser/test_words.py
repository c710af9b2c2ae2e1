"""The Words part as a visitor uses it: questions, a training, files."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import open_tab

LONG = 90_000  # milliseconds: the first use of a model loads it


def open_words(page: Page) -> None:
    open_tab(page, "sentence_similarity")
    page.click("#tab-sentence_similarity-words-button")
    expect(page.locator("#words-start")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "example", "word"),
    [("en-US", 0, "tea"), ("en-US", 1, "mother"), ("ko-KR", 2, "노래")],
)
def test_the_starters_answer_at_one_click(open_page, locale, example, word):
    page = open_page(locale)
    open_words(page)
    page.locator("#words-examples button").nth(example).click()
    expect(page.locator("#words-status")).to_contain_text("float32", timeout=LONG)
    expect(page.locator("#words-result")).to_contain_text(word)


def test_a_map_is_shown_and_fits_a_narrow_page(open_page):
    page = open_page("ko-KR", width=390)
    open_words(page)
    page.locator("#words-examples .examples-ko button").last.click()
    expect(page.locator("#words-result svg text").first).to_be_visible(timeout=LONG)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_words_language_chooses_the_vectors(open_page):
    page = open_page("ko-KR")
    open_words(page)
    page.fill("#words-words textarea", "음악")
    page.click("#words-start")
    expect(page.locator("#words-status")).to_contain_text("한국어", timeout=LONG)
    expect(page.locator("#words-result .example-note:visible")).to_have_count(0)


def test_an_unknown_word_is_named(open_page):
    page = open_page("ko-KR")
    open_words(page)
    page.fill("#words-words textarea", "qwertyuiop")
    page.click("#words-start")
    expect(page.locator("#words-problem")).to_contain_text("qwertyuiop", timeout=LONG)
    expect(page.locator("#words-result .example-note:visible")).to_have_count(1)


def test_a_trained_model_is_saved_loaded_and_answers(open_page, tmp_path):
    page = open_page("ko-KR")
    open_words(page)
    page.click("#tab-sentence_similarity-word2vec-button")
    result = page.locator("#word2vec-result")
    expect(result.locator(".example-note:visible")).to_have_count(1)
    page.locator("#word2vec-examples .examples-ko button").last.click()
    expect(page.locator("#word2vec-status")).to_contain_text("Word2Vec", timeout=LONG)
    expect(result).to_contain_text("여왕이")
    expect(result).to_contain_text("시드만 2")
    assert result.inner_text().startswith("글이 너무 적어요"), "that is said first"
    expect(result.locator("svg.word-map text").first).to_be_visible()
    for suffix, button in ((".txt", "#word2vec-text"), (".safetensors", "#word2vec-safetensors")):
        with page.expect_download() as download:
            page.click(button)
        file = tmp_path / f"vectors{suffix}"
        download.value.save_as(file)
        with page.expect_file_chooser() as chooser:
            page.click("#word2vec-load")
        chooser.value.set_files(file)
        expect(page.locator("#word2vec-status")).to_contain_text("불러왔어요", timeout=LONG)
    page.click("#tab-sentence_similarity-words-button")
    page.locator("#words-source label").last.click()
    page.fill("#words-words textarea", "왕이")
    page.click("#words-start")
    expect(page.locator("#words-result")).to_contain_text("왕이", timeout=LONG)
    expect(page.locator("#words-status")).to_contain_text("Word2Vec")
    expect(page.locator("#words-result")).to_contain_text("내 벡터예요")


@pytest.mark.parametrize(
    ("locale", "word", "kind"), [("en-US", "king", "queen"), ("ko-KR", "왕", "여왕")]
)
def test_the_small_world_shows_what_training_changes(open_page, locale, word, kind):
    page = open_page(locale)
    open_words(page)
    page.click("#tab-sentence_similarity-word2vec-button")
    page.click("#sentence_similarity-word2vec-try-world")
    expect(page.locator("#word2vec-status")).to_contain_text("Word2Vec", timeout=LONG)
    result = page.locator("#word2vec-result")
    expect(page.locator("#word2vec-word_a textarea, #word2vec-word_a input").first).to_have_value(
        word
    )
    table = result.locator("table.plain").first
    expect(table.locator("td:nth-child(2)").first).not_to_be_empty()
    assert kind in table.locator("tr td:nth-child(2)").all_inner_texts().__str__()
    assert kind not in table.locator("tr td:nth-child(1)").all_inner_texts().__str__()
    expect(result.locator("figure.curve polyline")).to_have_count(1)
    expect(result).not_to_contain_text(
        "글이 너무 적어요" if locale == "ko-KR" else "Too little text"
    )
