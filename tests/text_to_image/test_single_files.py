"""Single files and LoRAs of a folder, as people have them from Civitai: tiny, through the real conversion."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.contract import Downloading, Stop
from models.errors import Damaged, InvalidInput, ModelError, NotFound, Refused
from models.runtime.cache import ModelCache
from models.select import find
from models.settings import Settings
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image import parts, single_file, unet
from models.text_to_image.recipe import python
from models.text_to_image.requests import ImageRequest
from models.weights import safetensors_files, sources
from tests import tiny_checkpoints
from tests.hub_server import HubServer, Repository
from tests.pictures import CPU_MACHINE, draw, open_png, psnr

LAYOUTS = ("sd1", "sd2", "sdxl")
NAMES = {"sd1": "file:sd1.safetensors", "sd2": "file:more/sd2.safetensors"}
NAMES["sdxl"] = "file:sdxl.safetensors"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A folder of models and LoRAs, the tiny configurations, and the pipelines that were written."""
    folder, layouts = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("layouts")
    (folder / "more").mkdir()
    pipes = {}
    for layout in LAYOUTS:
        pipes[layout] = tiny_checkpoints.pipeline(layout, layouts)
        name = NAMES[layout].removeprefix("file:")
        tiny_checkpoints.save(pipes[layout], folder / name, torch.float32)
    for layout in LAYOUTS:
        tiny_checkpoints.lora(pipes[layout], folder / f"lora_{layout}.safetensors")
    tiny_checkpoints.lora(pipes["sd1"], folder / "kohya.safetensors", kohya=True, seed=2)
    return folder, layouts, pipes


@pytest.fixture
def cache(checkpoints, monkeypatch):
    folder, layouts, _ = checkpoints
    monkeypatch.setattr(single_file, "LAYOUTS", layouts)
    monkeypatch.setattr(unet, "_SMALL", 0)  # real files are too large to be traced
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cache = ModelCache(Settings(models_dir=folder), CPU_MACHINE)
    yield cache
    cache.close()


def picture(cache, layout="sd1", **values):
    spec = replace(find(TEXT_TO_IMAGE, NAMES[layout]), cpu_threads=1)
    end, _ = draw(cache, "a cat", spec, **{"num_inference_steps": 2, **values})
    return end.images[0]


def code(call):
    with pytest.raises(ModelError) as error:
        call()
    return error.value.code


# ---------------------------------------------------------------- whole models


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_single_file_draws_what_its_pipeline_draws(checkpoints, cache, layout):
    folder, _, pipes = checkpoints
    assert safetensors_files.layout_of(folder / NAMES[layout].removeprefix("file:")) == layout
    plain = pipes[layout](
        "a cat",
        num_inference_steps=2,
        guidance_scale=7.0,
        width=64,
        height=64,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images[0]
    assert psnr(plain, picture(cache, layout)) >= 50


def test_the_files_in_the_folder_are_offered_and_nothing_outside_it(checkpoints):
    settings = Settings(models_dir=checkpoints[0])
    models = sources.single_files_in(settings, "sd1", "sd2", "sdxl")
    assert sorted(models) == sorted(NAMES.values())
    assert len(sources.single_files_in(settings, "lora")) == 4
    for name in ("file:../x.safetensors", "file:/etc/x.safetensors"):
        spec = find(TEXT_TO_IMAGE, name)
        fetch = lambda spec=spec: sources.folder(spec, settings, Stop(), print)  # noqa: E731
        assert code(fetch) in {"refused_models_folder", "not_found_file"}


def test_the_shipped_layouts_are_the_real_architectures():
    """By the published numbers of weights: 860 M, 866 M and 2,567 M in the UNets."""
    from accelerate import init_empty_weights
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    def count(model):
        return sum(weights.numel() for weights in model.parameters())

    folder, unets, texts = single_file.LAYOUTS, {}, {}
    with init_empty_weights():
        for layout in LAYOUTS:
            config = UNet2DConditionModel.load_config(folder / layout / "unet")
            unets[layout] = count(UNet2DConditionModel.from_config(config))
            config = AutoencoderKL.load_config(folder / layout / "vae")
            assert count(AutoencoderKL.from_config(config)) == 83_653_863
            config = CLIPTextConfig.from_pretrained(folder / layout / "text_encoder")
            texts[layout] = count(CLIPTextModel(config))
        config = CLIPTextConfig.from_pretrained(folder / "sdxl" / "text_encoder_2")
        texts["big"] = count(CLIPTextModelWithProjection(config))
    assert unets == {"sd1": 859_520_964, "sd2": 865_910_724, "sdxl": 2_567_463_684}
    sizes = {"sd1": 123_060_480, "sd2": 340_387_840, "sdxl": 123_060_480, "big": 694_659_840}
    assert texts == sizes
    tokenizers = single_file._tokenizers("sdxl")
    text = "a photo of an astronaut riding a horse"
    ids = [49406, 320, 1125, 539, 550, 18376, 6765, 320, 4558, 49407]
    assert tokenizers["tokenizer"](text).input_ids == ids
    assert tokenizers["tokenizer_2"]("cat", padding="max_length").input_ids[-1] == 0


def test_what_was_trained_on_velocity_gets_that_scheduler(checkpoints, tmp_path):
    folder, _, pipes = checkpoints
    marks = {"v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}
    file = tiny_checkpoints.save(pipes["sdxl"], tmp_path / "v.safetensors", **marks)
    training = single_file.prediction("sdxl", file, None)
    assert training == {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    file = folder / "more" / "sd2.safetensors"
    assert single_file.prediction("sd2", file, pipes["sd2"].unet) == {}
    bias = pipes["sd2"].unet.conv_out.bias
    before = bias.detach().clone()
    try:
        with torch.no_grad():
            bias.sub_(3)  # a mean far below that of what it sees, as a velocity's is for pure noise
        training = single_file.prediction("sd2", file, pipes["sd2"].unet)
    finally:
        with torch.no_grad():
            bias.copy_(before)
            pipes["sd2"].unet.register_to_config(sample_size=32)
    assert training == {"prediction_type": "v_prediction"}


def test_bad_files_are_sentences_and_the_app_goes_on(checkpoints, cache, tmp_path):
    folder = checkpoints[0]
    whole = (folder / "sd1.safetensors").read_bytes()
    weights = load_file(folder / "sd1.safetensors")
    (folder / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (folder / "pickle.safetensors").write_bytes(b"\x80\x02}q\x00." * 100)
    (folder / "old.ckpt").write_bytes(b"\x80\x02}q\x00.")
    half = {k: v for k, v in weights.items() if "middle_block" not in k}
    save_file(half, folder / "part.safetensors")
    vae = {k: v for k, v in weights.items() if k.startswith("first_stage")}
    save_file(vae, folder / "vae.safetensors")
    name = "model.diffusion_model.input_blocks.0.0.weight"
    save_file(weights | {name: torch.zeros(16, 9, 3, 3)}, folder / "inpaint.safetensors")
    try:
        expected = {
            "cut.safetensors": "damaged_file",
            "pickle.safetensors": "damaged_file",
            "old.ckpt": "refused_pickle",
            "part.safetensors": "not_found_layout",
            "vae.safetensors": "not_found_layout",
            "inpaint.safetensors": "not_found_layout",
            "lora_sd1.safetensors": "not_found_lora_only",
            "absent.safetensors": "not_found_file",
        }
        for file, problem in expected.items():
            spec = find(TEXT_TO_IMAGE, f"file:{file}")
            assert code(lambda spec=spec: draw(cache, spec=spec)) == problem, file
    finally:
        for file in ("cut", "pickle", "part", "vae", "inpaint"):
            (folder / f"{file}.safetensors").unlink()
        (folder / "old.ckpt").unlink()
    assert picture(cache)
    assert [model.id for model in cache.status()] == [NAMES["sd1"]]


# ---------------------------------------------------------------- LoRAs


def test_a_lora_changes_the_picture_by_its_strength_and_never_the_next_persons(cache):
    plain = picture(cache)
    one = picture(cache, lora="file:lora_sd1.safetensors")
    weak = picture(cache, lora="file:lora_sd1.safetensors", lora_strength=0.25)
    other = picture(cache, lora="file:kohya.safetensors")
    assert len({plain, one, weak, other}) == 4
    assert psnr(plain, weak) > psnr(plain, one)
    assert picture(cache) == plain  # the bytes: nothing is left
    assert picture(cache, lora="file:lora_sd1.safetensors") == one
    assert picture(cache, lora="file:lora_sd1.safetensors", lora_strength=0) != one
    note = open_png(one).text["parameters"]
    assert 'LoRA: "file:lora_sd1.safetensors", LoRA strength: 1.0' in note


def test_a_lora_for_another_architecture_is_refused_and_leaves_nothing(checkpoints, cache):
    folder = checkpoints[0]
    plain = picture(cache)
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    save_file({f"{layer}.hada_w1_a": torch.zeros(2, 2)}, folder / "hada.safetensors")
    cut = (folder / "kohya.safetensors").read_bytes()[:-10]
    (folder / "cut_lora.safetensors").write_bytes(cut)
    try:
        for file, problem in {
            "lora_sdxl": "refused_lora",
            "lora_sd2": "refused_lora",
            "hada": "refused_lora",
            "sdxl": "not_found_lora_file",
            "cut_lora": "damaged_file",
            "absent": "not_found_file",
        }.items():
            lora = f"file:{file}.safetensors"
            assert code(lambda lora=lora: picture(cache, lora=lora)) == problem, file
            assert picture(cache) == plain, file
        assert code(lambda: picture(cache, "sdxl", lora="file:lora_sd1.safetensors")) == (
            "refused_lora"
        )
    finally:
        (folder / "hada.safetensors").unlink()
        (folder / "cut_lora.safetensors").unlink()


@pytest.mark.parametrize(
    ("name", "kind", "problem"),
    [
        ("file:x.ckpt", Refused, "refused_pickle"),
        ("org/name:x.pt", Refused, "refused_pickle"),
        ("just words", InvalidInput, "invalid_lora"),
        ("file:../../x.txt", InvalidInput, "invalid_lora"),
        ("org/name:../x.safetensors", InvalidInput, "invalid_lora"),
    ],
)
def test_a_name_that_is_none_is_refused_before_anything(name, kind, problem):
    with pytest.raises(kind) as error:
        ImageRequest.of(prompt="x", lora=name)
    assert error.value.code == problem


def test_a_lora_is_freed_with_its_model(cache):
    picture(cache, lora="file:lora_sd1.safetensors")
    assert cache.status()[0].loaded
    cache.unload("text-to-image", NAMES["sd1"])
    assert not cache.status()
    assert picture(cache) == picture(cache, lora="file:lora_sd1.safetensors", lora_strength=0)


def test_a_lora_of_the_hub_is_fetched_once_by_itself_or_by_its_file(
    checkpoints, tmp_path, monkeypatch
):
    weights = (checkpoints[0] / "kohya.safetensors").read_bytes()
    repositories = {
        "org/one": {"pytorch_lora_weights.safetensors": weights, "other.safetensors": b"x"},
        "org/only": {"style.safetensors": weights, "README.md": b"#"},
        "org/many": {"a.safetensors": weights, "more/b.safetensors": weights},
        "org/pickled": {"style.ckpt": b"pickled"},
    }
    for name in ("HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    events = []
    with HubServer({n: Repository(files) for n, files in repositories.items()}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)

        def file(name, settings=None):
            return parts.lora_file(name, settings or Settings.read({}), events.append, Stop())

        assert code(lambda: file("org/one", Settings(downloads=False))) == "refused_downloads"
        with pytest.raises(NotFound) as error:
            file("org/many")
        assert error.value.code == "not_found_lora"
        assert error.value.params["files"] == "a.safetensors, more/b.safetensors"
        for name in ("org/one", "org/only", "org/many:more/b.safetensors"):
            assert file(name).read_bytes() == weights, name
        assert any(isinstance(event, Downloading) for event in events)
        record = len(server.calls)
        assert file("org/one", Settings(downloads=False)).read_bytes() == weights
        assert len(server.calls) == record
        assert code(lambda: file("org/many:c.safetensors")) == "not_found_file"
        assert code(lambda: file("org/pickled")) == "refused_pickle"


# ---------------------------------------------------------------- the recipe


@pytest.mark.parametrize("layout", ["sd2", "sdxl"])
def test_the_recipe_reads_the_file_and_the_lora(checkpoints, cache, tmp_path, monkeypatch, layout):
    folder, layouts, _ = checkpoints
    monkeypatch.setenv("GENLAB_MODELS_DIR", str(folder))
    spec = replace(find(TEXT_TO_IMAGE, NAMES[layout]), cpu_threads=1)
    request = ImageRequest.of(
        prompt="a cat",
        seed=3,
        num_inference_steps=2,
        lora=f"file:lora_{layout}.safetensors",
        lora_strength=0.5,
    ).with_defaults(spec)
    end, events = draw(cache, spec=spec, **request.model_dump(exclude={"api_key"}))
    script = python(spec, request, events[-1].placement)
    assert str(folder) not in script
    script = re.sub(r'"models/text_to_image/layouts"', repr(str(layouts)), script)
    (tmp_path / "models").symlink_to(sources.STARTERS.parent)
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=250)
    assert psnr(end.images[0], (tmp_path / "picture-3.png").read_bytes()) >= 50


def test_nothing_is_downloaded_for_a_single_file(cache):
    """With a hub that cannot be reached it draws: what diffusers would fetch ships with GenLab."""
    spec = find(TEXT_TO_IMAGE, NAMES["sdxl"])
    _, events = draw(cache, spec=spec, num_inference_steps=1)
    assert not [event for event in events if isinstance(event, Downloading)]


def test_damaged_and_not_found_are_their_kinds(tmp_path):
    file = tmp_path / "x.safetensors"
    file.write_bytes(b"12345678")
    with pytest.raises(Damaged):
        safetensors_files.read(file)
    save_file({"a": torch.zeros(2)}, file)
    with pytest.raises(NotFound):
        single_file.require_layout(find(TEXT_TO_IMAGE, "file:x.safetensors"), file)
