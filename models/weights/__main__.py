"""Fetch real weights from the package index: `python -m models.weights`.

python -m models.weights                the default set; never fails the start that follows
python -m models.weights list           what there is, its size, licence and origin
python -m models.weights get ID         one model, also a GGUF model of the hub in the list;
                                        --accept-terms where it has terms to accept
python -m models.weights save FOLDER    copy what is here, for machines without a network
python -m models.weights load FOLDER    take what another machine saved; --accept-terms as for get
"""

import argparse
import os
import shutil
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from models.contract import Downloading, Event, ModelSpec, Stop
from models.errors import ModelError, NotFound, Refused
from models.settings import ROOT, Settings, SettingsError
from models.tasks import CATALOG, task_of
from models.weights import index
from models.weights.sources import folder, is_here, prepare


def models() -> list[ModelSpec]:
    """The catalogue's models from the package index, each file once."""
    by_source = {
        spec.source: spec for spec in reversed(CATALOG) if spec.source.startswith("index:")
    }
    return list(reversed(by_source.values()))


def of_the_hub() -> list[ModelSpec]:
    """The catalogue's GGUF models of the hub, which `get` fetches too."""
    return [spec for spec in CATALOG if spec.quantisation and spec.scheme == "hub"]


def default_set() -> list[ModelSpec]:
    """What is fetched when nothing is named: all that has no terms to accept."""
    return [spec for spec in models() if not spec.gated]


def fetch_default(settings: Settings) -> None:
    """Fetch the default set. A model that cannot be fetched costs one printed sentence; the others still come."""
    for spec in default_set():
        if not settings.downloads and not index.cached_path(spec):
            print(words("off", model=spec.label))
            continue
        try:
            get(spec)
        except ModelError as problem:
            print(f"{error_words(problem)}\n{words('goes_on', model=spec.label)}")


def get(spec: ModelSpec) -> None:
    """Fetch a model with a line of progress.

    Raises:
        ModelError: as `index.fetch`, and Damaged where the file that is here is broken.
    """
    if spec.scheme == "hub":
        if is_here(spec):
            print(words("here", model=spec.label))
            return
        print(words("origin", model=spec.label, licence=spec.licence, source=spec.name))
        start = time.monotonic()
        folder(spec, Settings.read(), Stop(), _progress(spec.label))
        print(words("fetched", model=spec.label, seconds=time.monotonic() - start))
        return
    here = index.cached_path(spec)
    if here is not None:
        try:
            index.check(spec, here)
            prepare(spec, here)
            print(words("here", model=spec.label))
            return
        except ModelError:
            here.unlink()
    print(words("origin", model=spec.label, licence=spec.licence, source=spec.name))
    start = time.monotonic()
    prepare(spec, index.fetch(spec, Stop(), _progress(spec.label)))
    print(words("fetched", model=spec.label, seconds=time.monotonic() - start))


def _progress(label: str) -> Callable[[Event], None]:
    """Show the bytes so far: in one line on a terminal, every quarter of the whole elsewhere."""
    quarter = 0

    def show(event: Event) -> None:
        nonlocal quarter
        if not isinstance(event, Downloading):
            return
        text = f"  {label}: {event.done / 1e6:.0f} / {event.total / 1e6:.0f} MB"
        if sys.stdout.isatty():
            print(f"\r{text}  ", end="" if event.done < event.total else "\n", flush=True)
        elif event.total and 4 * event.done // event.total > quarter:
            quarter = 4 * event.done // event.total
            print(text, flush=True)

    return show


def print_list() -> None:
    """All that `get` fetches: where they come from, under which licence, and whether they are here."""
    for spec in [*models(), *of_the_hub()]:
        state = "is_here" if is_here(spec) else "terms" if spec.gated else "not_here"
        print(f"{spec.id}\n    {spec.label} · {task_of(spec).label} · {spec.size_gb:g} GB")
        print(f"    {spec.licence} · {spec.name}\n    {words(state, url=spec.terms)}")


def save(target: Path) -> None:
    """Copy every file that is here into a folder.

    Raises:
        ModelError: a file that is here is damaged.
        OSError: the folder cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    for spec in models():
        here = index.cached_path(spec)
        if here is not None:
            index.check(spec, here)
            part = target / f"{here.name}.partial"
            shutil.copyfile(here, part)
            part.replace(target / here.name)
            print(words("saved", model=spec.label, file=target / here.name))


def load(source: Path, accept_terms: bool = False) -> None:
    """Take from a folder every file that the catalogue knows.

    A model whose terms nobody accepted here is left where it is, with a sentence.

    Raises:
        ModelError: a file is damaged, or nothing is known there.
    """
    specs = [spec for spec in models() if (source / index.file_name(spec)).is_file()]
    if not specs:
        raise NotFound("not_found_weights", folder=source)
    for spec in specs:
        if accept_terms and spec.gated:
            index.accept(spec)
        if not index.is_accepted(spec):
            refusal = Refused("refused_terms_load", model=spec.label, url=spec.terms)
            print(error_words(refusal))
            continue
        prepare(spec, index.place_file(spec, source / index.file_name(spec)))
        print(words("loaded", model=spec.label))


# ---------------------------------------------------------------- words


def words(key: str, **params: object) -> str:
    """A sentence of tabs/text/LANGUAGE/weights.toml, read as data: models/ knows no page."""
    return _text(f"{key}", "weights", **params)


def error_words(problem: ModelError) -> str:
    """The sentence of an error."""
    return _text(problem.code, "errors", **problem.params)


def _text(key: str, section: str, **params: object) -> str:
    language = (
        "ko" if (os.environ.get("LC_ALL") or os.environ.get("LANG", "")).startswith("ko") else "en"
    )
    for file in sorted((ROOT / "tabs" / "text" / language).glob("*.toml")):
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        if key in table.get(section, {}):
            return str(table[section][key]).strip().format(**params)
    return key


def main(arguments: list[str] | None = None) -> int:
    """Run the command. For the default set the exit code is always 0."""
    parser = argparse.ArgumentParser(
        prog="python -m models.weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("list")
    getter = commands.add_parser("get")
    getter.add_argument("id")
    getter.add_argument("--accept-terms", action="store_true")
    commands.add_parser("save").add_argument("folder", type=Path)
    loader = commands.add_parser("load")
    loader.add_argument("folder", type=Path)
    loader.add_argument("--accept-terms", action="store_true")
    options = parser.parse_args(arguments)
    error_code = 0 if options.command is None else 1
    try:
        _run(options)
    except ModelError as problem:
        print(error_words(problem), file=sys.stderr)
        return error_code
    except (SettingsError, OSError) as problem:
        print(problem, file=sys.stderr)
        return error_code
    except KeyboardInterrupt:
        print()
        return error_code
    return 0


def _run(options: argparse.Namespace) -> None:
    match options.command:
        case "list":
            print_list()
        case "save":
            save(options.folder)
        case "load":
            load(options.folder, options.accept_terms)
        case "get":
            every = [*models(), *of_the_hub()]
            spec = next((spec for spec in every if spec.id == options.id), None)
            if spec is None:
                raise NotFound("not_found_weights_id", model=options.id)
            if options.accept_terms:
                index.accept(spec)
            get(spec)
        case _:
            fetch_default(Settings.read())


if __name__ == "__main__":
    sys.exit(main())
