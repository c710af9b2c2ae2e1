"""models/text_to_image/unet.py: faster than the UNet as it was loaded, and the same numbers."""

import threading
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from models.contract import Placement, Stop
from models.errors import Stopped
from models.select import find
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image import unet as module
from models.text_to_image.diffusers_engine import load_pipeline
from models.weights.sources import STARTERS

TEXTS: list[torch.Tensor] = []  # what the text encoder makes of three prompts


@pytest.fixture(scope="module")
def unet():
    spec, threads = find(TEXT_TO_IMAGE, "genlab/scenes"), torch.get_num_threads()
    torch.set_num_threads(1)  # as the app does for a model of this size
    pipe = load_pipeline(spec, STARTERS / "scenes", Placement("cpu", "float32", ""))
    prompts = ["a cat", "a dog in the snow", "숲속의 판다"]
    ids = pipe.tokenizer(prompts, padding="max_length", return_tensors="pt").input_ids
    with torch.inference_mode():  # of noise instead, float32 itself gives a few digits only
        TEXTS[:] = pipe.text_encoder(ids)[0]
    yield pipe.unet
    torch.set_num_threads(threads)


def request(unet, batch: int) -> tuple[torch.Tensor, ...]:
    chance = torch.Generator().manual_seed(batch)
    side = unet.config.sample_size
    latents = torch.randn(batch, unet.config.in_channels, side, side, generator=chance)
    return latents, torch.tensor(400), torch.stack(TEXTS[:batch])


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_it_gives_the_numbers_of_the_unet_on_one_core_and_on_two(unet, monkeypatch, cores, batch):
    monkeypatch.setattr(module, "cores", lambda: cores)
    fast = module.FastUNet(unet)
    latents, now, text = request(unet, batch)
    with torch.inference_mode():
        plain = unet(latents, now, encoder_hidden_states=text, return_dict=False)[0]
        for _ in range(2):
            assert torch.allclose(fast(latents, now, text), plain, atol=1e-4)
        if batch < 3:  # for more a program of 4 rows, traced meanwhile, may take over
            assert torch.equal(fast(latents, now, text), fast(latents, now, text))


@pytest.mark.parametrize("onednn", [True, False])
def test_another_text_is_read_anew_with_and_without_onednn(unet, monkeypatch, onednn):
    monkeypatch.setattr(module, "has_onednn", lambda: onednn)
    fast = module.FastUNet(unet)
    latents, now, text = request(unet, 2)
    with torch.inference_mode():
        for one in (text, text.flip(0), text):
            plain = unet(latents, now, encoder_hidden_states=one, return_dict=False)[0]
            assert torch.allclose(fast(latents, now, one), plain, atol=1e-4)


def test_the_unet_itself_stays_as_it_was(unet):
    types = {name: type(one) for name, one in unet.named_modules()}
    latents, now, text = request(unet, 1)
    with torch.inference_mode():
        module.FastUNet(unet)(latents, now, text)
    assert {name: type(one) for name, one in unet.named_modules()} == types
    assert not any("_ContextAttention" in str(one) for one in unet.attn_processors.values())


def test_one_of_another_kind_is_asked_as_it_is(unet):
    assert module.is_traceable(unet)
    other: Any = UNet2DConditionModel.from_config(dict(unet.config), only_cross_attention=True)
    other.eval()
    assert not module.is_traceable(other)
    latents, now, text = request(unet, 1)
    with torch.inference_mode():
        plain = other(latents, now, encoder_hidden_states=text, return_dict=False)[0]
        assert torch.equal(module.FastUNet(other)(latents, now, text), plain)


def test_who_comes_when_a_pass_is_full_waits_for_a_place_and_may_leave(unet):
    fast, stop = module.FastUNet(unet), Stop()
    with ExitStack() as places:
        for _ in range(module._MOST_ROWS // 2):
            places.enter_context(fast._places.place(Stop(), lambda _: None))
        threading.Timer(0.1, stop.set).start()
        with pytest.raises(Stopped), fast.drawing(stop, lambda _: None):
            pass
        threading.Timer(0.1, places.pop_all().close).start()
        with fast.drawing(Stop(), lambda _: None):
            pass


def two_inputs(unet) -> list[module._Input]:
    latents, _, text = request(unet, 2)
    times = torch.tensor([400.0, 300.0])
    with torch.inference_mode():
        contexts = [module.keys_and_values(unet, one) for one in text.split(1)]
    parts = zip(latents.split(1), times.split(1), contexts, strict=True)
    return [module._Input(*values) for values in parts]


def test_the_layout_of_a_pass_stays_whoever_comes_first(unet):
    fast = module.FastUNet(unet)
    first, second = two_inputs(unet)
    one, other = fast._run([first, second], 1)
    (layout,) = fast._layouts
    swap = fast._run([second, first], 1)
    assert list(fast._layouts) == [layout]
    assert torch.equal(one[0], swap[1][0])
    assert torch.equal(other[0], swap[0][0])


def test_each_lane_keeps_the_layout_of_its_own_passes(unet, monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 2)
    fast = module.FastUNet(unet)
    inputs = two_inputs(unet)
    before = [fast._run([one], 1)[0][0] for one in inputs]
    layouts = list(fast._layouts)
    after = [fast._run([one], 1)[0][0] for one in inputs]
    assert list(fast._layouts) == layouts
    assert len(layouts) == 2
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_program_is_packed_for_the_one_core_that_it_runs_on(unet, monkeypatch):
    """With AVX2 oneDNN packs otherwise for two, and then takes 20 times as long."""
    trace, threads = module.trace_unet, []

    def look(*values):
        threads.append(torch.get_num_threads())
        return trace(*values)

    monkeypatch.setattr(module, "trace_unet", look)
    torch.set_num_threads(2)
    try:
        module.FastUNet(unet).prepare((2, 96, 8, 8, 48))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert threads == [1]
