"""The page's endpoints as tools, used by MCP's official client."""

import ast
import asyncio
from io import BytesIO

import httpx
import pytest
from PIL import Image

from tests.conftest import start_server

TOOLS = {
    "chat", "next_token", "generate_image", "analyze_sentiment", "explain_sentiment",
    "analyze_sentiments", "compare_sentences", "compare_many", "search_lines",
}  # fmt: skip


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The address of the tools of a running page."""
    server = start_server(tmp_path_factory.mktemp("mcp"), "--mcp", HF_HUB_OFFLINE="1")
    yield f"{server.url}gradio_api/mcp/"
    server.process.terminate()
    server.process.wait(20)
    assert "Traceback" not in server.log_text(), server.log_text()[-3000:]


def talk(url: str, use):
    """Open a session and let `use` have it."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def session():
        async with (
            streamablehttp_client(url) as (read, write, _),
            ClientSession(read, write) as start,
        ):
            await start.initialize()
            return await use(start)

    return asyncio.run(asyncio.wait_for(session(), 280))


def text_of(result) -> str:
    return next(part.text for part in result.content if part.type == "text")


def test_every_endpoint_is_a_tool_that_a_model_can_understand(url):
    tools = talk(url, lambda session: session.list_tools()).tools
    assert {tool.name for tool in tools} == TOOLS
    for tool in tools:
        assert len(tool.description) > 30, tool.name
        assert "Args:" not in tool.description
        for name, field in tool.inputSchema["properties"].items():
            assert field.get("description"), f"{tool.name}: {name}"
    required_names = {tool.name: set(tool.inputSchema.get("required", [])) for tool in tools}
    assert required_names["chat"] == {"message"}
    assert required_names["compare_sentences"] == {"sentence_a", "sentence_b"}


@pytest.mark.timeout(400)
def test_the_tools_do_their_work(url):
    async def use(session):
        mood = await session.call_tool("analyze_sentiment", {"text": "정말 재미있는 영화였어요."})
        near = await session.call_tool(
            "compare_sentences",
            {"sentence_a": "A man plays guitar.", "sentence_b": "Someone plays the guitar."},
        )
        words = await session.call_tool("chat", {"message": "Hello!", "seed": 1})
        picture = await session.call_tool("generate_image", {"prompt": "a red circle", "seed": 1})
        return mood, near, words, picture

    mood, near, words, picture = talk(url, use)
    assert "positive" in text_of(mood)
    assert ast.literal_eval(text_of(near))[0] > 0.5
    assert text_of(words).strip()
    files, facts = ast.literal_eval(text_of(picture))
    assert facts["seeds"] == [1]
    file = httpx.get(files[0]["url"], timeout=30).raise_for_status()
    assert Image.open(BytesIO(file.content)).size == (256, 256)


def test_a_tool_says_what_was_wrong_in_words(url):
    wrong = talk(url, lambda session: session.call_tool("analyze_sentiment", {"text": " "}))
    assert wrong.isError
    assert "please fill in" in text_of(wrong)


def test_without_the_flag_there_are_no_tools(server):
    answer = httpx.post(f"{server.url}gradio_api/mcp/", json={}, timeout=30)
    assert answer.status_code in {404, 405}


def test_tools_and_a_login_do_not_go_together_however_they_are_set(tmp_path):
    for flags, more in (("--mcp",), {}), ((), {"GRADIO_MCP_SERVER": "true"}):
        with pytest.raises(RuntimeError, match="know no login"):
            start_server(tmp_path, *flags, GENLAB_AUTH="ann:password", **more)
