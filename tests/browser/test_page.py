"""The page itself: two languages, two widths, two colour schemes, the keyboard, other people."""

import json
import re
import subprocess

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import TABS, open_tab

# What Gradio's own components bring and no theme can mend: rule -> part of the element's HTML.
GRADIO_OWN = {
    "label-content-name-mismatch": "upload",
    "aria-prohibited-attr": "empty",
}


def test_the_browser_chooses_the_language(open_page):
    expect(open_page("en-US").locator("#open-models")).to_have_text("Models")
    page = open_page("ko-KR")
    expect(page.locator("#open-models")).to_have_text("모델")
    assert page.evaluate("document.documentElement.lang") == "ko"
    expect(open_page("en-US", query="?lang=ko").locator("#open-models")).to_have_text("모델")


def test_the_switch_changes_all_in_place_keeps_the_work_and_is_remembered(open_page):
    page = open_page("en-US")
    open_tab(page, "sentiment")
    page.fill("#sentiment-text textarea", "What a wonderful evening.")
    page.click("#sentiment-start")
    expect(page.locator("#sentiment-status")).to_contain_text("float32", timeout=90_000)
    page.click("#language")
    expect(page.locator("#sentiment-start")).to_have_text("감정 분석하기")
    for tab in TABS:
        korean = re.compile("[가-힣]")
        expect(page.locator(f"#tab-{tab}-button:visible")).to_have_text(korean)
    expect(page.locator("#sentiment-status .in-ko").first).to_be_visible()
    expect(page.locator("#sentiment-status .in-en").first).to_be_hidden()
    assert page.input_value("#sentiment-text textarea") == "What a wonderful evening."
    page.fill("#sentiment-text textarea", "   ")
    page.click("#sentiment-start")
    expect(page.get_by_text("‘글’ 칸이 비어 있어요")).to_be_visible()
    page.goto(page.url.partition("?")[0])
    expect(page.locator("#open-models")).to_have_text("모델")


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
@pytest.mark.parametrize("name", TABS)
def test_a_phone_needs_no_sideways_scrolling(open_page, name, locale):
    page = open_page(locale, width=390)
    open_tab(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


ALL_HAVE_NAMES = """() => [...document.querySelectorAll(".gallery-item")].every(
  (one) => !one.offsetParent || one.textContent.trim())"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(open_page, dark):
    page = open_page(dark=dark, query=f"?__theme={'dark' if dark else 'light'}")
    faults = []
    for name in (*TABS, "sentence_similarity-many", "sentiment-teach"):
        if name not in TABS:
            open_tab(page, name.partition("-")[0])
        open_tab(page, name)
        page.wait_for_function(ALL_HAVE_NAMES)  # Gradio fills its examples a moment later
        for rule in Axe().run(page).response["violations"]:
            for node in rule["nodes"]:
                own = GRADIO_OWN.get(rule["id"])
                if own is None or own not in node["html"]:
                    faults.append(
                        (name, rule["id"], node["html"][:160], node["failureSummary"][:200])
                    )
    assert not faults, "\n".join(map(str, faults))


# The contrast between the edge of each empty box or circle that can be seen and what is behind it.
EDGES = """() => {
  const numbers = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (color) => numbers(color).slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    const color = getComputedStyle(node).backgroundColor, alpha = numbers(color)[3];
    return alpha === undefined || alpha === 1 || !node.parentElement ? color : behind(node.parentElement);
  };
  return [...document.querySelectorAll("input[type=checkbox], input[type=radio]")]
    .filter((box) => box.checkVisibility() && !box.checked && box.offsetWidth)
    .map((box) => {
      const [a, b] = [getComputedStyle(box).borderTopColor, behind(box.parentElement)].map(light);
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    });
}"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_an_empty_box_can_be_seen(open_page, dark):
    """WCAG 1.4.11, which axe does not measure."""
    page = open_page(dark=dark, query=f"?__theme={'dark' if dark else 'light'}")
    open_tab(page, "text_to_image")
    box = page.locator("#text_to_image-random input")
    box.uncheck()
    for change in (lambda: None, box.blur, lambda: page.mouse.move(1, 1)):
        change()  # with the focus, under the mouse, and by itself
        page.wait_for_timeout(500)  # colours fade in
        edges = page.evaluate(EDGES)
        assert len(edges) >= 2
        assert min(edges) >= 3, edges


def test_an_example_gives_a_result_at_one_click(open_page, server):
    page = open_page()
    open_tab(page, "sentiment")
    page.locator("#sentiment-examples button").first.click()
    expect(page.locator("#sentiment-result")).to_contain_text(
        re.compile("positive", re.I), timeout=90_000
    )
    page.locator("#sentiment-python button").first.click()
    expect(page.locator("#sentiment-recipe")).to_contain_text("transformers")
    expect(page.locator("#sentiment-status")).to_contain_text("float32")
    page.locator("#sentiment-form label").nth(1).click()
    code = page.locator("#sentiment-recipe .cm-content")
    expect(code).to_contain_text(f"curl {server.url}api/v1/sentiment")
    process = subprocess.run(
        ["bash", "-c", code.inner_text()], capture_output=True, text=True, check=True, timeout=120
    )
    answer, _ = json.JSONDecoder().raw_decode(process.stdout)
    assert answer["label"] == "negative"  # of the first example
    page.locator("#sentiment-form label").nth(2).click()
    expect(code).to_contain_text("from fastapi import FastAPI")


def test_the_models_panel_shows_and_unloads(open_page):
    page = open_page()
    open_tab(page, "sentiment")
    page.locator("#sentiment-examples button").first.click()
    expect(page.locator("#sentiment-status")).to_contain_text("float32", timeout=90_000)
    # A model that still explains the words is in use, and is not unloaded.
    expect(page.locator("#sentiment-why-status")).to_contain_text("float32", timeout=90_000)
    page.click("#open-models")
    row = page.locator("#models-loaded li", has_text="GenLab Sentiment (English)")
    expect(row).to_contain_text("float32")
    expect(page.locator("#models-catalogue")).to_contain_text("CreativeML OpenRAIL-M")
    page.click("#unload-which input")
    page.get_by_role("option", name="GenLab Sentiment (English)").click()
    page.click("#unload")
    expect(row).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator(".sidebar.open")).to_have_count(0)
    expect(page.locator("#open-models")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".sidebar.open .toggle-button")).to_be_focused()


def test_by_keyboard_alone(open_page):
    page = open_page()
    open_tab(page, "sentiment")
    page.focus("#sentiment-text textarea")
    page.keyboard.type("A dull, lifeless waste of two hours.")
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "sentiment-start":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#sentiment-result")).to_contain_text(
        re.compile("negative", re.I), timeout=90_000
    )
    page.fill("#sentiment-text textarea", "I loved every minute of it.")
    page.press("#sentiment-text textarea", "Enter")  # as in the chat
    bars = page.locator("#sentiment-result .bar:visible")
    expect(bars.first).to_contain_text("positive")


def test_nothing_is_fetched_from_outside(browser, server):
    outside = []
    page = browser.new_page()
    page.on(
        "request",
        lambda ask: (
            outside.append(ask.url)
            if not ask.url.startswith((server.url, "data:", "blob:"))
            else None
        ),
    )
    page.goto(server.url)
    expect(page.locator("#tabs")).to_be_visible()
    page.wait_for_timeout(1000)
    page.close()
    assert outside == []


def test_gradios_description_of_the_page_is_no_plain_array(open_page):
    """Svelte would wrap it in proxies: see gradio_patches.py."""
    kinds = open_page().evaluate(
        "() => [gradio_config.dependencies, gradio_config.components]"
        ".map((list) => [Array.isArray(list), Object.getPrototypeOf(list) === Array.prototype])"
    )
    assert kinds == [[True, False]] * 2
