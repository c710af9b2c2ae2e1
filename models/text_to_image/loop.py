"""Stable Diffusion's denoising in a loop of our own: several pictures together, each by itself.

The pipeline's own parts do the work (text encoder, scheduler, decoder, safety checker). What is
different: every picture has its generator and its guidance, the newest guess of the model is at hand for
the preview, and a picture is decoded alone, so that a stop never waits for eight decoders.
"""

from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

from models.text_to_image.compiled import CompiledUNet
from models.text_to_image.preview import foreseen
from models.text_to_image.requests import ImageRequest
from models.text_to_image.unet import FastUNet

if TYPE_CHECKING:
    from torch import Tensor

# The step from 0, how many there are, what gives the foreseen latents, and the latents after it.
Seen = Callable[[int, int, Callable[[], "Tensor"], "Tensor"], None]


class Loop:
    """The loop over one pipeline. Pictures drawn together share prompt, size, steps and scheduler.

    Args:
        pipe: a StableDiffusionPipeline.
        compiled: asked instead of the pipeline's UNet.
    """

    def __init__(self, pipe: Any, compiled: CompiledUNet | None = None) -> None:
        self._pipe = pipe
        self._unet: CompiledUNet | FastUNet
        if compiled is not None:  # minutes a shape: at its first use, where the page can say so
            self._unet = compiled
            return
        self._unet = FastUNet(pipe.unet)
        side, tokens = pipe.unet.config.sample_size, pipe.tokenizer.model_max_length
        if isinstance(side, int):  # the usual one: a guided picture of its own size
            self._unet.prepare((2, pipe.unet.config.in_channels, side, side, tokens))

    def compiles(self, cells: Sequence[ImageRequest]) -> bool:
        """Whether the UNet is compiled first for these pictures together: `latents` will take minutes."""
        if not isinstance(self._unet, CompiledUNet):
            return False
        scale, asked = self._pipe.vae_scale_factor, cells[0]
        batch = len(cells) * (1 + ((asked.guidance_scale or 0) > 1))
        height, width = (asked.height or 0) // scale, (asked.width or 0) // scale
        return self._unet.compiles((batch, self._pipe.unet.config.in_channels, height, width))

    @classmethod
    def fits(cls, pipe: Any) -> bool:
        """Whether the pipeline is one whose steps these are."""
        plain = type(pipe).__name__ == "StableDiffusionPipeline"
        return plain and pipe.unet.config.time_cond_proj_dim is None

    def latents(self, cells: Sequence[ImageRequest], step: Seen) -> "Tensor":
        """Denoise: (pictures, channels, height, width), as the decoder takes them.

        Args:
            cells: all guided (guidance over 1) or none.
            step: is told each pass; what it raises ends the loop.
        """
        import torch

        pipe, asked = self._pipe, cells[0]
        guided = (asked.guidance_scale or 0) > 1
        text = self._text(asked, guided, len(cells))
        scheduler = pipe.scheduler
        scheduler.set_timesteps(asked.num_inference_steps, device=pipe.device)
        if hasattr(scheduler, "set_begin_index"):  # else it searches, which makes a GPU wait
            scheduler.set_begin_index(0)
        chance = [torch.Generator("cpu").manual_seed(cell.seed) for cell in cells]
        latents = self._noise(asked, chance)
        extra = {"generator": chance} if "generator" in signature(scheduler.step).parameters else {}
        scale = torch.tensor([cell.guidance_scale or 0 for cell in cells], dtype=latents.dtype)
        scale = scale.to(latents.device).view(-1, 1, 1, 1)
        pace = Pace(pipe.device.type)
        for index, now in enumerate(scheduler.timesteps):
            twice = torch.cat([latents, latents]) if guided else latents
            guess = self._unet(scheduler.scale_model_input(twice, now), now, text)
            if guided:
                without, with_text = guess.chunk(2)
                guess = without + scale * (with_text - without)
            before = latents
            latents = scheduler.step(guess, now, latents, **extra, return_dict=False)[0]
            pace.keep()
            seen = partial(foreseen, scheduler, before, guess, now, index)
            step(index, len(scheduler.timesteps), seen, latents)
        return latents

    def decoded(self, latents: "Tensor") -> tuple[Any, bool]:
        """Pixels (height, width, 3) from 0 to 1 of one picture's latents, and the checker's verdict."""
        pipe = self._pipe
        image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
        image, flagged = pipe.run_safety_checker(image, pipe.device, pipe.text_encoder.dtype)
        blank = bool(flagged and flagged[0])  # then zeros that are to stay black
        pixels = pipe.image_processor.postprocess(image, "np", do_denormalize=[not blank])[0]
        return pixels, blank

    def _text(self, asked: ImageRequest, guided: bool, count: int) -> "Tensor":
        """What the text encoder says, as often as there are pictures: first the negative prompt."""
        import torch

        said, unsaid = self._pipe.encode_prompt(
            asked.prompt, self._pipe.device, 1, guided, asked.negative_prompt or None
        )
        parts = [unsaid, said] if guided else [said]
        return torch.cat([part.expand(count, -1, -1) for part in parts])

    def _noise(self, asked: ImageRequest, chance: "list[Any]") -> "Tensor":
        unet = self._pipe.unet
        return self._pipe.prepare_latents(
            len(chance),
            unet.config.in_channels,
            asked.height,
            asked.width,
            unet.dtype,
            self._pipe.device,
            chance,
            None,
        )


class Pace:
    """Keeps the program at most one step ahead of a GPU, so that "step" and "stop" mean now."""

    def __init__(self, device: str) -> None:
        self._on_gpu = device == "cuda"
        self._last: Any = None

    def keep(self) -> None:
        """A step was sent to the GPU: wait for the one before it."""
        if not self._on_gpu:
            return
        import torch

        sent = torch.cuda.Event()
        sent.record()
        if self._last is not None:
            self._last.synchronize()
        self._last = sent
