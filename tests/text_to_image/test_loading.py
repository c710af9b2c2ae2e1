"""Loading a diffusers folder: damaged, pickled, half-precision, and what it weighs."""

import shutil
from dataclasses import replace

import pytest

from models.contract import Stop
from models.errors import Damaged, NotFound, Refused
from models.runtime.cache import ModelCache
from models.settings import Settings
from models.text_to_image.diffusers_engine import load_pipeline, variant
from models.text_to_image.requests import ImageRequest
from models.weights import sources
from tests.pictures import CPU, TINY, draw, load


@pytest.fixture
def copy(tiny_starters, tmp_path):
    """A copy of the tiny pipeline to be spoilt."""
    return shutil.copytree(tiny_starters / "tiny", tmp_path / "copy")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("unet/diffusion_pytorch_model.safetensors", b"\x10\0\0\0\0\0\0\0{}"),
        ("vae/diffusion_pytorch_model.safetensors", None),
        ("text_encoder/config.json", b"{"),
        ("model_index.json", None),
    ],
)
def test_a_damaged_starter_names_the_file_and_what_rebuilds_it(copy, monkeypatch, file, content):
    spoilt = copy / file
    spoilt.unlink() if content is None else spoilt.write_bytes(content)
    monkeypatch.setattr(sources, "STARTERS", copy.parent)
    monkeypatch.setattr(sources, "REBUILD", {"copy": "python -m rebuild"})
    fresh = ModelCache(Settings())
    with pytest.raises(Damaged) as error:
        draw(fresh, spec=replace(TINY, source="starter:copy"))
    assert error.value.params["file"].startswith(f"models/starter/copy/{file.partition('/')[0]}")
    assert error.value.params["command"] == "python -m rebuild"
    assert fresh.status() == []


def test_what_is_no_pipeline_or_only_pickled_is_refused(copy):
    spec = replace(TINY, source="hub:tests/other")
    for weights in copy.glob("*/*.safetensors"):
        weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(Refused):
        load_pipeline(spec, copy, CPU)
    (copy / "model_index.json").unlink()
    with pytest.raises(NotFound):
        load_pipeline(spec, copy, CPU)


def test_half_precision_files_are_read_where_they_are_all_or_wanted(tiny_starters, copy):
    assert variant(copy, "float16") is None
    for weights in copy.glob("*/*.safetensors"):
        weights.rename(weights.with_suffix(".fp16.safetensors"))
    assert variant(copy, "float16") == variant(copy, "float32") == "fp16"
    request = ImageRequest.of(prompt="x", seed=1)
    pictures = [
        list(load(folder).stream(request, Stop()))[-1].images
        for folder in (copy, tiny_starters / "tiny")
    ]
    assert pictures[0] == pictures[1]
    shutil.copytree(tiny_starters / "tiny", copy, dirs_exist_ok=True)
    assert (variant(copy, "float16"), variant(copy, "float32")) == ("fp16", None)


def test_bytes_held_are_those_of_the_weights(tiny_starters):
    from safetensors import safe_open

    content = 0
    for file in (tiny_starters / "tiny").rglob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            content += sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118
    size = load(tiny_starters / "tiny").nbytes()
    assert content * 4 <= size <= content * 4 * 1.02  # float32, with a few buffers
