"""Tests on a real GPU: `pytest -m gpu`. Skipped in plain sight where there is none.

Nothing here needs the page's libraries: torch, transformers and diffusers are enough.
"""

import pytest

from models.runtime.cache import ModelCache
from models.runtime.placement import hardware
from models.settings import Settings
from models.weights import hub


def pytest_collection_modifyitems(items):
    result = hardware()
    for item in items:
        if "gpu" in item.path.parts:
            item.add_marker(pytest.mark.gpu)
            item.add_marker(pytest.mark.timeout(600))
            if not result.cuda or result.cpu_torch:
                item.add_marker(pytest.mark.skip(reason="no CUDA device, or torch without CUDA"))


@pytest.fixture(scope="session")
def classic_folder(tmp_path_factory):
    from tests.gpu import architecture
    from tests.gpu.classic import allocation

    file = architecture.save(tmp_path_factory.mktemp("v1-4"))
    allocation()
    return file


@pytest.fixture
def classic(classic_folder, monkeypatch):
    """Within it every model of the hub is v1-4's architecture."""
    monkeypatch.setattr(hub, "cached_path", lambda spec: classic_folder)


@pytest.fixture
def cache():
    cache = ModelCache(Settings())
    yield cache
    cache.close()
