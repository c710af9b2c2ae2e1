"""The image starter that ships, as the tab uses it."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import sources
from models.base import ImagesDone, StepDone, Task
from models.cache import ModelCache
from models.jobs import run
from models.registry import find
from models.requests import ImageRequest
from models.settings import Settings
from models.text_to_image import preview
from models.text_to_image.words import Vocabulary
from tabs.text_to_image import EXAMPLES

SCENES = find(Task.TEXT_TO_IMAGE, "genlab/scenes")
FOLDER = Path(sources.STARTERS) / SCENES.name


@pytest.mark.parametrize("prompt", EXAMPLES)
def test_it_knows_every_word_of_the_examples(prompt):
    words = Vocabulary.read(FOLDER)
    assert words.unknown(prompt) == ()
    assert words.says_something(prompt)


def test_the_preview_comes_to_look_like_the_picture(monkeypatch):
    monkeypatch.setattr(preview, "_EVERY", 0)
    cache = ModelCache(Settings())
    events = list(run(cache, SCENES, ImageRequest.of(prompt=EXAMPLES[0], seed=3)))
    cache.close()
    png = next(e for e in events if isinstance(e, ImagesDone)).images[0]
    picture = Image.open(io.BytesIO(png)).resize((16, 16), Image.Resampling.BOX)
    frames = [Image.open(io.BytesIO(e.preview)) for e in events if isinstance(e, StepDone)]
    assert frames[0].size == (16, 16)

    def likeness(frame):
        return np.corrcoef(np.ravel(frame), np.ravel(picture))[0, 1]

    assert likeness(frames[-1]) > 0.8
    assert likeness(frames[-1]) > likeness(frames[0])
