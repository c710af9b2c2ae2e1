"""Conversations kept in a real browser: several, named, through a reload and a restart, as files."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_chat import ENDLESS, hosted, says, turns, wait_for_answer
from tests.conftest import free_port, start_server
from tests.stub_server import DONE, StubServer, chunk


@pytest.fixture
def page(open_page):
    return open_page()


def chats_in_browser(page: Page) -> list[dict]:
    """What the browser keeps, newest first."""
    entries = page.evaluate(
        "Object.entries(localStorage).filter(([k]) => k.startsWith('genlab.chat.')).map(([, v]) => v)"
    )
    return sorted((json.loads(e) for e in entries), key=lambda e: -e["updated"])


def keeps(page: Page, *names: str) -> None:
    page.wait_for_function(
        "(n) => Object.keys(localStorage).filter((k) => k.startsWith('genlab.chat.')).length === n",
        arg=len(names),
    )
    assert [entry["name"] for entry in chats_in_browser(page)] == list(names)


def unfold(page: Page) -> None:
    page.locator("#chat-shelf > button").first.click()
    expect(page.locator("#chat-name input")).to_be_visible()


def select(page: Page, name: str) -> None:
    page.click("#chat-chooser input")
    page.get_by_role("option", name=name).click()


def import_file(page: Page, name: str, content: str | bytes) -> None:
    with page.expect_file_chooser() as chooser:
        page.click("#chat-pick")
    body = content.encode() if isinstance(content, str) else content
    chooser.value.set_files({"name": name, "mimeType": "text/plain", "buffer": body})


def test_conversations_are_named_switched_renamed_and_deleted(page):
    says(page, "Hello there!\nand more")
    wait_for_answer(page)
    keeps(page, "Hello there!")
    unfold(page)
    page.fill("#chat-system textarea", "You are a witty assistant who jokes.")
    page.click("#chat-new")
    expect(page.locator("#chat-bot .message")).to_have_count(0)
    says(page, "What is your name?")
    wait_for_answer(page)
    keeps(page, "What is your name?", "Hello there!")
    page.fill("#chat-system textarea", "Changed.")
    select(page, "Hello there!")
    expect(page.locator("#chat-bot .user.message")).to_have_text(
        "Hello there!\nand more", use_inner_text=True
    )
    expect(page.locator("#chat-system textarea")).to_have_value(
        "You are a witty assistant who jokes."
    )
    page.fill("#chat-name input", "")
    page.locator("#chat-name input").press_sequentially("My first <b>one</b>")
    page.click("#chat-chooser input")
    expect(page.get_by_role("option", name="My first <b>one</b>")).to_be_visible()
    page.keyboard.press("Escape")
    assert "My first <b>one</b>" in [entry["name"] for entry in chats_in_browser(page)]
    says(page, "How are you?")
    wait_for_answer(page, 2)
    keeps(page, "My first <b>one</b>", "What is your name?")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#chat-remove")
    keeps(page, "What is your name?")
    expect(page.locator("#chat-bot .message")).to_have_count(0)


def test_clear_begins_a_new_one_and_keeps_the_old(page):
    says(page, "Hello there!")
    wait_for_answer(page)
    page.locator("#chat-bot button[title=Clear]").click()
    expect(page.locator("#chat-bot .message")).to_have_count(0)
    says(page, "Good morning!")
    wait_for_answer(page)
    keeps(page, "Good morning!", "Hello there!")


def test_opening_another_one_ends_the_answer_on_its_way(page):
    says(page, "Hello there!")
    wait_for_answer(page)
    unfold(page)
    page.click("#chat-new")
    page.locator("#chat-advanced > button").first.click()
    for dial, value in {"temperature": "2", "top_p": "1", "max_new_tokens": "400"}.items():
        page.locator(f"#chat-{dial} input[type=number]").fill(value)
        page.keyboard.press("Tab")
    page.locator("#chat-num_return_sequences input[type=number]").fill("8")
    page.keyboard.press("Tab")
    says(page, "A long one")
    expect(page.locator("#chat-status")).to_contain_text("Writing", timeout=90_000)
    select(page, "Hello there!")
    expect(page.locator("#chat-bot .user.message")).to_have_text("Hello there!")
    page.wait_for_timeout(1500)
    assert turns(page, "user") == ["Hello there!"]
    by_name = {entry["name"]: entry["messages"] for entry in chats_in_browser(page)}
    assert by_name["A long one"][0]["content"] == "A long one"
    assert len(by_name["Hello there!"]) == 2


def test_an_answer_that_a_reload_cut_says_so_and_is_continued(page):
    end = [chunk(" and all was well."), chunk(None, end="stop"), DONE]
    with StubServer(ENDLESS, (200, end)) as stub:
        hosted(page, stub)
        says(page, "A tale")
        expect(page.locator("#chat-bot .bot.message")).to_contain_text("word3", timeout=90_000)
        page.reload()
        expect(page.locator("#chat-status")).to_contain_text("The answer broke off here")
        expect(page.locator("#chat-bot .bot.message")).to_contain_text("word0 word1")
        page.fill("#chat-base-url input, #chat-base-url textarea", stub.url)
        page.fill("#chat-key input", "sk-test")  # neither is kept
        page.click("#chat-continue")
        answer = page.locator("#chat-bot .bot.message")
        expect(answer).to_have_text(re.compile("word0 word1.* and all was well."))
        expect(page.locator("#chat-continue")).to_be_hidden()
    page.wait_for_function(
        "() => Object.values(localStorage).some((entry) => entry.includes('\"half\":false'))"
    )
    page.reload()
    expect(answer).to_contain_text("and all was well.")
    expect(page.locator("#chat-status")).not_to_contain_text("broke off")
    expect(page.locator("#chat-continue")).to_be_hidden()


def test_two_pages_at_once_lose_nothing(page):
    says(page, "Hello there!")
    wait_for_answer(page)
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#chat-bot .message")).to_have_count(0)
    unfold(other)
    select(other, "Hello there!")
    expect(other.locator("#chat-bot .user.message")).to_have_text("Hello there!")
    says(other, "From the other page")
    wait_for_answer(other, 2)
    says(page, "From the first page")
    wait_for_answer(page, 2)
    page.wait_for_timeout(300)
    words = [
        [turn["content"] for turn in e["messages"] if turn["role"] == "user"]
        for e in chats_in_browser(page)
    ]
    assert ["Hello there!", "From the other page"] in words
    assert ["Hello there!", "From the first page"] in words


@pytest.mark.parametrize("button", ["chat-save_one", "chat-save_markdown", "chat-save_all"])
def test_what_is_exported_can_be_imported_elsewhere(page, open_page, button):
    says(page, "Hello there!")
    wait_for_answer(page)
    unfold(page)
    with page.expect_download() as download:
        page.click(f"#{button}")
    content = download.value.path().read_text(encoding="utf-8")
    assert "Hello there!" in content
    assert "sk-" not in content
    before = chats_in_browser(page)[0]
    elsewhere = open_page("ko-KR")
    unfold(elsewhere)
    import_file(elsewhere, "file.txt", content)
    expect(elsewhere.locator("#chat-bot .user.message")).to_have_text("Hello there!")
    after = chats_in_browser(elsewhere)[0]
    for part in ("name", "messages", "dials"):
        assert after[part] == before[part]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Dear diary", "not a conversation exported from GenLab"),
        ('{"format": "genlab-conversations", "version": 9}', "newer GenLab"),
        ('{"format": "genlab-conversations", "version": 1}', "damaged"),
        (b"\xff\xfe\x00" * 10, "not a conversation exported from GenLab"),
        ("x" * 10_000_000, "too large"),
    ],
    ids=["foreign", "newer", "damaged", "binary", "huge"],
)
def test_a_bad_file_is_told_and_costs_nothing(page, content, words):
    says(page, "Hello there!")
    wait_for_answer(page)
    unfold(page)
    import_file(page, "file.json", content)
    expect(page.locator("#chat-shelf-note [role=alert]")).to_contain_text(words)
    keeps(page, "Hello there!")
    assert turns(page, "user") == ["Hello there!"]


def test_a_full_or_forged_store_is_told_and_breaks_nothing(page):
    page.evaluate("""() => {
        localStorage.setItem("genlab.chat.forged", "{broken");
        localStorage.setItem("genlab.chat.other", '{"name": 3, "messages": "x", "dials": null}');
        let size = 4_000_000;
        while (size > 10) {
            try { localStorage.setItem("filler" + Math.random(), "x".repeat(size)); }
            catch { size = Math.floor(size / 2); }
        }
    }""")
    unfold(page)
    says(page, "Hello there!")
    wait_for_answer(page)
    expect(page.locator("#chat-shelf-note")).to_contain_text("no more room")
    assert turns(page, "user") == ["Hello there!"]
    page.evaluate(
        "Object.keys(localStorage).forEach((k) => k.startsWith('filler') && localStorage.removeItem(k))"
    )
    says(page, "How are you?")
    wait_for_answer(page, 2)
    expect(page.locator("#chat-shelf-note")).not_to_contain_text("no more room")


def test_a_conversation_survives_a_reload_and_a_restart(browser, tmp_path):
    port = free_port()
    server = start_server(tmp_path, port=port, HF_HUB_OFFLINE="1")
    context = browser.new_context(locale="en-US")
    try:
        page = context.new_page()
        page.goto(server.url)
        page.fill("#chat-system textarea", "You get excited about everything!")
        says(page, "Hello there!")
        wait_for_answer(page)
        before = turns(page, "bot")
        page.reload()
        expect(page.locator("#chat-bot .user.message")).to_have_text("Hello there!")
        assert turns(page, "bot") == before
        server.process.terminate()
        server.process.wait(20)
        assert "Hello there" not in server.log_text()
        server = start_server(tmp_path, port=port, HF_HUB_OFFLINE="1")
        page.reload()
        expect(page.locator("#chat-bot .user.message")).to_have_text("Hello there!")
        assert turns(page, "bot") == before
        expect(page.locator("#chat-system textarea")).to_have_value(
            "You get excited about everything!"
        )
        says(page, "How are you?")
        wait_for_answer(page, 2)
    finally:
        context.close()
        server.process.terminate()
        server.process.wait(20)
