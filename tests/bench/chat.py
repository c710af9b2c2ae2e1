"""What chatting costs beyond the model: `python -m tests.bench.chat`."""

import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai

from models.chat.events import TextDelta
from models.chat.requests import ChatRequest
from models.contract import Finished
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import Settings
from models.tasks import CHAT
from tabs.chat.controls import DialComponents
from tabs.chat.talk import answer, new_message
from tabs.shared.context import Context
from tests.bench import chat_local, chat_page
from tests.stub_server import DONE, StubServer, chunk

TOKENS = 1000
PEOPLE = 16
PACE = 0.02  # seconds between two tokens of the sixteen streams
RUNS = 5


def time_of(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds on the clock and on the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def bare(url: str) -> None:
    """A whole answer with the openai package alone."""

    async def read() -> None:
        async with openai.AsyncOpenAI(api_key="x", base_url=url) as client:
            stream = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "x"}], stream=True
            )
            async for _ in stream:
                pass

    asyncio.run(read())


def page(context: Context) -> None:
    """The same answer through the chat tab's own handler, as the page runs it."""
    values = {"system_prompt": "", "model": "openai", "seed": 1, "num_return_sequences": 1}
    dials = [values.get(name) for name in DialComponents._fields]
    for _ in answer(context, new_message)(None, [], "x", *dials):
        pass


def overhead() -> list[tuple[float, float]]:
    """Milliseconds a token that the page adds, clock and processor; the two take turns."""
    words = [chunk(f"word{k} ") for k in range(TOKENS)]
    beyond: list[tuple[float, float]] = []
    with StubServer((200, [*words, chunk(None, end="stop"), DONE])) as server:
        settings = Settings.model_validate({"openai_base_url": server.url})
        context = Context(settings, ModelCache(settings))
        bare(server.url)
        page(context)
        for _ in range(RUNS):
            plain = time_of(lambda: bare(server.url))
            whole = time_of(lambda: page(context))
            clock, processor = (1000 * (w - p) / TOKENS for w, p in zip(whole, plain, strict=True))
            beyond.append((clock, processor))
    return beyond


def time_pieces(body: dict[str, Any]) -> tuple[int, Any]:
    """A stream of the asker's own words at a steady pace."""
    name = body["messages"][-1]["content"]

    def pieces() -> Iterator[str | float]:
        for _ in range(100):
            yield chunk(f"{name} ")
            yield PACE
        yield chunk(None, end="stop")
        yield DONE

    return 200, pieces()


def crowd(people: int) -> tuple[float, float, bool]:
    """Median seconds to the first word and to the end, and whether all heard only their own."""
    replies: dict[str, str] = {}
    times: list[tuple[float, float]] = []

    def person(name: str, cache: ModelCache) -> None:
        turns = [{"role": "user", "content": name}]
        request = ChatRequest.of(messages=turns, model_name="m")
        for event in run(cache, find(CHAT, "openai"), request):
            if isinstance(event, TextDelta):
                replies[name] = replies.get(name, "") + event.text
            if isinstance(event, Finished):
                times.append((event.first_seconds or 0.0, event.seconds))

    with StubServer(time_pieces) as server:
        cache = ModelCache(Settings.model_validate({"openai_base_url": server.url}))
        threads = [threading.Thread(target=person, args=(f"p{k}", cache)) for k in range(people)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    own = replies == {f"p{k}": f"p{k} " * 100 for k in range(people)}
    first, last = zip(*times, strict=True)
    return statistics.median(first), statistics.median(last), own


def main() -> None:
    """Print every figure."""
    beyond = overhead()
    for name, values in zip(("clock", "processor"), zip(*beyond, strict=True), strict=True):
        print(
            f"page overhead a streamed token ({name}): median {statistics.median(values):.2f} ms, "
            f"most {max(values):.2f} ms (n={RUNS} answers of {TOKENS} tokens)"
        )
    crowd(1)  # imports
    for people in (1, PEOPLE):
        first, last, own = crowd(people)
        print(
            f"{people} at once from a server: first word {first:.2f} s, whole answer {last:.2f} s "
            f"(medians); each their own words: {own}"
        )
    chat_page.main()
    chat_local.main()


if __name__ == "__main__":
    main()
