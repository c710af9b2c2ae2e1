"""GENLAB_COMPILE on CUDA: the same pictures, said that it warms up, and given back."""

from contextlib import closing
from dataclasses import replace

import pytest

from models.contract import WarmingUp
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.settings import Settings
from models.text_to_image.events import StepDone
from models.text_to_image.requests import ImageRequest
from tests.gpu.classic import SLACK, SPEC, allocation, draw, engine_of
from tests.pictures import psnr

pytestmark = [pytest.mark.usefixtures("classic"), pytest.mark.timeout(1800)]
SMALL = replace(SPEC, options=replace(SPEC.options, sizes=((256, 256),)))  # compiles for this one


@pytest.mark.parametrize("mode", ["default", "max-autotune-no-cudagraphs"])
def test_compiled_pictures_are_the_plain_ones_and_memory_comes_back(cache, mode):
    before = allocation()
    plain = draw(cache, SMALL)[0].images[0]
    cache.unload(SMALL.task, SMALL.id)
    with closing(ModelCache(Settings(GENLAB_COMPILE=mode))) as program:
        first, events = draw(program, SMALL)
        again, later = draw(program, SMALL)
        assert sum(isinstance(e, WarmingUp) for e in events) == 1
        assert not any(isinstance(e, WarmingUp) for e in later)
        assert psnr(plain, first.images[0]) >= 35
        assert psnr(first.images[0], again.images[0]) >= 50
        weights = {w.dtype for w in engine_of(program, SMALL)._pipe.unet.parameters()}
        assert [str(dtype) for dtype in weights] == ["torch.float16"]
        program.unload(SMALL.task, SMALL.id)
        assert allocation() - before < SLACK


def test_a_size_that_is_not_usual_is_drawn_uncompiled():
    with closing(ModelCache(Settings(GENLAB_COMPILE="default"))) as cache:
        _, events = draw(cache, SMALL, width=320, height=256)
        assert not any(isinstance(e, WarmingUp) for e in events)


def test_a_compiled_drawing_stops_within_a_step():
    import time

    with closing(ModelCache(Settings(GENLAB_COMPILE="default"))) as cache:
        draw(cache, SMALL)
        request = ImageRequest.of(prompt="a cat", width=256, height=256, num_inference_steps=150)
        events = run(cache, SMALL, request)
        next(e for e in events if isinstance(e, StepDone))
        began = time.perf_counter()
        events.close()
        while any(model.active for model in cache.status()):
            assert time.perf_counter() - began < 2
            time.sleep(0.002)
