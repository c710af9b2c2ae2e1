"""The client of OpenAI's API, and its errors in GenLab's own kinds.

Serves OpenAI and every server that speaks its API (OPENAI_BASE_URL).
"""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from functools import cache
from ipaddress import IPv6Address, ip_address
from typing import Any

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
from models.servers.budget import is_hosts_bill
from models.settings import OPENAI, Settings

_CONNECT = 10.0  # seconds to reach the server at all
# OPENAI_ORG_ID and OPENAI_PROJECT_ID of the environment belong to the host's own key alone.
_NOT_THE_HOSTS = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
_CONTENT = {"content_policy_violation", "moderation_blocked", "content_filter"}


def async_client(
    settings: Settings, api_key: SecretStr | None, base_url: str = ""
) -> openai.AsyncOpenAI:
    """A client for one request: use it in an `async with`, run by models/runtime/blocking.py.

    Args:
        settings: the server, its time-out, and its own key where visitors may spend that.
        api_key: what the person typed; comes before the server's own.
        base_url: a server that the person named. It is never sent the host's key; on a public page
            it must not be inside the host's network, or its use raises Refused.

    Raises:
        MissingKey: there is no key.
        WrongKey: it has letters that no key has.
        Refused: the host's network does not let it reach the server's port (refused_port).
    """
    options = _options(settings, api_key, base_url)
    if not settings.reaches(str(options["base_url"])):
        raise Refused("refused_port", ports=settings.port_list)
    if base_url and not settings.may_reach_inside:
        http = openai.DefaultAsyncHttpxClient(transport=PublicOnlyTransport(certificates()))
    else:
        http = openai.DefaultAsyncHttpxClient(verify=certificates())
    return openai.AsyncOpenAI(**options, http_client=http)


@cache
def certificates() -> ssl.SSLContext:
    """The trusted certificates, read once: each request has a new client, which would read them again."""
    return httpx2.create_ssl_context()


def _options(settings: Settings, api_key: SecretStr | None, base_url: str) -> dict[str, Any]:
    return {
        "api_key": _key(settings, api_key, base_url),
        "base_url": base_url or settings.openai_base_url or OPENAI,
        "timeout": httpx2.Timeout(settings.openai_timeout, connect=_CONNECT),
        # A second try might be paid twice: not where a budget has room for one.
        "max_retries": 0 if settings.has_budget and is_hosts_bill(api_key, base_url) else 1,
        "default_headers": _NOT_THE_HOSTS if base_url or _secret_value(api_key) else None,
    }


def _secret_value(api_key: SecretStr | None) -> str:
    return api_key.get_secret_value().strip() if api_key else ""


def _key(settings: Settings, api_key: SecretStr | None, base_url: str) -> str:
    key = _secret_value(api_key)
    hosts = settings.openai_api_key if settings.may_use_server_key and not base_url else None
    if not key and hosts:
        key = hosts.get_secret_value().strip()
    if not key and _keyless(settings, base_url):
        return "none-needed"  # the client wants one; a local server does not look at it
    if not key:
        raise MissingKey
    if not all("!" <= letter <= "~" for letter in key):  # it travels in a header: plain ASCII
        raise WrongKey("wrong_key_letters")
    return key


def _keyless(settings: Settings, base_url: str) -> bool:
    """Whether the server may be one that asks for no key."""
    if settings.server_name(base_url).endswith("openai.com"):
        return False
    hosts_own = settings.openai_api_key is None and (
        not settings.public or settings.public_server_key
    )
    return bool(base_url) or hosts_own


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
            words = f"{error.code} {error.type} {error.message}".lower()
            out_of_credit = "insufficient_quota" in words or "current quota" in words
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


MOST = 16_000_000  # bytes of one answer; a long one with all its probabilities has a few
_CLOUD = {"168.63.129.16"}  # Azure's host: a public address that leads inside


def is_inside(address: str) -> bool:
    """Whether an IP address may lead to this machine, its network or nowhere in particular."""
    ip = ip_address(address.partition("%")[0])
    inside = not ip.is_global or ip.is_multicast or ip.is_reserved or str(ip) in _CLOUD
    if isinstance(ip, IPv6Address):  # 6to4 carries an IPv4 address within it
        inside = inside or ip.is_site_local or ip.sixtofour is not None
    return inside


class PublicOnlyTransport(httpx2.AsyncBaseTransport):
    """Checks every address, those of redirects too, and connects to exactly the address that it checked.

    A name is resolved once: were it resolved again to connect, it could lead elsewhere by then.
    """

    def __init__(self, certificates: ssl.SSLContext) -> None:
        self._inner = httpx2.AsyncHTTPTransport(verify=certificates, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request.

        Raises:
            Refused: the address is inside.
            Unavailable: the answer is longer than any chat model's, or packed against the request.
            httpx2.TransportError: it could not be sent.
        """
        host = request.url.host
        address = await _public_address(host)
        direct = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers={**request.headers, "accept-encoding": "identity"},
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        response = await self._inner.handle_async_request(direct)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise Unavailable("unavailable_bad_answer")
        response.stream = _SizeLimit(response.stream)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


async def _public_address(host: str) -> str:
    try:
        entries = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # UnicodeError: a name that cannot be one
        raise httpx2.ConnectError("no such host") from None
    addresses = [str(entry[4][0]) for entry in entries]
    if not addresses or any(is_inside(address) for address in addresses):
        raise Refused("refused_inside")
    return addresses[0]


class _SizeLimit(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = 0
        async for piece in self._stream:
            count += len(piece)
            if count > MOST:
                raise Unavailable("unavailable_bad_answer")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
