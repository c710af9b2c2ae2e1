"""Real models without a GPU: what they cost is said before, memory is checked, the tiny decoder, threads."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from models.contract import Placement, Stop
from models.errors import InvalidInput, OutOfMemory, Stopped
from models.runtime.cache import ModelCache
from models.runtime.construction import CONSTRUCTION
from models.runtime.placement import Hardware, place
from models.select import default_model, find
from models.settings import Settings
from models.tasks import TASKS, TEXT_TO_IMAGE
from models.text_to_image import diffusers_engine, speed, unet
from models.text_to_image.catalog import MODELS, options_of
from models.text_to_image.progress import LatentColours
from models.text_to_image.recipe import python
from models.text_to_image.requests import DecodeRequest, ImageRequest
from models.weights import hub, sources
from tabs.shared.context import Context
from tabs.text_to_image import controls
from tests import tiny, tiny_checkpoints
from tests.pictures import CPU, CPU_MACHINE, TINY, load, open_png, psnr

TURBO = find(TEXT_TO_IMAGE, "stabilityai/sd-turbo")
BFLOAT16 = replace(CPU_MACHINE, bfloat16=True)


def last(engine, **values):
    request = ImageRequest.of(**{"prompt": "a cat", "seed": 7, "num_inference_steps": 2, **values})
    return list(engine.stream(request, Stop()))[-1].images


# ---------------------------------------------------------------- where it runs


def test_bfloat16_on_a_processor_that_has_it_and_only_for_the_large_models():
    settings = Settings()
    plain = place(TURBO, settings, CPU_MACHINE)
    assert (plain.dtype, plain.reason) == ("float32", "no_gpu")
    half = place(TURBO, settings, BFLOAT16)
    assert (half.device, half.dtype, half.reason) == ("cpu", "bfloat16", "processor_bfloat16")
    assert half.threads == 2
    for task in TASKS:
        for spec in task.models:
            if not spec.wants_gpu:
                assert place(spec, settings, BFLOAT16) == place(spec, settings, CPU_MACHINE)
    with_gpu = Hardware(cuda=True, mps=False, cpu_torch=False, cores=2, bfloat16=True)
    assert place(TURBO, settings, with_gpu).dtype == "float16"


def test_a_picture_in_bfloat16_is_nearly_that_in_float32(tmp_path):
    from diffusers import AutoPipelineForText2Image

    folder = tiny.stable_diffusion(tmp_path / "pipe")
    spec = replace(TINY, source="hub:tests/tiny", wants_gpu=True)
    half = load(folder, spec, place(spec, Settings(), BFLOAT16))
    assert half._pipe.unet.dtype == half._pipe.vae.dtype == torch.bfloat16
    ours = last(half)[0]
    assert psnr(last(load(folder, spec))[0], ours) >= 25
    plain = AutoPipelineForText2Image.from_pretrained(folder, dtype=torch.bfloat16)
    generator = torch.Generator("cpu").manual_seed(7)
    values = {"num_inference_steps": 2, "guidance_scale": 5.0, "generator": generator}
    assert psnr(plain("a cat", **values).images[0], ours) >= 35  # as the recipe says


# ---------------------------------------------------------------- memory


def test_a_machine_with_4_gb_refuses_before_anything_is_fetched(monkeypatch):
    def fetch(*_):
        raise AssertionError("it was fetched")

    monkeypatch.setattr(hub, "cached_path", lambda _: None)
    monkeypatch.setattr(hub, "fetch", fetch)
    small = ModelCache(Settings(memory_gb=0.6 * 4), CPU_MACHINE)
    for spec in MODELS:
        if options_of(spec).work and spec.id != "IDKiro/sdxs-512-0.9":
            with pytest.raises(OutOfMemory) as error, small.lease(spec, Stop(), print):
                pass
            assert error.value.code == "out_of_memory_limit"
            assert error.value.params["needed"] > error.value.params["limit"] == 2.4
    assert small.room(TURBO) == (pytest.approx(5.16), 2.4)
    half = ModelCache(Settings(memory_gb=2.4), BFLOAT16)
    assert half.room(TURBO)[0] == pytest.approx(2.58)
    assert not small.status()


def test_what_does_not_fit_into_free_memory_is_not_read(tmp_path, monkeypatch):
    folder = tiny.stable_diffusion(tmp_path / "pipe")
    spec = replace(TINY, source="hub:tests/tiny")
    monkeypatch.setattr(diffusers_engine, "free_memory", lambda: 100_000)
    with pytest.raises(OutOfMemory) as error:
        load(folder, spec)
    assert error.value.code == "out_of_memory_limit"
    assert load(folder)  # a starter is always read


# ---------------------------------------------------------------- what it costs is said


def test_one_short_measurement_says_how_long_a_picture_takes_and_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    assert speed.seconds_a_picture(TURBO, CPU, measure=False) is None
    seconds = speed.seconds_a_picture(TURBO, CPU)
    assert 0.5 < seconds < 2000
    monkeypatch.setattr(speed, "_measure", None)  # it is not measured again
    assert speed.seconds_a_picture(TURBO, CPU, measure=False) == seconds
    assert speed.seconds_a_picture(TURBO, CPU, tiny=True) < 0.8 * seconds
    classic = find(TEXT_TO_IMAGE, "CompVis/stable-diffusion-v1-4")
    assert speed.seconds_a_picture(classic, CPU) > 20 * seconds / 5
    assert speed.seconds_a_picture(TURBO, Placement("cuda", "float16", "cuda_found")) is None
    assert speed.seconds_a_picture(find(TEXT_TO_IMAGE, "genlab/scenes"), CPU) is None
    (tmp_path / "speed.json").write_text('{"x": {"step": -1}}')
    assert speed.seconds_a_picture(TURBO, CPU, measure=False) is None


def test_the_page_says_size_and_time_and_never_preselects(tmp_path, monkeypatch):
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    settings = Settings(device="cpu")
    monkeypatch.setattr(hub, "cached_path", lambda _: tmp_path)  # all are here
    assert default_model(TEXT_TO_IMAGE, settings).starter
    context = Context(settings, ModelCache(settings))
    about = controls._about(context, TURBO)
    assert "2.6 GB" in about
    assert "Measuring" in about
    monkeypatch.setattr(speed, "_measure", lambda _: speed.Rates(0.1, 0.2))
    controls._seconds(context, TURBO, measure=True)
    about = controls._about(context, TURBO)
    assert "about 25 s here" in about  # 1.25 (0.8 / 0.1 + 2.51 / 0.2) = 25.7
    assert "25초쯤" in about
    assert "about 10 s" in about
    assert "SD-Turbo" in controls._about(context, find(TEXT_TO_IMAGE, "genlab/scenes"))
    small = Settings(device="cpu", memory_gb=1)
    about = controls._about(Context(small, ModelCache(small)), TURBO)
    assert "1.0 GB may be used" in about
    classic = find(TEXT_TO_IMAGE, "CompVis/stable-diffusion-v1-4")
    assert "min" in controls._about(context, classic)


@pytest.mark.parametrize("spec", [s for s in MODELS if options_of(s).work], ids=lambda s: s.id)
def test_models_for_a_processor_have_what_the_page_needs(spec):
    assert spec.billions
    assert spec.wants_gpu  # so that it is not offered first
    steps = options_of(spec).steps_range
    assert steps[0] <= spec.dials.num_inference_steps <= steps[1]


# ---------------------------------------------------------------- the tiny decoder


@pytest.fixture
def decoder(tmp_path, monkeypatch):
    """A tiny AutoencoderTiny in the place of madebyollin/taesd, and an engine whose latents it reads."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(3)
    folder = tmp_path / "taesd"
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    ).save_pretrained(folder)
    (tmp_path / "layouts").mkdir()
    pipe = tiny_checkpoints.pipeline("sd1", tmp_path / "layouts")
    pipe.save_pretrained(tmp_path / "pipe")
    places = {"madebyollin/taesd": folder, "tests/tiny": tmp_path / "pipe"}
    monkeypatch.setattr(hub, "cached_path", lambda spec: places.get(hub.repository(spec)))
    monkeypatch.setattr(unet, "_SMALL", 0)
    spec = replace(TINY, source="hub:tests/tiny", id="tests/tiny")
    return load(tmp_path / "pipe", spec), spec, places


def test_the_tiny_decoder_draws_where_it_is_chosen_and_only_there(decoder):
    engine, _, _ = decoder
    size = engine.nbytes()
    own = last(engine)[0]
    small = last(engine, decoder="tiny")[0]
    assert own != small
    assert "Decoder: tiny" in open_png(small).text["parameters"]
    assert last(engine)[0] == own
    assert engine.nbytes() > size
    latents = torch.randn(1, 4, 32, 32).half().numpy()
    decodings = [
        list(
            engine.stream(
                DecodeRequest.of(data=latents.tobytes(), shape=latents.shape, decoder=name), Stop()
            )
        )[-1].images[0]
        for name in ("", "tiny", "")
    ]
    assert decodings[0] == decodings[2] != decodings[1]


def test_the_tiny_decoder_is_read_when_no_other_model_is_loaded_and_a_stop_ends_the_wait(decoder):
    engine, _, _ = decoder
    request = ImageRequest.of(prompt="a cat", seed=7, num_inference_steps=2, decoder="tiny")
    stop, size = Stop(), engine.nbytes()
    with CONSTRUCTION.hold(Stop()), ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(list, engine.stream(request, stop))
        time.sleep(1.5)
        assert engine.nbytes() == size
        stop.set()
        with pytest.raises(Stopped):
            drawing.result(5)
    last(engine, decoder="tiny")
    assert engine.nbytes() > size


def test_the_recipe_names_the_tiny_decoder_and_draws_the_same(decoder, tmp_path):
    engine, spec, places = decoder
    request = ImageRequest.of(prompt="a cat", seed=5, num_inference_steps=2, decoder="tiny")
    request = request.with_defaults(spec)
    script = python(spec, request, CPU)
    assert "AutoencoderTiny.from_pretrained('madebyollin/taesd'" in script
    for name, folder in places.items():
        script = script.replace(f"'{name}'", repr(str(folder)))
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=250)
    ours = list(engine.stream(request, Stop()))[-1].images[0]
    assert psnr(ours, (tmp_path / "picture-5.png").read_bytes()) >= 50


def test_a_model_without_a_tiny_decoder_says_so(tmp_path):
    folder = tiny.stable_diffusion(tmp_path / "pipe")
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"scaling_factor": 0.7}))
    engine = load(folder)
    with pytest.raises(InvalidInput) as error:
        last(engine, decoder="tiny")
    assert error.value.code == "invalid_no_tiny_decoder"


def test_a_model_whose_own_decoder_is_tiny_has_previews(decoder):
    from diffusers import AutoencoderTiny

    engine, _, places = decoder
    engine._pipe.register_modules(vae=AutoencoderTiny.from_pretrained(places["madebyollin/taesd"]))
    assert LatentColours.fit(engine._pipe).matrix.shape == (5, 3)


# ---------------------------------------------------------------- threads


def test_one_thread_or_two_give_the_same_picture(decoder, tmp_path):
    """Also with a LoRA; the starter, whose UNet is traced, below."""
    engine, spec, places = decoder
    two = load(places["tests/tiny"], spec, replace(CPU, threads=2))
    for values in ({}, {"decoder": "tiny"}, {"scheduler": "Euler a"}):
        assert psnr(last(engine, **values)[0], last(two, **values)[0]) >= 50
    torch.set_num_threads(1)


def test_the_starter_too():
    spec = find(TEXT_TO_IMAGE, "genlab/scenes")
    folder = sources.STARTERS / spec.name
    pictures = [
        last(load(folder, spec, replace(CPU, threads=threads)), prompt="a red circle")[0]
        for threads in (1, 2)
    ]
    torch.set_num_threads(1)
    assert psnr(*pictures) >= 50
