"""GenLab Scenes 2: its world, its captions, resuming to the step, and the diffusers folder."""

import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.settings import ROOT
from training.scenes import autoencoder, bank, captions, diffusion, sampling
from training.scenes.autoencoder import Shape, new_autoencoder, train_autoencoder
from training.scenes.captions import Lexicon, caption
from training.scenes.drawing import Painter, as_bytes, recolour
from training.scenes.evaluation import draw, judge
from training.scenes.export import export, load_pipeline, new_pipeline, resume
from training.scenes.held_out import PROMPTS
from training.scenes.probe import Probe
from training.scenes.progress import load_state, rate_share
from training.scenes.reading import Reader, reading_batch, reading_loss, teach_head
from training.scenes.text import encoder_for, new_tokenizer, tokens
from training.scenes.things import all_things, first_keys
from training.scenes.world import (
    PALETTE,
    SHAPES,
    Background,
    Item,
    Scene,
    all_backgrounds,
    is_stack,
)

STARTER = ROOT / "models" / "starter" / "scenes"
DISC = '<circle cx="16" cy="16" r="16" fill="#f8312f"/>'
KEYS = ("car", "balloon", "apple")
TINY = Shape(
    encoder=(8,) * 6, decoder=(8,) * 6, encoder_layers=(0, 1, 1, 1, 1, 1),
    decoder_layers=(0, 1, 1, 1, 1, 1), latent_channels=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def icons():
    """Three icons of one shape each, by the names that the things have."""
    square = '<rect width="32" height="32" fill="#f8312f"/>'
    leaf = DISC + '<rect x="12" width="8" height="8" fill="#00d26a"/>'
    every = {thing.icon: DISC for thing in all_things().values()}
    return every | {"automobile": square, "balloon": DISC, "red-apple": leaf}


@pytest.fixture
def data(tmp_path, icons):
    """A data folder as npm unpacks it, with the tiny icons."""
    folder = tmp_path / "iconify-json-fluent-emoji-flat-1.2.6"
    folder.mkdir()
    (folder / "icons.json").write_text(
        json.dumps({"icons": {name: {"body": body} for name, body in icons.items()}})
    )
    (folder / "chars.json").write_text(json.dumps({"1f697": "automobile", "1f388": "balloon"}))
    for language, label in (("en", "auto mobile"), ("ko", "승용차")):
        labels = tmp_path / "emojibase-data-17.0.0" / language
        labels.mkdir(parents=True)
        (labels / "data.json").write_text(json.dumps([{"emoji": "🚗", "label": label}]))
    return tmp_path


def test_there_are_two_hundred_things_with_names_in_both_languages():
    things = all_things()
    assert len(things) == 200
    assert not set(SHAPES) & set(things)
    assert all(thing.names["en"] and thing.names["ko"] for thing in things.values())
    for language in ("en", "ko"):
        names = [name for thing in things.values() for name in thing.names[language]]
        assert len(names) == len(set(names))


def test_a_thing_stands_exactly_where_the_scene_says(icons):
    scene = Scene(Background(colour="blue"), (Item("car", None, "medium", 64, 96),))
    pixels = as_bytes(Painter(icons).draw(scene))
    assert tuple(pixels[96, 64]) == tuple(pixels[223, 191]) == (0xF8, 0x31, 0x2F)
    for y, x in ((95, 64), (96, 63), (224, 191), (223, 192)):
        assert tuple(pixels[y, x]) == PALETTE["blue"]


def test_a_large_red_circle_on_blue_is_red_inside_and_blue_at_the_edge(icons):
    scene = Scene(Background(colour="blue"), (Item("circle", "red", "large", 32, 32),))
    pixels = as_bytes(Painter(icons).draw(scene))
    assert tuple(pixels[128, 128]) == PALETTE["red"]
    assert tuple(pixels[4, 4]) == tuple(pixels[250, 128]) == PALETTE["blue"]


def test_a_colour_changes_the_named_fills_only():
    body = '<path fill="#f8312f"/><path fill="#ca0b4a"/><path fill="#ffffff"/>'
    fills = re.findall("#([0-9a-f]{6})", recolour(body, ("f8312f", "ca0b4a"), "green"))
    assert fills[0] == "{:02x}{:02x}{:02x}".format(*PALETTE["green"])
    assert fills[1] != fills[0]
    assert fills[2] == "ffffff"


def test_every_background_is_its_own(icons):
    painter = Painter(icons)
    record = {painter.draw(Scene(background, ())).tobytes() for background in all_backgrounds()}
    assert len(record) == len(all_backgrounds())


@pytest.mark.parametrize("language", captions.LANGUAGES)
def test_captions_name_the_things_and_never_a_judging_prompt(language):
    rng, lexicon = random.Random(0), Lexicon()
    for _ in range(400):
        scene = sampling.sample_trained(rng, first_keys(80))
        text = caption(scene, rng, language, lexicon)
        assert text.strip() == text
        assert "  " not in text
        assert "None" not in text
        assert not captions.is_for_evaluation(text)
        if language == "ko":
            assert re.search("[가-힣]", text)
    assert len(PROMPTS) == 60


def test_captions_read_as_people_write(icons):
    rng, lexicon = random.Random(1), Lexicon()
    night = Scene(Background(sky="night", ground="snow"), (Item("panda", None, "medium", 64, 96),))
    english = {caption(night, rng, "en", lexicon) for _ in range(200)}
    korean = {caption(night, rng, "ko", lexicon) for _ in range(200)}
    assert "a panda in the snow at night" in english
    assert "밤 눈밭의 판다" in korean
    balloons = tuple(Item("balloon", "red", "small", x, 32) for x in (0, 96, 192))
    three = Scene(Background(sky="day", ground="grass"), balloons)
    assert "three red balloons" in {caption(three, rng, "en", lexicon) for _ in range(100)}
    assert "빨간 풍선 세 개" in {caption(three, rng, "ko", lexicon) for _ in range(100)}


def test_a_caption_says_above_only_of_what_stands_straight_above():
    rng, lexicon, back = random.Random(2), Lexicon(), Background(colour="white")
    stack = (Item("apple", None, "small", 96, 0), Item("car", None, "small", 96, 192))
    corners = (Item("apple", None, "small", 0, 192), Item("car", None, "small", 0, 0))
    assert is_stack(stack)
    assert not is_stack(corners)
    scene = Scene(back, corners, at_home=False)
    english = [caption(scene, rng, "en", lexicon) for _ in range(100)]
    assert not any(re.search(r"\b(above|over|below|beneath|on top of)\b", text) for text in english)
    assert all(text.count("left") == 2 for text in english)
    korean = [caption(scene, rng, "ko", lexicon) for _ in range(100)]
    assert all(text.count("왼쪽") == 2 for text in korean)


def test_a_caption_tells_what_it_says_of_the_background():
    rng, lexicon = random.Random(3), Lexicon()
    lone = (Item("fox", None, "medium", 64, 96),)
    night = Scene(Background(sky="night", ground="forest"), lone)
    pairs = [captions.describe(night, rng, "en", lexicon) for _ in range(200)]
    assert {mention for _, mention in pairs} == {night.background, Background(sky="night")}
    for text, mention in pairs:
        assert bool(re.search("forest|wood", text)) == bool(mention.ground), text
    usual = Scene(Background(sky="day", ground="forest"), lone)
    assert Background() in {captions.describe(usual, rng, "ko", lexicon)[1] for _ in range(50)}


def test_empty_landscapes_and_portraits_have_words_of_their_own():
    rng, lexicon = random.Random(6), Lexicon()
    beach = Scene(Background(sky="day", ground="beach"), ())
    woman = Scene(Background(colour="white"), (Item("woman", None, "medium", 64, 64),))
    for language, words, portrait in (
        ("en", r"an empty (sandy )?beach", "portrait of"),
        ("ko", "텅 빈 (바닷가|해변|모래사장)", "초상화"),
    ):
        texts = [caption(beach, rng, language, lexicon) for _ in range(200)]
        assert any(re.search(words, text) for text in texts)
        assert any(portrait in caption(woman, rng, language, lexicon) for _ in range(300))


def test_an_idle_word_leaves_the_rest_of_the_prompt_as_it_is():
    rng = random.Random(4)
    english = {captions.with_idle_word("a cat on a hill", rng, "en") for _ in range(300)}
    assert {"a cute cat on a hill", "an elegant cat on a hill"} <= english
    assert all(text.count("cat on a hill") == 1 for text in english)
    korean = {captions.with_idle_word("언덕 위의 고양이", rng, "ko") for _ in range(200)}
    assert "귀여운 언덕 위의 고양이" in korean


def test_the_seed_chooses_among_places_where_a_thing_belongs_and_can_be_seen():
    listed = {key for keys in sampling.BELONGS.values() for key in keys} | set(sampling.YELLOW)
    assert listed <= set(all_things())
    assert {back.sky for back in sampling.usual_backgrounds("fox")} == {"day", "sunset"}
    colours = {
        key: {b.colour for b in sampling.usual_backgrounds(key)} for key in ("cake", "lemon")
    }
    assert colours["cake"] - colours["lemon"] == {"yellow"}
    rng = random.Random(0)
    choices = {sampling.usual_background("fox", rng) for _ in range(100)}
    assert choices == set(sampling.usual_backgrounds("fox"))


def test_held_out_scenes_are_never_trained():
    rng = random.Random(0)
    for _ in range(200):
        assert not sampling.sample_trained(rng, KEYS).held_out
    assert sampling.sample_held_out(rng, KEYS).held_out


def test_the_probe_reads_what_was_drawn(icons):
    painter, rng = Painter(icons), random.Random(0)
    probe = Probe(painter, ("car", "apple"))
    for kind in ("one", "two", "count", "shape"):
        scene = sampling.sample(rng, ("car", "apple"), kind)
        marks = judge(probe, scene, painter.draw(scene))
        assert marks["background"], scene
        assert marks["place"], scene


def test_a_background_that_is_not_said_may_be_any_that_one_of_the_things_has(icons):
    painter = Painter(icons)
    probe = Probe(painter, ("car", "apple"))
    places = (Item("car", None, "small", 0, 160), Item("apple", None, "small", 128, 160))
    city = Scene(Background(sky="day", ground="city"), places)
    grass = painter.draw(replace(city, background=Background(sky="day", ground="grass")))
    desert = painter.draw(replace(city, background=Background(sky="day", ground="desert")))
    assert judge(probe, city, grass, mention=Background())["background"]
    assert judge(probe, city, grass, mention=Background(sky="day"))["background"]
    assert not judge(probe, city, grass, mention=Background(sky="night"))["background"]
    assert not judge(probe, city, grass)["background"]
    assert not judge(probe, city, desert, mention=Background())["background"]


def test_a_colour_that_a_thing_has_of_itself_is_no_mistake(icons):
    painter, back = Painter(icons), Background(colour="white")
    probe = Probe(painter, ("car", "apple"))
    red, plain = (Scene(back, (Item("car", c, "medium", 64, 64),)) for c in ("red", None))
    blue = Scene(back, (Item("car", "blue", "medium", 64, 64),))
    assert judge(probe, red, painter.draw(plain))["all"]
    assert judge(probe, plain, painter.draw(red))["all"]
    assert not judge(probe, blue, painter.draw(red))["colour"]


def test_a_patch_within_a_thing_is_not_read_as_a_second_one(icons):
    painter, back = Painter(icons), Background(colour="white")
    car = Item("car", None, "medium", 64, 64)
    picture = painter.draw(Scene(back, (car, Item("balloon", "blue", "small", 96, 96))))
    items = Probe(painter, ("car", "balloon")).read(picture).scene.items
    assert [(item.key, item.size) for item in items] == [("car", "medium")]


def test_the_rate_rises_slowly_where_the_optimizer_has_no_state_yet():
    shares = [rate_share(step, 20_000, 2_000, 14_400) for step in (14_400, 14_449, 14_499, 16_000)]
    assert shares == [0.01, 0.5, 1, 1]
    assert rate_share(19_000, 20_000, 2_000, 14_400) == 0.5


def _weights(run, file, part):
    return torch.load(run / file, weights_only=True)[part]


class Interruption(Exception):
    """What ends a training in the test, as a kill would."""


def test_the_autoencoder_resumes_to_the_same_weights(data, tmp_path, monkeypatch):
    plan = autoencoder.Plan(steps=4, batch=2, checkpoint_steps=2, judge_steps=100, workers=1)
    train_autoencoder(data, tmp_path / "whole", plan, TINY)
    save_whole = autoencoder.save_whole

    def save_and_end(state, path):
        save_whole(state, path)
        raise Interruption

    with monkeypatch.context() as patch:
        patch.setattr(autoencoder, "save_whole", save_and_end)
        with pytest.raises(Interruption):
            train_autoencoder(data, tmp_path / "halves", plan, TINY)
    assert torch.load(tmp_path / "halves" / autoencoder.CHECKPOINT, weights_only=True)["step"] == 2
    train_autoencoder(data, tmp_path / "halves", plan, TINY)
    halves = _weights(tmp_path / "halves", autoencoder.CHECKPOINT, "model")
    for key, value in _weights(tmp_path / "whole", autoencoder.CHECKPOINT, "model").items():
        assert torch.equal(value, halves[key]), key


def test_export_loads_with_diffusers_classes(data, tmp_path):
    torch.manual_seed(0)
    tokenizer = new_tokenizer(captions.read_lexicon(data), captions=200, size=700)
    unet = diffusion.new_unet((32, 32), latents=8)
    pipeline = new_pipeline(new_autoencoder(TINY), encoder_for(tokenizer), tokenizer, unet, 0.5)
    export(pipeline, tmp_path / "out")
    index = json.loads((tmp_path / "out" / "model_index.json").read_text())
    assert index["vae"] == ["diffusers", "AutoencoderDC"]
    model = load_pipeline(tmp_path / "out")
    pictures = draw(model, ["a cat", "고양이"], steps=2)
    assert pictures.shape == (2, 256, 256, 3)
    assert np.isfinite(pictures).all()
    assert model.vae_scale_factor == 32
    assert model.vae.config.scaling_factor == 0.5
    assert model.scheduler.config.prediction_type == "sample"


def test_a_run_goes_on_from_the_shipped_starter(tmp_path):
    resume(STARTER, tmp_path)
    steps = json.loads((STARTER / "steps.json").read_text())
    starter = load_pipeline(STARTER)
    rest = _weights(tmp_path, diffusion.CHECKPOINT, "model")
    assert load_state(tmp_path / diffusion.CHECKPOINT)["step"] == steps[diffusion.CHECKPOINT] > 0
    for key, value in starter.unet.state_dict().items():
        assert torch.equal(value, rest[f"unet.{key}"])
    again = autoencoder.load_autoencoder(tmp_path)
    assert torch.equal(again.decoder.conv_in.weight, starter.vae.decoder.conv_in.weight)


def test_a_head_is_taught_on_a_text_model_that_stays_as_it_is(data):
    torch.manual_seed(0)
    lexicon = captions.read_lexicon(data)
    tokenizer = new_tokenizer(lexicon, captions=200, size=700)
    reader = Reader(encoder_for(tokenizer))
    before = {name: value.clone() for name, value in reader.text_encoder.state_dict().items()}
    texts, labels = reading_batch(16, random.Random(5), KEYS, lexicon)
    first = reading_loss(reader(tokens(tokenizer, texts)), labels).item()
    teach_head(reader, tokenizer, lexicon, KEYS, steps=12, batch=16)
    assert reading_loss(reader(tokens(tokenizer, texts)), labels).item() < first
    for name, value in reader.text_encoder.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_weights_without_a_head_are_taken_and_others_that_lack_something_are_not():
    tokenizer = new_tokenizer(Lexicon(), captions=200, size=700)
    model = diffusion.Drawer(
        Reader(encoder_for(tokenizer)), diffusion.new_unet((32, 32), latents=8)
    )
    weights = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    few = {name: value for name, value in weights.items() if not name.startswith("head.")}
    questions = model.head.questions.clone()
    assert not model.load(few)
    assert torch.equal(model.head.questions, questions)
    assert not model.unet.conv_in.weight.any()
    assert model.load(weights)
    assert not model.head.questions.any()
    few.pop("unet.conv_in.weight")
    with pytest.raises(RuntimeError, match="conv_in"):
        model.load(few)


def test_one_chunk_in_five_shows_two_things_apart():
    scenes = [bank.chunk_scenes(chunk, 80) for chunk in (3, 4)]
    assert len({len({item.key for item in scene.items}) for scene in scenes[0]}) > 1
    assert all(len(scene.items) == 2 and not scene.at_home for scene in scenes[1])


def test_the_decoder_alone_learns_and_the_latents_stay(data, tmp_path):
    plan = autoencoder.Plan(steps=1, batch=2, judge_steps=100, workers=1)
    train_autoencoder(data, tmp_path, plan, TINY)
    before = _weights(tmp_path, autoencoder.CHECKPOINT, "model")
    more = replace(plan, steps=2, decoder_only=True)
    train_autoencoder(data, tmp_path, more, TINY)
    after = _weights(tmp_path, autoencoder.CHECKPOINT, "model")
    changes = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changes
    assert all(name.startswith("decoder.") for name in changes)
