"""Loaded models: loaded once, used in turn, unloaded in time. Nothing else holds a model.

One lock guards all bookkeeping (a plain Lock inside a Condition: never held while a model loads or
works). Each model has a slot with a queue of tickets: the gate is as many at a time as its engine takes
(Engine.capacity), else `spec.concurrency`, in order of arrival. A slot exists while somebody uses the model or
waits for it and while it is in memory: anybody may type an id. Loading happens inside the gate under one
construction lock for all models with weights, since from_pretrained patches globals while it runs;
hosted ones do not wait for those.
"""

import gc
import importlib
import logging
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from models.contract import Engine, Loading, ModelSpec, Notify, Placement, Request, Stop, Waiting
from models.errors import Busy, ModelError, OutOfMemory, Stopped, Unavailable, as_model_error
from models.runtime import zerogpu
from models.runtime.construction import CONSTRUCTION, StoppableLock
from models.runtime.limits import Limits
from models.runtime.observer import Observer
from models.runtime.placement import Hardware, place
from models.settings import Settings
from models.tasks import id_in_logs
from models.weights.sources import folder

_LOOK = 0.2  # seconds between two looks at the stop flag while waiting
_REAP = 15.0  # seconds between two looks for idle models
_LAST_WORDS = 1.0  # seconds in which an answer that must end says so
Key = tuple[str, str]
log = logging.getLogger("genlab")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """One row of the Models panel.

    Attributes:
        loaded: it is in memory; False while it is being loaded or waited for.
        nbytes: of weights, in memory now; some models have none.
        active: requests at work in it; waiting: requests queued for it.
        idle_seconds: since its last use, 0 while in use.
    """

    id: str
    task: str
    label: str
    placement: Placement
    loaded: bool
    nbytes: int
    load_seconds: float
    active: int
    waiting: int
    idle_seconds: float


@dataclass(frozen=True, slots=True)
class Lease:
    """An engine in use, where it runs, and how long it took to load."""

    engine: Engine
    placement: Placement
    load_seconds: float  # of this call: 0 when it was already in memory


@dataclass(slots=True)
class _Slot:
    spec: ModelSpec
    placement: Placement
    queue: list[object] = field(default_factory=list[object])
    inside: dict[object, Request | None] = field(default_factory=dict[object, Request | None])
    engine: Engine | None = None
    nbytes: int = 0
    load_seconds: float = 0.0
    last_used: float = 0.0

    @property
    def active(self) -> int:
        """How many have a lease."""
        return len(self.inside)

    def has_room(self, request: Request | None, concurrency: int) -> bool:
        """Whether a request may join those inside: each says how many it may be one of."""
        capacity = getattr(self.engine, "capacity", None)
        if capacity is None:
            return self.active < concurrency
        limits = [capacity(one) for one in (*self.inside.values(), request) if one is not None]
        return self.active < max(1, min(limits, default=concurrency))


class ModelCache:
    """All models in memory.

    Args:
        settings: device, memory limit, idle time.
        machine: instead of this machine's hardware.
    """

    def __init__(self, settings: Settings, machine: Hardware | None = None) -> None:
        self.settings = settings
        self.observer = Observer()
        self.limits = Limits(settings)
        self._machine = machine
        self._slots: dict[Key, _Slot] = {}
        self._change = threading.Condition(threading.Lock())
        self._connecting = StoppableLock()
        self._end = threading.Event()
        self._reaper: threading.Thread | None = None
        self._answers = 0
        self._over = threading.Event()
        self.draining = False  # no new answers are begun

    # ------------------------------------------------------------ use

    @contextmanager
    def lease(
        self, spec: ModelSpec, stop: Stop, notify: Notify, request: Request | None = None
    ) -> Generator[Lease]:
        """Wait for a turn, load the model if it is not there, and hold it for the with block.

        Args:
            spec: the model.
            stop: ends the wait, and a download.
            notify: is called with Waiting, Downloading and Loading.
            request: what it is for: engines may take several of a kind at once.

        Raises:
            Stopped: stop was set before the model was there.
            ModelError: it could not be loaded; then nothing of it stays in memory.
        """
        ticket = object()
        slot = self._enter(spec, stop, notify, ticket, request)
        try:
            lease = self._lease_on(slot, stop, notify)
            _set_threads(slot.placement)
            yield lease
        finally:
            with self._change:
                del slot.inside[ticket]
                slot.last_used = time.monotonic()
                self._forget(slot)
                self._change.notify_all()

    def _enter(
        self, spec: ModelSpec, stop: Stop, notify: Notify, ticket: object, request: Request | None
    ) -> _Slot:
        last = 0  # the position that was told
        with self._change:
            slot = self._slots.get((spec.task, spec.id))
            if slot is None:
                slot = _Slot(spec, place(spec, self.settings, self._machine))
                self._slots[spec.task, spec.id] = slot
            slot.queue.append(ticket)
            # By the caller's own spec: a comparison takes two places in a model of one.
            places = zerogpu.AT_ONCE if zerogpu.lends(slot.placement) else spec.concurrency
            try:
                while slot.queue[0] is not ticket or not slot.has_room(request, places):
                    if stop.is_set():
                        raise Stopped
                    inside = getattr(slot.engine, "waiting", 0)
                    position = inside + slot.queue.index(ticket) + 1
                    if position != last:
                        notify(Waiting(position))
                        last = position
                    self._change.wait(_LOOK)
                slot.inside[ticket] = request
            finally:
                slot.queue.remove(ticket)
                self._forget(slot)
                self._change.notify_all()
        return slot

    def _forget(self, slot: _Slot) -> None:
        """Remove a slot that holds no model and that nobody uses or waits for; the lock is held."""
        if slot.engine is None and not slot.inside and not slot.queue:
            self._slots.pop((slot.spec.task, slot.spec.id), None)

    def _lease_on(self, slot: _Slot, stop: Stop, notify: Notify) -> Lease:
        if slot.engine is not None:
            return Lease(slot.engine, slot.placement, 0.0)
        size, limit = self.room(slot.spec)
        if size > limit:  # before anything is fetched
            raise OutOfMemory("out_of_memory_limit", needed=size, limit=limit)
        where = folder(slot.spec, self.settings, stop, notify)
        notify(Loading(slot.spec))
        turn = self._connecting if slot.spec.hosted else CONSTRUCTION
        with turn.hold(stop):
            if slot.engine is not None:  # a second request of a hosted model came first
                return Lease(slot.engine, slot.placement, 0.0)
            self._make_room(slot.spec.loaded_bytes(slot.placement.dtype), slot)
            start = time.perf_counter()
            engine = _construct(slot, where, self.settings)
            if isinstance(engine, ModelError):
                _free()  # its traceback, gone by now, held the half-made model
                raise engine
            seconds = time.perf_counter() - start
            with self._change:
                slot.engine, slot.nbytes, slot.load_seconds = engine, engine.nbytes(), seconds
                self._change.notify_all()  # it may take more than the one that loaded it
            self.observer.on_load(slot.spec, seconds, slot.nbytes)
            self._make_room(0, slot)
            self._watch_idle()
            return Lease(engine, slot.placement, seconds)

    # ------------------------------------------------------------ memory

    def room(self, spec: ModelSpec) -> tuple[float, float]:
        """GB that a model takes and GB that models may take where it would run; 0 where not known."""
        placement = place(spec, self.settings, self._machine)
        if placement.device in {"server", "cuda"}:  # asking CUDA would import torch
            return 0.0, 0.0
        return spec.loaded_bytes(placement.dtype) / 1e9, self._limit(placement.device) / 1e9

    def _make_room(self, coming: int, keep: _Slot) -> None:
        """Unload idle models of keep's device, least recently used first, until `coming` bytes fit."""
        device = keep.placement.device
        if device == "server":
            return
        limit = self._limit(device)
        while True:
            with self._change:
                on_it = [
                    s for s in self._slots.values() if s.placement.device == device and s.engine
                ]
                if sum(s.nbytes for s in on_it) + coming <= limit:
                    return
                idle = [s for s in on_it if not s.active and s is not keep]
                if not idle:
                    break
                self._drop(min(idle, key=lambda s: s.last_used), "room")
            _free()
        if coming > limit:
            raise OutOfMemory("out_of_memory_limit", needed=coming / 1e9, limit=limit / 1e9)

    def _limit(self, device: str) -> float:
        if self.settings.memory_gb is not None:
            return self.settings.memory_gb * 1e9
        if device == "cuda" and zerogpu.ACTIVE:
            return 0.9 * zerogpu.MEMORY
        if device == "cuda":
            import torch

            return 0.9 * torch.cuda.mem_get_info()[1]
        return 0.6 * psutil.virtual_memory().total

    def free_idle(self) -> None:
        """Unload every model that is not in use: what a job that ran out of memory does."""
        with self._change:
            for slot in [*self._slots.values()]:
                if not slot.active:
                    self._drop(slot, "out_of_memory")
        _free()

    def _drop(self, slot: _Slot, reason: str) -> None:
        """Let a model go; the lock is held."""
        if slot.engine is not None:
            slot.engine = None
            self.observer.on_unload(slot.spec, reason)
            self._forget(slot)

    def unload(self, task: str, model_id: str, reason: str = "host") -> None:
        """Give a model's memory back now; nothing happens if it is not loaded.

        Args:
            task: of the model.
            model_id: which one.
            reason: for the observer.

        Raises:
            Busy: somebody is using it or waiting for it.
        """
        with self._change:
            slot = self._slots.get((task, model_id))
            if slot is None:
                return
            if slot.active or slot.queue:
                raise Busy(model=slot.spec.label)
            self._drop(slot, reason)
        _free()

    def status(self) -> list[LoadedModel]:
        """What is loaded, loading or waited for, most recently used first."""
        now = time.monotonic()
        with self._change:
            rows = sorted(self._slots.values(), key=lambda s: s.last_used, reverse=True)
            return [
                LoadedModel(
                    id=s.spec.id,
                    task=s.spec.task,
                    label=s.spec.label,
                    placement=s.placement,
                    loaded=s.engine is not None,
                    nbytes=s.nbytes if s.engine else 0,
                    load_seconds=s.load_seconds if s.engine else 0.0,
                    active=s.active,
                    waiting=len(s.queue),
                    idle_seconds=0.0 if s.active else now - s.last_used,
                )
                for s in rows
            ]

    # ------------------------------------------------------------ time

    def _watch_idle(self) -> None:
        if self._reaper is None and self.settings.idle_minutes:
            self._reaper = threading.Thread(target=self._reap, name="model-reaper", daemon=True)
            self._reaper.start()

    def _reap(self) -> None:
        while not self._end.wait(min(_REAP, self.settings.idle_minutes * 60)):
            self.unload_idle(self.settings.idle_minutes * 60)

    def unload_idle(self, seconds: float) -> None:
        """Unload models that nobody has used for so many seconds."""
        for model in self.status():
            if not model.active and not model.waiting and model.idle_seconds >= seconds:
                with suppress(Busy):  # somebody came in between
                    self.unload(model.task, model.id, "idle")

    # ------------------------------------------------------------ the end of the program

    @contextmanager
    def answering(self) -> Generator[threading.Event]:
        """Around an answer: `drain` waits for its end. Once the event is set it is to end and say so.

        Raises:
            Unavailable: the program is about to end (unavailable_closing).
        """
        with self._change:
            if self.draining:
                raise Unavailable("unavailable_closing")
            self._answers += 1
        try:
            yield self._over
        finally:
            with self._change:
                self._answers -= 1
                self._change.notify_all()

    def drain(self, seconds: float) -> bool:
        """Begin no new answers, and wait until those under way are whole, or have said that they end.

        Args:
            seconds: that they have; after them they end within another second.

        Returns:
            Whether there were any.
        """
        with self._change:
            self.draining, under_way = True, bool(self._answers)
            self._change.wait_for(lambda: not self._answers, seconds)
        self._over.set()
        with self._change:
            self._change.wait_for(lambda: not self._answers, _LAST_WORDS)
        return under_way

    def close(self) -> None:
        """Unload what is idle and end the watch: for a reload of the app, and tests."""
        self._end.set()
        self.free_idle()


def _construct(slot: _Slot, where: Path | None, settings: Settings) -> Engine | ModelError:
    if zerogpu.lends(slot.placement):
        return zerogpu.ZeroGpuEngine.load(slot.spec, where, slot.placement, settings)
    try:
        module, _, name = slot.spec.engine.partition(":")
        kind: type[Engine] = getattr(importlib.import_module(module), name)
        return kind.load(slot.spec, where, slot.placement, settings)
    except Exception as error:
        fault = as_model_error(error)
        if fault.code == "failed":  # not foreseen: the log gets the trace, the person a sentence
            log.exception("loading %s failed", id_in_logs(slot.spec.id))
        return fault.with_traceback(None)


def _free() -> None:
    """Give freed memory back to the system and the GPU."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _set_threads(placement: Placement) -> None:
    # OpenMP keeps the number per calling thread, and a job may have one that another model had.
    torch = sys.modules.get("torch")
    if torch is not None and placement.device == "cpu":
        torch.set_num_threads(placement.threads or 1)
