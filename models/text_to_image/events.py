"""What happens while pictures are drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from models.contract import Event


class Sketch:
    """What the pictures look like so far. It is painted when it is looked at, since most never are.

    Args:
        paint: makes the JPEG file.
    """

    def __init__(self, paint: Callable[[], bytes]) -> None:
        self._paint = paint

    @cached_property
    def jpeg(self) -> bytes:
        """A small JPEG file."""
        return self._paint()


@dataclass(frozen=True, slots=True)
class StepDone(Event):
    """A denoising step is done.

    Attributes:
        step, total: passes over the whole request, of all its pictures or cells together.
        preview: the pictures now being drawn, as far as the model foresees them: side by side if
            they are several.
        noisy: the same with its noise, at a few stages only.
        first, at_once: which pictures (or cells) these are: `at_once` of them from index `first`.
    """

    step: int
    total: int
    preview: Sketch | None = None
    first: int = 0
    at_once: int = 1
    noisy: Sketch | None = None


@dataclass(frozen=True, slots=True)
class ImagesDone(Event):
    """The PNG files finished so far, one a seed; the last of these events holds all.

    Attributes:
        seeds: empty where a server has none.
        flagged: flagged[i] says that the safety checker blanked picture i.
        cut: the words past the text encoder's limit that the model never saw.
        unknown: the words of the prompt that the model was never trained on.
        batch: the most pictures drawn together; at 1 each is, byte for byte, the one drawn alone
            from its seed, over 1 it looks the same (PSNR >= 35 dB).
    """

    images: tuple[bytes, ...]
    seeds: tuple[int, ...]
    flagged: tuple[bool, ...] = ()
    cut: str = ""
    unknown: tuple[str, ...] = ()
    batch: int = 1


@dataclass(frozen=True, slots=True)
class CellDone(Event):
    """One cell of a grid is finished. Cells may come out of order.

    Attributes:
        index: row by row, from 0.
        image: a PNG file.
        batch: how many cells were drawn together with it, itself included (see ImagesDone).
    """

    index: int
    row: int
    column: int
    image: bytes
    guidance_scale: float
    num_inference_steps: int
    seed: int
    flagged: bool = False
    batch: int = 1


@dataclass(frozen=True, slots=True)
class GridDone(Event):
    """The grid is whole: its cells by index. cut, unknown and batch are as in ImagesDone."""

    cells: tuple[CellDone, ...]
    rows: int
    columns: int
    cut: str = ""
    unknown: tuple[str, ...] = ()
    batch: int = 1
