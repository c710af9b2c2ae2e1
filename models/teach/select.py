"""Which encoder to teach, and which one a saved classifier needs."""

from collections.abc import Sequence

from models.contract import ModelSpec
from models.errors import InvalidInput
from models.settings import Settings
from models.teach.catalog import ENGLISH, KOREAN, MODELS, MULTILINGUAL
from models.teach.header import header
from models.text.language import language_of
from models.weights.sources import is_here


def encoder_for(texts: Sequence[str], settings: Settings, wanted: str = "auto") -> ModelSpec:
    """The encoder to teach: the one wanted, or by the language of most of the sentences.

    Args:
        texts: the sentences.
        settings: whether the multilingual encoder may be downloaded decides nothing: it is taken if
            it is here.
        wanted: "auto" or an id of `MODELS`.
    """
    chosen = next((spec for spec in MODELS if spec.id == wanted), None)
    if chosen:
        return chosen
    if language_of(" ".join(texts)) == "en":
        return ENGLISH
    return MULTILINGUAL if is_here(MULTILINGUAL) else KOREAN


def encoder_of(content: bytes) -> ModelSpec:
    """The encoder that a saved classifier needs.

    Raises:
        InvalidInput: it is no taught classifier, or of an encoder that is not known (teach_file).
    """
    wanted = header(content).encoder
    for spec in MODELS:
        if spec.id == wanted:
            return spec
    raise InvalidInput("teach_file")
