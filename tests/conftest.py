"""What all tests share. No test reads .env, a real key or a hub login."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from models.weights import index

if TYPE_CHECKING:
    from models.runtime.cache import ModelCache

OWN_VARIABLES = {"GENLAB_REQUIRE_BROWSER", "GENLAB_FUZZ_SECONDS", "GENLAB_REAL_CACHE"}
# What `python -m models.weights` fetched, for tests marked real; the processes of `-n 2` inherit it.
REAL_CACHE = Path(os.environ.setdefault("GENLAB_REAL_CACHE", str(index.cache_folder())))
for name in list(os.environ):
    if (
        name.startswith(("OPENAI_", "GENLAB_", "HF_TOKEN", "SPACE_ID"))
        and name not in OWN_VARIABLES
    ):
        del os.environ[name]
os.environ["GENLAB_ENV_FILE"] = os.devnull
# All other tests see a machine without those weights, whether they are here or not.
os.environ["GENLAB_CACHE"] = str(Path(tempfile.gettempdir()) / "genlab-tests-without-weights")
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """How `-n 2` shares the tests out: by files, and all that drive a browser to one process."""
    from xdist.scheduler import LoadFileScheduling  # a machine that runs but some tests may lack it

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return (
                "browser" if nodeid.startswith("tests/browser/") else super()._split_scope(nodeid)
            )

    return ByFile(config, log)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@dataclass(frozen=True)
class Server:
    """The app, running as people run it."""

    url: str
    log: Path
    process: subprocess.Popen

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def start_server(
    folder: Path,
    *flags: str,
    port: int = 0,
    root: Path = ROOT,
    program: tuple[str, ...] = ("demo.py",),
    patience: float = 90,
    **environment: str,
) -> Server:
    """Start the demo.py of `root` in a process and on a port of its own, and wait for its answer."""
    port = port or free_port()
    log = folder / "server.log"
    cache = folder / "gradio"
    env = {
        **os.environ,
        "GRADIO_TEMP_DIR": str(cache),
        "HF_HOME": str(folder / "hf"),
        "GENLAB_FETCH": "false",  # a Space fetches weights at its start: tests without them would find them
        **environment,
    }
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, *program, "--port", str(port), *flags],
            cwd=root,
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}/", log, process)
    end = time.monotonic() + patience
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(server.url + "health", timeout=2) as answer:
                if answer.status == 200:
                    return server
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise RuntimeError(f"the app did not start:\n{server.log_text()[-2000:]}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running app for the whole test run: no key, no hub, no GPU needed."""
    server = start_server(tmp_path_factory.mktemp("app"), HF_HUB_OFFLINE="1")
    yield server
    server.process.terminate()
    server.process.wait(20)
    assert "Traceback" not in server.log_text(), server.log_text()[-3000:]


@pytest.fixture(scope="module")
def cache() -> "Iterator[ModelCache]":
    """The models of one test file; a file may have a cache of its own instead."""
    from models.runtime.cache import ModelCache
    from models.settings import Settings

    cache = ModelCache(Settings())
    yield cache
    cache.close()


@pytest.fixture(scope="session")
def tiny_starters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of starters with one, "tiny": tests/tiny.py's Stable Diffusion. Not to be written to."""
    from tests import tiny

    folder = tmp_path_factory.mktemp("starters")
    tiny.stable_diffusion(folder / "tiny")
    return folder


@pytest.fixture
def real_weights(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Use the weights that `python -m models.weights` fetched; skips, and says so, without them.

    Returns:
        A function from a model's id to its file.
    """
    from models.tasks import CATALOG

    monkeypatch.setenv("GENLAB_CACHE", str(REAL_CACHE))

    def file_of(model_id: str) -> Path:
        spec = next(s for s in CATALOG if s.id == model_id)
        file = index.cached_path(spec)
        if file is None:
            pytest.skip(f"{model_id} is not here: python -m models.weights fetches it")
        return file

    return file_of
