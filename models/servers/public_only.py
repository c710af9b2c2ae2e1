"""Connections to a server that a visitor names: to public addresses only.

A visitor of a public page may type the address of a chat server. Without this, the page would
fetch whatever its own machine can reach: a router, a database, a cloud's metadata service.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from ipaddress import IPv6Address, ip_address
from typing import Any

import httpx2

from models.errors import Refused, Unavailable

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
    """Looks at every address, redirects too, and connects to the very one that was looked at.

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
        pinned = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers={**request.headers, "accept-encoding": "identity"},
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        response = await self._inner.handle_async_request(pinned)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise Unavailable("unavailable_bad_answer")
        response.stream = _Bounded(response.stream)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


async def _public_address(host: str) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # UnicodeError: a name that cannot be one
        raise httpx2.ConnectError("no such host") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or any(is_inside(address) for address in addresses):
        raise Refused("refused_inside")
    return addresses[0]


class _Bounded(httpx2.AsyncByteStream):
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
