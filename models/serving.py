"""A result as a request over HTTP (curl, OpenAI's client), and its model behind a FastAPI server of one's own.

A task says what its request is in JSON and which lines load and use its model (`HttpCall`, a function a
task, named in its row of models/tasks.py); the texts around that are the same for all and stand here.
"""

import json
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FORMS = ("curl", "openai", "fastapi")
PORT = 8000  # of an app of one's own: what uvicorn takes
KEY = "GENLAB_API_KEY"  # where a client finds its key, on a page that wants one
OPENAI_SERVER = "https://api.openai.com/v1"
_LONGEST = 100_000  # bytes of one argument of a command; Linux ends at 128 KiB

Say = Callable[[str], str]  # a comment's name -> its sentence in the page's language


@dataclass(frozen=True, slots=True)
class App:
    """A model behind a POST of one's own.

    Attributes:
        name: of the path and of the function, such as "sentiment".
        load: the script that brings the model into memory, once, with its imports before it.
        fields: of the body: a line "name: type" or "name: type = value" each.
        work: the lines that make the answer out of `request`, the last with `return`.
        body: what to send for the same result as on the page.
        classes: further classes that the fields use, as code.
        packages: what is to be installed beside fastapi and uvicorn.
        file: where curl writes an answer that is no text; "" for text.
    """

    name: str
    load: str
    fields: Sequence[str]
    work: str
    body: Mapping[str, Any]
    classes: str = ""
    packages: str = "torch transformers"
    file: str = ""


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One result as a request over HTTP.

    Attributes:
        path: after the server's address: "/api/v1/chat"; "" where GenLab has none.
        body: the request as JSON.
        file: where curl writes a picture; "" for an answer in JSON.
        upload: a field of the body that is a file in base64, and the file's name; None for none.
        client: the lines that ask by OpenAI's client, which is there as `client`; "" where OpenAI's
            API has nothing like it.
        app: the model behind a server of one's own; None where there is none.
        server: None for GenLab; for a model of another server its address, "" for the one in
            OPENAI_BASE_URL or OpenAI's.
    """

    path: str = ""
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    file: str = ""
    upload: tuple[str, str] | None = None
    client: str = ""
    app: App | None = None
    server: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The address of GenLab, as the person who reads the code reaches it.

    Attributes:
        address: without a slash at its end.
        key: whether it wants one.
    """

    address: str
    key: bool = False


def forms(calls: Sequence[HttpCall]) -> list[str]:
    """Those of FORMS that these calls can be written in."""
    has = {
        "curl": any(call.path for call in calls),
        "openai": any(call.client for call in calls),
        "fastapi": any(call.app for call in calls),
    }
    return [form for form in FORMS if has[form]]


def text(form: str, calls: Sequence[HttpCall], place: Place, say: Say) -> str:
    """The text of one of FORMS.

    Args:
        form: which; there is one of it (`forms`).
        calls: of the result; one app of them is enough.
        place: GenLab's.
        say: gives the comments.
    """
    if form == "curl":
        return "\n".join(_curl(call, place, say) for call in calls if call.path)
    if form == "openai":
        return _openai([call for call in calls if call.client], place, say)
    return app_text(next(call.app for call in calls if call.app), say)


# ---------------------------------------------------------------- curl


def _curl(call: HttpCall, place: Place, say: Say) -> str:
    """A command for a shell. The body is a quoted here-document: nothing in it means anything to a shell."""
    options = ["-H 'Content-Type: application/json'"]
    if call.file.endswith(".png"):
        options.append("-H 'Accept: image/png'")
    if call.server is not None:
        options.insert(0, '-H "Authorization: Bearer $OPENAI_API_KEY"')
    elif place.key:
        options.insert(0, f'-H "Authorization: Bearer ${KEY}"')
    if call.file:
        options.append(f"-o {call.file}")
    if call.server == "":
        address = f'"${{OPENAI_BASE_URL:-{OPENAI_SERVER}}}{call.path}"'
    else:
        address = shlex.quote((call.server or place.address).rstrip("/") + call.path)
    lines = [f"# {say('curl' if call.server is None else 'curl_server')}"]
    if call.server is not None or place.key:
        lines.append(f"# {say('curl_key')}")
    head, tail = "", f"<<'JSON'\n{_pretty(call.body)}\nJSON"
    if call.upload:
        name, file = call.upload
        lines.append(f"# {say('curl_upload')}")
        begin = json.dumps(call.body, ensure_ascii=False)[:-1]  # without its }
        parts = [
            f"printf %s {shlex.quote(f'{begin}, {json.dumps(name)}: ' + chr(34))}",
            f"base64 < {file} | tr -d '\\n'",
            "printf %s '\"}'",
        ]
        head, tail = "{ " + "; ".join(parts) + "; } | ", ""
    command = " \\\n  ".join([f"{head}curl {address}", *options, f"--data-binary @- {tail}"])
    return "\n".join(lines) + f"\n{command.rstrip()}\n"


def _pretty(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, indent=2)


# ---------------------------------------------------------------- OpenAI's client


def _openai(calls: Sequence[HttpCall], place: Place, say: Say) -> str:
    # The key's place is a variable in any case: the client wants one even where the server does not.
    key = f'os.environ["{KEY}"]' if place.key else f'os.environ.get("{KEY}", "none")'
    imports, lines = "", list[str]()
    for call in calls:
        more, rest = split_imports(call.client)
        imports += more
        lines.append(rest.strip("\n"))
    head = (
        f"client = OpenAI(\n    base_url={place.address + '/v1'!r},  # {say('openai_address')}\n"
        f"    api_key={key},  # {say('openai_key_wanted' if place.key else 'openai_key')}\n)\n"
    )
    imports = sorted_imports(imports, "import os", "from openai import OpenAI")
    return f"# {say('openai')}\n# pip install openai\n{imports}\n{head}" + "\n".join(lines) + "\n"


# ---------------------------------------------------------------- a server of one's own


def app_text(app: App, say: Say) -> str:
    """A FastAPI app that runs as it stands, with what to type to start and to call it above it."""
    imports, load = split_imports(app.load)
    web = ["from fastapi import FastAPI", "from pydantic import BaseModel"]
    if app.file:
        web.append("from fastapi import Response")
    imports = sorted_imports(imports, "import threading", *web)
    kind = "".join(part.title() for part in app.name.split("_")) + "Request"
    fields = "".join(f"    {line}\n" for line in app.fields)
    work = "".join(
        f"        {line}\n" if line else "\n" for line in app.work.strip("\n").split("\n")
    )
    address = f"http://127.0.0.1:{PORT}"
    load = load.strip()
    if load.rpartition("\n")[2].startswith(" "):  # a function's last line
        load += "\n"
    return f"""\
# {say("app")}
#   pip install fastapi uvicorn {app.packages}
# {say("app_start")}
#   python -m uvicorn app:app --port {PORT}
# {say("app_get")}
#   curl {address}/
# {say("app_post")}
#   {_one_line(app, address)}
# {say("app_docs")}
#   {address}/docs

{imports}
{load}

app = FastAPI(title="My {app.name.replace("_", " ")} model")
lock = threading.Lock()
{app.classes and f"{chr(10)}{chr(10)}{app.classes.strip()}{chr(10)}"}

class {kind}(BaseModel):  # {say("app_class")}
{fields}

@app.get("/")  # {say("app_reading")}
def about():
    return {{"post": "/{app.name}", "fields": list({kind}.model_fields)}}


@app.post("/{app.name}")  # {say("app_sending")}
def {app.name}(request: {kind}):
    with lock:  # {say("app_lock")}
{work}"""


def _one_line(app: App, address: str) -> str:
    """The call of the app as one line of shell, which can stand in a comment."""
    body = json.dumps(app.body, ensure_ascii=False)
    data = shlex.quote(body) if len(body.encode()) < _LONGEST else "@request.json"
    output = f" -o {app.file}" if app.file else ""
    kind = "-H 'Content-Type: application/json'"
    return f"curl {address}/{app.name} {kind}{output} -d {data}"


# ---------------------------------------------------------------- imports


_IMPORT = re.compile(r"(?:(?:import|from) [^\n(]*\n+|from [^\n]*\([^)]*\)\n+)+")


def split_imports(script: str) -> tuple[str, str]:
    """The imports that a script begins with, and the rest."""
    match = _IMPORT.match(script)
    end = match.end() if match else 0
    return script[:end], script[end:]


def sorted_imports(block: str, *more: str) -> str:
    """Imports each once, the standard library's first; of one module's names a line."""
    names: dict[str, set[str]] = {}
    whole: set[str] = set()
    for line in [*block.splitlines(), *more]:
        if line.startswith("from "):
            module, _, items = line.removeprefix("from ").partition(" import ")
            names.setdefault(module, set()).update(items.split(", "))
        elif line:
            whole.add(line)
    # `import x` before `from x import y`, as the field's formatters have it
    lines = [
        *sorted(whole),
        *(f"from {m} import {', '.join(sorted(n))}" for m, n in sorted(names.items())),
    ]
    groups: tuple[list[str], list[str]] = ([], [])
    for line in lines:
        top = line.split()[1].partition(".")[0]
        groups[top not in sys.stdlib_module_names].append(line)
    return "\n\n".join("\n".join(group) for group in groups if group) + "\n"
