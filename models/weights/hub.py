"""Models from the Hugging Face hub: what is cached here, and fetching what is not.

The cache is the hub's own (HF_HUB_CACHE, HF_HOME), shared with every other program that uses it.
Every variable of the hub's is looked up when it is needed, not when the client was imported.
"""

import errno
import hashlib
import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any, Self

from models.contract import Downloading, ModelSpec, Notify, Stop
from models.errors import ModelError, NotFound, RateLimited, Refused, Stopped, Unavailable, WrongKey
from models.runtime.blocking import Emit, in_thread
from models.settings import Settings
from models.tasks import CATALOG, check_hub_config
from models.weights import index
from models.weights.hub_files import is_whole, needed_files

_PACE = 0.25  # seconds between two reports of a transfer
_PATIENCE = 10.0  # seconds without an answer from the hub
_SPARE = 200_000_000  # bytes that a download leaves free on the disk
_READABLE = 50_000_000  # bytes of a JSON file that is read to choose the others
PUBLIC_HASHES = {s.sha256 for s in CATALOG if s.sha256}  # GGUF files that a public page may load


def repository(spec: ModelSpec) -> str:
    """The hub's repository of a model with source "hub:..."."""
    return spec.name.partition(":")[0]


def cached_path(spec: ModelSpec) -> Path | None:
    """The snapshot folder of a whole model in this machine's hub cache, or None.

    Whole: the configuration, a vocabulary and all safetensors shards; half a download is not. Looks
    at one folder and its few small JSON files, never at the network.
    """
    try:
        store = _store(repository(spec))
        snapshot = store / "snapshots" / (store / "refs" / "main").read_text().strip()
    except (OSError, ValueError):  # a ValueError: no repository can have this name
        return None
    return snapshot if snapshot.is_dir() and is_whole(spec, snapshot) else None


def fetch(spec: ModelSpec, settings: Settings, stop: Stop, notify: Notify) -> Path:
    """Download what a model's task needs: safetensors, or one GGUF model.

    The transfer has a thread of its own, so that a stop counts at once, whatever the network does;
    the thread ends at its next piece of data. What has arrived stays: the next call goes on there.

    The only login that is used is HF_TOKEN of the settings, never one saved on this machine; on a
    public page it is used for the catalogue's models alone, so that no visitor reads private ones.

    Args:
        spec: a model with source "hub:...".
        settings: hf_token and public.
        stop: gives up within 0.1 s.
        notify: is called with Downloading, in bytes, four times a second at most.

    Returns:
        The snapshot folder.

    Raises:
        Stopped: stop was set.
        Refused: refused_gated (a licence to accept first, on the hub), refused_terms (here),
            refused_pickle, refused_public_gguf, refused_disk, refused_cache_folder (it cannot be
            written).
        NotFound: not_found (no such repository), not_found_task (no whole model of this task in it),
            not_found_gguf, not_found_gguf_tag.
        Unavailable: unavailable_hub (no network, offline mode, hub down), unavailable_transfer.
        RateLimited, WrongKey: rate_limited_hub; wrong_key_hub (HF_TOKEN was not accepted).
    """
    if spec.terms and not index.is_accepted(spec):
        raise Refused("refused_terms", model=spec.label, url=spec.terms, id=spec.id)
    transfer = _Transfer(spec, settings, stop)
    for event in in_thread(transfer.run, stop, pace=_PACE, newest_only=True, join=False):
        notify(event)
    return transfer.snapshot


class _Transfer:
    """One model's download. `bytes_here` and `total` are bytes; total is 0 until the list is known."""

    def __init__(self, spec: ModelSpec, settings: Settings, stop: Stop) -> None:
        self.spec, self.stop, self.name = spec, stop, repository(spec)
        self.public = settings.public
        self.total = 0
        self.bytes: dict[str, int] = {}  # of each wanted file, here by now
        token = settings.hf_token if not settings.public or spec in CATALOG else None
        self.token = token.get_secret_value() if token else False
        self.endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None

    @property
    def bytes_here(self) -> int:
        return sum(self.bytes.values())

    def run(self, emit: Emit) -> None:
        """Download, emitting Downloading as bytes come."""
        self._emit = emit
        try:
            self.store = _store(repository(self.spec))
            self._list()
            self._choose()
            for name in sorted(self.bytes, key=lambda name: self.files[name].size or 0):
                self._get(name)
            _point_main_at(self.store, self.commit)
        except Exception as error:
            raise _as_model_error(error, self) from None

    def report(self) -> None:
        """Emit how much has come."""
        if self.total:
            self._emit(Downloading(self.bytes_here, self.total))

    def _list(self) -> None:
        from huggingface_hub import HfApi

        if _is_set("HF_HUB_OFFLINE") or _is_set("TRANSFORMERS_OFFLINE"):
            raise Unavailable("unavailable_hub")
        api = HfApi(endpoint=self.endpoint, token=self.token)
        info = api.model_info(self.name, files_metadata=True, timeout=_PATIENCE)
        self.commit = str(info.sha)
        self.snapshot = self.store / "snapshots" / self.commit
        self.files = {file.rfilename: file for file in info.siblings or []}

    def _choose(self) -> None:
        names = needed_files(self.spec, self.files.keys(), self._read)
        if "config.json" in names:
            check_hub_config(self.spec, self._read("config.json"))
        if self.public and self.spec.quantisation:
            hashes = {file.lfs.sha256 for n in names if (file := self.files[n]).lfs}
            if len(hashes) < len(names) or not hashes <= PUBLIC_HASHES:
                raise Refused("refused_public_gguf")
        self.bytes = {name: self._here(name) for name in names}
        total = sum(self.files[name].size or 0 for name in names)
        if total - self.bytes_here + _SPARE > _free_space(self.store):
            raise self.no_room(total)
        self.total = total
        self.report()

    def no_room(self, total: int) -> Refused:
        """The error that says how much is still to come and how much room there is, in GB."""
        size, free = (total - self.bytes_here + _SPARE) / 1e9, _free_space(self.store) / 1e9
        return Refused("refused_disk", model=self.spec.label, needed=size, free=free)

    def _read(self, name: str) -> Any:
        if name not in self.files or (self.files[name].size or 0) > _READABLE:
            raise NotFound("not_found_task")
        self._get(name)
        return json.loads((self.snapshot / name).read_bytes())

    def _here(self, name: str) -> int:
        for path in (self.snapshot / name, self._blob(name), _part(self._blob(name))):
            if path.is_file():
                return path.stat().st_size
        return 0

    def _blob(self, name: str) -> Path:
        file = self.files[name]
        return self.store / "blobs" / str(file.lfs.sha256 if file.lfs else file.blob_id)

    def _get(self, name: str) -> None:
        from huggingface_hub import hf_hub_download

        if self.stop.is_set():
            raise Stopped
        if self.files[name].lfs and not (self.snapshot / name).is_file():
            self._get_blob(name)
        hf_hub_download(
            self.name,
            name,
            revision=self.commit,
            cache_dir=self.store.parent,
            endpoint=self.endpoint,
            token=self.token,
            tqdm_class=partial(_Meter, self, name),  # type: ignore[arg-type]
        )
        self.bytes[name] = self.files[name].size or 0
        self.report()

    def _get_blob(self, name: str) -> None:
        """Bring a large file to where hf_hub_download finds it.

        huggingface_hub 2.4 throws away the part of a file that broke off, and checks only the size
        of one that came over HTTP. Here the part stays, and the SHA-256 is compared.
        """
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import WeakFileLock, build_hf_headers

        size, blob = self.files[name].size or 0, self._blob(name)
        part = _part(blob)
        blob.parent.mkdir(parents=True, exist_ok=True)
        lock = self.store.parent / ".locks" / self.store.name / f"{blob.name}.lock"  # the client's
        lock.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):  # a transfer that was stopped may still be ending
            if blob.exists():
                return
            if part.exists() and part.stat().st_size > size:
                part.unlink()
            with part.open("ab") as file:
                http_get(
                    hf_hub_url(self.name, name, revision=self.commit, endpoint=self.endpoint),
                    file,
                    resume_size=file.tell(),
                    headers=build_hf_headers(token=self.token),
                    expected_size=size,
                    tqdm_class=partial(_Meter, self, name),  # type: ignore[arg-type]
                )
            with part.open("rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest() == blob.name
            if not whole:
                part.unlink()
                raise Unavailable("unavailable_transfer")
            part.replace(blob)


class _Meter:
    """What huggingface_hub takes for a progress bar: counts a file's bytes, and ends it on a stop."""

    def __init__(self, transfer: _Transfer, name: str, *, initial: int = 0, **_: Any) -> None:
        self.transfer, self.name = transfer, name
        transfer.bytes[name] = initial

    def update(self, n: int = 1) -> None:
        if self.transfer.stop.is_set():
            raise Stopped
        self.transfer.bytes[self.name] += n
        self.transfer.report()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _as_model_error(error: Exception, transfer: _Transfer) -> Exception:
    """The client's error as a ModelError; one that was not foreseen, as it is."""
    import httpx2
    from huggingface_hub import errors

    model = transfer.spec.label
    if isinstance(error, ModelError):
        error.params.setdefault("model", model)
        return error
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return _as_model_error(
            error.__cause__, transfer
        )  # "not in the cache either": why it had to ask
    if isinstance(error, errors.GatedRepoError):
        url = f"https://huggingface.co/{transfer.name}"
        return Refused("refused_gated", model=model, url=url)
    missing = (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        errors.DisabledRepoError,
    )
    if isinstance(error, (*missing, errors.HFValidationError)):
        return NotFound(model=model)
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None
    if status in {401, 403} and transfer.token:
        return WrongKey("wrong_key_hub", model=model)
    if status == 429:
        return RateLimited("rate_limited_hub", model=model)
    number = error.errno if isinstance(error, OSError) else None
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return transfer.no_room(transfer.total)
    if number is not None:  # of a file; what went wrong on the network has no number
        return Refused("refused_cache_folder", model=model)
    if isinstance(error, (httpx2.HTTPError, OSError)):  # offline mode is an OSError too
        return Unavailable(
            "unavailable_transfer" if transfer.total else "unavailable_hub", model=model
        )
    return error


# ---------------------------------------------------------------- a Space's settings


NO_ANSWER: frozenset[str] = frozenset({""})  # instead of names: the hub could not be reached


def space_variables(name: str, settings: Settings) -> frozenset[str]:
    """The names of a Space's Variables, which everybody can read, unlike its Secrets.

    Args:
        name: of the Space, "ORG/NAME".
        settings: hf_token; without one that may change the Space the hub tells no names.

    Returns:
        The names, none where the hub does not tell them, or NO_ANSWER.
    """
    import httpx2
    from huggingface_hub import HfApi, errors

    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    token = settings.hf_token.get_secret_value() if settings.hf_token else False
    try:
        return frozenset(HfApi(endpoint=endpoint).get_space_variables(name, token=token))
    except errors.HfHubHTTPError:
        return frozenset()
    except (httpx2.HTTPError, OSError, ValueError):  # a ValueError: no JSON, or no name of a Space
        return NO_ANSWER


# ---------------------------------------------------------------- the cache's layout


def _store(repository: str) -> Path:
    """The repository's folder in the hub cache; huggingface_hub's own order of variables.

    Raises:
        ValueError: no repository can have this name.
    """
    from huggingface_hub.file_download import repo_folder_name

    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{home}/huggingface"
    names = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")
    cache = next(filter(None, map(os.environ.get, names)), f"{home}/hub")
    folder = Path(os.path.expandvars(cache)).expanduser().resolve()
    return folder / repo_folder_name(repo_id=repository, repo_type="model")


def _part(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")


def _point_main_at(store: Path, commit: str) -> None:
    """Say which snapshot is the main branch's: last of all, when it is whole."""
    main = store / "refs" / "main"
    main.parent.mkdir(parents=True, exist_ok=True)
    new = main.with_name(f"main.{os.getpid()}.tmp")
    new.write_text(commit)
    new.replace(main)


def _free_space(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}
