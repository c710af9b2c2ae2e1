"""A server and a key typed on the page, in a real browser: they work, and the key is kept nowhere."""

import json
import re
import urllib.request

import pytest
from openai import OpenAI
from playwright.sync_api import expect

from tests.stub_server import DONE, StubServer, chunk, fault, usage

KEY = "sk-typed-by-a-person"
ANSWER = [chunk("Hel"), chunk("lo"), chunk(None, end="stop"), usage(7, 2), DONE]
MODEL_LIST = (200, {"data": [{"id": "model-a"}, {"id": "model-b"}, {"id": "text-embedding-3"}]})


def to_a_server(page, url: str) -> None:
    """Choose a hosted model and type the server and the key."""
    page.click("#chat-model input")
    page.get_by_role("option", name="OpenAI").click()
    page.fill("#chat-base-url input, #chat-base-url textarea", url)
    page.fill("#chat-key input", KEY)


def says(page, text: str) -> None:
    page.fill("#chat-message textarea", text)
    page.press("#chat-message textarea", "Enter")


STORES = """async () => JSON.stringify([
    {...localStorage}, {...sessionStorage}, document.cookie,
    location.href, await indexedDB.databases(), await caches.keys(),
])"""


def test_a_typed_key_serves_its_person_and_is_kept_nowhere(open_page, server):
    with StubServer((200, ANSWER), listed=MODEL_LIST) as other:
        page = open_page()
        to_a_server(page, other.url)
        page.click("#chat-list-models")
        expect(page.locator("#chat-models-found")).to_contain_text("2 models", timeout=120_000)
        expect(page.locator("#chat-model-name input")).to_have_value("model-a")
        page.click("#chat-model-name input")
        page.get_by_role("option", name="model-b").click()
        says(page, "Hello")
        expect(page.locator("#chat-status")).to_contain_text("7 tokens in, 2 out", timeout=120_000)
        expect(page.locator("#chat-bot .bot.message")).to_have_text("Hello")
        assert other.keys == [f"Bearer {KEY}"] * 2
        assert other.bodies[0]["model"] == "model-b"

        page.locator("#chat-python button").first.click()
        expect(page.locator("#chat-recipe")).to_contain_text("base_url")
        assert KEY not in page.locator("#chat-recipe").inner_text()
        assert KEY not in page.evaluate(STORES)
        assert KEY not in server.log_text()

        stranger = open_page()
        expect(stranger.locator("#chat-model input")).to_be_visible()
        assert KEY not in stranger.content() + stranger.evaluate(STORES)
        with urllib.request.urlopen(server.url + "config") as config:
            assert KEY not in config.read().decode()

        page.reload()
        page.click("#chat-model input")
        page.get_by_role("option", name="OpenAI").click()
        expect(page.locator("#chat-key input")).to_have_value("")


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        ((401, fault("invalid_api_key", f"bad key {KEY}")), "서버가 API 키를 받아 주지 않았어요"),
        ((200, "<html>hello</html>"), "웹 페이지가 답했어요"),
        ((200, [chunk("Hel"), chunk("lo")]), "서버가 연결을 끊었어요"),
    ],
)
def test_a_fault_of_a_server_is_told_in_the_pages_language(open_page, server, reply, sentence):
    with StubServer(reply) as other:
        page = open_page("ko-KR")
        to_a_server(page, other.url)
        says(page, "안녕")
        expect(page.get_by_text(re.compile(sentence))).to_be_visible(timeout=120_000)
        if not isinstance(reply[1], list):  # nothing was answered: the message is back in its box
            expect(page.locator("#chat-message textarea")).to_have_value("안녕")
        else:  # the half answer stays
            expect(page.locator("#chat-bot .user.message")).to_have_text("안녕")
            expect(page.locator("#chat-bot .bot.message")).to_have_text("Hello")
            expect(page.locator("#chat-status")).to_contain_text("답이 여기서 끊겼어요")
    assert KEY not in page.content()
    assert KEY not in server.log_text()


def test_what_servers_send_their_own_way_comes_right_on_the_page(open_page):
    whole = {"choices": [{"message": {"content": "Blue sky"}, "finish_reason": "stop"}]}
    end, out = chunk(None, end="stop"), fault("insufficient_quota", "You exceeded your quota.")
    bodies = (
        [chunk("<think>A sum.</think>"), chunk("Four"), end, DONE],
        [json.dumps(whole)],  # although a stream was requested
        [f"data: {json.dumps(out)}\n\n"],  # with status 200
    )
    with StubServer(*((200, body) for body in bodies)) as other:
        page = open_page()
        to_a_server(page, other.url)
        answers = page.locator("#chat-bot .bot.message")
        says(page, "Two and two?")
        expect(answers).to_have_text("Four", timeout=120_000)
        expect(page.locator("details.thoughts")).to_contain_text("A sum.")
        says(page, "The sky?")
        expect(answers.last).to_have_text("Blue sky", timeout=120_000)
        assert "A sum." not in json.dumps(other.bodies[1])  # thoughts are not sent back
        says(page, "And now?")
        expect(page.get_by_text(re.compile("no credit|quota")).first).to_be_visible(timeout=120_000)
        expect(answers.last).to_have_text("Blue sky")
        expect(page.locator("#chat-message textarea")).to_have_value("And now?")


def test_another_genlab_is_a_server_too_dice_included(open_page, server):
    page = open_page()
    to_a_server(page, f"{server.url}v1")
    page.fill("#chat-model-name input", "genlab/small-talk")
    page.press("#chat-model-name input", "Enter")
    page.locator("#chat-advanced > button").first.click()
    page.fill("#chat-seed input", "3")
    # The chosen model's own dials come a moment after it.
    expect(page.locator("#chat-temperature input[type=number]")).to_have_value("1")
    says(page, "Hello!")
    expect(page.locator("#chat-status")).to_contain_text("tokens in", timeout=120_000)
    expect(page.locator("#dice-view .example-note:visible")).to_have_count(0)
    tokens = page.locator("#dice-view .tok:visible")
    expect(tokens.first).to_be_visible()
    tokens.nth(1).click()
    expect(page.locator("#dice-bars .percent").nth(2)).to_be_visible()  # its alternatives
    with OpenAI(base_url=f"{server.url}v1", api_key="none") as client:
        answer = client.chat.completions.create(
            model="genlab/small-talk",
            messages=[{"role": "user", "content": "Hello!"}],
            seed=3,
            temperature=1,
            max_tokens=512,
        )
    words = " ".join(answer.choices[0].message.content.split())
    expect(page.locator("#chat-bot .bot.message")).to_have_text(words)
    page.locator("#chat-python button").first.click()
    page.locator("#chat-form label").nth(1).click()
    expect(page.locator("#chat-recipe")).to_contain_text(f"curl {server.url}v1/chat/completions")
    assert KEY not in page.locator("#chat-recipe").inner_text()
