"""models/weights/hub.py with the real huggingface_hub client, against a hub on this machine."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models.contract import Downloading, Event, ModelSpec, Stop
from models.errors import ModelError, NotFound, RateLimited, Refused, Stopped, Unavailable, WrongKey
from models.settings import Settings
from models.tasks import CATALOG, CHAT, SENTENCE_SIMILARITY, TEXT_TO_IMAGE, Task
from models.weights import hub
from tests.hub_server import TOKEN, HubServer, Repository

MB = 1_000_000
WEIGHTS = hashlib.shake_256(b"weights").digest(24 * MB)  # more than two of the client's chunks
CONFIG = json.dumps({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}).encode()
TEXTS = {"config.json": CONFIG, "tokenizer.json": b"{}", "tokenizer_config.json": b"{}"}
SMALL = {**TEXTS, "model.safetensors": b"small weights"}
UNET = "unet/diffusion_pytorch_model"
PICTURE = {
    "model_index.json": b'{"unet": ["diffusers", "UNet2DConditionModel"], "vae": [null, null]}',
    "unet/config.json": b"{}",
    f"{UNET}.safetensors": b"in float32",
    f"{UNET}.fp16.safetensors": b"in float16",
    f"{UNET}.bin": b"pickled",
    "v1-4.safetensors": b"everything once more",
}


def model(name: str, task: Task = CHAT) -> ModelSpec:
    return ModelSpec(id=name, task=task.id, engine="", source=f"hub:{name}", label=name)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    repositories = {
        "org/small": Repository({**SMALL, "README.md": b"#", "model.py": b"", "flax.msgpack": b""}),
        "org/large": Repository({**TEXTS, "model.safetensors": WEIGHTS}),
        "org/gated": Repository(SMALL, gated=True),
        "org/pickled": Repository({**TEXTS, "pytorch_model.bin": b"pickled"}),
        "org/huge": Repository(SMALL, sizes={"model.safetensors": 10**18}),
        "org/picture": Repository(PICTURE),
    }
    for name in ("HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with HubServer(repositories) as hub_server:
        monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
        yield hub_server


def fetch(
    spec: ModelSpec, settings: Settings | None = None, notify: Callable[[Event], None] | None = None
) -> Path:
    return hub.fetch(spec, settings or Settings.read({}), Stop(), notify or (lambda _: None))


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def part_of(tmp_path: Path) -> Path:
    sha = hashlib.sha256(WEIGHTS).hexdigest()
    return tmp_path / "hub/models--org--large/blobs" / f"{sha}.incomplete"


# ---------------------------------------------------------------- it works


def test_download_says_how_far_it_is_and_ends_with_a_whole_model(server: HubServer) -> None:
    spec, events = model("org/large"), list[Event]()
    assert hub.cached_path(spec) is None
    start = time.monotonic()
    folder = fetch(spec, notify=events.append)
    assert len(events) <= 4 * (time.monotonic() - start) + 1
    assert names(folder) == {*TEXTS, "model.safetensors"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    total = sum(map(len, TEXTS.values())) + len(WEIGHTS)
    assert events[-1] == Downloading(total, total)
    end = [e.done for e in events if isinstance(e, Downloading)]
    assert end == sorted(end)
    assert hub.cached_path(spec) == folder


def test_what_is_here_needs_no_network(server: HubServer) -> None:
    spec = model("org/small")
    folder = fetch(spec)
    assert names(folder) == set(SMALL)  # no README, no code, no other framework's weights
    questions = len(server.calls)
    assert hub.cached_path(spec) == folder
    assert len(server.calls) == questions
    fetch(spec)  # even so, only the list is asked for: every file is here
    assert [s.path for s in server.calls[questions:]] == ["/api/models/org/small"]


def test_client_finds_what_was_fetched(server: HubServer, tmp_path: Path) -> None:
    from huggingface_hub import snapshot_download

    folder = fetch(model("org/small"))
    result = snapshot_download("org/small", cache_dir=tmp_path / "hub", local_files_only=True)
    assert Path(result) == folder


def test_pipeline_comes_in_half_precision(server: HubServer) -> None:
    spec = model("org/picture", TEXT_TO_IMAGE)
    folder = fetch(spec)
    assert names(folder) == {"model_index.json", "unet/config.json", f"{UNET}.fp16.safetensors"}
    assert hub.cached_path(spec) == folder
    (folder / f"{UNET}.fp16.safetensors").resolve().unlink()  # the link in the snapshot stays
    assert hub.cached_path(spec) is None


def test_two_at_once_fetch_the_bytes_once(server: HubServer) -> None:
    specs = (model("org/large"), model("org/large", SENTENCE_SIMILARITY))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(fetch, specs)
    assert first == second
    assert len([s for s in server.bytes_of("model.safetensors") if "/cdn" in s.path]) == 1
    assert all(hub.cached_path(spec) for spec in specs)


# ---------------------------------------------------------------- it is told no


@pytest.mark.parametrize(
    ("name", "task", "kind", "code"),
    [
        ("org/gated", CHAT, Refused, "refused_gated"),
        ("org/missing", CHAT, NotFound, "not_found"),
        ("org/pickled", CHAT, Refused, "refused_pickle"),
        ("org/huge", CHAT, Refused, "refused_disk"),
        ("org/small", TEXT_TO_IMAGE, NotFound, "not_found_task"),
        ("org/picture", CHAT, NotFound, "not_found_task"),
        ("org--not/an-id", CHAT, NotFound, "not_found"),
    ],
)
def test_refusals(
    server: HubServer, tmp_path: Path, name: str, task: Task, kind: type[ModelError], code: str
) -> None:
    with pytest.raises(kind) as error:
        fetch(model(name, task))
    assert error.value.code == code
    assert error.value.params["model"] == name
    assert str(tmp_path) not in str(error.value.params)
    assert not [s for s in server.calls if s.path.startswith("/cdn")]  # not a byte of weights
    assert hub.cached_path(model(name, task)) is None


def test_gated_names_the_page_to_go_to(server: HubServer) -> None:
    with pytest.raises(Refused) as error:
        fetch(model("org/gated"))
    assert error.value.params["url"] == "https://huggingface.co/org/gated"


def test_token_opens_gated_models_and_stays_on_the_hub(server: HubServer) -> None:
    folder = fetch(model("org/gated"), Settings.read({"HF_TOKEN": TOKEN}))
    assert names(folder) == set(SMALL)
    keys = {s.authorization for s in server.calls if s.path.startswith("/cdn")}
    assert keys == {None}  # another host gets the bytes' address, not the token


def test_token_of_a_public_page_is_for_the_catalogue(server: HubServer) -> None:
    settings = Settings.read({"HF_TOKEN": TOKEN, "GENLAB_PUBLIC": "true"})
    with pytest.raises(Refused, match="refused_gated"):
        fetch(model("org/gated"), settings)
    listing = next(
        s for s in CATALOG if s.task == "chat" and s.scheme == "hub" and not s.quantisation
    )
    server.repositories[listing.name] = Repository(SMALL, gated=True)
    assert names(fetch(listing, settings)) == set(SMALL)


def test_no_login_of_this_machine_is_used(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch(model("org/small"), Settings.read({}))
    assert {s.authorization for s in server.calls} == {None}


def test_wrong_token(server: HubServer) -> None:
    with pytest.raises(WrongKey, match="wrong_key_hub") as error:
        fetch(model("org/small"), Settings.read({"HF_TOKEN": "hf_old"}))
    assert "hf_old" not in str(error.value.params)


# ---------------------------------------------------------------- it breaks


def test_server_closed_mid_file_then_goes_on(server: HubServer, tmp_path: Path) -> None:
    spec = model("org/large")
    server.cut["model.safetensors"] = 15 * MB
    with pytest.raises(Unavailable, match="unavailable_transfer"):
        fetch(spec)
    assert hub.cached_path(spec) is None
    before = part_of(tmp_path).stat().st_size
    assert 0 < before <= 15 * MB
    server.cut.clear()
    server.calls.clear()
    events = list[Event]()
    folder = fetch(spec, notify=events.append)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert {s.range for s in server.bytes_of("model.safetensors")} == {f"bytes={before}-"}
    assert isinstance(events[0], Downloading)
    assert events[0].done >= before


def test_stop_counts_at_once_while_the_server_is_silent(server: HubServer, tmp_path: Path) -> None:
    spec, stop, events = model("org/large"), Stop(), list[Event]()
    server.hold["model.safetensors"] = 15 * MB
    end_time = list[float]()

    def work() -> None:
        with pytest.raises(Stopped):
            hub.fetch(spec, Settings.read({}), stop, events.append)
        end_time.append(time.monotonic())

    worker = threading.Thread(target=work)
    worker.start()
    assert server.holding.wait(10)
    time.sleep(0.5)  # the client has taken its first chunk by then
    start = time.monotonic()
    stop.set()
    worker.join(5)
    assert end_time[0] - start < 1
    assert any(isinstance(e, Downloading) and 0 < e.done < e.total for e in events)
    server.hold.clear()
    server.release.set()
    folder = fetch(spec)  # waits until the old transfer has let go, then goes on with its part
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert server.bytes_of("model.safetensors")[-1].range is not None
    assert not part_of(tmp_path).exists()


def test_wrong_bytes_are_noticed_and_not_kept(server: HubServer, tmp_path: Path) -> None:
    server.wrong["model.safetensors"] = bytes(len(WEIGHTS))
    with pytest.raises(Unavailable, match="unavailable_transfer"):
        fetch(model("org/large"))
    assert hub.cached_path(model("org/large")) is None
    assert not part_of(tmp_path).exists()


def test_offline(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Unavailable, match="unavailable_hub"):
        fetch(model("org/small"))
    assert not server.calls


@pytest.mark.parametrize(("status", "code"), [(503, "unavailable_hub"), (429, "rate_limited_hub")])
def test_hub_is_down_or_busy(server: HubServer, status: int, code: str) -> None:
    server.status = status
    with pytest.raises((Unavailable, RateLimited)) as error:
        fetch(model("org/small"))
    assert error.value.code == code


def test_nobody_answers(server: HubServer) -> None:
    server.__exit__()
    with pytest.raises(Unavailable, match="unavailable_hub"):
        fetch(model("org/small"))


def test_cache_cannot_be_written(server: HubServer, tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("a file where the folder should be")
    with pytest.raises(ModelError) as error:
        fetch(model("org/small"))
    assert error.value.code == "refused_cache_folder"
