"""Notes of other programs: their settings are taken over, and what is not understood is said."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from models.errors import InvalidInput
from models.settings import Settings
from models.text_to_image.image_files import read_picture
from models.text_to_image.picture_notes import parse_note, read_note
from tabs.shared.context import Context
from tabs.text_to_image import restore

LAST = "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 1234, Size: 512x768, Model: v1-5"
SETTINGS = {
    "prompt": "a red circle",
    "negative_prompt": "",
    "num_inference_steps": 20,
    "scheduler": "Euler a",
    "guidance_scale": 7.5,
    "seed": 1234,
    "width": 512,
    "height": 768,
    "model": "v1-5",
}


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(after=b"", **texts):
    """A PNG with text chunks of bytes, and chunks behind its pixels."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    before = b"".join(chunk(b"tEXt", name.encode() + b"\0" + text) for name, text in texts.items())
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    whole = chunk(b"IHDR", head) + before + pixels + after + chunk(b"IEND", b"")
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + whole)


# text -> what differs from SETTINGS (None: not there), and the keys that are named as unread
TEXTS = {
    "plain": (f"a red circle\n{LAST}", {}, []),
    "wrapped over lines": (
        f"a red circle\nNegative prompt: blurry\n{LAST}, Template: a {{red|blue}} circle\n"
        "on a __color__ background, Negative Template: blurry\n, Version: v1.6.0",
        {"negative_prompt": "blurry"},
        [],
    ),
    "a line for each setting": (
        "a red circle\n" + LAST.replace(", ", "\n"),
        {},
        [],
    ),
    "small letters": (
        f"a red circle\nnegative prompt: blurry\n{LAST}",
        {"negative_prompt": "blurry"},
        [],
    ),
    "LoRA": (
        f'a red circle <lora:ink:0.8>\n{LAST}, Lora hashes: "ink: abc", Version: v1.10.1',
        {"prompt": "a red circle <lora:ink:0.8>"},
        ["LoRA"],
    ),
    "a seed that was not noted": (
        f"a red circle\n{LAST.replace('1234', '-1')}",
        {"seed": None},
        ["Seed"],
    ),
    "SD.Next": (
        "prompt: a red circle\nNegative prompt: planet, face\nSteps: 20 | Seed: 1234 | Sampler: Euler a | "
        "CFG scale: 7.5 | Size: 512x768 | Parser: Full parser | Model: v1-5 | Clip skip: 2",
        {"negative_prompt": "planet, face"},
        ["Clip skip"],
    ),
    "stable-diffusion.cpp": (
        "a red circle\nNegative prompt: \nSteps: 20, CFG scale: 7.500000, Guidance: 3.500000, Eta: 0.000000, "
        "Seed: 1234, Size: 512x768, Model: v1-5, RNG: cuda, Sampler: euler_a discrete",
        {},
        [],
    ),
    "quoted numbers": (
        'a red circle\nSteps: "20", Sampler: "Euler a", CFG scale: "7.5", Seed: "1234", Size: "512x768", Model: v1-5',
        {},
        [],
    ),
    "numbers as others write them": (
        "a red circle\nSteps: 20.0, Sampler: Euler a, CFG scale: 7,5, Seed: 1234.0, Size: 512 x 768, Model: v1-5",
        {},
        [],
    ),
    "a seed beyond what a float holds": (
        "a red circle\nSteps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 1125899906842624123.0, Size: 512x768, Model: v1-5",
        {"seed": 1125899906842624123},
        [],
    ),
    "all in one line": (
        f"a red circle Negative prompt: blurry, dark {LAST}",
        {"negative_prompt": "blurry, dark"},
        [],
    ),
    "lines that end at CR": (
        f"a red circle\rNegative prompt: blurry\r{LAST}",
        {"negative_prompt": "blurry"},
        [],
    ),
    "two negative prompts": (
        f"a red circle\nBREAK\nlight: soft\nNegative prompt: blurry\nNegative prompt: dark\n{LAST}",
        {"prompt": "a red circle\nBREAK\nlight: soft", "negative_prompt": "blurry\ndark"},
        [],
    ),
    "settings in a quoted value": (
        f'a red circle\n{LAST}, Template: "Silhouette, Steps: 3, Seed: 4, \\"quoted\\"", Negative Template: "low"',
        {},
        [],
    ),
    "Civitai's JSON": (
        "a red circle\nSteps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 1234, Size: 512x768, Civitai resources: "
        '[{"type":"checkpoint","modelName":"Pony, V6: XL"},{"type":"lora","weight":0.8,"modelVersionId":1}], '
        'Civitai metadata: {"remixOfId": 123}',
        {"model": "Pony, V6: XL"},
        ["lora"],
    ),
    "a hires fix has no start picture": (
        f"a red circle\n{LAST}, Denoising strength: 0.45, Hires upscale: 2, Hires steps: 10",
        {},
        ["Hires upscale", "Hires steps"],
    ),
    "a start picture": (f"a red circle\n{LAST}, Denoising strength: 0.45", {"strength": 0.45}, []),
    "a schedule of its own": (
        f"a red circle\n{LAST.replace('Euler a', 'DPM++ 2M')}, Schedule type: Karras",
        {"scheduler": "DPM++ 2M Karras"},
        [],
    ),
    "what cannot be read": (
        f'a red circle\n{LAST.replace("20", "many")}, Lora hashes: "x: 1", Tiling: True',
        {"num_inference_steps": None},
        ["Steps", "Tiling"],
    ),
}


def expected(changes):
    return {k: v for k, v in {**SETTINGS, **changes}.items() if v is not None}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_of_the_field(name):
    text, changes, unread = TEXTS[name]
    note = parse_note(text)
    assert note.settings == expected(changes)
    assert [key for key, _ in note.unread] == unread


def test_colons_alone_make_no_settings():
    text = "scene: night, light: blue, mood: calm"
    assert parse_note(text).settings == {"prompt": text, "negative_prompt": ""}


def test_raw_utf8_and_chunks_behind_the_pixels_are_read():
    text = f"빨간 원\n{LAST}".encode()
    assert read_note(png(parameters=text)).settings == expected({"prompt": "빨간 원"})
    late = chunk(b"tEXt", b"parameters\0" + text)
    assert read_note(png(after=late)).settings["prompt"] == "빨간 원"
    bytes_of = chunk(b"iTXt", b"parameters\0\1\0\0\0" + zlib.compress(text))
    assert read_note(png(after=bytes_of)).settings["prompt"] == "빨간 원"
    latin = read_note(png(parameters=f"café\n{LAST}".encode("latin-1")))
    assert latin.settings["prompt"] == "café"


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + f"빨간 원\n{LAST}".encode("utf-16-be"),
        b"UNICODE\0" + f"빨간 원\n{LAST}".encode("utf-16-le"),
        bytes(8) + f"빨간 원\n{LAST}".encode(),
    ],
    ids=["big", "little", "utf-8"],
)
@pytest.mark.parametrize("in_ifd", [True, False])
def test_exif_of_jpeg_and_webp_is_read(kind, comment, in_ifd):
    exif = Image.Exif()
    (exif.get_ifd(0x8769) if in_ifd else exif)[0x9286] = comment
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind, exif=exif)
    assert read_note(io.BytesIO(file.getvalue())).settings == expected({"prompt": "빨간 원"})


GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": ["9", 0],
            "steps": 20,
            "cfg": 7.5,
            "sampler_name": "dpmpp_2m",
            "scheduler": "karras",
            "denoise": 1.0,
            "model": ["8", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red circle", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": ["10", 0], "clip": ["4", 1]}},
    "8": {"class_type": "LoraLoader", "inputs": {"lora_name": "x", "model": ["4", 0]}},
    "9": {"class_type": "PrimitiveInt", "inputs": {"value": 1234}},
    "10": {"class_type": "PrimitiveString", "inputs": {"value": "blurry"}},
}
FLUX = {
    "1": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {
            "noise": ["2", 0],
            "guider": ["3", 0],
            "sampler": ["4", 0],
            "sigmas": ["5", 0],
            "latent_image": ["6", 0],
        },
    },
    "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": 1234}},
    "3": {"class_type": "BasicGuider", "inputs": {"model": ["8", 0], "conditioning": ["7", 0]}},
    "4": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "5": {
        "class_type": "BasicScheduler",
        "inputs": {"steps": 4, "scheduler": "normal", "denoise": 1},
    },
    "6": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 512, "height": 768}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red circle"}},
    "8": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux"}},
}
JSON = {
    "NovelAI": (
        {
            "Software": "NovelAI",
            "Comment": {"prompt": "a red circle", "uc": "lowres", "steps": 20, "scale": 7.5, "seed": 1234,
                        "sampler": "k_euler_ancestral", "width": 512, "height": 768, "strength": 0.7},
        },
        {"negative_prompt": "lowres", "model": None},
        [],
    ),
    "Fooocus": (
        {
            "fooocus_scheme": "fooocus",
            "parameters": {"adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "v1-5", "guidance_scale": 7.5, "loras": [],
                           "negative_prompt": "blurry", "prompt": "a red circle", "resolution": "(512, 768)",
                           "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "seed": "1234", "steps": 20,
                           "styles": "['Fooocus V2']", "version": "Fooocus v2.5.5"},
        },
        {"negative_prompt": "blurry", "scheduler": "DPM++ 2M SDE Karras"},
        ["styles"],
    ),
    "SwarmUI": (
        {
            "parameters": {"sui_image_params": {"prompt": "a red circle", "negativeprompt": "", "model": "v1-5",
                           "seed": 1234, "steps": 20, "cfgscale": 7.5, "aspectratio": "custom", "width": 512,
                           "height": 768, "sampler": "euler_ancestral", "scheduler": "normal", "swarm_version": "0.9"}},
        },
        {},
        [],
    ),
    "InvokeAI": (
        {
            "invokeai_metadata": {"positive_prompt": "a red circle", "negative_prompt": "", "seed": 1234, "steps": 20,
                                  "cfg_scale": 7.5, "scheduler": "euler_a", "width": 512, "height": 768,
                                  "model": {"name": "v1-5", "hash": "x"}, "loras": [], "app_version": "4"},
        },
        {},
        [],
    ),
    "ComfyUI": (
        {"prompt": GRAPH, "workflow": {"nodes": []}},
        {"negative_prompt": "blurry", "scheduler": "DPM++ 2M Karras"},
        ["LoraLoader"],
    ),
    "ComfyUI with a guider": (
        {"prompt": FLUX},
        {"negative_prompt": None, "guidance_scale": None, "num_inference_steps": 4, "scheduler": "Euler", "model": "flux"},
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", JSON)
def test_json_of_other_programs(name):
    chunks, changes, unread = JSON[name]
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in chunks.items()}
    note = read_note(png(**{name: text.encode() for name, text in texts.items()}))
    assert note.program == name.split()[0]
    assert note.settings == expected(changes)
    assert [key for key, _ in note.unread] == unread


def test_a_graph_that_refers_to_itself_is_left():
    graph = {
        "3": {"class_type": "KSampler", "inputs": {"seed": ["3", 0], "steps": 5, "model": ["3", 0]}}
    }
    assert read_note(png(prompt=json.dumps(graph).encode())).settings["num_inference_steps"] == 5


NOVELAI = {"prompt": "a red circle", "steps": 20, "width": 512, "height": 768, "scale": 7.5, "seed": 1234,
           "sampler": "k_euler_ancestral", "noise_schedule": "karras", "uc": "blurry"}  # fmt: skip


def test_novelais_schedule_and_characters():
    girl = {"caption": {"char_captions": [{"char_caption": "girl, red hair"}]}}
    comment = json.dumps({**NOVELAI, "v4_prompt": girl}).encode()
    note = read_note(png(Software=b"NovelAI", Comment=comment))
    assert note.settings["scheduler"] == "Euler a Karras"
    assert note.unread == [("char_caption", "girl, red hair")]


@pytest.mark.parametrize(
    "prompt", ["girl", {"caption": ["girl"]}, {"caption": {"char_captions": "girl"}}]
)
def test_characters_in_another_form_do_not_cost_the_settings(prompt):
    comment = json.dumps({**NOVELAI, "v4_prompt": prompt}).encode()
    assert read_note(png(Software=b"NovelAI", Comment=comment)).settings["seed"] == 1234


def sampler(seed, positive, negative, latent, **more):
    inputs = {"seed": seed, "steps": 20, "cfg": 7.5, "sampler_name": "euler", "positive": positive}
    inputs |= {"negative": negative, "latent_image": latent, **more}
    return {"class_type": "KSampler", "inputs": inputs}


def test_of_two_samplers_the_first_to_draw_counts_and_no_negative_prompt_is_none():
    graph = {
        "9": sampler(5, ["6", 0], ["7", 0], ["8", 0], denoise=0.5),
        "8": {"class_type": "LatentUpscale", "inputs": {"samples": ["3", 0], "width": 1024}},
        "3": sampler(1234, ["6", 0], ["7", 0], ["5", 0]),
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["10", 0]}},
        "7": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["6", 0]}},
        "10": {
            "class_type": "StringConcatenate",
            "inputs": {"string_a": "a red", "string_b": "circle", "delimiter": " "},
        },
    }
    result = read_note(png(prompt=json.dumps(graph).encode())).settings
    assert (result["seed"], result["width"], result["prompt"]) == (1234, 512, "a red circle")
    assert result["negative_prompt"] == ""


def test_a_note_is_found_in_other_places():
    text = f"a red circle\n{LAST}".encode()
    for name in ("Parameters", "Description"):
        assert read_note(png(**{name: text})).settings == SETTINGS
    values = {"c": "a red circle", "uc": "", "model": "v1-5", "sampler": "Euler a", "scale": 7.5,
              "seed": 1234, "size": "512x768", "steps": 20}  # fmt: skip
    comment = json.dumps(values).replace('"', "&quot;")
    xmp = f"<x:xmpmeta><exif:UserComment><rdf:li>{comment}</rdf:li></exif:UserComment></x:xmpmeta>"
    body = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp.replace("&quot;", '"').encode()
    assert read_note(png(after=chunk(b"iTXt", body))).program == "Draw Things"
    assert read_note(png(after=chunk(b"iTXt", body))).settings == SETTINGS


def test_a_comment_that_is_no_note_is_no_prompt_and_a_damaged_one_no_crash():
    for file in (png(Comment=b"Created with GIMP"), png(after=chunk(b"eXIf", b"broken"))):
        with pytest.raises(InvalidInput) as problem:
            read_note(file)
        assert problem.value.code == "invalid_png_plain"


def test_a_file_without_a_note_is_said():
    for file in (png(), png(prompt=b"{}"), png(workflow=b'{"nodes": []}')):
        with pytest.raises(InvalidInput) as problem:
            read_note(file)
        assert problem.value.code == "invalid_png_plain"


# ---------------------------------------------------------------- back into the dials


def dials(cache, settings, note=None):
    by_name = dict(
        zip(
            restore.NAMES,
            restore.restore(Context(Settings(), cache), "auto", settings, note),
            strict=True,
        )
    )
    return {
        name: update.get("value") if isinstance(update, dict) else update
        for name, update in by_name.items()
        if not isinstance(update, dict) or "value" in update
    }


OWN = "a red circle\nSteps: 6, Sampler: DPM++ 2M, CFG scale: 3.0, Seed: 7, Size: 256x256, Model: genlab/scenes, Version: GenLab"


def test_a_note_without_a_negative_prompt_clears_the_old_one(cache):
    note = parse_note(OWN)
    page = dials(cache, {"image": "", **note.settings}, note)
    assert (page["negative_prompt"], page["num_images"]) == ("", 1)
    assert "The settings are back: Draw makes the picture again." in page["note"]
    from_history = {k: v for k, v in note.settings.items() if k != "negative_prompt"}
    assert dials(cache, from_history)["negative_prompt"] == ""


def test_all_are_back_only_where_all_are(cache):
    note = parse_note(OWN.replace("Seed: 7, ", "") + ", Hires upscale: 2")
    page = dials(cache, {"image": "", **note.settings}, note)
    assert "Draw makes the picture again" not in page["note"]
    assert "Its note does not say: seed." in page["note"]
    assert "Hires upscale 2" in page["note"]
    comfy = read_note(png(prompt=json.dumps(FLUX).encode()))
    assert "A picture by ComfyUI." in dials(cache, comfy.settings, comfy)["note"]


# ---------------------------------------------------------------- start pictures keep their tones


def save(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return np.asarray(read_picture(file.getvalue()))


def test_a_picture_of_16_bits_keeps_its_tones():
    tones = np.linspace(0, 65_535, 64 * 64).astype(np.uint16).reshape(64, 64)
    read = save(Image.fromarray(tones))
    assert np.abs(read[..., 0] - tones / 257).max() <= 0.5
    assert (read[..., 0] == read[..., 2]).all()
    clear = save(Image.fromarray(np.array([[0, 300, 65_535]], np.uint16)), transparency=0)
    assert clear[0, :, 0].tolist() == [255, 1, 255]


def test_pictures_of_other_modes_keep_theirs():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putdata([0, 1])
    assert save(palette).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    assert save(palette, transparency=1).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    assert save(Image.new("LA", (1, 1), (50, 255))).tolist() == [[[50, 50, 50]]]
    assert save(Image.new("1", (1, 1), 1)).tolist() == [[[255, 255, 255]]]
    assert save(Image.new("CMYK", (1, 1), (0, 255, 255, 0)), "JPEG").tolist() == [[[255, 0, 0]]]
