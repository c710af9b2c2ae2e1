"""Who may call: people with hashed passwords, programs with tokens; and how often somebody may try."""

import io
import re
import subprocess
import sys

import httpx2
import pytest
from starlette.testclient import TestClient

import api
from models import access
from models.access import Access
from models.errors import RateLimited, Unavailable
from models.runtime.cache import ModelCache
from models.settings import ROOT, Settings
from models.state import StateFile
from tests.conftest import start_server

TEXT = {"text": "I love it"}


def settings_with(tmp_path, **values):
    return Settings.model_validate({"state": tmp_path / "state.sqlite3", **values})


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command line: what it prints, and what it says where it cannot."""
    monkeypatch.setenv("GENLAB_STATE", str(tmp_path / "state.sqlite3"))

    def run(*argv, stdin=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        try:
            return access.main(argv)
        except SystemExit as end:
            return str(end)

    return run


def test_the_command_line_makes_lists_and_revokes_a_token(tmp_path, command):
    token = command("create", "robot")
    assert re.fullmatch(r"genlab_[\w-]{43}", token)
    assert "already" in command("create", "robot")
    assert re.fullmatch(r"robot  since \d{4}-\d\d-\d\d", command("list"))
    for file in tmp_path.iterdir():
        assert token.encode() not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0
    with TestClient(api.build(ModelCache(settings_with(tmp_path)))) as web:
        assert web.get("/v1/models", headers={"authorization": f"Bearer {token}"}).is_success
    assert command("revoke", "robot") == "revoked"
    assert command("revoke", "robot") == "no such token"
    assert command("list") == ""


def test_a_hashed_password_lets_its_person_in(tmp_path, command):
    line = command("password", "ann", stdin="secret:1, two\n")
    assert line.startswith("ann:$argon2id$")
    assert "secret" not in line
    settings = settings_with(tmp_path, auth=f"bob:plain, {line},eve:last")
    assert [name for name, _ in settings.credentials] == ["bob", "ann", "eve"]
    people = Access(settings, settings.credentials)
    assert people.sign_in("ann", "secret:1, two", "")
    assert people.sign_in("ann", "secret:1, two", "")
    assert people.sign_in("bob", "plain", "")
    for name, password in (
        ("ann", "secret"),
        ("ann", line),
        ("ann", ""),
        ("eve", "plain"),
        ("no", "last"),
    ):
        assert not people.sign_in(name, password, "")


def test_bearer_tokens_open_both_apis_until_they_are_revoked(tmp_path):
    settings = settings_with(tmp_path)
    tokens = StateFile(settings.state_file)
    token = access.create(tokens, "robot")
    with TestClient(api.build(ModelCache(settings), Access(settings, [("a", "b")]))) as web:
        mine = {"authorization": f"Bearer {token}"}
        assert web.post("/api/v1/sentiment", json=TEXT, headers=mine).status_code == 200
        assert web.get("/v1/models", headers=mine).status_code == 200
        for other in ("genlab_x", "none", token[:-1], f"{token}x", ""):
            headers = {"authorization": f"Bearer {other}"}
            assert web.get("/v1/models", headers=headers).status_code == 401
        assert access.revoke(tokens, "robot")
        assert web.get("/v1/models", headers=mine).status_code == 401


def test_tokens_outlive_a_kill(tmp_path):
    code = (
        "import os, sys, pathlib; from models import access; from models.state import StateFile;"
        "print(access.create(StateFile(pathlib.Path(sys.argv[1])), 'robot'), flush=True); os.kill(os.getpid(), 9)"
    )
    file = tmp_path / "state.sqlite3"
    process = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == -9
    assert access.name_of(StateFile(file), process.stdout.strip()) == "robot"


def test_tries_to_sign_in_are_limited_by_name_address_and_in_all(tmp_path):
    settings = settings_with(tmp_path)

    def tries(*pairs):
        people = Access(settings, [("ann", "right")])
        for count, (name, address) in enumerate(pairs):
            try:
                assert not people.sign_in(name, "wrong", address)
            except RateLimited:
                with pytest.raises(RateLimited) as problem:
                    people.sign_in(name, "right", address)
                assert 1 <= problem.value.params["seconds"] <= 60
                return count
        return None

    assert tries(*[("ann", f"10.0.0.{n}") for n in range(50)]) == access.TRIES_OF_A_NAME
    assert tries(*[(f"n{n}", "10.0.0.1") for n in range(50)]) == access.TRIES_OF_AN_ADDRESS
    fake = [(f"n{n}", f"10.0.0.{n}") for n in range(150)]
    assert tries(*fake) == access.TRIES_OF_ALL


def test_a_state_file_that_cannot_be_used_lets_nobody_in(tmp_path):
    settings = settings_with(tmp_path, state=tmp_path)  # a folder
    with TestClient(api.build(ModelCache(settings), Access(settings, [("a", "b")]))) as web:
        answer = web.get("/v1/models", headers={"authorization": "Bearer genlab_x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable_state")
        assert web.get("/v1/models", auth=("a", "b")).status_code == 200
    with pytest.raises(Unavailable):
        access.create(StateFile(tmp_path), "robot")


def test_the_page_and_the_api_count_the_same_tries(tmp_path, command):
    line = command("password", "ann", stdin="right\n")
    server = start_server(
        tmp_path,
        GENLAB_AUTH=f"bob:other,{line}",
        GENLAB_STATE=str(tmp_path / "s"),
        GENLAB_PERSON_REQUESTS="2",
    )
    try:
        with httpx2.Client(base_url=server.url, timeout=120) as web:
            # So that the model is there: a load may take long, and counts end after a minute.
            bob = httpx2.BasicAuth("bob", "other")
            assert web.post("api/v1/sentiment", json=TEXT, auth=bob).status_code == 200
            # A person of the page: the queue's jobs are hers, whatever address is forged.
            form = {"username": "ann", "password": "right"}
            assert web.post("login", data=form).json() == {"success": True}
            events = [_begin(web, f"10.0.0.{n}") for n in range(3)]
            ends = sorted(_end(web, event) for event in events)
            assert [kind for kind, _ in ends] == ["complete", "complete", "error"]
            assert "Full for now: come back in" in ends[-1][1]
            ann = httpx2.BasicAuth("ann", "right")
            full = web.post("api/v1/sentiment", json=TEXT, auth=ann)
            assert (full.status_code, full.json()["error"]["code"]) == (429, "full")
            assert 1 <= int(full.headers["retry-after"]) <= 60
            form["password"] = "wrong"
            page = [web.post("login", data=form).status_code for _ in range(5)]
            wrong = httpx2.BasicAuth("ann", "wrong")
            programs = [web.get("v1/models", auth=wrong).status_code for _ in range(5)]
            assert page + programs == [400] * 5 + [401] * 5
            for answer in (web.post("login", data=form), web.get("v1/models", auth=wrong)):
                assert answer.status_code == 429
                assert 1 <= int(answer.headers["retry-after"]) <= 60
    finally:
        server.process.terminate()
        server.process.wait(20)


CALL = "gradio_api/call/analyze_sentiment"


def _begin(web, address):
    data = {"data": ["I love it", "auto"]}
    return web.post(CALL, json=data, headers={"x-forwarded-for": address}).json()["event_id"]


def _end(web, event):
    with web.stream("GET", f"{CALL}/{event}") as answer:
        lines = answer.read().decode().splitlines()
    last = next(n for n, line in enumerate(lines) if line in ("event: complete", "event: error"))
    return lines[last].removeprefix("event: "), lines[last + 1]
