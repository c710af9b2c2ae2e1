"""The Python behind a picture."""

from models import hub
from models.base import ModelSpec, Placement
from models.requests import ImageRequest
from models.text_to_image.hosted import arguments
from models.text_to_image.loading import variant

_LOCAL = """\
import torch
from diffusers import AutoPipelineForText2Image

{threads}pipe = AutoPipelineForText2Image.from_pretrained(
    {source!r},{where}
    {options},
).to({device!r})
{memory_format}
{loop}
"""

_CHANNELS_LAST = """\
for name in {"unet", "vae"} & pipe.components.keys():  # faster convolutions on a CPU
    pipe.components[name].to(memory_format=torch.channels_last)
"""

_HOSTED = """\
import base64
from pathlib import Path

from openai import OpenAI

client = OpenAI()  # takes OPENAI_API_KEY, and OPENAI_BASE_URL for another server, from the environment
answer = client.images.generate(
    {options},
)
for number, image in enumerate(answer.data, 1):
    Path(f"picture-{{number}}.png").write_bytes(base64.b64decode(image.b64_json))
"""


def python(spec: ModelSpec, request: ImageRequest, placement: Placement) -> str:
    """The script behind the pictures; on a CPU it draws the same, pixel for pixel.

    Args:
        spec: the model.
        request: filled, so with the drawn seed; for a hosted model with its model_name.
        placement: where it ran.
    """
    if spec.hosted:
        asked = {"model": request.model_name, **arguments(request)}
        return _HOSTED.format(options=_written(asked, 4))
    options = {"dtype": f"torch.{placement.dtype}"}
    folder = hub.cached(spec) if spec.source.startswith("hub:") else None
    if folder is not None and variant(folder, placement.dtype):
        options["variant"] = "'fp16'"
    options["use_safetensors"] = "True"
    on_cpu = placement.device == "cpu"
    return _LOCAL.format(
        threads=f"torch.set_num_threads({placement.threads})\n" if placement.threads else "",
        source=f"models/starter/{spec.name}" if spec.starter else spec.name,
        where="  # run this in GenLab's folder" if spec.starter else "",
        options=",\n    ".join(f"{name}={value}" for name, value in options.items()),
        device=placement.device,
        memory_format=_CHANNELS_LAST if on_cpu else "",
        loop=_loop(request),
    )


def _loop(request: ImageRequest) -> str:
    call = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or None,
        "guidance_scale": request.guidance_scale,
        "num_inference_steps": request.num_inference_steps,
        "width": request.width,
        "height": request.height,
    }
    given = {name: value for name, value in call.items() if value is not None}
    seeds = [request.seed + k for k in range(request.num_images)]
    return (
        f"for seed in {seeds}:\n"
        "    image = pipe(\n"
        f"        {_written(given, 8)},\n"
        '        generator=torch.Generator("cpu").manual_seed(seed),\n'
        "    ).images[0]\n"
        '    image.save(f"picture-{seed}.png")'
    )


def _written(values: dict[str, object], indent: int) -> str:
    return (",\n" + " " * indent).join(f"{name}={value!r}" for name, value in values.items())
