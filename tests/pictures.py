"""Drawing with tests/tiny.py's StableDiffusionPipeline, through the real cache and jobs."""

import io

import numpy as np
from PIL import Image

from models.contract import Finished, ModelSpec, Placement
from models.runtime.jobs import run
from models.runtime.placement import Hardware
from models.settings import Settings
from models.text_to_image.catalog import ImageDials
from models.text_to_image.diffusers_engine import DiffusersTextToImage
from models.text_to_image.events import ImagesDone
from models.text_to_image.requests import ImageRequest
from models.text_to_image.schedulers import FOR_LITTLE_NOISE, NAMES

FOR_ANY_NOISE = tuple(
    name for name in NAMES if name not in FOR_LITTLE_NOISE
)  # schedulers for any model
CPU = Placement("cpu", "float32", "no_gpu", 1)
# A machine without a GPU and without arithmetic of 16 bits, whatever this one has.
CPU_MACHINE = Hardware(cuda=False, mps=False, cpu_torch=True, cores=2)
TINY = ModelSpec(
    id="tests/tiny",
    task="text-to-image",
    engine="models.text_to_image.diffusers_engine:DiffusersTextToImage",
    source="starter:tiny",
    label="Tiny",
    cpu_threads=1,
    dials=ImageDials(guidance_scale=5.0, num_inference_steps=3),
)


def draw(cache, prompt="a red circle", spec=TINY, **values):
    request = ImageRequest.of(prompt=prompt, **{"seed": 7, **values})
    events = list(run(cache, spec, request))
    assert isinstance(events[-1], Finished)
    return [e for e in events if isinstance(e, ImagesDone)][-1], events


def load(folder, spec=TINY, placement=CPU):
    return DiffusersTextToImage.load(spec, folder, placement, Settings())


def open_png(png):
    return Image.open(io.BytesIO(png))


def psnr(one, other):
    """Likeness of two PNG files or pictures in dB; infinite if they are equal."""
    pixels = [np.asarray(open_png(p) if isinstance(p, bytes) else p, float) for p in (one, other)]
    error = np.mean((pixels[0] - pixels[1]) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


# The image tab's controls beside prompt and model, in the order of a handler's values.
DIALS = {
    "negative_prompt": "",
    "guidance_scale": 3,
    "num_inference_steps": 3,
    "seed": 5,
    "random": False,
    "size": "256x256",
    "num_images": 1,
    "api_key": "",
    "scheduler": "",
    "style": "",
    "image": None,
    "strength": 0.6,
    "lora": "",
    "lora_strength": 1,
    "decoder": "",
}
