"""Text-to-image engines: diffusers pipelines on this machine, OpenAI's images behind a key.

local.py       DiffusersTextToImage: requests -> pictures, in batches where that helps
loading.py     a folder -> a pipeline; what is wrong when it fails
schedulers.py  names that people know -> diffusers' classes
loop.py        Stable Diffusion's steps; unet.py, compiled.py: its UNet, fast on a CPU, on CUDA
preview.py     the picture so far, from latents
picture.py     a picture handed in: opened with care
png.py         the text chunk that says how a picture was made
hosted.py      OpenAIImages
events.py      what happens while pictures are drawn
"""

from importlib import import_module
from typing import Any

_HOMES = {"DiffusersTextToImage": "local", "OpenAIImages": "hosted"}


def __getattr__(name: str) -> Any:
    # What happens and what is asked is known to all of GenLab; an engine is imported when it is used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
