"""The Python behind a picture."""

from models.contract import ModelSpec, Placement
from models.text_to_image.diffusers_engine import variant
from models.text_to_image.openai_engine import arguments as hosted_arguments
from models.text_to_image.requests import ImageGridRequest, ImageRequest, LeaveOutRequest
from models.text_to_image.schedulers import SCHEDULERS
from models.weights import hub

_LOCAL = """\
import torch
from diffusers import {classes}
{pillow}
{threads}pipe = AutoPipelineForText2Image.from_pretrained(
    {source!r},{where}
    {options},
).to({device!r})
{memory_format}{scheduler}{start}
# GenLab sums in another order: on a CPU a pixel may differ by one or two of 255 (PSNR over 50 dB).
{loop}
"""

_CHANNELS_LAST = """\
for name in {"unet", "vae"} & pipe.components.keys():  # faster convolutions on a CPU
    pipe.components[name].to(memory_format=torch.channels_last)
"""

_START = """\
pipe = AutoPipelineForImage2Image.from_pipe(pipe)  # the same weights
start = Image.open("start.png").convert("RGB")  # the picture that it started from
start = ImageOps.fit(start, ({width}, {height}), Image.Resampling.LANCZOS)
"""

_OWN_SIDE = """\
unet = pipe.components.get("unet")
side = (unet.config.sample_size if unet else pipe.default_sample_size) * pipe.vae_scale_factor
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


def python(spec: ModelSpec, request: ImageRequest | ImageGridRequest, placement: Placement) -> str:
    """The script behind the pictures. On a CPU it draws the same pictures (PSNR over 50 dB).

    Args:
        spec: the model.
        request: with all values, so with a real seed; for a hosted model with its model_name.
        placement: where it ran.
    """
    if isinstance(request, ImageRequest) and spec.hosted:
        values = {"model": request.model_name, **hosted_arguments(request)}
        return _HOSTED.format(options=",\n    ".join(f"{k}={v!r}" for k, v in values.items()))
    options = {"dtype": f"torch.{placement.dtype}"}
    folder = hub.cached(spec) if spec.source.startswith("hub:") else None
    if folder is not None and variant(folder, placement.dtype):
        options["variant"] = "'fp16'"
    options["use_safetensors"] = "True"
    classes, scheduler = ["AutoPipelineForText2Image"], ""
    if request.scheduler:
        kind, settings = SCHEDULERS[request.scheduler]
        classes.append(kind)
        changes = "".join(f", {name}={value!r}" for name, value in settings.items())
        scheduler = f"pipe.scheduler = {kind}.from_config(pipe.scheduler.config{changes})\n"
    start = ""
    if request.image is not None:
        classes.append("AutoPipelineForImage2Image")
        start = _start(request)
    return _LOCAL.format(
        classes=", ".join(sorted(classes)),
        pillow="from PIL import Image, ImageOps\n" if start else "",
        threads=f"torch.set_num_threads({placement.threads})\n" if placement.threads else "",
        source=f"models/starter/{spec.name}" if spec.starter else spec.name,
        where="  # run this in GenLab's folder" if spec.starter else "",
        options=",\n    ".join(f"{name}={value}" for name, value in options.items()),
        device=placement.device,
        memory_format=_CHANNELS_LAST if placement.device == "cpu" else "",
        scheduler=scheduler,
        start=start,
        loop=_loop(request),
    )


def _start(request: ImageRequest | ImageGridRequest) -> str:
    """Lines that open the start picture; in the pipeline's own size if the request has none."""
    start = _START.format(width=request.width or "side", height=request.height or "side")
    return start if request.width and request.height else _OWN_SIDE + start


def _loop(request: ImageRequest | ImageGridRequest) -> str:
    if isinstance(request, ImageGridRequest):
        return _grid(request)
    return _ablation(request) if isinstance(request, LeaveOutRequest) else _pictures(request)


def _dials(request: ImageRequest) -> dict[str, str]:
    values = {
        "guidance_scale": request.guidance_scale,
        "num_inference_steps": request.num_inference_steps,
    }
    return {name: repr(value) for name, value in values.items() if value is not None}


def _pictures(request: ImageRequest) -> str:
    seeds = [request.seed + k for k in range(request.num_images)]
    call = _call(request, _dials(request))
    return f"for seed in {seeds}:\n{call}" + '    image.save(f"picture-{seed}.png")'


def _ablation(request: LeaveOutRequest) -> str:
    call = _call(request, _dials(request) | {"prompt": "prompt"})
    return (
        f"seed = {request.seed}\n"
        f"for number, prompt in enumerate({list(request.prompts)!r}, 1):\n{call}"
        '    image.save(f"cell-{number}.png")'
    )


def _grid(request: ImageGridRequest) -> str:
    cells = [(one.guidance_scale, one.num_inference_steps, one.seed) for one in request.singles()]
    names = ("guidance_scale", "num_inference_steps")
    return (
        f"for number, ({', '.join(names)}, seed) in enumerate({cells}, 1):\n"
        f"{_call(request, {name: name for name in names})}"
        '    image.save(f"cell-{number}.png")'
    )


def _call(request: ImageRequest | ImageGridRequest, dials: dict[str, str]) -> str:
    """The call in the loop, with the request's values, and with `dials` as expressions."""
    from_picture = request.image is not None
    values: dict[str, object] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or None,
        "width": None if from_picture else request.width,
        "height": None if from_picture else request.height,
        "strength": request.strength if from_picture else None,
    }
    arguments = {name: repr(value) for name, value in values.items() if value is not None}
    arguments |= ({"image": "start"} if from_picture else {}) | dials
    lines = "".join(f"        {name}={value},\n" for name, value in arguments.items())
    return (
        f"    image = pipe(\n{lines}"
        '        generator=torch.Generator("cpu").manual_seed(seed),\n    ).images[0]\n'
    )
