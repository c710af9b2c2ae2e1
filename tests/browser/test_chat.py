"""Chatting in a real browser: one Enter, stop, retry, undo, edit, and Korean being composed."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import open_tab
from tests.stub_server import DONE, WHOLE, StubServer, chunk, fault


@pytest.fixture
def page(open_page):
    page = open_page()
    open_tab(page, "chat")
    return page


def says(page: Page, text: str, *, key: str = "Enter") -> None:
    page.fill("#chat-message textarea", text)
    page.press("#chat-message textarea", key)


def wait_for_answer(page: Page, times: int = 1) -> None:
    """Wait until so many answers are there and the last one is whole."""
    expect(page.locator("#chat-bot .bot.message")).to_have_count(times, timeout=90_000)
    expect(page.locator("#chat-status")).to_contain_text("tokens", timeout=90_000)


def turns(page: Page, role: str) -> list[str]:
    return [text.strip() for text in page.locator(f"#chat-bot .{role}.message").all_inner_texts()]


def test_an_example_answers_at_one_click_and_shows_its_python(page):
    page.locator("#chat-examples .examples-en button").first.click()
    wait_for_answer(page)
    assert page.locator("#chat-system textarea").input_value() == ""
    assert len(turns(page, "user")) == 1
    assert len(turns(page, "bot")) == 1
    assert page.input_value("#chat-message textarea") == ""
    page.locator("#chat-python button").first.click()
    expect(page.locator("#chat-recipe")).to_contain_text("apply_chat_template")
    expect(page.locator("#chat-recipe")).to_contain_text("Hi there! How are you today?")


def test_several_turns_then_undo_edit_retry_and_clear(page):
    says(page, "Hello there!")
    wait_for_answer(page)
    says(page, "What is your name?")
    wait_for_answer(page, 2)
    page.locator("#chat-bot button[title=Undo]").last.click()
    expect(page.locator("#chat-bot .user.message")).to_have_count(1)
    assert page.input_value("#chat-message textarea") == "What is your name?"
    page.locator("#chat-bot button[title=Retry]").last.click()
    wait_for_answer(page)
    assert turns(page, "user") == ["Hello there!"]
    assert len(turns(page, "bot")) == 1
    page.locator("#chat-bot button[title=Edit]").first.click()
    page.locator("#chat-bot textarea").fill("Good morning!")
    page.locator("#chat-bot button[title=Submit]").click()
    expect(page.locator("#chat-bot .user.message")).to_have_text(re.compile("Good morning!"))
    wait_for_answer(page)
    assert len(turns(page, "bot")) == 1
    page.locator("#chat-bot button[title=Clear]").click()
    expect(page.locator("#chat-bot .message")).to_have_count(0)
    expect(page.locator("#chat-status")).not_to_contain_text("tokens")


def test_one_enter_sends_one_whole_message(page):
    page.focus("#chat-message textarea")
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    wait_for_answer(page)
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


@pytest.mark.parametrize(
    ("locale", "words"),
    [("en-US", "please fill in the message"), ("ko-KR", "‘메시지’ 칸이 비어 있어요")],
)
def test_a_blank_message_is_said_at_the_box_and_costs_nothing(open_page, locale, words):
    page = open_page(locale)
    says(page, "Hello")
    expect(page.locator("#chat-bot .bot.message")).to_have_count(1, timeout=90_000)
    expect(page.locator("#chat-status")).to_contain_text(
        "seed" if locale == "en-US" else "시드", timeout=90_000
    )
    before = turns(page, "bot")
    says(page, "   ")
    expect(page.locator("#chat-status [role=alert]")).to_contain_text(words)
    page.wait_for_timeout(1500)
    assert turns(page, "bot") == before
    expect(page.locator("#chat-continue")).to_be_hidden()
    expect(page.locator("#chat-bot .error, .toast-body")).to_have_count(0)
    expect(page.locator("#chat-status [role=alert]")).to_be_visible()  # it stays


# Words that keep coming for a minute: what is stopped must be under way on every machine.
ENDLESS = (200, [part for n in range(600) for part in (chunk(f"word{n} "), 0.1)])


def test_stop_ends_the_work_and_the_half_answer_stays(page):
    with StubServer(ENDLESS, (200, WHOLE)) as stub:
        hosted(page, stub)
        says(page, "Hello")
        expect(page.locator("#chat-bot .bot.message")).to_contain_text("word3", timeout=90_000)
        page.click("#chat-stop")
        expect(page.locator("#chat-status")).to_contain_text("Stopped")
        assert stub.hangup.wait(5), "the server still writes"
        half = turns(page, "bot")
        assert half[0].startswith("word0 word1")
        page.locator("#chat-python button").first.click()
        expect(page.locator("#chat-recipe")).not_to_contain_text("import")  # with a whole one
        says(page, "Hello again")
        wait_for_answer(page, 2)
    assert turns(page, "bot") == [half[0], "Hello"]


def test_stop_where_nothing_runs_changes_nothing(page):
    page.click("#chat-stop")
    says(page, "Hello there!")
    wait_for_answer(page)
    message = page.locator("#chat-status").inner_text()
    page.click("#chat-stop")
    page.wait_for_timeout(1000)
    assert page.locator("#chat-status").inner_text() == message
    expect(page.locator("#chat-continue")).to_be_hidden()


def test_a_second_enter_while_an_answer_comes_sends_nothing_and_loses_nothing(page):
    with StubServer((200, [chunk("An answer"), 4.0, chunk(None, end="stop"), DONE])) as stub:
        hosted(page, stub)
        says(page, "one")
        expect(page.locator("#chat-status")).to_contain_text("Writing", timeout=90_000)
        says(page, "two")
        wait_for_answer(page)
    assert turns(page, "user") == ["one"]
    assert page.input_value("#chat-message textarea") == "two"


def test_enter_while_a_retry_comes_sends_nothing_and_loses_nothing(page):
    slow = (200, [chunk("Another answer"), 4.0, chunk(None, end="stop"), DONE])
    with StubServer((200, WHOLE), slow) as stub:
        hosted(page, stub)
        says(page, "one")
        wait_for_answer(page)
        page.locator("#chat-bot button[title=Retry]").last.click()
        expect(page.locator("#chat-status")).to_contain_text("Writing")
        says(page, "two")
        wait_for_answer(page)
    assert [turns(page, role) for role in ("user", "bot")] == [["one"], ["Another answer"]]
    assert page.input_value("#chat-message textarea") == "two"


HOBBY = "What do you like to do for fun?"


def test_an_experiment_takes_the_place_of_an_answer(page):
    with StubServer(ENDLESS) as stub:
        hosted(page, stub)
        says(page, "A tale")
        expect(page.locator("#chat-bot .bot.message")).to_contain_text("word3", timeout=90_000)
        page.click("#chat-try-cold")
        wait_for_answer(page, 2)
        assert stub.hangup.wait(5), "the server still writes"
    assert turns(page, "user") == ["A tale", HOBBY]
    assert turns(page, "bot")[0].startswith("word0 word1")
    expect(page.locator("#chat-samples .sample")).to_have_count(3)
    expect(page.locator("#chat-continue")).to_be_hidden()


def test_an_experiment_takes_the_place_of_a_message_that_has_no_answer_yet(page):
    with StubServer((200, [60.0, chunk("late")])) as stub:
        hosted(page, stub)
        says(page, "Hello")
        assert stub.first_request.wait(30)
        page.click("#chat-try-cold")
        wait_for_answer(page)
    assert turns(page, "user") == [HOBBY]
    assert page.input_value("#chat-message textarea") == ""


def test_samples_stand_side_by_side(page):
    page.locator("#chat-advanced button").first.click()
    # A frame after Gradio shows what was folded away it sets all of its values once more.
    page.evaluate("() => new Promise((on) => requestAnimationFrame(() => setTimeout(on, 100)))")
    page.locator("#chat-num_return_sequences input[type=number]").fill("3")
    page.keyboard.press("Tab")
    says(page, "Hello")
    wait_for_answer(page)
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
    expect(page.locator("#chat-status")).to_contain_text("back in the box")
    expect(page.locator("#chat-message textarea")).to_have_value("Hello")
    assert turns(page, "user") == []


def test_a_persona_writes_the_system_prompt_in_the_pages_language(open_page):
    page = open_page("ko-KR")
    open_tab(page, "chat")
    page.click("#chat-persona input")
    page.get_by_role("option", name="재치 있게").click()
    expect(page.locator("#chat-system textarea")).to_have_value(re.compile("재치"))
    page.fill("#chat-system textarea", "로봇처럼 대답해 주세요.")
    expect(page.locator("#chat-persona input")).to_have_value(re.compile("직접 쓰기"))


def test_nothing_in_a_message_runs_and_money_is_no_formula(page):
    page.evaluate("window.ran = false")
    says(page, "<img src=x onerror='window.ran=true'><script>window.ran=true</script> $5 and $6")
    wait_for_answer(page)
    assert page.evaluate("window.ran") is False
    expect(page.locator("#chat-bot .user.message")).to_contain_text("$5 and $6")
    expect(page.locator("#chat-bot .user .katex")).to_have_count(0)


def hosted(page: Page, stub: StubServer) -> None:
    """Choose the hosted model, at a server of our own."""
    page.click("#chat-model input")
    page.get_by_role("option", name="OpenAI").click()
    page.fill("#chat-base-url input, #chat-base-url textarea", stub.url)
    page.fill("#chat-key input", "sk-test")
    page.keyboard.press("Tab")


HOSTILE = [
    "<script>window.ran=1</script>",
    "<img src=x onerror='window.ran=2'>",
    "<svg onload='window.ran=3'><script>window.ran=4</script></svg>",
    "<iframe srcdoc='<script>parent.ran=5</script>'></iframe>",
    "[a link](javascript:window.ran=6) <a href='javascript:window.ran=7'>another</a>",
    '![x](x" onerror="window.ran=8)',
    "<details open ontoggle='window.ran=9'><summary>s</summary></details>",
    "<form action='javascript:window.ran=10'><button>press</button></form>",
    "<math><mtext><img src=x onerror='window.ran=11'></mtext></math>",
    "$$\\href{javascript:window.ran=12}{x}$$",
    "```html\n<img src=x onerror='window.ran=13'>\n```",
    "<style>body{display:none}</style>",
]


def test_nothing_in_an_answer_runs_as_script(page):
    words = "\n\n".join(HOSTILE)
    with StubServer(
        (200, [chunk(words), chunk("\n\nthe end"), chunk(None, end="stop"), DONE])
    ) as stub:
        hosted(page, stub)
        page.evaluate("window.ran = 0")
        says(page, "Hello")
        expect(page.locator("#chat-bot .bot.message")).to_contain_text("the end")
        expect(page.locator("#chat-status")).to_contain_text("seed")
    page.wait_for_timeout(500)
    for link in (
        page.locator("#chat-bot .bot.message").get_by_text(re.compile("a link|another")).all()
    ):
        link.click(timeout=2000, no_wait_after=True)
    buttons = page.locator("#chat-bot .bot.message form button")
    for number in range(buttons.count()):
        buttons.nth(number).click(timeout=2000, no_wait_after=True)
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") == 0
    assert page.locator("#chat-bot .bot.message iframe, #chat-bot .bot.message script").count() == 0
    expect(page.locator("#chat-message")).to_be_visible()


def test_markdown_code_and_formulas_are_drawn_and_money_is_left_alone(page):
    words = "**bold** costs $5 and $6\n\n```python\nprint(1)\n```\n\n$$x^2$$\n\n\\(y_1\\)"
    with StubServer((200, [chunk(words), chunk(None, end="stop"), DONE])) as stub:
        hosted(page, stub)
        says(page, "Hello")
        answer = page.locator("#chat-bot .bot.message")
        expect(answer.locator("strong")).to_have_text("bold")
        expect(answer.locator("pre code")).to_contain_text("print(1)")
        expect(answer.locator(".katex").first).to_be_visible()
        assert answer.locator(".katex").count() == 2
        expect(answer).to_contain_text("costs $5 and $6")


def test_what_was_typed_is_back_in_the_box_when_no_answer_came(page):
    with StubServer((401, fault("invalid_api_key")), (200, WHOLE)) as stub:
        hosted(page, stub)
        says(page, "first line")
        expect(page.locator("#chat-status")).to_contain_text("back in the box")
        expect(page.locator("#chat-message textarea")).to_have_value("first line")
        expect(page.locator("#chat-bot .message")).to_have_count(0)
        page.press("#chat-message textarea", "Enter")
        expect(page.locator("#chat-bot .bot.message")).to_have_text(re.compile("Hello"))
    assert turns(page, "user") == ["first line"]


def test_stop_before_the_first_word_gives_the_message_back_and_ends_the_servers_work(page):
    with StubServer((200, [60.0, chunk("late")])) as stub:
        hosted(page, stub)
        says(page, "Hello")
        assert stub.first_request.wait(30)
        expect(page.locator("#chat-message textarea")).to_have_value("")  # the message has gone up
        page.fill("#chat-message textarea", "half typed")
        page.click("#chat-stop")
        expect(page.locator("#chat-message textarea")).to_have_value("Hello\nhalf typed")
        expect(page.locator("#chat-bot .message")).to_have_count(0)
        assert stub.hangup.wait(10)


def test_an_answer_that_was_cut_is_gone_on_with(page):
    with StubServer((200, [chunk("Once upon"), chunk(None, end="length"), DONE])) as stub:
        stub.answers.append((200, [chunk(" a time."), chunk(None, end="stop"), DONE]))
        hosted(page, stub)
        says(page, "A tale")
        page.click("#chat-continue")
        expect(page.locator("#chat-bot .bot.message")).to_have_text(re.compile("Once upon a time."))
        expect(page.locator("#chat-continue")).to_be_hidden()
    assert turns(page, "user") == ["A tale"]
    assert len(turns(page, "bot")) == 1


def test_the_first_word_is_shown_at_once(page):
    with StubServer((200, [chunk("First"), 30.0, chunk(" last")])) as stub:
        hosted(page, stub)
        says(page, "Hello")
        expect(page.locator("#chat-bot .bot.message")).to_contain_text("First", timeout=20_000)
        page.click("#chat-stop")
        expect(page.locator("#chat-continue")).to_be_visible()
        assert stub.hangup.wait(5), "a silent server is still listened to"


def test_two_models_answer_side_by_side_and_one_stop_ends_both(page):
    with StubServer((200, [chunk("From "), chunk("the server"), 60.0])) as stub:
        page.locator("#tab-chat-versus-button:visible").click()
        page.click("#versus-model input")
        page.get_by_role("option", name="OpenAI").last.click()
        page.fill("#versus-base-url input, #versus-base-url textarea", stub.url)
        page.fill("#versus-key input", "sk-test")
        page.fill("#versus-message textarea", "Hello there!")
        page.press("#versus-message textarea", "Enter")
        expect(page.locator("#versus-facts-a")).to_contain_text("tokens", timeout=90_000)
        expect(page.locator("#versus-text-b")).to_contain_text("From the server")
        expect(page.locator("#versus-facts-b")).to_contain_text("Writing")
        page.click("#versus-stop")
        expect(page.locator("#versus-status")).to_contain_text("Stopped")
        assert stub.hangup.wait(10)
    expect(page.locator("#versus-facts-b")).not_to_contain_text("Writing")
    expect(page.locator("#versus-facts-a")).to_contain_text("tokens")
    assert page.locator("#versus-text-a").inner_text().strip()
