"""What a saved classifier says of itself, read without its numbers and without a model library."""

import json

from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError

from models.errors import InvalidInput

FORMAT, VERSION = "genlab-classifier", "1"
LONGEST = 100_000  # bytes of a header that names a few dozen tensors


class Adapter(BaseModel):
    """How the low-rank matrices sit in the encoder (peft's LoraConfig)."""

    model_config = ConfigDict(extra="forbid")

    rank: int = Field(ge=1, le=64)
    targets: list[str] = Field(min_length=1, max_length=20)


class Header(BaseModel):
    """The metadata of the safetensors file.

    Attributes:
        encoder: id of the encoder it was taught on.
        fingerprint: of that encoder's weights: with others the numbers mean nothing.
        labels: the classes, in the order of the head's rows.
        lora: of a fine-tuned one, else null.
    """

    format: str = Field(pattern=f"^{FORMAT}$")
    version: str = Field(pattern=f"^{VERSION}$")
    encoder: str = Field(max_length=200)
    fingerprint: str = Field(max_length=64)
    labels: Json[list[str]] = Field(min_length=2, max_length=20)
    lora: Json[Adapter | None]


def header(content: bytes) -> Header:
    """Read a file's metadata.

    Raises:
        InvalidInput: it is no taught classifier, or a damaged one (teach_file).

    Source: https://huggingface.co/docs/safetensors, eight bytes of length, then JSON.
    """
    length = int.from_bytes(content[:8], "little")
    try:
        if length > LONGEST:
            raise ValueError("no header")
        return Header.model_validate(json.loads(content[8 : 8 + length])["__metadata__"])
    except (ValueError, KeyError, TypeError, ValidationError, RecursionError):
        raise InvalidInput("teach_file") from None
