"""A Stable Diffusion UNet that is called many times with the same shapes, faster than as it was loaded.

On a CPU a tiny UNet becomes a traced program for each shape, and the two halves of guidance run on two
cores: more threads within a product of this size only wait for each other. A large UNet is left as it is,
since its arithmetic takes all the time. On CUDA it can be compiled (GENLAB_COMPILE).
"""

import copy
import logging
import warnings
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.runtime.placement import cores
from models.torch_tools import has_onednn

log = logging.getLogger("genlab")

_SMALL = 50_000_000  # parameters: v1-4 has 860 million
_TRACES = 4  # programs in memory; each has a copy of the weights in the order of its convolutions


class FastUNet:
    """Calls a UNet2DConditionModel, through a traced program if the UNet is small and on a CPU.

    Args:
        unet: in evaluation mode, placed.
    """

    def __init__(self, unet: Any) -> None:
        self._unet = unet
        self._programs: dict[tuple[int, ...], Any] = {}
        size = sum(weights.numel() for weights in unet.parameters())
        self._traces = size <= _SMALL and is_traceable(unet)
        self._halves = self._traces and cores() > 1
        self._helper: ThreadPoolExecutor | None = None
        self._text: Tensor | None = None
        self._keys_and_values: tuple[Tensor, ...] = ()

    def prepare(self, *shapes: tuple[int, int, int, int, int]) -> None:
        """Trace these shapes now: (batch, channels, height, width, tokens)."""
        width_of_text = self._unet.config.cross_attention_dim
        for batch, channels, height, width, tokens in shapes if self._traces else ():
            with torch.inference_mode():
                latents = torch.zeros(batch, channels, height, width)
                self(latents, torch.tensor(1.0), torch.zeros(batch, tokens, width_of_text))

    def __call__(self, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        """The model's output for the latents: noise, velocity or picture, as it was trained.

        Args:
            latents: (batch, channels, height, width), scaled as the scheduler wants.
            timestep: one number.
            text: (batch, tokens, features); the same tensor at every step of a drawing.
        """
        if not self._traces:
            return self._unet(latents, timestep, encoder_hidden_states=text, return_dict=False)[0]
        latents = latents.contiguous(memory_format=torch.channels_last)
        timestep = timestep.to(
            torch.float32
        )  # integers of some schedulers would need a second trace
        if text is not self._text:
            self._text, self._keys_and_values = text, keys_and_values(self._unet, text)
        context = self._keys_and_values
        if len(latents) != 2 or not self._halves:
            return self._program(latents, timestep, context)(latents, timestep, *context)
        one, two = (
            (latents[i : i + 1], timestep, *(part[i : i + 1] for part in context)) for i in range(2)
        )
        program = self._program(one[0], timestep, one[2:])
        if self._helper is None:
            self._helper = ThreadPoolExecutor(1, "half", torch.set_num_threads, (1,))
        first = self._helper.submit(_without_gradients, program, *one)
        second = program(*two)
        return torch.cat([first.result(), second])

    def _program(self, latents: Tensor, timestep: Tensor, context: tuple[Tensor, ...]) -> Any:
        shape = (*latents.shape, context[0].shape[2])
        if shape not in self._programs:
            if len(self._programs) >= _TRACES:
                self._programs.pop(next(iter(self._programs)))
            self._programs[shape] = trace_unet(self._unet, latents, timestep, context)
        return self._programs[shape]


def _without_gradients(program: Any, *inputs: Tensor) -> Tensor:
    with torch.inference_mode():  # this setting belongs to the thread
        return program(*inputs)


# ---------------------------------------------------------------- tracing, on a CPU
#
# The traced program gives the UNet's numbers except for rounding. Two things differ. The keys and values
# of the text are the same at every step, so they are computed once and passed in. And oneDNN computes the
# larger convolutions with weights that were packed before: for a single picture torch uses oneDNN only
# above 20,480 numbers, and takes twice as long otherwise (_slow_conv2d).

_LEAST = 1_000_000  # operations of a convolution from which oneDNN is faster
_WARM_UP = (
    3  # calls until the trace's optimizer has settled; after them the bits are always the same
)
_ABSENT = ("encoder_hid_dim", "addition_embed_type", "class_embed_type", "time_cond_proj_dim")
_OFF = ("only_cross_attention", "dual_cross_attention")


def is_traceable(unet: Any) -> bool:
    """Whether a UNet2DConditionModel is like Stable Diffusion's: its inputs are latents, a time and a text."""
    config = unet.config
    return (
        unet.device.type == "cpu"
        and unet.dtype == torch.float32
        and all(config.get(name) is None for name in _ABSENT)
        and not any(config.get(name) for name in _OFF)
        and all(one.added_kv_proj_dim is None for one in _cross_attentions(unet))
    )


def keys_and_values(unet: Any, text: Tensor) -> tuple[Tensor, ...]:
    """What the UNet's layers read from a text.

    Args:
        unet: one that `is_traceable`.
        text: (batch, tokens, features).

    Returns:
        For each cross-attention in turn its keys, then its values: (batch, heads, tokens, features).
    """
    return tuple(
        _by_heads(one, project(text)).contiguous()
        for one in _cross_attentions(unet)
        for project in (one.to_k, one.to_v)
    )


def trace_unet(unet: Any, latents: Tensor, timestep: Tensor, context: tuple[Tensor, ...]) -> Any:
    """A program for inputs of these shapes: (latents, timestep, *context) -> the UNet's output.

    Args:
        unet: one that `is_traceable`, in evaluation mode; it is not changed.
        latents: (batch, channels, height, width), channels_last.
        timestep: one number, float32.
        context: `keys_and_values` of a text.
    """
    program = _Program(copy.deepcopy(unet)).eval()
    inputs = (latents, timestep, *context)
    if has_onednn():
        _pack(program, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes that become constants, as they should
        frozen = torch.jit.freeze(torch.jit.trace(program, inputs, check_trace=False))
        for _ in range(_WARM_UP):
            frozen(*inputs)
    return frozen


class _Program(nn.Module):
    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet
        for place, one in enumerate(_cross_attentions(unet)):
            one.set_processor(_ContextAttention(place))

    def forward(self, latents: Tensor, timestep: Tensor, *context: Tensor) -> Tensor:
        return self.unet(latents, timestep, encoder_hidden_states=context, return_dict=False)[0]


class _ContextAttention:
    """diffusers' AttnProcessor2_0 for a cross-attention whose keys and values are passed in."""

    def __init__(self, place: int) -> None:
        self._place = place

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Any, **_: Any
    ) -> Tensor:
        keys, values = encoder_hidden_states[2 * self._place : 2 * self._place + 2]
        queries = _by_heads(attn, attn.to_q(hidden_states))
        attended = F.scaled_dot_product_attention(queries, keys, values)
        return attn.to_out[0](attended.transpose(1, 2).flatten(2))


def _cross_attentions(unet: Any) -> list[Any]:
    return [one for name, one in unet.named_modules() if name.endswith(".attn2")]


def _by_heads(attn: Any, features: Tensor) -> Tensor:
    return features.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def _pack(program: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Let oneDNN compute the larger 3 x 3 convolutions, for the shapes that they get with these inputs."""
    shapes: dict[Any, torch.Size] = {}

    def record(one: nn.Conv2d, arguments: tuple[Tensor], _: Tensor) -> None:
        shapes[one] = arguments[0].shape

    convolutions = [one for one in program.modules() if type(one) is nn.Conv2d]
    hooks = [one.register_forward_hook(record) for one in convolutions]
    program(*inputs)
    for hook in hooks:
        hook.remove()
    modules: list[tuple[str, Any]] = list(program.named_modules())
    for name, one in modules:
        if one in shapes and _is_plain(one) and _operations(one, shapes[one]) >= _LEAST:
            parent, _, own = name.rpartition(".")
            setattr(program.get_submodule(parent), own, _OneDnnConv2d(one, shapes[one]))


def _is_plain(one: nn.Conv2d) -> bool:
    settings = (one.kernel_size, one.stride, one.padding, one.dilation, one.groups)
    return settings == ((3, 3), (1, 1), (1, 1), (1, 1), 1)


def _operations(one: nn.Conv2d, shape: torch.Size) -> int:
    return 2 * shape[0] * shape[2] * shape[3] * one.weight.numel()


class _OneDnnConv2d(nn.Module):
    def __init__(self, one: nn.Conv2d, shape: torch.Size) -> None:
        super().__init__()
        weight = one.weight.to(memory_format=torch.channels_last)
        ones = [1, 1]
        packed = torch.ops.mkldnn._reorder_convolution_weight(
            weight, ones, ones, ones, 1, list(shape)
        )
        self.bias = one.bias
        self.register_buffer("weight", packed)

    def forward(self, pixels: Tensor) -> Tensor:
        return _convolve(pixels, self.weight, self.bias)


@torch.jit.script  # a trace alone cannot hold the empty list
def _convolve(pixels: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._convolution_pointwise(
        pixels, weight, bias, [1, 1], [1, 1], [1, 1], 1, "none", [], ""
    )


# ---------------------------------------------------------------- compiling, on CUDA

LatentShape = tuple[int, int, int, int]  # (batch, channels, height, width)

_COMPILED_SHAPES = 4  # half of what torch allows for one function
_BATCHES = (1, 2, 16)  # one picture without and with guidance, and the fullest batch with it


class CompiledUNet:
    """Calls a UNet2DConditionModel: compiled where the shape is a usual one, else as it is.

    Off unless the host turns it on: its gain has not been measured on a GPU, and compiling a shape takes
    minutes. CUDA graphs cannot be used: "reduce-overhead" keeps them per thread, and every job has its
    own thread (github.com/pytorch/pytorch/issues/123177).

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
        unet.to(memory_format=torch.channels_last)
        unet.fuse_qkv_projections()
        options: dict[str, Any] = {"mode": mode, "backend": backend}
        self._unet, self._sizes = unet, frozenset(sizes)
        self._compiled: Any = torch.compile(unet, fullgraph=True, dynamic=False, **options)
        self._shapes: set[LatentShape] = set()

    def compiles(self, shape: LatentShape) -> bool:
        """Whether the next call with latents of this shape compiles first."""
        return self._is_usual(shape) and shape not in self._shapes

    def _is_usual(self, shape: LatentShape) -> bool:
        batch, _, height, width = shape
        usual = batch in _BATCHES and (height, width) in self._sizes
        return usual and (shape in self._shapes or len(self._shapes) < _COMPILED_SHAPES)

    def __call__(self, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        """As FastUNet: latents (batch, channels, height, width), one number, (batch, tokens, features)."""
        from torch._dynamo.exc import TorchDynamoException

        batch, channels, height, width = latents.shape
        shape = (batch, channels, height, width)
        latents = latents.contiguous(memory_format=torch.channels_last)
        timestep = timestep.to(latents.device, torch.float32)  # integers in some schedulers
        arguments = {"encoder_hidden_states": text, "return_dict": False}
        if self._is_usual(shape):
            try:
                output = self._compiled(latents, timestep, **arguments)[0]
            except TorchDynamoException as error:  # for example if there is no compiler
                log.warning("the UNet stays uncompiled: %s", type(error).__name__)
                self._sizes = frozenset()
            else:
                self._shapes.add(shape)
                return output
        return self._unet(latents, timestep, **arguments)[0]
