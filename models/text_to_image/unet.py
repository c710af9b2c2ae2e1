"""A Stable Diffusion UNet asked many times with the same shapes, faster than as it was loaded.

On a CPU a tiny UNet spends half its time outside of its arithmetic: it is traced once for each shape
and frozen, which gives the same numbers to 1e-5; and the two halves of guidance run on two cores,
since more threads within a product of this size only wait for each other. A large one is left as it
is: there arithmetic is all. On CUDA see compiled.py.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from models.placement import cores

if TYPE_CHECKING:
    from torch import Tensor

_SMALL = 50_000_000  # parameters: v1-4 has 860 million
_SHAPES = 4  # traced ones kept; each holds a copy of the weights in the order of its convolutions
_WARM = 3  # calls until the trace's own optimizer has settled: afterwards the same bits every time


class FastUNet:
    """Calls a UNet2DConditionModel.

    Args:
        unet: in evaluation mode, placed.
    """

    def __init__(self, unet: Any) -> None:
        self._unet = unet
        self._traced: dict[tuple[int, ...], Any] = {}
        size = sum(weights.numel() for weights in unet.parameters())
        self._traces = unet.device.type == "cpu" and size <= _SMALL
        self._second = self._traces and cores() > 1
        self._helper: ThreadPoolExecutor | None = None

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
            text: (batch, tokens, features).
        """
        import torch

        if not self._traces:
            return self._unet(latents, timestep, encoder_hidden_states=text, return_dict=False)[0]
        latents = latents.contiguous(memory_format=torch.channels_last)
        timestep = timestep.to(torch.float32)  # some schedulers count in whole numbers: one trace
        if len(latents) != 2 or not self._second:
            return self._trace(latents, timestep, text)(latents, timestep, text)
        one, two = ((latents[i : i + 1], timestep, text[i : i + 1]) for i in range(2))
        trace = self._trace(*one)
        if self._helper is None:
            self._helper = ThreadPoolExecutor(1, "half", torch.set_num_threads, (1,))
        first = self._helper.submit(_without_gradients, trace, *one)
        second = trace(*two)
        return torch.cat([first.result(), second])

    def _trace(self, *inputs: "Tensor") -> Any:
        shape = (*inputs[0].shape, inputs[2].shape[1])
        if shape not in self._traced:
            if len(self._traced) >= _SHAPES:
                self._traced.pop(next(iter(self._traced)))
            self._traced[shape] = _frozen(self._unet, *inputs)
        return self._traced[shape]


def _without_gradients(trace: Any, *inputs: "Tensor") -> "Tensor":
    import torch

    with torch.inference_mode():  # a thread's own setting
        return trace(*inputs)


def _frozen(unet: Any, *example: "Tensor") -> Any:
    import warnings

    import torch

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unet = unet

        def forward(self, latents: "Tensor", timestep: "Tensor", text: "Tensor") -> "Tensor":
            return self.unet(latents, timestep, encoder_hidden_states=text, return_dict=False)[0]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes that are constants here: they are
        traced = torch.jit.freeze(torch.jit.trace(Plain().eval(), example, check_trace=False))
        for _ in range(_WARM):
            traced(*example)
    return traced
