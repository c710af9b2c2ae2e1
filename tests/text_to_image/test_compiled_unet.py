"""The seam for CUDA: a compiled UNet, on a CPU with a compiler that changes nothing."""

import pytest
import torch

from models.contract import Placement, Stop, WarmingUp
from models.select import find
from models.settings import Settings
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.denoising import StableDiffusionLoop
from models.text_to_image.events import StepDone
from models.text_to_image.requests import ImageRequest
from models.text_to_image.unet import CompiledUNet, FastUNet
from tabs.shared.events import waiting_line
from tests import tiny
from tests.pictures import TINY, load, psnr

VALUES = {"prompt": "a red circle", "seed": 7, "num_inference_steps": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.stable_diffusion(tmp_path_factory.mktemp("starters") / "tiny", scheduler="pndm")


@pytest.fixture
def engine(folder):
    engine = load(folder)
    program = CompiledUNet(engine._pipe.unet, "default", {(32, 32)}, backend="eager")
    engine._denoiser.loop = StableDiffusionLoop(engine._pipe, program)
    return engine


def draw(engine, **values):
    return list(engine.stream(ImageRequest.of(**{**VALUES, **values}), Stop()))


def warmings(events):
    return [index for index, event in enumerate(events) if isinstance(event, WarmingUp)]


def test_a_compiled_unet_draws_the_same_and_says_that_it_compiles_once(engine, folder):
    plain = draw(load(folder))
    first, again = draw(engine), draw(engine, seed=8)
    assert psnr(plain[-1].images[0], first[-1].images[0]) >= 50
    assert (warmings(plain), warmings(first), warmings(again)) == ([], [0], [])
    assert isinstance(first[1], StepDone)
    without_guidance = draw(engine, guidance_scale=1.0)
    assert (warmings(without_guidance), warmings(draw(engine, guidance_scale=0.0))) == ([0], [])
    plain = draw(load(folder), guidance_scale=1.0)
    assert psnr(plain[-1].images[0], without_guidance[-1].images[0]) >= 50


def test_only_a_few_usual_shapes_are_compiled(engine):
    unet = engine._denoiser.loop._unet
    for count, height, compiles in ((2, 32, True), (6, 32, False), (2, 24, False)):
        assert unet.compiles((count, 4, height, 32)) is compiles
        text = torch.zeros(count, 24, 32)
        with torch.inference_mode():
            guess = unet(torch.zeros(count, 4, height, 32), torch.tensor(1), text)
        assert guess.shape == (count, 4, height, 32)
        assert not unet.compiles((count, 4, height, 32))


def test_without_a_compiler_it_draws_all_the_same(folder):
    def fail(*_):
        raise OSError("no compiler")

    engine = load(folder)
    program = CompiledUNet(engine._pipe.unet, "default", {(32, 32)}, backend=fail)
    engine._denoiser.loop = StableDiffusionLoop(engine._pipe, program)
    assert psnr(draw(engine)[-1].images[0], draw(load(folder))[-1].images[0]) >= 50
    assert warmings(draw(engine)) == []


def test_never_on_a_cpu_and_on_cuda_only_where_the_host_wants_it(folder, monkeypatch):
    program = []
    monkeypatch.setattr(
        "models.text_to_image.denoising.CompiledUNet",
        lambda unet, *values: program.append(values) or FastUNet(unet),
    )
    monkeypatch.setattr("models.text_to_image.diffusers_engine.load_pipeline", _on_the_cpu(folder))
    for device, mode in (("cpu", "default"), ("cuda", "off"), ("cuda", "default")):
        settings = Settings(GENLAB_COMPILE=mode)
        placement = Placement(device, "float32", "no_gpu", 1)
        type(load(folder)).load(TINY, folder, placement, settings)
    assert program == [("default", {(32, 32)})]


def _on_the_cpu(folder):
    from models.text_to_image.diffusers_engine import load_pipeline
    from tests.pictures import CPU

    return lambda spec, place, _: load_pipeline(spec, place, CPU)


def test_the_page_says_what_it_waits_for():
    words = waiting_line(WarmingUp(find(TEXT_TO_IMAGE, "genlab/scenes")), 12.4)
    assert "compiling GenLab Scenes" in words
    assert "컴파일" in words
    assert "12" in words
