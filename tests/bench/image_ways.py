"""The ways of drawing that the image bench compares: plain diffusers, and GenLab with and without what is around it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from models.contract import Event, ModelSpec, Stop, WarmingUp
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.settings import Settings
from models.text_to_image.events import Sketch, StepDone, sketch_files
from models.text_to_image.progress import Progress
from models.text_to_image.requests import ImageRequest

THREADS = torch.get_num_threads()  # torch's own number: GenLab's engines set another
PROMPT = "a panda in the snow at night"
Way = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is drawn, where, and how many operations a picture takes (0: not counted)."""

    folder: Path
    spec: ModelSpec
    device: str
    work: float = 0.0


def plain_pipeline(subject: Subject) -> Any:
    """Plain diffusers, default settings: float16 on a GPU, float32 and all of torch's threads on a CPU."""
    from diffusers import StableDiffusionPipeline

    from models.text_to_image.autoencoder import PipelineAutoencoder, needs_adapter

    half = {"dtype": torch.float16, "variant": "fp16"} if subject.device == "cuda" else {}
    parts: dict[str, Any] = {}
    if needs_adapter(subject.folder):
        parts["vae"] = PipelineAutoencoder.from_pretrained(subject.folder, subfolder="vae")
    pipe = StableDiffusionPipeline.from_pretrained(
        subject.folder, local_files_only=True, **half, **parts
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(subject.device)


class PreviewReader:
    """Looks at previews as the page does: each tenth of a second, and at all stages in the end."""

    def __init__(self) -> None:
        self._last_look, self._stages = 0.0, list[tuple[Sketch, Sketch]]()

    def read(self, event: Event) -> None:
        """Look at the previews of a step, if it is time."""
        if not isinstance(event, StepDone):
            return
        if event.preview and time.perf_counter() - self._last_look >= 0.1:
            self._last_look = time.perf_counter()
            _ = event.preview.jpeg
        if event.noisy and event.preview:
            self._stages.append((event.noisy, event.preview))

    def end(self) -> None:
        """The drawing is finished: look at all stages, as the page's film does."""
        if self._stages:
            every = [one.latents[:1] for pair in self._stages for one in pair]
            sketch_files(np.concatenate(every), self._stages[0][0].colours)


class GenLab:
    """GenLab's engine in a cache of its own: by the page's way, and without what is around it."""

    def __init__(self, subject: Subject, first: ImageRequest, mode: str = "off") -> None:
        self.subject = subject
        self.cache = ModelCache(Settings(GENLAB_DEVICE=subject.device, GENLAB_COMPILE=mode))
        with self.cache.lease(subject.spec, Stop(), lambda _: None) as lease:
            self.denoiser, self.colours = lease.engine._denoiser, lease.engine._colours
            self.threads = lease.placement.threads
        began = time.perf_counter()
        warms = any(isinstance(event, WarmingUp) for event in self.draw(first))
        print(
            f"GENLAB_COMPILE={mode}: load {lease.load_seconds:.1f} s, first picture after it "
            f"{time.perf_counter() - began:.1f} s{', compiling' * warms}; {memory(subject)}"
        )

    def draw(self, ask: ImageRequest) -> list[Any]:
        """As the page does: cache, thread, events, previews."""
        reader, events = PreviewReader(), list[Any]()
        for event in run(self.cache, self.subject.spec, ask):
            events.append(event)
            reader.read(event)
        reader.end()
        return events

    def bare(self, ask: ImageRequest, previews: bool = True) -> None:
        """The engine's loop alone, in this thread."""
        torch.set_num_threads(self.threads or THREADS)
        singles, reader = ask.singles(), PreviewReader()
        passes = [one.num_inference_steps or 1 for one in singles]
        colours = self.colours if previews else None
        progress = Progress(ask, passes, colours, reader.read, Stop())
        rest = list(range(len(singles)))
        with torch.inference_mode():
            while rest:
                batch = self.denoiser.next_batch(singles, rest)
                progress.start(batch)
                self.denoiser.draw([singles[k] for k in batch], progress)
                rest = [k for k in rest if k not in batch]
        reader.end()


def plainly(pipe: Any, ask: ImageRequest) -> Way:
    """The pipeline's own call."""
    call = {"guidance_scale": ask.guidance_scale, "num_inference_steps": ask.num_inference_steps}
    call |= {"width": ask.width, "height": ask.height, "num_images_per_prompt": ask.num_images}

    def draw() -> None:
        torch.set_num_threads(THREADS)
        pipe(PROMPT, generator=torch.Generator("cpu").manual_seed(ask.seed), **call)

    return draw


def memory(subject: Subject) -> str:
    """The most that was taken so far, on a GPU; else what the process holds."""
    if subject.device == "cuda":
        return f"peak memory {torch.cuda.max_memory_allocated() / 1e9:.2f} GB"
    return f"process memory {psutil.Process().memory_info().rss / 1e9:.2f} GB"
