"""What a checkout answers, recorded, to hold a change of structure against.

`python -m tests.bench.golden record FILE [--repo DIR]` starts demo.py of a checkout, offline and
with no setting, and stores what it answers. `python -m tests.bench.golden compare A B` prints each
difference of two recordings. Pixels and last digits differ between processors: record both here.
"""

import argparse
import hashlib
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from tests.bench.golden_page import Page
from tests.bench.golden_requests import BAD, BUTTONS, GOOD, Values
from tests.conftest import ROOT, free_port

TOLERANCE = 1e-6
LANGUAGES = {"en": "en-US,en;q=0.9", "ko": "ko-KR,ko;q=0.9"}
OWN_SETTINGS = ("GENLAB_", "OPENAI_", "HF_", "SPACE_ID", "GRADIO_")
# The page's HTML tells durations and speeds, and names files by their path.
_VARYING = re.compile(r"[\d.]+(?= ?(?:ms|s|초|tokens/s)\b)|(?<=초당 토큰 )[\d.]+|(?<=file=)[^\"']+")
_DATA = re.compile(r"(?<=base64,)[^\"')]+")


@contextmanager
def serving(repo: Path) -> Iterator[str]:
    """Run demo.py of a checkout as a person without key, hub and settings does; yields its address."""
    address = f"http://127.0.0.1:{(port := free_port())}/"
    with tempfile.TemporaryDirectory() as folder:
        own = {k: v for k, v in os.environ.items() if not k.startswith(OWN_SETTINGS)}
        environment = own | {
            "GENLAB_ENV_FILE": os.devnull,
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": f"{folder}/gradio",
            "HF_HOME": f"{folder}/hf",
            "HF_HUB_OFFLINE": "1",
        }
        command = [sys.executable, "demo.py", "--port", str(port)]
        process = subprocess.Popen(command, cwd=repo, env=environment, stdout=subprocess.DEVNULL)
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(address + "health", timeout=2).close()
                    break
                except OSError:
                    if process.poll() is not None:
                        break
                    time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def name_of(target: str, values: Values) -> str:
    """A request's name in a recording: short, with a hash of all its values at the end."""
    text = json.dumps(values, ensure_ascii=False)
    short = text if len(text) < 150 else f"{text[:130]}…"
    return f"{target} {short} #{hash_of(text.encode())[:6]}"


def hash_of(data: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(data).hexdigest()


def plain(answer: Any) -> Any:
    """An answer without durations; a file becomes its hash, a picture its pixels' and its text."""
    if isinstance(answer, dict) and isinstance(answer.get("path"), str):
        return _file(Path(answer["path"]))
    if isinstance(answer, dict):
        return {k: plain(v) for k, v in answer.items() if k != "seconds"}
    if isinstance(answer, list | tuple):
        return [plain(one) for one in answer]
    if isinstance(answer, str):
        answer = _DATA.sub(lambda data: hash_of(data[0].encode()), answer)
        return _VARYING.sub("…", answer)
    return answer


def _file(path: Path) -> Values:
    if path.suffix == ".safetensors":  # its header's keys stand in any order
        content = path.read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        return {"header": json.loads(content[8:end]), "bytes": hash_of(content[end:])}
    if path.suffix not in (".png", ".webp", ".jpg"):
        return {"name": path.name, "bytes": hash_of(path.read_bytes())}
    with Image.open(path) as picture:
        chunks = {k: v for k, v in picture.info.items() if isinstance(v, str)}
        facts = {"name": path.name, "mode": picture.mode, "size": list(picture.size), **chunks}
        return facts | {"pixels": hash_of(picture.tobytes())}


def ask(client: Client, endpoint: str, values: Values) -> Any:
    """The answer of an endpoint, or the sentence of its error."""
    try:
        return plain(client.predict(**values, api_name=endpoint))
    except AppError as problem:
        return {"error": str(problem), "title": problem.title}


def endpoints(client: Client, config: Values) -> Values:
    """Each named endpoint's parameters and answers, with types and defaults; without its words."""
    api: Any = client.view_api(print_info=False, return_format="dict")
    api = api["named_endpoints"]
    streams = {f"/{one['api_name']}": one["types"]["generator"] for one in config["dependencies"]}
    contract = {}
    for name, one in api.items():
        parameters = {p["parameter_name"]: _parameter(p) for p in one["parameters"]}
        answers = [value["python_type"]["type"] for value in one["returns"]]
        order = list(parameters)
        contract[name] = {"order": order, "parameters": parameters, "answers": answers}
        contract[name]["streams"] = streams[name]
    return contract


def _parameter(parameter: Values) -> Values:
    contract = {k: parameter[k] for k in ("parameter_has_default", "parameter_default", "type")}
    return contract | {"python_type": parameter["python_type"]["type"]}


def record(repo: Path) -> Values:
    """Ask a checkout everything."""
    with serving(repo) as address:
        clients = {
            language: Client(
                address, verbose=False, download_files=False, headers={"accept-language": header}
            )
            for language, header in LANGUAGES.items()
        }
        config = httpx.get(address + "config").json()
        page = Page(address, config)
        return {
            "endpoints": endpoints(clients["en"], config),
            "answers": {name_of(*one): ask(clients["en"], *one) for one in GOOD},
            "errors": {
                name_of(*one): {lang: ask(client, *one) for lang, client in clients.items()}
                for one in BAD
            },
            "page": {name_of(*one): plain(page.press(*one)) for one in BUTTONS},
            "health": sorted(httpx.get(address + "health").json()),
        }


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value in a recording with the way to it; an empty list or dict is a value too."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in pairs:
        here = (*path, str(key))
        if isinstance(one, dict | list) and one:
            yield from leaves(one, here)
        else:
            yield here, one


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same: floats nearly, all others exactly."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=0, abs_tol=TOLERANCE)
    return type(one) is type(other) and one == other


def excerpts(one: Any, other: Any) -> tuple[str, str]:
    """Both values for print; of two long texts the part from shortly before they differ."""
    begin = 0
    if isinstance(one, str) and isinstance(other, str):
        pairs = enumerate(zip(one, other, strict=False))
        begin = max(0, next((at for at, (a, b) in pairs if a != b), 0) - 40)
        one, other = one[begin:], other[begin:]
    return f"{one!r:.200}", f"{other!r:.200}"


def compare(first: Values, second: Values) -> int:
    """Print each difference and the counts; returns how many are different."""
    one, other = dict(leaves(first)), dict(leaves(second))
    different = 0
    for path in dict.fromkeys([*one, *other]):
        values = one.get(path, "(missing)"), other.get(path, "(missing)")
        if not same(*values):
            different += 1
            print(" > ".join(path), "|", *excerpts(*values), sep="  ")
    print(f"{len(one.keys() | other.keys()) - different} equal, {different} different")
    return different


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recorder = commands.add_parser("record", help="start a checkout and store what it answers")
    recorder.add_argument("file", type=Path)
    recorder.add_argument("--repo", type=Path, default=ROOT)
    comparer = commands.add_parser("compare", help="print how two recordings differ")
    comparer.add_argument("files", type=Path, nargs=2)
    options = parser.parse_args()
    if options.command == "record":
        text = json.dumps(record(options.repo), ensure_ascii=False, indent=1)
        options.file.write_text(text, encoding="utf-8")
        return 0
    return min(1, compare(*(json.loads(file.read_text("utf-8")) for file in options.files)))


if __name__ == "__main__":
    sys.exit(main())
