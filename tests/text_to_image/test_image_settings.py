"""Schedulers by name, a picture to start from, and grids, on a real tiny pipeline."""

import io
import subprocess
import sys

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models.contract import Stop
from models.errors import InvalidInput
from models.runtime.jobs import run
from models.text_to_image.events import CellDone, GridDone, StepDone
from models.text_to_image.recipe import python
from models.text_to_image.requests import ImageGridRequest, ImageRequest
from models.text_to_image.schedulers import FOR_LITTLE_NOISE
from models.weights import sources
from tests import tiny
from tests.pictures import FOR_ANY_NOISE, TINY, draw, load, open_png, psnr


@pytest.fixture(autouse=True)
def _starters(tiny_starters, monkeypatch):
    monkeypatch.setattr(sources, "STARTERS", tiny_starters)


def file(kind="PNG", size=(90, 60), mode="RGB", **options):
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def grid(cache, **values):
    request = ImageGridRequest.of(**{"prompt": "a red circle", "seed": 7, **values})
    return request.with_defaults(TINY), list(run(cache, TINY, request))


# ---------------------------------------------------------------- schedulers


def test_each_scheduler_draws_its_own_picture_and_is_named_in_it(cache):
    names = FOR_ANY_NOISE
    results = {name: draw(cache, scheduler=name, num_inference_steps=4)[0] for name in names}
    pictures = {open_png(end.images[0]).tobytes() for end in results.values()}
    assert len(pictures) == len(names)
    for name, end in results.items():
        parameters = open_png(end.images[0]).text["parameters"]
        assert f"Sampler: {'PLMS' if name == 'PNDM' else name}," in parameters
    own, _ = draw(cache, num_inference_steps=4)
    assert open_png(own.images[0]).tobytes() == open_png(results["DPM++ 2M"].images[0]).tobytes()


def test_some_are_only_for_models_whose_noise_has_a_bound(cache, tmp_path):
    classic = load(tiny.stable_diffusion(tmp_path / "pndm", scheduler="pndm"))
    for name in FOR_LITTLE_NOISE:
        with pytest.raises(InvalidInput) as error:
            draw(cache, scheduler=name)
        assert error.value.code == "invalid_scheduler_model"
        request = ImageRequest.of(prompt="x", num_inference_steps=4, scheduler=name)
        end = list(classic.stream(request, Stop()))[-1]
        assert f"Sampler: {name}," in open_png(end.images[0]).text["parameters"]


def test_another_name_is_refused_and_an_old_one_understood():
    with pytest.raises(InvalidInput) as error:
        ImageRequest.of(prompt="x", scheduler="Euler b")
    assert error.value.code == "invalid_scheduler"
    assert ImageRequest.of(prompt="x", scheduler="PLMS").scheduler == "PNDM"


# ---------------------------------------------------------------- from a picture


def test_a_picture_is_started_from_with_the_same_weights(cache):
    plain, _ = draw(cache)
    size = cache.status()[0].nbytes
    weak, events = draw(cache, image=file(), strength=0.34)
    strong, _ = draw(cache, image=file(), strength=1.0)
    other, _ = draw(cache, image=file(mode="L", size=(64, 200)), strength=0.34)
    assert len({one.images for one in (plain, weak, strong, other)}) == 4
    steps = [e for e in events if isinstance(e, StepDone)]
    assert [(e.step, e.total) for e in steps] == [(1, 1)]
    assert "Denoising strength: 0.34" in open_png(weak.images[0]).text["parameters"]
    with cache.lease(TINY, Stop(), lambda _: None) as lease:
        assert lease.engine.nbytes() == size
        denoiser = lease.engine._denoiser
        for name, part in denoiser._pipe.components.items():
            assert denoiser._image_pipe.components[name] is part, name


def test_pictures_are_opened_with_care():
    wide = Image.new("L", (20_000, 20_000))
    bomb = io.BytesIO()
    wide.save(bomb, "PNG")
    text = PngInfo()
    text.add_text("a", "b" * 3_000_000, zip=True)
    bad = [b"", b"GIF89a", file()[:100], file("JPEG")[:100], file(pnginfo=text), b"text"]
    for data in bad:
        with pytest.raises(InvalidInput) as error:
            ImageRequest.of(prompt="x", image=data)
        assert error.value.code == "invalid_picture"
    for data in (bomb.getvalue(), file() + b"\0" * 31_000_000):
        with pytest.raises(InvalidInput) as error:
            ImageRequest.of(prompt="x", image=data)
        assert error.value.code == "invalid_picture_large"
    for data in (file("WEBP"), file("JPEG"), file(mode="RGBA")):
        assert ImageRequest.of(prompt="x", image=data).image == data


# ---------------------------------------------------------------- grids


def test_a_grid_shows_guidance_and_steps_on_one_seed_and_each_cell_alone(cache):
    request, events = grid(cache, guidance_scales=(1.0, 5.0, 9.0), step_counts=(2, 3))
    cells = [e for e in events if isinstance(e, CellDone)]
    whole = next(e for e in events if isinstance(e, GridDone))
    assert (whole.rows, whole.columns) == (2, 3)
    assert sorted(cells, key=lambda cell: cell.index) == list(whole.cells)
    assert [(c.row, c.column) for c in whole.cells] == [(r, c) for r in (0, 1) for c in (0, 1, 2)]
    steps = [e for e in events if isinstance(e, StepDone)]
    assert steps[-1].step == steps[-1].total == 15
    assert sorted(e.step for e in steps) == [e.step for e in steps]
    for cell, single in zip(whole.cells, request.singles(), strict=True):
        assert cell.guidance_scale == single.guidance_scale
        assert cell.num_inference_steps == single.num_inference_steps
        assert cell.seed == single.seed == 7
        if cell.batch == 1:
            alone, _ = draw(cache, **single.model_dump(exclude={"api_key"}))
            assert alone.images[0] == cell.image


def test_a_grid_of_seeds(cache):
    _, events = grid(cache, num_seeds=5)
    whole = next(e for e in events if isinstance(e, GridDone))
    assert (whole.rows, whole.columns) == (2, 3)
    assert [cell.seed for cell in whole.cells] == [7, 8, 9, 10, 11]
    assert len({cell.image for cell in whole.cells}) == 5


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"num_seeds": 2, "step_counts": (1, 2)}, "invalid_grid"),
        ({"guidance_scales": (1.0,) * 7, "step_counts": (1,) * 6}, "invalid_grid_cells"),
        ({"guidance_scales": (1.0,) * 6, "step_counts": (150, 150)}, "invalid_grid_steps"),
        ({"guidance_scales": (31.0,)}, "invalid_le"),
        ({"num_seeds": 37}, "invalid_le"),
    ],
)
def test_a_grid_has_limits(values, code):
    with pytest.raises(InvalidInput) as error:
        ImageGridRequest.of(prompt="x", **values)
    assert error.value.code == code


def test_the_recipe_draws_the_grid_from_the_picture_with_the_scheduler(
    cache, tiny_starters, tmp_path
):
    request, events = grid(
        cache, guidance_scales=(2.0, 5.0), step_counts=(3,), scheduler="Euler", image=file()
    )
    code = python(TINY, request, events[-1].placement).replace("models/starter", str(tiny_starters))
    (tmp_path / "start.png").write_bytes(file())
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=250)
    whole = next(e for e in events if isinstance(e, GridDone))
    for cell in whole.cells:
        with Image.open(tmp_path / f"cell-{cell.index + 1}.png") as again:
            assert psnr(again, cell.image) >= 50
