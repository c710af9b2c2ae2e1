"""Take the pictures in docs/ anew, from a running page.

    python docs/screenshots.py http://127.0.0.1:7860

Each tab at 1280 px in English, light; the chat and the sentiment tab as a phone shows them, in Korean. What is
on them is what a visitor sees on opening the tab, and a picture drawn by the starter.
Needs Playwright and a Chromium (tests/requirements.txt), and a font with Hangul.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent
TABS = ("chat", "text_to_image", "sentiment", "sentence_similarity")
PHONE = ("chat", "sentiment")


def main(url: str) -> None:
    """Take all pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for tab in TABS:
            page = browser.new_page(locale="en-US", viewport={"width": 1280, "height": 860})
            _open(page, url, tab)
            if tab == "text_to_image":
                page.locator("#text_to_image-examples button").first.click()
                page.locator("#text_to_image-status", has_text="float32").wait_for(timeout=120_000)
                page.wait_for_timeout(1500)
                page.evaluate("scrollTo(0, 0)")
            _save(page, tab)
            page.close()
        for tab in PHONE:
            page = browser.new_page(locale="ko-KR", viewport={"width": 390, "height": 844})
            _open(page, url, tab)
            _save(page, f"{tab}_phone")
            page.close()
        browser.close()


def _open(page: Page, url: str, tab: str) -> None:
    page.add_init_script("localStorage.setItem('genlab.tour', 'seen')")
    page.goto(f"{url.rstrip('/')}/#{tab}")
    page.locator(f"#tab-{tab}").wait_for()
    page.wait_for_timeout(2500)


def _save(page: Page, name: str) -> None:
    """Save with 128 colours: a third of the bytes, and text stays sharp."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    small = picture.quantize(128, dither=Image.Dither.NONE)
    small.save(FOLDER / f"{name}.png", optimize=True)
    print(name, (FOLDER / f"{name}.png").stat().st_size // 1000, "kB")


if __name__ == "__main__":
    main(sys.argv[1])
