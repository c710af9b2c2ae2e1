"""Two pages behind nginx, under a prefix, with docs/nginx.conf as it is but for the ports."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from gradio_client import Client

from tests.conftest import ROOT, Server, free_port, start_server

PREFIX = "/genlab"


@pytest.fixture(scope="module")
def front(tmp_path_factory) -> Iterator[str]:
    """The address of nginx, with the prefix; X-Front of an answer says which page gave it."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    running: list[subprocess.Popen] = []
    try:
        pages = []
        for _ in range(2):
            home = tmp_path_factory.mktemp("page")
            pages.append(start_server(home, "--root-path", PREFIX, HF_HUB_OFFLINE="1"))
            running.append(pages[-1].process)
        port = free_port()  # only now: a page takes a while to start
        file = folder / "nginx.conf"
        file.write_text(configuration(folder, port, pages), encoding="utf-8")
        command = [program, "-p", str(folder), "-c", str(file)]
        nginx = subprocess.Popen(command, stderr=subprocess.PIPE)
        running.append(nginx)
        url = f"http://127.0.0.1:{port}{PREFIX}"
        end = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{url}/health", timeout=10).raise_for_status()
                break
            except httpx.HTTPError:
                assert nginx.poll() is None, nginx.stderr.read().decode()
                assert time.monotonic() < end
                time.sleep(0.1)
        yield url
        assert not any("Traceback" in page.log_text() for page in pages)
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


def configuration(folder: Path, port: int, pages: Sequence[Server]) -> str:
    """docs/nginx.conf for these pages and a port of its own, with all that it writes in a folder."""
    text = (ROOT / "docs" / "nginx.conf").read_text(encoding="utf-8")
    for old, page in zip(("127.0.0.1:7861", "127.0.0.1:7862"), pages, strict=True):
        text = text.replace(old, page.url.removeprefix("http://").rstrip("/"))
    assert "786" not in re.sub(r"^#.*$", "", text, flags=re.M)
    own = f"access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;"
    own += "".join(f" {kind}_temp_path {folder}/{kind};" for kind in ("fastcgi", "uwsgi", "scgi"))
    text = text.replace("http {", f"http {{ {own}", 1)
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    front = "add_header X-Front $upstream_addr always; add_header Set"
    text = text.replace("add_header Set", front)
    return f"daemon off; pid {folder}/pid; error_log stderr;\n{text}"


def test_the_page_and_all_it_names_stay_under_the_prefix(front):
    with httpx.Client(base_url=front, timeout=60, follow_redirects=True) as web:
        page = web.get("")
        assert page.status_code == 200
        assert f'"root":"{front}"' in page.text.replace('": "', '":"')
        names = set(
            re.findall(r'(?:src|href)="((?:\./|/|http://127)[^"]+\.(?:js|css))"', page.text)
        )
        assert names
        for name in names:
            address = httpx.URL(f"{front}/").join(name)
            assert str(address).startswith(f"{front}/"), name
            assert web.get(address).status_code == 200, name


def test_the_api_is_under_the_prefix_and_its_examples_say_so(front):
    with httpx.Client(base_url=front, timeout=120) as web:
        assert web.get("/health").json()["status"] == "ok"
        answer = web.post("/api/v1/sentiment", json={"text": "I love it"})
        assert answer.json()["label"] == "positive"
        assert {one["id"] for one in web.get("/v1/models").json()["data"]} > {"genlab/small-talk"}
        docs = web.get("/docs").text
        assert f"curl {front}/api/v1/sentiment" in docs
        assert web.get("/openapi.json").status_code == 200
        assert not httpx.get(front.removesuffix(PREFIX) + "/health").is_success
        talk = {"model": "genlab/small-talk", "messages": [{"role": "user", "content": "Hi"}]}
        with web.stream("POST", "/v1/chat/completions", json={**talk, "stream": True}) as stream:
            frames = [line for line in stream.iter_lines() if line.startswith("data: ")]
        assert len(frames) > 2
        assert frames[-1] == "data: [DONE]"


def test_a_program_talks_to_the_page_through_it(front):
    client = Client(f"{front}/", verbose=False)
    words = list(client.submit("Hello!", api_name="/chat"))
    assert words
    picture, _ = client.predict("a red circle", seed=1, api_name="/generate_image")
    assert picture


def test_a_visitor_stays_at_one_of_both(front):
    def visits(web: httpx.Client) -> set[str]:
        return {web.get(f"{front}/health").headers["x-front"] for _ in range(6)}

    pages = []
    for _ in range(24):
        with httpx.Client(timeout=60) as web:
            first = web.get(f"{front}/health")
            assert "genlab_front=" in first.headers["set-cookie"]
            assert f"Path={PREFIX}/" in first.headers["set-cookie"]
            assert visits(web) == {first.headers["x-front"]}
            pages.append(first.headers["x-front"])
    assert len(set(pages)) == 2
