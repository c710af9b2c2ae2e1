"""Several requests to one model at the same time, as people send them."""

import threading
from collections.abc import Sequence
from typing import Any

from models.contract import ModelSpec, Request
from models.errors import ModelError
from models.runtime.cache import ModelCache
from models.runtime.jobs import run


def together(cache: ModelCache, spec: ModelSpec, requests: Sequence[Request]) -> list[Any]:
    """What came of each request: its events or its ModelError."""
    results: list[Any] = [None] * len(requests)
    start = threading.Barrier(len(requests))

    def work(number: int) -> None:
        start.wait(10)
        try:
            results[number] = list(run(cache, spec, requests[number]))
        except ModelError as error:
            results[number] = error

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    return results
