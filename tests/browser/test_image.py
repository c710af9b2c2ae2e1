"""The image tab in a real Chromium: a picture forms, is stopped, is downloaded whole."""

import re

from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import open_tab

TAB = "text_to_image"
WAIT = 120_000  # milliseconds: the first picture brings the libraries into memory


def fresh_page(open_page, *args, **values):
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


def draw_one(page):
    expect(page.locator(f"#{TAB}-download")).to_be_visible(timeout=WAIT)
    picture = page.locator(f"#{TAB}-result img").first
    expect(picture).to_be_visible()
    return picture


def test_one_click_draws_and_the_download_is_the_true_png(open_page):
    page = fresh_page(open_page, "ko-KR", width=390)
    first = page.locator(f"#{TAB}-examples button:visible")
    expect(first.first).to_be_visible()
    korean = first.filter(has_text="밤 눈밭의 판다")
    expect(first.filter(has_text="a panda in the snow")).to_have_count(
        0
    )  # a phone shows its own language
    korean.click()
    picture = draw_one(page)
    assert picture.bounding_box()["width"] > 250
    # The list of words scrolls in its own box, and does not lie over what follows.
    words = page.locator("#text_to_image-word-list")
    assert words.evaluate("box => getComputedStyle(box).overflowY") == "auto"
    assert words.evaluate("box => box.scrollHeight > box.clientHeight")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    status = page.locator(f"#{TAB}-status").inner_text()
    seed = re.search(r"시드 (\d+)", status)[1]
    assert page.input_value(f"#{TAB}-seed input") == seed
    with page.expect_download() as download:
        page.click(f"#{TAB}-download")
    with Image.open(download.value.path()) as image:
        assert image.size == (256, 256)
        assert f"Seed: {seed}" in image.text["parameters"]
        assert image.text["parameters"].startswith("밤 눈밭의 판다")


def test_the_seed_is_kept_when_it_is_not_to_be_new(open_page):
    page = fresh_page(open_page)
    page.uncheck(f"#{TAB}-random input")
    sources = []
    for _ in range(2):
        ask(page, "a yellow star", seed=77, num_inference_steps=3)
        draw_one(page)
        expect(page.locator(f"#{TAB}-status")).to_contain_text("seed 77")
        sources.append(page.locator(f"#{TAB}-result img").first.get_attribute("src"))
        page.locator(f"#{TAB}-python button").first.click()
    assert sources[0] == sources[1]  # the file's place is a hash of its bytes
    expect(page.locator(f"#{TAB}-recipe")).to_contain_text("manual_seed")


def test_stop_keeps_what_has_formed_and_frees_the_model(open_page):
    page = fresh_page(open_page)
    open_part(page, "advanced")
    ask(page, "a red circle", num_inference_steps=100, num_images=4)  # longer than a click takes
    expect(page.locator(f"#{TAB}-forming .progress")).to_be_visible(timeout=WAIT)
    expect(page.locator(f"#{TAB}-forming")).to_contain_text(re.compile(r"step \d+ of 100"))
    page.click(f"#{TAB}-stop")
    expect(page.locator(f"#{TAB}-status")).to_contain_text("Stopped")
    expect(page.locator(f"#{TAB}-forming img")).to_be_visible()
    words = page.locator(
        f"#{TAB}-forming .result-line"
    )  # beside it Gradio keeps words that nobody sees
    text = words.inner_text()
    page.wait_for_timeout(700)
    assert words.inner_text() == text
    expect(page.locator(f"#{TAB}-forming .progress")).to_be_hidden()  # nothing counts down any more
    ask(page, "a red circle", num_inference_steps=2, num_images=1)
    draw_one(page)


def test_an_experiment_takes_the_place_of_a_drawing_and_a_second_press_does_not(open_page):
    page = fresh_page(open_page)
    open_part(page, "advanced")
    ask(page, "a red circle", num_inference_steps=100, num_images=4)
    forming = page.locator(f"#{TAB}-forming .progress")
    expect(forming).to_be_visible(timeout=WAIT)
    page.click(f"#{TAB}-start")  # nothing, now or later
    page.click(f"#{TAB}-try-seeds")
    expect(page.locator(f"#{TAB}-status")).to_contain_text("seed 1 – 3", timeout=WAIT)
    expect(page.locator(f"#{TAB}-prompt textarea")).to_have_value("a fox")
    page.wait_for_timeout(1000)
    expect(forming).to_be_hidden()


def test_words_it_does_not_know_are_said(open_page):
    page = fresh_page(open_page)
    ask(page, "a red circle and a leopard", num_inference_steps=2)
    draw_one(page)
    expect(page.locator(f"#{TAB}-status .note")).to_contain_text("leopard")


def test_a_refused_picture_keeps_the_good_one_and_offers_words_that_work(open_page):
    page = fresh_page(open_page)
    ask(page, "a red circle", num_inference_steps=3)
    draw_one(page)
    before = page.locator(f"#{TAB}-result img").first.get_attribute("src")
    line = page.locator(f"#{TAB}-status").inner_text()
    ask(page, "leopard submarines")
    problem = page.locator(f"#{TAB}-problem")
    expect(problem).to_contain_text("knows none of these words")
    assert page.locator(f"#{TAB}-result img").first.get_attribute("src") == before
    expect(page.locator(f"#{TAB}-status")).to_have_text(re.compile(re.escape(line[:30])))
    expect(page.locator(f"#{TAB}-film .film:visible")).to_have_count(1)
    page.wait_for_timeout(6000)  # a message of Gradio's own would be gone by now
    expect(problem).to_contain_text("knows none of these words")
    page.locator(f"#{TAB}-unknown button", has_text=re.compile("^tiger$")).click()
    expect(page.locator(f"#{TAB}-prompt textarea")).to_have_value("tiger submarines")
    expect(page.locator(f"#{TAB}-unknown")).not_to_contain_text("leopard")
    page.click(f"#{TAB}-start")
    expect(problem).to_be_hidden(timeout=WAIT)
    expect(page.locator(f"#{TAB}-status")).to_contain_text("has not learnt the words", timeout=WAIT)


def test_unknown_words_are_said_before_anything_is_drawn(open_page):
    page = fresh_page(open_page, "ko-KR")
    box = page.locator(f"#{TAB}-prompt textarea")
    box.press_sequentially("밤의 표범이 ", delay=40)
    note = page.locator(f"#{TAB}-unknown")
    expect(note).to_contain_text("모르는 단어라서 빼고 그려요")
    expect(note).to_contain_text("표범이")
    note.locator("button").first.click()
    expect(box).to_have_value(re.compile("^밤의 .+[이가]"))
    expect(note).to_be_hidden()
    box.press_sequentially(" 표범이 ")
    expect(note).to_be_visible()
    with page.expect_request(lambda call: call.method == "POST") as call:
        box.fill("표범이 " * 12_000)  # more than can be drawn: neither sent nor read whole
        box.press("a")
    assert len(call.value.post_data) < 20_000
    expect(note).to_be_hidden()


def test_a_paste_is_checked_for_unknown_words_as_typing_is(open_page):
    page = fresh_page(open_page)
    box, note = page.locator(f"#{TAB}-prompt textarea"), page.locator(f"#{TAB}-unknown")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('a leopard in the snow')")
    box.press("Control+v")
    expect(note).to_contain_text("leopard")
    box.press("Control+a")
    box.press("Control+x")
    expect(note).to_be_hidden()


def test_an_empty_prompt_or_a_bad_value_is_said_at_the_field_and_stays(open_page):
    page = fresh_page(open_page)
    problem = page.locator(f"#{TAB}-problem")
    page.click(f"#{TAB}-start")
    expect(problem).to_contain_text("prompt")
    expect(page.locator(f"#{TAB}-example img:visible")).to_have_count(1)
    page.uncheck(f"#{TAB}-random input")
    page.fill(f"#{TAB}-seed input", "-5")
    ask(page, "a red circle")
    expect(problem).to_contain_text("seed")
    expect(page.locator(".toast-wrap .error")).to_have_count(0)
    page.wait_for_timeout(6000)
    expect(problem).to_contain_text("seed")


def test_the_dials_follow_the_model(open_page):
    page = fresh_page(open_page)
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


def open_part(page, name):
    page.locator(f"#{TAB}-{name} button").first.click()


def test_a_dropped_png_restores_its_settings(open_page, tmp_path):
    page = fresh_page(open_page)
    page.uncheck(f"#{TAB}-random input")
    ask(page, "a green heart", seed=31, num_inference_steps=4, guidance_scale=2.5)
    draw_one(page)
    first = page.locator(f"#{TAB}-result img").first.get_attribute("src")
    with page.expect_download() as download:
        page.click(f"#{TAB}-download")
    file = tmp_path / "heart.png"
    download.value.save_as(file)

    page = fresh_page(open_page, "ko-KR", width=390)
    open_part(page, "advanced")
    page.set_input_files(f"#{TAB}-drop input[type=file]", file)
    expect(page.locator(f"#{TAB}-note")).to_contain_text("설정을 불러왔어요")
    assert page.input_value(f"#{TAB}-prompt textarea") == "a green heart"
    assert number(page, "num_inference_steps") == "4"
    assert number(page, "guidance_scale") == "2.5"
    assert page.input_value(f"#{TAB}-seed input") == "31"
    assert not page.is_checked(f"#{TAB}-random input")
    page.click(f"#{TAB}-start")
    draw_one(page)
    assert page.locator(f"#{TAB}-result img").first.get_attribute("src") == first


def test_a_file_without_settings_loses_nothing(open_page, tmp_path):
    page = fresh_page(open_page)
    page.fill(f"#{TAB}-prompt textarea", "my long thought")
    open_part(page, "advanced")
    plain = tmp_path / "plain.png"
    Image.new("RGB", (8, 8)).save(plain)
    letter = tmp_path / "letter.txt"
    letter.write_text("no picture")
    for file, word in ((plain, "carries no settings"), (letter, "no PNG")):
        page.set_input_files(f"#{TAB}-drop input[type=file]", file)
        expect(page.locator(f"#{TAB}-note")).to_contain_text(word)
        expect(page.locator(f"#{TAB}-drop input[type=file]")).to_be_attached()
    assert page.input_value(f"#{TAB}-prompt textarea") == "my long thought"


# ---------------------------------------------------------------- stages, history, grid


def film(page):
    return page.locator(f"#{TAB}-film .film:visible")


def side_of(page, side):
    """Mean colour of a picture of the film, and its address."""
    image = film(page).locator(f".film-{side} img")
    return image.evaluate(
        """async (image) => {
          await image.decode();
          const small = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
          const context = small.getContext("2d");
          context.drawImage(image, 0, 0, 8, 8);
          return [[...context.getImageData(0, 0, 8, 8).data], image.src];
        }"""
    )


def test_the_film_goes_from_noise_to_the_picture_by_keyboard(open_page):
    page = fresh_page(open_page)
    ask(page, "a yellow star", num_inference_steps=12)
    draw_one(page)
    slider, caption = film(page).locator(".film-range"), film(page).locator(".film-caption")
    expect(caption).to_contain_text("After step 12 of 12")
    result = page.locator(f"#{TAB}-result img").first.get_attribute("src")
    assert side_of(page, "noisy")[1].rpartition("file=")[2] == result.rpartition("file=")[2]
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(caption).to_contain_text("After step 11 of 12")
    expect(film(page)).not_to_have_class(re.compile("is-coarse"), timeout=WAIT)
    assert side_of(page, "noisy")[1].startswith("data:image/webp")  # the decoder's
    page.keyboard.press("Home")
    expect(caption).to_contain_text("pure noise")
    assert "pure noise" in slider.get_attribute("aria-valuetext")
    expect(film(page).locator(".film-guess")).to_contain_text("no guess yet")
    film(page).locator(".film-latent").check()
    assert side_of(page, "noisy")[1].startswith("data:image/jpeg")
    expect(film(page)).to_contain_text("The decoder turns it into pixels")


def test_a_word_shows_where_it_looked_and_that_the_maps_are_coarse(open_page):
    page = fresh_page(open_page, "ko-KR", width=390)
    page.fill(f"#{TAB}-prompt textarea", "흰 배경에 빨간 원")
    page.click(f"#{TAB}-start")
    draw_one(page)
    words = film(page).locator(".film-word")
    expect(words).to_have_text(["흰", "배경에", "빨간", "원", re.compile("나머지")])
    words.nth(3).focus()
    page.keyboard.press("Enter")
    expect(film(page)).to_have_class(re.compile("has-heat"), timeout=WAIT)
    expect(words.nth(3)).to_have_attribute("aria-pressed", "true")
    expect(film(page).locator(".film-share")).to_contain_text(re.compile(r"“원”.*간 몫: \d+\.\d%"))
    expect(film(page).locator(".film-places")).to_contain_text("8 × 8")
    size = film(page).locator("canvas").evaluate("e => [e.width, e.height]")
    assert size == [8, 8]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_each_word_is_left_out_with_the_same_seed(open_page):
    page = fresh_page(open_page)
    page.uncheck(f"#{TAB}-random input")
    ask(page, "a red circle", seed=7, num_inference_steps=3)
    draw_one(page)
    page.click(f"#tab-{TAB}-ablation-button")
    page.click(f"#{TAB}-ablation-start")
    figures = page.locator(f"#{TAB}-ablation figure:visible")
    expect(page.locator(f"#{TAB}-ablation-status")).to_contain_text("seed 7", timeout=WAIT)
    expect(figures).to_have_count(4)
    expect(figures.nth(1)).to_contain_text("no words at all")
    expect(figures.nth(2)).to_contain_text(
        re.compile(r"without “red”.*\d+% of the picture changed")
    )


# ---------------------------------------------------------------- before the first use


def test_the_first_screen_is_a_worked_example_with_examples_above_the_fold(open_page, server):
    for locale, prompt in (("en-US", "a yellow fish and a crab"), ("ko-KR", "노란 물고기와 게")):
        page = fresh_page(open_page, locale)
        page.set_viewport_size({"width": 1280, "height": 800})
        example = page.locator(f"#{TAB}-example")
        expect(example).to_contain_text(prompt)
        expect(example.locator("img:visible")).to_have_count(1)
        expect(example.locator(".example-note:visible")).to_have_count(1)
        own = page.locator(f"#{TAB}-examples button:visible").first.bounding_box()
        assert own["y"] + own["height"] < 800
        slider = film(page).locator(".film-range")
        slider.focus()
        page.keyboard.press("Home")  # its stages and maps are there: nothing is asked of a model
        assert side_of(page, "noisy")[1].startswith("data:image/webp")
        film(page).locator(".film-word").first.click()
        page.keyboard.press("Tab")
        slider.focus()
        page.keyboard.press("End")
        expect(film(page)).to_have_class(re.compile("has-heat"))
        expect(film(page).locator(".film-places")).to_contain_text(
            "8 × 8"
        )  # and that they are coarse
        sections = page.locator(f"#tab-{TAB} .label-wrap:visible")
        assert sections.count() <= 3


def test_an_experiment_shows_what_guidance_does_and_is_a_link(open_page):
    page = fresh_page(open_page)
    page.click(f"#{TAB}-try-guidance")
    cells = page.locator(f"#{TAB}-explore-grid button.pick:visible")
    expect(page.locator(f"#{TAB}-explore-status")).to_contain_text("seed 1", timeout=WAIT)
    expect(cells).to_have_count(2)
    expect(page.locator(f"#{TAB}-explore-grid .no-prompt img:visible")).to_have_count(1)
    expect(page.locator(f"#{TAB}-try-note")).to_contain_text("Same seed")
    expect(cells.first).to_be_in_viewport()  # it is below the fold: the page goes there,
    expect(page.locator(".look-note:visible")).to_be_in_viewport()  # and takes the sentence along
    expect(page.locator(".look-note")).to_contain_text("Same seed")
    expect(page.get_by_title("guidance 8 · 25 steps · seed 1")).to_be_visible()
    page.click("#language")
    expect(page.get_by_label("가이던스 8 · 25스텝 · 시드 1")).to_be_visible()
    page.click("#language")
    page.click(f"#{TAB}-start")
    expect(page.locator(".look-note")).to_have_count(0)
    query = "#text_to_image?prompt=a%20green%20heart&seed=12&random=false&num_inference_steps=7"
    page_of_link = open_page(query=query)
    expect(page_of_link.locator(f"#{TAB}-prompt textarea")).to_have_value("a green heart")
    expect(page_of_link.locator(f"#{TAB}-num_inference_steps input[type=number]")).to_have_value(
        "7"
    )
    assert not page_of_link.is_checked(f"#{TAB}-random input")


def test_the_history_outlives_a_reload_and_restores_and_is_nobody_elses(open_page):
    page = fresh_page(open_page, "ko-KR")
    page.uncheck(f"#{TAB}-random input")
    ask(page, "초록 하트", seed=9, num_inference_steps=3)
    draw_one(page)
    first = page.locator(f"#{TAB}-result img").first.get_attribute("src")
    page.reload()
    open_tab(page, TAB)
    page.locator(f"#{TAB}-history-view .pick").first.click()
    expect(page.locator(f"#{TAB}-note")).to_contain_text("설정을 불러왔어요")
    assert page.input_value(f"#{TAB}-prompt textarea") == "초록 하트"
    assert (number(page, "num_inference_steps"), page.input_value(f"#{TAB}-seed input")) == (
        "3",
        "9",
    )
    page.click(f"#{TAB}-start")
    draw_one(page)
    assert page.locator(f"#{TAB}-result img").first.get_attribute("src") == first
    expect(page.locator(f"#{TAB}-history-view .pick")).to_have_count(1)  # the same, not a second
    page.click(f"#{TAB}-history-clear")
    expect(page.locator(f"#{TAB}-history-view .pick")).to_have_count(0)

    other = fresh_page(open_page)
    expect(other.locator(f"#{TAB}-history-view")).to_contain_text("Pictures you make appear here")


def test_a_grid_fills_a_cell_restores_and_stop_keeps_what_is_there(open_page):
    page = fresh_page(open_page, width=390)
    page.fill(f"#{TAB}-prompt textarea", "a red circle")
    page.click(f"#tab-{TAB}-explore-button")
    expect(page.locator(f"#{TAB}-explore-start")).to_be_visible()
    page.fill(f"#{TAB}-explore-guidance input, #{TAB}-explore-guidance textarea", "1, 4")
    page.fill(f"#{TAB}-explore-steps input, #{TAB}-explore-steps textarea", "2, 5")
    page.click(f"#{TAB}-explore-start")
    cells = page.locator(f"#{TAB}-explore-grid button.pick:visible")
    expect(page.locator(f"#{TAB}-explore-grid")).to_contain_text(
        "“a red circle” · seed 1", timeout=WAIT
    )
    expect(cells).to_have_count(4, timeout=WAIT)
    expect(page.locator(f"#{TAB}-explore-grid th").first).to_contain_text("guidance 1")
    expect(page.locator(f"#{TAB}-explore-grid .no-prompt:visible")).to_have_count(1, timeout=WAIT)
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
    page = fresh_page(open_page)
    for word in ("red", "circle"):
        page.locator(f"#{TAB}-word-list .in-en button", has_text=re.compile(f"^{word}$")).click()
        expect(page.locator(f"#{TAB}-prompt textarea")).to_have_value(re.compile(f"{word}$"))
    assert page.input_value(f"#{TAB}-prompt textarea") == "red circle"
    page.click(f"#{TAB}-start")
    draw_one(page)
    expect(page.locator(f"#{TAB}-image")).to_be_hidden()
    page.click(f"#{TAB}-start-from")
    expect(page.locator(f"#{TAB}-image img")).to_be_visible()
    beside, text = page.locator(f"#{TAB}-image"), page.locator(f"#{TAB}-prompt")
    assert beside.bounding_box()["y"] < text.bounding_box()["y"] + text.bounding_box()["height"]
    expect(page.locator(f"#{TAB}-status")).to_contain_text("starts from the one beside the prompt")
    beside.locator("button[aria-label='Remove Image']").click()  # its cross
    expect(page.locator(f"#{TAB}-image")).to_be_hidden()
    page.click(f"#{TAB}-start-from")
    expect(page.locator(f"#{TAB}-image img")).to_be_visible()
    before = page.locator(f"#{TAB}-result img").first.get_attribute("src")
    page.click(f"#{TAB}-start")
    expect(page.locator(f"#{TAB}-result img").first).not_to_have_attribute(
        "src", before, timeout=WAIT
    )
    draw_one(page)
    expect(page.locator(f"#{TAB}-status")).to_contain_text("60% of the steps")
    open_part(page, "python")
    expect(page.locator(f"#{TAB}-recipe")).to_contain_text("AutoPipelineForImage2Image")

    page.reload()  # the history keeps what was started from, and that the first had no start
    open_tab(page, TAB)
    cards = page.locator(f"#{TAB}-history-view .pick")
    cards.nth(0).click()
    expect(page.locator(f"#{TAB}-image img")).to_be_visible()
    cards.nth(1).click()
    expect(page.locator(f"#{TAB}-image img")).to_have_count(0)


def test_a_start_picture_that_cannot_be_read_is_not_taken(open_page, tmp_path):
    page = fresh_page(open_page)
    open_part(page, "advanced")
    bad, whole = tmp_path / "broken.png", tmp_path / "whole.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\nno more")
    Image.new("RGB", (40, 40), "red").save(whole)
    upload = page.locator(f"#{TAB}-upload")
    with page.expect_file_chooser() as chooser:
        upload.click()
    chooser.value.set_files(bad)
    expect(page.locator(f"#{TAB}-note")).to_contain_text("cannot be read as a picture")
    expect(page.locator(f"#{TAB}-image")).to_be_hidden()
    with page.expect_file_chooser() as chooser:
        upload.click()
    chooser.value.set_files(whole)
    expect(page.locator(f"#{TAB}-image img")).to_be_visible()
    expect(page.locator(f"#{TAB}-note")).to_contain_text("starts from the one beside the prompt")
    expect(page.locator(f"#{TAB}-strength")).to_be_visible()
    ask(page, "a red circle", num_inference_steps=2)
    draw_one(page)
