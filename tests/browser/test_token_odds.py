"""The dice in a real browser: looking into an answer, another token instead, a sentence by hand."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import open_tab
from tests.browser.test_chat import hosted, says
from tests.stub_server import DONE, StubServer, chunk


@pytest.fixture
def page(open_page):
    page = open_page()
    open_tab(page, "chat")
    return page


def test_a_token_is_looked_into_by_keyboard_and_another_goes_on(page):
    page.locator("#dice > button").click()
    page.fill("#chat-message textarea", "Hi there! How are you today?")
    page.press("#chat-message textarea", "Enter")
    tokens = page.locator("#dice-view .tok")
    expect(tokens.first).to_be_visible(timeout=90_000)
    tokens.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tokens.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#dice-details")).to_contain_text("Entropy")
    expect(page.locator("#dice-details .row.chosen")).to_have_count(1)
    page.locator("#dice-details .take").first.click()
    expect(page.locator("#dice-view .card")).to_have_count(2, timeout=90_000)
    expect(page.locator("#dice-view")).to_contain_text("another token at place 2")


def test_a_text_is_written_throw_by_throw(page):
    page.locator("#next > button").click()
    page.fill("#next-text textarea", "Hello")
    page.click("#next-start")
    bars = page.locator("#next-bars .row")
    expect(bars.first).to_be_visible(timeout=90_000)
    before = page.locator("#next-bars").inner_text()
    page.locator("#next-temperature input[type=number]").fill("2")
    page.keyboard.press("Tab")
    expect(page.locator("#next-bars")).not_to_have_text(before)
    page.click("#next-draw")
    expect(page.locator("#next-throw")).to_contain_text(re.compile(r"0\.\d{4}"), timeout=90_000)
    expect(page.locator("#next-read .chip.new")).to_have_count(1)


def test_another_conversation_empties_the_panel(page):
    page.locator("#dice > button").click()
    for away in ("#chat-bot button[title=Clear]", "#chat-new"):
        page.fill("#chat-message textarea", "Hello there!")
        page.press("#chat-message textarea", "Enter")
        expect(page.locator("#dice-view .tok").first).to_be_visible(timeout=90_000)
        page.locator("#dice-view .tok").first.click()
        expect(page.locator("#dice-details .row.chosen")).to_have_count(1)
        if away == "#chat-new":
            page.locator("#chat-shelf > button").first.click()
        page.click(away)
        expect(page.locator("#dice-view .tok")).to_have_count(0)
        expect(page.locator("#dice-details .row")).to_have_count(0)
        expect(page.locator("#dice-which input")).to_have_value("")
        expect(page.locator("#dice-status")).to_contain_text("Send a message first")


def test_a_hosted_answers_probabilities_are_shown_and_another_token_goes_on(page):
    told = {"token": "Hi", "logprob": -0.7, "bytes": None}
    told["top_logprobs"] = [dict(told), {"token": "Hey", "logprob": -1.6, "bytes": None}]
    end = [chunk(None, end="stop"), DONE]
    with StubServer(
        (200, [chunk("Hi", logprobs=[told]), *end]), (200, [chunk(" you"), *end])
    ) as stub:
        hosted(page, stub)
        page.locator("#dice > button").click()
        says(page, "Hello")
        expect(page.locator("#dice-view .tok")).to_have_count(1)
        expect(page.locator("#dice-view .tok")).to_have_attribute("title", "49.7%")
        page.locator("#dice-view .tok").click()
        page.locator("#dice-details .take").click()
        expect(page.locator("#dice-view .card")).to_have_count(2)
        expect(page.locator("#dice-status")).to_contain_text("some begin anew")
    assert stub.asked[0]["top_logprobs"] == 8
    assert stub.asked[1]["messages"][-1] == {"role": "assistant", "content": "Hey"}


def tab_to(page, chosen: str) -> None:
    """Press Tab until the focus is there."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("chosen => document.activeElement.matches(chosen)", chosen):
            return
    pytest.fail(f"no way to {chosen} by keyboard")


def test_the_whole_way_by_keyboard_alone(page):
    page.locator("#chat-message textarea").focus()
    page.keyboard.type("Hi there! How are you today?")
    page.keyboard.press("Enter")
    expect(page.locator("#chat-status")).to_contain_text("seed", timeout=90_000)
    tab_to(page, "#dice > button")
    page.keyboard.press("Enter")
    expect(page.locator("#dice-view .tok").first).to_be_visible()
    tab_to(page, "#dice-view .tok")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("#dice-details .row.chosen")).to_have_count(1)
    tab_to(page, "#dice-details .take")
    page.keyboard.press("Enter")
    expect(page.locator("#dice-view .card")).to_have_count(2, timeout=90_000)
    tab_to(page, "#next > button")
    page.keyboard.press("Enter")
    for button in ("#next-start", "#next-draw"):
        tab_to(page, button)
        page.keyboard.press("Enter")
        expect(page.locator("#next-bars .row").first).to_be_visible(timeout=90_000)
    expect(page.locator("#next-throw")).to_contain_text(re.compile(r"0\.\d{4}"), timeout=90_000)
    tab_to(page, "#next-bars .take")
    page.keyboard.press("Enter")
    expect(page.locator("#next-throw")).to_contain_text("by hand", timeout=90_000)
