"""The image tab's grids, styles, words and stages, as the tab makes them, with the shipped starter."""

import html
import io
import json
import re
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from models.runtime.cache import ModelCache
from models.runtime.limits import Limits
from models.settings import ROOT, Settings
from models.tasks import CATALOG
from models.text_to_image import image_files
from models.text_to_image.picture_notes import parse_note
from models.text_to_image.requests import ImageGridRequest, ImageRequest
from models.text_to_image.vocabulary import Vocabulary
from tabs.shared.context import Context
from tabs.shared.strings import LANGUAGES
from tabs.text_to_image import controls, example, explore, prompt_words, restore
from tests.pictures import DIALS, draw, open_png

STARTER = next(spec for spec in CATALOG if spec.id == "genlab/scenes")
PICTURES = [spec for spec in CATALOG if spec.task == "text-to-image"]
WORDS = Vocabulary.read(ROOT / "models" / "starter" / "scenes")
SKIPS = {str(gr.skip())}  # a frame that changes nothing lets a closed page be noticed


@pytest.fixture(scope="module")
def context():
    cache = ModelCache(Settings())
    yield Context(Settings(), cache)
    cache.close()


def compare(context, kind, guidances="1, 4", steps="2 3", seeds=4):
    values = (kind, guidances, steps, seeds, "a red circle", "genlab/scenes", *DIALS.values())
    frames = [one for one in explore.compare(context, None, *values) if set(map(str, one)) != SKIPS]
    return [dict(zip(explore.OUTPUTS, frame, strict=True)) for frame in frames]


def test_without_a_prompt_the_grid_is_the_examples_with_the_seed_that_stands_there(context):
    values = {**DIALS, "random": True, "seed": 5}
    axes = (explore.SETTINGS, "3", "2", 4)
    frames = [*explore.compare(context, None, *axes, " ", "genlab/scenes", *values.values())]
    table = dict(zip(explore.OUTPUTS, frames[-1], strict=True))["table"]
    (cell,) = settings_in(table)
    assert (cell["prompt"], cell["seed"]) == (example.PROMPTS["en"], 5)


def settings_in(table):
    """Settings of the cells that can be pressed."""
    return [json.loads(html.unescape(p)) for p in re.findall('data-pick="([^"]*)"', table)]


def test_cells_appear_as_they_finish_and_a_cell_is_the_picture_of_its_seed_alone(context):
    assert tuple(DIALS) == controls.ImageControls._fields
    frames = compare(context, explore.SETTINGS)
    tables = [frame["table"] for frame in frames if isinstance(frame["table"], str)]
    assert [len(settings_in(table)) for table in tables] == [0, 1, 2, 3, 4, 4]
    assert ["no-prompt" in table for table in tables] == [False] * 5 + [True]
    cells = settings_in(tables[-1])
    dials = [(c["guidance_scale"], c["num_inference_steps"], c["seed"]) for c in cells]
    assert dials == [(1, 2, 5), (4, 2, 5), (1, 3, 5), (4, 3, 5)]
    files = re.findall(r'src="gradio_api/file=([^"]*)"', tables[-1])
    one = {name: cells[3][name] for name in cells[3] if name not in ("model", "prompt")}
    alone, _ = draw(context.cache, "a red circle", STARTER, **one)
    with Image.open(files[3]) as cell:
        assert psnr(cell, open_png(alone.images[0])) >= 35  # the same bytes, unless drawn together
    assert "for number" in frames[-1]["code"]
    with Image.open(frames[-1]["sheet"]["value"]) as sheet:
        assert sheet.width > 2 * 128
        assert sheet.height > 2 * 128
        assert sheet.crop((0, 0, sheet.width, 30)).convert("L").getextrema() == (0, 255)
        read = parse_note(sheet.text["parameters"]).settings
    assert (read["prompt"], read["seed"]) == ("a red circle", 5)


def test_a_grid_is_whole_where_the_picture_without_a_prompt_is_refused(context, monkeypatch):
    # Fewer steps than that picture has alone: a grid of two is let in.
    limits = Limits(Settings.model_validate({"all_image_steps": 10}))
    monkeypatch.setattr(context.cache, "limits", limits)
    end = compare(context, explore.SETTINGS, guidances="1", steps="2")[-1]
    assert len(settings_in(end["table"])) == 1
    assert "problem-line" in end["table"]
    assert end["sheet"]["visible"]
    assert end["code"]


def test_a_grid_of_seeds_has_a_seed_a_cell(context):
    table = compare(context, explore.SEEDS)[-1]["table"]
    assert [cell["seed"] for cell in settings_in(table)] == [5, 6, 7, 8]
    assert {cell["guidance_scale"] for cell in settings_in(table)} == {3}


def psnr(one, other):
    apart = np.asarray(one, float) - np.asarray(other, float)
    return 10 * np.log10(255**2 / max(np.mean(apart**2), 1e-9))


@pytest.mark.parametrize(
    ("guidances", "steps"),
    [("two", "3"), ("1, 99", "3"), ("1", "0"), ("1", ",".join(map(str, range(1, 60))))],
)
def test_axes_that_are_impossible_get_a_sentence(context, guidances, steps):
    with pytest.raises(gr.Error) as error:
        compare(context, explore.SETTINGS, guidances, steps)
    assert 10 < len(error.value.message) < 200


@pytest.mark.parametrize("spec", [s for s in PICTURES if not s.hosted], ids=lambda s: s.id)
def test_every_models_axes_are_within_its_limits(spec):
    guidances, steps = explore.default_axes(spec)
    values = {"guidance_scales": guidances.split(", "), "step_counts": steps.split(", ")}
    request = ImageGridRequest.of(prompt="x", **values).with_defaults(spec)
    assert len(request.singles()) >= 2
    low, high = controls.limits(spec, "guidance_scale")
    assert all(low <= value <= high for value in request.guidance_scales)
    low, high = controls.limits(spec, "num_inference_steps")
    assert all(low <= value <= high for value in request.step_counts)
    assert low <= controls.start_value(spec, "num_inference_steps") <= high


# ---------------------------------------------------------------- words for the prompt


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_small_model_knows_the_words_that_are_offered(language):
    groups = WORDS.groups(language)
    assert len(groups) >= 5
    for group in groups:
        assert WORDS.unknown(" ".join(group)) == ()
    buttons = prompt_words.word_list(STARTER)
    assert buttons.count("data-pick") == sum(
        len(g) for g in WORDS.groups("en") + WORDS.groups("ko")
    )


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("donkey", "rabbit"),
        ("palace", "castle"),
        ("Jets", "airplane"),
        ("leopard", "tiger"),
        ("saxophone", "guitar"),
        ("표범이", "호랑이"),
        ("물개", "고래"),
        ("피아노와", "기타"),
    ],
)
def test_unknown_words_get_near_ones_by_meaning_in_their_language(word, near):
    assert near in WORDS.nearest(word)
    assert WORDS.unknown(" ".join(WORDS.nearest(word))) == ()


@pytest.mark.parametrize(
    ("prompt", "word", "other", "after"),
    [
        ("A Zebra on the beach", "zebra", "panda", "A panda on the beach"),
        ("독수리가 나는 하늘", "독수리가", "새", "새가 나는 하늘"),
        ("독수리가 나는 하늘", "독수리가", "로켓", "로켓이 나는 하늘"),
        ("교회로 가는 길", "교회로", "성", "성으로 가는 길"),
        ("큰 얼룩말", "얼룩말", "집", "큰 집"),
        ("늑대가 있는 들판", "늑대가", "곰", "곰이 있는 들판"),
        ("a red circle", "boat", "star", "a red circle star"),
    ],
)
def test_a_near_word_takes_the_place_with_the_particle_that_fits(prompt, word, other, after):
    assert WORDS.put_in_place(prompt, word, other) == after


def test_what_is_unknown_is_said_while_it_is_typed_but_not_of_a_word_that_is_not_whole():
    words = prompt_words.unknown_words(STARTER, "a leopard on the sea")
    assert "leopard" in words
    assert {one["word"] for one in settings_in(words)} == set(WORDS.nearest("leopard"))
    assert {one["instead"] for one in settings_in(words)} == {"leopard"}
    assert prompt_words.unknown_words(STARTER, "a red dra", is_whole=False) == ""
    assert "dra" in prompt_words.unknown_words(STARTER, "a red dra ", is_whole=False)
    assert prompt_words.unknown_words(STARTER, "a red circle") == ""
    odd = prompt_words.unknown_words(STARTER, "a <b>zqxv</b>")
    assert "<b>zqxv</b> →" in odd  # our own mark of the word
    assert "for example" in odd
    assert settings_in(odd)
    big = next(spec for spec in PICTURES if spec.id == controls.CLASSIC)
    assert prompt_words.unknown_words(big, "a dragon") == ""


def test_a_vocabulary_may_be_a_list_or_hold_its_things(tmp_path):
    values = {"words": ["a", "panda"], "things": {"panda": {"en": ["panda"], "ko": ["판다"]}}}
    (tmp_path / "words.json").write_text(json.dumps(values))
    words = Vocabulary.read(tmp_path)
    assert words.unknown("a panda and a dragon") == ("dragon",)
    assert words.nearest("dragon") == ()
    assert words.groups("en") == []


@pytest.mark.parametrize("prompt", ["a sailboat on the sea", "바다 위의 돛단배"])
def test_its_styles_are_in_its_own_words_and_the_prompts_language(prompt):
    for _, name in prompt_words.style_choices(STARTER):
        prompt_in_style = prompt_words.add_style(prompt, name)
        assert WORDS.unknown(prompt_in_style) == ()
        assert prompt in prompt_in_style
    assert prompt_words.add_style(prompt, "no such style") == prompt
    assert prompt_words.add_style("  ", "night") == "  "


def test_every_style_is_offered_to_somebody_and_says_its_prompt():
    big = next(spec for spec in PICTURES if spec.id == controls.CLASSIC)
    names = {name for spec in (STARTER, big) for _, name in prompt_words.style_choices(spec)}
    assert names == {prompt_words.NO_STYLE, *prompt_words.STARTER_STYLES, *prompt_words.STYLES}
    assert prompt_words.add_style("a {odd} cat", "flat").startswith("a {odd} cat, flat")


# ---------------------------------------------------------------- stages and history


def test_a_card_of_the_history_is_small_and_holds_all_but_the_key(context):
    request = ImageRequest.of(
        prompt='<b>"star"</b>', seed=3, num_inference_steps=2, scheduler="DDIM", api_key="sk-secret"
    ).with_defaults(STARTER)
    end, _ = draw(context.cache, "a star", STARTER, seed=3, num_inference_steps=2, num_images=2)
    cards = json.loads(restore.history_cards(STARTER, request, end))
    assert len(cards) == 2
    assert all(len(card) < 6000 for card in cards)
    assert "<b>" not in cards[0]
    assert "sk-secret" not in "".join(cards)
    (card,) = settings_in(cards[1])
    assert (card["seed"], card["scheduler"], card["model"]) == (4, "DDIM", "genlab/scenes")
    assert "image" not in restore.settings_of(STARTER, request)


def test_the_history_keeps_what_a_picture_was_started_from(context, tmp_path):
    start = io.BytesIO()
    Image.linear_gradient("L").resize((200, 90)).save(start, "JPEG")
    values = {"seed": 3, "num_inference_steps": 4, "strength": 0.5}
    request = ImageRequest.of(prompt="a red star", image=start.getvalue(), **values).with_defaults(
        STARTER
    )
    end, _ = draw(context.cache, "a red star", STARTER, image=start.getvalue(), **values)
    (card,) = settings_in("".join(json.loads(restore.history_cards(STARTER, request, end))))
    set_to = dict(zip(restore.NAMES, restore.restore(context, "auto", card), strict=True))
    assert (set_to["strength"]["value"], set_to["strength"]["visible"]) == (0.5, True)
    assert set_to["place"]["visible"]
    start_picture = Path(set_to["image"]).read_bytes()
    again, _ = draw(context.cache, "a red star", STARTER, image=start_picture, **values)
    assert again.images == end.images

    plain, _ = draw(context.cache, "a red star", STARTER, seed=3, num_inference_steps=4)
    request = ImageRequest.of(prompt="a red star", seed=3).with_defaults(STARTER)
    (card,) = settings_in("".join(json.loads(restore.history_cards(STARTER, request, plain))))
    set_to = dict(zip(restore.NAMES, restore.restore(context, "auto", card), strict=True))
    assert (set_to["image"], set_to["place"]["visible"]) == (None, False)


def test_a_start_picture_in_the_history_is_small_whatever_it_was():
    noise = Image.merge("RGB", [Image.effect_noise((1500, 1200), 90) for _ in range(3)])
    file = io.BytesIO()
    noise.save(file, "PNG")
    kind, data = image_files.compact_start_picture(file.getvalue(), 512, 768)
    assert (kind, open_png(data).size) == ("image/webp", (512, 768))
    assert len(data) < 400_000  # noise; a photograph takes a tenth


@pytest.mark.parametrize("file", ["data:image/png;base64,AAAA", "x", "data:,%%%", "/etc/passwd", 5])
def test_a_card_that_somebody_changed_brings_no_picture(context, file):
    set_to = dict(
        zip(restore.NAMES, restore.restore(context, "auto", {"image": file}), strict=True)
    )
    assert set_to["image"] is None


def test_a_thumbnail_is_small_whatever_the_picture():
    file = io.BytesIO()
    Image.effect_noise((1024, 512), 90).save(file, "PNG")
    with Image.open(io.BytesIO(image_files.thumbnail(file.getvalue(), restore.SIDE))) as small:
        assert (small.format, small.size) == ("JPEG", (96, 48))
