"""PNG files that say how they were made, in the text chunk that other tools read.

The chunk is named `parameters` and has AUTOMATIC1111's three parts: the prompt, "Negative prompt: ..."
(left out if empty), and one line of "Key: value" joined by ", ".
Source: github.com/AUTOMATIC1111/stable-diffusion-webui, modules/infotext_utils.py.
"""

import io
import json
from collections.abc import Mapping

from PIL import Image
from PIL.PngImagePlugin import PngInfo

CHUNK = "parameters"

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
        lines.append(f"Negative prompt: {negative_prompt.strip()}")
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
