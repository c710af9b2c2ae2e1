"""Requests for pictures: a few of one kind, or a grid that shows what the settings do."""

import math
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from models.contract import ModelSpec, Request
from models.errors import InvalidInput
from models.fields import MAX_SEED, Seed, draw_seed, not_blank
from models.text_to_image.picture import opened
from models.text_to_image.schedulers import known

MAX_CELLS = 36  # of a grid: as many as a page shows at once
MAX_GRID_STEPS = 1500  # of a grid in all: six by six at 40 steps


def _readable(picture: bytes | None) -> bytes | None:
    if picture is not None:
        opened(picture)
    return picture


def _check_seeds(seed: int, count: int) -> None:
    """Each picture's own seed is one that can be asked for alone."""
    if seed > MAX_SEED - count + 1:
        raise InvalidInput("invalid_le", field="seed", limit=MAX_SEED - count + 1)


Side = Annotated[int, Field(ge=64, le=2048, multiple_of=8)]
Guidance = Annotated[float, Field(ge=0, le=30)]
Steps = Annotated[int, Field(ge=1, le=150)]


class _Drawing(Request):
    prompt: Annotated[str, StringConstraints(max_length=2000), AfterValidator(not_blank)]
    negative_prompt: Annotated[str, StringConstraints(max_length=2000)] = ""
    seed: Seed = -1
    width: Side | None = None
    height: Side | None = None
    scheduler: Annotated[str, AfterValidator(known)] = ""
    image: Annotated[bytes | None, AfterValidator(_readable), Field(repr=False)] = None
    strength: Annotated[float, Field(gt=0, le=1)] = 0.6
    model_name: Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)] = ""
    api_key: SecretStr | None = None


class ImageRequest(_Drawing):
    """Pictures to draw; image k has seed + k. What is None or "" is the model's own to choose.

    Attributes:
        guidance_scale: weight of the prompt against no prompt; at 1 or below it is off.
        num_inference_steps: denoising steps.
        seed: -1 draws one.
        width, height: in pixels, in eights.
        scheduler: a name of models.text_to_image.schedulers.
        image: a PNG, JPEG or WebP file to start from instead of noise; cropped to the size.
        strength: how much of that picture is drawn anew, over 0 to 1.
        model_name: which model of the server, for hosted models; "" takes the host's choice.
        api_key: a key the person typed, for hosted models; never kept.
    """

    guidance_scale: Guidance | None = None
    num_inference_steps: Steps | None = None
    num_images: Annotated[int, Field(ge=1, le=8)] = 1

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        _check_seeds(self.seed, self.num_images)
        return self

    def filled(self, spec: ModelSpec) -> Self:
        """The same request with the model's defaults where a value was left out, and a drawn seed."""
        names = ("guidance_scale", "num_inference_steps", "width", "height")
        missing = {
            n: spec.defaults[n] for n in names if getattr(self, n) is None and n in spec.defaults
        }
        return self.model_copy(update={**missing, "seed": draw_seed(self.seed)})

    def singles(self) -> tuple["ImageRequest", ...]:
        """The request of each picture alone; the seed must be drawn."""
        seeds = range(self.seed, self.seed + self.num_images)
        return tuple(self.model_copy(update={"seed": s, "num_images": 1}) for s in seeds)


class ImageGridRequest(_Drawing):
    """One prompt drawn with several settings: guidance x steps on one seed, or several seeds.

    Attributes:
        guidance_scales: one a column; empty takes the model's own value.
        step_counts: num_inference_steps, one a row; empty takes the model's own value.
        num_seeds: over 1 makes it a grid of seeds (seed, seed + 1 ...), with one guidance and one
            number of steps.
    The rest is as in ImageRequest.
    """

    guidance_scales: tuple[Guidance, ...] = ()
    step_counts: tuple[Steps, ...] = ()
    num_seeds: Annotated[int, Field(ge=1, le=MAX_CELLS)] = 1

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        self._check()
        return self

    def _check(self) -> None:
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
        """Denoising steps in all."""
        return sum(self.step_counts) * max(1, len(self.guidance_scales)) * self.num_seeds

    @property
    def columns(self) -> int:
        """Cells in a row: one a guidance, or a near square of seeds."""
        if self.num_seeds > 1:
            return math.ceil(math.sqrt(self.num_seeds))
        return max(1, len(self.guidance_scales))

    @property
    def rows(self) -> int:
        """Rows of cells; the last row of a grid of seeds may be short."""
        if self.num_seeds > 1:
            return math.ceil(self.num_seeds / self.columns)
        return max(1, len(self.step_counts))

    def filled(self, spec: ModelSpec) -> Self:
        """The same request with the model's defaults where a value was left out, and a drawn seed.

        Raises:
            InvalidInput: with the model's number of steps it is too much.
        """
        own = spec.defaults
        missing = {n: own[n] for n in ("width", "height") if getattr(self, n) is None and n in own}
        for name, default in (
            ("guidance_scales", "guidance_scale"),
            ("step_counts", "num_inference_steps"),
        ):
            if not getattr(self, name) and default in own:
                missing[name] = (own[default],)
        filled = self.model_copy(update={**missing, "seed": draw_seed(self.seed)})
        filled._check()
        return filled

    def cells(self) -> tuple[ImageRequest, ...]:
        """The request of each cell alone, row by row; the seed must be drawn."""
        shared = {name: getattr(self, name) for name in _Drawing.model_fields}
        if self.num_seeds > 1:
            shared |= {"guidance_scale": next(iter(self.guidance_scales), None)}
            shared |= {"num_inference_steps": next(iter(self.step_counts), None)}
            alone = [shared | {"seed": self.seed + k} for k in range(self.num_seeds)]
        else:
            alone = [
                shared | {"guidance_scale": guidance, "num_inference_steps": steps}
                for steps in self.step_counts or (None,)
                for guidance in self.guidance_scales or (None,)
            ]
        return tuple(ImageRequest.model_construct(None, **one) for one in alone)
