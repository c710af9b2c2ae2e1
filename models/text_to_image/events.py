"""What the image engines report while they draw."""

import io
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from models.contract import Event

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Sketch:
    """A small picture of latents. Its JPEG file is encoded at the first look, since most are never looked at.

    Attributes:
        raw: latents (pictures, channels, height, width), float32, as the scheduler holds them.
        colours: (channels + 1, 3 * n * n), float32: the linear map from a latent to the red, green and
            blue of n x n pixels, channel by channel; its last row is the constant.
        with_noise: whether the latents still hold noise.
    """

    raw: "np.ndarray"
    colours: "np.ndarray"
    with_noise: bool = False

    @cached_property
    def latents(self) -> "np.ndarray":
        """As `raw`; with noise scaled down to a standard deviation of at most 1."""
        return self.raw / max(1.0, float(self.raw.std(ddof=1))) if self.with_noise else self.raw

    @cached_property
    def jpeg(self) -> bytes:
        """A JPEG file of n x n pixels for each latent; several pictures stand in a near square."""
        from PIL import Image

        frames = _paint(self.latents, self.colours)
        if len(frames) == 1:
            return _jpeg(frames[0])
        count, height, width, _ = frames.shape
        columns = math.ceil(math.sqrt(count))
        image = Image.new("RGB", (columns * width, math.ceil(count / columns) * height), "white")
        for index, frame in enumerate(frames):
            row, column = divmod(index, columns)
            image.paste(Image.fromarray(frame), (column * width, row * height))
        return _jpeg(image)


def sketch_files(latents: "np.ndarray", colours: "np.ndarray") -> list[bytes]:
    """A JPEG file of each picture alone, painted together, which takes half the time; as in Sketch."""
    return [_jpeg(frame) for frame in _paint(latents, colours)]


def _paint(latents: "np.ndarray", colours: "np.ndarray") -> "np.ndarray":
    """Pixels (pictures, height, width, 3), 8 bits each."""
    import numpy as np

    count, channels, height, width = latents.shape
    side = math.isqrt(colours.shape[1] // 3)
    # Row by row of the n x n pixels and all colours of a pixel together: then little is moved about.
    table = colours.reshape(-1, 3, side, side).transpose(0, 2, 3, 1).reshape(channels + 1, -1)
    table = np.ascontiguousarray(table.T) * 255
    pixels = table[:, :-1] @ latents.reshape(count, channels, -1)
    pixels += table[:, -1:] + 0.5
    np.fmax(pixels, 0, out=pixels)  # and 0 for what is no number
    np.minimum(pixels, 255, out=pixels)
    blocks = pixels.astype("uint8").reshape(count, side, side * 3, height, width)
    return blocks.transpose(0, 3, 1, 4, 2).reshape(count, height * side, width * side, 3)


def _jpeg(picture: Any) -> bytes:
    """A JPEG file of a Pillow image, or of pixels (height, width, 3)."""
    from PIL import Image

    file = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(file, "JPEG", quality=90, subsampling=0)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class StepDone(Event):
    """A denoising step is done.

    Attributes:
        step, total: passes through the model, counted over all pictures or cells of the request.
        preview: the model's current guess of the finished pictures that are being drawn; None if no
            preview was due.
        first, at_once: which pictures (or cells) are being drawn: `at_once` of them from index `first`.
        noisy: the same pictures with their noise; only at some stages of a drawing.
        start: what the first step began with, which is noise or a picture with noise added; only at
            the first step of a batch, and None where the pipeline does not say.
    """

    step: int
    total: int
    preview: Sketch | None = None
    first: int = 0
    at_once: int = 1
    noisy: Sketch | None = None
    start: Sketch | None = None


@dataclass(frozen=True, slots=True)
class ImagesDone(Event):
    """The pictures that are finished so far. The last of these events holds all of them.

    Attributes:
        images: a PNG file for each picture.
        seeds: the seed of each picture; empty if they come from a server, which has none.
        flagged: flagged[i] is True if the safety checker blanked picture i.
        cut: the words past the text encoder's limit, which the model did not read.
        unknown: the words of the prompt, and of the negative prompt, that the model was not trained on;
            they are left out.
        reading: what the model read of the prompt where words were left out.
        batch: the largest number of pictures drawn together. At 1 each picture has the same bytes as
            one drawn alone from its seed; above 1 it looks the same (PSNR >= 35 dB).
    """

    images: tuple[bytes, ...]
    seeds: tuple[int, ...]
    flagged: tuple[bool, ...] = ()
    cut: str = ""
    unknown: tuple[str, ...] = ()
    batch: int = 1
    reading: str = ""

    def is_flagged(self, index: int) -> bool:
        """Whether the safety checker blanked this picture."""
        return bool(self.flagged) and self.flagged[index]


@dataclass(frozen=True, slots=True)
class CellDone(Event):
    """One cell of a grid is finished. Cells may come out of order.

    Attributes:
        index: counted row by row, from 0.
        image: a PNG file.
        batch: how many cells were drawn together with this one, itself included (see ImagesDone).
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
    """All cells of a grid, by index. cut, unknown, batch and reading are as in ImagesDone."""

    cells: tuple[CellDone, ...]
    rows: int
    columns: int
    cut: str = ""
    unknown: tuple[str, ...] = ()
    batch: int = 1
    reading: str = ""


@dataclass(frozen=True, slots=True)
class LatentsDecoded(Event):
    """Latents as the model's decoder shows them: a PNG file each, those of `first` and after."""

    images: tuple[bytes, ...]
    first: int


@dataclass(frozen=True, slots=True)
class WordAttention(Event):
    """Where each word of a prompt looked while the picture was drawn once more.

    Attributes:
        words: those that the model read and that may stand for something.
        data: maps (passes, words + 1, height, width) as float16: of each place of the picture, the share
            of its attention that a word got. The last map is of everything else that the model reads:
            start, end and padding, and words that stand for nothing.
        shape: of `data`.
    """

    words: tuple[str, ...]
    data: bytes
    shape: tuple[int, int, int, int]

    def maps(self) -> "np.ndarray":
        """The maps: (passes, words + 1, height, width), float32."""
        import numpy as np

        return np.frombuffer(self.data, np.float16).reshape(self.shape).astype(np.float32)
