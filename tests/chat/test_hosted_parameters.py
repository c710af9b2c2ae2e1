"""What a server refuses or ignores is left out once, and noted."""

import asyncio

import pytest

from models.chat.events import Note
from models.chat.openai_protocol import Attempt, send
from models.chat.recipe import python
from models.contract import Placement
from models.errors import InvalidInput
from models.servers.openai_client import async_client
from tests.chat.test_chat_openai import SPEC, answer, ask, settings
from tests.stub_server import DONE, WHOLE, StubServer, chunk, fault

UNSURE = Note("seed_unsure")
OLDER = Note(
    "parameter_left_out", "max_completion_tokens"
)  # silent on the page: the limit was sent


def notes(done) -> set[Note]:
    return set(done.notes) - {UNSURE, OLDER}


def test_the_request_carries_what_the_person_chose():
    with StubServer((200, WHOLE)) as server:
        _, end = answer(
            settings(server.url),
            ask(system_prompt="Be kind.", temperature=0.3, top_p=0.5, max_new_tokens=9, top_k=4),
        )
    (body,) = server.bodies
    assert body["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
    ]
    shape = {"temperature": 0.3, "top_p": 0.5, "top_k": 4, "max_tokens": 9, "seed": 7}
    assert shape == {name: body[name] for name in shape}
    assert not {"n", "logprobs", "max_completion_tokens"} & set(body)
    assert body["model"] == "gpt-4o"
    assert set(end.notes) == {UNSURE, OLDER}


def test_a_drawn_seed_promises_nothing_and_says_nothing():
    with StubServer((200, WHOLE)) as server:
        _, end = answer(settings(server.url), ask(seed=-1))
    assert server.bodies[0]["seed"] == end.seed >= 0
    assert UNSURE not in end.notes


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("temperature", {}),
        ("top_p", {}),
        ("seed", {}),
        ("top_k", {"top_k": 3}),
        ("n", {"num_return_sequences": 2}),
        ("top_logprobs", {"alternatives": 5}),
    ],
)
@pytest.mark.parametrize("way", ["param", "message", "detail"])
def test_each_refused_parameter_is_left_out_once_and_noted(name, options, way):
    refusal = {
        "param": (400, fault("unsupported_value", param=name)),
        "message": (400, fault(None, f"Unsupported: '{name}' is\nnot supported")),
        "detail": (422, {"detail": f"Unexpected fields in the request: {{'{name}'}}"}),
    }[way]
    with StubServer(refusal, (200, WHOLE)) as server:
        (text,), end = answer(settings(server.url), ask(**options))
    assert text == "Hello"
    first, second = server.bodies
    assert set(first) - set(second) == {name}
    assert Note("parameter_left_out", name) in end.notes


def test_two_refused_parameters_are_both_left_out():
    no_heat = (400, fault("unsupported_value", param="temperature"))
    no_seed = (422, {"detail": "Unexpected fields in the request: {'seed'}"})
    with StubServer(no_heat, no_seed, (200, WHOLE)) as server:
        _, end = answer(settings(server.url), ask())
    assert notes(end) == {
        Note("parameter_left_out", "temperature"),
        Note("parameter_left_out", "seed"),
    }
    assert len(server.bodies) == 3


def test_a_refusal_for_ever_ends_in_an_error():
    with (
        StubServer((400, fault("unsupported_value", param="temperature"))) as server,
        pytest.raises(InvalidInput),
    ):
        answer(settings(server.url), ask())
    assert len(server.bodies) == 2


def test_a_server_that_wants_the_newer_name_of_the_limit_gets_it():
    refusal = (400, fault("unsupported_parameter", param="max_tokens"))
    with StubServer(refusal, (200, WHOLE)) as server:
        _, end = answer(settings(server.url), ask(max_new_tokens=9))
    assert server.bodies[1]["max_completion_tokens"] == 9
    assert "max_tokens" not in server.bodies[1]
    assert notes(end) == set()


def test_openais_own_server_gets_the_newer_name_first_and_an_older_one_the_older():
    refusal = (400, fault("unsupported_parameter", param="max_completion_tokens"))

    async def attempt_at(server):
        async with async_client(settings(server.url), ask().api_key) as client:
            attempt = Attempt.first(ask(max_new_tokens=9), newer=True)
            assert [frame async for frame in send(client, "m", attempt)]
            return attempt

    with StubServer(refusal, (200, WHOLE)) as server:
        attempt = asyncio.run(attempt_at(server))
    assert [set(s) & {"max_tokens", "max_completion_tokens"} for s in server.bodies] == [
        {"max_completion_tokens"},
        {"max_tokens"},
    ]
    assert attempt.notes == [OLDER]


def test_a_model_without_a_system_role_gets_the_prompt_in_front():
    refusal = (400, fault("unsupported_value", "no", param="messages[0].role"))
    with StubServer(refusal, (200, WHOLE)) as server:
        _, end = answer(settings(server.url), ask(system_prompt="Be kind."))
    assert server.bodies[1]["messages"] == [{"role": "user", "content": "Be kind.\n\nHello"}]
    assert Note("system_as_user") in end.notes
    script = python(SPEC, ask(system_prompt="Be kind."), Placement("server", "", ""), end.notes)
    assert "'system'" not in script
    assert "Be kind.\\n\\nHello" in script


def test_a_conversation_over_the_window_leaves_the_oldest_out_and_says_how_many():
    turns = [
        {"role": role, "content": f"{role} {k}"} for k in range(4) for role in ("user", "assistant")
    ]
    request = ask().model_copy(
        update={
            "messages": type(ask()).of(messages=[*turns, {"role": "user", "content": "x"}]).messages
        }
    )
    with StubServer((400, fault("context_length_exceeded")), (200, WHOLE)) as server:
        _, end = answer(settings(server.url), request)
    ablation = 9 - len(server.bodies[1]["messages"])
    assert ablation > 0
    assert server.bodies[1]["messages"][0]["role"] == "user"
    assert Note("turns_left_out", ablation) in end.notes


def test_samples_come_side_by_side_and_a_server_that_gives_one_is_noted():
    both = (chunk("a", 0), chunk("b", 1), chunk(None, 0, "stop"), chunk(None, 1, "length"), DONE)
    with StubServer((200, both)) as server:
        result, end = answer(settings(server.url), ask(num_return_sequences=2))
    assert result == ["a", "b"]
    assert end.finish_reason == "length"
    assert server.bodies[0]["n"] == 2
    with StubServer((200, WHOLE)) as server:
        _, end = answer(settings(server.url), ask(num_return_sequences=2))
    assert notes(end) == {Note("parameter_ignored", "n")}
