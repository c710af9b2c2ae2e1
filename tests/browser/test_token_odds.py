"""The dice in a real browser: looking into an answer, another token instead, a sentence by hand."""

import json
import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from models.chat.catalog import dials_of
from models.chat.token_odds import probabilities
from models.select import find
from models.settings import ROOT
from models.tasks import CHAT
from tests.browser.conftest import open_tab
from tests.browser.test_chat import hosted, says, wait_for_answer
from tests.stub_server import DONE, StubServer, chunk


@pytest.fixture
def page(open_page):
    page = open_page()
    open_tab(page, "chat")
    return page


def open_part(page: Page, name: str) -> None:
    """Open one of the parts under the conversation."""
    page.locator(f"#tab-chat-{name}-button:visible").click()


def set_temperature(page: Page, value: str) -> None:
    page.locator("#chat-temperature input[type=number]").fill(value)
    page.keyboard.press("Tab")


# ---------------------------------------------------------------- the first screen


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_the_chat_opens_with_a_worked_result_and_examples_in_sight(open_page, locale):
    page = open_page(locale)
    page.set_viewport_size({"width": 1280, "height": 800})
    language = locale[:2]
    example = json.loads((ROOT / "tabs" / "chat" / f"example_{language}.json").read_text("utf-8"))
    expect(page.locator("#chat-bot .said:visible")).to_have_text(example["message"])
    expect(page.locator("#chat-bot .example-note:visible")).to_have_count(1)
    tokens = page.locator("#dice-view .tok:visible")
    expect(tokens).to_have_count(len(example["tokens"]))
    expect(page.locator("#dice-view .example-note:visible")).to_have_count(1)
    expect(page.locator("#dice-bars .percent").first).to_be_visible()
    for part in (
        f"#chat-examples .examples-{language} button",
        "#chat-temperature input[type=range]",
        "#dice-bars li >> nth=4",
        "#dice-curve svg",
    ):
        box = page.locator(part).first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 800, (part, box)


def test_at_most_three_sections_are_closed(page):
    sections = page.locator("#tab-chat button.label-wrap:visible")
    expect(sections).to_have_count(3)


def test_the_dial_moves_the_bars_at_once_to_the_models_own_probabilities(page):
    """The page works out from its record what the model's logits would give."""
    expect(page.locator("#dice-bars .percent").first).to_be_visible()
    example = json.loads((ROOT / "tabs" / "chat" / "example_en.json").read_text("utf-8"))
    row = example["tokens"][0]
    logs = np.log([one[2] for one in row["alternatives"]])
    questions: list[str] = []
    page.on("request", lambda request: questions.append(request.url))
    for temperature in (0.3, 0.8, 1.0, 1.5, 2.0):
        set_temperature(page, str(temperature))
        rest = np.exp(row["others"][round(temperature * 20) - 1])
        weights = np.exp(logs / temperature)
        expected = weights / (weights.sum() + rest)
        result = page.evaluate(
            """t => {
              const button = document.querySelector("#dice-view .tok[data-odds]");
              return window.genlab.lens.shares(JSON.parse(button.dataset.odds), t).rows;
            }""",
            temperature,
        )
        assert np.allclose(result, expected, atol=1e-3)
        expect(page.locator("#dice-bars .percent").first).to_contain_text(
            f"{100 * expected[0]:.1f}%"
        )
    assert not [url for url in questions if "queue/join" in url], "the dial asked the server"


def test_shares_without_a_record_of_the_others_are_near_the_truth(page):
    """Zipf's law for all tokens without a row, held against a distribution that is known whole."""
    random = np.random.default_rng(0)
    logits = np.sort(random.normal(0, 2.5, 50_000))[::-1] + np.linspace(8, 0, 50_000) ** 2 / 8
    raw = probabilities(logits)
    rows = [[str(n), n, float(raw[n]), True] for n in range(8)]
    for temperature in (0.5, 0.8, 1.0, 1.2):
        truth = probabilities(logits, temperature)[:8]
        result = page.evaluate(
            "([rows, t]) => window.genlab.lens.shares({ rows, drawn: 0, bits: null }, t).rows",
            [rows, temperature],
        )
        assert np.abs(np.array(result) - truth).max() < 0.1
    at_zero = page.evaluate(
        "rows => window.genlab.lens.shares({ rows, drawn: 0, bits: null }, 0).rows", rows
    )
    assert at_zero == [1] + [0] * 7


def test_an_estimated_share_says_so_and_an_exact_one_does_not(page):
    others = page.locator("#dice-bars li.rest .percent")
    expect(others).to_be_visible()
    set_temperature(page, "1.5")
    expect(others).not_to_contain_text("≈")  # the example knows
    expect(page.locator("#dice-about")).to_be_hidden()
    page.evaluate(
        """() => {
          const button = document.querySelector("#dice-view .tok[aria-pressed=true]");
          const odds = JSON.parse(button.dataset.odds);
          delete odds.others;
          button.dataset.odds = JSON.stringify(odds);
          button.click();
        }"""
    )
    expect(others).to_contain_text("≈")
    expect(page.locator("#dice-about")).to_contain_text("Zipf")
    set_temperature(page, "1")
    expect(others).not_to_contain_text("≈")
    # The names at the curve's end stand above the numbers of its axis.
    boxes = [
        text.bounding_box()
        for text in page.locator("#dice-curve svg text").all()
        if text.text_content() == "2" or text.get_attribute("text-anchor") is None
    ]
    tick = next(box for box in boxes if box["y"] == max(one["y"] for one in boxes))
    assert all(box is tick or box["y"] + box["height"] <= tick["y"] + 4 for box in boxes)


def test_a_token_is_pointed_at_clicked_and_walked_by_keys(page):
    tokens = page.locator("#dice-view .tok:visible")
    first, second = tokens.nth(0), tokens.nth(1)
    expect(page.locator("#dice-bars li").first).to_be_visible()
    second.hover()
    expect(page.locator("#dice-which-token")).to_contain_text(second.inner_text())
    page.mouse.move(5, 5)
    expect(first).to_have_attribute("aria-pressed", "true")
    second.click()
    expect(second).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#dice-bars li.drawn .name")).to_have_text(second.inner_text())
    page.keyboard.press("End")
    expect(tokens.last).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(tokens.nth(tokens_count(page) - 2)).to_be_focused()
    assert page.locator("#dice-view .tok:visible[tabindex='0']").count() == 1


def tints(page: Page) -> dict[str, str]:
    """What is marked in the conversation itself: name of the highlight -> its texts."""
    return page.evaluate(
        "() => Object.fromEntries([...CSS.highlights].map(([k, v]) => [k, [...v].map(String).join('|')]))"
    )


def test_the_answer_in_the_conversation_is_tinted_and_leads_to_its_tokens(page):
    """Of the example first, then of the visitor's own answer."""
    page.wait_for_function("() => CSS.highlights.has('genlab-chance-1')")
    assert "doing" in tints(page)["genlab-chance-1"]
    says(page, "Hello there!")
    wait_for_answer(page)
    expect(page.locator("#dice-view .example-note")).to_have_count(0)
    page.wait_for_timeout(600)
    marks = tints(page)
    shades = "|".join(v for k, v in marks.items() if k != "genlab-token")
    answer = page.locator("#chat-bot .bot.message").inner_text()
    assert sorted("".join(shades.split("|")).replace(" ", "")) == sorted("".join(answer.split()))
    box = page.evaluate(
        """() => { const r = [...CSS.highlights.get("genlab-chance-1") || CSS.highlights.get("genlab-chance-2")][0];
            const b = r.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2, String(r)]; }"""
    )
    page.mouse.move(box[0], box[1])
    expect(page.locator("#dice-which-token")).to_contain_text(box[2])
    page.mouse.click(box[0], box[1])
    expect(page.locator("#dice-view .tok[aria-pressed=true]")).to_contain_text(box[2])
    page.keyboard.press("ArrowRight")
    expect(page.locator("#dice-view .tok[aria-pressed=true]")).to_be_focused()


def test_each_new_answer_brings_its_own_token_into_the_lens(page):
    """Gradio puts a new answer into the elements of the one before: their tokens are others."""
    token = page.locator("#dice-view .tok[aria-pressed=true]")
    for number, message in enumerate(("What do you like to do for fun?", "I had a bad day."), 1):
        says(page, message)
        wait_for_answer(page, number)
        expect(page.locator("#dice-view")).to_contain_text(message)
        expect(token).to_have_count(1)
        expect(page.locator("#dice-bars li.drawn .name")).to_have_text(token.inner_text())
        expect(page.locator("#dice-which-token .in-en b")).to_have_text(token.inner_text())


@pytest.mark.parametrize("name", ["again", "cold", "persona"])
def test_each_experiment_runs_at_one_click_and_says_where_to_look(page, name):
    page.click(f"#chat-try-{name}")
    wait_for_answer(page)
    expect(page.locator("#chat-try-note p")).to_have_count(1)
    expect(page.locator("#dice-view .example-note")).to_have_count(0)
    if name == "persona":
        expect(page.locator("#chat-persona input")).to_have_value(re.compile("Witty"))
        own = dials_of(find(CHAT, "genlab/small-talk"))
        dial = page.locator("#chat-temperature input[type=number]")
        expect(dial).to_have_value(str(own.temperature))
        page.click("#chat-copy-link")
        link = page.locator("#chat-try-note input").get_attribute("value") or ""
        assert "#chat?" in link
        assert "message=Hi%20there" in link
        assert "system_prompt=You%20are%20a%20witty" in link
        return
    cards = page.locator("#dice-view .card .text")
    expect(cards).to_have_count({"again": 5, "cold": 3}[name])
    if name == "cold":
        expect(page.locator("#chat-status")).to_contain_text("dice are not thrown")
        assert len(set(cards.all_inner_texts())) == 1


def tokens_count(page: Page) -> int:
    return page.locator("#dice-view .tok:visible").count()


def test_the_recorded_example_goes_on_with_another_token(page):
    expect(page.locator("#dice-bars .take").first).to_be_visible()
    page.locator("#dice-bars .take").first.click()
    expect(page.locator("#dice-view .card")).to_have_count(2, timeout=90_000)
    expect(page.locator("#dice-view")).to_contain_text("another token at place 1")
    expect(page.locator("#dice-view .example-note:visible")).to_have_count(0)


def test_on_a_phone_a_tap_shows_what_else_could_have_come(open_page):
    page = open_page(width=390)
    tokens = page.locator("#dice-view .tok:visible")
    tokens.nth(2).scroll_into_view_if_needed()
    tokens.nth(2).click()
    expect(page.locator("#dice-bars li.drawn .name")).to_have_text(tokens.nth(2).inner_text())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    parts = [page.locator(part).bounding_box() for part in ("#chat-bot", "#dice", "#chat-system")]
    places = [box["y"] for box in parts if box]
    assert len(places) == 3
    assert places == sorted(places)


# ---------------------------------------------------------------- a visitor's own answers


def test_a_token_is_looked_into_by_keyboard_and_another_goes_on(page):
    page.fill("#chat-message textarea", "Hi there! How are you today?")
    page.press("#chat-message textarea", "Enter")
    wait_for_answer(page)
    tokens = page.locator("#dice-view .tok")
    expect(page.locator("#dice-view .example-note")).to_have_count(0)
    tokens.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tokens.nth(1)).to_be_focused()
    expect(page.locator("#dice-details")).to_contain_text("Entropy")
    expect(page.locator("#dice-bars li.drawn")).to_have_count(1)
    page.locator("#dice-details .take").first.click()
    expect(page.locator("#dice-view .card")).to_have_count(2, timeout=90_000)
    expect(page.locator("#dice-view")).to_contain_text("another token at place 2")


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_the_tokens_of_a_message_and_of_two_languages_stand_there_at_once(open_page, locale):
    page = open_page(locale)
    open_part(page, "pieces")
    chips = page.locator("#pieces-read .chip")
    expect(chips.first).to_be_visible(timeout=90_000)
    ids = page.locator("#pieces-read .chip .id").all_inner_texts()
    assert len(ids) == chips.count()
    assert all(one.isdecimal() for one in ids)
    table = page.locator("#pieces-table")
    # Small talk ships, and the tokenizers of an encoder, the Korean reviews and the picture's words.
    small_talk = table.locator("tr.whose", has_text="GenLab Small Talk")
    expect(small_talk).to_have_count(1, timeout=90_000)
    for name in ("all-MiniLM-L6-v2", "GenLab Sentiment", "GenLab Scenes"):
        expect(table.locator("tr.whose", has_text=name)).to_have_count(1, timeout=90_000)
    expect(page.locator("#pieces-read")).not_to_contain_text(re.compile("thick|굵은"))
    expect(table).to_contain_text("57 bytes" if locale == "en-US" else "57바이트")
    cells = small_talk.locator("xpath=following-sibling::tr[1]").locator("td .chips")
    assert [cells.nth(n).locator(".chip").count() for n in (0, 1)] == [14, 11]
    expect(small_talk).to_contain_text("0.8")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_a_text_is_written_throw_by_throw(page):
    open_part(page, "next")
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
    for away in ("#chat-bot button[title=Clear]", "#chat-new"):
        page.fill("#chat-message textarea", "Hello there!")
        page.press("#chat-message textarea", "Enter")
        wait_for_answer(page)
        expect(page.locator("#dice-view .example-note")).to_have_count(0)
        page.locator("#dice-view .tok").first.click()
        expect(page.locator("#dice-bars li.drawn")).to_have_count(1)
        if away == "#chat-new":
            page.locator("#chat-shelf > button").first.click()
        page.click(away)
        expect(page.locator("#dice-view .example-note:visible")).to_have_count(1)
        expect(page.locator("#dice-which")).to_have_count(0)


def test_a_hosted_answers_probabilities_are_shown_and_another_token_goes_on(page):
    message = {"token": "Hi", "logprob": -0.7, "bytes": None}
    message["top_logprobs"] = [dict(message), {"token": "Hey", "logprob": -1.6, "bytes": None}]
    end = [chunk(None, end="stop"), DONE]
    with StubServer(
        (200, [chunk("Hi", logprobs=[message]), *end]), (200, [chunk(" you"), *end])
    ) as stub:
        hosted(page, stub)
        says(page, "Hello")
        expect(page.locator("#dice-view .tok")).to_have_count(1)
        expect(page.locator("#dice-view .tok")).to_have_attribute("title", "49.7%")
        page.locator("#dice-view .tok").click()
        page.locator("#dice-details .take").click()
        expect(page.locator("#dice-view .card")).to_have_count(2)
        expect(page.locator("#dice-status")).to_contain_text("some begin anew")
    assert stub.bodies[0]["top_logprobs"] == 8
    assert stub.bodies[1]["messages"][-1] == {"role": "assistant", "content": "Hey"}


def tab_to(page, choice: str) -> None:
    """Press Tab until the focus is there."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("chosen => document.activeElement.matches(chosen)", choice):
            return
    pytest.fail(f"no way to {choice} by keyboard")


def test_the_whole_way_by_keyboard_alone(page):
    page.locator("#chat-message textarea").focus()
    page.keyboard.type("Hi there! How are you today?")
    page.keyboard.press("Enter")
    expect(page.locator("#chat-status")).to_contain_text("seed", timeout=90_000)
    expect(page.locator("#dice-view .example-note")).to_have_count(0)
    tab_to(page, "#dice-view .tok")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#dice-bars li.drawn")).to_have_count(1)
    tab_to(page, "#dice-details .take")
    page.keyboard.press("Enter")
    expect(page.locator("#dice-view .card")).to_have_count(2, timeout=90_000)
    tab_to(page, "#tab-chat-how-button")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#next-bars .row").first).to_be_visible(timeout=90_000)  # by itself
    for button in ("#next-start", "#next-draw"):
        tab_to(page, button)
        page.keyboard.press("Enter")
        expect(page.locator("#next-bars .row").first).to_be_visible(timeout=90_000)
    expect(page.locator("#next-throw")).to_contain_text(re.compile(r"0\.\d{4}"), timeout=90_000)
    tab_to(page, "#next-bars .take")
    page.keyboard.press("Enter")
    expect(page.locator("#next-throw")).to_contain_text("by hand", timeout=90_000)
