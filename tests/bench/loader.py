"""What the loader costs and how fast a stop frees a model: `python -m tests.bench.loader`."""

import statistics
import time
from collections.abc import Callable
from contextlib import closing

from models.chat.events import TextDelta
from models.chat.requests import ChatRequest
from models.contract import Event, ModelSpec, Request
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.sentiment.requests import SentimentRequest
from models.settings import Settings
from models.tasks import CHAT, SENTIMENT, TEXT_TO_IMAGE
from models.text_to_image.events import StepDone
from models.text_to_image.requests import ImageRequest


def overhead(cache: ModelCache, runs: int = 200) -> list[float]:
    """Milliseconds of a call to a loaded model beyond the engine's own time."""
    spec = find(SENTIMENT, "genlab/sentiment-ko")
    ask = SentimentRequest.of(text="좋아요")
    list(run(cache, spec, ask))
    beyond: list[float] = []
    for _ in range(runs):
        began = time.perf_counter()
        *_, end = run(cache, spec, ask)
        beyond.append(1000 * (time.perf_counter() - began - end.seconds))
    return beyond


def stop(
    cache: ModelCache,
    spec: ModelSpec,
    ask: Request,
    is_step: Callable[[Event], bool],
    events_before: int,
    runs: int = 10,
) -> tuple[float, float]:
    """Median seconds of one step, and from the stop after `seen` of them to the model being free."""
    steps: list[float] = []
    waits: list[float] = []
    for _ in range(runs):
        with closing(run(cache, spec, ask)) as events:
            times: list[float] = []
            while len(times) < events_before:
                if is_step(next(events)):
                    times.append(time.perf_counter())
        began = time.perf_counter()
        while any(m.active for m in cache.status()):
            time.sleep(0.0005)
        waits.append(time.perf_counter() - began)
        steps.append((times[-1] - times[0]) / (events_before - 1))  # they may come in handfuls
    return statistics.median(steps), statistics.median(waits)


def main() -> None:
    """Print every figure."""
    cache = ModelCache(Settings())
    beyond = overhead(cache)
    print(f"loader overhead of a call: median {statistics.median(beyond):.2f} ms (n={len(beyond)})")
    chat = ChatRequest.of(
        messages=[{"role": "user", "content": "Tell me about yourself."}],
        max_new_tokens=500,
        seed=1,
    )
    image = ImageRequest.of(
        prompt="a panda in the snow at night",
        num_inference_steps=100,
        seed=1,
    )
    for name, spec, ask, kind, record in [
        ("token", find(CHAT, "genlab/small-talk"), chat, TextDelta, 6),
        ("step", find(TEXT_TO_IMAGE, "genlab/scenes"), image, StepDone, 41),
    ]:
        step, wait = stop(
            cache, spec, ask, lambda event, kind=kind: isinstance(event, kind), record
        )
        print(
            f"stop to free: {1000 * wait:.1f} ms, one {name} {1000 * step:.1f} ms, ratio {wait / step:.2f}"
        )
    cache.close()


if __name__ == "__main__":
    main()
