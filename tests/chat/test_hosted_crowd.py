"""Sixteen people stream at once from a server: each gets their own words, none waits for another."""

import threading

from models.chat.events import TextDelta
from models.contract import Finished
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from tests.chat.test_chat_openai import KEY, SPEC, ask, settings
from tests.stub_server import DONE, StubServer, chunk

PEOPLE = 16


def echo(gate: threading.Barrier):
    """Say a question back word by word; nobody's first word comes before all have asked."""

    def reply(body: dict):
        question = body["messages"][-1]["content"]

        def pieces():
            gate.wait(60)
            for word in question.split():
                yield chunk(word + " ")
                yield 0.01
            yield chunk(None, end="stop")
            yield DONE

        return 200, pieces()

    return reply


def test_sixteen_people_stream_at_once_and_get_their_own_words():
    gate = threading.Barrier(PEOPLE)  # were one to wait for another, it would break
    replies: dict[int, str] = {}
    ends: list[float] = []

    def person(number: int, cache: ModelCache) -> None:
        question = " ".join(f"{number}-{k}" for k in range(40))
        request = ask(question, api_key=f"{KEY}-{number}")
        for event in run(cache, SPEC, request):
            if isinstance(event, TextDelta):
                replies[number] = replies.get(number, "") + event.text
            if isinstance(event, Finished):
                ends.append(event.seconds)

    with StubServer(echo(gate)) as server:
        cache = ModelCache(settings(server.url, openai_timeout=60))
        people = [threading.Thread(target=person, args=(n, cache)) for n in range(PEOPLE)]
        for thread in people:
            thread.start()
        for thread in people:
            thread.join(90)
    assert not gate.broken
    assert replies == {n: "".join(f"{n}-{k} " for k in range(40)) for n in range(PEOPLE)}
    assert len(ends) == PEOPLE
    assert sorted(server.keys) == sorted(f"Bearer {KEY}-{n}" for n in range(PEOPLE))
    for body, key in zip(server.bodies, server.keys, strict=True):
        number = body["messages"][-1]["content"].partition("-")[0]
        assert key == f"Bearer {KEY}-{number}"
