"""The events of a drawing: they survive a pickle, and a preview costs nothing until it is looked at."""

import pickle

import pytest

from models.contract import Event, Stop
from models.text_to_image import events as module
from models.text_to_image.events import StepDone
from models.text_to_image.requests import (
    DecodeRequest,
    ImageGridRequest,
    ImageRequest,
    WordAttentionRequest,
)
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
