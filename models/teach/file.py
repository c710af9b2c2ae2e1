"""A taught classifier as one safetensors file: numbers and names, no code.

Tensors: head.weight (labels, dimensions), head.bias (labels,), and lora.* of a fine-tuned one.
Metadata: format, version, labels (JSON list), encoder (its id), fingerprint of the encoder's weights,
lora (JSON: rank, targets; "" without).
"""

import hashlib
import json
from dataclasses import dataclass, field

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from models.errors import InvalidInput
from models.teach.head import Head
from models.teach.header import FORMAT, VERSION, Adapter, header

_LORA = "lora."


@dataclass(frozen=True, slots=True)
class Classifier:
    """A head, the encoder it was taught on, and the low-rank matrices where it was fine-tuned."""

    head: Head
    encoder: str
    fingerprint: str
    adapter: Adapter | None = None
    lora: dict[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])

    def to_bytes(self) -> bytes:
        """The file's content."""
        tensors = {
            "head.weight": torch.from_numpy(self.head.weight),
            "head.bias": torch.from_numpy(self.head.bias),
            **{_LORA + name: value for name, value in self.lora.items()},
        }
        tensors = {name: value.contiguous() for name, value in tensors.items()}
        metadata = {
            "format": FORMAT,
            "version": VERSION,
            "encoder": self.encoder,
            "fingerprint": self.fingerprint,
            "labels": json.dumps(self.head.labels, ensure_ascii=False),
            "lora": self.adapter.model_dump_json() if self.adapter else "null",
        }
        return save(tensors, metadata)


def classifier(content: bytes) -> Classifier:
    """Read a file's content.

    Raises:
        InvalidInput: it is no taught classifier, or a damaged one (teach_file).
    """
    said = header(content)
    try:
        tensors = load(content)
        weight, bias = tensors["head.weight"], tensors["head.bias"]
        if weight.ndim != 2 or weight.shape[:1] != bias.shape or len(bias) != len(said.labels):
            raise ValueError("shapes")
        if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
            raise ValueError("not a number")
    except (ValueError, KeyError, SafetensorError):
        raise InvalidInput("teach_file") from None
    head = Head(tuple(said.labels), _floats(weight), _floats(bias))
    lora = {n.removeprefix(_LORA): t for n, t in tensors.items() if n.startswith(_LORA)}
    return Classifier(head, said.encoder, said.fingerprint, said.lora, lora)


def fingerprint(model: torch.nn.Module) -> str:
    """Sixteen hex digits that change with the encoder's weights."""
    digest = hashlib.sha256()
    for name, tensor in model.named_parameters():
        digest.update(name.encode())
        digest.update(tensor.detach().flatten()[:64].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _floats(tensor: torch.Tensor) -> np.ndarray:
    return tensor.float().numpy()
