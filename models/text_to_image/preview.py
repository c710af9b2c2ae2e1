"""What the picture looks like so far, at next to no cost.

Latents are turned into colours by a linear map instead of the decoder: a matrix product over a few
thousand numbers. The map is fitted to the model's own autoencoder when it is loaded, by encoding
one soft random picture and solving least squares; so it fits every model with 4-D latents.
"""

import io
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from torch import Tensor

STAGES = 7  # moments of a drawing that are always shown, however fast it is
_EVERY = 0.12  # seconds between two previews: faster than an eye needs, rare beside the steps


class Preview:
    """A linear map from latents to colours.

    Args:
        matrix: (channels + 1, 3); the last row is the constant.
    """

    def __init__(self, matrix: "Tensor") -> None:
        self._matrix = matrix
        self._drawn = 0.0

    @classmethod
    def fit(cls, pipe: Any) -> Self | None:
        """Fit to the pipeline's autoencoder; None where its latents are not pictures of channels."""
        import torch
        from torch.nn import functional as F

        vae, scale = getattr(pipe, "vae", None), getattr(pipe, "vae_scale_factor", None)
        channels = getattr(getattr(pipe, "unet", None), "config", {}).get("in_channels")
        if vae is None or not scale or vae.config.get("latent_channels") != channels:
            return None
        chance = torch.Generator().manual_seed(0)
        soft = F.interpolate(torch.rand(1, 3, 5, 5, generator=chance), size=16, mode="bicubic")
        soft = soft.clamp(0, 1)
        picture = F.interpolate(soft, scale_factor=scale, mode="nearest") * 2 - 1
        with torch.inference_mode():
            latents = vae.encode(picture.to(vae.device, vae.dtype)).latent_dist.mode()
        latents = (
            latents.float().cpu() - (vae.config.get("shift_factor") or 0)
        ) * vae.config.scaling_factor
        pixels = latents[0].flatten(1).T
        if not pixels.isfinite().all():  # a half-precision encoder can overflow
            return None
        known = torch.cat([pixels, torch.ones(len(pixels), 1)], 1)
        return cls(torch.linalg.lstsq(known, soft[0].flatten(1).T, driver="gelsd").solution)

    def begin(self) -> None:
        """A new drawing: its first preview is due at once."""
        self._drawn = 0.0

    def due(self) -> bool:
        """Whether it is time for another one."""
        return time.perf_counter() - self._drawn >= _EVERY

    def jpeg(self, latents: "Tensor") -> bytes:
        """A JPEG, one pixel a latent, of latents (1, channels, height, width)."""
        from PIL import Image

        self._drawn = time.perf_counter()
        pixels = latents[0].float().cpu().permute(1, 2, 0)
        colours = (pixels @ self._matrix[:-1] + self._matrix[-1]).nan_to_num().clamp(0, 1)
        file = io.BytesIO()
        image = Image.fromarray((colours * 255).round().byte().numpy())
        image.save(file, "JPEG", quality=90, subsampling=0)
        return file.getvalue()


def stages(count: int) -> frozenset[int]:
    """Which of `count` passes (from 0) are shown whatever the time: evenly spread, first and last."""
    return frozenset(round(k * (count - 1) / (STAGES - 1)) for k in range(STAGES))


def noisy(latents: "Tensor") -> "Tensor":
    """The latents as they are, noise and all, brought to unit spread at most."""
    return latents / latents.std().clamp(min=1.0)


def clean(scheduler: Any, latents: "Tensor", step: int) -> "Tensor":
    """The picture that the model foresees after step `step` (from 0): the predicted x0.

    DPM++ and UniPC keep it; PNDM keeps the predicted noise, which is taken off. For other schedulers
    the noisy latents themselves, brought to unit spread.
    """
    config = scheduler.config
    kept = getattr(scheduler, "model_outputs", None)
    if kept and ("dpmsolver++" in config.get("algorithm_type", "") or config.get("predict_x0")):
        return kept[-1]
    noises = getattr(scheduler, "ets", None)
    if noises and config.prediction_type == "epsilon" and step + 1 < len(scheduler.timesteps):
        kept_share = scheduler.alphas_cumprod[int(scheduler.timesteps[step + 1])]
        return (latents - (1 - kept_share) ** 0.5 * noises[-1]) / kept_share**0.5
    return noisy(latents)
