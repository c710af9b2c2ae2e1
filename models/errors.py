"""What can go wrong, by name. The words for each code are in tabs/text/*/errors.toml.

ModelError
 ├─ InvalidInput      the request itself: blank, too long, out of range, not a number
 ├─ NotFound          no such model, in the catalogue or on the hub
 ├─ Unavailable       known, but out of reach now: no network, server down, time-out, cut off
 ├─ Refused           there, but not allowed here: gated, downloads off, pickled weights
 ├─ Damaged           a file of the model is missing or broken
 ├─ MissingKey        a hosted model without a key
 ├─ WrongKey          the server turned the key down
 ├─ RateLimited       too many requests for now
 ├─ QuotaExceeded     the account is out of credit
 ├─ OutOfMemory       the model or the result does not fit
 ├─ UntrainedHead     the weights that would answer were never trained
 ├─ Busy              in use, so it cannot be unloaded
 └─ Stopped           the person stopped it; never shown as an error
"""

import re
from typing import Any, ClassVar


class ModelError(Exception):
    """A problem that the page can tell a person in one sentence.

    Args:
        code: which sentence; by default the kind's own. A kind may have several ("refused_gated").
        **params: what the sentence names (a model id, a limit). Never a key, a path or a traceback.

    Attributes:
        server_sentence: what a server said of it in its own words, without secrets; "" for none.
    """

    kind: ClassVar[str] = "failed"

    def __init_subclass__(cls) -> None:
        """A kind is named as its class is: NotFound is not_found."""
        cls.kind = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, code: str | None = None, /, **params: Any) -> None:
        self.code = code or self.kind
        self.params = params
        self.server_sentence = ""
        super().__init__(self.code)


class InvalidInput(ModelError):
    """The request cannot be done as it is (codes: invalid_blank, invalid_too_long, ...)."""


class NotFound(ModelError):
    """No model of this id, or not of this task."""


class Unavailable(ModelError):
    """Known, but out of reach now: network, server, time-out, a cut stream."""


class Refused(ModelError):
    """Within reach, but not allowed here."""


class Damaged(ModelError):
    """A model's file is missing or broken; params name the file and the command that mends it."""


class MissingKey(ModelError):
    """A hosted model without a key."""


class WrongKey(ModelError):
    """The server did not accept the key."""


class RateLimited(ModelError):
    """The server asks to slow down."""


class QuotaExceeded(ModelError):
    """The account behind the key has no credit left."""


class OutOfMemory(ModelError):
    """The model, or what was asked of it, does not fit into memory."""


class UntrainedHead(ModelError):
    """The layer that would give the answer has random weights."""


class Busy(ModelError):
    """The model is in use."""


class Stopped(ModelError):
    """The person left or pressed stop."""


def as_model_error(error: BaseException) -> ModelError:
    """Turn any exception into a ModelError, for which there is a sentence.

    Matches by class name, so that no model library is imported to ask.

    Args:
        error: what a loader or an engine raised.

    Returns:
        The error itself if it is a ModelError; OutOfMemory for torch's and Python's; else "failed".
    """
    if isinstance(error, ModelError):
        return error
    name = type(error).__name__
    allocator = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    if name in {"OutOfMemoryError", "MemoryError"} or allocator:
        return OutOfMemory()
    return ModelError("failed", kind=name)
