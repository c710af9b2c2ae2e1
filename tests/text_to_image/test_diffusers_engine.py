"""The image engine on a real, tiny StableDiffusionPipeline, through the real cache and jobs."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from PIL import Image

from models.contract import Stop
from models.errors import InvalidInput, ModelError, Stopped
from models.runtime.jobs import run
from models.text_to_image.events import ImagesDone, StepDone
from models.text_to_image.image_files import format_parameters, sampler_name
from models.text_to_image.recipe import python
from models.text_to_image.requests import ImageRequest
from models.weights import sources
from tests import tiny
from tests.pictures import TINY, draw, load, open_png, psnr


@pytest.fixture(autouse=True)
def _starters(tiny_starters, monkeypatch):
    monkeypatch.setattr(sources, "STARTERS", tiny_starters)


@pytest.fixture
def copy(tiny_starters, tmp_path):
    """A copy of the tiny pipeline to be spoilt."""
    return shutil.copytree(tiny_starters / "tiny", tmp_path / "copy")


# ---------------------------------------------------------------- pictures


def test_one_seed_gives_the_same_bytes_and_picture_k_is_the_one_of_seed_plus_k(cache):
    first, _ = draw(cache)
    again, _ = draw(cache)
    assert first.images == again.images
    three, _ = draw(cache, seed=6, num_images=3)
    assert three.seeds == (6, 7, 8)
    assert three.images[1] == first.images[0]
    assert len(set(three.images)) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a blue star"},
        {"negative_prompt": "blue"},
        {"guidance_scale": 9.0},
        {"num_inference_steps": 4},
        {"seed": 8},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_control_changes_the_picture(cache, change):
    plain, _ = draw(cache)
    changes, _ = draw(cache, **change)
    assert open_png(plain.images[0]).tobytes() != open_png(changes.images[0]).tobytes()


def test_a_negative_prompt_does_nothing_without_guidance(cache):
    plain, _ = draw(cache, guidance_scale=1.0)
    negative, _ = draw(cache, guidance_scale=1.0, negative_prompt="blue")
    assert open_png(plain.images[0]).tobytes() == open_png(negative.images[0]).tobytes()


def test_a_random_seed_comes_back_and_draws_the_same_again(cache):
    first, _ = draw(cache, seed=-1)
    assert first.seeds[0] >= 0
    again, _ = draw(cache, seed=first.seeds[0])
    assert first.images == again.images


def test_steps_are_counted_over_all_pictures_with_previews_of_the_picture_so_far(cache):
    end, events = draw(cache, num_images=2)
    steps = [e for e in events if isinstance(e, StepDone)]
    assert [(e.step, e.total) for e in steps] == [(k, 6) for k in range(1, 7)]
    preview = open_png(next(e.preview.jpeg for e in steps if e.preview))
    assert (preview.format, preview.size) == ("JPEG", (32, 32))
    assert [len(e.images) for e in events if isinstance(e, ImagesDone)] == [1, 2]
    assert open_png(end.images[0]).size == (64, 64)


def test_stages_from_noise_to_picture_come_however_fast_it_is(cache):
    _, events = draw(cache, num_inference_steps=49)
    staging = [e for e in events if isinstance(e, StepDone) and e.noisy]
    assert [e.step for e in staging] == [*range(1, 50, 2)]
    assert all(e.preview for e in staging)
    first, last = open_png(staging[0].noisy.jpeg), open_png(staging[-1].noisy.jpeg)
    assert first.size == last.size == (32, 32)
    assert first.tobytes() != open_png(staging[0].preview.jpeg).tobytes()


def test_stop_ends_within_one_step(tiny_starters):
    class AtTheThirdLook(Stop):
        looks = 0

        def is_set(self):
            self.looks += threading.current_thread() is not threading.main_thread()  # draws
            return self.looks >= 3

    events = []
    stream = load(tiny_starters / "tiny").stream(
        ImageRequest.of(prompt="x", num_inference_steps=50), AtTheThirdLook()
    )
    with pytest.raises(Stopped):
        events.extend(stream)
    assert [type(e) for e in events] == [StepDone, StepDone]


def test_leaving_frees_the_model_for_the_next(cache):
    events = run(cache, TINY, ImageRequest.of(prompt="x", num_inference_steps=150))
    assert any(isinstance(e, StepDone) for e in events)
    start = time.perf_counter()
    events.close()
    assert time.perf_counter() - start < 0.1
    draw(cache)
    assert not any(model.active for model in cache.status())


def test_pndm_counts_the_step_it_repeats(tmp_path):
    engine = load(tiny.stable_diffusion(tmp_path / "pndm", scheduler="pndm"))
    events = list(engine.stream(ImageRequest.of(prompt="x", num_inference_steps=4), Stop()))
    assert [e.step for e in events[:-1]] == [1, 2, 3, 4, 5]
    assert "Sampler: PLMS" in open_png(events[-1].images[0]).text["parameters"]


# ---------------------------------------------------------------- what the file says

PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')  # AUTOMATIC1111's own


def test_the_png_says_how_it_was_made(cache):
    end, _ = draw(cache, prompt="빨간 원\non white", negative_prompt="blue, dark")
    image = open_png(end.images[0])
    assert image.format == "PNG"
    *prompt, negative, last = image.text["parameters"].split("\n")
    assert prompt == ["빨간 원", "on white"]
    assert negative == "Negative prompt: blue, dark"
    pairs = dict(PAIR.findall(last))
    assert pairs["Steps"] == "3"
    assert pairs["Sampler"] == "DPM++ 2M"
    assert pairs["CFG scale"] == "5.0"
    assert pairs["Seed"] == "7"
    assert pairs["Size"] == "64x64"
    assert pairs["Model"] == "tests/tiny"


def test_a_value_with_a_comma_or_colon_is_quoted():
    text = format_parameters("p", "", {"Steps": 1, "Model": "a, b: c", "Seed": None})
    assert text == 'p\nSteps: 1, Model: "a, b: c"'
    assert (
        sampler_name("DPMSolverMultistepScheduler", {"use_karras_sigmas": True})
        == "DPM++ 2M Karras"
    )


# ---------------------------------------------------------------- what the model cannot draw


@pytest.mark.parametrize("size", [{"width": 512}, {"height": 128}, {"width": 72, "height": 72}])
def test_a_starter_draws_only_its_own_size(cache, size):
    with pytest.raises(InvalidInput) as error:
        draw(cache, **size)
    assert error.value.code == "invalid_size_one"
    assert error.value.params["own"] == 64


def test_another_model_draws_from_half_to_twice_its_size(tiny_starters):
    spec = replace(TINY, source="hub:tests/tiny")
    engine = load(tiny_starters / "tiny", spec)
    request = ImageRequest.of(prompt="x", width=128, height=96)
    end = list(engine.stream(request, Stop()))[-1]
    assert open_png(end.images[0]).size == (128, 96)
    with pytest.raises(InvalidInput) as error:
        list(engine.stream(ImageRequest.of(prompt="x", width=136), Stop()))
    assert error.value.params["high"] == 128


@pytest.mark.parametrize(("threshold", "flagged"), [(-2.0, True), (2.0, False)])
def test_the_safety_checker_stays_on_and_its_verdict_is_in_the_event(tmp_path, threshold, flagged):
    engine = load(tiny.stable_diffusion(tmp_path / "safe", safety=threshold))
    end = list(engine.stream(ImageRequest.of(prompt="x", num_inference_steps=1), Stop()))[-1]
    assert end.flagged == (flagged,)
    assert (open_png(end.images[0]).getextrema() == ((0, 0),) * 3) == flagged


def test_a_picture_of_no_numbers_is_an_error(copy):
    from safetensors.torch import load_file, save_file

    file = copy / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["decoder.conv_in.weight"][:] = float("nan")
    save_file(weights, file)
    with pytest.raises(ModelError) as error:
        list(load(copy).stream(ImageRequest.of(prompt="x"), Stop()))
    assert error.value.code == "nan_image"


def test_words_past_the_limit_are_named(cache):
    end, _ = draw(cache, prompt="red circle on the far left of it")
    assert end.cut == "of it"  # 22 letters fit between start and end
    assert draw(cache, prompt="red circle")[0].cut == ""


# ---------------------------------------------------------------- words it knows


def test_unknown_words_are_named_and_nothing_known_is_refused(copy):
    words = "red circle sky-blue stars house 빨간 원이 배경에 밤의 도시"
    (copy / "words.json").write_text(json.dumps(words.split()), encoding="utf-8")
    engine = load(copy)

    def unknown(prompt):
        return list(engine.stream(ImageRequest.of(prompt=prompt), Stop()))[-1].unknown

    assert unknown("Draw a RED circle, and a star in the blue sky!") == ()
    assert unknown("two red dragons, a dragon's house") == ("two", "dragons", "dragon")
    assert unknown("빨간 원을 밤 도시에서 그려줘, 고양이와") == ("고양이와",)
    for prompt in ("a purple dragon", "please draw a picture", "그림 그려 주세요", "🙂 !?"):
        with pytest.raises(InvalidInput) as error:
            unknown(prompt)
        assert error.value.code == "invalid_unknown_words"


# ---------------------------------------------------------------- the recipe


def test_the_recipe_draws_the_same_picture(cache, tiny_starters, tmp_path):
    request = ImageRequest.of(
        prompt='a "red"\ncircle', negative_prompt="blue", seed=41, num_images=2
    ).with_defaults(TINY)
    end, events = draw(cache, **request.model_dump(exclude={"api_key"}))
    code = python(TINY, request, events[-1].placement)
    assert "models/starter/tiny" in code
    code = code.replace("models/starter", str(tiny_starters))
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=250)
    for seed, png in zip(end.seeds, end.images, strict=True):
        with Image.open(tmp_path / f"picture-{seed}.png") as again:
            assert psnr(again, png) >= 50  # as its comment says
