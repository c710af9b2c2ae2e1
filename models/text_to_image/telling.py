"""The events of one drawing: of several pictures, or of a grid's cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.runtime.blocking import Emit
from models.text_to_image.events import CellDone, GridDone, ImagesDone, Sketch, StepDone
from models.text_to_image.requests import ImageGridRequest, ImageRequest

# The pass's number from 1; if one was due, a preview; at a stage, one with its noise.
OnStep = Callable[[int, Sketch | None, Sketch | None], None]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One finished picture: a PNG file, and whether the safety checker blanked it."""

    png: bytes
    flagged: bool


class Telling:
    """Turns steps and finished pictures into events, in whatever batches they come.

    Args:
        request: filled.
        passes: how often the model is asked for each picture alone.
        cut, unknown: as in ImagesDone.
        emit: takes the events.
    """

    def __init__(
        self,
        request: ImageRequest | ImageGridRequest,
        passes: Sequence[int],
        cut: str,
        unknown: tuple[str, ...],
        emit: Emit,
    ) -> None:
        self._request, self._passes, self._emit = request, list(passes), emit
        self._about = {"cut": cut, "unknown": unknown}
        singles = request.cells() if isinstance(request, ImageGridRequest) else request.singles()
        self._singles = singles
        self._drawn: dict[int, Drawn] = {}
        self._cells: dict[int, CellDone] = {}
        self._batch = 1

    def stepping(self, indexes: Sequence[int]) -> OnStep:
        """What is told of each pass over these pictures together."""
        before = sum(self._passes[index] for index in self._drawn)
        total = sum(self._passes)

        def step(number: int, preview: Sketch | None, noisy: Sketch | None) -> None:
            done = min(before + number * len(indexes), total)
            self._emit(StepDone(done, total, preview, indexes[0], len(indexes), noisy))

        return step

    def done(self, indexes: Sequence[int], pictures: Sequence[Drawn]) -> None:
        """These pictures, drawn together, are finished."""
        self._batch = max(self._batch, len(indexes))
        self._drawn.update(zip(indexes, pictures, strict=True))
        if isinstance(self._request, ImageGridRequest):
            for index in indexes:
                self._cells[index] = self._cell(self._request, index, len(indexes))
                self._emit(self._cells[index])
        else:
            self._emit(self._images())

    def end(self) -> None:
        """All are finished; of a grid the cells are told once more, together."""
        if isinstance(self._request, ImageGridRequest):
            cells = tuple(self._cells[index] for index in range(len(self._singles)))
            rows, columns = self._request.rows, self._request.columns
            self._emit(GridDone(cells, rows, columns, **self._about, batch=self._batch))

    def _images(self) -> ImagesDone:
        pictures = [self._drawn[index] for index in sorted(self._drawn)]
        seeds = tuple(self._singles[index].seed for index in sorted(self._drawn))
        return ImagesDone(
            tuple(one.png for one in pictures),
            seeds,
            tuple(one.flagged for one in pictures),
            **self._about,
            batch=self._batch,
        )

    def _cell(self, grid: ImageGridRequest, index: int, batch: int) -> CellDone:
        single, drawn = self._singles[index], self._drawn[index]
        row, column = divmod(index, grid.columns)
        return CellDone(
            index,
            row,
            column,
            drawn.png,
            single.guidance_scale or 0.0,
            single.num_inference_steps or 0,
            single.seed,
            drawn.flagged,
            batch,
        )
