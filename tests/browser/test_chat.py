"""Chatting in a real browser: one Enter, stop, retry, undo, edit, and Korean being composed."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import open_tab


@pytest.fixture
def page(open_page):
    page = open_page()
    open_tab(page, "chat")
    return page


def says(page: Page, text: str, *, key: str = "Enter") -> None:
    page.fill("#chat-message textarea", text)
    page.press("#chat-message textarea", key)


def answered(page: Page, times: int = 1) -> None:
    """Wait until so many answers are there and the last one is whole."""
    expect(page.locator("#chat-bot .bot.message")).to_have_count(times, timeout=90_000)
    expect(page.locator("#chat-status")).to_contain_text("tokens", timeout=90_000)


def turns(page: Page, role: str) -> list[str]:
    return [text.strip() for text in page.locator(f"#chat-bot .{role}.message").all_inner_texts()]


def test_an_example_answers_at_one_click_and_shows_its_python(page):
    page.locator("#chat-examples button").first.click()
    answered(page)
    assert len(turns(page, "user")) == 1
    assert len(turns(page, "bot")) == 1
    assert page.input_value("#chat-message textarea") == ""
    page.locator("#chat-python button").first.click()
    expect(page.locator("#chat-recipe")).to_contain_text("apply_chat_template")
    expect(page.locator("#chat-recipe")).to_contain_text("Hi there! How are you today?")


def test_several_turns_then_undo_edit_retry_and_clear(page):
    says(page, "Hello there!")
    answered(page)
    says(page, "What is your name?")
    answered(page, 2)
    page.locator("#chat-bot button[title=Undo]").last.click()
    expect(page.locator("#chat-bot .user.message")).to_have_count(1)
    assert page.input_value("#chat-message textarea") == "What is your name?"
    page.locator("#chat-bot button[title=Retry]").last.click()
    answered(page)
    assert turns(page, "user") == ["Hello there!"]
    assert len(turns(page, "bot")) == 1
    page.locator("#chat-bot button[title=Edit]").first.click()
    page.locator("#chat-bot textarea").fill("Good morning!")
    page.locator("#chat-bot button[title=Submit]").click()
    expect(page.locator("#chat-bot .user.message")).to_have_text(re.compile("Good morning!"))
    answered(page)
    assert len(turns(page, "bot")) == 1
    page.locator("#chat-bot button[title=Clear]").click()
    expect(page.locator("#chat-bot .message")).to_have_count(0)
    expect(page.locator("#chat-status")).to_contain_text("Nothing has been said")


def test_one_enter_sends_one_whole_message(page):
    page.focus("#chat-message textarea")
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    answered(page)
    assert turns(page, "user") == ["first line\nsecond line"]


@pytest.mark.parametrize("order", ["key before the end", "key after the end"])
def test_one_enter_sends_a_korean_message_whole(open_page, order):
    """Enter ends the syllable being composed: the key event comes before its end, or (Safari) after."""
    page = open_page("ko-KR")
    open_tab(page, "chat")
    page.focus("#chat-message textarea")
    keyboard = page.context.new_cdp_session(page)
    composing = {"selectionStart": 2, "selectionEnd": 2}
    keyboard.send("Input.insertText", {"text": "안녕하"})
    keyboard.send("Input.imeSetComposition", {"text": "세요", **composing})
    # What an input method sends for the Enter that ends a syllable: key code 229.
    enter = {"type": "rawKeyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    steps = [("Input.dispatchKeyEvent", enter), ("Input.insertText", {"text": "세요"})]
    for step in steps if order == "key before the end" else steps[::-1]:
        keyboard.send(*step)
    assert page.input_value("#chat-message textarea") == "안녕하세요"
    expect(page.locator("#chat-bot .message")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator("#chat-status")).to_contain_text("토큰", timeout=90_000)
    assert turns(page, "user") == ["안녕하세요"]
    assert page.input_value("#chat-message textarea") == ""


def test_a_blank_message_is_told_and_nothing_is_sent(page):
    says(page, "   ")
    expect(page.get_by_text("please fill in the message")).to_be_visible()
    expect(page.locator("#chat-bot .message")).to_have_count(0)


def long_answers(page: Page) -> None:
    """Eight wild answers take seconds: at this temperature hardly any ends by itself."""
    page.locator("#chat-advanced button").first.click()
    for dial, value in {
        "temperature": "2",
        "top_p": "1",
        "max_new_tokens": "400",
        "num_return_sequences": "8",
    }.items():
        page.locator(f"#chat-{dial} input[type=number]").fill(value)
        page.keyboard.press("Tab")


def test_stop_ends_the_work_and_the_half_answer_stays(page):
    long_answers(page)
    says(page, "Hello")
    expect(page.locator("#chat-status")).to_contain_text("Writing", timeout=90_000)
    page.click("#chat-stop")
    expect(page.locator("#chat-status")).to_contain_text("Stopped")
    half = turns(page, "bot")
    assert half[0]
    page.locator("#chat-python button").first.click()
    expect(page.locator("#chat-recipe")).not_to_contain_text("import")  # comes with a whole answer
    says(page, "Hello again")
    answered(page, 2)
    assert turns(page, "bot")[0] == half[0]


def test_a_second_enter_while_an_answer_comes_sends_nothing_and_loses_nothing(page):
    long_answers(page)
    says(page, "one")
    expect(page.locator("#chat-status")).to_contain_text("Writing", timeout=90_000)
    says(page, "two")
    answered(page)
    assert turns(page, "user") == ["one"]
    assert page.input_value("#chat-message textarea") == "two"


def test_samples_stand_side_by_side(page):
    page.locator("#chat-advanced button").first.click()
    page.locator("#chat-num_return_sequences input[type=number]").fill("3")
    page.keyboard.press("Tab")
    says(page, "Hello")
    answered(page)
    expect(page.locator("#chat-samples .sample")).to_have_count(3)


def test_a_hosted_model_asks_for_a_key_and_says_so_without_one(page):
    expect(page.locator("#chat-key")).to_have_count(0)
    page.click("#chat-model input")
    page.get_by_role("option", name="OpenAI").click()
    expect(page.locator("#chat-key input")).to_have_attribute("type", "password")
    expect(page.locator("#chat-model-name input, #chat-model-name textarea")).to_have_value(
        "gpt-4o"
    )
    says(page, "Hello")
    expect(page.get_by_text("This model needs an API key")).to_be_visible()
    expect(page.locator("#chat-status")).to_contain_text("Retry asks again")
    assert turns(page, "user") == ["Hello"]


def test_a_persona_writes_the_system_prompt_in_the_pages_language(open_page):
    page = open_page("ko-KR")
    open_tab(page, "chat")
    page.click("#chat-persona input")
    page.get_by_role("option", name="재치 있게").click()
    expect(page.locator("#chat-system textarea")).to_have_value(re.compile("재치"))


def test_nothing_in_a_message_runs_and_money_is_no_formula(page):
    page.evaluate("window.ran = false")
    says(page, "<img src=x onerror='window.ran=true'><script>window.ran=true</script> $5 and $6")
    answered(page)
    assert page.evaluate("window.ran") is False
    expect(page.locator("#chat-bot .user.message")).to_contain_text("$5 and $6")
    expect(page.locator("#chat-bot .user .katex")).to_have_count(0)
