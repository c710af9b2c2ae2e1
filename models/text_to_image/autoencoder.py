"""The autoencoder of a Stable Diffusion pipeline: diffusers' AutoencoderDC beside AutoencoderKL.

AutoencoderDC makes one latent of 32 x 32 pixels, so that a small UNet has 8 x 8 places for 256 pixels.
StableDiffusionPipeline calls an autoencoder in AutoencoderKL's way; the class here answers to it.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from diffusers import AutoencoderDC
from torch import Generator, Tensor


class PipelineAutoencoder(AutoencoderDC):
    """AutoencoderDC as StableDiffusionPipeline calls it; weights and numbers are the same."""

    def encode(self, x: Tensor, return_dict: bool = True) -> Any:
        """Latents (pictures, channels, height / 32, width / 32) as `latents` of what is returned."""
        return SimpleNamespace(latents=super().encode(x, return_dict=False)[0])

    def decode(
        self, z: Tensor, return_dict: bool = True, generator: Generator | None = None
    ) -> Any:
        """Pictures from -1 to 1; nothing in it is random, so the generator is not used."""
        return super().decode(z, return_dict=return_dict)


def needs_adapter(folder: Path) -> bool:
    """Whether the pipeline in a diffusers folder has an AutoencoderDC."""
    file = folder / "model_index.json"
    index = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return index.get("vae") == ["diffusers", "AutoencoderDC"] and "unet" in index


def mode_latents(vae: Any, pictures: Tensor) -> Tensor:
    """The likeliest latents of pictures (pictures, 3, height, width) from -1 to 1, unscaled."""
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img import (
        retrieve_latents,
    )

    return retrieve_latents(vae.encode(pictures), sample_mode="argmax")
