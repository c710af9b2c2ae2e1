"""The image starter that ships, as the tab uses it."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import Settings
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image import progress
from models.text_to_image.events import ImagesDone, StepDone
from models.text_to_image.requests import ImageRequest
from models.text_to_image.vocabulary import Vocabulary
from models.weights import sources
from tabs.text_to_image import EXAMPLES

SCENES = find(TEXT_TO_IMAGE, "genlab/scenes")
FOLDER = Path(sources.STARTERS) / SCENES.name


@pytest.mark.parametrize("prompt", EXAMPLES)
def test_it_knows_every_word_of_the_examples(prompt):
    words = Vocabulary.read(FOLDER)
    assert words.unknown(prompt) == ()
    assert words.says_something(prompt)


@pytest.mark.parametrize("prompt", ["🐈", "🐼 눈밭", "👨‍🚀 on the moon"])
def test_an_emoji_is_a_word(prompt):
    assert Vocabulary.read(FOLDER).says_something(prompt)


def test_an_emoji_that_it_has_not_learnt_is_named():
    words = Vocabulary.read(FOLDER)
    assert words.unknown("a cat and 🪑") == ("🪑",)
    assert not words.says_something("🪑")


def test_the_preview_comes_to_look_like_the_picture(monkeypatch):
    monkeypatch.setattr(progress, "_INTERVAL", 0)
    cache = ModelCache(Settings())
    events = list(run(cache, SCENES, ImageRequest.of(prompt=EXAMPLES[0], seed=3)))
    cache.close()
    png = next(e for e in events if isinstance(e, ImagesDone)).images[0]
    picture = Image.open(io.BytesIO(png)).resize((32, 32), Image.Resampling.BOX)
    frames = [Image.open(io.BytesIO(e.preview.jpeg)) for e in events if isinstance(e, StepDone)]
    assert frames[0].size == (32, 32)  # 4 x 4 pixels for each of 8 x 8 latents

    def likeness(frame):
        return np.corrcoef(np.ravel(frame), np.ravel(picture))[0, 1]

    def error(frame):
        return np.abs(np.asarray(frame, float) - np.asarray(picture, float)).mean()

    assert likeness(frames[-1]) > 0.8
    assert error(frames[-1]) < 0.8 * error(frames[0])  # the first is right in kind, but pale


@pytest.mark.parametrize("prompt", ["a penguin in the snow", "a red circle on a yellow background"])
def test_the_preview_has_the_colours_of_the_picture(prompt):
    cache = ModelCache(Settings())
    ask = ImageRequest.of(prompt=prompt, seed=1, num_inference_steps=10)
    events = list(run(cache, SCENES, ask))
    cache.close()
    png = next(e for e in events if isinstance(e, ImagesDone)).images[0]
    last = [e for e in events if isinstance(e, StepDone)][-1].preview.jpeg
    in_preview, in_picture = (
        np.mean(Image.open(io.BytesIO(file)), axis=(0, 1)) for file in (last, png)
    )
    cast = (in_preview - in_picture) / 255
    assert abs(cast[2] - cast[1]) < 0.12  # no more blue in it than green
