"""Text-to-image on this machine: any diffusers pipeline, from the starter to Stable Diffusion."""

from collections.abc import Callable, Generator
from inspect import signature
from pathlib import Path
from typing import Any, Self

from models.base import Event, ImagesDone, ModelSpec, Placement, StepDone, Stop
from models.errors import InvalidInput, ModelError, Stopped
from models.requests import ImageRequest
from models.settings import Settings
from models.text_to_image.loading import load_pipeline, native_size
from models.text_to_image.png import encode, parameters, sampler
from models.text_to_image.preview import Preview, clean
from models.text_to_image.thread import Emit, streamed
from models.text_to_image.words import Vocabulary, cut_off


class DiffusersTextToImage:
    """A diffusers pipeline, drawing one picture at a time, each from a seed of its own.

    Pictures are not batched: so picture k is the same, byte for byte, as one drawn alone from
    seed + k. Noise comes from CPU generators: so a seed means the same picture on every device.
    """

    def __init__(
        self, pipe: Any, spec: ModelSpec, placement: Placement, vocabulary: Vocabulary | None
    ) -> None:
        self._pipe = pipe
        self._spec = spec
        self._placement = placement
        self._vocabulary = vocabulary
        self._preview = Preview.fit(pipe)

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Read the pipeline's folder and place it.

        Raises:
            ModelError: it is no text-to-image pipeline, is damaged, holds pickles or does not fit.
        """
        assert folder is not None
        pipe = load_pipeline(spec, folder, placement)
        return cls(pipe, spec, placement, Vocabulary.read(folder))

    def nbytes(self) -> int:
        """Bytes of weights held by all parts of the pipeline."""
        parts = [part for part in self._pipe.components.values() if hasattr(part, "parameters")]
        tensors = [t for part in parts for t in (*part.parameters(), *part.buffers())]
        return sum(t.numel() * t.element_size() for t in tensors)

    def stream(self, request: ImageRequest, stop: Stop) -> Generator[Event]:
        """Draw the pictures one after another.

        Yields:
            StepDone for each step; after each picture ImagesDone with all that are finished, so
            that the last one holds them all.

        Raises:
            InvalidInput: a size that the model does not draw (invalid_size), or a prompt of which a
                starter knows no word (invalid_unknown_words).
            ModelError: "nan_image" if the numbers overflowed.
            Stopped: stop was set; within one step.
        """
        request = request.filled(self._spec)
        self._check(request)
        yield from streamed(lambda emit: self._draw_all(request, emit, stop), stop)

    # ------------------------------------------------------------ before

    def _check(self, request: ImageRequest) -> None:
        words = self._vocabulary
        if words is not None and not words.says_something(request.prompt):
            raise InvalidInput("invalid_unknown_words", model=self._spec.label)
        for asked, own in zip(self._size(request), native_size(self._pipe), strict=True):
            low, high = (own, own) if self._spec.starter else (own // 2, own * 2)
            if not low <= asked <= high:
                code = "invalid_size_one" if low == high else "invalid_size"
                raise InvalidInput(code, model=self._spec.label, own=own, low=low, high=high)

    def _size(self, request: ImageRequest) -> tuple[int, int]:
        width, height = native_size(self._pipe)
        return request.width or width, request.height or height

    def _tokenizers(self) -> list[Any]:
        names = ("tokenizer", "tokenizer_2", "tokenizer_3")
        found = [getattr(self._pipe, name, None) for name in names]
        return [one for one in found if getattr(one, "is_fast", False)]

    def _call(self, request: ImageRequest) -> dict[str, Any]:
        """The pipeline's arguments: those that it takes, the request's or else its own defaults."""
        width, height = self._size(request)
        wanted = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt or None,
            "guidance_scale": request.guidance_scale,
            "num_inference_steps": request.num_inference_steps,
            "width": width,
            "height": height,
            "output_type": "np",
        }
        taken = signature(self._pipe.__call__).parameters
        return {
            name: taken[name].default if value is None else value
            for name, value in wanted.items()
            if name in taken
        }

    # ------------------------------------------------------------ the work, in its own thread

    def _draw_all(self, request: ImageRequest, emit: Emit, stop: Stop) -> None:
        import torch

        if self._placement.threads:  # OpenMP keeps the number per calling thread
            torch.set_num_threads(self._placement.threads)
        call = self._call(request)
        cut = cut_off(request.prompt, self._tokenizers())
        unknown = self._vocabulary.unknown(request.prompt) if self._vocabulary else ()
        images: list[bytes] = []
        flags: list[bool] = []
        for index in range(request.num_images):
            told = self._callback(index, request.num_images, emit, stop)
            with torch.inference_mode():
                image, flag = self._draw(call, request.seed + index, told)
            images.append(image)
            flags.append(flag)
            seeds = tuple(request.seed + k for k in range(len(images)))
            emit(ImagesDone(tuple(images), seeds, tuple(flags), cut, unknown))

    def _callback(
        self, index: int, count: int, emit: Emit, stop: Stop
    ) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
        preview = self._preview
        if preview is not None:
            preview.begin()

        def told(pipe: Any, step: int, _: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            if stop.is_set():
                raise Stopped
            steps = pipe.num_timesteps
            picture = None
            if preview is not None and preview.due():
                picture = preview.jpeg(clean(pipe.scheduler, tensors["latents"], step))
            emit(StepDone(index * steps + step + 1, count * steps, picture))
            return {}

        return told

    def _draw(
        self, call: dict[str, Any], seed: int, told: Callable[..., Any]
    ) -> tuple[bytes, bool]:
        import numpy as np
        import torch
        from PIL import Image

        generator = torch.Generator("cpu").manual_seed(seed)
        made = self._pipe(**call, generator=generator, callback_on_step_end=told)
        pixels = made.images[0]
        if not np.isfinite(pixels).all():
            raise ModelError("nan_image", model=self._spec.label)
        flagged = bool((getattr(made, "nsfw_content_detected", None) or [False])[0])
        image = Image.fromarray((pixels * 255).round().astype("uint8"))
        return encode(image, self._parameters(call, seed)), flagged

    def _parameters(self, call: dict[str, Any], seed: int) -> str:
        scheduler = self._pipe.scheduler
        values = {
            "Steps": call.get("num_inference_steps"),
            "Sampler": sampler(type(scheduler).__name__, scheduler.config),
            "CFG scale": call.get("guidance_scale"),
            "Seed": seed,
            "Size": f"{call['width']}x{call['height']}",
            "Model": self._spec.id,
            "Version": "GenLab",
        }
        return parameters(call["prompt"], call.get("negative_prompt") or "", values)
