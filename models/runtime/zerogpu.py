"""ZeroGPU of Hugging Face Spaces: the one place that knows the package `spaces`.

There a GPU is lent for a call: what spaces.GPU decorates runs in a process that is forked from this one, for as many
seconds as were asked for, which the visitor's daily quota pays. What goes in and what is yielded crosses by pickle.
Models that want a GPU lie on "cuda" before the page is launched (spaces lets torch believe in one until then) and come
along into each process; one that comes later is loaded there, at the visitor's expense. All others stay on the CPU.

Elsewhere nothing is imported and nothing of this runs.
"""

import importlib
import logging
import math
import os
import queue
import re
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from models.contract import Engine, Event, Loading, ModelSpec, Placement, Request, Stop
from models.errors import (
    InvalidInput,
    ModelError,
    QuotaExceeded,
    Stopped,
    Unavailable,
    as_model_error,
)
from models.runtime.placement import has_zero_gpu, place
from models.settings import Settings
from models.tasks import id_in_logs
from models.weights.sources import folder

ACTIVE = has_zero_gpu()
AT_ONCE = 8  # jobs of one model: each has a process, and a GPU of its own
MEMORY = 48e9  # bytes of the GPU's half that a call gets
_PULSE = 0.25  # seconds between two signs of life
# Seconds for each GB of weights: of a pass at 512 x 512, and of loading. Guessed with room, not measured on ZeroGPU.
_PASS, _LOAD = 0.03, 2.0
_LEAST = 10  # seconds that are asked for
_SPARE = 5  # seconds for moving the weights that came along
_UNKNOWN_GB = 8.0  # of a model whose size the catalogue does not say
log = logging.getLogger("genlab")
Key = tuple[str, str]
# That lie on "cuda" here: from before the launch, or of a process with a GPU.
_engines: dict[Key, Engine] = {}


@dataclass(frozen=True, slots=True)
class GpuJob:
    """What crosses into the process that has the GPU: a request, and all that loads its model there."""

    spec: ModelSpec
    where: Path | None
    placement: Placement
    settings: Settings
    request: Request

    @property
    def key(self) -> Key:
        """What its model is known by."""
        return self.spec.task, self.spec.id


def seconds(job: GpuJob) -> int:
    """How long a job gets the GPU: by the model's size, its passes, and whether it must be loaded first.

    Raises:
        InvalidInput: with the model's own values it is too much work.
    """
    size = job.spec.size_gb or _UNKNOWN_GB
    load = 0.0 if job.key in _engines else _LOAD * size
    return max(_LEAST, math.ceil(_SPARE + load + _PASS * size * job.request.passes(job.spec)))


# ---------------------------------------------------------------- in the process that has the GPU


def work(job: GpuJob) -> Generator[Event | ModelError | None]:
    """Do a job; None is a sign of life, at which whoever waits may end it.

    A ModelError is yielded, since of one that is raised only its class's name would cross.
    """
    stop = Stop()
    events: queue.SimpleQueue[Event | ModelError | type[Stopped]] = queue.SimpleQueue()
    thread = threading.Thread(target=_fill, args=(job, stop, events), daemon=True)
    thread.start()
    try:
        while True:
            try:
                event = events.get(timeout=_PULSE)
            except queue.Empty:
                yield None
                continue
            if isinstance(event, type):  # the end
                return
            yield event
    finally:
        stop.set()
        thread.join()


def _fill(
    job: GpuJob, stop: Stop, events: "queue.SimpleQueue[Event | ModelError | type[Stopped]]"
) -> None:
    try:
        if job.key not in _engines:
            events.put(Loading(job.spec))
            _engines[job.key] = _load(job.spec, job.where, job.placement, job.settings)
        with closing(_engines[job.key].stream(job.request, stop)) as stream:
            for event in stream:
                events.put(event)
                if stop.is_set():
                    break
    except Stopped:
        pass
    except Exception as error:
        problem = as_model_error(error)
        if problem.code == "failed":
            log.exception("job of %s failed", id_in_logs(job.spec.id))
        events.put(problem.with_traceback(None))
    events.put(Stopped)


def _load(spec: ModelSpec, where: Path | None, placement: Placement, settings: Settings) -> Engine:
    module, _, name = spec.engine.partition(":")
    kind: type[Engine] = getattr(importlib.import_module(module), name)
    # torch.compile does not work there.
    return kind.load(spec, where, placement, settings.model_copy(update={"compile_mode": "off"}))


_lend: Callable[[GpuJob], Generator[Event | ModelError | None]] = work
if ACTIVE:
    # It deletes the weights from the hub's cache once they lie on "cuda": they would no longer count as here.
    os.environ.setdefault("ZEROGPU_MMAP_AUTOPRUNE_PATTERN", "none")
    import spaces  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]  # before torch, and before anything touches CUDA

    # Decorated here, before the launch: ZeroGPU ends a Space that has no such function by then.
    _lend = spaces.GPU(duration=seconds)(work)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


# ---------------------------------------------------------------- in the page's process


def lends(placement: Placement) -> bool:
    """Whether a model's work is done on a GPU that is lent."""
    return ACTIVE and placement.reason == "zero_gpu"


def place_models(specs: Iterable[ModelSpec], settings: Settings) -> None:
    """Put models on "cuda" before the page is launched, in the main thread: what comes along into each process.

    Args:
        specs: models whose weights are on this machine. One that cannot be loaded is logged, and loaded again when
            it is asked for, where a person hears why.
        settings: for loading.
    """
    for spec in specs:
        placement = place(spec, settings)
        if not lends(placement):
            continue
        try:
            where = folder(spec, settings, Stop(), lambda _: None)
            _engines[spec.task, spec.id] = _load(spec, where, placement, settings)
        except Exception:
            log.exception("%s could not be placed before the start", spec.id)


class ZeroGpuEngine:
    """A model whose work is done where a GPU is lent; it holds nothing but what is needed to ask for one."""

    def __init__(
        self, spec: ModelSpec, where: Path | None, placement: Placement, settings: Settings
    ) -> None:
        self._spec, self._where, self._placement = spec, where, placement
        self._settings = settings

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """As of any Engine; loads nothing here."""
        return cls(spec, folder, placement, settings)

    def nbytes(self) -> int:
        """Bytes of weights held, on the GPU while one is lent."""
        engine = _engines.get((self._spec.task, self._spec.id))
        return engine.nbytes() if engine else int((self._spec.size_gb or 0) * 1e9)

    def stream(self, request: Request, stop: Stop) -> Generator[Event]:
        """Ask for a GPU and yield what the model yields there.

        Raises:
            QuotaExceeded: the visitor has no GPU time left (quota_zero_gpu, quota_zero_gpu_page), or too many jobs
                (quota_zero_gpu_runs).
            InvalidInput: longer than a call may be (invalid_zero_gpu_long).
            Unavailable: no GPU is free or ZeroGPU does not answer (unavailable_zero_gpu), the GPU does not work
                (unavailable_zero_gpu_start), the visitor's page is too old (unavailable_zero_gpu_session), or it was
                cut off (unavailable_zero_gpu_cut).
            ModelError: as of the model's own engine.
        """
        job = GpuJob(self._spec, self._where, self._placement, self._settings, request)
        try:
            with closing(_lend(job)) as events:
                for event in events:
                    if stop.is_set():
                        return
                    if isinstance(event, ModelError):
                        raise event
                    if event is not None:
                        yield event
        except Exception as error:
            raise _as_problem(error) from None


_QUEUE_BROKE = {"Unexpected end of stream", "Error while re-trying after queue disconnect"}
_QUOTA = re.compile(r"\((\d+)s requested vs\. (-?\d+)s left\)\. Try again in (.+?)\. ")


def _as_problem(error: Exception) -> Exception:
    """What an error of spaces (a gr.Error with a title of its own) means to a person."""
    title, words = str(getattr(error, "title", "")), str(error)
    if title == "ZeroGPU illegal duration":
        return InvalidInput("invalid_zero_gpu_long")
    if quota := _QUOTA.search(words):
        return QuotaExceeded("quota_zero_gpu", needed=quota[1], left=quota[2], wait=quota[3])
    if title == "ZeroGPU pending credits exceeded" or "runs limit" in words:
        return QuotaExceeded("quota_zero_gpu_runs")
    if title == "ZeroGPU quota exceeded" and "No GPU was available" not in words:
        return QuotaExceeded("quota_zero_gpu_page")
    if title == "ZeroGPU client error" and "token" in words:
        return Unavailable("unavailable_zero_gpu_session")
    if title == "ZeroGPU worker error" and "aborted" in words:
        return Unavailable("unavailable_zero_gpu_cut")
    # The process says so before it begins; a job's own errors are yielded.
    if title == "ZeroGPU worker error":
        return Unavailable("unavailable_zero_gpu_start")
    if words.startswith("Connection closed by visitor"):
        return Stopped()
    http = type(error).__module__.partition(".")[0]  # of what spaces asks its device API with
    from_zero_gpu = title.startswith("ZeroGPU") or "ZeroGPU API" in words or words in _QUEUE_BROKE
    if from_zero_gpu or http in {"httpx", "httpx2"}:
        log.warning("ZeroGPU gives no GPU: %s", words)
        return Unavailable("unavailable_zero_gpu")
    return error
