"""Many people at once, over raw HTTP: nobody stalls when somebody leaves mid-run."""

import json
import threading
import time
import urllib.request
import uuid
from contextlib import contextmanager

import pytest


def call(server, name, data):
    """Join the queue; return the open event stream."""
    with urllib.request.urlopen(server.url + "config") as answer:
        config = json.load(answer)
    fn = next(d["id"] for d in config["dependencies"] if d["api_name"] == name)
    session = uuid.uuid4().hex
    body = json.dumps({"data": data, "fn_index": fn, "session_hash": session}).encode()
    ask = urllib.request.Request(
        server.url + "gradio_api/queue/join", body, {"content-type": "application/json"}
    )
    urllib.request.urlopen(ask, timeout=20).close()
    return urllib.request.urlopen(
        server.url + f"gradio_api/queue/data?session_hash={session}", timeout=60
    )


def events(stream):
    for line in stream:
        if line.startswith(b"data:"):
            yield json.loads(line[5:])


def health(server):
    with urllib.request.urlopen(server.url + "health", timeout=10) as answer:
        return json.load(answer)


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def watch_health(server, gaps):
    """Ask for /health all the while and note how long each answer took."""
    end = threading.Event()

    def watch():
        while not end.wait(0.05):
            start = time.perf_counter()
            health(server)
            gaps.append(time.perf_counter() - start)

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    end.set()
    thread.join()


@pytest.fixture
def warm(server):
    with call(server, "analyze_sentiment", ["good", "auto"]) as stream:
        assert any(e["msg"] == "process_completed" and e["success"] for e in events(stream))


def test_one_leaves_mid_run_and_twenty_go_on(server, warm):
    prompt = ["a cat in the snow", "", "auto", 5.0, 100, 1, 256, 256, 8, "", "", 0.6, "", 1.0, ""]
    picture = call(server, "generate_image", prompt)
    until(lambda: health(server)["active"] >= 1, 60)
    results, gaps = [], []

    def person(number):
        with call(
            server, "analyze_sentiment", [f"evening number {number} was good", "auto"]
        ) as stream:
            results.extend(e["success"] for e in events(stream) if e["msg"] == "process_completed")

    people = [threading.Thread(target=person, args=(n,)) for n in range(20)]
    with watch_health(server, gaps):
        for p in people[:10]:
            p.start()
        picture.close()  # leaves in the middle of 8 x 100 steps
        for p in people[10:]:
            p.start()
        for p in people:
            p.join(60)
        until(lambda: health(server)["active"] == 0, 20)
    assert results == [True] * 20
    assert max(gaps) < 3, "the server stalled"
