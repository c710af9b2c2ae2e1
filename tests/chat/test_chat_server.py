"""Chat behind OpenAI's API with a real server: `transformers serve` on a local folder."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from models.chat.events import Note, ServerModels, TextDelta
from models.chat.requests import ServerModelsRequest
from models.contract import Placement
from models.errors import ModelError
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.tasks import recipe
from tests import tiny
from tests.chat.test_chat_openai import KEY, SPEC, answer, ask, settings


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """`transformers serve` on a tiny Llama: (base URL, model name)."""
    home = tmp_path_factory.mktemp("serve")
    (home / "hub").mkdir()
    model = str(tiny.llama(home / "llama"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", model]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    offline = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, *options], env=os.environ | offline, stdout=log, stderr=log
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}/v1", model
    finally:
        server.terminate()
        server.wait(10)


def _wait(url: str, server: subprocess.Popen) -> None:
    end = time.monotonic() + 300
    while server.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError("transformers serve did not start")


def test_a_real_server_streams_and_repeats_by_seed(real):
    url, model = real
    request = ask(system_prompt="Be kind.", max_new_tokens=40, model_name=model, api_key=None)
    message: list = []
    (text,), end = answer(settings(url), request, message)
    assert sum(isinstance(event, TextDelta) for event in message) > 5
    assert end.finish_reason == "length"
    assert end.completion_tokens == 40
    assert end.seed == 7
    assert answer(settings(url), request)[0] == [text]
    assert answer(settings(url), request.model_copy(update={"seed": 8}))[0] != [text]
    other = request.model_copy(update={"system_prompt": "Be a pirate."})
    assert answer(settings(url), other)[0] != [text]


def test_a_visitor_can_name_the_real_server(real):
    url, model = real
    request = ask(max_new_tokens=20, model_name=model, api_key=None)
    (text,), end = answer(settings(url), request)
    by_name = request.model_copy(update={"base_url": url})
    assert answer(settings(None), by_name)[0] == [text]
    assert end.prompt_tokens > 0
    assert set(end.notes) == {
        Note("parameter_left_out", "max_completion_tokens"),
        Note("seed_unsure"),
    }


def test_the_real_servers_list_of_models_is_empty_and_that_is_no_fault(real):
    url, _ = real
    events = list(run(ModelCache(settings(url)), SPEC, ServerModelsRequest.of()))
    assert [event.names for event in events if isinstance(event, ServerModels)] == [()]


def test_what_the_real_server_ignores_is_noted(real):
    url, model = real
    request = ask(max_new_tokens=5, model_name=model, num_return_sequences=3, alternatives=5)
    result, end = answer(settings(url), request)
    assert len(result) == 1
    assert {Note("parameter_ignored", "n"), Note("no_logprobs")} <= set(end.notes)


def test_a_model_that_the_real_server_does_not_have_is_an_error(real):
    url, _ = real
    with pytest.raises(ModelError) as error:
        answer(settings(url), ask(max_new_tokens=5, model_name="/no/such/model"))
    assert error.value.code != "failed"


def test_four_people_at_once_get_what_each_would_get_alone(real):
    url, model = real
    # At temperature 0: the real server draws all at once from one generator, whatever the seed.
    requests = [
        ask(f"Question {k}", max_new_tokens=30, model_name=model, temperature=0) for k in range(4)
    ]
    alone = [answer(settings(url), request)[0] for request in requests]
    assert len({text for (text,) in alone}) == 4
    cache = ModelCache(settings(url))
    replies: dict[int, str] = {}

    def person(number: int) -> None:
        for event in run(cache, SPEC, requests[number]):
            if isinstance(event, TextDelta):
                replies[number] = replies.get(number, "") + event.text

    people = [threading.Thread(target=person, args=(number,)) for number in range(4)]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join(120)
    assert [[replies[number]] for number in range(4)] == alone


def test_the_default_model_is_that_of_the_settings(real):
    url, model = real
    limits = settings(url, openai_model=model)
    assert answer(limits, ask(max_new_tokens=5, api_key=None))[0]


def test_a_stop_frees_the_real_server_for_the_next(real):
    url, model = real
    long = ask(max_new_tokens=200, model_name=model)
    events = run(ModelCache(settings(url)), SPEC, long)
    for event in events:
        if isinstance(event, TextDelta):
            break
    events.close()
    assert answer(settings(url), ask(max_new_tokens=3, model_name=model))[0]


def test_the_recipe_repeats_the_real_servers_answer(real):
    url, model = real
    request = ask('It\'s "fun"\n{x}', max_new_tokens=30, model_name=model)
    (text,), _ = answer(settings(url), request)
    script = recipe(SPEC, request, Placement("server", "", "hosted"))
    assert KEY not in script
    assert url not in script
    environment = os.environ | {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "x"}
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, check=True
    )
    assert result.stdout.decode() == text + "\n"
