"""Several texts in one pass of a BERT without computing their padding, as one traced program.

A batch of texts of unequal lengths is padded to its longest, and a BERT in Python waits for the interpreter after each
of the 20 operations of a layer, while the threads of those who ask hold it. Here the tokens of all texts lie end to end
in the products, only the attention sees them in rows, and no Python runs between them: eight short texts take 0.64 of
the time of their padded batch (all-MiniLM-L6-v2) or 0.56 (the Korean classifier), one core, on the same weights.
"""

import threading
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertModel

from models.torch_tools import OneDnnLinear

_WARM_UP = 3  # calls until the trace's optimizer has settled
_EXAMPLE = ((1, 1, 1), (1, 1, 0))  # the mask of two texts

# About sizes that become constants; none does here. For good, since catch_warnings is not for threads.
warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)


class BertProgram:
    """The last hidden states of some texts, as the BERT gives them: the same bits, or within 1e-6 on other processors.

    Args:
        bert: one that `fits`.
        classifier: the linear layer behind the BERT's pooler. With it the program gives its logits, and the last
            layer computes each text's first token alone, since the pooler reads no other.
    """

    def __init__(self, bert: BertModel, classifier: nn.Linear | None = None) -> None:
        self._bert, self._classifier = bert, classifier
        self._lock = threading.Lock()
        self._program: Any = None

    @staticmethod
    def fits(model: Any) -> bool:
        """Whether it is a BERT encoder on a CPU in float32, its linear layers of one kind and not in int8."""
        if type(model) is not BertModel or model.device.type != "cpu" or model.training:
            return False
        config: Any = model.config
        linears: list[Any] = [one for one in model.encoder.modules() if isinstance(one, nn.Linear)]
        return (
            model.dtype == torch.float32
            and config.hidden_act == "gelu"
            and not config.is_decoder
            and config._attn_implementation == "sdpa"
            and len(linears) == 6 * config.num_hidden_layers
            and {*map(type, linears)} in ({nn.Linear}, {OneDnnLinear})
        )

    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The last hidden states, which mean nothing where there is no token; or the logits of a classifier.

        Args:
            ids: of tokens, padded on the right, shape (texts, tokens).
            mask: 1 for a token and 0 for padding, the same shape.

        Returns:
            Shape (texts, tokens, hidden size), or (texts, classes).
        """
        with self._lock:
            if self._program is None:
                self._program = self._trace()
        return self._program(ids, mask)

    def _trace(self) -> Any:
        mask = torch.tensor(_EXAMPLE)
        with torch.inference_mode():
            forward = _WithoutPadding(self._bert, self._classifier).eval()
            trace = torch.jit.trace(forward, (mask, mask), check_trace=False)
            program: Any = torch.jit.freeze(trace)
            for _ in range(_WARM_UP):
                program(mask, mask)
        return program


def pad_right(texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids with zeros for padding on the right, and their mask: both (texts, tokens)."""
    longest = max(map(len, texts))
    ids = [[*text, *[0] * (longest - len(text))] for text in texts]
    mask = [[1] * len(text) + [0] * (longest - len(text)) for text in texts]
    return torch.tensor(ids), torch.tensor(mask)


class _WithoutPadding(nn.Module):
    """A BERT's forward on the tokens that are there."""

    def __init__(self, bert: Any, classifier: Any) -> None:
        super().__init__()
        own = bert.embeddings
        self.words, self.positions, self.norm = (
            own.word_embeddings,
            own.position_embeddings,
            own.LayerNorm,
        )
        self.kind = own.token_type_embeddings.weight[0].detach()
        layers = [_Layer(layer, bert.config) for layer in bert.encoder.layer]
        self.classifier = classifier
        if classifier is not None:
            layers[-1].first_only, self.pooler = True, bert.pooler.dense
        self.layers = nn.ModuleList(layers)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        there = mask.bool()
        # Of each place the row of its token; of padding some other's, which the mask hides.
        rows = there.flatten().cumsum(0).sub(1).clamp(min=0).view_as(ids)
        back = there.flatten().nonzero().squeeze(1)
        places = torch.ones_like(ids).cumsum(1).sub(1)[there]
        states = self.norm(self.words(ids[there]) + self.kind + self.positions(places))
        hide = there[:, None, None]
        for layer in self.layers:
            states = layer(states, rows, back, hide)
        if self.classifier is None:
            return states[rows]
        summary = _linear(states, self.pooler).tanh()
        return _linear(summary, self.classifier)


class _Layer(nn.Module):
    def __init__(self, layer: Any, config: Any) -> None:
        super().__init__()
        own, output = layer.attention.self, layer.attention.output
        self.heads, self.first_only = config.num_attention_heads, False
        self.query, self.key, self.value = own.query, own.key, own.value
        self.output, self.norm = output.dense, output.LayerNorm
        self.wide, self.narrow = layer.intermediate.dense, layer.output.dense
        self.last_norm = layer.output.LayerNorm

    def forward(self, states: Tensor, rows: Tensor, back: Tensor, there: Tensor) -> Tensor:
        key, value = (_linear(states, one)[rows] for one in (self.key, self.value))
        if self.first_only:
            states = states[rows[:, 0]]
        query = _linear(states, self.query)
        query = query[:, None] if self.first_only else query[rows]
        in_heads = (
            one.unflatten(-1, (self.heads, -1)).transpose(1, 2) for one in (query, key, value)
        )
        context = F.scaled_dot_product_attention(*in_heads, attn_mask=there)
        own = context.transpose(1, 2).flatten(2).flatten(0, 1)
        if not self.first_only:
            own = own[back]
        states = self.norm(_linear(own, self.output) + states)
        wide = _linear_gelu(states, self.wide)
        return self.last_norm(_linear(wide, self.narrow) + states)


def _linear(states: Tensor, layer: nn.Linear) -> Tensor:
    if isinstance(layer, OneDnnLinear):
        return _onednn_linear(states, layer.weight, layer.bias)
    return layer(states)


def _linear_gelu(states: Tensor, layer: nn.Linear) -> Tensor:
    if isinstance(layer, OneDnnLinear):
        return _onednn_linear_gelu(states, layer.weight, layer.bias)
    return F.gelu(layer(states))


@torch.jit.script  # a trace alone cannot hold the empty list
def _onednn_linear(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")


@torch.jit.script
def _onednn_linear_gelu(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "gelu", [], "none")
