"""Tests on a real GPU: `pytest -m gpu`. Skipped in plain sight where there is none.

Nothing here needs the page's libraries: torch, transformers and diffusers are enough.
"""

import pytest

from models.placement import hardware


def pytest_collection_modifyitems(items):
    found = hardware()
    for item in items:
        if "gpu" in item.path.parts:
            item.add_marker(pytest.mark.gpu)
            item.add_marker(pytest.mark.timeout(600))
            if not found.cuda or found.cpu_torch:
                item.add_marker(pytest.mark.skip(reason="no CUDA device, or torch without CUDA"))
