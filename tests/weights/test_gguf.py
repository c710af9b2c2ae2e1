"""Which GGUF file is meant: of the hub, with the real client against a hub here, and of the host's folder."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.contract import ModelSpec, Stop
from models.errors import ModelError, NotFound, Refused
from models.select import find
from models.settings import Settings
from models.tasks import CATALOG, CHAT, SENTIMENT
from models.weights import gguf, hub, index, sources
from tests.hub_server import HubServer, Repository

MANY = Repository(
    {
        "README.md": b"#",
        "config.json": b"{}",
        "Model-Q8_0.gguf": b"eight",
        "Model-Q4_K_M.gguf": b"four",
        "mmproj-Model-F16.gguf": b"eyes",
        "IQ2_XXS/Model-IQ2_XXS-00001-of-00002.gguf": b"two, first",
        "IQ2_XXS/Model-IQ2_XXS-00002-of-00002.gguf": b"two, second",
        "Model-Q2_K-00001-of-00002.gguf": b"its second part is missing",
        "pytorch_model.bin": b"pickled",
    }
)
QWEN = "Qwen/Qwen3-0.6B-GGUF:Q8_0"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    for name in ("HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "genlab"))
    repositories = {
        "org/Model-GGUF": MANY,
        "org/plain": Repository({"model.safetensors": b"no GGUF here"}),
        "org/One-GGUF": Repository({"one.gguf": b"one"}),
        "Qwen/Qwen3-0.6B-GGUF": Repository({"Qwen3-0.6B-Q8_0.gguf": b"another file than Qwen's"}),
    }
    with HubServer(repositories) as hub_server:
        monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
        yield hub_server


def fetch(model_id: str, settings: Settings | None = None) -> list[str]:
    """The names of the files that come, and what the engine would open."""
    spec = find(CHAT, model_id)
    folder = hub.fetch(spec, settings or Settings(), Stop(), lambda _: None)
    files = gguf.files_in(spec, folder)
    assert hub.cached_path(spec) == folder
    return [file.relative_to(folder).as_posix() for file in files]


# ---------------------------------------------------------------- the hub's


@pytest.mark.parametrize(
    ("model_id", "files"),
    [
        ("org/Model-GGUF:Q8_0", ["Model-Q8_0.gguf"]),
        ("org/Model-GGUF:q8_0", ["Model-Q8_0.gguf"]),
        ("hf.co/org/Model-GGUF:Q8_0", ["Model-Q8_0.gguf"]),
        ("org/Model-GGUF", ["Model-Q4_K_M.gguf"]),
        ("org/Model-GGUF:latest", ["Model-Q4_K_M.gguf"]),
        ("org/Model-GGUF:Model-Q8_0.gguf", ["Model-Q8_0.gguf"]),
        ("org/One-GGUF", ["one.gguf"]),
        (
            "org/Model-GGUF:IQ2_XXS",
            [f"IQ2_XXS/Model-IQ2_XXS-0000{n}-of-00002.gguf" for n in (1, 2)],
        ),
    ],
)
def test_a_quantisation_chooses_the_file(
    server: HubServer, model_id: str, files: list[str]
) -> None:
    assert fetch(model_id) == files
    body = {record.path.rpartition("/")[2] for record in server.calls if "/cdn" in record.path}
    assert body == {name.rpartition("/")[2] for name in files}  # nothing else was downloaded


@pytest.mark.parametrize(
    ("model_id", "code", "tags"),
    [
        ("org/Model-GGUF:Q5_K_M", "not_found_gguf_tag", "IQ2_XXS, Q4_K_M, Q8_0"),
        ("org/Model-GGUF:Q4_K", "not_found_gguf_tag", "IQ2_XXS, Q4_K_M, Q8_0"),
        ("org/Model-GGUF:Q2_K", "not_found_gguf_tag", "IQ2_XXS, Q4_K_M, Q8_0"),
        ("org/One-GGUF:Q8_0", "not_found_gguf_tag", "one.gguf"),
        ("org/plain:Q8_0", "not_found_gguf", None),
    ],
)
def test_what_is_not_there(server: HubServer, model_id: str, code: str, tags: str | None) -> None:
    with pytest.raises(NotFound) as problem:
        fetch(model_id)
    assert problem.value.code == code
    assert problem.value.params["model"] == model_id
    assert problem.value.params.get("tags") == tags
    assert not [record for record in server.calls if "/cdn" in record.path]


def test_half_of_a_split_model_is_not_here(server: HubServer) -> None:
    spec = find(CHAT, "org/Model-GGUF:IQ2_XXS")
    server.cut["IQ2_XXS/Model-IQ2_XXS-00002-of-00002.gguf"] = 3
    with pytest.raises(ModelError, match="unavailable_transfer"):
        fetch(spec.id)
    assert hub.cached_path(spec) is None
    server.cut.clear()
    fetch(spec.id)
    assert (
        hub.cached_path(find(CHAT, "org/Model-GGUF:Q8_0")) is None
    )  # another one of the same repository


def test_terms_come_before_the_download(server: HubServer) -> None:
    gemma = next(s for s in CATALOG if s.id == "ggml-org/gemma-3-1b-it-GGUF:Q4_K_M")
    server.repositories["ggml-org/gemma-3-1b-it-GGUF"] = Repository({"g-Q4_K_M.gguf": b"gemma"})
    with pytest.raises(Refused, match="refused_terms"):
        fetch(gemma.id)
    assert not server.calls
    index.accept(gemma)
    assert fetch(gemma.id) == ["g-Q4_K_M.gguf"]


def test_a_public_page_loads_the_catalogues_hashes_only(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = Settings(public=True, public_downloads=True)
    for model_id in ("org/Model-GGUF:Q8_0", QWEN):  # one that is not of the list; one that changed
        with pytest.raises(Refused, match="refused_public_gguf"):
            fetch(model_id, public)
        assert not [record for record in server.calls if "/cdn" in record.path]
        fetch(model_id)  # the host's own page, on the same machine
        server.calls.clear()
        with pytest.raises(Refused, match="refused_public_gguf"):
            sources.folder(find(CHAT, model_id), public, Stop(), lambda _: None)
    values = hashlib.sha256(b"another file than Qwen's").hexdigest()
    monkeypatch.setattr(hub, "PUBLIC_HASHES", {values})
    assert sources.folder(find(CHAT, QWEN), public, Stop(), lambda _: None)


# ---------------------------------------------------------------- ids


def test_ids_of_the_catalogue_and_of_what_is_typed() -> None:
    assert find(CHAT, "hf.co/Qwen/Qwen3-0.6B-GGUF:q8_0").label == "Qwen3 0.6B (GGUF)"
    inputs = find(CHAT, "org/Model-GGUF:q4_k_m")
    assert (inputs.id, inputs.quantisation) == ("org/Model-GGUF:Q4_K_M", "Q4_K_M")
    assert find(CHAT, "org/Model-gguf").quantisation == "GGUF"
    assert find(CHAT, "Qwen/Qwen3-0.6B").quantisation == ""
    for wrong in (
        "org/../x:Q8_0",
        "org/x:",
        "org/x:Q8 0",
        "genlab/x-GGUF",
        "file:",
        "file:x.bin",
        ":Q8",
    ):
        with pytest.raises(NotFound):
            find(CHAT, wrong)
    with pytest.raises(NotFound):
        find(SENTIMENT, "org/Model-GGUF:Q8_0")  # only the chat reads GGUF files


@pytest.mark.parametrize(
    ("name", "quantisation"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("gemma-3-1b-it-q4_0.gguf", "Q4_0"),
        ("Qwen3-0.6B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("BF16/Qwen3-32B-BF16-00001-of-00002.gguf", "BF16"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("Qwen3-0.6B.gguf", "GGUF"),
    ],
)
def test_the_quantisation_of_a_name(name: str, quantisation: str) -> None:
    assert gguf.quantisation(name) == quantisation


# ---------------------------------------------------------------- the host's folder


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """A folder with two models, and around it what nobody may reach."""
    root = tmp_path / "own"
    (root / "more").mkdir(parents=True)
    (root / "a-Q8_0.gguf").write_bytes(b"a")
    (root / "more" / "b.gguf").write_bytes(b"b")
    (root / "notes.txt").write_text("no model")
    (tmp_path / "secret.gguf").write_bytes(b"secret")
    (root / "link.gguf").symlink_to(tmp_path / "secret.gguf")
    (root / "out").symlink_to(tmp_path)
    (root / "split-00001-of-00002.gguf").write_bytes(b"first")
    (root / "split-00002-of-00002.gguf").symlink_to(tmp_path / "secret.gguf")
    return Settings(models_dir=root)


def folder_of(model_id: str, settings: Settings) -> tuple[ModelSpec, Path]:
    spec = find(CHAT, model_id)
    folder = sources.folder(spec, settings, Stop(), lambda _: None)
    assert folder is not None
    return spec, folder


def test_files_in_the_hosts_folder(own: Settings) -> None:
    for name, content in (("a-Q8_0.gguf", b"a"), ("more/b.gguf", b"b")):
        spec, folder = folder_of(f"file:{name}", own)
        assert [file.read_bytes() for file in gguf.files_in(spec, folder)] == [content]
    names = sources.models_in(own)
    assert {"file:a-Q8_0.gguf", "file:more/b.gguf"} <= set(names)
    assert "file:split-00002-of-00002.gguf" not in names  # a part is no model
    assert sources.models_in(Settings()) == []


@pytest.mark.parametrize(
    "name",
    [
        *("../secret.gguf", "more/../../secret.gguf", "link.gguf", "out/secret.gguf"),
        *("/etc/x.gguf", "split-00001-of-00002.gguf"),
    ],
)
def test_nothing_outside_the_folder_is_opened(own: Settings, name: str) -> None:
    with pytest.raises(Refused) as problem:
        folder_of(f"file:{name}", own)
    assert problem.value.code == "refused_models_folder"
    assert str(own.models_dir) not in str(problem.value.params)


def test_an_absolute_path_is_refused_even_to_a_file_that_is_there(
    own: Settings, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="refused_models_folder"):
        folder_of(f"file:{tmp_path / 'secret.gguf'}", own)


def test_no_such_file_and_no_such_folder(own: Settings) -> None:
    for name in ("c.gguf", "more/c.gguf", "nowhere/c.gguf", "x" * 300 + ".gguf", "a\0.gguf"):
        with pytest.raises(NotFound, match="not_found_gguf"):
            folder_of(f"file:{name}", own)
    with pytest.raises(Refused, match="refused_models_folder"):
        folder_of("file:a-Q8_0.gguf", Settings())


def test_a_public_page_reads_the_folder_by_the_catalogues_hashes(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = own.model_copy(update={"public": True})
    assert sources.models_in(public) == []
    with pytest.raises(Refused, match="refused_public_gguf"):
        folder_of("file:a-Q8_0.gguf", public)
    monkeypatch.setattr(hub, "PUBLIC_HASHES", {hashlib.sha256(b"a").hexdigest()})
    folder_of("file:a-Q8_0.gguf", public)
    assert own.models_dir is not None
    (own.models_dir / "a-Q8_0.gguf").write_bytes(b"changed since")
    with pytest.raises(Refused, match="refused_public_gguf"):
        folder_of("file:a-Q8_0.gguf", public)


def test_every_gguf_of_the_catalogue_has_its_hash() -> None:
    result = [spec for spec in CATALOG if spec.quantisation]
    assert len(result) >= 5
    assert all(len(spec.sha256) == 64 and spec.size_gb for spec in result)
