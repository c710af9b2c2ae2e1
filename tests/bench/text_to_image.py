"""Pictures: `python -m tests.bench.text_to_image [--device cuda] [--size full|reduced|tiny] ...`.

Plain diffusers and GenLab draw in turns in one run, so that a busy moment hits both; medians. The subjects
are the starter (on a CPU) and Stable Diffusion v1-4's architecture with random weights, which change no
speed: in full on CUDA, at reduced size on a CPU. On CUDA this has not run yet; `--size tiny` runs all of
it anywhere, which says nothing about speed.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch

from models.select import find
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.catalog import dials_of, options_of
from models.text_to_image.requests import ImageRequest
from models.weights import hub, sources
from tests.bench import cpu_turbo
from tests.bench.image_ways import PROMPT, GenLab, Subject, Way, memory, plain_pipeline, plainly
from tests.gpu import architecture

PLAIN = "plain diffusers"


def time_of(work: Way, device: str) -> tuple[float, float]:
    """Seconds, and seconds of all cores together."""
    began, cores = time.perf_counter(), time.process_time()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began, time.process_time() - cores


def in_turns(ways: dict[str, Way], device: str, runs: int) -> dict[str, list[tuple[float, float]]]:
    """Each way so many times, one after another; a turn before warms up.

    In an order that changes: what ran before leaves caches and spinning threads behind.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    order, chance = list(ways), random.Random(1)
    for turn in range(runs + 1):
        chance.shuffle(order)
        for name in order:
            torch.set_num_threads(1)  # each way asks for its own
            one = time_of(ways[name], device)
            if turn:
                times[name].append(one)
    return times


def measure(
    subject: Subject, asks: Sequence[ImageRequest], runs: int, modes: Sequence[str], rate: float = 0
) -> GenLab:
    """Print plain diffusers, GenLab, and GenLab without what is around it, for each request."""
    ours = GenLab(subject, asks[0])
    program = {mode: GenLab(subject, asks[0], mode) for mode in modes}
    pipe = plain_pipeline(subject)
    for ask in asks:
        print(f"pictures in a request: {ask.num_images}")
        ways: dict[str, Way] = {
            PLAIN: plainly(pipe, ask),
            "GenLab": partial(ours.draw, ask),
            "GenLab without loader and events": partial(ours.bare, ask),
            "... and without previews": partial(ours.bare, ask, previews=False),
        }
        ways |= {f"GenLab, {mode}": partial(one.draw, ask) for mode, one in program.items()}
        report(in_turns(ways, subject.device, runs), subject, ask, rate)
        if subject.device == "cuda":
            print(memory(subject))
    for one in program.values():
        one.cache.close()
    return ours


def report(
    times_of: dict[str, list[tuple[float, float]]], subject: Subject, ask: ImageRequest, rate: float
) -> None:
    """Print medians, and each way's ratio to plain diffusers turn by turn."""
    for name, times in times_of.items():
        seconds = statistics.median(t[0] for t in times) / ask.num_images
        cores = statistics.median(t[1] for t in times) / ask.num_images
        pairs = list(zip(next(iter(times_of.values())), times, strict=True))
        faster = statistics.median(p[0] / t[0] for p, t in pairs)
        less = statistics.median(p[1] / t[1] for p, t in pairs)
        steps = (ask.num_inference_steps or 1) / seconds
        share = f"; {subject.work / rate / seconds:.0%} of the roofline" if rate else ""
        print(
            f"{name}: {seconds:.3f} s a picture ({steps:.1f} it/s), {cores:.3f} s of cores; "
            f"{faster:.2f} times as fast, {less:.2f} times less work (n={len(times)}){share}",
            flush=True,
        )


def apart(subject: Subject, ask: ImageRequest, runs: int) -> None:
    """Plain diffusers with one more change each time, to see which of them helps."""
    pipes = [plain_pipeline(subject) for _ in range(3)]
    for pipe in pipes[1:]:
        pipe.unet.to(memory_format=torch.channels_last)
        pipe.vae.to(memory_format=torch.channels_last)
    pipes[2].unet.fuse_qkv_projections()
    names = (PLAIN, "... channels_last", "... and fused projections")
    ways = {name: plainly(pipe, ask) for name, pipe in zip(names, pipes, strict=True)}
    report(in_turns(ways, subject.device, runs), subject, ask, 0)


def matrix_rate(device: str, size: int) -> float:
    """Operations a second of a matrix product, float16 on a GPU."""
    dtype = torch.float16 if device == "cuda" else torch.float32
    one = torch.randn(size, size, device=device, dtype=dtype)
    times = [time_of(lambda: one @ one, device)[0] for _ in range(20)]
    return 2 * size**3 / statistics.median(times)


def starter(runs: int) -> None:
    """The starter, with its own values."""
    spec = find(TEXT_TO_IMAGE, "genlab/scenes")
    ask = ImageRequest.of(prompt=PROMPT, seed=1).with_defaults(spec)
    print(f"starter, {ask.width} px, {ask.num_inference_steps} steps")
    ours = measure(Subject(sources.STARTERS / "scenes", spec, "cpu"), [ask], runs, ())
    around(ours, ask, 4 * runs)
    ours.cache.close()


def around(ours: GenLab, ask: ImageRequest, runs: int) -> None:
    """Print what previews, and then loader and events, add to a drawing, without others beside it."""
    ways: dict[str, Way] = {
        "without previews": partial(ours.bare, ask, previews=False),
        "with previews": partial(ours.bare, ask),
        "with loader and events too": partial(ours.draw, ask),
    }
    seconds_of = in_turns(ways, ours.subject.device, runs)
    alone = seconds_of.pop("without previews")
    for name, times in seconds_of.items():
        more = statistics.median(t[0] / a[0] for t, a in zip(times, alone, strict=True)) - 1
        print(f"{name}: {more:.1%} more time than without previews (n={runs})", flush=True)


def classic(options: argparse.Namespace) -> None:
    """v1-4's architecture: batches, peak memory, share of the roofline, where the time goes."""
    side = architecture.SIZES[options.size].side * 8
    spec = find(TEXT_TO_IMAGE, "CompVis/stable-diffusion-v1-4")
    spec = replace(
        spec,
        dials=replace(dials_of(spec), width=side, height=side),
        options=replace(options_of(spec), sizes=((side, side),)),
    )
    if options.device == "cuda":
        print(torch.cuda.get_device_name())
    work = architecture.work(options.steps, options.size)
    rate = matrix_rate(options.device, 8192 if options.device == "cuda" else 1024)
    print(
        f"v1-4's architecture, {options.size}, {side} px, {options.steps} steps, "
        f"{work / 1e12:.2f} TFLOP a picture; matrix product {rate / 1e12:.2f} TFLOP/s, "
        f"so a picture takes at least {work / rate:.3f} s"
    )
    with tempfile.TemporaryDirectory() as place:
        folder = architecture.save(Path(place), options.device, options.size)
        subject = Subject(folder, spec, options.device, work)
        with patch.object(hub, "cached_path", lambda _: folder):
            request = {"prompt": PROMPT, "seed": 1, "num_inference_steps": options.steps}
            asks = [
                ImageRequest.of(**request, num_images=n).with_defaults(spec) for n in options.batch
            ]
            ours = measure(subject, asks, options.runs, options.compile, rate)
            if options.apart:
                apart(subject, asks[0], options.runs)
            if options.profile:
                table(ours, asks[0])
            ours.cache.close()


def table(ours: GenLab, ask: ImageRequest) -> None:
    """Where the time goes, by kernel or operation."""
    with torch.profiler.profile() as profile:
        ours.bare(ask)
    key = f"self_{ours.subject.device}_time_total"
    print(profile.key_averages().table(sort_by=key, row_limit=25, max_name_column_width=60))


def main(words: Sequence[str] | None = None) -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.text_to_image")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--size", choices=tuple(architecture.SIZES), help="of the architecture")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--steps", type=int, help="of the architecture")
    parser.add_argument("--batch", type=int, nargs="+", help="pictures in a request")
    parser.add_argument(
        "--compile", nargs="*", default=(), help="values of GENLAB_COMPILE; on CUDA alone"
    )
    parser.add_argument("--apart", action="store_true", help="each change to plain diffusers")
    parser.add_argument(
        "--cpu-turbo", action="store_true", help="SD-Turbo's architecture on a CPU, nothing else"
    )
    parser.add_argument("--profile", action="store_true", help="a table of kernels")
    options = parser.parse_args(words)
    on_cuda = options.device == "cuda"
    size = options.size or "full"  # of SD-Turbo's architecture
    options.size = options.size or ("full" if on_cuda else "reduced")
    options.steps = options.steps or (50 if on_cuda else 10)
    options.batch = options.batch or ([1, 8] if on_cuda else [1])
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads; load {os.getloadavg()[0]:.1f}"
    )
    if options.cpu_turbo:
        cpu_turbo.main(options.runs, in_turns, size)
        return
    if not on_cuda:
        starter(options.runs)
    classic(options)


if __name__ == "__main__":
    main()
