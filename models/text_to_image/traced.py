"""A small UNet as one program for one shape, made of the parts that a core computes fastest.

It gives the UNet's numbers but for their rounding. What it does differently: the text's keys and values, which are the
same at every step, come from outside, computed once; and oneDNN computes the larger convolutions, its
weights packed before: for a single picture torch itself asks it only above 20,480 numbers, and takes
twice as long by unfolding (_slow_conv2d).
"""

import copy
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.torch_tools.linear import has_onednn

_LEAST = 1_000_000  # operations of a convolution from which oneDNN is the faster one
_WARM = 3  # calls until the trace's own optimizer has settled: afterwards the same bits every time
_NONE = ("encoder_hid_dim", "addition_embed_type", "class_embed_type", "time_cond_proj_dim")
_OFF = ("only_cross_attention", "dual_cross_attention")


def fits(unet: Any) -> bool:
    """Whether a UNet2DConditionModel is one like Stable Diffusion's: latents, a time and a text."""
    config = unet.config
    return (
        unet.device.type == "cpu"
        and unet.dtype == torch.float32
        and all(config.get(name) is None for name in _NONE)
        and not any(config.get(name) for name in _OFF)
        and all(one.added_kv_proj_dim is None for one in _attentions(unet))
    )


def keys_and_values(unet: Any, text: Tensor) -> tuple[Tensor, ...]:
    """What the UNet's layers read of a text.

    Args:
        unet: one that `fits`.
        text: (batch, tokens, features).

    Returns:
        For each cross-attention in turn its keys, then its values: (batch, heads, tokens, features).
    """
    return tuple(
        _by_heads(one, project(text)).contiguous()
        for one in _attentions(unet)
        for project in (one.to_k, one.to_v)
    )


def traced(unet: Any, latents: Tensor, timestep: Tensor, given: tuple[Tensor, ...]) -> Any:
    """A program for inputs of these shapes: (latents, timestep, *given) -> what the UNet makes of them.

    Args:
        unet: one that `fits`, in evaluation mode; it is left as it was.
        latents: (batch, channels, height, width), channels_last.
        timestep: one number, float32.
        given: `keys_and_values` of a text.
    """
    program = _Program(copy.deepcopy(unet)).eval()
    inputs = (latents, timestep, *given)
    if has_onednn():
        _pack(program, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes that are constants here: they are
        frozen = torch.jit.freeze(torch.jit.trace(program, inputs, check_trace=False))
        for _ in range(_WARM):
            frozen(*inputs)
    return frozen


class _Program(nn.Module):
    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet
        for place, one in enumerate(_attentions(unet)):
            one.set_processor(_Given(place))

    def forward(self, latents: Tensor, timestep: Tensor, *given: Tensor) -> Tensor:
        return self.unet(latents, timestep, encoder_hidden_states=given, return_dict=False)[0]


class _Given:
    """diffusers' AttnProcessor2_0 for a cross-attention whose keys and values are there already."""

    def __init__(self, place: int) -> None:
        self._place = place

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Any, **_: Any
    ) -> Tensor:
        keys, values = encoder_hidden_states[2 * self._place : 2 * self._place + 2]
        asked = _by_heads(attn, attn.to_q(hidden_states))
        seen = F.scaled_dot_product_attention(asked, keys, values)
        return attn.to_out[0](seen.transpose(1, 2).flatten(2))


def _attentions(unet: Any) -> list[Any]:
    return [one for name, one in unet.named_modules() if name.endswith(".attn2")]


def _by_heads(attn: Any, features: Tensor) -> Tensor:
    return features.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def _pack(program: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Give the larger 3 x 3 convolutions to oneDNN, for the shapes that they see of these inputs."""
    shapes: dict[Any, torch.Size] = {}

    def see(one: nn.Conv2d, given: tuple[Tensor], _: Tensor) -> None:
        shapes[one] = given[0].shape

    convolutions = [one for one in program.modules() if type(one) is nn.Conv2d]
    hooks = [one.register_forward_hook(see) for one in convolutions]
    program(*inputs)
    for hook in hooks:
        hook.remove()
    named: list[tuple[str, Any]] = list(program.named_modules())
    for name, one in named:
        if one in shapes and _is_plain(one) and _operations(one, shapes[one]) >= _LEAST:
            parent, _, own = name.rpartition(".")
            setattr(program.get_submodule(parent), own, _Packed(one, shapes[one]))


def _is_plain(one: nn.Conv2d) -> bool:
    shape = (one.kernel_size, one.stride, one.padding, one.dilation, one.groups)
    return shape == ((3, 3), (1, 1), (1, 1), (1, 1), 1)


def _operations(one: nn.Conv2d, seen: torch.Size) -> int:
    return 2 * seen[0] * seen[2] * seen[3] * one.weight.numel()


class _Packed(nn.Module):
    def __init__(self, one: nn.Conv2d, seen: torch.Size) -> None:
        super().__init__()
        weight = one.weight.to(memory_format=torch.channels_last)
        ones = [1, 1]
        packed = torch.ops.mkldnn._reorder_convolution_weight(
            weight, ones, ones, ones, 1, list(seen)
        )
        self.bias = one.bias
        self.register_buffer("weight", packed)

    def forward(self, pixels: Tensor) -> Tensor:
        return _convolved(pixels, self.weight, self.bias)


@torch.jit.script  # a trace alone cannot hold its empty list
def _convolved(pixels: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._convolution_pointwise(
        pixels, weight, bias, [1, 1], [1, 1], [1, 1], 1, "none", [], ""
    )
