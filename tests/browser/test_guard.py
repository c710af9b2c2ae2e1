"""The page under its own rules for browsers, and signing in, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import TABS, open_tab
from tests.conftest import start_server

LONG = 120_000  # milliseconds: the first use of a model loads it
LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_the_page_works_within_its_content_security_policy(browser, server, locale):
    context = browser.new_context(locale=locale, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(LONG)
    page.add_init_script(LISTEN)
    problems = []
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(server.url)
    for tab in TABS:
        open_tab(page, tab)
    open_tab(page, "chat")
    page.fill("#chat-message textarea", "Hello")
    page.click("#chat-start")
    expect(page.locator("#chat-status")).to_contain_text("CPU", timeout=LONG)
    open_tab(page, "text_to_image")
    page.fill("#text_to_image-prompt textarea", "a red circle")
    page.locator("#text_to_image-start").click()
    expect(page.locator("#text_to_image-result img").first).to_be_visible(timeout=LONG)
    page.wait_for_timeout(500)
    assert page.evaluate("window.violations") == []
    assert not [text for text in problems if "Security Policy" in text or "Refused to" in text]
    # And the policy holds: nothing is loaded from or sent to elsewhere.
    body = "() => fetch('https://example.com/?words').then(() => 'sent', () => 'held back')"
    assert page.evaluate(body) == "held back"
    assert page.evaluate("window.violations")[0].startswith("connect-src https://example.com")
    context.close()


def test_signing_in_waits_after_wrong_passwords_and_says_so(browser, tmp_path):
    server = start_server(tmp_path, GENLAB_AUTH="ann:right", GENLAB_STATE=str(tmp_path / "state"))
    try:
        page = browser.new_context(locale="ko-KR").new_page()
        page.set_default_timeout(LONG)
        page.add_init_script(LISTEN)
        page.goto(server.url)
        expect(page.locator("body")).to_contain_text("비밀번호를 열 번 틀리면", timeout=LONG)
        name, password = (
            page.locator("input, textarea").nth(0),
            page.locator("input[type=password]"),
        )
        name.fill("ann")
        password.fill("wrong")
        with page.expect_response(re.compile("/login")) as answer:
            password.press("Enter")
        assert answer.value.status == 400
        expect(password).to_have_value("")
        assert page.evaluate("window.violations") == []
        name.fill("ann")
        password.fill("right")
        password.press("Enter")
        expect(page.locator("#tabs")).to_be_visible(timeout=LONG)
    finally:
        server.process.terminate()
        server.process.wait(20)
