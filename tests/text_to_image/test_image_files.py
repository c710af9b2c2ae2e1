"""What a PNG says of itself: read by an independent reader and by us, ours and AUTOMATIC1111's."""

import io
import struct
import zlib

import pytest
from PIL import Image
from sd_parsers import ParserManager
from sd_parsers.data import Generators

from models.errors import InvalidInput
from models.settings import Settings
from models.text_to_image import image_files, picture_notes
from tabs.shared.context import Context
from tabs.text_to_image import restore
from tests.pictures import draw

# As the web UI wrote them: version 1.4 and, with the schedule named apart, version 1.10.
WEB_UI = """a castle, (highly detailed:1.2)
by a lake
Negative prompt: blurry, lowres
Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 965400086, Size: 512x768, \
Model hash: fe4efff1e1, Model: sd-v1-4, Version: v1.4.1"""
WEB_UI_NEWER = """한국의 성
Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 1, Size: 640x512, \
Model hash: fe4efff1e1, Model: sd-v1-4, Denoising strength: 0.6, Version: v1.10.1"""


def file(folder, text=None, chunk="parameters"):
    """A PNG with a text chunk."""
    info = image_files.PngInfo()
    if text is not None:
        info.add_text(chunk, text)
    path = folder / "picture.png"
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def starter():
    from models.select import find
    from models.tasks import TEXT_TO_IMAGE

    return find(TEXT_TO_IMAGE, "genlab/scenes")


@pytest.mark.parametrize("negative", ["", "red, dark: night"])
def test_an_independent_reader_reads_ours(cache, negative):
    end, _ = draw(
        cache,
        "a red circle,\non a blue background",
        starter(),
        seed=41,
        num_inference_steps=2,
        guidance_scale=4.5,
        negative_prompt=negative,
    )
    read = ParserManager().parse(io.BytesIO(end.images[0]))
    assert read is not None
    assert read.generator == Generators.AUTOMATIC1111
    (sampler,) = read.samplers
    assert [p.value for p in sampler.prompts] == ["a red circle,\non a blue background"]
    assert [p.value for p in sampler.negative_prompts] == [negative] * bool(negative)
    assert sampler.parameters["seed"] == "41"
    assert sampler.parameters["steps"] == "2"
    assert float(sampler.parameters["cfg_scale"]) == 4.5
    assert sampler.model.name == "genlab/scenes"
    assert sampler.name == picture_notes.read_note(io.BytesIO(end.images[0])).settings["scheduler"]


def test_we_read_our_own_whole(cache):
    request = {
        "prompt": "빨간 원, 파란 배경",
        "negative_prompt": "star",
        "guidance_scale": 2.5,
        "num_inference_steps": 3,
        "seed": 12,
    }
    end, _ = draw(cache, spec=starter(), **request)
    read = picture_notes.read_note(io.BytesIO(end.images[0])).settings
    size = {"width": 256, "height": 256}
    assert request | size | {"model": "genlab/scenes"} == {
        k: read[k] for k in read if k != "scheduler"
    }


@pytest.mark.parametrize("text", [WEB_UI, WEB_UI_NEWER])
def test_we_read_the_web_uis_as_the_independent_reader_does(tmp_path, text):
    path = file(tmp_path, text)
    ours = picture_notes.read_note(path).settings
    (theirs,) = ParserManager().parse(path).samplers
    assert [ours["prompt"]] == [p.value for p in theirs.prompts]
    assert ours["negative_prompt"] == "".join(p.value for p in theirs.negative_prompts)
    assert str(ours["num_inference_steps"]) == theirs.parameters["steps"]
    assert ours["guidance_scale"] == float(theirs.parameters["cfg_scale"])
    assert str(ours["seed"]) == theirs.parameters["seed"]
    assert ours["model"] == theirs.model.name == "sd-v1-4"
    assert ours["scheduler"] == "DPM++ 2M Karras"
    assert (ours["width"], ours["height"]) in {(512, 768), (640, 512)}


def test_a_prompt_alone_and_odd_values_are_read_for_what_they_are():
    assert picture_notes.parse_note("a cat: sitting").settings["prompt"] == "a cat: sitting"
    odd = picture_notes.parse_note(
        'p\nSteps: many, CFG scale: 7, Seed: 5, Size: big, Model: "a, b: c"'
    ).settings
    assert odd == {
        "prompt": "p",
        "negative_prompt": "",
        "guidance_scale": 7.0,
        "seed": 5,
        "model": "a, b: c",
    }


# ---------------------------------------------------------------- files that cannot be used


def bomb(folder):
    """A PNG of a few bytes that claims 100,000 x 100,000 pixels."""
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    path = folder / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IEND", b""))
    return path


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def zipped_bomb(folder):
    """A compressed text chunk that unpacks to 40 MB."""
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    text = b"parameters\0\0" + zlib.compress(b"a" * 40_000_000)
    path = folder / "zipped.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"zTXt", text) + chunk(b"IEND", b"")
    )
    return path


def damage(folder):
    path = file(folder, WEB_UI)
    path.write_bytes(path.read_bytes()[:20])
    return path


def words(folder):
    path = folder / "letter.png"
    path.write_text("not a picture", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (bomb, "invalid_png_huge"),
        (zipped_bomb, "invalid_png_chunk"),
        (lambda folder: file(folder, "a" * 30_000), "invalid_png_chunk"),
        (damage, "invalid_png"),
        (words, "invalid_png"),
        (file, "invalid_png_plain"),
        (lambda folder: file(folder, "{}", "workflow"), "invalid_png_plain"),
    ],
    ids=["bomb", "zipped", "long", "damaged", "words", "none", "another tool's"],
)
def test_what_cannot_be_read_has_its_word(tmp_path, make, code):
    with pytest.raises(InvalidInput) as error:
        picture_notes.read_note(make(tmp_path))
    assert error.value.code == code


def test_a_file_cut_off_within_its_pixels_still_tells_its_settings(tmp_path):
    path = file(tmp_path, WEB_UI)
    path.write_bytes(path.read_bytes()[:-20])
    assert picture_notes.read_note(path).settings["seed"] == 965400086


# ---------------------------------------------------------------- back into the dials


def dials(cache, match, model="auto"):
    updates = restore.restore(Context(Settings(), cache), model, match)
    by_name = dict(zip(restore.NAMES, updates, strict=True))
    return {
        name: update.get("value") if isinstance(update, dict) else update
        for name, update in by_name.items()
        if not isinstance(update, dict) or "value" in update
    }


def test_every_known_field_comes_back(cache):
    result = picture_notes.parse_note(WEB_UI).settings | {"model": "CompVis/stable-diffusion-v1-4"}
    set_to = dials(cache, result)
    assert set_to["prompt"].endswith("by a lake")
    assert set_to["negative_prompt"] == "blurry, lowres"
    assert set_to["model"] == "CompVis/stable-diffusion-v1-4"
    assert (set_to["num_inference_steps"], set_to["guidance_scale"]) == (20, 7.0)
    assert (set_to["seed"], set_to["random"], set_to["size"]) == (965400086, False, "512x768")


def test_what_cannot_be_had_here_is_named_and_the_rest_comes_back(cache):
    result = picture_notes.parse_note(WEB_UI).settings | {
        "num_inference_steps": 5000,
        "guidance_scale": float("nan"),
    }
    set_to = dials(cache, result, "genlab/scenes")
    assert set_to["seed"] == 965400086
    assert not {"model", "size", "num_inference_steps", "guidance_scale"} & set(set_to)
    for by_name in (
        "steps 5000",
        "guidance nan",
        "model sd-v1-4",
        "size 512 × 768",
        "모델 sd-v1-4",
    ):
        assert by_name in set_to["note"]


def test_values_that_a_models_dials_do_not_reach_are_named(cache):
    set_to = dials(cache, {"guidance_scale": 20.0, "num_inference_steps": 120, "seed": 1})
    assert not {"guidance_scale", "num_inference_steps"} & set(set_to)
    assert "guidance 20, number of steps 120" in set_to["note"]


def test_a_note_without_a_start_picture_takes_the_pages_away_or_says_that_it_holds_none(cache):
    from_noise = dials(cache, {"prompt": "x", "image": ""})
    assert from_noise["image"] is None
    from_picture = dials(cache, {**picture_notes.parse_note(WEB_UI_NEWER).settings, "image": ""})
    assert "image" not in from_picture
    assert "start picture" in from_picture["note"]


def test_markup_in_a_note_stays_text(cache):
    note = dials(cache, {"prompt": "x", "model": "<img src=x onerror=alert(1)>"})["note"]
    assert "<img" not in note
