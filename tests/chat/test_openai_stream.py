"""What servers send that OpenAI's own does not: each body is replayed by a server to the engine."""

import asyncio
import json
import time

import httpx2
import pytest

from models.chat import openai_stream
from models.chat.events import Note, ServerModels, TextDelta, with_delta
from models.chat.openai_protocol import server_sentence
from models.chat.openai_stream import frames, next_page
from models.chat.requests import ServerModelsRequest
from models.chat.thoughts import ThoughtSplitter
from models.contract import Finished
from models.errors import InvalidInput, ModelError, QuotaExceeded, RateLimited, Refused, Unavailable
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from tests.chat.test_chat_openai import KEY, SPEC, answer, ask, settings, texts
from tests.stub_server import DONE, WHOLE, StubServer, chunk, fault

END = chunk(None, end="stop")


def frame(**fields) -> str:
    return f"data: {json.dumps(fields)}\n\n"


def choice(**fields) -> str:
    return frame(choices=[{"index": 0, "finish_reason": None, **fields}])


def replay(*replies, **options):
    """(texts, ChatDone, events, bodies that the server got)."""
    events: list = []
    with StubServer(*replies) as server:
        words, end = answer(settings(server.url), ask(**options), events)
        return words, end, events, server.bodies


def thoughts(events) -> str:
    return "".join(event.thoughts for event in events if isinstance(event, TextDelta))


def codes(done) -> set[str]:
    """Of the notes, without the one on the limit's older name and the one on seeds."""
    older = Note("parameter_left_out", "max_completion_tokens")
    return {note.code for note in done.notes if note != older} - {"seed_unsure"}


# ---------------------------------------------------------------- text where it is


@pytest.mark.parametrize(
    "pieces",
    [
        [frame(response="ha"), frame(response="ha"), DONE],
        ['{"message": {"content": "ha"}, "done": false}\n'] * 2 + ['{"message": {"content": ""}, "done": true, "done_reason": "stop"}\n'],
        [choice(text="ha"), choice(text="ha", finish_reason="stop"), DONE],
    ],
)  # fmt: skip
def test_a_piece_that_is_as_what_was_before_is_no_repetition(pieces):
    assert "".join(replay((200, pieces))[0]) == "haha"


@pytest.mark.parametrize(
    "pieces",
    [
        # Azure's asynchronous filter: choices without a delta, also after the end.
        [frame(choices=[], prompt_filter_results=[{}]), chunk("Blue"), choice(), chunk(" sky"), END, choice(), DONE],
        [chunk("Blue"), "data: \n\n", "data:\n\n", ": a comment\n\n", chunk(" sky"), END, DONE],
        # Mistral's lists of parts.
        [choice(delta={"content": [{"type": "text", "text": "Blue"}]}), chunk(" sky"), END, DONE],
        [choice(message={"role": "assistant", "content": "Blue"}), chunk(" sky"), END, DONE],
        [choice(text="Blue"), choice(text=" sky", finish_reason="stop"), DONE],
        # TGI: index counts chunks.
        [chunk("Blue", 1), chunk(" sky", 2, end="eos_token"), DONE],
        # No finish_reason at all, but [DONE].
        [chunk("Blue"), chunk(" sky"), DONE],
        # Frames that no blank line ends, CR LF, one frame over two data lines, an event's name.
        [chunk("Blue").rstrip() + "\n" + chunk(" sky").rstrip() + "\n" + END + DONE],
        [(chunk("Blue") + chunk(" sky") + END + DONE).replace("\n", "\r\n")],
        ['data: {"choices": [{"delta":\ndata: {"content": "Blue sky"}}]}\n\n', END, DONE],
        ["event: message\nid: 1\nretry: 5\n" + chunk("Blue sky"), END, DONE],
        # Lines of JSON without "data:", as Ollama's own API sends them.
        ['{"message": {"content": "Blue"}, "done": false}\n', '{"message": {"content": " sky"}, "done": true, "done_reason": "stop"}\n'],
        # One JSON although a stream was requested, over several lines.
        [json.dumps({"choices": [{"message": {"content": "Blue sky"}, "finish_reason": "stop"}]}, indent=1)],
    ],
)  # fmt: skip
def test_text_is_taken_where_it_is(pieces):
    words, end, _, _ = replay((200, pieces))
    assert words == ["Blue sky"]
    assert end.finish_reason == "stop"
    assert codes(end) == set()


def test_one_json_although_a_stream_was_requested():
    body = {"choices": [{"index": 0, "message": {"content": "Blue sky."}, "finish_reason": "stop"}]}
    body["usage"] = {"prompt_tokens": 5, "completion_tokens": 3}
    words, end, _, _ = replay((200, body))
    assert words == ["Blue sky."]
    assert (end.prompt_tokens, end.completion_tokens) == (5, 3)


@pytest.mark.parametrize("name", ["eos", "end_turn", "STOP", "stop_sequence", "EOS_TOKEN"])
def test_a_servers_own_word_for_the_end_is_the_end(name):
    assert replay((200, [chunk("Blue"), chunk(None, end=name), DONE]))[1].finish_reason == "stop"


def test_a_line_separator_within_a_text_ends_no_line():
    assert replay((200, [chunk("a\u2028b\u0085c"), END, DONE]))[0] == ["a\u2028b\u0085c"]


def test_samples_that_no_request_made_are_refused():
    with pytest.raises(Unavailable, match="unavailable_bad_answer"):
        replay((200, [chunk("a", 5), DONE]), num_return_sequences=2)


def test_a_probability_without_alternatives_is_still_one():
    logprobs = [{"token": "Blue", "logprob": -0.1, "bytes": None, "top_logprobs": None}]
    _, end, events, _ = replay((200, [chunk("Blue", logprobs=logprobs), END, DONE]), alternatives=3)
    tokens = [token for e in events if isinstance(e, TextDelta) for token in e.tokens]
    assert [round(token.raw, 3) for token in tokens] == [0.905]
    assert codes(end) == set()


# ---------------------------------------------------------------- thoughts, tools, nothing


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk("<think>\nA colour"), chunk(".\n"), chunk("</think>\n\nBlue"), chunk(" sky.")],
        [chunk(letter) for letter in "<think>A colour.</think>\n\nBlue sky."],
        [chunk(None, reasoning_content="A colour."), chunk("Blue sky.")],
        [chunk(None, reasoning="A colour.", reasoning_content="A colour."), chunk("Blue sky.")],
        [choice(delta={"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "A colour."}]}]}), chunk("Blue sky.")],
        [chunk("[THINK]A colour.[/THINK]Blue sky.")],
    ],
)  # fmt: skip
def test_thoughts_are_apart_from_the_answer(pieces):
    words, end, events, _ = replay((200, [*pieces, END, DONE]))
    assert words == ["Blue sky."]
    assert thoughts(events).strip() == "A colour."
    assert codes(end) == {"thought_aloud"}


def test_a_tag_within_an_answer_is_text():
    assert replay((200, [chunk("Write <think> before it."), END, DONE]))[0] == [
        "Write <think> before it."
    ]
    assert replay((200, [chunk("<th"), chunk("ree"), END, DONE]))[0] == ["<three"]
    assert replay((200, [chunk("<thi"), END, DONE]))[0] == ["<thi"]


def test_thoughts_without_an_end_are_no_answer():
    words, end, events, _ = replay(
        (200, [chunk("<think>A col"), chunk("our</"), chunk(None, end="length"), DONE])
    )
    assert "".join(words) == ""
    assert thoughts(events) == "A colour</"
    assert codes(end) == {"all_thought"}


def test_the_splitter_loses_no_letter():
    splitter = ThoughtSplitter()
    parts = [splitter.split(letter) for letter in "\n<think>a < b</think>\nyes </think> no"] + [
        splitter.finish()
    ]
    assert "".join(text for text, _ in parts) == "yes </think> no"
    assert "".join(thought for _, thought in parts) == "a < b"


def test_an_empty_answer_and_a_tool_call_say_so():
    assert codes(replay((200, [chunk("", end="stop"), DONE]))[1]) == {"empty_answer"}
    call = [{"index": 0, "function": {"name": "get_weather", "arguments": ""}}]
    more = [{"index": 0, "function": {"arguments": "{}"}}]
    pieces = [
        chunk(None, tool_calls=call),
        chunk(None, tool_calls=more),
        chunk(None, end="tool_calls"),
        DONE,
    ]
    _, end, _, _ = replay((200, pieces))
    assert Note("tool_call", "get_weather") in end.notes
    assert codes(end) == {"tool_call"}


def test_a_frame_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr(openai_stream, "_MOST_VAIN", 100_000)
    endless = 'data: {"choices": "\n' + "data: word\n" * 1000
    with pytest.raises(Unavailable) as problem:
        replay((200, [endless, 60.0, DONE]))  # it does not wait for the rest
    assert problem.value.code == "unavailable_bad_json"


# ---------------------------------------------------------------- errors within a stream


@pytest.mark.parametrize(
    ("piece", "kind", "code"),
    [
        (frame(error={"message": "You exceeded your current quota", "type": "insufficient_quota", "code": 429}), QuotaExceeded, "quota_exceeded"),
        (frame(error={"message": "Rate limit reached", "code": 429}), RateLimited, "rate_limited"),
        (frame(error={"code": 400, "message": "the request exceeds the available context size.", "type": "exceed_context_size_error"}), InvalidInput, "invalid_too_long_for_model"),
        (frame(object="error", message="This model's maximum context length is 4096 tokens. However, you requested 9000 tokens.", type="BadRequestError", code=400), InvalidInput, "invalid_too_long_for_model"),
        ('error: {"code": 400, "message": "the request exceeds the available context size"}\n\n', InvalidInput, "invalid_too_long_for_model"),
        ('event: error\ndata: {"message": "overloaded", "type": "overloaded_error"}\n\n', Unavailable, "unavailable_server_fault"),
        (frame(error="something broke"), Unavailable, "unavailable_midway"),
        ('[{"error": {"code": 401, "message": "no key", "status": "UNAUTHENTICATED"}}]\n', ModelError, "wrong_key"),
    ],
)  # fmt: skip
def test_an_error_within_a_stream_is_judged_like_a_status(piece, kind, code):
    with pytest.raises(kind) as error:
        replay((200, [piece, DONE]))
    assert error.value.code == code


def test_an_overflow_within_a_stream_leaves_old_turns_out():
    overflow = frame(error={"code": 400, "message": "exceeds the available context size"})
    turns = [{"role": r, "content": "x"} for r in ("user", "assistant", "user")]
    _, end, _, bodies = replay((200, [overflow, DONE]), (200, WHOLE), messages=turns)
    assert [len(body["messages"]) for body in bodies] == [3, 1]
    assert Note("turns_left_out", 2) in end.notes


def test_the_servers_own_sentence_comes_along_without_keys():
    message = (
        f"Quota of key {KEY} is over. See https://x.example/billing. Bearer abcdef123 " + "y" * 500
    )
    with pytest.raises(ModelError) as error:
        replay((429, fault("insufficient_quota", message)))
    words = error.value.server_sentence
    assert words.startswith("Quota of key ••• is over. See https://x.example/billing. •••")
    assert len(words) <= 300
    with pytest.raises(ModelError) as error:
        replay((503, "<html>down</html>"))
    assert error.value.server_sentence == ""
    assert server_sentence(ValueError("x")) == ""


# ---------------------------------------------------------------- remedies


@pytest.mark.parametrize(
    "message",
    [
        "Invalid max_tokens value, the valid range of max_tokens is [1, 64]",
        "max_tokens is too large: 256. This model supports at most 64 completion tokens.",
        "`max_tokens` must be less than or equal to `64`, the maximum for this model",
        "max_tokens: 256 > 64, which is the maximum allowed number of output tokens",
        "This model's maximum context length is 128 tokens. However, you requested 320 tokens (64 in the messages, 256 in the completion).",
        "'max_tokens' is too large: 256. This model's maximum context length is 1,128 tokens and your request has 1,064 input tokens.",
    ],
)  # fmt: skip
def test_a_limit_that_does_not_fit_is_lowered_before_turns_go(message):
    turns = [{"role": r, "content": "x"} for r in ("user", "assistant", "user")]
    options = {"messages": turns, "max_new_tokens": 256}
    _, end, _, bodies = replay((400, fault(None, message)), (200, WHOLE), **options)
    assert [body["max_tokens"] for body in bodies] == [256, 64]
    assert len(bodies[1]["messages"]) == 3
    assert codes(end) == {"limit_lowered"}


def test_a_window_without_room_loses_old_turns_instead():
    message = "maximum context length is 128 tokens. However, you requested 380 (124 in the messages, 256 in the completion)"
    turns = [{"role": r, "content": "x"} for r in ("user", "assistant", "user")]
    _, end, _, bodies = replay(
        (400, fault(None, message)), (200, WHOLE), messages=turns, max_new_tokens=256
    )
    assert len(bodies[1]["messages"]) == 1
    assert codes(end) == {"turns_left_out"}


def test_a_model_that_may_not_be_streamed_answers_at_once():
    refusal = fault(
        "unsupported_value", "Your organization must be verified to stream this model.", "stream"
    )
    body = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    words, end, _, bodies = replay((400, refusal), (200, body))
    assert words == ["Hello"]
    assert [body.get("stream") for body in bodies] == [True, None]
    assert "stream_options" not in bodies[1]
    assert codes(end) == {"not_streamed"}


def test_roles_that_must_alternate_get_the_system_prompt_in_the_first_message():
    refusal = fault(None, "Conversation roles must alternate user/assistant/user/assistant/...")
    _, end, _, bodies = replay((400, refusal), (200, WHOLE), system_prompt="Be brief.")
    assert [m["role"] for m in bodies[1]["messages"]] == ["user"]
    assert codes(end) == {"system_as_user"}


@pytest.mark.parametrize(
    ("options", "loser"),
    [
        ({}, "top_p"),
        ({"temperature": 0.2}, "top_p"),
        ({"temperature": 0.2, "top_p": 0.5}, "top_p"),
        ({"top_p": 0.5}, "temperature"),
    ],
)
def test_of_two_that_exclude_each_other_the_persons_own_stays(options, loser):
    refusal = fault(None, "`temperature` and `top_p` cannot both be specified for this model.")
    _, end, _, bodies = replay((400, refusal), (200, WHOLE), **options)
    assert {"temperature", "top_p"} - bodies[1].keys() == {loser}
    assert Note("parameter_left_out", loser) in end.notes


def test_a_403_for_moderation_is_no_bad_key():
    body = {
        "error": {
            "message": "Your input was flagged",
            "code": 403,
            "metadata": {"reasons": ["violence"]},
        }
    }
    with pytest.raises(Refused) as error:
        replay((403, body))
    assert error.value.code == "refused_content"


# ---------------------------------------------------------------- lists of models


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"data": [{"id": "b"}, {"id": "a"}, {"object": "model"}, {"id": None}]}, ("a", "b")),
        ({"models": [{"name": "llama3:8b", "model": "llama3:8b"}]}, ("llama3:8b",)),
        ({"models": [{"type": "llm", "key": "qwen/qwen3-4b"}]}, ("qwen/qwen3-4b",)),
        ({"object": "list", "data": None}, ()),
        ({"data": ["a", "b", 7]}, ("a", "b")),
    ],
)
def test_lists_of_models_come_in_several_forms(body, names):
    assert listed(body) == names


def test_a_list_may_be_bare():
    assert listed([{"id": "org/a", "type": "chat"}]) == ("org/a",)


@pytest.mark.parametrize("body", [{"error": "x"}, "<html>", {"data": 5}])
def test_what_is_no_list_is_said(body):
    with pytest.raises(ModelError) as error:
        listed(body)
    assert error.value.code == "unavailable_no_list"


def listed(body) -> tuple[str, ...]:
    with StubServer((200, {}), listed=(200, body)) as server:
        events = list(
            run(ModelCache(settings(server.url)), SPEC, ServerModelsRequest.of(api_key=KEY))
        )
    assert isinstance(events[-1], Finished)
    return next(event.names for event in events if isinstance(event, ServerModels))


def test_all_of_it_leaves_the_samples_apart():
    pieces = [
        chunk("a", 0),
        chunk("b", 1),
        chunk("<think>x</think>c", 1),
        END,
        chunk(None, 1, end="stop"),
        DONE,
    ]
    words, _, events, _ = replay((200, pieces), num_return_sequences=2)
    assert words == texts(events) == ["a", "b<think>x</think>c"]


# ---------------------------------------------------------------- more of each kind


def body_of(message, **fields) -> str:
    return json.dumps({"choices": [{"message": message, **fields}]})


@pytest.mark.parametrize(
    "pieces",
    [
        [frame(choices=[None]), frame(choices=None), chunk("Blue sky"), END, DONE],
        [frame(choices={"delta": {"content": "Blue sky"}}), END, DONE],
        [choice(delta=None), choice(index=None, delta={"content": "Blue sky"}), END, DONE],
        # Signs of life that are no JSON object, and each way to write the end.
        ["data: ping\n\n", "event: ping\ndata: 2026-01-01T00:00:00\n\n", "data: null\n\n", chunk("Blue sky"), DONE],
        [chunk("Blue sky"), "data: [done]\n\n"],
        [chunk("Blue sky"), '[DONE]\n'],
        [chunk("Blue sky"), 'data: "[DONE]"\n\n'],
        [chunk("Blue sky"), "event: done\ndata: {}\n\n"],
        [chunk("Blue sky"), frame(type="done")],
        [choice(delta={"content": "Blue sky", "finish_reason": "stop"})],
        # Two objects in one line, the field's name twice, a tab within a text, a list over lines.
        [(chunk("Blue") + chunk(" sky")[6:]).replace("\n\n", "") + "\n\n", END, DONE],
        ["data: " + chunk("Blue sky"), "data: " + DONE],
        ['[{"choices":[{"delta":{"content":"Blue"}}]}\n,\n{"choices":[{"delta":{"content":" sky"},"finish_reason":"stop"}]}\n]'],
        # The whole once more at the end.
        [chunk("Blue"), chunk(" sky"), frame(choices=[{"message": {"content": "Blue sky"}, "delta": {}, "finish_reason": "stop"}]), DONE],
        # Ends in other words; no end yet.
        [choice(delta={"content": "Blue sky"}, finish_reason="null"), chunk(None, end="<|im_end|>")],
        [chunk("Blue sky"), choice(delta={}, finish_reason={"type": "FINISH_REASON_STOP"}), DONE],
        [frame(response="Blue"), frame(response=" sky"), DONE],
        [frame(content="Blue sky", stop=False), frame(content="", stop=True), DONE],
        # Tags with nothing in between are no thoughts.
        [chunk("<think>\n\n</think>\n\nBlue sky"), END, DONE],
    ],
)  # fmt: skip
def test_text_is_taken_in_other_forms_too(pieces):
    words, end, events, _ = replay((200, pieces))
    assert words == ["Blue sky"]
    assert (end.finish_reason, codes(end), thoughts(events)) == ("stop", set(), "")


def test_letters_are_whole_and_one_bad_byte_costs_one_letter():
    halves = ['data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n']
    halves += ['data: {"choices":[{"delta":{"content":"\\udc4d b\\ud83d"}}]}\n\n', END, DONE]
    assert replay((200, halves))[0] == ["a👍 b"]
    body = b'data: {"choices": [{"delta": {"content": "a\xff"}}]}\n\n'
    response = httpx2.Response(200, content=body, request=httpx2.Request("POST", "http://x"))

    async def read():
        return [frame async for frame in frames(response)]

    assert asyncio.run(read())[0]["choices"][0]["delta"]["content"] == "a\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk("A colour."), chunk("\n</think>\n\n"), chunk("Blue sky.")],
        [chunk(letter) for letter in "A < colour.</think>Blue sky."],
        [body_of({"content": "A colour.</think>\nBlue sky."}, finish_reason="stop")],
        [choice(delta={"content": "", "reasoning_details": [{"type": "reasoning.text", "text": "A colour."}]}), chunk("Blue sky.")],
        [chunk("<|channel|>analysis<|message|>A colour.<|end|><|start|>assistant<|channel|>final<|message|>Blue sky.")],
        [chunk("◁think▷A colour.◁/think▷Blue sky.")],
        [chunk("<seed:think>A colour.</seed:think>Blue sky.")],
    ],
)  # fmt: skip
def test_thoughts_in_other_tags_and_without_the_first_one(pieces):
    more = [] if len(pieces) == 1 and pieces[0].startswith("{") else [END, DONE]
    _, end, events, _ = replay((200, [*pieces, *more]))
    deltas: list[TextDelta] = []
    for event in events:
        if isinstance(event, TextDelta):
            deltas = with_delta(deltas, event)
    assert "".join(delta.text for delta in deltas) == "Blue sky."
    assert "colour." in thoughts(deltas)
    assert "</" not in thoughts(deltas)
    assert codes(end) == {"thought_aloud"}


def test_an_answer_about_tags_keeps_them():
    text = "Write <think> before and </think> after."
    assert replay((200, [*map(chunk, text), END, DONE]))[0] == [text]


def test_thoughts_alone_are_an_empty_answer():
    assert codes(replay((200, [chunk(None, reasoning="Hm."), END, DONE]))[1]) == {"empty_answer"}


def test_tool_calls_in_other_forms():
    for call in ({"function_call": {"name": "f"}}, {"tool_calls": {"function": {"name": "f"}}}):
        end = replay((200, [chunk(None, **call), chunk(None, end="tool_use"), DONE]))[1]
        assert (codes(end), end.finish_reason) == ({"tool_call"}, "tool_calls")


@pytest.mark.parametrize("name", ["SAFETY", "content-filter", "sensitive", "PROHIBITED_CONTENT"])
def test_a_filter_in_other_words_is_one(name):
    assert codes(replay((200, [chunk("Blue"), chunk(None, end=name), DONE]))[1]) == {
        "content_filter"
    }


@pytest.mark.parametrize("name", ["error", "insufficient_system_resource", "network_error"])
def test_an_answer_that_the_server_broke_off_is_none(name):
    with pytest.raises(Unavailable, match="unavailable_midway"):
        replay((200, [chunk("Blue"), chunk(None, end=name), DONE]))


def test_counts_are_taken_where_they_are():
    counts = {"prompt_tokens": 3, "completion_tokens": 2.0}
    for last in (
        frame(choices=[{"delta": {}, "finish_reason": "stop"}], x_groq={"usage": counts}),
        frame(choices=[{"delta": {}, "finish_reason": "stop", "usage": counts}]),
    ):
        end = replay((200, [chunk("Blue"), last, DONE]))[1]
        assert (end.prompt_tokens, end.completion_tokens) == (3, 2)


def test_logprobs_of_the_older_completions():
    older = {"tokens": ["Blue"], "token_logprobs": [-0.1], "top_logprobs": [{"Red": -2.0}]}
    piece = choice(delta={"content": "Blue"}, logprobs=older)
    _, end, events, _ = replay((200, [piece, END, DONE]), alternatives=3)
    tokens = [token for e in events if isinstance(e, TextDelta) for token in e.tokens]
    assert [(t.text, [a.text for a in t.alternatives]) for t in tokens] == [("Blue", ["Red"])]
    assert codes(end) == set()


@pytest.mark.parametrize(
    ("piece", "code"),
    [
        (frame(base_resp={"status_code": 1008, "status_msg": "insufficient balance"}), "quota_exceeded"),
        (frame(errors=[{"message": "Rate limit reached"}], success=False), "rate_limited"),
        (frame(message="Rate limit exceeded"), "rate_limited"),
        (json.dumps({"code": "InvalidApiKey", "message": "Invalid API-key provided."}), "wrong_key"),
        (choice(delta={}, error={"code": 502, "message": "Provider returned error"}), "unavailable_server_fault"),
        (frame(error={"message": "Insufficient Balance", "code": "invalid_request_error"}), "quota_exceeded"),
        (frame(error="model 'x' not found, try pulling it first"), "not_found_on_server"),
        (frame(error="CUDA out of memory"), "unavailable_server_fault"),
        ("<!DOCTYPE html><html><body>Bad gateway</body></html>", "unavailable_html"),
    ],
)  # fmt: skip
def test_errors_in_other_forms(piece, code):
    with pytest.raises(ModelError) as error:
        replay((200, [piece]))
    assert error.value.code == code


def test_an_error_within_an_error_is_read():
    message = json.dumps({"error": {"message": "Out of quota for today", "code": 429}})
    with pytest.raises(ModelError) as error:
        replay((200, [frame(error={"message": message, "code": 429}), DONE]))
    assert error.value.server_sentence == "Out of quota for today"


@pytest.mark.parametrize(
    ("status", "message", "limit"),
    [
        (400, "Range of max_tokens should be [1, 64]", 64),
        (402, "You requested up to 256 tokens, but can only afford 64.", 64),
        (400, "maxOutputTokens value of 256 but the supported range is from 1 (inclusive) to 65 (exclusive).", 64),
        (422, "`inputs` tokens + `max_new_tokens` must be <= 164. Given: 100 `inputs` tokens and 256 `max_new_tokens`", 64),
        (400, "maximum context length is 85 tokens. However, you requested about 277 tokens (21 of text input, 256 in the output)", 64),
        (400, "input length and `max_tokens` exceed context limit: 136 + 256 > 200, decrease input length", 64),
    ],
)  # fmt: skip
def test_limits_in_other_servers_words(status, message, limit):
    replies = ((status, fault(None, message)), (200, WHOLE))
    _, end, _, bodies = replay(*replies, max_new_tokens=256)
    assert [body["max_tokens"] for body in bodies] == [256, limit]
    assert codes(end) == {"limit_lowered"}


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum prompt length is 100 but the request contains 140 tokens.",
        "Range of input length should be [1, 30720]",
        "Prompt exceeds max length",
        "`inputs` must have less than 1024 tokens. Given: 1500",
        "Request too large for model `x`: Limit 6000, Requested 7000, please reduce your message size",
    ],
)
def test_a_prompt_that_is_too_long_in_other_words(message):
    turns = [{"role": r, "content": "x"} for r in ("user", "assistant", "user")]
    _, end, _, bodies = replay((413, fault(None, message)), (200, WHOLE), messages=turns)
    assert [len(body["messages"]) for body in bodies] == [3, 1]
    assert codes(end) == {"turns_left_out"}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Developer instruction is not enabled for models/gemma-3-1b-it", "system_as_user"),
        ("Only user and assistant roles are supported!", "system_as_user"),
        ("This model does not support streaming.", "not_streamed"),
    ],
)
def test_remedies_for_other_words(message, code):
    whole = (200, {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]})
    end = replay((400, fault(None, message)), whole, system_prompt="Be brief.")[1]
    assert codes(end) == {code}


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "Content Exists Risk", "refused_content"),
        (400, "Input data may contain inappropriate content.", "refused_content"),
        (400, "Model Not Exist", "not_found_on_server"),
        (404, "The API deployment for this resource does not exist.", "not_found_on_server"),
        (403, "Sorry, your account balance is insufficient", "quota_exceeded"),
        (400, "Your credit balance is too low to access the API.", "quota_exceeded"),
        (400, "Unknown field safety_settings", "invalid_for_server"),
    ],
)
def test_faults_in_other_servers_words(status, message, code):
    with pytest.raises(ModelError) as error:
        replay((status, fault(None, message)))
    assert error.value.code == code


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"data": None, "models": [{"name": "a"}]}, ("a",)),
        ({"success": True, "result": [{"name": "@cf/meta/llama", "id": "uuid"}]}, ("@cf/meta/llama",)),
        ({"body": {"data": [{"id": "a"}]}}, ("a",)),
        ({"results": [{"slug": "a/b"}]}, ("a/b",)),
        ({"data": {"a": {"size": 1}, "b": {}}}, ("a", "b")),
        ([{"id": "azureml://registries/x", "name": "gpt-4o"}], ("gpt-4o",)),
        ({"data": [{"model_name": "a"}]}, ("a",)),
    ],
)  # fmt: skip
def test_more_lists_of_models(body, names):
    assert listed(body) == names


def test_a_list_in_parts_is_read_whole():
    parts = [{"data": [{"id": "a"}], "has_more": True, "last_id": "a"}, {"data": [{"id": "b"}]}]
    assert [next_page(part) for part in parts] == [{"after_id": "a"}, {}]
    assert next_page({"models": [], "nextPageToken": "x"}) == {"pageToken": "x"}
    assert listed({"data": [{"id": "a"}], "has_more": True, "last_id": "a"}) == ("a",)


def test_a_long_line_in_small_pieces_is_read_in_good_time():
    pieces = ["x" * 100_000] * 40
    began = time.process_time()
    stream = ['data: {"choices":[{"delta":{"content":"', *pieces, '"}}]}\n\n', DONE]
    assert len(replay((200, stream))[0][0]) == 4_000_000
    assert time.process_time() - began < 5
