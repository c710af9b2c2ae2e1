"""The process that holds a GGUF model: llama.cpp's server, started by models/chat/llama_server.py.

A damaged or hostile file aborts the process that reads it, so it is read here and not in the app. Run as
a script in Python's isolated mode: it imports nothing of GenLab. Standard input gives one line of JSON
and then stays open as long as the app lives; standard output gives one line of JSON back.
"""

import ctypes
import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_PAUSE = 5.0  # seconds


def main() -> None:
    """Load the model, say where the server listens, and serve until the app closes our input."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the library prints goes another way
    with suppress(OSError):  # where memory runs out, this process goes first, not the app
        Path("/proc/self/oom_score_adj").write_text("1000")
    wish = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_app, daemon=True).start()
    server: Any = None
    try:
        server = _server(wish)
        answer.write(json.dumps({"address": server.listening_address}) + "\n")
    except Exception as error:
        answer.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
    answer.close()
    if server is not None:
        _give_free_memory_back()


def _server(wish: dict[str, Any]) -> Any:
    import xllamacpp

    library: Any = xllamacpp  # its names are compiled, without types
    parameters = library.CommonParams()
    parameters.model.path = wish["model"]
    parameters.n_parallel = wish["slots"]
    parameters.n_ctx = wish["slots"] * wish["window"]
    parameters.n_gpu_layers = -1 if wish["gpu"] else 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = wish["threads"]
    parameters.hostnames = [wish["host"]]
    parameters.api_keys = [wish["key"]]
    parameters.endpoint_slots = False  # it would show people's prompts to each other
    parameters.ui = False
    parameters.fit_params = wish["gpu"]  # as many layers on the GPU as there is room for
    parameters.ctx_shift = False
    parameters.warmup = False
    parameters.cache_ram_mib = 0  # prompts are remembered in the slots alone
    parameters.verbosity = -1
    if wish["gpu"]:
        return library.Server(parameters)
    # For keys and values in float16 llama.cpp has three ways to work out attention and chooses by how
    # much is read at once, how much is kept and the number of threads; each rounds otherwise, so that a
    # text would depend on what was read before. In 8 bits or bfloat16 there is one way. Keys in 8 bits
    # save a quarter of the memory and cost nothing that was measured (values in 8 bits do); where they do
    # not divide into blocks of 32 numbers, they are in bfloat16 too.
    parameters.cache_type_k = library.ggml_type.GGML_TYPE_Q8_0
    parameters.cache_type_v = library.ggml_type.GGML_TYPE_BF16
    try:
        return library.Server(parameters)
    except RuntimeError:
        with suppress(OSError):
            os.unlink(wish["host"])  # the socket file of the first try
        parameters.cache_type_k = library.ggml_type.GGML_TYPE_BF16
        return library.Server(parameters)


def _give_free_memory_back() -> None:
    # A look at a whole vocabulary takes 50 MiB, which glibc would keep for ever.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    while True:
        time.sleep(_PAUSE)
        if trim is not None:
            trim(0)


def _end_with_the_app() -> None:
    # Unbuffered: a lock of Python's own would be held while the process ends.
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
