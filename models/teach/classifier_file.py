"""A trained classifier as one safetensors file: numbers and names, no code. Imports no torch.

Tensors: head.weight (labels, dimensions), head.bias (labels,), and lora.* of a fine-tuned encoder.
Metadata: format, version, labels (JSON list), encoder (its id), fingerprint of the encoder's weights,
lora (JSON: rank, targets; null without).
"""

import json
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.contract import ModelSpec
from models.errors import InvalidInput
from models.teach.catalog import MODELS

FORMAT, VERSION = "genlab-classifier", "1"
MAX_HEADER = 100_000  # bytes; a header names a few dozen tensors
_LORA = "lora."


class LoraSettings(BaseModel):
    """The size of the low-rank matrices and the layers beside which they are (peft's LoraConfig)."""

    model_config = ConfigDict(extra="forbid")

    rank: int = Field(ge=1, le=64)
    targets: list[str] = Field(min_length=1, max_length=20)


class ClassifierHeader(BaseModel):
    """The metadata of the file.

    Attributes:
        encoder: id of the encoder that the classifier was trained on.
        fingerprint: of that encoder's weights; with other weights the numbers mean nothing.
        labels: the classes, in the order of the head's rows.
        lora: of a fine-tuned encoder, else null.
    """

    format: str = Field(pattern=f"^{FORMAT}$")
    version: str = Field(pattern=f"^{VERSION}$")
    encoder: str = Field(max_length=200)
    fingerprint: str = Field(max_length=64)
    labels: Json[list[str]] = Field(min_length=2, max_length=20)
    lora: Json[LoraSettings | None]


@dataclass(frozen=True, slots=True)
class Head:
    """weight (labels, dimensions) and bias (labels,), float32: softmax(weight @ vector + bias)."""

    labels: tuple[str, ...]
    weight: np.ndarray
    bias: np.ndarray

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """Probabilities of each class, (count, labels), for vectors (count, dimensions)."""
        scores = vectors @ self.weight.T + self.bias
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def predict(self, vectors: np.ndarray) -> list[str]:
        """The likeliest class of each vector."""
        return [self.labels[index] for index in self.probabilities(vectors).argmax(axis=1)]


@dataclass(frozen=True, slots=True)
class ClassifierFile:
    """A head, the encoder that it was trained on, and low-rank matrices where that was fine-tuned.

    Attributes:
        lora: the matrices by peft's names, float32; empty without.
    """

    head: Head
    encoder: str
    fingerprint: str
    lora_settings: LoraSettings | None = None
    lora: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])

    def to_bytes(self) -> bytes:
        """The file's content."""
        tensors = {"head.weight": self.head.weight, "head.bias": self.head.bias}
        metadata = {
            "format": FORMAT,
            "version": VERSION,
            "encoder": self.encoder,
            "fingerprint": self.fingerprint,
            "labels": json.dumps(self.head.labels, ensure_ascii=False),
            "lora": self.lora_settings.model_dump_json() if self.lora_settings else "null",
        }
        tensors |= {_LORA + name: matrix for name, matrix in self.lora.items()}
        # Safetensors writes an array's memory as it is: of a transposed one in the wrong order.
        tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        return save(tensors, metadata)


def read_header(content: bytes) -> ClassifierHeader:
    """Read a file's metadata.

    Raises:
        InvalidInput: it is no file of a classifier, or a damaged one (teach_file).

    Source: https://huggingface.co/docs/safetensors, eight bytes of length, then JSON.
    """
    length = int.from_bytes(content[:8], "little")
    try:
        if length > MAX_HEADER:
            raise ValueError("no header")
        return ClassifierHeader.model_validate(json.loads(content[8 : 8 + length])["__metadata__"])
    except (ValueError, KeyError, TypeError, ValidationError, RecursionError):
        raise InvalidInput("teach_file") from None


def read_classifier(content: bytes) -> ClassifierFile:
    """Read a file's content.

    Raises:
        InvalidInput: it is no file of a classifier, or a damaged one (teach_file).
    """
    header = read_header(content)
    try:
        tensors = load(content)
        weight, bias = tensors["head.weight"], tensors["head.bias"]
        labels = tuple(header.labels)
        if weight.ndim != 2 or weight.shape[:1] != bias.shape or len(bias) != len(labels):
            raise ValueError("shapes")
        if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
            raise ValueError("not a number")
    except (ValueError, KeyError, TypeError, SafetensorError):
        raise InvalidInput("teach_file") from None
    head = Head(labels, weight.astype(np.float32), bias.astype(np.float32))
    lora = {n.removeprefix(_LORA): t for n, t in tensors.items() if n.startswith(_LORA)}
    return ClassifierFile(head, header.encoder, header.fingerprint, header.lora, lora)


def encoder_of(content: bytes) -> ModelSpec:
    """The encoder that a file's classifier needs.

    Raises:
        InvalidInput: it is no file of a classifier, or its encoder is not known here (teach_file).
    """
    encoder = read_header(content).encoder
    for spec in MODELS:
        if spec.id == encoder:
            return spec
    raise InvalidInput("teach_file")
