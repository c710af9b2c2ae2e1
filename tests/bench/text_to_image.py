"""Pictures on this machine: `python -m tests.bench.text_to_image [--device cuda] [--profile]`.

Plain diffusers and GenLab draw in turns in one run, so that a busy moment hits both; medians. On a CPU the
subject is the starter, on CUDA Stable Diffusion v1-4's full architecture with random weights, which
change no speed (that part has not run yet).
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from models import hub, sources
from models.base import ModelSpec, Stop, Task
from models.cache import ModelCache
from models.jobs import run
from models.registry import find
from models.requests import ImageRequest
from models.settings import Settings
from tests.gpu import architecture

PROMPT = "a red circle on a blue background"
WORK = (
    82.9e12  # operations of one picture: 50 guided steps of 1.607 TFLOP, decoder and text encoder
)


def plain_pipeline(folder: Path, device: str) -> Any:
    """Plain diffusers, default settings: float16 on a GPU, float32 and all of torch's threads on a CPU."""
    from diffusers import StableDiffusionPipeline

    options = {"dtype": torch.float16, "variant": "fp16"} if device == "cuda" else {}
    pipe = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True, **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def timed(work: Callable[[], Any], device: str) -> tuple[float, float]:
    """Seconds, and seconds of all cores together."""
    began, cores = time.perf_counter(), time.process_time()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began, time.process_time() - cores


def measure(folder: Path, spec: ModelSpec, ask: ImageRequest, device: str, runs: int) -> None:
    """Print plain diffusers, GenLab, and GenLab without its loader or its previews."""
    threads = torch.get_num_threads()
    cache = ModelCache(Settings(device=device))
    first = timed(lambda: list(run(cache, spec, ask)), device)[0]
    with cache.lease(spec, Stop(), lambda _: None) as lease:
        drawing = lease.engine._drawing
    pipe = plain_pipeline(folder, device)
    call = {"guidance_scale": ask.guidance_scale, "num_inference_steps": ask.num_inference_steps}
    call |= {"width": ask.width, "height": ask.height, "num_images_per_prompt": ask.num_images}

    def plain() -> None:
        torch.set_num_threads(threads)
        pipe(PROMPT, generator=torch.Generator("cpu").manual_seed(ask.seed), **call)

    def bare(preview: Any) -> None:
        torch.set_num_threads(lease.placement.threads or threads)
        with patch.object(drawing, "_preview", preview), torch.inference_mode():
            singles = ask.singles()
            for batch in drawing.batches(singles):
                drawing.draw([singles[k] for k in batch], lambda *_: None)

    shown = drawing._preview
    ways: dict[str, Callable[[], Any]] = {
        "plain diffusers": plain,
        "GenLab": lambda: list(run(cache, spec, ask)),
        "GenLab without loader and events": lambda: bare(shown),
        "... and without previews": lambda: bare(None),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(runs + 1):  # the first turn warms up
        for name, way in ways.items():
            one = timed(way, device)
            if turn:
                taken[name].append(one)
    report(taken, ask, first)
    cache.close()


def report(taken: dict[str, list[tuple[float, float]]], ask: ImageRequest, first: float) -> None:
    """Print medians, and each way's ratio to plain diffusers turn by turn."""
    print(f"first picture with load and warm-up: {first:.1f} s", flush=True)
    for name, times in taken.items():
        seconds = statistics.median(t[0] for t in times) / ask.num_images
        cores = statistics.median(t[1] for t in times) / ask.num_images
        pairs = list(zip(taken["plain diffusers"], times, strict=True))
        faster = statistics.median(p[0] / t[0] for p, t in pairs)
        less = statistics.median(p[1] / t[1] for p, t in pairs)
        steps = (ask.num_inference_steps or 1) / seconds
        print(
            f"{name}: {seconds:.3f} s a picture ({steps:.1f} it/s), {cores:.3f} s of cores; "
            f"{faster:.2f} times as fast, {less:.2f} times less work (n={len(times)})",
            flush=True,
        )


def matrix_rate(size: int = 8192) -> float:
    """Operations a second of a float16 matrix product on this GPU."""
    one = torch.randn(size, size, device="cuda", dtype=torch.float16)
    times = [timed(lambda: one @ one, "cuda")[0] for _ in range(20)]
    return 2 * size**3 / statistics.median(times)


def on_cpu(runs: int) -> None:
    """The starter."""
    starter = find(Task.TEXT_TO_IMAGE, "genlab/scenes")
    ask = ImageRequest.of(prompt=PROMPT, seed=1).filled(starter)
    print(
        f"starter, {ask.width} px, {ask.num_inference_steps} steps; torch's {torch.get_num_threads()} threads; load {os.getloadavg()[0]:.0f}"
    )
    measure(sources.STARTERS / "scenes", starter, ask, "cpu", runs)


def on_cuda(runs: int, profile: bool) -> None:
    """v1-4 in full: batches of 1 and 8, peak memory, share of the roofline, where the time goes."""
    spec = find(Task.TEXT_TO_IMAGE, "CompVis/stable-diffusion-v1-4")
    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    with tempfile.TemporaryDirectory() as place:
        folder = architecture.save(Path(place))
        with patch.object(hub, "cached", lambda _: folder):
            rate = matrix_rate()
            print(
                f"matrix product: {rate / 1e12:.0f} TFLOP/s; a picture at least {WORK / rate:.3f} s"
            )
            for count in (1, 8):
                ask = ImageRequest.of(prompt=PROMPT, seed=1, num_images=count).filled(spec)
                print(f"{count} together")
                torch.cuda.reset_peak_memory_stats()
                measure(folder, spec, ask, "cuda", runs)
                print(
                    f"peak memory, both pipelines: {torch.cuda.max_memory_allocated() / 1e9:.1f} GB"
                )
            if profile:
                table(spec)


def table(spec: ModelSpec) -> None:
    """Where one picture's time goes, by kernel."""
    cache = ModelCache(Settings())
    ask = ImageRequest.of(prompt=PROMPT, seed=1).filled(spec)
    list(run(cache, spec, ask))
    with torch.profiler.profile() as seen:
        list(run(cache, spec, ask))
    print(seen.key_averages().table(sort_by="cuda_time_total", row_limit=25))
    cache.close()


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.text_to_image")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="a table of kernels, on CUDA")
    options = parser.parse_args()
    if options.device == "cuda":
        on_cuda(options.runs, options.profile)
    else:
        on_cpu(options.runs)


if __name__ == "__main__":
    main()
