"""Text-to-image on this machine: any diffusers pipeline, from the starter to Stable Diffusion."""

import copy
import gc
import json
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, Self

import torch

from models.contract import Event, ModelSpec, Notify, Placement, Stop, WarmingUp
from models.errors import (
    Damaged,
    InvalidInput,
    NotFound,
    OutOfMemory,
    Refused,
    Stopped,
    as_model_error,
)
from models.runtime.blocking import in_thread
from models.runtime.placement import free_memory
from models.settings import Settings
from models.text_to_image import single_file
from models.text_to_image.catalog import ImageDials, dials_of, options_of
from models.text_to_image.denoising import Denoiser
from models.text_to_image.events import LatentsDecoded
from models.text_to_image.parts import PipelineParts
from models.text_to_image.progress import LatentColours, PictureFile, Progress
from models.text_to_image.requests import (
    DecodeRequest,
    ImageGridRequest,
    ImageRequest,
    WordAttentionRequest,
)
from models.text_to_image.schedulers import build_scheduler, count_passes
from models.text_to_image.vocabulary import Vocabulary, words_past_limit
from models.torch_tools import weights_bytes
from models.weights import safetensors_files
from models.weights.sources import damaged_starter

PictureRequest = ImageRequest | ImageGridRequest


class DiffusersTextToImage:
    """A diffusers pipeline. Noise comes from CPU generators: a seed means one picture on every device."""

    def __init__(
        self,
        pipe: Any,
        spec: ModelSpec,
        placement: Placement,
        vocabulary: Vocabulary | None,
        compile_mode: str = "off",
        settings: Settings | None = None,
    ) -> None:
        self._pipe = pipe
        self._spec = replace(spec, dials=dials_of(spec).or_else(_pipeline_dials(pipe)))
        self._options = options_of(spec)
        self._placement = placement
        self._vocabulary = vocabulary
        self._own_scheduler = pipe.scheduler
        self._colours = LatentColours.fit(pipe)
        self._denoiser = Denoiser(pipe, self._spec, compile_mode, vocabulary)
        self._parts = PipelineParts(
            pipe,
            self._spec,
            placement,
            settings or Settings.model_validate({}),
            self._denoiser.forget,
        )

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
        vocabulary = None if spec.scheme == "file" else Vocabulary.read(folder)
        return cls(pipe, spec, placement, vocabulary, mode, settings)

    def capacity(self, request: PictureRequest | DecodeRequest) -> int:
        """How many may be at work while this request is: several where their drawings share passes.

        A drawing from a picture and a look at the words go through the pipeline, which holds their state;
        a LoRA and another decoder change it.
        """
        alone = (
            isinstance(request, WordAttentionRequest)
            or getattr(request, "image", None) is not None
            or bool(getattr(request, "lora", ""))
            or bool(request.decoder)
        )
        return 1 if alone else self._denoiser.capacity

    @property
    def waiting(self) -> int:
        """How many of those at work wait for others among them."""
        return self._denoiser.waiting

    def nbytes(self) -> int:
        """Bytes of weights held by all parts of the pipeline."""
        parts = self._pipe.components.values()
        own = sum(weights_bytes(part) for part in parts if isinstance(part, torch.nn.Module))
        return own + self._parts.nbytes()

    def stream(self, request: PictureRequest | DecodeRequest, stop: Stop) -> Generator[Event]:
        """Draw the pictures of a request, or the cells of a grid; or look closer at a drawing.

        Yields:
            Downloading while a LoRA or the tiny decoder is fetched.
            Waiting while as many draw as a pass holds.
            WarmingUp before the first picture of a shape, where the model is compiled.
            StepDone for each step.
            ImagesDone each time pictures are finished, with all that are finished so far.
            For a grid and for words left out instead CellDone for each cell, and last GridDone.
            For WordAttentionRequest StepDone and last WordAttention; for DecodeRequest LatentsDecoded.

        Raises:
            InvalidInput: a lens that the model does not have (invalid_no_attention, invalid_no_stages);
                a size that the model does not draw (invalid_size), a setting out of its
                range (invalid_le, invalid_ge), a scheduler or start picture that it cannot take, or a
                prompt without any word that a starter knows (invalid_unknown_words).
            ModelError: a LoRA or decoder that does not fit or cannot be had (as PipelineParts.fit); the numbers overflowed (nan_image).
            Stopped: stop was set; within one step.
        """
        if isinstance(request, DecodeRequest):
            yield from self._fit(request, stop)
            yield from in_thread(lambda emit: self._decode(request, emit, stop), stop)
            return
        request = request.with_defaults(self._spec)
        singles = request.singles()
        self._check(singles)
        yield from self._fit(request, stop)
        original = build_scheduler(self._own_scheduler, request.scheduler, self._spec.label)
        # A scheduler holds the state of a drawing, and others may draw too.
        scheduler = copy.deepcopy(original)
        yield from in_thread(
            lambda emit: self._draw_all(request, singles, scheduler, emit, stop), stop
        )

    def _fit(self, request: PictureRequest | DecodeRequest, stop: Stop) -> Generator[Event]:
        """Put in what the request adds to the pipeline, and take out what the one before added."""
        yield from in_thread(lambda emit: self._parts.fit(request, emit, stop), stop)

    def _check(self, singles: Sequence[ImageRequest]) -> None:
        first, label = singles[0], self._spec.label
        vocabulary, prompt = self._vocabulary, first.prompt  # "": what a seed gives by itself
        if vocabulary is not None and prompt and not vocabulary.says_something(prompt):
            raise InvalidInput("invalid_unknown_words", model=label)
        own_size = native_size(self._pipe)
        for side, own in zip((first.width, first.height), own_size, strict=True):
            low, high = (own, own) if self._spec.starter else (own // 2, own * 2)
            if side is not None and not low <= side <= high:
                code = "invalid_size_one" if low == high else "invalid_size"
                raise InvalidInput(code, model=label, own=own, low=low, high=high)
        for single in singles:
            for field in ("guidance_scale", "num_inference_steps"):
                _check_range(field, getattr(single, field), self._options.limits(field))

    # ------------------------------------------------------------ the work, in its own thread

    def _draw_all(
        self,
        request: PictureRequest,
        singles: Sequence[ImageRequest],
        scheduler: Any,
        emit: Notify,
        stop: Stop,
    ) -> None:
        if self._placement.threads:  # OpenMP has a number for each calling thread
            torch.set_num_threads(self._placement.threads)
        vocabulary = self._vocabulary
        reading = vocabulary.reading(request.prompt) if vocabulary else request.prompt
        cut = words_past_limit(reading, self._tokenizers())
        unknown = (
            vocabulary.unknown(f"{request.prompt} {request.negative_prompt}") if vocabulary else ()
        )
        if not unknown:
            reading = ""
        passes = [
            count_passes(scheduler, one.num_inference_steps or 1, one.start_strength)
            for one in singles
        ]
        progress = Progress(request, passes, self._colours, emit, stop, cut, unknown, reading)
        if isinstance(request, WordAttentionRequest):
            progress.start([0])
            with torch.inference_mode():
                emit(self._denoiser.attention(singles[0], progress, scheduler))
            return
        limit: int | None = None
        rest = list(range(len(singles)))
        while rest:
            batch = self._denoiser.next_batch(singles, rest, limit)
            together = [singles[index] for index in batch]
            if self._denoiser.compiles(together):
                emit(WarmingUp(self._spec))
            progress.start(batch)
            pictures = self._draw_batch(together, progress, scheduler)
            if pictures is None:  # out of memory: from now on half as many together
                limit = len(batch) // 2
                if not limit:
                    raise self._too_large(together[0], scheduler)
                continue
            progress.finish(pictures)
            rest = [index for index in rest if index not in batch]
        progress.end()

    def _decode(self, request: DecodeRequest, emit: Notify, stop: Stop) -> None:
        if self._placement.threads:
            torch.set_num_threads(self._placement.threads)
        data = torch.frombuffer(bytearray(request.data), dtype=torch.float16).view(request.shape)
        with torch.inference_mode():
            for index, latents in enumerate(data.float().split(1)):
                if stop.is_set():
                    raise Stopped
                emit(LatentsDecoded((self._denoiser.decode(latents),), index))

    def _tokenizers(self) -> list[Any]:
        names = ("tokenizer", "tokenizer_2", "tokenizer_3")
        tokenizers = [getattr(self._pipe, name, None) for name in names]
        return [one for one in tokenizers if getattr(one, "is_fast", False)]

    def _draw_batch(
        self, requests: Sequence[ImageRequest], progress: Progress, scheduler: Any
    ) -> list[PictureFile] | None:
        """The pictures; None if there was not enough memory, which is free again by then."""
        try:
            with torch.inference_mode():
                return self._denoiser.draw(requests, progress, scheduler)
        except Exception as error:
            if not isinstance(as_model_error(error), OutOfMemory):
                raise
        gc.collect()  # here the exception, whose frames hold the batch's tensors, is gone
        if self._placement.device == "cuda":
            torch.cuda.empty_cache()
        return None

    def _too_large(self, request: ImageRequest, scheduler: Any) -> OutOfMemory:
        """The error that names the model's largest size that fits: each is tried with one step."""
        area = (request.width or 0) * (request.height or 0)
        for width, height in sorted(self._options.sizes, key=lambda size: -size[0] * size[1]):
            update = {"width": width, "height": height, "num_inference_steps": 1, "num_images": 1}
            trial = request.model_copy(update=update)
            progress = Progress(trial, [1], None, lambda _: None, Stop())
            progress.start([0])
            if width * height < area and self._draw_batch([trial], progress, scheduler):
                fits = f"{width} × {height}"
                return OutOfMemory(
                    "out_of_memory_size", width=request.width, height=request.height, fits=fits
                )
        return OutOfMemory()


def _check_range(field: str, value: float | None, limits: tuple[float, float] | None) -> None:
    if value is None or limits is None:
        return
    low, high = limits
    if value < low:
        raise InvalidInput("invalid_ge", field=field, limit=low)
    if value > high:
        raise InvalidInput("invalid_le", field=field, limit=high)


def _pipeline_dials(pipe: Any) -> ImageDials:
    """The defaults of the pipeline's own call, and its native size."""
    parameters = signature(pipe.__call__).parameters
    width, height = native_size(pipe)
    own = {"guidance_scale": 0.0, "num_inference_steps": 50}
    for name in own:
        if name in parameters and isinstance(parameters[name].default, int | float):
            own[name] = parameters[name].default
    return ImageDials(width, height, own["guidance_scale"], int(own["num_inference_steps"]))


# ---------------------------------------------------------------- reading a folder

INDEX = "model_index.json"


def load_pipeline(spec: ModelSpec, folder: Path, placement: Placement) -> Any:
    """The text-to-image pipeline of a folder, placed; never from pickles, never with its own code.

    Raises:
        Damaged: a file is missing or broken; of a starter with the command that rebuilds it.
        NotFound: the folder holds no text-to-image pipeline (not_found_task).
        Refused: its weights are pickles (refused_pickle).
        OutOfMemory: it does not fit.
    """
    _check(spec, folder)
    _require_memory(spec, folder, placement)
    try:
        pipe = _read(spec, folder, placement).to(placement.device)
    except Exception as error:
        problem = as_model_error(error)
        if problem.code != "failed":
            raise problem from None
        bad_file = None if spec.scheme == "file" else _broken_file(folder)
        if bad_file is None:
            raise
        raise _damage(spec, bad_file) from None
    if not _takes_only_text(pipe):
        raise NotFound("not_found_task", model=spec.label)
    pipe.set_progress_bar_config(disable=True)
    if placement.device == "cpu":
        _channels_last(pipe)
    return pipe


def _check(spec: ModelSpec, folder: Path) -> None:
    if spec.starter or spec.scheme == "file":
        return
    if not (folder / INDEX).is_file():
        raise NotFound("not_found_task", model=spec.label)
    if not any(folder.glob("*/*.safetensors")):
        raise Refused("refused_pickle", model=spec.label)


def _require_memory(spec: ModelSpec, folder: Path, placement: Placement) -> None:
    """Refuse what does not fit into what is free now, by the headers of its files.

    Raises:
        OutOfMemory: out_of_memory_limit.
    """
    if spec.starter or placement.device != "cpu":
        return
    if spec.scheme == "file":
        files = [single_file.path_in(spec, folder)]
    else:
        half = bool(variant(folder, placement.dtype))
        every = folder.glob("*/*.safetensors")
        files = [file for file in every if (".fp16." in file.name) == half]
    with suppress(Damaged):  # said where it is read
        numbers = sum(safetensors_files.read(file).numbers for file in files)
        size, free = numbers * (4 if placement.dtype == "float32" else 2), free_memory()
        if size > free:
            raise OutOfMemory("out_of_memory_limit", needed=size / 1e9, limit=free / 1e9)


def _damage(spec: ModelSpec, file: str) -> Damaged:
    if spec.starter:
        return damaged_starter(spec.name, f"models/starter/{spec.name}/{file}")
    return Damaged("damaged_download", model=spec.label, file=file)


def _read(spec: ModelSpec, folder: Path, placement: Placement) -> Any:
    import torch
    from diffusers import AutoPipelineForText2Image, DiffusionPipeline
    from diffusers.utils import logging
    from transformers.utils import logging as transformers_logging

    from models.text_to_image.autoencoder import PipelineAutoencoder, needs_adapter

    logging.set_verbosity_error()  # its warnings quote the prompt
    logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    if spec.scheme == "file":
        return single_file.load(spec, single_file.path_in(spec, folder), placement)
    options: dict[str, Any] = {
        "dtype": getattr(torch, placement.dtype),
        "variant": variant(folder, placement.dtype),
        "use_safetensors": True,
        "local_files_only": True,
    }
    if needs_adapter(folder):
        own = {name: value for name, value in options.items() if name != "dtype"}
        vae = PipelineAutoencoder.from_pretrained(folder, subfolder="vae", **own)
        options["vae"] = vae.to(options["dtype"])
    try:
        return AutoPipelineForText2Image.from_pretrained(folder, **options)
    except ValueError as error:
        if "can't find a pipeline linked to" not in str(error):
            raise
    return DiffusionPipeline.from_pretrained(folder, **options)


def variant(folder: Path, dtype: str) -> str | None:
    """Which files to read: "fp16" if half-precision files are there and wanted, or are all there is."""
    files = [file.name for file in folder.glob("*/*.safetensors")]
    half = [name for name in files if ".fp16." in name]
    return "fp16" if half and (dtype != "float32" or len(half) == len(files)) else None


def _takes_only_text(pipe: Any) -> bool:
    parameters = signature(pipe.__call__).parameters
    necessary = {name for name, one in parameters.items() if one.default is one.empty}
    module = type(pipe).__module__
    edits = any(word in module for word in ("img2img", "inpaint", "upscale", "video", "audio"))
    return (
        "prompt" in parameters
        and not necessary & {"image", "mask_image", "control_image"}
        and not edits
    )


def _channels_last(pipe: Any) -> None:
    import torch

    for name in ("unet", "vae"):
        if getattr(pipe, name, None) is not None:
            getattr(pipe, name).to(memory_format=torch.channels_last)


def _broken_file(folder: Path) -> str | None:
    """The first file of a diffusers folder that is missing or cannot be read; None if all can."""
    from models.torch_tools import broken_file

    if not (folder / INDEX).is_file():
        return INDEX
    return broken_file(folder) or _missing_part(folder)


def _missing_part(folder: Path) -> str | None:
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    for name, classes in index.items():
        if not isinstance(classes, list) or classes[0] is None:
            continue
        weights = list((folder / name).glob("*.safetensors"))
        if name in {"unet", "vae", "text_encoder"} and not weights:
            return f"{name}/*.safetensors"
        if not (folder / name).is_dir():
            return name
    return None


def native_size(pipe: Any) -> tuple[int, int]:
    """Width and height in pixels that the model was trained at."""
    scale = getattr(pipe, "vae_scale_factor", 8)
    side = getattr(pipe, "default_sample_size", None)
    if getattr(pipe, "unet", None) is not None:
        side = pipe.unet.config.sample_size
    elif side is None:
        side = 1024 // scale
    height, width = (side, side) if isinstance(side, int) else side
    return width * scale, height * scale
