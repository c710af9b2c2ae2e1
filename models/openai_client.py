"""The OpenAI client for chat and images, and its errors in GenLab's own kinds.

Serves OpenAI and every server that speaks its API (OPENAI_BASE_URL).
"""

import json
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
from pydantic import SecretStr

from models import errors
from models.errors import (
    InvalidInput,
    MissingKey,
    ModelError,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Refused,
    Unavailable,
    WrongKey,
)
from models.settings import Settings

_CONNECT = 10.0  # seconds to reach the server at all
_CONTENT = {"content_policy_violation", "moderation_blocked", "content_filter"}


def client(settings: Settings, api_key: SecretStr | None) -> openai.OpenAI:
    """A client for one request: close it, or use it in a `with`.

    Args:
        settings: the server, its time-out, and its own key where visitors may spend that.
        api_key: what the person typed; comes before the server's own.

    Raises:
        MissingKey: there is neither.
        WrongKey: it has letters that no key has.
    """
    return openai.OpenAI(**_options(settings, api_key))


def async_client(settings: Settings, api_key: SecretStr | None) -> openai.AsyncOpenAI:
    """The same, whose requests can be cancelled while the server is silent."""
    return openai.AsyncOpenAI(**_options(settings, api_key))


def _options(settings: Settings, api_key: SecretStr | None) -> dict[str, Any]:
    return {
        "api_key": _key(settings, api_key),
        "base_url": settings.openai_base_url,
        "timeout": httpx2.Timeout(settings.openai_timeout, connect=_CONNECT),
        "max_retries": 1,
    }


def _key(settings: Settings, typed: SecretStr | None) -> str:
    key = typed.get_secret_value().strip() if typed else ""
    if not key and settings.may_use_server_key and settings.openai_api_key:
        key = settings.openai_api_key.get_secret_value().strip()
    if not key and _keyless(settings):
        return "none-needed"  # the client wants one; a local server does not look at it
    if not key:
        raise MissingKey
    if not all("!" <= letter <= "~" for letter in key):  # it travels in a header: plain ASCII
        raise WrongKey
    return key


def _keyless(settings: Settings) -> bool:
    """Whether the host's server is one of its own, which asks for no key."""
    url = settings.openai_base_url
    if url is None or settings.openai_api_key is not None:
        return False
    if settings.public and not settings.public_server_key:
        return False
    return not (urlsplit(url).hostname or "").endswith("openai.com")


def as_model_error(error: BaseException, model: str = "") -> ModelError:
    """What a failed request means. Raise it `from None`: the original's text may quote the request.

    Args:
        error: what the openai package, or the connection under it, raised.
        model: the model that was asked for, to be named where it does not exist.
    """
    match error:
        case openai.APITimeoutError() | httpx2.TimeoutException():
            return Unavailable("unavailable_timeout")
        case openai.APIConnectionError() | httpx2.TransportError() | openai.InternalServerError():
            return Unavailable("unavailable_server")
        case openai.AuthenticationError():
            return WrongKey()
        case openai.PermissionDeniedError():
            return Refused("refused_by_server")
        case openai.NotFoundError():
            return NotFound(model=model)
        case openai.RateLimitError():
            out_of_credit = "insufficient_quota" in {error.code, error.type}
            return QuotaExceeded() if out_of_credit else RateLimited()
        case openai.APIStatusError() if error.code in _CONTENT:
            return Refused("refused_content")
        case openai.APIStatusError() if error.code == "context_length_exceeded":
            return InvalidInput("invalid_too_long_for_model")
        case openai.APIStatusError():
            return InvalidInput("invalid_for_server", status=error.status_code)
        case openai.OpenAIError() | json.JSONDecodeError():
            return Unavailable("unavailable_server")
        case _:
            return errors.as_model_error(error)


def unsupported_parameter(error: BaseException) -> str | None:
    """The parameter that a server turned down, so that the request can be tried without it."""
    if isinstance(error, openai.BadRequestError | openai.UnprocessableEntityError):
        return error.param or None
    return None
