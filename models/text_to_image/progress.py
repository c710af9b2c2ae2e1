"""From denoising steps and finished pictures to events, with previews at next to no cost.

A preview turns latents into colours by a linear map instead of the decoder: a matrix product over a few
thousand numbers. The map is fitted to the model's own autoencoder when it is loaded, by encoding a few
soft pictures of full colours and solving least squares; so it suits every model with 4-D latents. A latent
of 8 x 8 pixels becomes one pixel of the preview, one of 32 x 32 becomes 4 x 4.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from models.contract import Event, Notify, Stop
from models.errors import Stopped
from models.text_to_image.events import CellDone, GridDone, ImagesDone, Sketch, StepDone
from models.text_to_image.requests import ImageGridRequest, ImageRequest, LeaveOutRequest
from models.text_to_image.schedulers import extrapolated_original

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

STAGES = 25  # moments of a drawing that always get a preview, however fast it is
_INTERVAL = (
    0.12  # seconds between two other previews: faster than an eye needs, rare beside the steps
)
_FIT_PICTURES = 8  # with one alone the starter's map had a blue cast
_RIDGE = 4.0
_SHARPNESS = 8  # pixels of a picture for a pixel of its preview

# Called after each pass: its index from 0, the number of passes, the latents after it, and a function
# that computes the model's guess of the finished latents.
OnStep = Callable[[int, int, "Tensor", Callable[[], "Tensor"]], None]


@dataclass(frozen=True, slots=True)
class PictureFile:
    """One finished picture: a PNG file, and whether the safety checker blanked it."""

    png: bytes
    flagged: bool


@dataclass(frozen=True, slots=True)
class LatentColours:
    """The linear map from latents to colours; `matrix` as `Sketch.colours`."""

    matrix: "np.ndarray"

    @classmethod
    def fit(cls, pipe: Any) -> Self | None:
        """Fit to the pipeline's autoencoder; None if its latents are not pictures of channels."""
        import torch
        from torch.nn import functional as F

        from models.text_to_image.autoencoder import mode_latents

        vae, scale = getattr(pipe, "vae", None), getattr(pipe, "vae_scale_factor", None)
        model = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
        channels = getattr(model, "config", {}).get("in_channels")
        if vae is None or not scale or vae.config.get("latent_channels") != channels:
            return None
        detail = max(1, scale // _SHARPNESS)
        soft = _fit_pictures(detail)
        picture = F.interpolate(soft, scale_factor=scale // detail, mode="nearest") * 2 - 1
        with torch.inference_mode():
            latents = mode_latents(vae, picture.to(vae.device, vae.dtype))
        latents = (
            latents.float().cpu() - (vae.config.get("shift_factor") or 0)
        ) * vae.config.scaling_factor
        inputs = latents.permute(0, 2, 3, 1).flatten(0, 2)
        if not inputs.isfinite().all():  # a half-precision encoder can overflow
            return None
        inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], 1)
        # (pictures, 3 * detail * detail, rows, columns), the order in which Sketch reads them
        blocks = F.pixel_unshuffle(soft, detail)
        colours = blocks.permute(0, 2, 3, 1).flatten(0, 2)
        if detail > 1:  # a ridge, since many latents stand for few pixels
            inputs = torch.cat([inputs, _RIDGE * torch.eye(inputs.shape[1])])
            colours = torch.cat([colours, torch.zeros(inputs.shape[1], colours.shape[1])])
        return cls(torch.linalg.lstsq(inputs, colours, driver="gelsd").solution.numpy())

    def sketch(self, latents: "Tensor", with_noise: bool = False) -> Sketch:
        """Of latents (pictures, channels, height, width).

        On a CPU they are not copied, for even that is felt between two steps of a small model; a scheduler
        makes new ones at each step and leaves these alone.
        """
        import torch

        return Sketch(latents.to("cpu", torch.float32).numpy(), self.matrix, with_noise)


def _fit_pictures(detail: int) -> "Tensor":
    """Pictures (count, 3, side, side) from 0 to 1 of soft and full colours; with detail flat areas too."""
    import torch
    from torch.nn import functional as F

    generator, side = torch.Generator().manual_seed(0), 16 if detail == 1 else 32

    def colours(cells: int) -> "Tensor":  # often full ones
        return torch.rand(_FIT_PICTURES, 3, cells, cells, generator=generator) * 2 - 0.5

    soft = F.interpolate(colours(5 * detail), size=side, mode="bicubic").clamp(0, 1)
    if detail == 1:
        return soft
    flat = F.interpolate(colours(3), size=side, mode="nearest").clamp(0, 1)
    return torch.where(
        F.interpolate(colours(7), size=side, mode="bicubic")[:, :1] > 0.6, soft, flat
    )


@cache
def stages(count: int) -> frozenset[int]:
    """Which of `count` passes (from 0) always get a preview: evenly spread, with the first and the last."""
    return frozenset(round(k * (count - 1) / (STAGES - 1)) for k in range(STAGES))


class Progress:
    """Turns steps and finished pictures into events, in whatever batches they come.

    Args:
        request: with all values.
        passes: through the model, for each picture alone.
        colours: for the previews; None if latents cannot be shown.
        emit: gets the events.
        stop: ends the drawing at the next step.
        cut, unknown, reading: as in ImagesDone.
    """

    def __init__(
        self,
        request: ImageRequest | ImageGridRequest,
        passes: Sequence[int],
        colours: LatentColours | None,
        emit: Notify,
        stop: Stop,
        cut: str = "",
        unknown: tuple[str, ...] = (),
        reading: str = "",
    ) -> None:
        self._request, self._singles = request, request.singles()
        self._passes, self._colours = list(passes), colours
        self._emit, self.stop = emit, stop
        self._prompt_remarks: dict[str, Any] = {"cut": cut, "unknown": unknown, "reading": reading}
        self._pictures: dict[int, PictureFile] = {}
        self._cells: dict[int, CellDone] = {}
        self._largest_batch = 1
        self._batch: Sequence[int] = ()
        self._passes_before = 0
        self._last_sketch = 0.0
        self._latents: Tensor | None = None
        self._start: Sketch | None = None
        self._company = 1

    def start(self, indexes: Sequence[int]) -> None:
        """The pictures of these indexes are drawn next, together."""
        self._batch = indexes
        self._passes_before = sum(self._passes[index] for index in self._pictures)
        self._last_sketch, self._latents, self._start = 0.0, None, None
        self._company = 1

    def wait(self, event: Event) -> None:
        """The batch waits for others."""
        self._emit(event)

    def begin(self, latents: "Tensor") -> None:
        """The batch's latents before the first pass."""
        if self._colours:
            self._start = self._colours.sketch(latents, with_noise=True)

    def step(
        self, index: int, count: int, latents: "Tensor", predict: Callable[[], "Tensor"]
    ) -> None:
        """A pass over the batch is done; see OnStep.

        Raises:
            Stopped: stop was set.
        """
        if self.stop.is_set():
            raise Stopped
        preview = noisy = None
        is_stage = index in stages(count)
        if self._colours and (is_stage or time.perf_counter() - self._last_sketch >= _INTERVAL):
            preview = self._colours.sketch(predict())
            noisy = self._colours.sketch(latents, index < count - 1) if is_stage else None
            self._last_sketch = time.perf_counter()
        size, total = len(self._batch), sum(self._passes)
        step = min(self._passes_before + (index + 1) * size, total)
        self._emit(StepDone(step, total, preview, self._batch[0], size, noisy, self._start))
        self._start = None

    def on_step_end(
        self, pipe: Any, index: int, timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        """The same as a diffusers pipeline's `callback_on_step_end`."""
        before, latents = self._latents, tensors["latents"]
        self._latents = latents
        self.step(
            index,
            pipe.num_timesteps,
            latents,
            lambda: extrapolated_original(pipe.scheduler, before, latents, index),
        )
        return {}

    def meet(self, company: int) -> None:
        """The batch shared passes with others, so many pictures in all."""
        self._company = company

    def finish(self, pictures: Sequence[PictureFile]) -> None:
        """The batch's pictures are finished."""
        size = max(len(self._batch), self._company)
        self._largest_batch = max(self._largest_batch, size)
        self._pictures.update(zip(self._batch, pictures, strict=True))
        if isinstance(self._request, ImageGridRequest | LeaveOutRequest):
            for index in self._batch:
                self._cells[index] = self._cell(index, self._request.columns, size)
                self._emit(self._cells[index])
        else:
            self._emit(self._images())

    def end(self) -> None:
        """All pictures are finished; a grid then reports its cells once more, together."""
        if isinstance(self._request, ImageGridRequest | LeaveOutRequest):
            cells = tuple(self._cells[index] for index in range(len(self._singles)))
            rows, columns = self._request.rows, self._request.columns
            batch = self._largest_batch
            self._emit(GridDone(cells, rows, columns, **self._prompt_remarks, batch=batch))

    def _images(self) -> ImagesDone:
        indexes = sorted(self._pictures)
        return ImagesDone(
            tuple(self._pictures[index].png for index in indexes),
            tuple(self._singles[index].seed for index in indexes),
            tuple(self._pictures[index].flagged for index in indexes),
            **self._prompt_remarks,
            batch=self._largest_batch,
        )

    def _cell(self, index: int, columns: int, batch: int) -> CellDone:
        single, picture = self._singles[index], self._pictures[index]
        row, column = divmod(index, columns)
        return CellDone(
            index,
            row,
            column,
            picture.png,
            single.guidance_scale or 0.0,
            single.num_inference_steps or 0,
            single.seed,
            picture.flagged,
            batch,
        )
