"""Whom a request goes to and with which key: servers that visitors name, and what never leaks."""

import asyncio
import socket

import httpx2
import pytest

from models.chat.events import ServerModels
from models.chat.recipe import python
from models.chat.requests import ChatRequest, ServerModelsRequest
from models.contract import Placement
from models.errors import InvalidInput, MissingKey, ModelError, NotFound, Refused, Unavailable
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.servers import openai_client
from models.servers.openai_client import PublicOnlyTransport, is_inside
from models.settings import Settings
from tabs.shared.events import sentence
from tests.chat.test_chat_openai import KEY, SPEC, answer, ask, settings
from tests.stub_server import WHOLE, StubServer

PUBLIC = "93.184.216.34"


def listed(limits: Settings, **values) -> tuple[str, ...]:
    request = ServerModelsRequest.of(**values)
    events = list(run(ModelCache(limits), SPEC, request))
    return next(event.names for event in events if isinstance(event, ServerModels))


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "fec0::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "ff02::1",
    ],
)
def test_inner_addresses_are_known_as_such(address):
    assert is_inside(address)


@pytest.mark.parametrize("address", ["8.8.8.8", PUBLIC, "2606:4700:4700::1111"])
def test_public_addresses_are_not_inside(address):
    assert not is_inside(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]"]
)
def test_a_visitor_of_a_public_page_reaches_nothing_inside(host):
    with StubServer((200, WHOLE), listed=(200, {"data": []})) as server:
        url = server.url.replace("127.0.0.1", host)
        public = settings(None, public=True)
        with pytest.raises(Refused) as error:
            answer(public, ask(base_url=url))
        assert error.value.code == "refused_inside"
        with pytest.raises(Refused):
            listed(public, base_url=url)
        assert server.headers == []


def test_the_host_may_allow_it_and_a_private_page_does():
    with StubServer((200, WHOLE)) as server:
        for limits in (settings(None, public=True, public_local_servers=True), settings(None)):
            assert answer(limits, ask(base_url=server.url))[0] == ["Hello"]


def test_the_hosts_own_inner_server_serves_visitors_of_a_public_page():
    with StubServer((200, WHOLE)) as server:
        assert answer(settings(server.url, public=True), ask())[0] == ["Hello"]


def test_a_port_that_the_hosts_network_closes_is_said_before_anything_is_sent():
    with StubServer((200, WHOLE), listed=(200, {"data": []})) as server:
        sections = settings(None, server_ports=(80, 443, 8080))
        for problem in (
            lambda: answer(sections, ask(base_url=server.url)),
            lambda: listed(sections, base_url=server.url),
            lambda: answer(settings(server.url, server_ports=(443,)), ask()),
        ):
            with pytest.raises(Refused) as error:
                problem()
            assert error.value.code == "refused_port"
        assert server.headers == []
        port = int(server.url.split(":")[2].partition("/")[0])
        assert answer(settings(None, server_ports=(port,)), ask(base_url=server.url))[0] == [
            "Hello"
        ]
    for language, words in (("en", "ports 80, 443, 8080 only"), ("ko", "80, 443, 8080번 포트")):
        assert words in sentence(Refused("refused_port", ports="80, 443, 8080"), language)


def resolving(monkeypatch, *addresses: str) -> None:
    """Let every name lead to these addresses."""

    async def getaddrinfo(loop, host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 0)) for a in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("addresses", [("10.0.0.1",), (PUBLIC, "10.0.0.1"), ()])
def test_a_name_that_leads_inside_is_refused(monkeypatch, addresses):
    resolving(monkeypatch, *addresses)
    with pytest.raises(Refused):
        answer(settings(None, public=True), ask(base_url="http://models.example/v1"))


class Recorder(httpx2.AsyncBaseTransport):
    """Takes down where requests go instead of sending them; answers with a redirect."""

    def __init__(self, to: str) -> None:
        self.to, self.requests = to, []

    async def handle_async_request(self, request):
        self.requests.append(request)
        return httpx2.Response(302, headers={"location": self.to}, request=request)


def test_a_redirect_inside_is_refused(monkeypatch):
    async def getaddrinfo(loop, host, port, **_):
        result = PUBLIC if host == "models.example" else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (result, 0))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    body = Recorder("http://169.254.169.254/latest")
    monkeypatch.setattr(
        PublicOnlyTransport, "__init__", lambda self, _: setattr(self, "_inner", body)
    )
    with pytest.raises(Refused):
        answer(settings(None, public=True), ask(base_url="http://models.example/v1"))
    (first,) = body.requests  # to the address that was looked at, under its own name
    assert first.url.host == PUBLIC
    assert first.headers["host"] == "models.example"
    assert first.extensions["sni_hostname"] == "models.example"


@pytest.mark.parametrize("way", ["endless", "packed"])
def test_a_strange_server_cannot_fill_the_memory(monkeypatch, way):
    monkeypatch.setattr(openai_client, "MOST", 100_000)
    monkeypatch.setattr(openai_client, "is_inside", lambda address: False)
    pieces = [f"data: {'x' * 10_000}" for _ in range(50)]
    headers = {"content-encoding": "gzip"} if way == "packed" else {}
    reply = (200, pieces) if way == "endless" else (200, {"choices": []})
    with StubServer(reply, headers=headers) as server, pytest.raises(Unavailable) as error:
        answer(settings(None, public=True), ask(base_url=server.url))
    assert error.value.code == "unavailable_bad_answer"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:11434",
        "ftp://example.com/v1",
        "file:///etc/passwd",
        "https://name:word@example.com/v1",
        "https://example.com/v1?key=1",
        "https://example.com/#x",
        "http://",
        "http://exa mple.com",
        "http://example.com:99999/v1",
        "http://[::1",
        "http://" + "x" * 600,
    ],
)
def test_what_is_no_address_is_told_at_once(url):
    with pytest.raises(InvalidInput) as error:
        ask(base_url=url)
    assert error.value.params["field"] == "base_url"


@pytest.mark.parametrize("url", ["http://a..b/v1", "http://xn--/v1", "http://-.-/v1"])
def test_an_address_that_leads_nowhere_is_told(url):
    with pytest.raises(ModelError) as error:
        answer(settings(None), ask(base_url=url))
    assert error.value.code in {"unavailable_unreachable", "invalid_address"}


# ---------------------------------------------------------------- keys


def test_the_hosts_key_and_names_never_go_to_a_server_that_a_visitor_named(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")
    limits = settings("http://127.0.0.1:9/v1", openai_api_key="sk-secret")
    with StubServer((200, WHOLE), listed=(200, {"data": [{"id": "m"}]})) as server:
        answer(limits, ask(base_url=server.url, api_key=None))
        answer(limits, ask(base_url=server.url))
        listed(limits, base_url=server.url)
    assert len(server.headers) == 3
    assert "-secret" not in str(server.headers).replace(KEY, "")
    assert server.keys[1] == f"Bearer {KEY}"


def test_a_named_server_may_need_no_key_but_openais_does():
    with StubServer((200, WHOLE)) as server:
        assert answer(settings(None), ask(base_url=server.url, api_key=None))[0] == ["Hello"]
    with pytest.raises(MissingKey):
        answer(settings(None), ask(base_url="https://api.openai.com/v1", api_key=None))


def test_the_recipe_names_the_server_and_never_a_key():
    request = ask(base_url="https://models.example/v1", model_name="m")
    script = python(SPEC, request, Placement("server", "", ""))
    assert "OpenAI(base_url='https://models.example/v1')" in script
    assert KEY not in script
    compile(script, "recipe", "exec")


# ---------------------------------------------------------------- the list of models


def test_the_list_comes_from_the_server_in_order():
    data = [{"id": "b"}, {"id": "a"}, {"id": "x" * 300}, {"id": "b"}]
    with StubServer(listed=(200, {"object": "list", "data": data})) as server:
        assert listed(settings(server.url)) == ("a", "b")
        assert listed(settings(None), base_url=server.url, api_key=KEY) == ("a", "b")
    assert server.keys[1] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        ((404, {"detail": "Not Found"}), NotFound, "not_found_address"),
        ((401, {"error": {"code": "invalid_api_key"}}), ModelError, "wrong_key"),
        ((200, "<html>hello</html>"), Unavailable, "unavailable_no_list"),
        ((200, {"models": "none"}), Unavailable, "unavailable_no_list"),
    ],
)
def test_a_server_without_a_list_is_told(reply, kind, code):
    with StubServer(listed=reply) as server, pytest.raises(kind) as error:
        listed(settings(server.url))
    assert error.value.code == code


def test_a_request_with_a_forged_address_is_no_request():
    with pytest.raises(InvalidInput):
        ChatRequest.of(messages=[{"role": "user", "content": "x"}], base_url=7)
    with pytest.raises(InvalidInput):
        ServerModelsRequest.of(base_url="http://x/\nHost: y")
