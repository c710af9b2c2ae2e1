"""The image tab in a real Chromium: a picture forms, is stopped, is downloaded whole."""

import re

from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import open_tab

TAB = "text_to_image"
WAIT = 120_000  # milliseconds: the first picture brings the libraries into memory


def opened(open_page, *args, **values):
    page = open_page(*args, **values)
    open_tab(page, TAB)
    return page


def ask(page, prompt, **dials):
    page.fill(f"#{TAB}-prompt textarea", prompt)
    for name, value in dials.items():
        box = page.locator(f"#{TAB}-{name} input[type=number]")
        box.fill(str(value))
        box.press("Tab")
    page.click(f"#{TAB}-start")


def drawn(page):
    expect(page.locator(f"#{TAB}-download")).to_be_visible(timeout=WAIT)
    picture = page.locator(f"#{TAB}-result img").first
    expect(picture).to_be_visible()
    return picture


def test_one_click_draws_and_the_download_is_the_true_png(open_page):
    page = opened(open_page, "ko-KR", width=390)
    page.locator(f"#{TAB}-examples button").first.click()
    picture = drawn(page)
    assert picture.bounding_box()["width"] > 250  # 64 pixels, enlarged
    assert picture.evaluate("e => getComputedStyle(e).imageRendering") == "pixelated"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    status = page.locator(f"#{TAB}-status").inner_text()
    seed = re.search(r"시드 (\d+)", status)[1]
    assert page.input_value(f"#{TAB}-seed input") == seed
    with page.expect_download() as download:
        page.click(f"#{TAB}-download")
    with Image.open(download.value.path()) as image:
        assert image.size == (64, 64)
        assert f"Seed: {seed}" in image.text["parameters"]
        assert image.text["parameters"].startswith("a large red circle on a blue background")


def test_the_seed_is_kept_when_it_is_not_to_be_new(open_page):
    page = opened(open_page)
    page.uncheck(f"#{TAB}-random input")
    sources = []
    for _ in range(2):
        ask(page, "a yellow star", seed=77, num_inference_steps=3)
        drawn(page)
        expect(page.locator(f"#{TAB}-status")).to_contain_text("seed 77")
        sources.append(page.locator(f"#{TAB}-result img").first.get_attribute("src"))
        page.locator(f"#{TAB}-python button").first.click()
    assert sources[0] == sources[1]  # the file's place is a hash of its bytes
    expect(page.locator(f"#{TAB}-recipe")).to_contain_text("manual_seed")


def test_stop_keeps_what_has_formed_and_frees_the_model(open_page):
    page = opened(open_page)
    opened_part(page, "advanced")
    ask(page, "a red circle", num_inference_steps=100, num_images=4)  # longer than a click takes
    expect(page.locator(f"#{TAB}-forming .progress")).to_be_visible(timeout=WAIT)
    expect(page.locator(f"#{TAB}-forming")).to_contain_text(re.compile(r"step \d+ of 100"))
    page.click(f"#{TAB}-stop")
    expect(page.locator(f"#{TAB}-status")).to_contain_text("Stopped")
    expect(page.locator(f"#{TAB}-forming img")).to_be_visible()
    words = page.locator(
        f"#{TAB}-forming .result-line"
    )  # beside it Gradio keeps words that nobody sees
    said = words.inner_text()
    page.wait_for_timeout(700)
    assert words.inner_text() == said
    ask(page, "a red circle", num_inference_steps=2, num_images=1)
    drawn(page)


def test_words_it_does_not_know_are_said(open_page):
    page = opened(open_page)
    ask(page, "a red circle and a dragon", num_inference_steps=2)
    drawn(page)
    expect(page.locator(f"#{TAB}-status .note")).to_contain_text("dragon")
    ask(page, "quantum dragons")
    expect(page.get_by_text("knows none of these words")).to_be_visible()
    expect(page.locator(f"#{TAB}-forming")).to_contain_text("press Draw")


def test_the_dials_follow_the_model(open_page):
    page = opened(open_page)
    page.click(f"#{TAB}-model input")
    page.get_by_role("option", name="Stable Diffusion v1-4").click()
    steps = page.locator(f"#{TAB}-num_inference_steps input[type=number]")
    expect(steps).to_have_value("50")
    expect(page.locator(f"#{TAB}-guidance_scale input[type=number]")).to_have_value("7.5")
    expect(page.locator(f"#{TAB}-about")).to_contain_text("OpenRAIL")
    page.click(f"#{TAB}-model input")
    page.get_by_role("option", name="OpenAI Images").click()
    expect(page.locator(f"#{TAB}-key")).to_be_visible()
    expect(steps).to_be_hidden()


# ---------------------------------------------------------------- restoring


def number(page, name):
    return page.input_value(f"#{TAB}-{name} input[type=number]")


def opened_part(page, name):
    page.locator(f"#{TAB}-{name} button").first.click()


def test_a_dropped_png_restores_its_settings(open_page, tmp_path):
    page = opened(open_page)
    page.uncheck(f"#{TAB}-random input")
    ask(page, "a green heart", seed=31, num_inference_steps=4, guidance_scale=2.5)
    drawn(page)
    first = page.locator(f"#{TAB}-result img").first.get_attribute("src")
    with page.expect_download() as download:
        page.click(f"#{TAB}-download")
    file = tmp_path / "heart.png"
    download.value.save_as(file)

    page = opened(open_page, "ko-KR", width=390)
    opened_part(page, "restore")
    page.set_input_files(f"#{TAB}-drop input[type=file]", file)
    expect(page.locator(f"#{TAB}-note")).to_contain_text("설정을 불러왔어요")
    assert page.input_value(f"#{TAB}-prompt textarea") == "a green heart"
    assert number(page, "num_inference_steps") == "4"
    assert number(page, "guidance_scale") == "2.5"
    assert page.input_value(f"#{TAB}-seed input") == "31"
    assert not page.is_checked(f"#{TAB}-random input")
    page.click(f"#{TAB}-start")
    drawn(page)
    assert page.locator(f"#{TAB}-result img").first.get_attribute("src") == first


def test_a_file_without_settings_loses_nothing(open_page, tmp_path):
    page = opened(open_page)
    page.fill(f"#{TAB}-prompt textarea", "my long thought")
    opened_part(page, "restore")
    plain = tmp_path / "plain.png"
    Image.new("RGB", (8, 8)).save(plain)
    letter = tmp_path / "letter.txt"
    letter.write_text("no picture")
    for file, word in ((plain, "carries no settings"), (letter, "not a PNG")):
        page.set_input_files(f"#{TAB}-drop input[type=file]", file)
        expect(page.locator(f"#{TAB}-note")).to_contain_text(word)
        expect(page.locator(f"#{TAB}-drop input[type=file]")).to_be_attached()
    assert page.input_value(f"#{TAB}-prompt textarea") == "my long thought"


# ---------------------------------------------------------------- stages, history, grid


def test_the_stages_are_stepped_through_by_keyboard(open_page):
    page = opened(open_page)
    ask(page, "a yellow star", num_inference_steps=12)
    drawn(page)
    stages = page.locator(f"#{TAB}-stages .stage")
    expect(stages).to_have_count(7)
    stages.first.click()
    views = page.locator(f"#{TAB}-stages .stage-view:visible")
    expect(views).to_contain_text("After step 1 of 12")
    page.keyboard.press("ArrowRight")
    expect(views).to_contain_text("After step 3 of 12")
    expect(views).to_have_count(1)


def test_the_history_outlives_a_reload_and_restores_and_is_nobody_elses(open_page):
    page = opened(open_page, "ko-KR")
    page.uncheck(f"#{TAB}-random input")
    ask(page, "초록 하트", seed=9, num_inference_steps=3)
    drawn(page)
    first = page.locator(f"#{TAB}-result img").first.get_attribute("src")
    page.reload()
    open_tab(page, TAB)
    opened_part(page, "history")
    page.locator(f"#{TAB}-history-view .pick").first.click()
    expect(page.locator(f"#{TAB}-note")).to_contain_text("설정을 불러왔어요")
    assert page.input_value(f"#{TAB}-prompt textarea") == "초록 하트"
    assert (number(page, "num_inference_steps"), page.input_value(f"#{TAB}-seed input")) == (
        "3",
        "9",
    )
    page.click(f"#{TAB}-start")
    drawn(page)
    assert page.locator(f"#{TAB}-result img").first.get_attribute("src") == first
    expect(page.locator(f"#{TAB}-history-view .pick")).to_have_count(1)  # the same, not a second
    page.click(f"#{TAB}-history-clear")
    expect(page.locator(f"#{TAB}-history-view .pick")).to_have_count(0)

    other = opened(open_page)
    opened_part(other, "history")
    expect(other.locator(f"#{TAB}-history-view")).to_contain_text("Pictures you make appear here")


def test_a_grid_fills_a_cell_restores_and_stop_keeps_what_is_there(open_page):
    page = opened(open_page, width=390)
    page.fill(f"#{TAB}-prompt textarea", "a red circle")
    opened_part(page, "explore")
    page.wait_for_timeout(500)  # Gradio fills in a part a moment after it opens
    page.fill(f"#{TAB}-explore-guidance input, #{TAB}-explore-guidance textarea", "1, 4")
    page.fill(f"#{TAB}-explore-steps input, #{TAB}-explore-steps textarea", "2, 5")
    page.click(f"#{TAB}-explore-start")
    cells = page.locator(f"#{TAB}-explore-grid button.pick")
    expect(cells).to_have_count(4, timeout=WAIT)
    expect(page.locator(f"#{TAB}-explore-grid th").first).to_contain_text("guidance 1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    with page.expect_download() as download:
        page.click(f"#{TAB}-explore-sheet")
    with Image.open(download.value.path()) as sheet:
        assert "X/Y/Z plot" in sheet.text["parameters"]
    cells.nth(3).click()
    expect(page.locator(f"#{TAB}-note")).to_contain_text("settings are back")
    assert (number(page, "guidance_scale"), number(page, "num_inference_steps")) == ("4", "5")
    assert not page.is_checked(f"#{TAB}-random input")

    page.fill(f"#{TAB}-explore-guidance input, #{TAB}-explore-guidance textarea", "4, 5, 6")
    page.fill(f"#{TAB}-explore-steps input, #{TAB}-explore-steps textarea", "3, 97, 98, 99, 100")
    page.click(f"#{TAB}-explore-start")
    expect(page.locator(f"#{TAB}-explore-grid")).to_contain_text("97 steps", timeout=WAIT)
    expect(cells).not_to_have_count(0, timeout=WAIT)
    page.click(f"#{TAB}-explore-stop")
    expect(page.locator(f"#{TAB}-explore-status")).to_contain_text("Stopped")
    assert 1 <= cells.count() < 15


def test_a_result_is_the_start_of_the_next_and_words_are_clicked_together(open_page):
    page = opened(open_page)
    opened_part(page, "words")
    for word in ("red", "circle"):
        page.locator(f"#{TAB}-word-list .in-en button", has_text=re.compile(f"^{word}$")).click()
        expect(page.locator(f"#{TAB}-prompt textarea")).to_have_value(re.compile(f"{word}$"))
    assert page.input_value(f"#{TAB}-prompt textarea") == "red circle"
    page.click(f"#{TAB}-start")
    drawn(page)
    opened_part(page, "from")
    page.click(f"#{TAB}-start-from")
    expect(page.locator(f"#{TAB}-image img")).to_be_visible()
    before = page.locator(f"#{TAB}-result img").first.get_attribute("src")
    page.click(f"#{TAB}-start")
    expect(page.locator(f"#{TAB}-result img").first).not_to_have_attribute(
        "src", before, timeout=WAIT
    )
    drawn(page)
    opened_part(page, "python")
    expect(page.locator(f"#{TAB}-recipe")).to_contain_text("AutoPipelineForImage2Image")

    page.reload()  # the history keeps what was started from, and that the first had no start
    open_tab(page, TAB)
    opened_part(page, "history")
    cards = page.locator(f"#{TAB}-history-view .pick")
    cards.nth(0).click()
    expect(page.locator(f"#{TAB}-image img")).to_be_visible()
    cards.nth(1).click()
    expect(page.locator(f"#{TAB}-image img")).to_have_count(0)


def test_a_start_picture_that_cannot_be_read_is_taken_away(open_page, tmp_path):
    page = opened(open_page)
    opened_part(page, "from")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nno more")
    page.set_input_files(f"#{TAB}-image input[type=file]", broken)
    expect(page.locator(f"#{TAB}-image-note")).to_contain_text("cannot be read as a picture")
    ask(page, "a red circle", num_inference_steps=2)
    drawn(page)
