"""About how long a picture takes on this machine without a GPU, before anything of the model is fetched.

One short measurement tells how many operations a second the processor does in layers of a Stable Diffusion
UNet's and decoder's shapes; it is kept in GenLab's cache folder. A picture's operations are known from the
architecture. It is processor time of one thread, which other work on the machine changes little; so the
answer, an estimate, is that for a machine that has nothing else to do.
"""

import json
import platform
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from models.contract import ModelSpec, Placement
from models.text_to_image.catalog import Work, dials_of, options_of
from models.weights import index

TINY_DECODER = 0.14  # of 10^12 operations, as Work has them: TAESD at 512 x 512
_FILE = "speed.json"
_RUNS = 3
_ENOUGH = 1.0  # seconds of one layer after which it is not run again
_OVERHEAD = (
    1.25  # a whole model against its products alone: norms, activations, reading its weights
)
_BESIDE = 0.85  # what each further thread adds: they share memory and the processor's clock
_turn = threading.Lock()  # two measurements at once would each see half a machine


@dataclass(frozen=True, slots=True)
class Rates:
    """Operations a second, in 10^12."""

    step: float
    decoder: float


def seconds_a_picture(
    spec: ModelSpec, placement: Placement, tiny: bool = False, measure: bool = True
) -> float | None:
    """About how long a picture with the model's own settings takes.

    Args:
        spec: the model.
        placement: where it would run.
        tiny: with the tiny decoder.
        measure: measure if that was not done yet on this machine, which takes a few seconds.

    Returns:
        Seconds; None if nothing is known: on a GPU, of another kind of model, or not measured yet.
    """
    work = options_of(spec).work
    if placement.device != "cpu" or work is None:
        return None
    rates = _rates(placement, measure)
    return rates and _seconds(spec, work, rates, tiny)


def _seconds(spec: ModelSpec, work: Work, rates: Rates, tiny: bool) -> float:
    dials = dials_of(spec)
    twice = options_of(spec).guided_twice and (dials.guidance_scale or 0) > 1
    steps = (dials.num_inference_steps or 1) * (1 + twice)
    decoder = TINY_DECODER if tiny else work.decoder
    return _OVERHEAD * (steps * work.step / rates.step + decoder / rates.decoder)


def _rates(placement: Placement, measure: bool) -> Rates | None:
    file, key = index.cache_folder() / _FILE, _key(placement)
    with _turn:
        rates_by_key = _read(file)
        if key not in rates_by_key and measure:
            rates = _measure(placement)
            rates_by_key[key] = {"step": rates.step, "decoder": rates.decoder}
            with suppress(OSError):  # then it is measured anew the next time
                file.parent.mkdir(parents=True, exist_ok=True)
                new = file.with_suffix(".tmp")
                new.write_text(json.dumps(rates_by_key, indent=2), encoding="utf-8")
                new.replace(file)
    return Rates(**rates_by_key[key]) if key in rates_by_key else None


def _read(file: Path) -> dict[str, dict[str, float]]:
    try:
        rates_by_key = json.loads(file.read_text(encoding="utf-8"))
        for rates in rates_by_key.values():
            if not (rates["step"] > 0 and rates["decoder"] > 0 and len(rates) == 2):
                return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return rates_by_key


def _key(placement: Placement) -> str:
    """What a measurement holds for."""
    parts = (platform.node(), platform.processor() or platform.machine(), version("torch"))
    return " ".join((*parts, f"{placement.threads} threads", placement.dtype))


def _measure(placement: Placement) -> Rates:
    """Time layers of the shapes that take most of the work at 512 x 512."""
    import torch
    from torch.nn import functional as F

    before = torch.get_num_threads()
    threads = 1 + _BESIDE * ((placement.threads or before) - 1)
    torch.set_num_threads(1)
    options = {"dtype": getattr(torch, placement.dtype)}
    try:
        with torch.inference_mode():

            def picture(channels: int, side: int) -> torch.Tensor:
                one = torch.randn(1, channels, side, side, **options)
                return one.contiguous(memory_format=torch.channels_last)

            def weights(channels: int) -> torch.Tensor:
                one = torch.randn(channels, channels, 3, 3, **options)
                return one.contiguous(memory_format=torch.channels_last)

            features, kernel = picture(320, 64), weights(320)
            tokens, matrix = torch.randn(4096, 640, **options), torch.randn(2560, 640, **options)
            heads = torch.randn(1, 5, 4096, 64, **options)
            pixels, large = picture(256, 128), weights(256)
            step = [  # in the shares that they have in a step: (operations, work)
                (7.5e9 * 3, lambda: F.conv2d(features, kernel, padding=1), 3),
                (13.4e9 * 2, lambda: F.linear(tokens, matrix), 2),
                (21.5e9, lambda: F.scaled_dot_product_attention(heads, heads, heads), 1),
            ]
            seconds = sum(times * _time(work) for _, work, times in step)
            rate = sum(operations for operations, _, _ in step) / seconds
            decoder = 19.3e9 / _time(lambda: F.conv2d(pixels, large, padding=1))
    finally:
        torch.set_num_threads(before)
    return Rates(threads * rate / 1e12, threads * decoder / 1e12)


def _time(work: Callable[[], object]) -> float:
    """The least processor time of a few runs after one that warms up, in seconds."""
    best = 1e9
    for turn in range(_RUNS + 1):
        began = time.thread_time()
        work()
        seconds = time.thread_time() - began
        best = min(best, seconds) if turn else best
        if turn and seconds > _ENOUGH:
            break
    return best
