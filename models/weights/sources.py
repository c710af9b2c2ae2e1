"""Where a model's weights are on this machine; fetched from the hub if they are not and may be."""

from pathlib import Path

from models.contract import ModelSpec, Notify, Stop
from models.errors import Damaged, Refused
from models.settings import Settings
from models.weights import hub
from models.weights.minilm import minilm_folder

STARTERS = Path(__file__).resolve().parent.parent / "starter"


def is_here(spec: ModelSpec) -> bool:
    """Whether the model can be loaded without a download. Cheap: looks, never loads."""
    scheme = spec.source.partition(":")[0]
    if scheme == "starter":
        return (STARTERS / spec.name).is_dir()
    if scheme == "hub":
        return hub.cached(spec) is not None
    return True


def folder(spec: ModelSpec, settings: Settings, stop: Stop, notify: Notify) -> Path | None:
    """The folder an engine loads from; None for a model without weights of its own here.

    Raises:
        Damaged: a starter's folder is missing; names the command that rebuilds it.
        Refused: a download is needed and not allowed (refused_downloads), or needs a licence click.
        NotFound, Unavailable: the hub does not know it, or cannot be reached.
        Stopped: stop was set during the download.
    """
    scheme = spec.source.partition(":")[0]
    if scheme == "starter":
        return _starter(spec.name)
    if scheme == "package":
        return minilm_folder()
    if scheme == "hub":
        here = hub.cached(spec)
        if here is not None:
            return here
        if not settings.may_download:
            raise Refused("refused_downloads", model=spec.label)
        return hub.fetch(spec, settings, stop, notify)
    return None


REBUILD = {
    "scenes": "python -m training.scenes",
    "small_talk": "python -m training.small_talk --data DIR",
    "sentiment_en": "python -m training.sentiment en --data DIR",
    "sentiment_ko": "python -m training.sentiment ko --data DIR",
    "word_vectors_en": "python -m training.word_vectors en --data DIR",
    "word_vectors_ko": "python -m training.word_vectors ko --data DIR",
}


def _starter(name: str) -> Path:
    path = STARTERS / name
    if not path.is_dir():
        raise damaged_starter(name, f"models/starter/{name}")
    return path


def damaged_starter(name: str, file: str) -> Damaged:
    """The error that names a starter's broken or missing file and the command that rebuilds it."""
    return Damaged(file=file, command=REBUILD.get(name, f"python -m training.{name}"))
