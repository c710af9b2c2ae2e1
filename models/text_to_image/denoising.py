"""Drawing the pictures of one batch with a loaded pipeline.

Stable Diffusion goes through a loop of our own, several pictures together. Every other pipeline, and a
drawing that starts from a picture, goes through the pipeline's own call, one picture at a time.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from itertools import islice
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from models.contract import ModelSpec, Notify, Stop
from models.errors import InvalidInput, ModelError
from models.text_to_image.catalog import dials_of, options_of
from models.text_to_image.events import WordAttention
from models.text_to_image.image_files import (
    crop_to_size,
    encode_png,
    format_parameters,
    sampler_name,
)
from models.text_to_image.progress import OnStep, PictureFile, Progress
from models.text_to_image.requests import ImageRequest
from models.text_to_image.schedulers import predicted_original
from models.text_to_image.unet import CompiledUNet, FastUNet
from models.text_to_image.vocabulary import Vocabulary
from models.text_to_image.word_attention import by_word, has_cross_attention, recording
from models.torch_tools import in_turn

_BATCH_LIMIT = 8  # pictures drawn together, at 512 x 512


class Denoiser:
    """Draws with a pipeline, and writes the PNG files.

    Args:
        pipe: a text-to-image pipeline; the image-to-image one is made of the same parts.
        spec: with all dials.
        compile_mode: torch.compile's mode for a UNet on CUDA; "off" elsewhere.
        vocabulary: of a model that reads its own words alone; the files keep the prompt as it was typed.
    """

    def __init__(
        self,
        pipe: Any,
        spec: ModelSpec,
        compile_mode: str = "off",
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self._pipe, self._spec = pipe, spec
        self._vocabulary = vocabulary
        self._image_pipe: Any = None
        self.loop: StableDiffusionLoop | None = None
        if StableDiffusionLoop.fits(pipe):
            program = _compiled_unet(pipe, spec, compile_mode) if compile_mode != "off" else None
            self.loop = StableDiffusionLoop(pipe, program)
        self.batch_limit = _BATCH_LIMIT if self.loop and pipe.device.type == "cuda" else 1

    def forget(self) -> None:
        """The model's layers changed (a LoRA came or went): drop what was made of them."""
        if self.loop is not None:
            self.loop.forget()

    def next_batch(
        self, requests: Sequence[ImageRequest], rest: Sequence[int], limit: int | None = None
    ) -> list[int]:
        """Which of the pictures that are left are drawn together next.

        They have the same prompt and number of steps, and all have guidance or none.

        Args:
            requests: one for each picture.
            rest: indexes of those that are not drawn yet, at least one.
            limit: at most so many; by default as many as memory is likely to hold. On a CPU it is one,
                so that each picture is exactly reproducible: a step of four of the starter's together
                takes 27 ms of a core instead of 4 x 9, but tracing that shape takes 1200 ms.
        """
        first = requests[rest[0]]
        if limit is None:
            area = (first.width or 512) * (first.height or 512)
            limit = 1 if self.batch_limit == 1 else max(1, self.batch_limit * 512 * 512 // area)
        limit = 1 if first.image is not None else min(limit, _BATCH_LIMIT)
        alike = (i for i in rest if _batch_kind(requests[i]) == _batch_kind(first))
        return list(islice(alike, limit))

    @property
    def capacity(self) -> int:
        """How many may draw at once and share passes; a pipeline's own call is not made for it."""
        return self.loop.capacity if self.loop else 1

    @property
    def waiting(self) -> int:
        """How many of these wait for others."""
        return self.loop.waiting if self.loop else 0

    def compiles(self, requests: Sequence[ImageRequest]) -> bool:
        """Whether drawing this batch compiles the UNet for its shape first, which takes minutes."""
        if self.loop is None or requests[0].image is not None:
            return False
        return self.loop.compiles(requests)

    def draw(
        self, requests: Sequence[ImageRequest], progress: Progress, scheduler: Any = None
    ) -> list[PictureFile]:
        """The pictures of one batch.

        Args:
            requests: with all values; a batch as `next_batch` makes it.
            progress: gets each step; what it raises ends the drawing before the decoder.
            scheduler: of this drawing alone, since it holds the drawing's state; by default the pipeline's.

        Raises:
            InvalidInput: the model cannot start from a picture (invalid_start_picture).
            ModelError: the numbers overflowed (nan_image).
        """
        scheduler = scheduler or self._pipe.scheduler
        if self.loop is None or requests[0].image is not None:
            drawing = self._call_pipeline(self._in_own_words(requests[0]), progress, scheduler)
            return [self._encode(requests[0], scheduler, *drawing)]
        own = [self._in_own_words(request) for request in requests]
        latents, company = self.loop.denoise(
            own, progress.step, progress.begin, scheduler, progress.stop, progress.wait
        )
        progress.meet(company)
        return [
            self._encode(request, scheduler, *self.loop.decode(latents[index : index + 1]))
            for index, request in enumerate(requests)
        ]

    def _in_own_words(self, request: ImageRequest) -> ImageRequest:
        vocabulary = self._vocabulary
        return request.model_copy(update=vocabulary.own_words(request)) if vocabulary else request

    def _call_pipeline(
        self, request: ImageRequest, progress: Progress, scheduler: Any
    ) -> tuple[Any, bool]:
        self._pipe.scheduler = scheduler
        pipe = self._pipe if request.image is None else self._image_to_image()
        with _first_input(pipe, progress.begin):
            output = pipe(
                **self._arguments(pipe, request),
                generator=torch.Generator("cpu").manual_seed(request.seed),
                callback_on_step_end=progress.on_step_end,
            )
        is_blank = getattr(output, "nsfw_content_detected", None) or [False]
        return output.images[0], bool(is_blank[0])

    def attention(self, request: ImageRequest, progress: Progress, scheduler: Any) -> WordAttention:
        """Draw a picture once more, with the pipeline's own call, and record where its words looked.

        Raises:
            InvalidInput: the model has no cross-attention or no tokenizer to read (invalid_no_attention).
        """
        tokenizer = getattr(self._pipe, "tokenizer", None)
        if not has_cross_attention(self._pipe) or not getattr(tokenizer, "is_fast", False):
            raise InvalidInput("invalid_no_attention", model=self._spec.label)
        request = self._in_own_words(request)
        with recording(self._pipe.unet) as recorder:
            self._call_pipeline(request, progress, scheduler)
        words, maps = by_word(recorder.maps, request.prompt, tokenizer)
        half = maps.astype("float16")
        return WordAttention(words, half.tobytes(), half.shape)

    def decode(self, latents: Tensor) -> bytes:
        """A PNG file of one picture's latents (1, channels, height, width), without settings in it.

        Raises:
            InvalidInput: the model's decoder does not take latents of this shape (invalid_no_stages).
        """
        vae = self._pipe.vae
        if latents.shape[1] != vae.config.get("latent_channels"):
            raise InvalidInput("invalid_no_stages", model=self._spec.label)
        latents = latents.to(self._pipe.device, vae.dtype) / vae.config.scaling_factor
        image = vae.decode(latents + (vae.config.get("shift_factor") or 0), return_dict=False)[0]
        return encode_png(self._pipe.image_processor.postprocess(image, "pil")[0], "")

    def _image_to_image(self) -> Any:
        """The image-to-image pipeline with the same weights, not a copy of them."""
        from diffusers import AutoPipelineForImage2Image

        if self._image_pipe is None:
            try:
                self._image_pipe = AutoPipelineForImage2Image.from_pipe(self._pipe)
            except ValueError:
                raise InvalidInput("invalid_start_picture", model=self._spec.label) from None
            self._image_pipe.set_progress_bar_config(disable=True)
        self._image_pipe.scheduler = self._pipe.scheduler
        if self._image_pipe.vae is not self._pipe.vae:
            self._image_pipe.register_modules(vae=self._pipe.vae)
        return self._image_pipe

    def _arguments(self, pipe: Any, request: ImageRequest) -> dict[str, Any]:
        """The request's values that the pipeline takes, by its names."""
        values: dict[str, Any] = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt or None,
            "guidance_scale": request.guidance_scale,
            "num_inference_steps": request.num_inference_steps,
            "width": request.width,
            "height": request.height,
            "output_type": "np",
        }
        if request.image is not None:
            values["image"] = crop_to_size(request.image, request.width or 0, request.height or 0)
            values["strength"] = request.start_strength
        parameters = signature(pipe.__call__).parameters
        return {
            name: parameters[name].default if value is None else value
            for name, value in values.items()
            if name in parameters
        }

    def _encode(
        self, request: ImageRequest, scheduler: Any, pixels: Any, is_blank: bool
    ) -> PictureFile:
        """A PNG file of pixels (height, width, 3) from 0 to 1."""
        import numpy as np
        from PIL import Image

        if not np.isfinite(pixels).all():
            raise ModelError("nan_image", model=self._spec.label)
        lora = request.lora if request.lora_strength else ""
        values = {
            "Steps": request.num_inference_steps,
            "Sampler": sampler_name(type(scheduler).__name__, scheduler.config),
            "CFG scale": request.guidance_scale,
            "Seed": request.seed,
            "Size": f"{request.width}x{request.height}",
            "Model": self._spec.id,
            "Denoising strength": request.strength if request.image is not None else None,
            "LoRA": lora or None,
            "LoRA strength": request.lora_strength if lora else None,
            "Decoder": request.decoder or None,
            "Version": "GenLab",
        }
        parameters = format_parameters(request.prompt, request.negative_prompt, values)
        image = Image.fromarray((pixels * 255).round().astype("uint8"))
        return PictureFile(encode_png(image, parameters), is_blank)


def _batch_kind(request: ImageRequest) -> tuple[Any, ...]:
    parts = (request.lora, request.lora_strength, request.decoder)
    return request.prompt, request.num_inference_steps, request.is_guided, *parts


@contextmanager
def _first_input(pipe: Any, begin: Callable[[Tensor], None]) -> Generator[None]:
    """Within it `begin` gets the latents that the pipeline's model is called with first, if 4-D."""
    model: Any = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)

    def look(_: Any, args: tuple[Any, ...], values: dict[str, Any]) -> None:
        hook.remove()
        latents = args[0] if args else values.get("hidden_states", values.get("sample"))
        if isinstance(latents, Tensor) and latents.ndim == 4:
            begin(latents[-1:])

    hook = model.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _compiled_unet(pipe: Any, spec: ModelSpec, mode: str) -> CompiledUNet:
    dials, scale = dials_of(spec), pipe.vae_scale_factor
    pixels = {(dials.width or 0, dials.height or 0), *options_of(spec).sizes}
    return CompiledUNet(pipe.unet, mode, {(high // scale, wide // scale) for wide, high in pixels})


class StableDiffusionLoop:
    """Stable Diffusion's denoising loop: several pictures together, each as if it were drawn alone.

    The pipeline's own parts do the work (text encoder, scheduler, decoder, safety checker). The
    differences: every picture has its own generator and its own guidance, the model's newest output is
    there for the preview, and pictures are decoded one at a time, so that a stop never waits for eight.

    Args:
        pipe: a StableDiffusionPipeline. Pictures drawn together share prompt, size, steps and scheduler.
        program: called instead of the pipeline's UNet.
    """

    def __init__(self, pipe: Any, program: CompiledUNet | None = None) -> None:
        self._pipe = pipe
        self._unet: CompiledUNet | FastUNet
        if program is not None:
            # It takes minutes a shape: at the first use, so that the page can say so.
            self._unet = program
            return
        self._unet = FastUNet(pipe.unet)
        in_turn(pipe.tokenizer)
        side, tokens = pipe.unet.config.sample_size, pipe.tokenizer.model_max_length
        if isinstance(side, int):  # the usual shape: one guided picture of the model's own size
            self._unet.prepare((2, pipe.unet.config.in_channels, side, side, tokens))

    @property
    def capacity(self) -> int:
        """How many drawings at once gain by it."""
        return self._unet.capacity

    @property
    def waiting(self) -> int:
        """How many of these wait for others."""
        return self._unet.waiting

    def forget(self) -> None:
        """Drop what was made of the UNet's layers."""
        self._unet.forget()

    @classmethod
    def fits(cls, pipe: Any) -> bool:
        """Whether this loop does what the pipeline's own call does."""
        plain = type(pipe).__name__ == "StableDiffusionPipeline"
        return plain and pipe.unet.config.time_cond_proj_dim is None

    def compiles(self, requests: Sequence[ImageRequest]) -> bool:
        """Whether the UNet is compiled first for these pictures together."""
        if not isinstance(self._unet, CompiledUNet):
            return False
        scale, first = self._pipe.vae_scale_factor, requests[0]
        batch = len(requests) * (1 + first.is_guided)
        height, width = (first.height or 0) // scale, (first.width or 0) // scale
        return self._unet.compiles((batch, self._pipe.unet.config.in_channels, height, width))

    def denoise(
        self,
        requests: Sequence[ImageRequest],
        on_step: OnStep,
        on_start: Callable[[Tensor], None] | None = None,
        scheduler: Any = None,
        stop: Stop | None = None,
        notify: Notify = lambda _: None,
    ) -> tuple[Tensor, int]:
        """Draw as far as the decoder.

        Args:
            requests: all with guidance or all without.
            on_step: called after each pass; what it raises ends the loop.
            on_start: called with the noise before the first.
            scheduler: of this drawing; by default the pipeline's own, which no other may use meanwhile.
            stop: ends the wait for a place among those who draw.
            notify: is called with Waiting meanwhile.

        Returns:
            Latents of the finished pictures (pictures, channels, height, width), and of how many pictures
            of others at the same time, these included, rows were computed together.
        """
        pipe, first = self._pipe, requests[0]
        text = self._encode_text(first, len(requests))
        scheduler = scheduler or pipe.scheduler
        scheduler.set_timesteps(first.num_inference_steps, device=pipe.device)
        if hasattr(scheduler, "set_begin_index"):  # else it searches, which makes a GPU wait
            scheduler.set_begin_index(0)
        generators = [torch.Generator("cpu").manual_seed(request.seed) for request in requests]
        latents = self._noise(first, generators) * scheduler.init_noise_sigma
        if on_start is not None:
            on_start(latents)
        takes_generators = "generator" in signature(scheduler.step).parameters
        extra = {"generator": generators} if takes_generators else {}
        scale = torch.tensor([one.guidance_scale or 0 for one in requests], dtype=latents.dtype)
        scale = scale.to(latents.device).view(-1, 1, 1, 1)
        gpu_queue = GpuQueue(pipe.device.type)
        with self._unet.drawing(stop or Stop(), notify) as drawing:
            for index, timestep in enumerate(scheduler.timesteps):
                inputs = torch.cat([latents, latents]) if first.is_guided else latents
                output = self._unet(scheduler.scale_model_input(inputs, timestep), timestep, text)
                if first.is_guided:
                    without, with_text = output.chunk(2)
                    output = without + scale * (with_text - without)
                before = latents
                latents = scheduler.step(output, timestep, latents, **extra, return_dict=False)[0]
                gpu_queue.wait()
                predict = partial(predicted_original, scheduler, before, output, timestep, index)
                on_step(index, len(scheduler.timesteps), latents, predict)
        return latents, drawing.company

    def decode(self, latents: Tensor) -> tuple[Any, bool]:
        """Pixels (height, width, 3) from 0 to 1 of one picture's latents; whether the checker blanked it."""
        pipe = self._pipe
        image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
        image, is_blank = pipe.run_safety_checker(image, pipe.device, pipe.text_encoder.dtype)
        blank = bool(is_blank and is_blank[0])  # then the pixels are zeros, which must stay black
        pixels = pipe.image_processor.postprocess(image, "np", do_denormalize=[not blank])[0]
        return pixels, blank

    def _encode_text(self, request: ImageRequest, count: int) -> Tensor:
        """The text encoder's output for each picture; with guidance, first for the negative prompt."""
        has_guidance = request.is_guided
        positive, negative = self._pipe.encode_prompt(
            request.prompt, self._pipe.device, 1, has_guidance, request.negative_prompt or None
        )
        parts = [negative, positive] if has_guidance else [positive]
        return torch.cat([part.expand(count, -1, -1) for part in parts])

    def _noise(self, request: ImageRequest, generators: list[torch.Generator]) -> Tensor:
        unet, scale = self._pipe.unet, self._pipe.vae_scale_factor
        sides = (request.height or 0) // scale, (request.width or 0) // scale
        shape = (len(generators), unet.config.in_channels, *sides)
        return randn_tensor(shape, generators, self._pipe.device, unet.dtype)


class GpuQueue:
    """Keeps the program at most one step ahead of a GPU, so that a step that is reported is really done."""

    def __init__(self, device: str) -> None:
        self._on_gpu = device == "cuda"
        self._last: Any = None

    def wait(self) -> None:
        """A step was sent to the GPU: wait until the one before it is done."""
        if not self._on_gpu:
            return
        event = torch.cuda.Event()
        event.record()
        if self._last is not None:
            self._last.synchronize()
        self._last = event
