"""Stable Diffusion v1-4 on CUDA, through the same loader as the page: random weights, full size."""

import threading
import time
from dataclasses import replace

import pytest
from PIL import Image

from models.contract import Stop
from models.errors import OutOfMemory, Stopped
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.settings import Settings
from models.text_to_image.catalog import ImageDials, PipelineOptions
from models.text_to_image.events import StepDone
from models.text_to_image.requests import ImageRequest
from models.weights import sources
from tests import tiny
from tests.gpu import architecture
from tests.gpu.classic import SLACK, SPEC, allocation, draw, engine_of
from tests.pictures import open_png, psnr

pytestmark = pytest.mark.usefixtures("classic")


def test_it_is_placed_on_cuda_in_half_precision_with_its_safety_checker(cache):
    import torch

    end, events = draw(cache)
    placement = events[-1].placement
    assert (placement.device, placement.dtype) == ("cuda", "float16")
    assert placement.reason == "cuda_found"
    assert len(end.flagged) == 1
    pipe = engine_of(cache)._pipe
    for name, millions in architecture.MILLIONS.items():
        weights = list(getattr(pipe, name).parameters())
        assert sum(w.numel() for w in weights) / 1e6 == pytest.approx(millions, rel=0.01), name
        assert {(w.dtype, w.device.type) for w in weights} == {(torch.float16, "cuda")}, name
    assert cache.status()[0].nbytes == pytest.approx(2 * 1370e6, rel=0.02)


def test_what_the_safety_checker_flags_is_blanked_and_in_the_event(cache):
    draw(cache)
    checker = engine_of(cache)._pipe.safety_checker
    for weights in (checker.concept_embeds_weights, checker.special_care_embeds_weights):
        weights.data.fill_(-2.0)  # no cosine is below it: all are flagged
    end, _ = draw(cache)
    assert end.flagged == (True,)
    assert open_png(end.images[0]).convert("L").getextrema() == (0, 0)


def test_one_seed_is_one_picture_and_pndm_counts_its_repeated_step(cache):
    first, events = draw(cache, num_images=2)
    again, _ = draw(cache, seed=2)
    assert psnr(first.images[1], again.images[0]) >= 35
    steps = [e for e in events if isinstance(e, StepDone)]
    assert (len(steps), steps[-1].total, first.batch) == (4, 8, 2)  # both pictures together
    assert any(e.preview for e in steps)


def test_stop_ends_within_a_step_and_frees_the_model(cache):
    class AtTheThirdLook(Stop):
        looks = 0

        def is_set(self):
            self.looks += threading.current_thread() is not threading.main_thread()  # draws
            return self.looks >= 3

    draw(cache)
    events = []
    with pytest.raises(Stopped):
        events.extend(
            engine_of(cache).stream(
                ImageRequest.of(prompt="a cat", num_inference_steps=50), AtTheThirdLook()
            )
        )
    assert [type(e) for e in events] == [StepDone, StepDone]

    events = run(cache, SPEC, ImageRequest.of(prompt="a cat", num_inference_steps=150))
    first = next(e for e in events if isinstance(e, StepDone))
    start = time.perf_counter()
    assert first.total > 100
    events.close()
    while any(model.active for model in cache.status()):
        assert time.perf_counter() - start < 2
        time.sleep(0.002)


def test_unloading_gives_the_memory_back(cache):
    before = allocation()
    draw(cache)
    assert allocation() - before > 2.6e9
    cache.unload(SPEC.task, SPEC.id)
    assert allocation() - before < SLACK


def test_a_second_model_evicts_the_first():
    before = allocation()
    cache = ModelCache(Settings(memory_gb=4))
    other = replace(SPEC, id="tests/other")
    draw(cache)
    draw(cache, other)
    assert [model.id for model in cache.status()] == [other.id]
    assert allocation() - before < 2.8e9 + SLACK
    cache.close()
    assert allocation() - before < SLACK


@pytest.mark.parametrize("when", ["loading", "drawing"])
def test_out_of_memory_is_an_error_and_recovered_from(cache, when):
    import torch

    before = allocation()
    total = torch.cuda.get_device_properties(0).total_memory
    if when == "drawing":
        draw(cache)
    room = 500e6 if when == "loading" else 100e6
    torch.cuda.set_per_process_memory_fraction((allocation() + room) / total)
    try:
        with pytest.raises(OutOfMemory):
            draw(cache, width=1024, height=1024)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert not any(model.active for model in cache.status())
    assert allocation() - before < SLACK
    assert draw(cache)[0].images


def test_it_starts_from_a_picture_with_the_same_weights(cache, tmp_path):
    Image.linear_gradient("L").save(tmp_path / "start.png")
    plain, _ = draw(cache)
    before = allocation()
    start, events = draw(cache, image=(tmp_path / "start.png").read_bytes(), strength=0.67)
    assert allocation() - before < SLACK
    assert psnr(plain.images[0], start.images[0]) < 35
    assert [e.total for e in events if isinstance(e, StepDone)][-1] < 4


def test_two_people_at_once_load_once_and_both_get_their_picture(cache):
    results = {}

    def ask(seed):
        results[seed] = draw(cache, seed=seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loads = [events[-1].load_seconds > 0 for _, events in results.values()]
    assert sorted(loads) == [False, True]
    assert psnr(results[1][0].images[0], results[2][0].images[0]) < 35


def test_cuda_draws_what_the_cpu_draws(tmp_path, monkeypatch):
    tiny.stable_diffusion(tmp_path / "tiny")
    monkeypatch.setattr(sources, "STARTERS", tmp_path)
    spec = replace(SPEC, id="tests/tiny", source="starter:tiny", cuda_dtype="float32")
    pictures = {}
    for device in ("cuda", "cpu"):
        cache = ModelCache(Settings(device=device))
        request = {"width": None, "height": None, "num_inference_steps": 10}
        end, events = draw(
            cache, replace(spec, dials=ImageDials(), options=PipelineOptions()), **request
        )
        assert events[-1].placement.device == device
        pictures[device] = end.images[0]
        cache.close()
    assert psnr(pictures["cuda"], pictures["cpu"]) >= 35
