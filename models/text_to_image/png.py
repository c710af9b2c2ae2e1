"""PNG files that say how they were made, in the text chunk that other tools read.

The chunk is named `parameters` and has AUTOMATIC1111's three parts: the prompt, "Negative prompt: ..."
(left out if empty), and one line of "Key: value" joined by ", ".
Source: github.com/AUTOMATIC1111/stable-diffusion-webui, modules/infotext_utils.py.
"""

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models.errors import InvalidInput

CHUNK = "parameters"
MOST = 20_000  # characters of a chunk that is read: ten times the longest prompt

_NEGATIVE = "Negative prompt:"
_PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
# Keys of the last line by ImageRequest's names, with the type of their values.
_KNOWN = {
    "Steps": ("num_inference_steps", int),
    "Sampler": ("scheduler", str),
    "CFG scale": ("guidance_scale", float),
    "Seed": ("seed", int),
    "Model": ("model", str),
    "Denoising strength": ("strength", float),
}

# diffusers' scheduler classes by the names of AUTOMATIC1111's samplers.
_SAMPLERS = {
    "DDIMScheduler": "DDIM",
    "DPMSolverMultistepScheduler": "DPM++ 2M",
    "DPMSolverSinglestepScheduler": "DPM++ 2S",
    "EulerAncestralDiscreteScheduler": "Euler a",
    "EulerDiscreteScheduler": "Euler",
    "FlowMatchEulerDiscreteScheduler": "Euler",
    "HeunDiscreteScheduler": "Heun",
    "LCMScheduler": "LCM",
    "LMSDiscreteScheduler": "LMS",
    "PNDMScheduler": "PLMS",
    "UniPCMultistepScheduler": "UniPC",
}


def sampler(scheduler: str, config: Mapping[str, object]) -> str:
    """AUTOMATIC1111's name for a diffusers scheduler class with its configuration."""
    name = _SAMPLERS.get(scheduler, scheduler.removesuffix("Scheduler"))
    if str(config.get("algorithm_type", "")).startswith("sde-"):
        name += " SDE"
    return f"{name} Karras" if config.get("use_karras_sigmas") else name


def parameters(prompt: str, negative_prompt: str, values: Mapping[str, object]) -> str:
    """The chunk's text.

    Args:
        prompt: may have several lines.
        negative_prompt: blank for none.
        values: "Steps", "Sampler", "CFG scale", "Seed", "Size", "Model" ..., in the order they are
            written; None is left out.
    """
    lines = [prompt.strip()]
    if negative_prompt.strip():
        lines.append(f"{_NEGATIVE} {negative_prompt.strip()}")
    lines.append(", ".join(f"{k}: {_quoted(v)}" for k, v in values.items() if v is not None))
    return "\n".join(lines).replace("\0", "")


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if set(text) & set(",:\n") else text


def encode(image: Image.Image, text: str) -> bytes:
    """A PNG file with the text in its chunk."""
    info = PngInfo()
    info.add_text(CHUNK, text)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def chunk(file: Path | BinaryIO) -> str:
    """The text of a PNG file's chunk. Only the file's head is read, never its pixels.

    Raises:
        InvalidInput: it is no PNG (invalid_png), claims more pixels than any picture has
            (invalid_png_huge), has too long a chunk (invalid_png_chunk) or none (invalid_png_plain).
    """
    try:
        with Image.open(file, formats=["PNG"]) as image:
            text = image.info.get(CHUNK)
    except Image.DecompressionBombError:
        raise InvalidInput("invalid_png_huge") from None
    except ValueError:  # Pillow's own limit of a text chunk
        raise InvalidInput("invalid_png_chunk", limit=MOST) from None
    except OSError:
        raise InvalidInput("invalid_png") from None
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput("invalid_png_plain")
    if len(text) > MOST:
        raise InvalidInput("invalid_png_chunk", limit=MOST)
    return text


def settings(text: str) -> dict[str, Any]:
    """What a chunk says, by ImageRequest's names, with "model"; the scheduler by its sampler's name.

    Fewer than three pairs in the last line, and it counts as prompt. Numbers are not checked against
    any limit; what cannot be read is left out.
    """
    *lines, last = text.strip().replace("\r\n", "\n").split("\n")
    pairs: dict[str, str] = dict(_PAIR.findall(last))
    if len(pairs) < 3:
        lines, pairs = [*lines, last], {}
    begins = [k for k, line in enumerate(lines) if line.strip().startswith(_NEGATIVE)]
    end = begins[0] if begins else len(lines)
    negative = "\n".join(lines[end:]).strip().removeprefix(_NEGATIVE)
    found: dict[str, Any] = {
        "prompt": "\n".join(lines[:end]).strip(),
        "negative_prompt": negative.strip(),
    }
    for key, (name, kind) in _KNOWN.items():
        value = _value(pairs.get(key, ""), kind)
        if value is not None:
            found[name] = value
    if schedule := pairs.get("Schedule type", "").strip():  # newer versions name it apart
        found["scheduler"] = _with_schedule(found.get("scheduler", ""), schedule)
    if size := _SIZE.fullmatch(pairs.get("Size", "").strip()):
        found |= {"width": int(size[1]), "height": int(size[2])}
    return found


def _with_schedule(name: str, schedule: str) -> str:
    plain = schedule in {"Automatic", "Uniform", "Normal"} or name.endswith(schedule)
    return name if plain else f"{name} {schedule}"


def _value(text: str, kind: type) -> Any:
    text = text.strip()
    if not text:
        return None
    try:
        return kind(json.loads(text) if text.startswith('"') else text)
    except ValueError:
        return None


def thumbnail(image: bytes, side: int) -> bytes:
    """A small JPEG of a picture that this program made, at most `side` pixels wide and high."""
    with Image.open(io.BytesIO(image)) as opened:
        small = opened.convert("RGB")
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()
