"""Where each word of a prompt looked: the cross-attention of a UNet, recorded while it draws.

At every step each place of the picture divides its attention among the tokens of the prompt. The maps are
the mean over the heads and over the layers (as DAAM does it: Tang et al., What the DAAM, ACL 2023), each
layer's enlarged to the finest one's places.
"""

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.text_to_image.vocabulary import drawable_words

if TYPE_CHECKING:
    import numpy as np

_CROSS = ".attn2"  # diffusers' name of the layers that look at the text
_MOST_PLACES = 64 * 64


class AttentionRecorder:
    """Collects one map a token for each pass of a UNet; see `recording`.

    Attributes:
        maps: for each pass (tokens, height, width), the share of a place's attention that each token got.
    """

    def __init__(self) -> None:
        self.maps: list[Tensor] = []
        self._layers: list[Tensor] = []
        self._size = (1, 1)

    def begin_pass(self, latents: Tensor) -> None:
        """The UNet is called with these latents."""
        self._layers, self._size = [], (latents.shape[-2], latents.shape[-1])

    def add_layer(self, attn: Any, pixels: Tensor, text: Tensor) -> None:
        """A layer's inputs: of the last picture of the batch, which is the one with the prompt."""
        queries, keys = (
            project(part[-1:]).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for project, part in ((attn.to_q, pixels), (attn.to_k, text))
        )
        scores = (queries @ keys.transpose(-1, -2)).float() * attn.scale
        shares = scores.softmax(-1).mean(1)[0].T  # (tokens, places)
        self._layers.append(shares.unflatten(-1, self._sides(shares.shape[-1])))

    def _sides(self, places: int) -> tuple[int, int]:
        """Height and width of a layer: those of the latents, halved until there are so many places."""
        height, width = self._size
        while height * width > places:
            height, width = -(-height // 2), -(-width // 2)
        return height, width

    def end_pass(self) -> None:
        """The UNet has returned."""
        if not self._layers:
            return
        sizes = [(one.shape[-2], one.shape[-1]) for one in self._layers]
        size = max((s for s in sizes if s[0] * s[1] <= _MOST_PLACES), default=min(sizes))
        alike = [
            F.interpolate(one[None], size, mode="area" if one.shape[-1] > size[1] else "nearest")
            for one in self._layers
        ]
        self.maps.append(torch.cat(alike).mean(0).to("cpu", torch.float32))


@contextmanager
def recording(unet: Any) -> Generator[AttentionRecorder]:
    """Within it the UNet's cross-attention is recorded. Outside nothing is, and it costs nothing.

    Args:
        unet: a UNet2DConditionModel that is called as it is, not a traced or compiled copy.
    """
    recorder = AttentionRecorder()
    layers = [one for name, one in unet.named_modules() if name.endswith(_CROSS)]
    own = [one.processor for one in layers]
    hooks = [
        unet.register_forward_pre_hook(lambda _, args: recorder.begin_pass(args[0])),
        unet.register_forward_hook(lambda *_: recorder.end_pass()),
    ]
    try:
        for layer, processor in zip(layers, own, strict=True):
            layer.set_processor(_RecordingProcessor(processor, recorder.add_layer))
        yield recorder
    finally:
        for layer, processor in zip(layers, own, strict=True):
            layer.set_processor(processor)
        for hook in hooks:
            hook.remove()


class _RecordingProcessor:
    """A layer's own processor, with a look at what goes in."""

    def __init__(self, own: Any, add: Callable[[Any, Tensor, Tensor], None]) -> None:
        self._own, self._add = own, add

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        *args: Any,
        **more: Any,
    ) -> Tensor:
        self._add(attn, hidden_states, encoder_hidden_states)
        return self._own(attn, hidden_states, encoder_hidden_states, *args, **more)


def has_cross_attention(pipe: Any) -> bool:
    """Whether the pipeline's model looks at the words in layers of their own, as a UNet does."""
    unet = getattr(pipe, "unet", None)
    return unet is not None and any(name.endswith(_CROSS) for name, _ in unet.named_modules())


def by_word(
    maps: Sequence[Tensor], prompt: str, tokenizer: Any
) -> tuple[tuple[str, ...], "np.ndarray"]:
    """From maps of tokens to maps of words.

    Args:
        maps: of `AttentionRecorder`, one for each pass.
        prompt: as it was read.
        tokenizer: the pipeline's, with offsets.

    Returns:
        The words that the model read, and their maps (passes, words + 1, height, width), float32. The last
        map is of all other tokens: start, end and padding, and words that stand for nothing.
    """
    table = torch.stack(list(maps))
    encoding = tokenizer(prompt, return_offsets_mapping=True, truncation=True, verbose=False)
    offsets: list[tuple[int, int]] = encoding["offset_mapping"]
    words: list[str] = []
    rows: list[Tensor] = []
    rest = table.sum(1)
    for start, end in drawable_words(prompt):
        tokens = [k for k, (a, b) in enumerate(offsets) if a < end and b > start]
        tokens = [k for k in tokens if k < table.shape[1]]
        if tokens:
            words.append(re.sub(r"^\W+|\W+$", "", prompt[start:end]))
            rows.append(table[:, tokens].sum(1))
            rest = rest - rows[-1]
    return tuple(words), torch.stack([*rows, rest.clamp(min=0)], 1).numpy()
