"""What all tabs share: addresses, experiments as links, the way by keyboard and phone, Gradio's words."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import TABS, open_tab
from tests.conftest import start_server

LONG = 90_000  # milliseconds: the first use of a model loads it
TEXT = "#sentiment-text textarea"
TRY = "sentiment-one"


def at(page: Page, name: str) -> None:
    """Wait for an address, of a tab or of the part of it that is open."""
    expect(page).to_have_url(re.compile(rf"#{re.escape(name)}(\.\w+)?$"))


def open_inner(page: Page, tab: str, part: str) -> None:
    page.locator(f"#tab-{tab}-{part}-button:visible").click()


# ---------------------------------------------------------------- addresses


def test_back_and_forward_walk_the_tabs_and_a_reload_stays(open_page):
    page = open_page()
    at(page, "chat")
    open_tab(page, "sentiment")
    at(page, "sentiment.one")
    open_inner(page, "sentiment", "teach")
    at(page, "sentiment.teach")
    open_tab(page, "text_to_image")
    at(page, "text_to_image")
    page.go_back()
    at(page, "sentiment.teach")
    expect(page.locator("#tab-sentiment-teach")).to_be_visible()
    page.go_back()
    at(page, "sentiment.one")
    expect(page.locator(TEXT)).to_be_visible()
    page.go_forward()
    at(page, "sentiment.teach")
    page.reload()
    expect(page.locator("#tab-sentiment-teach")).to_be_visible()
    at(page, "sentiment.teach")


def test_a_reload_brings_text_and_dials_back_to_this_browser_tab_alone(open_page):
    page = open_page(query="#sentiment.one")
    page.fill(TEXT, "Kept & whole? 그래요 #1")
    page.wait_for_function("Object.keys(sessionStorage).includes('genlab.page.sentiment.one')")
    page.reload()
    expect(page.locator(TEXT)).to_have_value("Kept & whole? 그래요 #1")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(TEXT)).to_be_visible()
    other.wait_for_timeout(500)
    expect(other.locator(TEXT)).to_have_value("")


@pytest.mark.parametrize("address", ["#nowhere", "#sentiment.nowhere", "#%3Cscript%3E", "#a?b=c"])
def test_an_address_of_no_tab_opens_the_page(open_page, address):
    page = open_page(query=address)
    faults = []
    page.on("pageerror", lambda fault: faults.append(fault))
    expect(page).to_have_url(re.compile(r"#(chat|sentiment)(\.\w+)?$"))
    assert not faults


# ---------------------------------------------------------------- experiments


def test_a_first_visit_is_led_through_one_experiment_and_only_once(open_page):
    page = open_page("ko-KR", query="#sentiment.one")
    tour = page.locator(f"#{TRY}-try .tour")
    expect(tour).to_contain_text("처음 오셨나요?")
    tour.locator("[data-tour=begin]").click()
    expect(page.locator("#sentiment-status")).to_contain_text("float32", timeout=LONG)
    expect(page.locator(".look-here")).to_be_visible()
    tour.locator("[data-tour=next]").click()
    tour.locator("[data-tour=leave]:visible").click()
    expect(page.locator(".look-here")).to_have_count(0)
    page.reload()
    expect(page.locator(f"#{TRY}-try")).to_be_visible()
    expect(tour).to_be_hidden()


def test_the_guided_experiment_can_be_left_at_any_time(open_page):
    page = open_page(query="#sentiment.one")
    page.locator(f"#{TRY}-try [data-tour=begin]").click()
    page.keyboard.press("Escape")
    expect(page.locator(f"#{TRY}-try .tour")).to_be_hidden()
    assert page.evaluate("localStorage.getItem('genlab.tour')") == "seen"


def test_a_link_opens_the_same_settings_and_runs_nothing(open_page):
    page = open_page(query="#sentiment.one")
    page.fill(TEXT, "Good & bad? 50% #1 좋아요")
    page.click(f"#{TRY}-copy-link")
    link = page.locator(f"#{TRY}-try-note .link-text").input_value()
    assert len(link) <= 2000
    assert "#sentiment.one?" in link
    elsewhere = open_page("ko-KR", 390, query=link.partition("/?")[2].join(["?", ""]))
    expect(elsewhere.locator(TEXT)).to_have_value("Good & bad? 50% #1 좋아요")
    expect(elsewhere.locator(f"#{TRY}-try-note")).to_be_visible()
    expect(elsewhere.locator(".look-note:visible")).to_be_in_viewport()
    expect(elsewhere.locator(".look-note")).to_contain_text("came with a link")
    at(elsewhere, "sentiment.one")
    elsewhere.wait_for_timeout(500)
    expect(elsewhere.locator("#sentiment-status")).not_to_contain_text("float32")


def test_too_long_a_text_is_left_out_of_the_link_and_that_is_said(open_page):
    page = open_page(query="#sentiment.one")
    page.fill(TEXT, "가" * 400)
    page.click(f"#{TRY}-copy-link")
    note = page.locator(f"#{TRY}-try-note")
    expect(note).to_contain_text("left out")
    assert len(note.locator(".link-text").input_value()) <= 2000


def test_wrong_values_of_a_link_are_said_by_name_and_cost_nothing(open_page):
    page = open_page(query="?lang=ko#sentiment.one?text=Fine&method=magic&api_key=sk-1")
    expect(page.locator(TEXT)).to_have_value("Fine")
    note = page.locator(f"#{TRY}-try-note")
    expect(note).to_contain_text("‘api_key’")
    expect(note).to_contain_text("목록에서 골라 주세요")


# ---------------------------------------------------------------- errors, keyboard, phone, words


def test_a_problem_stands_at_the_field_and_the_old_result_stays(open_page):
    page = open_page("ko-KR", query="#sentiment.one")
    page.fill(TEXT, "정말 재미있고 감동적인 영화였어요.")
    page.click("#sentiment-start")
    expect(page.locator("#sentiment-status")).to_contain_text("float32", timeout=LONG)
    bars = page.locator("#sentiment-result .bar")
    result = bars.all_inner_texts()
    page.fill(TEXT, "   ")
    page.click("#sentiment-start")
    problem = page.locator("#sentiment-problem")
    expect(problem.get_by_role("alert")).to_contain_text("‘글’ 칸이 비어 있어요")
    page.wait_for_timeout(1000)
    expect(problem).to_be_visible()
    assert bars.all_inner_texts() == result
    page.fill(TEXT, "좋아요")
    page.click("#sentiment-start")
    expect(problem).to_be_hidden()


@pytest.mark.parametrize("name", TABS)
def test_the_input_is_one_key_away(open_page, name):
    page = open_page()
    open_tab(page, name)
    page.evaluate("document.activeElement.blur()")
    page.mouse.click(3, 3)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") in ("TEXTAREA", "INPUT")
    assert page.locator(f"#tab-{name} :focus").count() == 1


def test_the_tabs_are_one_stop_and_the_arrows_walk_them(open_page):
    page = open_page()
    page.locator("#tab-chat-button:visible").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-text_to_image")).to_be_visible()
    page.keyboard.press("End")
    expect(page.locator("#tab-sentence_similarity")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#tabs > .tab-wrapper')") is None


def test_no_stop_of_the_tab_key_is_out_of_sight(open_page):
    page = open_page()
    page.wait_for_timeout(300)
    for _ in range(40):
        page.keyboard.press("Tab")
        place = page.evaluate(
            "(e => e === document.body || e.id === 'skip' ? 0 : e.getBoundingClientRect().x)(document.activeElement)"
        )
        assert 0 <= place < 1280


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_on_a_phone_every_tab_is_in_sight_and_a_run_scrolls_to_its_result(open_page, locale):
    page = open_page(locale, width=390)
    for name in TABS:
        expect(page.locator(f"#tab-{name}-button:visible")).to_be_in_viewport(ratio=1)
    open_tab(page, "sentiment")
    page.fill(TEXT, "I loved every minute of this film.")
    page.click("#sentiment-start")
    expect(page.locator("#sentiment-status")).to_contain_text("float32", timeout=LONG)
    expect(page.locator("#sentiment-result .bar").first).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_korean_page_names_every_button_in_korean(open_page):
    page = open_page("ko-KR")
    for name in TABS:
        open_tab(page, name)
        page.wait_for_timeout(400)
        english = page.evaluate(
            """() => [...document.querySelectorAll("[aria-label], [title]")]
              .filter((e) => e.offsetParent)
              .flatMap((e) => [e.getAttribute("aria-label"), e.getAttribute("title")])
              .filter((s) => s && /[A-Za-z]{4}/.test(s) && !/[가-힣]/.test(s) && !/float|GPU|GenLab|id \\d/.test(s))"""
        )
        assert not english, (name, english)
    # Gradio's own Korean is in another style, with other terms.
    expect(page.locator("footer")).to_contain_text("API 사용")
    page.locator("#tab-sentence_similarity-many-button:visible").click()
    expect(page.locator("#many-upload")).to_contain_text("눌러서 올리기")
    page.click("#language")
    open_tab(page, "chat")
    expect(page.get_by_label("Reset to default value").first).to_be_visible()


def test_the_examples_of_the_pages_language_are_met_first_by_keyboard(open_page):
    page = open_page("ko-KR", query="#chat")
    texts = page.locator("#chat-examples button")
    expect(texts.first).to_contain_text("안녕하세요")
    page.locator("#language").click()
    expect(texts.first).to_contain_text("Hi there")


@pytest.mark.parametrize("name", ["chat", "sentiment.file", "sentence_similarity.two"])
def test_on_a_phone_nothing_is_cut_and_only_the_pages_own_examples_are_there(open_page, name):
    """Tables fit their boxes, no word of a cell is broken, and the rules for small screens hold."""
    page = open_page(width=390, query=f"#{name}")
    expect(page.locator(".examples-en:visible").first).to_be_visible()
    expect(page.locator(".examples-ko:visible")).to_have_count(0)
    wide = """tables => tables.filter(t => t.offsetParent && t.scrollWidth > t.parentElement.clientWidth + 1)
                              .map(t => t.innerText)"""
    assert page.locator("table").evaluate_all(wide) == []
    assert page.locator("#tabs").bounding_box()["x"] <= 16, "the margins take the room"


@pytest.mark.parametrize("name", TABS)
def test_no_choice_is_without_a_name(open_page, name):
    page = open_page()
    open_tab(page, name)
    page.wait_for_timeout(300)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("fieldset, [role=radiogroup]")].filter((group) =>
          !group.textContent.trim() || !(group.getAttribute("aria-label") || group.getAttribute("aria-labelledby") ||
            group.querySelector("legend, [data-testid=block-info]")))
          .map((group) => group.outerHTML.slice(0, 200))"""
    )
    assert not nameless


# ---------------------------------------------------------------- a server that restarts


@pytest.mark.timeout(700)
def test_a_restart_in_mid_answer_says_what_to_do_and_the_page_comes_back(browser, tmp_path):
    server = start_server(tmp_path, patience=240, HF_HUB_OFFLINE="1")
    context = browser.new_context(locale="ko-KR")
    try:
        page = context.new_page()
        page.goto(server.url)
        page.fill("#chat-message textarea", "안녕!")
        page.click("#chat-start")
        expect(page.locator("#chat-bot")).to_contain_text("안녕!")
        page.fill("#chat-message textarea", "반쯤")
        server.process.kill()  # the model is still being loaded
        words = page.locator(".toast-body")
        expect(words).to_contain_text("마지막 메시지를 다시 보내 주세요", timeout=LONG)
        server.process.wait(20)
        page.evaluate("window.old = true")
        port = int(server.url.rstrip("/").rpartition(":")[2])
        server = start_server(tmp_path, port=port, patience=240, HF_HUB_OFFLINE="1")
        page.wait_for_function("window.old === undefined", timeout=LONG)
        expect(page.locator("#chat-message textarea")).to_have_value("안녕!\n반쯤")
        expect(page.locator("#chat-status")).to_contain_text("답이 오지 않았어요")
        expect(page.locator("#chat-bot .message")).to_have_count(0)
        expect(words).to_have_count(0)
    finally:
        context.close()
        server.process.kill()
