"""A Stable Diffusion UNet asked many times with the same shapes, faster than as it was loaded.

On a CPU a tiny UNet is made into a program for each shape (traced.py), and the two halves of guidance
run on two cores, since more threads within a product of this size only wait for each other. A large one
is left as it is: there arithmetic is all. On CUDA see compiled.py.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from models.runtime.placement import cores

if TYPE_CHECKING:
    from torch import Tensor

_SMALL = 50_000_000  # parameters: v1-4 has 860 million
_SHAPES = 4  # programs kept; each holds a copy of the weights in the order of its convolutions


class FastUNet:
    """Calls a UNet2DConditionModel.

    Args:
        unet: in evaluation mode, placed.
    """

    def __init__(self, unet: Any) -> None:
        from models.text_to_image import traced

        self._unet = unet
        self._programs: dict[tuple[int, ...], Any] = {}
        size = sum(weights.numel() for weights in unet.parameters())
        self._traces = size <= _SMALL and traced.fits(unet)
        self._second = self._traces and cores() > 1
        self._helper: ThreadPoolExecutor | None = None
        self._text: Tensor | None = None
        self._given: tuple[Tensor, ...] = ()

    def prepare(self, *shapes: tuple[int, int, int, int, int]) -> None:
        """Trace these shapes now: (batch, channels, height, width, tokens)."""
        import torch

        wide = self._unet.config.cross_attention_dim
        for batch, channels, height, width, tokens in shapes if self._traces else ():
            with torch.inference_mode():
                latents = torch.zeros(batch, channels, height, width)
                self(latents, torch.tensor(1.0), torch.zeros(batch, tokens, wide))

    def __call__(self, latents: "Tensor", timestep: "Tensor", text: "Tensor") -> "Tensor":
        """What the model makes of the latents: noise, velocity or picture, as it was trained.

        Args:
            latents: (batch, channels, height, width), scaled as the scheduler wants.
            timestep: one number.
            text: (batch, tokens, features); the same tensor at every step of a drawing.
        """
        import torch

        if not self._traces:
            return self._unet(latents, timestep, encoder_hidden_states=text, return_dict=False)[0]
        latents = latents.contiguous(memory_format=torch.channels_last)
        timestep = timestep.to(torch.float32)  # some schedulers count in whole numbers: one trace
        given = self._read(text)
        if len(latents) != 2 or not self._second:
            return self._program(latents, timestep, given)(latents, timestep, *given)
        one, two = (
            (latents[i : i + 1], timestep, *(part[i : i + 1] for part in given)) for i in range(2)
        )
        program = self._program(one[0], timestep, one[2:])
        if self._helper is None:
            self._helper = ThreadPoolExecutor(1, "half", torch.set_num_threads, (1,))
        first = self._helper.submit(_without_gradients, program, *one)
        second = program(*two)
        return torch.cat([first.result(), second])

    def _read(self, text: "Tensor") -> "tuple[Tensor, ...]":
        from models.text_to_image import traced

        if text is not self._text:
            self._text, self._given = text, traced.keys_and_values(self._unet, text)
        return self._given

    def _program(self, latents: "Tensor", timestep: "Tensor", given: "tuple[Tensor, ...]") -> Any:
        from models.text_to_image import traced

        shape = (*latents.shape, given[0].shape[2])
        if shape not in self._programs:
            if len(self._programs) >= _SHAPES:
                self._programs.pop(next(iter(self._programs)))
            self._programs[shape] = traced.traced(self._unet, latents, timestep, given)
        return self._programs[shape]


def _without_gradients(program: Any, *inputs: "Tensor") -> "Tensor":
    import torch

    with torch.inference_mode():  # a thread's own setting
        return program(*inputs)
