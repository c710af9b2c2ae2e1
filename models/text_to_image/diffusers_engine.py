"""Text-to-image on this machine: any diffusers pipeline, from the starter to Stable Diffusion."""

import gc
from collections.abc import Generator
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, Self

from models.contract import Event, ModelSpec, Placement, Stop, WarmingUp
from models.errors import InvalidInput, OutOfMemory, Stopped, as_model_error
from models.runtime.blocking import Emit, in_thread, iterate
from models.settings import Settings
from models.text_to_image.drawing import Drawing, passes
from models.text_to_image.events import Sketch
from models.text_to_image.loading import load_pipeline, native_size
from models.text_to_image.preview import Preview
from models.text_to_image.requests import ImageGridRequest, ImageRequest
from models.text_to_image.schedulers import made
from models.text_to_image.telling import Drawn, OnStep, Telling
from models.text_to_image.words import Vocabulary, cut_off


class DiffusersTextToImage:
    """A diffusers pipeline. Noise comes from CPU generators: a seed means one picture on every device."""

    def __init__(
        self,
        pipe: Any,
        spec: ModelSpec,
        placement: Placement,
        vocabulary: Vocabulary | None,
        compile_mode: str = "off",
    ) -> None:
        self._pipe = pipe
        self._spec = replace(spec, defaults={**_own_defaults(pipe), **spec.defaults})
        self._placement = placement
        self._vocabulary = vocabulary
        self._own_scheduler = pipe.scheduler
        self._drawing = Drawing(pipe, self._spec, Preview.fit(pipe), compile_mode)

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
        mode = settings.compile_mode if placement.device == "cuda" else "off"
        return cls(pipe, spec, placement, Vocabulary.read(folder), mode)

    def nbytes(self) -> int:
        """Bytes of weights held by all parts of the pipeline."""
        parts = [part for part in self._pipe.components.values() if hasattr(part, "parameters")]
        tensors = [t for part in parts for t in (*part.parameters(), *part.buffers())]
        return sum(t.numel() * t.element_size() for t in tensors)

    def stream(self, request: ImageRequest | ImageGridRequest, stop: Stop) -> Generator[Event]:
        """Draw the pictures of a request, or the cells of a grid.

        Yields:
            WarmingUp before the first picture of a shape, where the model is compiled;
            StepDone for each step; as pictures end, ImagesDone with all that are finished, so that
            the last one holds them all. Of a grid CellDone for each cell, last GridDone.

        Raises:
            InvalidInput: a size that the model does not draw (invalid_size), a setting out of its
                range (invalid_le, invalid_ge), a scheduler or start picture that it cannot take, or a
                prompt of which a starter knows no word (invalid_unknown_words).
            ModelError: "nan_image" if the numbers overflowed.
            Stopped: stop was set; within one step.
        """
        request = request.filled(self._spec)
        singles = request.cells() if isinstance(request, ImageGridRequest) else request.singles()
        self._check(singles)
        scheduler = made(self._own_scheduler, request.scheduler, self._spec.label)
        self._drawing.use(scheduler)
        yield from iterate(
            in_thread(lambda emit: self._draw_all(request, singles, emit, stop), stop), stop
        )

    # ------------------------------------------------------------ before

    def _check(self, singles: tuple[ImageRequest, ...]) -> None:
        asked, label = singles[0], self._spec.label
        if self._vocabulary is not None and not self._vocabulary.says_something(asked.prompt):
            raise InvalidInput("invalid_unknown_words", model=label)
        own_size = native_size(self._pipe)
        for side, own in zip((asked.width, asked.height), own_size, strict=True):
            low, high = (own, own) if self._spec.starter else (own // 2, own * 2)
            if side is not None and not low <= side <= high:
                code = "invalid_size_one" if low == high else "invalid_size"
                raise InvalidInput(code, model=label, own=own, low=low, high=high)
        for single in singles:
            self._check_range("guidance_scale", "guidance_range", single.guidance_scale)
            self._check_range("num_inference_steps", "steps_range", single.num_inference_steps)

    def _check_range(self, field: str, limits: str, value: float | None) -> None:
        low, high = self._spec.defaults.get(limits, (value, value))
        if value is not None and value < low:
            raise InvalidInput("invalid_ge", field=field, limit=low)
        if value is not None and value > high:
            raise InvalidInput("invalid_le", field=field, limit=high)

    def _tokenizers(self) -> list[Any]:
        names = ("tokenizer", "tokenizer_2", "tokenizer_3")
        found = [getattr(self._pipe, name, None) for name in names]
        return [one for one in found if getattr(one, "is_fast", False)]

    # ------------------------------------------------------------ the work, in its own thread

    def _draw_all(
        self,
        request: ImageRequest | ImageGridRequest,
        singles: tuple[ImageRequest, ...],
        emit: Emit,
        stop: Stop,
    ) -> None:
        import torch

        if self._placement.threads:  # OpenMP keeps the number per calling thread
            torch.set_num_threads(self._placement.threads)
        cut = cut_off(request.prompt, self._tokenizers())
        unknown = self._vocabulary.unknown(request.prompt) if self._vocabulary else ()
        counts = [passes(self._drawing.scheduler, single) for single in singles]
        telling = Telling(request, counts, cut, unknown, emit)
        most: int | None = None
        left = list(range(len(singles)))
        while left:
            batch = [left[i] for i in self._drawing.batches([singles[k] for k in left], most)[0]]
            if self._drawing.compiles([singles[k] for k in batch]):
                emit(WarmingUp(self._spec))
            drawn = self._draw([singles[k] for k in batch], telling.stepping(batch), stop)
            if drawn is None:  # out of memory: from now on half as many together
                most = len(batch) // 2
                if not most:
                    raise self._too_large(singles[batch[0]])
                continue
            telling.done(batch, drawn)
            left = [k for k in left if k not in batch]
        telling.end()

    def _draw(self, asked: list[ImageRequest], told: OnStep, stop: Stop) -> list[Drawn] | None:
        """One batch; None if there was not enough memory, which is free again by then."""
        import torch

        def step(number: int, preview: Sketch | None, noisy: Sketch | None) -> None:
            if stop.is_set():
                raise Stopped
            told(number, preview, noisy)

        try:
            with torch.inference_mode():
                return self._drawing.draw(asked, step)
        except Exception as error:
            if not isinstance(as_model_error(error), OutOfMemory):
                raise
        gc.collect()  # here the exception, whose frames hold the batch's tensors, is gone
        if self._placement.device == "cuda":
            torch.cuda.empty_cache()
        return None

    def _too_large(self, asked: ImageRequest) -> OutOfMemory:
        """The error that names the largest of the model's sizes that does fit: each is tried, one step."""
        area = (asked.width or 0) * (asked.height or 0)
        sizes = {tuple(map(int, size.split("x"))) for size in self._spec.defaults.get("sizes", ())}
        for width, height in sorted(sizes, key=lambda size: -size[0] * size[1]):
            update = {"width": width, "height": height, "num_inference_steps": 1}
            if width * height < area and self._draw(
                [asked.model_copy(update=update)], lambda *_: None, Stop()
            ):
                fits = f"{width} × {height}"
                return OutOfMemory(
                    "out_of_memory_size", width=asked.width, height=asked.height, fits=fits
                )
        return OutOfMemory()


def _own_defaults(pipe: Any) -> dict[str, Any]:
    """What the pipeline does where nothing is asked for."""
    taken = signature(pipe.__call__).parameters
    width, height = native_size(pipe)
    own = {
        name: taken[name].default
        for name in ("guidance_scale", "num_inference_steps")
        if name in taken and isinstance(taken[name].default, int | float)
    }
    return {
        "guidance_scale": 0.0,
        "num_inference_steps": 50,
        **own,
        "width": width,
        "height": height,
    }
