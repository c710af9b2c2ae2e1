"""Several people draw at once: they share passes, and each gets the picture they would get alone."""

import io
import threading
import time
from contextlib import ExitStack, closing

import numpy as np
import pytest
from PIL import Image

from models.contract import Event, Finished, Stop, Waiting
from models.errors import InvalidInput
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import Settings
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.events import GridDone, ImagesDone, StepDone
from models.text_to_image.requests import ImageGridRequest, ImageRequest, WordAttentionRequest
from models.text_to_image.unet import split_rows
from tests.at_once import together
from tests.pictures import open_png, psnr

SCENES = find(TEXT_TO_IMAGE, "genlab/scenes")
PROMPTS = ("a red circle", "a blue square on a white background", "a green triangle")


@pytest.fixture(scope="module")
def cache():
    with_models = ModelCache(Settings(device="cpu", idle_minutes=0))
    yield with_models
    with_models.close()


def ask(number, **values):
    usual = {"prompt": PROMPTS[number % 3], "seed": number, "num_inference_steps": 4}
    return ImageRequest.of(**usual | values)


def images(events):
    return [event for event in events if isinstance(event, ImagesDone)][-1]


@pytest.fixture(scope="module")
def unet(cache):
    """The engine's UNet, with its programs of several rows traced, as a first crowd leaves it."""
    list(run(cache, SCENES, ask(0)))
    with cache.lease(SCENES, threading.Event(), lambda _: None) as lease:
        unet = lease.engine._denoiser.loop._unet
    together(cache, SCENES, [ask(n) for n in range(8)])
    for size in (4, 8):  # one core a picture or many: both sizes, whatever this machine has
        unet._programs.get(size, unet_call(unet))
    return unet


def unet_call(unet):
    import torch

    from models.text_to_image.unet import _Input, keys_and_values

    config = unet._unet.config
    with torch.inference_mode():
        text = torch.zeros(1, 48, config.cross_attention_dim)
        latents = torch.zeros(1, config.in_channels, config.sample_size, config.sample_size)
        return _Input(latents, torch.ones(1), keys_and_values(unet._unet, text))


def test_each_gets_their_own_picture_with_their_own_settings(cache, unet):
    settings = [
        {},
        {"guidance_scale": 6.0},
        {"guidance_scale": 1.0},
        {"num_inference_steps": 7},
        {"num_inference_steps": 3},
        {"negative_prompt": "a dog"},
        {"guidance_scale": 2.0, "num_inference_steps": 5},
        {"num_images": 2},
    ]
    requests = [ask(n, **values) for n, values in enumerate(settings)]
    alone = [list(run(cache, SCENES, request)) for request in requests]
    assert {images(events).batch for events in alone} == {1}
    crowd = together(cache, SCENES, requests)
    for events, expected in zip(crowd, alone, strict=True):
        result, target = images(events), images(expected)
        assert result.seeds == target.seeds
        for one, other in zip(result.images, target.images, strict=True):
            assert psnr(one, other) >= 35
            assert open_png(one).text == open_png(other).text
        steps, steps_to_count = (
            [event for event in run_ if isinstance(event, StepDone)] for run_ in (events, expected)
        )
        assert [(s.step, s.total) for s in steps] == [(s.step, s.total) for s in steps_to_count]
        assert steps[-1].preview.latents.shape == steps_to_count[-1].preview.latents.shape
        np.testing.assert_allclose(
            steps[-1].preview.latents, steps_to_count[-1].preview.latents, atol=0.05
        )
        assert isinstance(events[-1], Finished)
    assert max(images(events).batch for events in crowd) > 1, "nobody shared a pass"


def test_a_bad_prompt_and_one_who_leaves_harm_nobody(cache, unet):
    good = [ask(n, num_inference_steps=6) for n in range(3)]
    alone = [images(run(cache, SCENES, request)) for request in good]
    leaver = run(cache, SCENES, ask(9, num_inference_steps=100, num_images=8))
    while not isinstance(next(leaver), StepDone):
        pass
    threading.Timer(0.1, leaver.close).start()
    results = together(cache, SCENES, [*good, ask(0, prompt="zzz qqq")])
    for events, expected in zip(results[:-1], alone, strict=True):
        assert psnr(images(events).images[0], expected.images[0]) >= 35
    assert isinstance(results[-1], InvalidInput)
    assert results[-1].code == "invalid_unknown_words"
    until_free(cache)


def until_free(cache):
    end = time.monotonic() + 10
    while any(model.active for model in cache.status()):
        assert time.monotonic() < end, "a drawing that was left goes on"
        time.sleep(0.01)
    assert cache.status()[0].waiting == 0


def test_a_picture_joins_a_grid_that_is_being_drawn(cache, unet):
    """A grid of 36 cells takes its turns; a picture does not wait for its end."""
    grid = ImageGridRequest.of(prompt=PROMPTS[0], seed=1, num_seeds=36, step_counts=(12,))
    with closing(run(cache, SCENES, grid)) as cells:
        while not isinstance(next(cells), StepDone):
            pass
        list(run(cache, SCENES, ask(5)))
        assert not any(isinstance(event, GridDone) for event in take(cells, StepDone, 3))


def take(events, kind, count):
    result = []
    while sum(isinstance(event, kind) for event in result) < count:
        result.append(next(events))
    return result


def test_what_goes_through_the_pipeline_is_alone(cache, unet):
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "PNG")
    requests = [
        ask(1),
        ask(2, image=file.getvalue(), strength=0.9),
        WordAttentionRequest.of(prompt=PROMPTS[1], seed=3, num_inference_steps=3),
        ask(4),
    ]
    alone = [list(run(cache, SCENES, request)) for request in requests]
    for events, expected in zip(together(cache, SCENES, requests), alone, strict=True):
        kinds = [type(event) for event in expected if type(event).__name__.endswith("Done")]
        assert [type(e) for e in events if type(e).__name__.endswith("Done")] == kinds
        if ImagesDone in kinds:
            assert psnr(images(events).images[0], images(expected).images[0]) >= 35


def test_people_who_leave_in_the_middle_leave_nothing_behind(cache, unet):
    before = {thread.name for thread in threading.enumerate()}
    for number in range(20):
        with closing(run(cache, SCENES, ask(number, num_inference_steps=50))) as events:
            take(events, StepDone, 1 + number % 3)
    until_free(cache)
    end = time.monotonic() + 5
    while left := {t.name for t in threading.enumerate()} - before - {"part_0"}:
        assert time.monotonic() < end, left
        time.sleep(0.02)
    assert images(run(cache, SCENES, ask(1))).batch == 1


@pytest.mark.parametrize(
    ("count", "chunks"),
    [(1, [1]), (2, [1, 1]), (3, [4]), (5, [4, 1]), (6, [8]), (8, [8]), (9, [8, 1]), (16, [8, 8])],
)
def test_rows_are_split_so_that_programs_are_nearly_full(count, chunks):
    assert split_rows(count, (1, 4, 8)) == chunks
    assert split_rows(count, (1,)) == [1] * count


def test_who_waits_for_a_place_is_told_which_and_the_ones_outside_are_behind(cache, unet):
    def positions(events):
        return [event.position for event in events if isinstance(event, Waiting)]

    entry, leave = threading.Event(), threading.Event()

    def hold():
        with ExitStack() as places:
            for _ in range(8):
                places.enter_context(unet._places.place(Stop(), lambda _: None))
            entry.set()
            leave.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entry.wait(60)
    events = [list[Event]() for _ in range(unet.capacity + 1)]

    def draw(number):
        with cache.lease(SCENES, Stop(), events[number].append, ask(number)) as lease:
            for event in lease.engine.stream(ask(number), Stop()):
                events[number].append(event)

    threads = list[threading.Thread]()
    for number, own in enumerate(events):
        threads.append(threading.Thread(target=draw, args=(number,)))
        threads[-1].start()
        end = time.monotonic() + 60
        while not positions(own):
            assert time.monotonic() < end, "nobody says that there is a wait"
            time.sleep(0.01)
    assert [positions(own)[-1] for own in events] == [*range(1, len(events) + 1)]
    leave.set()
    for thread in (holder, *threads):
        thread.join()
    assert all(positions(own) == sorted(positions(own), reverse=True) for own in events)
    assert all(isinstance(own[-1], ImagesDone) for own in events)
