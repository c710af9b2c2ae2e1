"""The image starter's world, its captions, its training and what the shipped weights draw."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from training.scenes import evaluation
from training.scenes.__main__ import STARTER, main
from training.scenes.captions import COLOUR_WORDS, SHAPE_WORDS, caption
from training.scenes.drawing import draw, draw_all
from training.scenes.export import load_pipeline
from training.scenes.korean import COLOURS as KOREAN_COLOURS
from training.scenes.korean import PLACES as KOREAN_PLACES
from training.scenes.korean import with_particle
from training.scenes.probe import background_of, nearest_colour, score
from training.scenes.samples import generate
from training.scenes.text import MAX_TOKENS, new_tokenizer, sample_captions
from training.scenes.world import COLOURS, KINDS, SHAPES, Composition, Figure, held_out, sample

EVERY_KIND = ("single", "pair", "scene")


def some_pictures(count: int, seed: int, kinds: tuple[str, ...] = EVERY_KIND) -> list:
    rng = random.Random(seed)
    return [sample(rng, kinds[index % len(kinds)]) for index in range(count)]


@pytest.fixture(scope="module")
def shipped() -> StableDiffusionPipeline:
    return load_pipeline(STARTER)


def test_one_seed_draws_the_same_pixels_and_another_seed_others() -> None:
    first, again, other = (draw_all(some_pictures(12, seed)) for seed in (5, 5, 6))
    assert first.shape == (12, 64, 64, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_held_out_combinations_are_a_tenth_and_never_sampled_for_training() -> None:
    rng = random.Random(0)
    trained = {sample(rng, kind).key for kind in EVERY_KIND for _ in range(400)}
    kept = {sample(rng, kind, unseen=True).key for kind in EVERY_KIND for _ in range(400)}
    assert not trained & kept
    combinations = [
        Composition((Figure(shape, colour, 0.5, 0.5, 0.2),), ground, size, None)
        for shape in SHAPES
        for colour in COLOURS
        for ground in COLOURS
        for size in ("small", "medium", "large")
    ]
    share = np.mean([held_out(one) for one in combinations])
    assert 0.07 < share < 0.13


def test_the_probe_reads_every_attribute_of_drawn_compositions() -> None:
    pictures = some_pictures(100, 3, ("single", "pair"))
    verdicts = [score(np.asarray(draw(one)), one) for one in pictures]
    assert evaluation.summary(verdicts)["attributes"] >= 0.98


def test_the_probe_finds_what_is_wrong() -> None:
    asked = Composition((Figure("circle", "red", 0.5, 0.5, 0.24),), "blue", "medium", None)
    shown = Composition((Figure("square", "green", 0.5, 0.5, 0.36),), "white", "large", None)
    verdict = score(np.asarray(draw(shown)), asked)
    assert verdict == {
        "background": [False],
        "count": [True],
        "colour": [False],
        "shape": [False],
        "size": [False],
    }
    left = Composition(
        (Figure("star", "red", 0.27, 0.5, 0.17), Figure("heart", "pink", 0.73, 0.5, 0.17)),
        "black",
        None,
        "across",
    )
    turned = Composition(left.figures[::-1], "black", None, "across")
    assert score(np.asarray(draw(left)), turned)["relation"] == [False]


@pytest.mark.parametrize("kind", ["single", "pair"])
def test_complete_captions_name_what_is_drawn(kind: str) -> None:
    rng = random.Random(8)
    for picture in (sample(rng, kind) for _ in range(60)):
        english = caption(picture, rng, "en", complete=True).text
        korean = caption(picture, rng, "ko", complete=True).text
        for figure in picture.figures:
            assert any(word in english for word in SHAPE_WORDS.get(figure.shape, (figure.shape,)))
        for colour in (picture.background, *(figure.colour for figure in picture.figures)):
            assert any(word in english for word in COLOUR_WORDS.get(colour, (colour,)))
            assert any(word in korean for form in KOREAN_COLOURS[colour] for word in form)


def test_korean_particles_follow_the_last_syllable() -> None:
    assert with_particle("원", "이", "가") == "원이"
    assert with_particle("하트", "이", "가") == "하트가"
    assert set(KOREAN_PLACES) == set(KINDS)


def test_the_tokenizer_knows_its_captions_and_spells_out_the_rest() -> None:
    tokenizer = new_tokenizer(captions=4000)
    lengths = [len(tokenizer(text).input_ids) for text in sample_captions(500, seed=2)]
    assert max(lengths) <= MAX_TOKENS
    assert len(tokenizer.tokenize("빨간 circle")) == 2
    spelled = tokenizer("얼룩말 🦓").input_ids[1:-1]
    assert tokenizer.eos_token_id not in spelled
    assert tokenizer.decode(spelled).replace(" ", "") == "얼룩말🦓"


def words(run: Path, *more: str) -> list[str]:
    return [
        *("--run", str(run), "--out", str(run / "out"), "--device", "cpu", "--threads", "1"),
        *(
            "--autoencoder-steps",
            "3",
            "--decoder-steps",
            "1",
            "--reading-steps",
            "2",
            "--bank",
            "40",
            "--batch",
            "8",
            "--no-sheets",
            *more,
        ),
    ]


def test_training_resumes_from_its_checkpoint_and_from_finished_weights(tmp_path: Path) -> None:
    main(words(tmp_path, "--pictures", "16"))
    before = torch.load(tmp_path / "diffusion.pt", weights_only=True)
    assert before["step"] == 2
    main(words(tmp_path, "--pictures", "32"))
    after = torch.load(tmp_path / "diffusion.pt", weights_only=True)
    assert after["step"] == 4
    assert after["scaling_factor"] == before["scaling_factor"]
    drawn = generate(load_pipeline(tmp_path / "out"), ["a red circle"], [1], steps=2)
    assert drawn.shape == (1, 64, 64, 3)
    more = tmp_path / "more"
    main(words(more, "--pictures", "8", "--init-from", str(tmp_path / "out")))
    started = torch.load(more / "diffusion.pt", weights_only=True)
    name = "unet.conv_in.weight"
    moved = (started["model"][name] - after["average"][name]).abs().max()
    assert 0 < moved < 0.02  # one step away from the finished weights, not fresh ones


def test_the_shipped_folder_is_small_and_complete(shipped: StableDiffusionPipeline) -> None:
    files = [path for path in STARTER.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 10e6
    assert sum(path.stat().st_size for path in files) < 18e6
    assert shipped.safety_checker is None
    parts = (shipped.unet, shipped.vae, shipped.text_encoder)
    assert {part.dtype for part in parts} == {torch.float32}


def test_shipped_weights_draw_held_out_compositions(shipped: StableDiffusionPipeline) -> None:
    judged = evaluation.Judge(shipped, probe=None)
    assert judged.compositions(24, "en")["attributes"] >= 0.8
    assert judged.compositions(24, "ko")["attributes"] >= 0.78


def test_shipped_weights_follow_the_prompt_and_the_seed(shipped: StableDiffusionPipeline) -> None:
    prompt = "a large red circle on a blue background"
    picture, again, other = (generate(shipped, [prompt], [seed])[0] for seed in (3, 3, 4))
    assert nearest_colour(picture[28:36, 28:36]) == "red"
    assert nearest_colour(background_of(picture)[None]) == "blue"
    assert picture.tobytes() == again.tobytes()
    assert picture.tobytes() != other.tobytes()
