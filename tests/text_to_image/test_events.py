"""The events of a drawing: they survive a pickle, and a preview costs nothing until it is looked at."""

import io
import pickle

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from models.contract import Event, Stop
from models.text_to_image import events as module
from models.text_to_image.events import Sketch, StepDone, sketch_files
from models.text_to_image.requests import (
    DecodeRequest,
    ImageGridRequest,
    ImageRequest,
    WordAttentionRequest,
)
from models.text_to_image.schedulers import NAMES, SCHEDULERS, predicted_original
from tests.pictures import load

KINDS = [one for one in vars(module).values() if isinstance(one, type) and Event in one.__bases__]


@pytest.fixture(scope="module")
def events(tiny_starters):
    engine, values = load(tiny_starters / "tiny"), {"prompt": "a red circle", "seed": 7}
    requests = [
        ImageRequest.of(**values, num_images=2),
        ImageGridRequest.of(**values, guidance_scales=(1.0, 4.0)),
        WordAttentionRequest.of(**values),
    ]
    events = [event for request in requests for event in engine.stream(request, Stop())]
    latents = next(event.preview for event in events if isinstance(event, StepDone)).latents
    decode = DecodeRequest.of(data=latents.astype("float16").tobytes(), shape=latents.shape)
    return [*events, *engine.stream(decode, Stop())]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_comes_back_from_a_pickle(events, kind):
    originals = [event for event in events if type(event) is kind]
    assert originals
    for event in originals:
        copy = pickle.loads(pickle.dumps(event))
        if isinstance(event, StepDone):
            assert (copy.step, copy.total) == (event.step, event.total)
            for one, other in ((copy.preview, event.preview), (copy.noisy, event.noisy)):
                assert one.jpeg == other.jpeg
        else:
            assert copy == event


def test_a_preview_is_encoded_at_the_first_look_and_only_once(events):
    sketch = next(event.preview for event in events if isinstance(event, StepDone))
    fresh = type(sketch)(sketch.latents, sketch.colours)
    assert "jpeg" not in vars(fresh)
    assert fresh.jpeg is fresh.jpeg


@pytest.mark.parametrize("side", [1, 4])
def test_sketches_painted_together_are_those_painted_alone(side):
    chance = np.random.default_rng(5)
    latents = chance.normal(size=(5, 6, 3, 4)).astype("float32")
    colours = chance.normal(0.5, 0.3, (7, 3 * side * side)).astype("float32")
    alone = [Sketch(one[None], colours).jpeg for one in latents]
    assert sketch_files(latents, colours) == alone
    with Image.open(io.BytesIO(alone[2])) as image:
        pixels = np.asarray(image, float)
    assert pixels.shape == (3 * side, 4 * side, 3)
    column = np.append(
        latents[2, :, 1, 3], 1
    )  # of one latent: its n x n pixels, channel by channel
    block = (column @ colours).reshape(3, side, side).transpose(1, 2, 0).clip(0, 1) * 255
    assert np.abs(pixels[side : 2 * side, 3 * side :] - block).mean() < 20  # JPEG blurs
    latents[1, 0, 0, 0] = np.nan
    assert sketch_files(latents, colours)[0] == alone[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_scheduler_leaves_the_latents_of_earlier_steps_alone(name):
    kind, settings = SCHEDULERS[name]
    scheduler = getattr(diffusers, kind)(**settings)
    scheduler.set_timesteps(6)
    generator = torch.Generator().manual_seed(3)
    latents, copies = torch.randn(1, 4, 8, 8, generator=generator), []
    for index, timestep in enumerate(scheduler.timesteps):
        output = torch.randn(1, 4, 8, 8, generator=generator)
        scheduler.scale_model_input(latents, timestep)
        before, latents = latents, scheduler.step(output, timestep, latents)[0]
        guess = predicted_original(scheduler, before, output, timestep, index)
        copies += [(one, one.clone()) for one in (latents, guess)]
    assert all(torch.equal(one, copy) for one, copy in copies)
