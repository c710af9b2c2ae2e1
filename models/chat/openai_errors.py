"""What went wrong between GenLab and a chat server, in the codes of tabs/text/*/hosted.toml."""

import json
import re

import httpx2
import openai

from models.errors import (
    InvalidInput,
    ModelError,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unavailable,
)
from models.servers.openai_client import as_model_error

_TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window)|prompt is too long|too many tokens", re.I
)
_NO_MODEL = re.compile(r"\bmodel\b", re.I)


def said(error: openai.APIError) -> str:
    """All that a server said of a fault; for looking into, never for showing."""
    return str(error.body if error.body is not None else error.message)


def is_too_long(error: Exception) -> bool:
    """Whether the conversation is longer than the model can see."""
    if not isinstance(error, openai.APIStatusError) or error.status_code not in (
        400,
        413,
        422,
        500,
    ):
        return False
    return error.code == "context_length_exceeded" or bool(_TOO_LONG.search(said(error)))


def problem(error: Exception, model: str, begun: bool) -> ModelError:
    """What to tell the person; nothing of the original's text goes along.

    Args:
        error: what the openai package, or the connection under it, raised.
        model: which was asked for.
        begun: whether some of the answer had come.
    """
    match error:
        case ModelError():
            return error
        case httpx2.InvalidURL():
            return InvalidInput("invalid_address", field="base_url")
        case openai.APITimeoutError():
            return Unavailable("unavailable_timeout")
        case openai.APIConnectionError():
            return Unavailable("unavailable_cut" if begun else "unavailable_unreachable")
        case openai.APIStatusError():
            return _by_status(error, model)
        case openai.APIError() if error.code == "insufficient_quota":  # within the stream
            return QuotaExceeded()
        case openai.APIError() if error.code == "rate_limit_exceeded":
            return RateLimited()
        case json.JSONDecodeError() | openai.APIResponseValidationError() | UnicodeDecodeError():
            return Unavailable("unavailable_bad_json")
        case openai.APIError():
            return Unavailable("unavailable_midway")
        case _:
            return as_model_error(error, model)


def _by_status(error: openai.APIStatusError, model: str) -> ModelError:
    if is_too_long(error):
        return InvalidInput("invalid_too_long_for_model")
    html = "html" in error.response.headers.get("content-type", "")
    match error.status_code:
        case 402:
            return QuotaExceeded()
        case 404 if not html and _NO_MODEL.search(said(error)):
            return NotFound("not_found_on_server", model=model)
        case 404 | 405 | 410 | 301 | 302 | 307 | 308:
            return NotFound("not_found_address")
        case 408:
            return Unavailable("unavailable_timeout")
        case 400 | 422 if html:
            return Unavailable("unavailable_html")
        case 422:
            return InvalidInput("invalid_unprocessable")
        case status if status >= 500:
            return Unavailable("unavailable_server_fault", status=status)
    return as_model_error(error, model)
