"""One picture from a loaded pipeline: from noise, or from a picture handed in."""

from collections.abc import Callable
from inspect import signature
from typing import Any

from models.base import ModelSpec
from models.errors import InvalidInput, ModelError
from models.requests import ImageRequest
from models.text_to_image.picture import fitted
from models.text_to_image.png import encode, parameters, sampler
from models.text_to_image.preview import Preview, clean, noisy, stages
from models.text_to_image.telling import Drawn

# The pass's number from 1; if one was due, a preview; at a stage, one with its noise.
OnStep = Callable[[int, bytes | None, bytes | None], None]


class Drawing:
    """A pipeline at work, by itself.

    Args:
        pipe: a text-to-image pipeline; the image-to-image one is made of the same parts.
        spec: with all defaults.
        preview: None where latents cannot be shown.
    """

    def __init__(self, pipe: Any, spec: ModelSpec, preview: Preview | None) -> None:
        self._pipe, self._spec, self._preview = pipe, spec, preview
        self._on_picture: Any = None

    @property
    def scheduler(self) -> Any:
        """The one in use."""
        return self._pipe.scheduler

    def use(self, scheduler: Any) -> None:
        """Draw with this scheduler from now on."""
        self._pipe.scheduler = scheduler

    def draw(self, asked: ImageRequest, step: OnStep) -> Drawn:
        """One picture.

        Args:
            asked: filled; its first picture is drawn.
            step: is told each pass; what it raises ends the drawing before the decoder.

        Raises:
            InvalidInput: the model cannot start from a picture (invalid_start_picture).
            ModelError: the numbers overflowed (nan_image).
        """
        import numpy as np
        import torch
        from PIL import Image

        pipe = self._pipe if asked.image is None else self._picture_pipe()
        made = pipe(
            **self._arguments(pipe, asked),
            generator=torch.Generator("cpu").manual_seed(asked.seed),
            callback_on_step_end=self._callback(step),
        )
        pixels = made.images[0]
        if not np.isfinite(pixels).all():
            raise ModelError("nan_image", model=self._spec.label)
        flagged = bool((getattr(made, "nsfw_content_detected", None) or [False])[0])
        image = Image.fromarray((pixels * 255).round().astype("uint8"))
        return Drawn(encode(image, self._parameters(asked)), flagged)

    def _picture_pipe(self) -> Any:
        """The image-to-image pipeline of the same weights: no copy of them."""
        from diffusers import AutoPipelineForImage2Image

        if self._on_picture is None:
            try:
                self._on_picture = AutoPipelineForImage2Image.from_pipe(self._pipe)
            except ValueError:
                raise InvalidInput("invalid_start_picture", model=self._spec.label) from None
            self._on_picture.set_progress_bar_config(disable=True)
        self._on_picture.scheduler = self._pipe.scheduler
        return self._on_picture

    def _arguments(self, pipe: Any, asked: ImageRequest) -> dict[str, Any]:
        """The pipeline's arguments: those of the request that it takes."""
        wanted: dict[str, Any] = {
            "prompt": asked.prompt,
            "negative_prompt": asked.negative_prompt or None,
            "guidance_scale": asked.guidance_scale,
            "num_inference_steps": asked.num_inference_steps,
            "width": asked.width,
            "height": asked.height,
            "output_type": "np",
        }
        if asked.image is not None:
            wanted["image"] = fitted(asked.image, asked.width or 0, asked.height or 0)
            wanted["strength"] = strength(asked)
        taken = signature(pipe.__call__).parameters
        return {
            name: taken[name].default if value is None else value
            for name, value in wanted.items()
            if name in taken
        }

    def _callback(self, step: OnStep) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
        preview = self._preview
        if preview is not None:
            preview.begin()

        def told(pipe: Any, number: int, _: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            picture = with_noise = None
            stage = number in stages(pipe.num_timesteps)
            if preview is not None and (stage or preview.due()):
                picture = preview.jpeg(clean(pipe.scheduler, tensors["latents"], number))
                with_noise = preview.jpeg(noisy(tensors["latents"])) if stage else None
            step(number + 1, picture, with_noise)
            return {}

        return told

    def _parameters(self, asked: ImageRequest) -> str:
        scheduler = self._pipe.scheduler
        values = {
            "Steps": asked.num_inference_steps,
            "Sampler": sampler(type(scheduler).__name__, scheduler.config),
            "CFG scale": asked.guidance_scale,
            "Seed": asked.seed,
            "Size": f"{asked.width}x{asked.height}",
            "Model": self._spec.id,
            "Denoising strength": asked.strength if asked.image is not None else None,
            "Version": "GenLab",
        }
        return parameters(asked.prompt, asked.negative_prompt, values)


def strength(asked: ImageRequest) -> float:
    """The share of the steps that is taken on a picture: at least one step."""
    return max(asked.strength, 1 / (asked.num_inference_steps or 1))


def passes(scheduler: Any, asked: ImageRequest) -> int:
    """How often the model is asked for a picture: some schedulers take more passes than steps."""
    steps = asked.num_inference_steps or 1
    try:
        scheduler.set_timesteps(steps)
        count = len(scheduler.timesteps)
    except (TypeError, ValueError):  # a flow-matching one that wants to know the size first
        count = steps
    if asked.image is not None:
        count -= (steps - min(int(steps * strength(asked)), steps)) * scheduler.order
    return count
