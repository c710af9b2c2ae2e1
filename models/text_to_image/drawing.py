"""Pictures from a loaded pipeline: from noise, or from a picture handed in.

Stable Diffusion goes through our own loop, several pictures together; every other pipeline, and a
start from a picture, through the pipeline's own call, one at a time.
"""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

from models.contract import ModelSpec
from models.errors import InvalidInput, ModelError
from models.text_to_image.compiled import CompiledUNet
from models.text_to_image.events import Sketch
from models.text_to_image.loop import Loop
from models.text_to_image.picture import fitted
from models.text_to_image.png import encode, parameters, sampler
from models.text_to_image.preview import Course, Preview, noisy, stages
from models.text_to_image.requests import ImageRequest
from models.text_to_image.telling import Drawn, OnStep

MOST = 8  # pictures drawn together, at 512 x 512


class Drawing:
    """A pipeline at work, by itself.

    Args:
        pipe: a text-to-image pipeline; the image-to-image one is made of the same parts.
        spec: with all defaults.
        preview: None where latents cannot be shown.
        compile_mode: torch.compile's mode for a UNet on CUDA; "off" elsewhere.
    """

    def __init__(
        self, pipe: Any, spec: ModelSpec, preview: Preview | None, compile_mode: str = "off"
    ) -> None:
        self._pipe, self._spec, self._preview = pipe, spec, preview
        self._on_picture: Any = None
        fits = Loop.fits(pipe)
        compiled = _compiled(pipe, spec, compile_mode) if fits and compile_mode != "off" else None
        self._loop = Loop(pipe, compiled) if fits else None
        self.most = MOST if self._loop is not None and pipe.device.type == "cuda" else 1

    @property
    def scheduler(self) -> Any:
        """The one in use."""
        return self._pipe.scheduler

    def use(self, scheduler: Any) -> None:
        """Draw with this scheduler from now on."""
        self._pipe.scheduler = scheduler

    def batches(self, singles: Sequence[ImageRequest], most: int | None = None) -> list[list[int]]:
        """Which pictures are drawn together: equal steps, and with guidance or without.

        Args:
            singles: one request a picture.
            most: at most so many; by default what memory is likely to hold. On a CPU one at a time,
                so that each is exactly reproducible: of the starter a step of four together takes
                27 ms of a core instead of 4 x 9, but tracing that shape first takes 1200.
        """
        if most is None:
            area = (singles[0].width or 512) * (singles[0].height or 512)
            most = self.most if self.most == 1 else max(1, self.most * 512 * 512 // area)
        most = 1 if singles[0].image is not None else min(most, MOST)
        kinds: dict[tuple[Any, ...], list[int]] = {}
        for index, one in enumerate(singles):
            kind = (one.num_inference_steps, (one.guidance_scale or 0) > 1)
            kinds.setdefault(kind, []).append(index)
        return [
            same[begin : begin + most]
            for same in kinds.values()
            for begin in range(0, len(same), most)
        ]

    def compiles(self, asked: Sequence[ImageRequest]) -> bool:
        """Whether drawing this batch begins with compiling for its shape."""
        if self._loop is None or asked[0].image is not None:
            return False
        return self._loop.compiles(asked)

    def draw(self, asked: Sequence[ImageRequest], step: OnStep) -> list[Drawn]:
        """The pictures of one batch.

        Args:
            asked: filled; as `batches` puts them together.
            step: is told each pass; what it raises ends the drawing before the decoder.

        Raises:
            InvalidInput: the model cannot start from a picture (invalid_start_picture).
            ModelError: the numbers overflowed (nan_image).
        """
        if self._preview is not None:
            self._preview.begin()
        if self._loop is None or asked[0].image is not None:
            return [self._finished(asked[0], *self._piped(asked[0], step))]
        latents = self._loop.latents(
            asked, lambda index, count, *seen: step(index + 1, *self._shown(index, count, *seen))
        )
        return [
            self._finished(one, *self._loop.decoded(latents[index : index + 1]))
            for index, one in enumerate(asked)
        ]

    def _shown(
        self, index: int, count: int, foreseen: "Callable[[], Any]", latents: Any
    ) -> tuple[Sketch | None, Sketch | None]:
        preview, stage = self._preview, index in stages(count)
        if preview is None or not (stage or preview.due()):
            return None, None
        return preview.sketch(foreseen()), preview.sketch(noisy(latents)) if stage else None

    def _piped(self, asked: ImageRequest, step: OnStep) -> tuple[Any, bool]:
        import torch

        pipe = self._pipe if asked.image is None else self._picture_pipe()
        made = pipe(
            **self._arguments(pipe, asked),
            generator=torch.Generator("cpu").manual_seed(asked.seed),
            callback_on_step_end=self._callback(step),
        )
        flagged = getattr(made, "nsfw_content_detected", None) or [False]
        return made.images[0], bool(flagged[0])

    def _finished(self, asked: ImageRequest, pixels: Any, flagged: bool) -> Drawn:
        import numpy as np
        from PIL import Image

        if not np.isfinite(pixels).all():
            raise ModelError("nan_image", model=self._spec.label)
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
        course = Course()

        def told(pipe: Any, index: int, _: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            course.saw(tensors["latents"])
            shown = self._shown(
                index,
                pipe.num_timesteps,
                lambda: course.foreseen(pipe.scheduler, index),
                tensors["latents"],
            )
            step(index + 1, *shown)
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


def _compiled(pipe: Any, spec: ModelSpec, mode: str) -> CompiledUNet:
    scale = pipe.vae_scale_factor
    named = [tuple(map(int, size.split("x"))) for size in spec.defaults.get("sizes", ())]
    own = (spec.defaults["width"], spec.defaults["height"])
    sizes = {(height // scale, width // scale) for width, height in (own, *named)}
    return CompiledUNet(pipe.unet, mode, sizes)


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
