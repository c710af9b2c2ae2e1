"""A Stable Diffusion UNet on CUDA, compiled for a few fixed shapes: GENLAB_COMPILE.

Off unless the host turns it on: what it gains has not been measured on a GPU, and compiling a shape takes
minutes. CUDA graphs are no choice here: "reduce-overhead" keeps them per thread and every job has a thread
of its own (github.com/pytorch/pytorch/issues/123177).
"""

import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("genlab")
Shape = tuple[int, int, int, int]

_SHAPES = 4  # compiled ones; half of what torch allows one function
_BATCHES = (1, 2, 16)  # one picture without and with guidance, and the fullest batch with it


class CompiledUNet:
    """Calls a UNet2DConditionModel: compiled where the shape is a usual one, else as it is.

    Args:
        unet: in evaluation mode, placed; its projections are fused and its layout is changed.
        mode: torch.compile's.
        sizes: (height, width) of the latents that are worth compiling for.
        backend: torch.compile's.
    """

    def __init__(
        self,
        unet: Any,
        mode: str,
        sizes: Collection[tuple[int, int]],
        backend: str | Callable[..., Any] = "inductor",
    ) -> None:
        import torch

        unet.to(memory_format=torch.channels_last)
        unet.fuse_qkv_projections()
        options: dict[str, Any] = {"mode": mode, "backend": backend}
        self._unet, self._sizes = unet, frozenset(sizes)
        self._compiled: Any = torch.compile(unet, fullgraph=True, dynamic=False, **options)
        self._shapes: set[Shape] = set()

    def compiles(self, shape: Shape) -> bool:
        """Whether the next call with latents of this shape is the first and so compiles."""
        return self._is_usual(shape) and shape not in self._shapes

    def _is_usual(self, shape: Shape) -> bool:
        batch, _, height, width = shape
        usual = batch in _BATCHES and (height, width) in self._sizes
        return usual and (shape in self._shapes or len(self._shapes) < _SHAPES)

    def __call__(self, latents: "Tensor", timestep: "Tensor", text: "Tensor") -> "Tensor":
        """As FastUNet: latents (batch, channels, height, width), one number, (batch, tokens, features)."""
        import torch
        from torch._dynamo.exc import TorchDynamoException

        batch, channels, height, width = latents.shape
        shape = (batch, channels, height, width)
        latents = latents.contiguous(memory_format=torch.channels_last)
        timestep = timestep.to(latents.device, torch.float32)  # of some schedulers whole numbers
        asked = {"encoder_hidden_states": text, "return_dict": False}
        if self._is_usual(shape):
            try:
                guess = self._compiled(latents, timestep, **asked)[0]
            except TorchDynamoException as error:  # a compiler that is not there, for one
                log.warning("the UNet stays uncompiled: %s", type(error).__name__)
                self._sizes = frozenset()
            else:
                self._shapes.add(shape)
                return guess
        return self._unet(latents, timestep, **asked)[0]
