"""Requests to an encoder: compare sentences with each other, or turn them into vectors."""

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from models.contract import Request
from models.fields import Sentence


class _EncoderRequest(Request):
    model_name: Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)] = ""
    api_key: SecretStr | None = None


class SimilarityRequest(_EncoderRequest):
    """Sentences to compare with each other (2 to 300), by a pretrained encoder.

    Attributes:
        reference: whether to yield the encoder's cosines of the reference pairs too.
        model_name: which model of the server, for hosted models; "" takes the usual one.
        api_key: a key the person typed, for hosted models; never stored.
    """

    sentences: Annotated[tuple[Sentence, ...], Field(min_length=2, max_length=300)]
    reference: bool = False


class EncodeRequest(_EncoderRequest):
    """Sentences to turn into vectors (up to 100,000), by a pretrained encoder.

    Attributes:
        model_name, api_key: as in SimilarityRequest.
    """

    sentences: Annotated[tuple[Sentence, ...], Field(min_length=1, max_length=100_000)]
