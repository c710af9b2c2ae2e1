"""One step of a tiny Llama as one traced program: the same bits as transformers', without Python between its products.

A step of the starter is 180 small products. In Python each of them waits for the interpreter, which on a busy page
other threads hold: an answer took 20 times as long as alone.
"""

import warnings
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import DynamicCache, LlamaForCausalLM, PreTrainedModel
from transformers.cache_utils import DynamicLayer

_WARM_UP = 3  # calls until the trace's optimizer has settled

# About sizes that become constants: a step has one token. For good, since catch_warnings is not for threads.
warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)


class DecoderProgram:
    """The step after the first: one more token, whose keys and values are added to the cache.

    Args:
        model: one that `fits`.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        config: Any = model.config
        heads, size = config.num_key_value_heads, config.head_dim
        past = [torch.zeros(1, heads, 2, size) for _ in range(2 * config.num_hidden_layers)]
        inputs = (torch.zeros(1, 1, dtype=torch.long), torch.tensor([[2]]), *past)
        with torch.inference_mode():
            trace = torch.jit.trace(_TokenStep(model).eval(), inputs, check_trace=False)
            self._program: Any = torch.jit.freeze(trace)
            for _ in range(_WARM_UP):
                self._program(*inputs)

    @staticmethod
    def fits(model: PreTrainedModel) -> bool:
        """Whether it is a Llama on a CPU in float32, with positions that do not change with the length."""
        config: Any = model.config
        return (
            type(model) is LlamaForCausalLM
            and model.device.type == "cpu"
            and model.dtype == torch.float32
            and config._attn_implementation == "sdpa"
            and config.rope_parameters.get("rope_type") == "default"
        )

    @staticmethod
    def takes(cache: object) -> bool:
        """Whether it can add to a cache: one that keeps all, and has the first tokens."""
        if not isinstance(cache, DynamicCache) or not cache.layers:
            return False
        return all(type(one) is DynamicLayer and one.is_initialized for one in cache.layers)

    def __call__(self, token: Tensor, cache: DynamicCache) -> Tensor:
        """The logits (1, vocabulary) after one more token (1, 1)."""
        layers = cast(Sequence[Any], cache.layers)
        past = [tensor for layer in layers for tensor in (layer.keys, layer.values)]
        place = torch.tensor([[past[0].shape[-2]]])
        logits, *past = self._program(token, place, *past)
        for index, layer in enumerate(layers):
            layer.keys, layer.values = past[2 * index], past[2 * index + 1]
        return logits


class _TokenStep(nn.Module):
    """LlamaForCausalLM's forward for one token, which sees all others: without a mask."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, token: Tensor, place: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        whole: Any = self.model
        model, memory = whole.model, _Past(past)
        states = model.embed_tokens(token)
        angles = model.rotary_emb(states, position_ids=place)
        for layer in model.layers:
            states = layer(
                states, position_embeddings=angles, past_key_values=memory, use_cache=True
            )
        return (whole.lm_head(model.norm(states))[:, -1], *memory.tensors)


class _Past:
    """Keys and values of each layer in turn, as a transformers cache to the layers."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any) -> tuple[Tensor, Tensor]:
        for place, more in ((2 * layer, keys), (2 * layer + 1, values)):
            self.tensors[place] = torch.cat([self.tensors[place], more], dim=-2)
        return self.tensors[2 * layer], self.tensors[2 * layer + 1]
