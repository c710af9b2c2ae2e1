"""Requests for pictures: several from one set of settings, or a grid over several settings."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from models.contract import ModelSpec, Request
from models.errors import InvalidInput, Refused
from models.fields import MAX_SEED, Seed, draw_seed, not_blank
from models.text_to_image.catalog import dials_of
from models.text_to_image.image_files import read_picture
from models.text_to_image.schedulers import canonical_name
from models.text_to_image.vocabulary import drawable_words, leave_out
from models.weights.safetensors_files import PICKLES

MAX_PROMPT = 2000  # characters
MAX_CELLS = 36  # of a grid: as many as fit on a page
MAX_GRID_STEPS = 1500  # of all cells of a grid together: six by six at 40 steps


def _readable(picture: bytes | None) -> bytes | None:
    if picture is not None:
        read_picture(picture)
    return picture


_LORA = re.compile(
    r"file:[^\0]+\.safetensors|[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(:[\w .,()\[\]/+-]+\.safetensors)?",
    re.I,
)


def _lora_name(name: str) -> str:
    if name.lower().endswith(PICKLES):
        raise Refused("refused_pickle", model=name[:100])
    if name and (not _LORA.fullmatch(name) or ".." in name):
        raise InvalidInput("invalid_lora")
    return name


def _check_seeds(seed: int, count: int) -> None:
    """Refuse seeds of which the last picture's would be over the limit."""
    if seed > MAX_SEED - count + 1:
        raise InvalidInput("invalid_le", field="seed", limit=MAX_SEED - count + 1)


Side = Annotated[int, Field(ge=64, le=2048, multiple_of=8)]
Guidance = Annotated[float, Field(ge=0, le=30)]
Steps = Annotated[int, Field(ge=1, le=150)]
Length = Annotated[int, Field(ge=1, le=4096)]


class _PictureRequest(Request):
    prompt: Annotated[str, StringConstraints(max_length=MAX_PROMPT), AfterValidator(not_blank)]
    negative_prompt: Annotated[str, StringConstraints(max_length=MAX_PROMPT)] = ""
    seed: Seed = -1
    width: Side | None = None
    height: Side | None = None
    scheduler: Annotated[str, AfterValidator(canonical_name)] = ""
    image: Annotated[bytes | None, AfterValidator(_readable), Field(repr=False)] = None
    strength: Annotated[float, Field(gt=0, le=1)] = 0.6
    model_name: Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)] = ""
    api_key: SecretStr | None = None
    lora: Annotated[
        str,
        StringConstraints(max_length=300, strip_whitespace=True),
        AfterValidator(_lora_name),
    ] = ""
    lora_strength: Annotated[float, Field(ge=0, le=2)] = 1.0
    decoder: Literal["", "tiny"] = ""


def _passes_of(singles: "Sequence[ImageRequest]") -> float:
    """Of several pictures; what neither the request nor the model says is taken as of a large one."""
    areas = ((one.width or 1024) * (one.height or 1024) / 512**2 for one in singles)
    steps = (one.num_inference_steps or 50 for one in singles)
    return sum(area * (count + 1) for area, count in zip(areas, steps, strict=True))


def _steps(pictures: Iterable["ImageRequest"]) -> int:
    """Of all pictures; a hosted one, whose steps nobody knows, counts as one."""
    return sum(picture.num_inference_steps or 1 for picture in pictures)


class ImageRequest(_PictureRequest):
    """Pictures to draw; picture k has seed + k. Where a value is None or "", the model's own is used.

    Attributes:
        guidance_scale: weight of the prompt against no prompt; at 1 or below there is no guidance.
        num_inference_steps: denoising steps.
        seed: -1 draws a random one.
        width, height: in pixels, multiples of 8.
        scheduler: a name in models.text_to_image.schedulers.
        image: a PNG, JPEG or WebP file to start from instead of noise; it is cropped to the size.
        strength: how much of that picture is drawn anew, above 0 and up to 1.
        model_name: which model of the server, for hosted models; "" is the one in the settings.
        api_key: a key that a person typed, for hosted models; it is never stored.
        lora: a LoRA of the hub ("ORG/NAME", with several files "ORG/NAME:FILE.safetensors") or of the
            host's folder ("file:NAME.safetensors"); "" for none.
        lora_strength: how much of it; 1 is as it was trained, 0 is without it.
        decoder: "tiny" lets the tiny autoencoder of the model's kind (TAESD) make the pixels: much
            faster, a little softer.
    """

    guidance_scale: Guidance | None = None
    num_inference_steps: Steps | None = None
    num_images: Annotated[int, Field(ge=1, le=8)] = 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_seeds(self.seed, self.num_images)
        return self

    def with_defaults(self, spec: ModelSpec) -> Self:
        """The same request with the model's own values where it has none, and with a real seed."""
        dials = dials_of(spec)
        names = ("guidance_scale", "num_inference_steps", "width", "height")
        missing = {name: getattr(dials, name) for name in names if getattr(self, name) is None}
        return self.model_copy(update={**missing, "seed": draw_seed(self.seed)})

    @property
    def is_guided(self) -> bool:
        """Whether each step also computes the picture without the prompt."""
        return (self.guidance_scale or 0) > 1

    @property
    def start_strength(self) -> float | None:
        """The share of the steps that is taken on the start picture: one step or more; None from noise."""
        if self.image is None:
            return None
        return max(self.strength, 1 / (self.num_inference_steps or 1))

    def passes(self, spec: ModelSpec) -> float:
        """Steps and decoding of all pictures, by their size."""
        return _passes_of(self.with_defaults(spec).singles())

    @property
    def image_steps(self) -> int:
        """Of all its pictures."""
        return _steps(self.singles())

    def singles(self) -> tuple["ImageRequest", ...]:
        """A request for each picture; the seed must not be -1."""
        seeds = range(self.seed, self.seed + self.num_images)
        return tuple(self.model_copy(update={"seed": s, "num_images": 1}) for s in seeds)


class WordAttentionRequest(ImageRequest):
    """Draw one picture once more and report where each of its words looked (event WordAttention)."""

    num_images: Annotated[int, Field(ge=1, le=1)] = 1


class NoPromptRequest(ImageRequest):
    """The picture that a seed gives without a prompt; its events are those of ImageRequest."""

    prompt: Annotated[str, Field(max_length=0)] = ""


class LeaveOutRequest(ImageRequest):
    """One picture with its words, without any, and without each of them in turn; all from one seed.

    Its events are those of a grid with one row.
    """

    num_images: Annotated[int, Field(ge=1, le=1)] = 1

    @property
    def words(self) -> tuple[str, ...]:
        """The word that each picture but the first two does without."""
        return tuple(self.prompt[start:end] for start, end in drawable_words(self.prompt))

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompt of each picture: whole, empty, then without one word."""
        spans = drawable_words(self.prompt)
        return (self.prompt, "", *(leave_out(self.prompt, span) for span in spans))

    @property
    def columns(self) -> int:
        """One for each picture."""
        return len(self.prompts)

    @property
    def rows(self) -> int:
        """All stand in one row."""
        return 1

    def singles(self) -> tuple[ImageRequest, ...]:
        """A request for each picture; the seed must not be -1. One has an empty prompt."""
        values = {name: getattr(self, name) for name in ImageRequest.model_fields}
        return tuple(
            ImageRequest.model_construct(None, **(values | {"prompt": one})) for one in self.prompts
        )


class DecodeRequest(Request):
    """Show latents, such as the stages of a drawing, as the model's decoder does (LatentsDecoded).

    Attributes:
        data: latents (pictures, channels, height, width) as float16, as the scheduler leaves them.
        shape: of `data`.
        decoder: as in ImageRequest.
    """

    data: Annotated[bytes, Field(max_length=64_000_000, repr=False)]
    shape: tuple[Length, Length, Length, Length]
    decoder: Literal["", "tiny"] = ""

    def passes(self, spec: ModelSpec) -> float:
        """About one for each picture of 64 x 64 latents."""
        count, _, height, width = self.shape
        return count * height * width / 64**2

    @model_validator(mode="after")
    def _check(self) -> Self:
        if math.prod(self.shape) * 2 != len(self.data):
            raise InvalidInput("failed")
        return self


class ImageGridRequest(_PictureRequest):
    """One prompt with several settings: guidance by steps on one seed, or several seeds.

    Attributes:
        guidance_scales: one for each column; empty means the model's own value.
        step_counts: num_inference_steps, one for each row; empty means the model's own value.
        num_seeds: above 1 it is a grid of seeds (seed, seed + 1 ...), with one guidance and one
            number of steps.
    The other fields are as in ImageRequest.
    """

    guidance_scales: tuple[Guidance, ...] = ()
    step_counts: tuple[Steps, ...] = ()
    num_seeds: Annotated[int, Field(ge=1, le=MAX_CELLS)] = 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_limits()
        return self

    def _check_limits(self) -> None:
        _check_seeds(self.seed, self.num_seeds)
        settings = max(1, len(self.guidance_scales)) * max(1, len(self.step_counts))
        if self.num_seeds > 1 and settings > 1:
            raise InvalidInput("invalid_grid")
        if settings * self.num_seeds > MAX_CELLS:
            raise InvalidInput("invalid_grid_cells", limit=MAX_CELLS)
        if self.steps > MAX_GRID_STEPS:
            raise InvalidInput("invalid_grid_steps", limit=MAX_GRID_STEPS)

    @property
    def steps(self) -> int:
        """Denoising steps of all cells together."""
        return sum(self.step_counts) * max(1, len(self.guidance_scales)) * self.num_seeds

    @property
    def columns(self) -> int:
        """Cells in a row: one for each guidance; seeds stand in a near square."""
        if self.num_seeds > 1:
            return math.ceil(math.sqrt(self.num_seeds))
        return max(1, len(self.guidance_scales))

    @property
    def rows(self) -> int:
        """Rows of cells; the last row of a grid of seeds may not be full."""
        if self.num_seeds > 1:
            return math.ceil(self.num_seeds / self.columns)
        return max(1, len(self.step_counts))

    def with_defaults(self, spec: ModelSpec) -> Self:
        """The same request with the model's own values where it has none, and with a real seed.

        Raises:
            InvalidInput: with the model's number of steps it is too much work.
        """
        dials = dials_of(spec)
        update: dict[str, Any] = {"seed": draw_seed(self.seed)}
        for name in ("width", "height"):
            if getattr(self, name) is None:
                update[name] = getattr(dials, name)
        if not self.guidance_scales and dials.guidance_scale is not None:
            update["guidance_scales"] = (dials.guidance_scale,)
        if not self.step_counts and dials.num_inference_steps is not None:
            update["step_counts"] = (dials.num_inference_steps,)
        request = self.model_copy(update=update)
        request._check_limits()
        return request

    def passes(self, spec: ModelSpec) -> float:
        """Steps and decoding of all cells, by their size."""
        return _passes_of(self.with_defaults(spec).singles())

    @property
    def image_steps(self) -> int:
        """Of all its pictures."""
        return _steps(self.singles())

    def singles(self) -> tuple[ImageRequest, ...]:
        """A request for each cell, row by row; the seed must not be -1."""
        common = {name: getattr(self, name) for name in _PictureRequest.model_fields}
        settings = (
            {"num_inference_steps": steps, "guidance_scale": guidance, "seed": self.seed + k}
            for steps in self.step_counts or (None,)
            for guidance in self.guidance_scales or (None,)
            for k in range(self.num_seeds)
        )
        return tuple(ImageRequest.model_construct(None, **(common | one)) for one in settings)
