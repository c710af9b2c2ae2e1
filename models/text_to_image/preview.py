"""What the picture looks like so far, at next to no cost.

Latents are turned into colours by a linear map instead of the decoder: a matrix product over a few
thousand numbers. The map is fitted to the model's own autoencoder when it is loaded, by encoding
a few soft pictures of full colours and solving least squares; so it fits every model with 4-D latents.
"""

import io
import math
import time
from typing import TYPE_CHECKING, Any, Self

from models.text_to_image.events import Sketch

if TYPE_CHECKING:
    from torch import Tensor

STAGES = 7  # moments of a drawing that are always shown, however fast it is
_PICTURES = 8  # to fit: of one alone the starter's map had a blue cast
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
        model = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
        channels = getattr(model, "config", {}).get("in_channels")
        if vae is None or not scale or vae.config.get("latent_channels") != channels:
            return None
        chance = torch.Generator().manual_seed(0)
        soft = torch.rand(_PICTURES, 3, 5, 5, generator=chance) * 2 - 0.5  # often a full colour
        soft = F.interpolate(soft, size=16, mode="bicubic").clamp(0, 1)
        picture = F.interpolate(soft, scale_factor=scale, mode="nearest") * 2 - 1
        with torch.inference_mode():
            latents = vae.encode(picture.to(vae.device, vae.dtype)).latent_dist.mode()
        latents = (
            latents.float().cpu() - (vae.config.get("shift_factor") or 0)
        ) * vae.config.scaling_factor
        pixels = latents.permute(0, 2, 3, 1).flatten(0, 2)
        if not pixels.isfinite().all():  # a half-precision encoder can overflow
            return None
        known = torch.cat([pixels, torch.ones(len(pixels), 1)], 1)
        colours = soft.permute(0, 2, 3, 1).flatten(0, 2)
        return cls(torch.linalg.lstsq(known, colours, driver="gelsd").solution)

    def begin(self) -> None:
        """A new drawing: its first preview is due at once."""
        self._drawn = 0.0

    def due(self) -> bool:
        """Whether it is time for another one."""
        return time.perf_counter() - self._drawn >= _EVERY

    def sketch(self, latents: "Tensor") -> Sketch:
        """Of latents (pictures, channels, height, width) as they are now: one pixel a latent, in a square."""
        import torch

        self._drawn = time.perf_counter()
        kept = latents.to("cpu", torch.float32, copy=True)
        return Sketch(lambda: self._jpeg(kept))

    def _jpeg(self, latents: "Tensor") -> bytes:
        from PIL import Image

        pixels = latents.permute(0, 2, 3, 1)
        colours = (pixels @ self._matrix[:-1] + self._matrix[-1]).nan_to_num().clamp(0, 1)
        frames = (colours * 255).round().byte().numpy()
        count, height, width, _ = frames.shape
        columns = math.ceil(math.sqrt(count))
        image = Image.new("RGB", (columns * width, math.ceil(count / columns) * height), "white")
        for index, frame in enumerate(frames):
            row, column = divmod(index, columns)
            image.paste(Image.fromarray(frame), (column * width, row * height))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=90, subsampling=0)
        return file.getvalue()


def stages(count: int) -> frozenset[int]:
    """Which of `count` passes (from 0) are shown whatever the time: evenly spread, first and last."""
    return frozenset(round(k * (count - 1) / (STAGES - 1)) for k in range(STAGES))


def noisy(latents: "Tensor") -> "Tensor":
    """The latents as they are, noise and all, brought to unit spread at most."""
    return latents / latents.std().clamp(min=1.0)


def foreseen(
    scheduler: Any, latents: "Tensor", guess: "Tensor", timestep: "Tensor", index: int
) -> "Tensor":
    """The finished picture as the model foresees it: the predicted x0.

    Args:
        scheduler: just stepped.
        latents: before the step, as the scheduler keeps them.
        guess: the model's output for them.
        timestep: of the step.
        index: of the step, from 0.
    """
    config = scheduler.config
    kept = getattr(scheduler, "model_outputs", None)
    if kept and ("dpmsolver++" in config.get("algorithm_type", "") or config.get("predict_x0")):
        return kept[-1]
    if hasattr(scheduler, "is_scale_input_called"):  # Euler's family: signal 1, noise sigma
        sigma = scheduler.sigmas[index].to(latents.device, latents.dtype)
        signal, noise = 1 / (sigma**2 + 1).sqrt(), sigma / (sigma**2 + 1).sqrt()
        latents = latents * signal
    else:
        share = scheduler.alphas_cumprod[int(timestep)].to(latents.device, latents.dtype)
        signal, noise = share.sqrt(), (1 - share).sqrt()
    if config.prediction_type == "v_prediction":
        return signal * latents - noise * guess
    if config.prediction_type == "sample":
        return guess
    return (latents - noise * guess) / signal


class Course:
    """The predicted x0 from the outside, for pipelines that show only the latents after each step."""

    def __init__(self) -> None:
        self._before: Any = None
        self._latents: Any = None

    def saw(self, latents: "Tensor") -> None:
        """The latents after the next step."""
        self._before, self._latents = self._latents, latents

    def foreseen(self, scheduler: Any, index: int) -> "Tensor":
        """After step `index` (from 0): where the straight line of the last step ends without noise.

        That is Euler's way, flow matching included; for other schedulers what they keep, or the
        noisy latents.
        """
        config, kept = scheduler.config, getattr(scheduler, "model_outputs", None)
        if kept and ("dpmsolver++" in config.get("algorithm_type", "") or config.get("predict_x0")):
            return kept[-1]
        before, latents = self._before, self._latents
        sigmas = getattr(scheduler, "sigmas", None)
        if before is None or sigmas is None or "Euler" not in type(scheduler).__name__:
            return noisy(latents)
        now, then = float(sigmas[index]), float(sigmas[index + 1])
        return latents - (latents - before) * (then / (then - now)) if now != then else latents
