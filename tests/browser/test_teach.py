"""Teach it as a visitor uses it: an example, fine-tuning, a sentence, save and load again."""

import pytest
from playwright.sync_api import Page, expect
from safetensors.torch import load

from tests.browser.conftest import open_tab

LONG = 120_000  # milliseconds: the first use of an encoder loads it


def open_teach(page: Page) -> None:
    open_tab(page, "sentiment")
    page.locator("#tab-sentiment-teach-button").click()
    expect(page.locator("#teach-start")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "example", "sentence", "label"),
    [
        ("en-US", "complaint", "My order is broken and nobody helps me.", "complaint"),
        ("ko-KR", "불만", "정말 예쁘고 마음에 들어요!", "칭찬"),
    ],
)
def test_a_visitor_teaches_tries_saves_and_loads(
    open_page, tmp_path, locale, example, sentence, label
):
    page = open_page(locale)
    open_teach(page)
    page.locator("#teach-examples button, #teach-examples td", has_text=example).first.click()
    expect(page.locator("#teach-result .example-note")).to_have_count(0, timeout=LONG)
    expect(page.locator("#teach-result")).to_contain_text("%")
    page.fill("#teach-try input, #teach-try textarea", sentence)
    page.click("#teach-use")
    expect(page.locator("#teach-said .bar").first).to_contain_text(label, timeout=LONG)
    with page.expect_download() as download:
        page.click("#teach-save")
    path = tmp_path / "classifier.safetensors"
    download.value.save_as(path)
    assert set(load(path.read_bytes())) == {"head.weight", "head.bias"}
    page.reload()
    expect(page.locator("#tab-sentiment-button")).to_be_visible()
    open_teach(page)
    with page.expect_file_chooser() as chooser:
        page.click("#teach-load")
    chooser.value.set_files(path)
    expect(page.locator("#teach-result")).to_contain_text(label)
    page.fill("#teach-try input, #teach-try textarea", sentence)
    page.click("#teach-use")
    expect(page.locator("#teach-said .bar").first).to_contain_text(label, timeout=LONG)


def test_fine_tuning_shows_its_loss_and_stops(open_page):
    page = open_page()
    open_teach(page)
    lines = [f"warm: It is {word} today." for word in ("hot", "sunny", "boiling", "mild")]
    lines += [f"cold: It is {word} today." for word in ("icy", "freezing", "frosty", "chilly")]
    page.fill("#teach-examples-text textarea", "\n".join(lines))
    page.click("#teach-tune")
    expect(page.locator("#teach-result .example-note")).to_have_count(0, timeout=LONG)
    expect(page.locator("#teach-result .teach-table")).to_be_visible(timeout=LONG)
    expect(page.locator("#teach-loss")).to_be_visible()
    page.fill("#teach-examples-text textarea", "\n".join(line + "!" for line in lines))
    page.click("#teach-tune")
    page.click("#teach-stop")
    expect(page.locator("#teach-status")).to_contain_text("Stopped")


def test_a_line_without_a_label_costs_nothing(open_page):
    page = open_page("ko-KR")
    open_teach(page)
    text = "불만: 택배가 안 와요.\n라벨 없는 줄\n칭찬: 좋아요."
    page.fill("#teach-examples-text textarea", text)
    page.click("#teach-start")
    expect(page.locator("#teach-problem")).to_contain_text("2번째 줄")
    expect(page.locator("#teach-examples-text textarea")).to_have_value(text)


def test_a_file_gives_the_columns_that_a_visitor_chooses(open_page, tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes("글,종류,비고\n너무 비싸요,불만,가\n정말 좋아요,칭찬,나\n".encode("cp949"))
    page = open_page("ko-KR", width=390)
    open_teach(page)
    page.fill("#teach-examples-text textarea", "문의: 언제 오나요?")
    with page.expect_file_chooser() as chooser:
        page.click("#teach-fill")
    chooser.value.set_files(path)
    expect(page.locator("#teach-fill-column input")).to_have_value("글")
    page.locator("#teach-fill-label input").click()
    page.get_by_role("option", name="비고").click()
    page.click("#teach-fill-add")
    expect(page.locator("#teach-examples-text textarea")).to_have_value(
        "문의: 언제 오나요?\n가: 너무 비싸요\n나: 정말 좋아요"
    )
    expect(page.locator("#teach-filled")).to_contain_text("비고")
    expect(page.locator("#teach-fill-add")).to_be_hidden()
