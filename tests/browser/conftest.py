"""A real Chromium on the running app; skipped in plain sight where there is none."""

import os
import shutil

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

TABS = ("chat", "text_to_image", "sentiment", "sentence_similarity")
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")  # its event loop would be in the way of the other tests' own
def browser():
    if not CHROMIUM:
        if os.environ.get("GENLAB_REQUIRE_BROWSER"):
            pytest.fail("GENLAB_REQUIRE_BROWSER is set and there is no Chromium")
        pytest.skip("no Chromium on this machine")
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, server):
    """Open the page as a visitor of a language, width and colour scheme."""
    contexts = []

    def open_page(
        locale: str = "en-US", width: int = 1280, dark: bool = False, query: str = ""
    ) -> Page:
        context = browser.new_context(
            locale=locale,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(server.url + query)
        expect(page.locator("#tabs")).to_be_visible()
        return page

    yield open_page
    for context in contexts:
        context.close()


def open_tab(page: Page, name: str) -> None:
    """Bring a tab to the front."""
    page.locator(f"#tab-{name}-button:visible").first.click()
    expect(page.locator(f"#tab-{name}")).to_be_visible()
