"""Safetensors files that are one model each: what their headers say, read without torch.

A header lists every tensor with its shape and its place in the file, so a cut file, a LoRA and a model of
an architecture that GenLab does not read are known before anything is loaded.
Source: https://github.com/huggingface/safetensors#format
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from models.errors import Damaged

PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")  # these can run code when they are read
Layout = Literal["sd1", "sd2", "sdxl", "lora", ""]

_MOST_HEADER = 100_000_000  # bytes: the format's own limit
_UNET = "model.diffusion_model.input_blocks.0.0.weight"
_LORA = ("lora", "hada_", "lokr_")  # in the names of an adapter's tensors


@dataclass(frozen=True, slots=True)
class TensorFile:
    """What a safetensors file holds.

    Attributes:
        shapes: of each tensor, by name.
    """

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def layout(self) -> Layout:
        """The architecture of a Stable Diffusion checkpoint, or "lora"; "" for anything else.

        Told by the original names of its parts, as CompVis, Stability AI and Civitai write them. One that
        takes a picture or a mask beside the noise (inpainting) has more than four channels: "".
        """
        unet = self.shapes.get(_UNET)
        if unet is None:
            names = [name.lower() for name in self.shapes]
            return "lora" if any(one in name for name in names for one in _LORA) else ""
        if len(unet) != 4 or unet[1] != 4 or not self._has("first_stage_model.decoder."):
            return ""
        if self._has("conditioner.embedders.1.model.") and self._has("conditioner.embedders.0.tr"):
            return "sdxl"
        if self._has("cond_stage_model.model."):
            return "sd2"
        return "sd1" if self._has("cond_stage_model.transformer.text_model.") else ""

    def _has(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.shapes)


def read(path: Path) -> TensorFile:
    """Read a file's header.

    Raises:
        Damaged: it is no safetensors file, or it is cut (damaged_file).
    """
    try:
        return _read(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged("damaged_file", file=path.name) from None


def _read(path: Path) -> TensorFile:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size - 8, _MOST_HEADER):
            raise ValueError(length)
        entries: dict[str, Any] = json.loads(file.read(length))
    entries.pop("__metadata__", None)
    places = [entry["data_offsets"] for entry in entries.values()]
    total = sum(end - begin for begin, end in places)
    if not entries or size != 8 + length + total:
        raise ValueError(size)
    shapes = {name: tuple(int(n) for n in entry["shape"]) for name, entry in entries.items()}
    return TensorFile(shapes)


def layout_of(path: Path) -> Layout:
    """As `TensorFile.layout`; "" for a file that cannot be read."""
    try:
        return read(path).layout
    except Damaged:
        return ""
