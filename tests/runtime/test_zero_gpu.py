"""Jobs on a Space with ZeroGPU: real forks, pickles and durations of the package spaces (tests/zero_gpu.py)."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from models import select
from models.chat.requests import ChatRequest
from models.contract import Placement
from models.errors import InvalidInput, ModelError, QuotaExceeded
from models.runtime import placement, zerogpu
from models.runtime.placement import Hardware, place
from models.settings import Settings
from models.tasks import CATALOG, TEXT_TO_IMAGE
from models.text_to_image.requests import (
    DecodeRequest,
    ImageGridRequest,
    ImageRequest,
    LeaveOutRequest,
)
from tabs.shared.events import sentence
from tests.conftest import ROOT, start_server
from tests.zero_gpu import TOKEN, DeviceApi

ON_ZERO_GPU = Hardware(False, False, False, 2, zero_gpu=True)
OWN = Hardware(True, False, False, 2)


def model(name: str):
    return next(spec for spec in CATALOG if spec.id == name)


# ---------------------------------------------------------------- what is asked for


def reservation(name: str, request) -> int:
    spec = model(name)
    return zerogpu.seconds(
        zerogpu.GpuJob(spec, None, place(spec, Settings(), ON_ZERO_GPU), Settings(), request)
    )


def test_only_what_wants_a_gpu_costs_quota():
    for spec in CATALOG:
        result = place(spec, Settings(), ON_ZERO_GPU)
        if spec.hosted:
            assert result.device == "server"
        elif spec.wants_gpu:
            assert (result.device, result.dtype, result.reason) == (
                "cuda",
                spec.cuda_dtype,
                "zero_gpu",
            )
        else:
            assert result.device == "cpu", spec.id
    assert {s.id for s in CATALOG if s.wants_gpu} >= {"CompVis/stable-diffusion-v1-4"}
    assert place(model("genlab/scenes"), Settings(), ON_ZERO_GPU).reason == "zero_gpu_small"
    assert (
        place(model("Qwen/Qwen3-0.6B-GGUF:Q8_0"), Settings(), ON_ZERO_GPU).reason
        == "zero_gpu_small"
    )
    by_setting = place(model("stabilityai/sd-turbo"), Settings(device="cpu"), ON_ZERO_GPU)
    assert by_setting == Placement("cpu", "float32", "cpu_by_setting", 2)


def test_quota_is_never_spent_without_being_asked_for(monkeypatch):
    monkeypatch.setattr(select, "is_here", lambda spec: True)
    for machine, first in ((ON_ZERO_GPU, "genlab/scenes"), (OWN, "CompVis/stable-diffusion-v1-4")):
        monkeypatch.setattr(placement, "hardware", lambda machine=machine: machine)
        assert select.default_model(TEXT_TO_IMAGE, Settings(), "en").id == first


def test_the_time_is_worked_out_from_model_steps_pictures_and_size():
    classic, flux = "CompVis/stable-diffusion-v1-4", "black-forest-labs/FLUX.1-schnell"
    one = reservation(classic, ImageRequest.of(prompt="a cat"))
    assert 10 <= one <= 60  # ZeroGPU's own default
    assert reservation(classic, ImageRequest.of(prompt="a cat", num_inference_steps=10)) < one
    assert reservation(classic, ImageRequest.of(prompt="a cat", num_images=8)) > 2 * one
    assert reservation(classic, ImageRequest.of(prompt="a cat", width=768, height=768)) > one
    assert reservation(flux, ImageRequest.of(prompt="a cat")) > one
    grid = ImageGridRequest.of(prompt="a cat", guidance_scales=(1, 3, 5), step_counts=(10, 50))
    assert reservation(classic, grid) > one
    assert reservation(classic, LeaveOutRequest.of(prompt="a red cat on a mat")) > 2 * one
    look = DecodeRequest.of(data=bytes(2 * 4 * 64 * 64 * 2), shape=(2, 4, 64, 64))
    assert reservation(classic, look) < one
    not_here = reservation("stabilityai/sdxl-turbo", ImageRequest.of(prompt="a"))
    assert not_here == 20  # 2 s for each of 6.9 GB, and 5, and a step with the decoding
    talk = model("genlab/small-talk")
    short, long = (
        ChatRequest.of(messages=[{"role": "user", "content": "Hi"}], max_new_tokens=tokens)
        for tokens in (16, 1024)
    )
    assert short.passes(talk) < long.passes(talk)


def test_too_much_work_is_said_before_a_gpu_is_asked_for():
    grid = ImageGridRequest.of(prompt="a cat", num_seeds=36)  # with the model's own 50 steps
    with pytest.raises(InvalidInput, match="invalid_grid_steps"):
        reservation("CompVis/stable-diffusion-v1-4", grid)


def test_a_request_and_an_error_cross_a_process():
    request = ImageRequest.of(prompt="a cat", api_key="sk-secret")
    again = pickle.loads(pickle.dumps(request))
    assert again == request
    problem = QuotaExceeded("quota_zero_gpu", needed=1, left=2, wait="3")
    problem.server_sentence = "words"
    copy = pickle.loads(pickle.dumps(problem))
    assert type(copy) is QuotaExceeded
    assert (copy.code, copy.params) == (problem.code, problem.params)
    assert copy.server_sentence == "words"
    assert pickle.loads(pickle.dumps(ModelError("failed", kind="X"))).params == {"kind": "X"}


# ---------------------------------------------------------------- with forks


@pytest.fixture(scope="module")
def on_lease(tmp_path_factory):
    """The report of tests/zero_gpu.py's probe, with what the device API saw."""
    pytest.importorskip("spaces", reason="spaces is in tests/requirements.txt")
    if not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    folder = tmp_path_factory.mktemp("zero")
    with DeviceApi() as api:
        process = subprocess.run(
            [sys.executable, "-m", "tests.zero_gpu", "probe"],
            cwd=ROOT,
            env={**os.environ, **api.environment(folder), "PROBE_FOLDER": str(folder)},
            capture_output=True,
            text=True,
            timeout=250,
        )
    result = [line for line in process.stdout.splitlines() if line.startswith("REPORT ")]
    assert result, process.stdout[-2000:] + process.stderr[-4000:]
    return {**json.loads(result[-1][7:]), "api": api, "log": process.stderr}


def test_a_job_runs_in_another_process_and_its_events_come_back(on_lease):
    for name in ("placed", "later", "again"):
        message = on_lease[name]
        assert message["first"]["process"] != on_lease["parent"]
        assert [kind for kind in message["events"] if kind == "Scores"] == ["Scores"] * 4
        assert message["events"][-1] == "Finished"
        assert message["last"]["device"] == "zero_gpu"
    assert on_lease["small"] == "no_weights"
    processes = {float(values["pid"]) for values in on_lease["api"].calls_to("/allow")}
    assert on_lease["placed"]["first"]["process"] in processes


def test_a_model_comes_along_if_it_was_placed_and_is_loaded_once_a_process_if_not(on_lease):
    assert on_lease["placed"]["reserved"] < on_lease["later"]["reserved"] + 1
    assert on_lease["placed"]["first"]["loads"] == 1  # before the fork
    assert on_lease["later"]["first"]["loads"] == 2  # in the process
    assert on_lease["again"]["first"]["loads"] == 2  # which is used again
    assert on_lease["later"]["first"]["process"] == on_lease["again"]["first"]["process"]
    assert "broken could not be placed before the start" in on_lease["log"]


def test_each_call_asks_for_its_seconds_and_is_given_back(on_lease):
    calls = on_lease["api"].calls_to("/schedule")
    assert {call["cgroupPath"] for call in calls} == {"/space"}
    assert calls[0]["durationSeconds"] == str(on_lease["placed"]["reserved"])
    grants = len(calls) - 8  # so many were refused
    assert len(on_lease["api"].calls_to("/release")) == grants


def test_the_visitors_own_quota_pays(on_lease):
    """The request's token is found although the job has a thread of its own."""
    tokens = [call.get("token") for call in on_lease["api"].calls_to("/schedule")]
    assert tokens[:3] == [None] * 3
    assert tokens[3] == TOKEN


def test_a_stop_reaches_a_model_that_says_nothing(on_lease):
    assert on_lease["close_seconds"] < 0.2  # the page does not wait
    assert on_lease["silent"] == "stopped"
    assert on_lease["stop_seconds"] < 5


def test_what_goes_wrong_there_is_said_here_in_its_kind(on_lease):
    assert on_lease["known"]["kind"] == "Unavailable"
    assert on_lease["known"]["code"] == "unavailable"
    assert on_lease["unknown"] == {
        "code": "failed",
        "kind": "ModelError",
        "params": {"kind": "ValueError"},
    }
    assert "a secret in here" not in json.dumps(on_lease["unknown"])
    assert on_lease["memory"]["kind"] == "OutOfMemory"
    assert on_lease["dead"]["code"] == "unavailable_zero_gpu_cut"
    assert on_lease["broken"]["code"] == "unavailable_zero_gpu_start"
    assert on_lease["after_death"] == 4
    assert not any(on_lease["active"])  # every model was given back


def test_out_of_quota_is_a_sentence_with_what_to_do(on_lease):
    message = on_lease["quota"]
    assert message["kind"] == "QuotaExceeded"
    assert message["params"] == {"needed": "10", "left": "12", "wait": "3:12:00"}
    problem = QuotaExceeded(message["code"], **message["params"])
    assert "come back in 3:12:00, sign in to Hugging Face" in sentence(problem, "en")
    assert "3:12:00 뒤에 다시" in sentence(problem, "ko")
    assert on_lease["page_quota"]["code"] == "quota_zero_gpu_page"
    assert on_lease["long"]["code"] == "invalid_zero_gpu_long"
    assert on_lease["credits"]["code"] == on_lease["runs"]["code"] == "quota_zero_gpu_runs"
    for bad in ("none_free", "api_broken", "no_api"):
        assert on_lease[bad]["code"] == "unavailable_zero_gpu", bad
    assert on_lease["old_page"]["code"] == "unavailable_zero_gpu_session"


# ---------------------------------------------------------------- the whole page


@pytest.fixture(scope="module")
def space(tmp_path_factory, tiny_starters):
    """The page as on a Space with ZeroGPU, with tests/tiny.py's weights as Stable Diffusion v1-4's."""
    pytest.importorskip("spaces", reason="spaces is in tests/requirements.txt")
    if not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    folder = tmp_path_factory.mktemp("space")
    store = folder / "hf" / "hub" / "models--CompVis--stable-diffusion-v1-4"
    shutil.copytree(tiny_starters / "tiny", store / "snapshots" / "1")
    (store / "refs").mkdir()
    (store / "refs" / "main").write_text("1")
    with DeviceApi() as api:
        server = start_server(
            folder,
            program=("-m", "tests.zero_gpu", "app"),
            patience=240,  # it loads the model before the page is up
            HF_HUB_OFFLINE="1",
            **api.environment(folder),
        )
        yield server, api
        server.process.terminate()
        server.process.wait(20)
        for values in api.calls_to("/allow"):  # a forked process outlives one that is told to end
            with suppress(OSError):
                os.kill(int(values["pid"]), signal.SIGKILL)


DRAW = {"model": "CompVis/stable-diffusion-v1-4", "width": 64, "height": 64}
DRAW |= {"num_inference_steps": 3, "seed": 1}


def test_a_picture_is_drawn_on_the_gpu_that_is_lent_to_the_visitor(space):
    server, api = space
    assert api.calls[0][0] == "/startup-report"  # else ZeroGPU ends the Space
    client = Client(server.url, verbose=False, headers={"x-ip-token": TOKEN})
    pictures, facts = client.predict("a cat", api_name="/generate_image", **DRAW)
    assert facts["seeds"] == [1]
    assert pictures
    (call,) = api.calls_to("/schedule")
    assert call["token"] == TOKEN
    assert int(call["durationSeconds"]) == 10
    assert len(api.calls_to("/allow")) == len(api.calls_to("/release")) == 1
    with httpx.Client(base_url=server.url, timeout=120) as web:
        job = {"prompt": "a cat", **DRAW}
        png = {"Accept": "image/png", "x-ip-token": TOKEN}
        answer = web.post("api/v1/images", json=job, headers=png)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "image/png"
        assert [one.get("token") for one in api.calls_to("/schedule")] == [TOKEN] * 2
        # Out of quota, over the page's API and over plain HTTP.
        absent = (429, {"X-Authenticated": "regular"}, {"left": 1, "wait": 7200})
        api.answers += [absent, absent]
        answer = web.post("api/v1/images", json=job, headers=png)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "quota_zero_gpu")
        with pytest.raises(
            AppError, match=r"GPU time for today is used up .* come back in 2:00:00"
        ):
            client.predict("a cat", api_name="/generate_image", **DRAW)


def test_what_needs_no_gpu_asks_for_none(space):
    server, api = space
    before = len(api.calls)
    client = Client(server.url, verbose=False)
    assert client.predict("Hello!", api_name="/chat")
    client.predict("a red circle on a blue background", seed=1, api_name="/generate_image")
    # Libraries must not follow torch, which says there that it has a GPU.
    texts = {"What a wonderful film!": "positive", "정말 지루한 영화예요.": "negative"}
    for text, label in texts.items():
        answer = client.predict(text, api_name="/analyze_sentiment")
        assert answer["label"] == label
        assert client.predict(text, api_name="/explain_sentiment")["words"]
    assert client.predict("A cat sleeps.", "A dog barks.", api_name="/compare_sentences")
    assert api.calls[before:] == []


def test_a_space_has_all_of_the_api_and_no_hint_of_local_servers(space):
    server, _ = space
    with httpx.Client(base_url=server.url, timeout=60) as web:
        assert web.get("health").status_code == 200
        # Gradio's own server before ours would not know it.
        assert web.get("docs").status_code == 200
        config = web.get("config").text
        assert "80, 443, 8080" in config
        assert "11434" not in config
        assert "are lent one by ZeroGPU" in config
    assert "Traceback" not in server.log_text(), server.log_text()[-3000:]
