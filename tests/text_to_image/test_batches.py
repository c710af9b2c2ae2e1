"""Several pictures together, memory that runs out, and the preview of every scheduler."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.contract import Stop
from models.errors import OutOfMemory
from models.text_to_image import progress
from models.text_to_image.catalog import PipelineOptions
from models.text_to_image.events import CellDone, GridDone, ImagesDone, StepDone
from models.text_to_image.requests import ImageGridRequest, ImageRequest
from tests import tiny
from tests.pictures import FOR_ANY_NOISE, TINY, load, open_png, psnr

VALUES = {"prompt": "a red circle", "seed": 7, "num_inference_steps": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.stable_diffusion(tmp_path_factory.mktemp("starters") / "tiny")


@pytest.fixture
def engine(folder):
    return load(folder)


def events(engine, request):
    return list(engine.stream(request, Stop()))


def test_on_a_cpu_pictures_are_drawn_alone(engine):
    end = events(engine, ImageRequest.of(**VALUES, num_images=3))[-1]
    assert (end.batch, len(end.images)) == (1, 3)


@pytest.mark.parametrize("scheduler", ["", "LCM", "PNDM"])
def test_a_picture_of_a_batch_is_the_one_drawn_alone(engine, scheduler):
    request = ImageRequest.of(**VALUES, num_images=5, scheduler=scheduler)
    alone = events(engine, request)[-1]
    engine._denoiser.batch_limit = 2
    stream = events(engine, request)
    together = stream[-1]
    assert together.batch == 5
    assert [len(e.images) for e in stream if isinstance(e, ImagesDone)] == [5]
    steps = [e for e in stream if isinstance(e, StepDone)]
    assert {(e.first, e.at_once) for e in steps} == {(0, 5)}
    assert steps[-1].step == steps[-1].total
    for one, other in zip(alone.images, together.images, strict=True):
        assert psnr(one, other) >= 35
    assert len(set(together.images)) == 5


def test_cells_of_equal_steps_are_drawn_together_each_with_its_guidance(engine):
    request = ImageGridRequest.of(
        prompt="a red circle", seed=7, guidance_scales=(1.0, 4.0, 9.0), step_counts=(2, 3)
    )
    alone = events(engine, request)[-1]
    engine._denoiser.batch_limit = 8
    stream = events(engine, request)
    together = stream[-1]
    assert isinstance(together, GridDone)
    assert [cell.batch for cell in together.cells] == [1, 2, 2, 1, 2, 2]
    assert len([e for e in stream if isinstance(e, CellDone)]) == 6
    for one, other in zip(alone.cells, together.cells, strict=True):
        assert psnr(one.image, other.image) >= 35
        assert open_png(one.image).text == open_png(other.image).text


# ---------------------------------------------------------------- memory


def runs_out(monkeypatch, engine, when):
    """Fail as the allocator does, in the UNet, when(pictures, latent height) holds."""
    unet = engine._denoiser.loop._unet
    plain = type(unet).__call__

    def call(self, latents, timestep, text):
        if when(len(latents) // 2, latents.shape[-2]):
            raise torch.OutOfMemoryError("out of memory")
        return plain(self, latents, timestep, text)

    monkeypatch.setattr(type(unet), "__call__", call)


def test_a_batch_that_does_not_fit_is_drawn_in_smaller_ones(engine, monkeypatch):
    request = ImageRequest.of(**VALUES, num_images=5)
    alone = events(engine, request)[-1]
    engine._denoiser.batch_limit = 8
    runs_out(monkeypatch, engine, lambda pictures, _: pictures > 2)
    stream = events(engine, request)
    together = stream[-1]
    assert [len(e.images) for e in stream if isinstance(e, ImagesDone)] == [2, 4, 5]
    assert (together.batch, together.seeds) == (2, (7, 8, 9, 10, 11))
    assert all(psnr(a, b) >= 35 for a, b in zip(alone.images, together.images, strict=True))


def test_the_size_that_fits_is_named(folder, monkeypatch):
    options = PipelineOptions(sizes=((128, 128), (96, 96), (64, 96), (64, 64)))
    engine = load(folder, replace(TINY, source="hub:tests/tiny", options=options))
    runs_out(monkeypatch, engine, lambda _, height: height > 32)
    with pytest.raises(OutOfMemory) as error:
        events(engine, ImageRequest.of(**VALUES, width=128, height=128))
    assert error.value.code == "out_of_memory_size"
    assert error.value.params == {"width": 128, "height": 128, "fits": "64 × 64"}
    runs_out(monkeypatch, engine, lambda *_: True)
    with pytest.raises(OutOfMemory) as error:
        events(engine, ImageRequest.of(**VALUES, width=128, height=128))
    assert error.value.code == "out_of_memory"


# ---------------------------------------------------------------- previews


@pytest.mark.parametrize("scheduler", FOR_ANY_NOISE)
def test_the_last_preview_is_what_the_decoder_gets(engine, monkeypatch, scheduler):
    """At the last step the predicted x0 is the result itself, whatever the scheduler."""
    monkeypatch.setattr(progress, "_INTERVAL", 0)
    previews, results, loop = [], [], engine._denoiser.loop
    monkeypatch.setattr(
        progress.LatentColours,
        "sketch",
        lambda _, latents, *__, **___: previews.append(latents.clone()),
    )
    decode = loop.decode
    monkeypatch.setattr(
        loop, "decode", lambda latents: results.append(latents.clone()) or decode(latents)
    )
    events(engine, ImageRequest.of(**VALUES | {"num_inference_steps": 12}, scheduler=scheduler))
    assert len(previews) >= 12 + 12  # each of so few steps is a stage, which has its noise too
    x0, result = previews[-2].numpy().ravel(), results[0].numpy().ravel()
    assert np.corrcoef(x0, result)[0, 1] > 0.97
    assert x0.std() == pytest.approx(result.std(), rel=0.2)
