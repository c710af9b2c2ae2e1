"""/v1 by the official openai client, by PyPI's llm, and by GenLab's own chat pointed at another GenLab."""

import json
import os
import subprocess
import sys

import numpy as np
import openai
import pytest

from api.openai import _Cutter
from models.chat.events import ChatDone, TextDelta
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import Settings
from models.tasks import CHAT

HELLO = [{"role": "user", "content": "Hello!"}]


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}v1", api_key="none", max_retries=0) as client:
        yield client


def test_models_are_listed(client):
    names = [model.id for model in client.models.list()]
    assert names[0] == "auto"
    assert "genlab/small-talk" in names
    assert client.models.retrieve("genlab/small-talk").id == "genlab/small-talk"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no such model")


def test_a_chat_whole_and_streamed_is_the_same_by_its_seed(client):
    options = {"model": "auto", "messages": HELLO, "seed": 3}
    whole = client.chat.completions.create(**options)
    assert whole.model == "genlab/small-talk"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    stream = client.chat.completions.create(
        **options, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert chunks[-2].choices[0].finish_reason == "stop"


def test_samples_and_probabilities(client):
    answer = client.chat.completions.create(
        model="auto", messages=HELLO, seed=3, n=2, logprobs=True, top_logprobs=4
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    tokens = answer.choices[0].logprobs.content
    assert len(tokens[0].top_logprobs) == 4
    assert all(token.logprob <= 0 for token in tokens)
    text = b"".join(bytes(token.bytes) for token in tokens).decode()
    assert answer.choices[0].message.content in text


def test_a_stop_ends_the_answer_before_it(client):
    options = {"model": "auto", "messages": HELLO, "seed": 3}
    text = client.chat.completions.create(**options).choices[0].message.content
    stop = text[2:4]
    whole = client.chat.completions.create(**options, stop=[stop, "never"])
    assert whole.choices[0].message.content == text[: text.index(stop)]
    assert whole.choices[0].finish_reason == "stop"
    chunks = list(client.chat.completions.create(**options, stop=stop, stream=True))
    stream = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert stream == text[: text.index(stop)]


def test_a_stop_over_several_pieces_is_found():
    cutter = _Cutter(["END"])
    assert [cutter.add(piece) for piece in ("aE", "N", "bE", "N", "Dc")] == ["a", "", "ENb", "", ""]
    assert cutter.is_over


def test_a_system_message_and_a_beginning_are_taken(client):
    messages = [
        {"role": "system", "content": "You are a professional assistant."},
        {"role": "user", "content": [{"type": "text", "text": "Hello!"}]},
        {"role": "assistant", "content": "Good"},
    ]
    answer = client.chat.completions.create(model="genlab/small-talk", messages=messages, seed=1)
    assert answer.choices[0].message.content


def test_a_prompt_is_continued(client):
    answer = client.completions.create(model="auto", prompt="Hello!", seed=1, echo=True)
    assert answer.choices[0].text.startswith("Hello!")
    chunks = list(client.completions.create(model="auto", prompt="Hello!", seed=1, stream=True))
    assert "Hello!" + "".join(chunk.choices[0].text for chunk in chunks) == answer.choices[0].text


def test_embeddings_in_both_forms(client):
    texts = ["a cat", "a kitten", "a tax form"]
    plain = client.embeddings.create(model="auto", input=texts, encoding_format="float")
    answer = client.embeddings.create(model="auto", input=texts)  # the client asks for base64
    vectors = np.array([one.embedding for one in plain.data])
    assert np.allclose(vectors, [one.embedding for one in answer.data], atol=1e-6)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_pictures(client):
    answer = client.images.generate(
        model="auto", prompt="a red circle", n=2, extra_body={"num_inference_steps": 2, "seed": 5}
    )
    assert len(answer.data) == 2
    assert answer.data[0].b64_json.startswith("iVBOR")


@pytest.mark.parametrize(
    ("options", "kind", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "invalid_unsupported", "tools"),
        ({"presence_penalty": 1}, "invalid_unsupported", "presence_penalty"),
        ({"temperature": 7}, "invalid_le", "temperature"),
        ({"n": 99}, "invalid_le", "num_return_sequences"),
        ({"messages": []}, "invalid_too_few", "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "invalid_input", "messages"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_name(client, options, kind, param):
    with pytest.raises(openai.UnprocessableEntityError) as error:
        client.chat.completions.create(**({"model": "auto", "messages": HELLO} | options))
    assert (error.value.code, error.value.param) == (kind, param)


def test_neutral_values_are_no_fault(client):
    client.chat.completions.create(
        model="auto", messages=HELLO, presence_penalty=0, frequency_penalty=0, user="x", tools=[]
    )


def test_genlab_talks_to_genlab(server):
    settings = Settings.model_validate(
        {"openai_base_url": f"{server.url}v1", "openai_api_key": "x"}
    )
    from models.chat.requests import ChatRequest

    request = ChatRequest.of(
        messages=HELLO, seed=3, alternatives=4, model_name="genlab/small-talk", top_k=5
    )
    events = list(run(ModelCache(settings), find(CHAT, "openai"), request))
    end = next(event for event in events if isinstance(event, ChatDone))
    assert end.finish_reason == "stop"
    tokens = [t for e in events if isinstance(e, TextDelta) for t in e.tokens]
    assert tokens
    assert all(len(token.alternatives) == 4 for token in tokens)
    assert {note.code for note in end.notes} <= {"seed_unsure", "parameter_left_out"}


# ---------------------------------------------------------------- another client


@pytest.fixture(scope="module")
def llm(server, tmp_path_factory):
    """The command line program of PyPI's llm, set up as its page says for a server like OpenAI's."""
    folder = tmp_path_factory.mktemp("llm")
    entry = {"model_id": "here", "model_name": "auto", "api_base": f"{server.url}v1"}
    legacy = {**entry, "model_id": "prompt", "completion": True}
    (folder / "extra-openai-models.yaml").write_text(json.dumps([entry, legacy]))  # JSON is YAML

    def say(*arguments: str) -> str:
        process = subprocess.run(
            [sys.executable, "-m", "llm", *arguments],
            env={**os.environ, "LLM_USER_PATH": str(folder), "OPENAI_API_KEY": "none"},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        return process.stdout.strip()

    return say


def test_the_llm_program_talks_to_it_unchanged(llm, client):
    options = {"model": "auto", "messages": HELLO, "seed": 3}
    text = client.chat.completions.create(**options).choices[0].message.content.strip()
    assert llm("-m", "here", "-o", "seed", "3", "--no-stream", "Hello!") == text
    assert llm("-m", "here", "-o", "seed", "3", "Hello!") == text  # streamed
    system = [{"role": "system", "content": "You are a witty friend."}, *HELLO]
    witty = client.chat.completions.create(**(options | {"messages": system}))
    words = llm("-m", "here", "-s", "You are a witty friend.", "-o", "seed", "3", "Hello!")
    assert words == witty.choices[0].message.content.strip()
    turns = [*HELLO, {"role": "assistant", "content": text}, {"role": "user", "content": "안녕!"}]
    assert llm("-m", "here", "-o", "seed", "3", "Hello!") == text
    after = client.chat.completions.create(**(options | {"messages": turns}))
    assert llm("-c", "-o", "seed", "3", "안녕!") == after.choices[0].message.content.strip()


def test_the_llm_program_continues_a_prompt(llm, client):
    text = client.completions.create(model="auto", prompt="Hello!", seed=3).choices[0].text
    assert llm("-m", "prompt", "-o", "seed", "3", "--no-stream", "Hello!") == text.strip()
